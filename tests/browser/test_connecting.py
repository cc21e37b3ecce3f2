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
            await reader.page.get_by_role("button", name=re.compile("^OpenAI")).click()
            await reader.button("Test connection").click()
            told = "8,192 tokens · takes images · calls tools"
            await expect(reader.text(told)).to_be_visible()
            await reader.open(conversation)
            await reader.say("Who is there?")
            await expect(reader.reply).to_contain_text(WORDS)
            assert host.asked[0]["model"] == "bard"


async def test_an_address_with_a_path_too_many_and_no_scheme_is_mended_and_the_form_says_so(
    server: Server, readers: Readers, host: Host
):
    typed = f"127.0.0.1:{host.port}/v1/chat/completions"
    reader = await readers(server)
    await reader.page.goto(f"{server.url}/settings")
    await reader.page.get_by_role("button", name=re.compile("^OpenAI")).click()
    address = reader.page.get_by_label("Base URL")
    await address.fill(typed)
    await address.press("Enter")
    await expect(reader.text("Saved.")).to_be_visible()
    await expect(address).to_have_value(host.url)
    await expect(reader.text(f"Mended: you typed {typed}.")).to_be_visible()
    await reader.button("Test connection").click()
    await expect(reader.text("8,192 tokens")).to_be_visible()
    async with server.client() as client:
        providers = (await client.get("/api/providers"))["items"]
    kept = next(each["base_url"] for each in providers if each["name"] == "openai")
    assert kept == host.url
