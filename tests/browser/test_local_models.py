"""Better models by one click: added, watched, stopped, chosen and removed at the settings page."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from browser.conftest import Readers
from models.model_server import ModelServer
from servers import Server
from talekeeper.domain.connections import server_connection_id
from talekeeper.providers.weights import find_weights

pytestmark = [pytest.mark.browser, pytest.mark.model]
MEGABYTE = 1 << 20


async def test_a_model_is_added_by_its_address_chosen_and_removed(
    server: Server, readers: Readers, models_folder: Path
):
    reader = await readers(server)
    page, context = reader.page, reader.page.context
    with ModelServer.of(find_weights(models_folder), holds_at=40 * MEGABYTE) as source:
        await page.goto(f"{server.url}/settings")
        rows = page.get_by_role("region", name="Models on this machine").get_by_role("listitem")
        await expect(rows.filter(has_text="Qwen3 4B")).to_contain_text("4.0 GB of memory")
        field = page.get_by_label("Another GGUF model")
        await field.fill("my favourite model")
        await field.press("Enter")
        await expect(page.get_by_text("is neither a model of the list")).to_be_visible()
        await field.fill(f"{source.address}/bard.gguf")
        await field.press("Enter")
        await expect(field).to_have_value("")
        bard = rows.filter(has_text="bard")
        bar = bard.get_by_role("progressbar", name="Adding bard")
        await expect(bar).to_be_visible()

        await page.close()  # the download is the server's own
        page = await context.new_page()
        await page.goto(f"{server.url}/settings")
        rows = page.get_by_role("region", name="Models on this machine").get_by_role("listitem")
        bard = rows.filter(has_text="bard")
        await expect(bard).to_contain_text("of 98.4 MB")
        await bard.get_by_role("button", name="Stop adding").click()
        await expect(bard).to_contain_text("Stopped: ")
        source.let_go.set()
        await bard.get_by_role("button", name="Go on").click()
        choose = bard.get_by_role("button", name="answer by default")
        await expect(choose).to_be_visible(timeout=90_000)

    await expect(bard).to_contain_text("not compared with a SHA-256")
    await choose.click()
    await expect(rows.filter(has_text="Answers by default")).to_have_count(1)
    async with server.client() as client:
        chosen = (await client.get("/api/connections"))["chosen"]
        assert chosen == {"connection_id": server_connection_id("local"), "model": "bard"}
        scripted = {"connection_id": server_connection_id("scripted")}
        await client.ask("PUT", "/api/connections/chosen", scripted)

    await page.reload()
    await rows.get_by_role("button", name="Remove bard").click()
    await page.get_by_role("alertdialog").get_by_role("button", name="Remove it").click()
    await expect(bard).to_have_count(0)
    assert not (server.data_dir / "models" / "bard.gguf").exists()


async def test_another_account_is_not_shown_the_models_of_the_machine(
    server: Server, readers: Readers
):
    async with server.client() as client:
        added = await client.post("/api/accounts", {"name": "Player of models"})
        link = (await client.post("/api/login-links", {"name": added["name"]}))["path"]
    reader = await readers(server, is_let_in=False)
    await reader.page.goto(server.url + link)
    await expect(reader.composer).to_be_enabled()
    await reader.page.goto(f"{server.url}/settings")
    await expect(reader.page.get_by_role("heading", name="Connections", exact=True)).to_be_visible()
    await expect(reader.page.get_by_role("heading", name="Models on this machine")).to_have_count(0)
