"""Over a limit nothing typed is lost, and the page counts down to when a reply can be asked for (S9)."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Locator, Route, expect

from browser.conftest import Readers
from browser.reading import Reader, begun
from servers import Server, served, until

pytestmark = [pytest.mark.browser, pytest.mark.req("S9", "C-S9")]

KEPT = "Your message is kept. You have used up this minute’s replies."
USED_UP = "You have used up this minute’s replies. You can ask for the next in"


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Server]:
    """A server that makes one reply a minute."""
    with served(tmp_path, env={"TALEKEEPER_GENERATIONS_PER_MINUTE": "1"}) as server:
        yield server


def timer(reader: Reader) -> Locator:
    return reader.page.get_by_role("timer")


async def seconds(reader: Reader) -> int:
    return int((await timer(reader).inner_text()).removesuffix(" s"))


async def test_a_message_over_the_limit_stands_there_with_a_countdown_and_then_a_button(
    strict: Server, readers: Readers
):
    async with strict.client() as client:
        conversation = await client.open()
        reader = await readers(strict, conversation)
        await reader.say("Who is there? [[say The wind.]]")
        await reader.has_reply()
        await reader.say("Only the wind? [[say And a fox.]]")
        await expect(reader.text(KEPT)).to_be_visible()
        await expect(reader.own.last.get_by_text("Saved")).to_be_visible()
        await expect(reader.composer).to_have_value("")
        at_first = await seconds(reader)
        assert 30 < at_first <= 60

        async def goes_down() -> bool:
            return await seconds(reader) <= at_first - 2

        await until(goes_down)
        await expect(reader.button("Reply")).to_have_count(0)
        await expect(reader.button("Regenerate")).to_be_disabled()
        # What is said meanwhile is kept as well.
        await reader.say("Anybody else?")
        await expect(reader.own).to_have_count(3)
        await expect(reader.own.last.get_by_text("Saved")).to_be_visible()
        assert len(await client.tree(conversation)) == 4


async def test_a_page_that_is_loaded_anew_offers_the_reply_and_counts_down_when_it_is_too_early(
    strict: Server, readers: Readers
):
    async with strict.client() as client:
        conversation = await client.open()
        await client.ended(await client.say(conversation, "Who is there? [[say The wind.]]"))
        sent = await client.say(conversation, "Only the wind? [[say And a fox.]]")
        assert sent["limited"]["code"] == "too_often"
        reader = await readers(strict, conversation)
        await reader.button("Reply").click()
        await expect(reader.text(KEPT)).to_be_visible()
        assert 30 < await seconds(reader) <= 60
        await expect(reader.text("Close the note")).to_have_count(0)


async def test_another_reply_over_the_limit_is_counted_down_to_over_the_composer(
    strict: Server, readers: Readers
):
    async with strict.client() as client:
        conversation = await client.open()
        await client.ended(await client.say(conversation, "Who is there? [[say The wind.]]"))
        reader = await readers(strict, conversation)
        for ask in ("Regenerate", "Continue this reply"):
            await reader.page.reload()
            await reader.button(ask).click()
            await expect(reader.text(USED_UP)).to_be_visible()
            for name in ("Regenerate", "Continue this reply"):
                await expect(reader.button(name)).to_be_disabled()
            assert 30 < await seconds(reader) <= 60
        await reader.shows(("You", "Who is there? [[say The wind.]]"), ("Reply", "The wind."))


async def test_when_the_time_is_over_the_button_brings_the_reply(tmp_path: Path, readers: Readers):
    with served(tmp_path, env={"TALEKEEPER_GENERATIONS_AT_ONCE": "1"}) as server:
        async with server.client() as client:
            elsewhere = await client.say(await client.open(), "[[tokens 3]] [[pace 60s]]")
            conversation = await client.open()
            reader = await readers(server, conversation)
            await reader.say("Who is there? [[say The wind.]]")
            await expect(reader.text("Your other replies are still being written")).to_be_visible()
            await expect(reader.button("Reply")).to_be_visible()
            await reader.button("Reply").click()  # it is too early still
            await expect(timer(reader)).to_be_visible()
            await client.post(f"/api/generations/{elsewhere['generation_id']}/stop")
            await reader.button("Reply").click()
            await reader.has_reply()
            await reader.shows(("You", "Who is there? [[say The wind.]]"), ("Reply", "The wind."))


async def test_a_message_that_a_proxy_holds_back_waits_and_is_sent_by_itself(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await begun(client, ("You", "Who is there?"), ("Reply", "The wind."))
        reader = await readers(server, conversation)
        await expect(reader.messages).to_have_count(2)
        held = 0

        async def over(route: Route) -> None:
            nonlocal held
            held += 1
            if held > 1:
                await route.continue_()
                return
            await route.fulfill(status=429, headers={"Retry-After": "6"}, body="<h1>429</h1>")

        await reader.page.route(re.compile(r"/messages$"), over)
        await reader.say("Only the wind? [[say And a fox.]]")
        await expect(reader.text("The server was asked too much for now.")).to_be_visible()
        await expect(reader.text("The server is not answering")).to_have_count(0)
        await reader.has_reply()
        await expect(reader.messages).to_have_count(4)
        assert held == 2


async def test_a_search_over_the_limit_goes_on_by_itself(server: Server, readers: Readers):
    async with server.client() as client:
        await client.say(await client.open(), "An osprey over the weir.", reply=False)
        reader = await readers(server)
        held = 0

        async def over(route: Route) -> None:
            nonlocal held
            held += 1
            if held > 1:
                await route.continue_()
                return
            problem = {"code": "too_often", "detail": "…", "retryable": True, "retry_after": 4}
            await route.fulfill(status=429, json=problem)

        await reader.page.route(re.compile(r"/api/search\?"), over)
        await reader.page.goto(f"{server.url}/search?q=osprey")
        await expect(reader.text("This one goes on by itself in")).to_be_visible()
        await expect(reader.page.locator("mark").first).to_be_visible()
        await expect(reader.text("This one goes on by itself in")).to_have_count(0)
