"""The way in: a link that works once, three steps for a newcomer, and out again (S1, S4)."""

import re

import pytest
from playwright.async_api import expect

from browser.conftest import Readers
from servers import Server

pytestmark = pytest.mark.browser


@pytest.mark.req("S4", "NFR-012")
async def test_a_link_pasted_once_lets_in_and_never_again(server: Server, readers: Readers):
    async with server.client() as client:
        link = server.url + (await client.post("/api/login-links", {}))["path"]
    stranger = await readers(server, "", is_let_in=False)
    other = await readers(server, "", is_let_in=False)
    for each in (stranger, other):
        await expect(each.text("Open the link that the server printed")).to_be_visible()
        await expect(each.messages).to_have_count(0)
        await expect(each.composer).to_have_count(0)

    await stranger.page.get_by_label("Or paste the link here").fill(link)
    await stranger.button("Enter").click()
    await expect(stranger.composer).to_be_enabled()
    assert "token" not in stranger.page.url
    await stranger.page.reload()
    await expect(stranger.composer).to_be_enabled()

    await other.page.get_by_label("Or paste the link here").fill(link)
    await other.button("Enter").click()
    await expect(other.page.get_by_text(re.compile("link", re.IGNORECASE)).first).to_be_visible()
    await other.open()
    await expect(other.text("Open the link that the server printed")).to_be_visible()


@pytest.mark.req("S4", "NFR-012")
async def test_who_logs_out_in_one_tab_is_a_stranger_in_every_tab(server: Server, readers: Readers):
    async with server.client() as client:
        conversation = await client.open(title="A secret matter")
    reader = await readers(server, conversation)
    await expect(reader.composer).to_be_enabled()
    second = await readers(server, conversation, context=reader.page.context)
    await expect(second.composer).to_be_enabled()
    await reader.link("Settings").click()
    await reader.button("Log out").click()

    await expect(reader.text("Open the link that the server printed")).to_be_visible()
    await expect(second.text("Open the link that the server printed")).to_be_visible()
    await expect(second.text("A secret matter")).to_have_count(0)


@pytest.mark.req("US-004", "NFR-003")
async def test_a_newcomer_is_led_in_three_steps_and_never_asked_again(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await client.open()
    newcomer = await readers(server, conversation, is_welcomed=False)
    await expect(
        newcomer.page.get_by_role("heading", name="Here your tale is kept.")
    ).to_be_visible()
    await newcomer.button("Next").click()
    await expect(newcomer.page.get_by_role("heading", name="answers.")).to_be_visible()
    await newcomer.button("Next").click()
    await expect(newcomer.page.get_by_role("heading", name="Begin anywhere.")).to_be_visible()
    await newcomer.button("Start talking").click()

    await expect(newcomer.text("Say what your table needs")).to_be_visible()
    await newcomer.page.reload()
    await expect(newcomer.text("Say what your table needs")).to_be_visible()
    await expect(newcomer.button("Next")).to_have_count(0)
