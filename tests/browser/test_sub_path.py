"""A public address with a path: everything works behind a proxy that strips the path or keeps it."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from browser.conftest import Readers
from browser.proxying import a_proxy
from servers import served

pytestmark = pytest.mark.browser


@pytest.mark.req("S1", "S4")
@pytest.mark.parametrize(
    ("strips", "keeps_host"), [(True, True), (False, True), (True, False), (False, False)]
)
async def test_one_logs_in_talks_and_comes_back_under_the_path(
    tmp_path: Path, readers: Readers, strips: bool, keeps_host: bool
) -> None:
    async with a_proxy("/tales", strips=strips, keeps_host=keeps_host) as proxy:
        with served(tmp_path, env=proxy.env) as server:
            proxy.upstream = server.url
            async with server.client() as client:
                conversation = await client.open(title="The keep")
                other = await client.open(title="The mill")
                link = (await client.post("/api/login-links", {}))["path"]
            printed = server.run("login-link").stdout
            assert f"{proxy.url}/login?token=" in printed

            reader = await readers(server, is_let_in=False)
            page = reader.page
            await page.goto(proxy.url + link)
            await expect(reader.composer).to_be_enabled()
            assert page.url.startswith(f"{proxy.url}/c/")
            cookies = [
                each for each in await page.context.cookies() if "tk" in each.get("name", "")
            ]
            assert [each.get("path") for each in cookies] == ["/tales"]

            await page.goto(f"{proxy.url}/c/{conversation}")
            await expect(page.get_by_text("The keep").first).to_be_visible()
            await reader.say("Who keeps the gate? [[tokens 30]]")
            await reader.has_reply()
            async with server.client() as client:  # events come without asking
                await client.say(conversation, "Said elsewhere.", reply=False)
            await expect(reader.text("Said elsewhere.")).to_be_visible()

            await page.reload()
            await expect(reader.text("Said elsewhere.")).to_be_visible()
            assert page.url == f"{proxy.url}/c/{conversation}"

            await page.get_by_role("link", name="The mill").click()
            await page.wait_for_url(f"{proxy.url}/c/{other}")
            await reader.link("Settings").click()
            await expect(page.get_by_role("heading", name="Connections")).to_be_visible()
            assert page.url == f"{proxy.url}/settings"
            await page.goto(f"{proxy.url}/search?q=gate")
            await expect(page.get_by_text("Who keeps the").first).to_be_visible()
            await page.goto(f"{proxy.url}/settings")
            await reader.button("Log out").click()
            await expect(reader.text("Open the link that the server printed")).to_be_visible()
            assert [each for each in proxy.strayed if each != "/favicon.ico"] == []


@pytest.mark.req("S1")
async def test_a_conversation_that_is_deleted_while_it_is_open_leads_home_under_the_path(
    tmp_path: Path, readers: Readers
) -> None:
    async with a_proxy("/tales", strips=True) as proxy:
        with served(tmp_path, env=proxy.env) as server:
            proxy.upstream = server.url
            async with server.client() as client:
                conversation = await client.open(title="The keep")
                link = (await client.post("/api/login-links", {}))["path"]
            reader = await readers(server, is_let_in=False)
            await reader.page.goto(proxy.url + link)
            await reader.page.goto(f"{proxy.url}/c/{conversation}")
            await expect(reader.composer).to_be_enabled()
            await reader.page.get_by_role("button", name="More about The keep").first.click()
            await reader.page.get_by_role("menuitem", name="Delete").click()
            await reader.page.wait_for_url(lambda url: conversation not in url)
            assert reader.page.url.startswith(proxy.url)


async def test_who_opens_the_page_past_the_proxy_is_led_under_the_path(
    tmp_path: Path, readers: Readers
) -> None:
    env = {"TALEKEEPER_PUBLIC_URL": "https://tales.example/tales/"}
    with served(tmp_path, env=env) as server:
        async with server.client() as client:
            conversation = await client.open(title="The keep")
            link = (await client.post("/api/login-links", {}))["path"]
        reader = await readers(server, is_let_in=False)
        await reader.page.goto(server.url + link)
        await expect(reader.composer).to_be_enabled()
        await reader.page.goto(f"{server.url}/c/{conversation}")
        await reader.page.wait_for_url(f"{server.url}/tales/c/{conversation}")
        await expect(reader.composer).to_be_enabled()
