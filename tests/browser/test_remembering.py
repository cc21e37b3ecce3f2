"""What was said is there: after another page, another start, another browser, a failed save.

The promises of A's first criteria (AC-001 to AC-004, AC-007), seen by a person at the page. Nothing
can be said before the conversation is loaded; a message that is not on disk says so, keeps its
text, and is stored exactly once in the end, however often it was tried.
"""

import asyncio
import re
from collections.abc import Awaitable
from pathlib import Path

import pytest
from playwright.async_api import Route, expect

from browser.conftest import Readers
from browser.reading import begun, contents
from servers import Server, served, until

pytestmark = pytest.mark.browser

LOADING = "Loading the conversation"


@pytest.mark.req("AC-001", "FR-004", "US-001")
async def test_after_a_visit_to_the_settings_the_same_messages_are_there_in_order(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await client.open()
        reader = await readers(server, conversation)
        for word in ("first", "second"):
            await reader.say(f"The {word} question. [[tokens 20]]")
            await expect(reader.replies).to_have_count(1 if word == "first" else 2)
            await reader.has_reply()
        before = await reader.shown()
        assert before == contents(await client.path(conversation))

        await reader.link("Settings").click()
        await expect(reader.page.get_by_role("heading", name="Connections")).to_be_visible()
        await expect(reader.messages).to_have_count(0)
        await reader.page.go_back()

        await reader.shows(*before)
        await expect(reader.composer).to_be_enabled()


@pytest.mark.req("AC-002", "FR-005", "US-002", "U19")
async def test_a_restarted_server_shows_another_browser_the_same_messages_in_order(
    tmp_path: Path, readers: Readers
):
    with served(tmp_path) as server:
        reader = await readers(server, "")
        for count in (1, 2, 3):
            await reader.say(f"Question {count}. [[tokens {count * 10}]]")
            await expect(reader.replies).to_have_count(count)
            await reader.has_reply()
        before = await reader.shown()
        address = reader.page.url.removeprefix(server.url)
        assert len(before) == 6
        server.restart()

        another = await readers(server, "")

        await another.shows(*before)
        assert another.page.url.removeprefix(server.url) == address


@pytest.mark.req("AC-003", "FR-002", "FR-003", "NFR-014")
async def test_nothing_can_be_said_before_the_conversation_is_loaded(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await begun(client, ("You", "Who is there?"), ("Reply", "The wind."))
        may_load = asyncio.Event()

        async def held_up(route: Route) -> None:
            await may_load.wait()
            await route.continue_()

        reader = await readers(server)
        await reader.page.route(f"**/api/conversations/{conversation}/messages*", held_up)
        await reader.open(conversation)

        await expect(reader.page.get_by_role("status", name=LOADING)).to_be_visible()
        await expect(reader.composer).to_be_disabled()
        await expect(reader.button("Send")).to_be_disabled()
        await reader.page.keyboard.type("Too early")
        await reader.page.keyboard.press("Enter")
        may_load.set()

        await reader.shows(("You", "Who is there?"), ("Reply", "The wind."))
        await expect(reader.composer).to_be_enabled()
        await expect(reader.composer).to_be_focused()
        await expect(reader.page.get_by_role("status", name=LOADING)).to_have_count(0)
        assert len(await client.path(conversation)) == 2


@pytest.mark.req("AC-007", "FR-105", "US-007", "U23")
async def test_each_conversation_keeps_its_own_messages_and_what_is_half_typed(
    server: Server, readers: Readers
):
    async with server.client() as client:
        mill = await begun(client, ("You", "The mill at night"), ("Reply", "It turns."))
        court = await begun(client, ("You", "The duke's court"), ("Reply", "It whispers."))
        reader = await readers(server, mill)
        await reader.shows(("You", "The mill at night"), ("Reply", "It turns."))
        await reader.composer.fill("And the miller")

        await reader.page.get_by_role("link", name="The duke's court").first.click()
        await reader.shows(("You", "The duke's court"), ("Reply", "It whispers."))
        await expect(reader.composer).to_have_value("")
        await reader.say("Who whispers? [[say The walls.]]")
        await reader.shows(
            ("You", "The duke's court"),
            ("Reply", "It whispers."),
            ("You", "Who whispers? [[say The walls.]]"),
            ("Reply", "The walls."),
        )

        await reader.page.get_by_role("link", name="The mill at night").first.click()
        await reader.shows(("You", "The mill at night"), ("Reply", "It turns."))
        await expect(reader.composer).to_have_value("And the miller")
        assert len(await client.path(mill)) == 2
        assert len(await client.path(court)) == 4


async def _exceeds(value: Awaitable[float], least: float) -> bool:
    return await value > least


@pytest.mark.req("FR-105", "US-007", "AC-007")
async def test_whoever_comes_back_to_a_conversation_reads_on_where_they_left(
    server: Server, readers: Readers
):
    async with server.client() as client:
        said = [("You", f"Line {n}. " + "The mill turns at night. " * 12) for n in range(30)]
        mill = await begun(client, *said)
        await begun(client, ("You", "The duke's court"), ("Reply", "It whispers."))
        reader = await readers(server, mill)
        await expect(reader.own.last).to_contain_text("Line 29.")
        scroller = reader.page.get_by_role("region", name="Messages")
        await scroller.hover()
        await reader.page.mouse.wheel(0, -1500)
        at_the_top = """one => [...one.querySelectorAll('article')].map(each =>
            [each.innerText.slice(0, 8), each.getBoundingClientRect()])
            .find(([_, box]) => box.bottom > one.getBoundingClientRect().top + 1)
            .flatMap((each, place) => place ? [each.top] : [each])"""
        to_the_end = "one => one.scrollHeight - one.scrollTop - one.clientHeight"
        await until(lambda: _exceeds(scroller.evaluate(to_the_end), 800))
        line, top = await scroller.evaluate(at_the_top)

        await reader.page.get_by_role("link", name="The duke's court").first.click()
        await reader.shows(("You", "The duke's court"), ("Reply", "It whispers."))
        await reader.page.go_back()

        await expect(reader.own.filter(has_text=line)).to_be_visible()
        again, where = await scroller.evaluate(at_the_top)
        assert again == line
        assert abs(where - top) < 40


@pytest.mark.req("AC-004", "FR-006", "NFR-013", "NFR-014", "US-004", "R7", "U8")
async def test_a_message_that_cannot_be_saved_keeps_its_text_and_is_stored_once_on_retry(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await begun(client, ("You", "Who is there?"), ("Reply", "The wind."))
        reader = await readers(server, conversation)
        tries: list[str] = []

        async def cut(route: Route) -> None:
            said = route.request.post_data_json
            assert said is not None
            tries.append(said["id"])
            await route.abort("connectionfailed")

        sending = re.compile(r"/api/conversations/[^/]+/messages$")
        await reader.page.route(sending, cut)
        await reader.say("We knock. [[say Come in.]]")
        mine = reader.own.last
        await expect(mine.get_by_text("Saving")).to_be_visible(timeout=2000)

        await expect(mine.get_by_role("alert")).to_contain_text("Not saved")
        assert len(tries) >= 4
        assert len(set(tries)) == 1
        await mine.get_by_role("button", name="Copy").click()
        pasted = await reader.page.evaluate("navigator.clipboard.readText()")
        assert pasted == "We knock. [[say Come in.]]"
        assert len(await client.path(conversation)) == 2
        await reader.page.unroute(sending)
        await mine.get_by_role("button", name="Retry").click()

        await reader.shows(
            ("You", "Who is there?"),
            ("Reply", "The wind."),
            ("You", "We knock. [[say Come in.]]"),
            ("Reply", "Come in."),
        )
        await expect(reader.text("Not saved")).to_have_count(0)
        await reader.has_reply()
        assert await reader.shown() == contents(await client.path(conversation))
        assert len(await client.tree(conversation)) == 4


@pytest.mark.req("R7", "R6", "U8", "NFR-005")
async def test_a_message_whose_acknowledgement_was_lost_is_stored_and_answered_once(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await client.open()
        reader = await readers(server, conversation)
        lost: list[int] = []

        async def without_answer(route: Route) -> None:
            if len(lost) < 2:
                lost.append((await route.fetch()).status)
                await route.abort("connectionreset")
            else:
                await route.continue_()

        await reader.page.route(re.compile(r"/api/conversations/[^/]+/messages$"), without_answer)
        await reader.say("We knock. [[say Come in.]]")

        await reader.shows(("You", "We knock. [[say Come in.]]"), ("Reply", "Come in."))
        await expect(reader.own.get_by_text("Saved")).to_be_attached()
        assert lost[0] == 201
        assert len(await client.tree(conversation)) == 2


@pytest.mark.req("AC-004", "NFR-005", "NFR-007", "NFR-013", "R7", "U4")
async def test_while_the_server_is_gone_the_page_says_so_and_sends_what_waited_once_it_is_back(
    tmp_path: Path, readers: Readers
):
    with served(tmp_path) as server:
        server.environment["TALEKEEPER_PORT"] = str(server.port)
        async with server.client() as client:
            conversation = await begun(client, ("You", "Who is there?"), ("Reply", "The wind."))
            reader = await readers(server, conversation)
            await reader.shows(("You", "Who is there?"), ("Reply", "The wind."))
            # The banner's own words: the message that waits says the same and more.
            away = reader.page.get_by_text("The server is not answering.", exact=True)
            await expect(away).to_have_count(0)
            server.kill()

            await reader.say("We knock. [[say Come in.]]")
            await expect(away).to_be_visible(timeout=2000)
            await expect(reader.text("One message waits in this browser")).to_be_visible()
            # Coming back to the page asks for the list again, in vain: what was known of it stays.
            await reader.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
            await expect(reader.own.last.get_by_role("alert")).to_contain_text("Not saved")
            await reader.say("We knock again.")
            await expect(reader.own.last.get_by_text("Waiting")).to_be_visible()
            await expect(reader.page.get_by_role("link", name="Who is there?")).to_be_visible()
            server.start()

            await expect(away).to_have_count(0, timeout=30_000)
            await expect(reader.text("Not saved")).to_have_count(0)
            # In the order in which it was said, the first one answered before the second.
            await expect(reader.messages.nth(3).locator(".tale")).to_have_text("Come in.")
            await expect(reader.messages.nth(4).locator(".tale")).to_have_text("We knock again.")
            await expect(reader.messages.nth(4).get_by_text("Saved")).to_be_attached()
            await reader.has_reply()
            path = await client.path(conversation)
            assert [each["content"] for each in path[:5]] == [
                "Who is there?",
                "The wind.",
                "We knock. [[say Come in.]]",
                "Come in.",
                "We knock again.",
            ]
