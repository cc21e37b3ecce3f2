"""Who answers, how well, and how replies are made: seen and mended at the page (C-S8, R13)."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Route, expect
from tests.providers.hosts import WORDS, Host

from browser.conftest import Readers
from servers import Server, served

pytestmark = pytest.mark.browser

LISTING: Any = {
    "object": "list",
    "data": [
        {
            "id": "bard",
            "owned_by": "organization_owner",
            "loaded_context_length": 8192,
            "type": "vlm",
            "capabilities": ["tool_use"],
        }
    ],
}


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    """A model server that a person runs."""
    async with Host(models=LISTING) as host:
        yield host


async def test_how_replies_are_made_is_set_shown_and_kept(server: Server, readers: Readers):
    async with server.client() as client:
        conversation = await client.open()
    reader = await readers(server, conversation)
    await reader.button("Reply settings").click()
    panel = reader.page.get_by_role("dialog", name="Reply settings")
    await panel.get_by_label("Temperature").fill("hot")
    await panel.get_by_label("Longest reply").fill("500")
    await panel.get_by_role("button", name="Keep").click()
    await expect(panel.get_by_text("A number from 0 to 2, such as 0.8.")).to_be_visible()
    await panel.get_by_label("Temperature").fill("0,7")
    await panel.get_by_role("button", name="Keep").click()
    await expect(panel).to_have_count(0)
    told = "temperature 0.7 · at most 500 tokens"
    await expect(reader.text(told)).to_be_visible()
    await reader.page.reload()
    await expect(reader.text(told)).to_be_visible()
    await reader.button(f"Reply settings: {told}").click()
    await panel.get_by_role("button", name="As the provider decides").click()
    await panel.get_by_role("button", name="Keep").click()
    await expect(reader.text(told)).to_have_count(0)
    async with server.client() as client:
        kept = await client.get(f"/api/conversations/{conversation}")
    assert set(kept["sampling"].values()) == {None}


async def test_a_title_comes_by_itself_after_the_first_exchange(server: Server, readers: Readers):
    async with server.client() as client:
        conversation = await client.open()
    reader = await readers(server, conversation)
    await reader.say("Who waits? [[title The Stranger Who Waits]]")
    await expect(reader.link("The Stranger Who Waits").first).to_be_visible()


async def test_a_list_that_comes_late_does_not_undo_what_was_told(server: Server, readers: Readers):
    async with server.client() as client:
        conversation = await client.open()
    leading = await readers(server, conversation)
    await expect(leading.composer).to_be_enabled()
    reader = await readers(server, conversation, context=leading.page.context)
    said = "Who waits late? [[title The Late One]]"
    is_read, is_told = asyncio.Event(), asyncio.Event()

    async def late(route: Route) -> None:
        response = await route.fetch()
        is_read.set()
        await is_told.wait()
        await route.fulfill(response=response)

    await expect(reader.link("Untitled conversation").first).to_be_visible()
    await reader.page.route(re.compile(r"/api/conversations\?state=active"), late)
    # A tab that comes back after a long time, and holds no stream itself, fetches its lists.
    await reader.page.evaluate("const now = Date.now; Date.now = () => now() + 60_000")
    await reader.page.evaluate("dispatchEvent(new Event('online'))")
    async with asyncio.timeout(20):
        await is_read.wait()
    await reader.say(said)
    named = reader.link("The Late One")
    await expect(named.first).to_be_visible()
    async with reader.page.expect_response(re.compile(r"/api/conversations\?state=active")):
        is_told.set()
    # A list that was fetched is on the page with the next frame.
    await reader.page.evaluate("new Promise(done => setTimeout(done, 300))")
    await expect(named.first).to_be_visible()


@pytest.mark.req("R13", "NFR-013")
async def test_a_model_that_failed_is_told_with_a_button_that_tries_again(
    tmp_path: Path, readers: Readers, host: Host
):
    faults = [(503, {"error": {"message": "overloaded"}})]
    host.refuse = lambda _body: faults[-1] if faults else None
    reached = {"TALEKEEPER_MODEL": "bard", "TALEKEEPER_OPENAI_BASE_URL": host.url}
    with served(tmp_path, "openai", env=reached) as server:
        async with server.client() as client:
            conversation = await client.open()
        reader = await readers(server, conversation)
        await reader.say("Who is there?")
        failing = reader.page.get_by_text(re.compile("Did not answer at "))
        await expect(failing).to_be_visible()
        await reader.page.reload()
        await expect(failing).to_be_visible()
        await reader.link("Open settings").or_(reader.link("Settings")).first.click()
        await expect(failing).to_be_visible()
        await reader.page.go_back()
        faults.clear()
        await reader.page.get_by_role("button", name=re.compile("^Check again")).click()
        await expect(reader.text("It answers again.")).to_be_visible()
        await expect(failing).to_have_count(0)


async def test_a_model_server_on_this_machine_is_offered_and_used_with_one_button(
    tmp_path: Path, readers: Readers
):
    async with Host(models=LISTING, port=1234) as host:
        with served(tmp_path) as server:
            async with server.client() as client:
                conversation = await client.open()
            reader = await readers(server, conversation)
            await reader.link("Settings").click()
            await expect(reader.text("LM Studio is running here with one model.")).to_be_visible()
            await reader.button("Use LM Studio").click()
            await expect(reader.text("LM Studio is running here")).to_have_count(0)
            await reader.page.get_by_role("button", name=re.compile("^LM Studio")).click()
            await reader.button("Test connection").click()
            told = "8,192 tokens · takes images · calls tools"
            await expect(reader.text(told)).to_be_visible()
            await reader.open(conversation)
            await reader.say("Who is there?")
            await expect(reader.reply).to_contain_text(WORDS)
            assert host.asked[0]["model"] == "bard"


async def test_a_connection_is_added_from_a_preset_named_tested_and_removed(
    server: Server, readers: Readers, host: Host
):
    typed = f"127.0.0.1:{host.port}/v1/chat/completions"
    reader = await readers(server)
    await reader.page.goto(f"{server.url}/settings")
    await reader.button("Add a connection").click()
    dialog = reader.page.get_by_role("dialog", name="Add a connection")
    await dialog.get_by_label("To what").select_option(label="LM Studio")
    address = dialog.get_by_label("Base URL")
    await expect(address).to_have_value("http://127.0.0.1:1234/v1")
    await dialog.get_by_label("Name").fill("Ollama")
    await dialog.get_by_role("button", name="Add", exact=True).click()
    await expect(dialog.get_by_text("You have a connection “Ollama” already")).to_be_visible()
    await dialog.get_by_label("Name").fill("In the cellar")
    await dialog.get_by_role("button", name="Add", exact=True).click()
    await expect(dialog).to_have_count(0)
    line = reader.page.get_by_role("listitem").filter(has_text="In the cellar")
    await expect(line).to_contain_text("not asked yet")

    address = line.get_by_label("Base URL")
    await address.fill(typed)
    await address.press("Enter")
    await expect(line.get_by_text("Saved.")).to_be_visible()
    await expect(address).to_have_value(host.url)
    await expect(line.get_by_text(f"Mended: you typed {typed}.")).to_be_visible()
    await line.get_by_label("Longest request, in tokens").fill("many")
    await expect(line.get_by_text("A whole number from 256")).to_be_visible()
    await line.get_by_label("Longest request, in tokens").fill("16k")
    await line.get_by_role("button", name="Test connection").click()
    await expect(line.get_by_text("8,192 tokens")).to_be_visible()
    await expect(line).to_contain_text("answered at")
    async with server.client() as client:
        items = {item["name"]: item for item in (await client.get("/api/connections"))["items"]}
    kept = items["In the cellar"]
    assert (kept["base_url"], kept["longest_request"]) == (host.url, 16_000)

    await line.get_by_role("button", name="Remove").click()
    question = reader.page.get_by_role("alertdialog")
    await expect(question).to_contain_text("Nothing that was said is lost")
    await question.get_by_role("button", name="Remove it").click()
    await expect(line).to_have_count(0)


async def test_a_model_is_found_by_a_few_letters_among_those_of_every_connection(
    server: Server, readers: Readers, host: Host
):
    async with Host(models={"data": [{"id": f"maker/model-{n}"} for n in range(300)]}) as cloud:
        async with server.client() as client:
            ids = {
                name: (
                    await client.post(
                        "/api/connections", {"kind": "openai", "name": name, "base_url": at.url}
                    )
                )["id"]
                for name, at in (("The cloud", cloud), ("Brin’s", host))
            }
            conversation = await client.open()
        reader = await readers(server, conversation)
        await reader.page.get_by_role("button", name=re.compile("^Who answers here")).click()
        picker = reader.page.get_by_role("dialog", name="Who answers here")
        field = picker.get_by_role("combobox")
        await expect(field).to_be_focused()
        group = picker.get_by_role("group", name="The cloud")
        await expect(group.get_by_text("260 more")).to_be_visible()
        await reader.page.keyboard.type("brin bard")
        await expect(picker.get_by_role("group")).to_have_count(1)
        await expect(picker.get_by_role("option")).to_have_count(1)
        await reader.page.keyboard.press("Enter")
        await expect(picker).to_have_count(0)
        await expect(reader.button("Who answers here: Brin’s · bard")).to_be_visible()
        await reader.say("Who is there?")
        await expect(reader.reply).to_contain_text(WORDS)

        async with server.client() as client:
            for connection_id in ids.values():
                await client.ask("DELETE", f"/api/connections/{connection_id}")
        await reader.page.reload()
        gone = reader.text("The connection that was chosen to answer has been removed.")
        await expect(gone).to_be_visible()
        await reader.button("Who answers here: nothing").click()
        await expect(field).to_be_focused()
        await reader.page.keyboard.press("Enter")  # the first choice: as in settings
        await expect(gone).to_have_count(0)
