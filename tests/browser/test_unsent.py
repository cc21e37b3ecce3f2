"""What is said while the server, the network or the browser fails is sent once (R6, R7, U2, NFR-005).

The browser keeps what the server has not acknowledged, over reloads, closed tabs and a killed browser;
what a person sees says so at any time, and the server has every message exactly once in the end.
"""

import asyncio
import os
import re
import signal
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Error as BrowserError
from playwright.async_api import Locator, Route, async_playwright, expect

from browser.conftest import Readers
from browser.reading import Reader, begun, let_in
from servers import Client, Server, served, until
from talekeeper.providers.scripted import scripted_text
from troubles import fill_up, small_disk, write_lock_held

pytestmark = pytest.mark.browser

AWAY = "The server is not answering."
SENDING = re.compile(r"/api/conversations/[^/]+/messages$")


async def _own(client: Client, conversation: str) -> list[str]:
    """What the game master said, in the order in which it was stored."""
    tree = await client.tree(conversation)
    return [each["content"] for each in tree if each["role"] == "user"]


async def _is_stored(client: Client, conversation: str, *texts: str) -> None:
    async def all_there() -> bool:
        return Counter(await _own(client, conversation)) == Counter(texts)

    await until(all_there)


def _with(reader: Reader, text: str) -> Locator:
    return reader.own.filter(has_text=text)


@pytest.mark.req("R6", "R7", "U8", "FR-001", "NFR-005", "NFR-006")
async def test_a_server_killed_while_it_takes_a_message_has_it_once_when_it_is_back(
    tmp_path: Path, readers: Readers
):
    with served(tmp_path) as server:
        server.environment["TALEKEEPER_PORT"] = str(server.port)
        async with server.client() as client:
            conversation = await begun(client, ("You", "Who is there?"), ("Reply", "The wind."))
            reader = await readers(server, conversation)
            await expect(reader.messages).to_have_count(2)
            # It takes the connection and says nothing any more.
            server.send_signal(signal.SIGSTOP)
            async with reader.page.expect_request(SENDING):
                await reader.say("We knock. [[say Come in.]]")
            await expect(reader.own.last.get_by_text("Saving")).to_be_visible()
            await expect(reader.text("The server has not answered yet.")).to_be_visible(
                timeout=2_500
            )
            server.kill()
            await expect(reader.text(AWAY).first).to_be_visible(timeout=5_000)
            server.start()

            await expect(reader.reply.locator(".tale")).to_have_text("Come in.")
            await expect(reader.own.last.get_by_text("Saved")).to_be_attached()
            assert await _own(client, conversation) == [
                "Who is there?",
                "We knock. [[say Come in.]]",
            ]


@pytest.mark.req("NFR-005", "NFR-007", "FR-006", "R7", "U8", "AC-004")
async def test_twenty_messages_said_while_the_server_is_away_go_out_once_and_in_order(
    tmp_path: Path, readers: Readers
):
    with served(tmp_path) as server:
        server.environment["TALEKEEPER_PORT"] = str(server.port)
        async with server.client() as client:
            conversation = await begun(client, ("You", "Who is there?"), ("Reply", "The wind."))
            reader = await readers(server, conversation)
            await expect(reader.messages).to_have_count(2)
            server.kill()
            said = [f"Knock {count}. [[say Aye.]] [[pace 0ms]]" for count in range(20)]
            for text in said:
                await reader.say(text)
            await expect(reader.text("20 messages wait in this browser")).to_be_visible()
            server.start()

            await _is_stored(client, conversation, "Who is there?", *said)
            await expect(reader.text("Not saved")).to_have_count(0)
            await expect(reader.page.locator("[data-persistence]")).to_have_count(0)
            assert await _own(client, conversation) == ["Who is there?", *said]
            path = [each["content"] for each in await client.path(conversation)]
            assert [text for text in path if text.startswith("Knock")] == said


@pytest.mark.req("NFR-005", "NFR-006", "R7", "U2", "FR-005", "AC-002")
async def test_a_closed_tab_leaves_what_waited_to_the_next_which_shows_it_in_place(
    tmp_path: Path, readers: Readers
):
    with served(tmp_path) as server:
        server.environment["TALEKEEPER_PORT"] = str(server.port)
        async with server.client() as client:
            conversation = await begun(client, ("You", "Who is there?"), ("Reply", "The wind."))
            reader = await readers(server, conversation)
            await expect(reader.messages).to_have_count(2)
            context = reader.page.context
            server.kill()
            for text in ("We knock.", "We knock again.", "We shout."):
                await reader.say(text)
            await expect(_with(reader, "We knock.").get_by_text("Not saved")).to_be_visible()
            await reader.page.close()
            server.start()

            again = await readers(server, context=context)
            may_go = asyncio.Event()

            async def held_up(route: Route) -> None:
                await may_go.wait()
                await route.continue_()

            await again.page.route(SENDING, held_up)
            await again.open(conversation)
            await again.shows(
                ("You", "Who is there?"),
                ("Reply", "The wind."),
                ("You", "We knock."),
                ("You", "We knock again."),
                ("You", "We shout."),
            )
            await expect(_with(again, "We shout.").get_by_text("Waiting")).to_be_visible()
            may_go.set()
            await _is_stored(
                client, conversation, "Who is there?", "We knock.", "We knock again.", "We shout."
            )
            await expect(again.text("Waiting")).to_have_count(0)
            assert (await _own(client, conversation))[1:] == [
                "We knock.",
                "We knock again.",
                "We shout.",
            ]


def _processes_of(profile: Path) -> list[int]:
    """The browser that was started with this profile: itself, not what it started."""
    found: list[int] = []
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal():
            continue
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        is_child = any(word.startswith(b"--type=") for word in words)
        if f"--user-data-dir={profile}".encode() in words and not is_child:
            found.append(int(process.name))
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="it finds the browser's process in /proc")
@pytest.mark.req("NFR-005", "NFR-006", "R7", "U2", "FR-005", "FR-105")
async def test_a_killed_browser_has_what_waited_and_what_was_half_typed_when_it_is_started_again(
    tmp_path: Path, browser_type_launch_args: dict[str, Any]
):
    profile = tmp_path / "profile"
    with served(tmp_path / "server") as server:
        server.environment["TALEKEEPER_PORT"] = str(server.port)
        async with server.client() as client, async_playwright() as playwright:
            conversation = await begun(client, ("You", "Who is there?"), ("Reply", "The wind."))
            context = await playwright.chromium.launch_persistent_context(
                profile, **browser_type_launch_args
            )
            await let_in(context, client)
            reader = Reader(await context.new_page(), server)
            await reader.open(conversation)
            await expect(reader.messages).to_have_count(2)
            await reader.page.route(SENDING, lambda route: route.abort())
            await reader.say("We knock.")
            await expect(_with(reader, "We knock.").get_by_text("Not saved")).to_be_visible()
            await reader.composer.fill("And half a thou")
            killed = _processes_of(profile)
            assert len(killed) == 1
            # The browser itself writes a draft down some seconds later; the message it had to at once.
            drafts = profile / "Default" / "Local Storage" / "leveldb"
            await until(
                lambda: any(b"half a thou" in log.read_bytes() for log in drafts.glob("*.log"))
            )
            os.kill(killed[0], signal.SIGKILL)
            with suppress(BrowserError):  # it may be gone before it can be closed
                await context.close()

            context = await playwright.chromium.launch_persistent_context(
                profile, **browser_type_launch_args
            )
            await let_in(context, client)
            again = Reader(await context.new_page(), server)
            await again.open(conversation)
            await _is_stored(client, conversation, "Who is there?", "We knock.")
            await expect(_with(again, "We knock.").get_by_text("Saved")).to_be_attached()
            await expect(again.composer).to_have_value("And half a thou")
            await context.close()


@pytest.mark.req("NFR-005", "NFR-007", "NFR-013", "R7", "U4")
async def test_without_a_network_one_goes_on_writing_and_it_goes_out_when_it_is_back(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await begun(client, ("You", "Who is there?"), ("Reply", "The wind."))
        reader = await readers(server, conversation)
        await expect(reader.messages).to_have_count(2)
        await reader.page.context.set_offline(True)
        await reader.say("We knock.")
        await expect(reader.text(AWAY).first).to_be_visible(timeout=2_000)
        await expect(_with(reader, "We knock.").get_by_text("Not saved")).to_be_visible(
            timeout=6_000
        )
        await expect(reader.page.locator("[data-persistence]")).to_have_attribute(
            "data-persistence", "unavailable"
        )
        await reader.page.context.set_offline(False)

        await _is_stored(client, conversation, "Who is there?", "We knock.")
        await expect(_with(reader, "We knock.").get_by_text("Saved")).to_be_attached()
        await expect(reader.page.locator("[data-persistence]")).to_have_count(0)


@pytest.mark.req("U6", "U8", "U23", "R6", "NFR-009")
async def test_two_tabs_that_send_at_once_lose_and_double_nothing(server: Server, readers: Readers):
    async with server.client() as client:
        conversation = await begun(client, ("You", "Who is there?"), ("Reply", "The wind."))
        left = await readers(server, conversation)
        right = await readers(server, conversation, context=left.page.context)
        for reader in (left, right):
            await expect(reader.messages).to_have_count(2)
        said = [f"{side} {count}." for count in range(4) for side in ("Left", "Right")]

        async def say(reader: Reader, side: str) -> None:
            for text in said:
                if text.startswith(side):
                    await reader.say(text)

        await asyncio.gather(say(left, "Left"), say(right, "Right"))

        await _is_stored(client, conversation, "Who is there?", *said)
        for reader, side in ((left, "Left"), (right, "Right")):
            await expect(reader.text("Saving")).to_have_count(0)
            await expect(reader.text("Waiting")).to_have_count(0)
            # Each has its own in order, whatever the other did.
            mine = [text for _, text in await reader.shown() if text.startswith(side)]
            assert mine == [text for text in said if text.startswith(side)]


@pytest.mark.req("U6", "R6", "FR-105")
async def test_another_device_that_goes_another_way_does_not_turn_the_page(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await begun(client, ("You", "Who is there?"), ("Reply", "The wind."))
        reader = await readers(server, conversation)
        await expect(reader.messages).to_have_count(2)
        await reader.composer.fill("Half a thought")
        first = (await client.path(conversation))[0]["id"]
        await client.say(conversation, "No, a goblin.", parent_id=first, role="assistant")

        await expect(reader.text("Newer messages stand on another branch.")).to_be_visible()
        await reader.shows(("You", "Who is there?"), ("Reply", "The wind."))
        await expect(reader.composer).to_have_value("Half a thought")
        await reader.button("Go there").click()
        await reader.shows(("You", "Who is there?"), ("Reply", "No, a goblin."))
        await expect(reader.text("Newer messages stand on another branch.")).to_have_count(0)


@pytest.mark.req("R5", "FR-006", "NFR-005", "NFR-007", "NFR-013", "US-004", "AC-004")
async def test_while_another_holds_the_store_it_says_what_is_wrong_and_saves_when_that_is_over(
    tmp_path: Path, readers: Readers
):
    with served(tmp_path) as server:
        async with server.client() as client:
            conversation = await begun(client, ("You", "Who is there?"), ("Reply", "The wind."))
            reader = await readers(server, conversation)
            await expect(reader.messages).to_have_count(2)
            with write_lock_held(server.database):
                await reader.say("We knock.")
                mine = _with(reader, "We knock.")
                await expect(mine).to_contain_text("Trying again.", timeout=2_500)
                await expect(mine.get_by_role("alert")).to_contain_text("Not saved", timeout=5_000)
                await expect(mine.get_by_role("button", name="Retry")).to_be_visible()
                await mine.get_by_text("More", exact=True).click()
                reference = await mine.locator("code").inner_text()
                assert reference in server.log
                banner = reader.page.locator("[data-persistence]")
                await expect(banner).to_contain_text("not saved yet")
                await expect(banner.get_by_role("button", name="Retry")).to_be_visible()
            await _is_stored(client, conversation, "Who is there?", "We knock.")
            await expect(mine.get_by_text("Saved")).to_be_attached()
            await expect(banner).to_have_count(0)


@pytest.mark.req("R4", "NFR-005", "NFR-010", "NFR-013", "FR-006", "AC-004")
@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="mounting a small disk takes root on Linux"
)
async def test_on_a_full_disk_what_is_said_waits_in_the_browser_until_there_is_room(
    readers: Readers,
):
    with small_disk(8) as disk, served(disk) as server:
        async with server.client() as client:
            conversation = await begun(client, ("You", "Who is there?"), ("Reply", "The wind."))
            reader = await readers(server, conversation)
            await expect(reader.messages).to_have_count(2)
            ballast = disk / "ballast"
            fill_up(ballast)
            # What is left in the file of the database takes a while to fill.
            text = "The ledger says: " + "x" * 150_000
            refusal = await client.send(conversation, text, reply=False)
            while refusal.status == 201:
                refusal = await client.send(conversation, text, reply=False)
            assert refusal.problem == (503, "store_full")
            stored = await _own(client, conversation)

            await reader.say("We knock. " + "y" * 30_000)
            mine = _with(reader, "We knock.")
            await expect(mine.get_by_role("alert")).to_contain_text("Not saved", timeout=7_000)
            await expect(reader.page.locator("[data-persistence]")).to_be_visible()
            ballast.unlink()
            await _is_stored(client, conversation, *stored, "We knock. " + "y" * 30_000)
            await expect(mine.get_by_text("Saved")).to_be_attached()


@pytest.mark.req("NFR-012", "S1", "R7")
async def test_what_waits_belongs_to_its_account_and_no_other_sees_or_sends_it(
    tmp_path: Path, readers: Readers
):
    with served(tmp_path) as server:
        token = server.add_account("Brin")
        async with server.client() as client, server.client(token) as brin:
            conversation = await begun(client, ("You", "Who is there?"), ("Reply", "The wind."))
            reader = await readers(server, conversation)
            await expect(reader.messages).to_have_count(2)
            await reader.page.route(SENDING, lambda route: route.abort())
            await reader.say("My secret.")
            await expect(_with(reader, "My secret.").get_by_text("Not saved")).to_be_visible()
            context = reader.page.context
            await reader.page.close()

            link = await client.post("/api/login-links", {"name": "Brin"})
            await context.request.get(server.url + link["path"])
            other = await readers(server, context=context)
            await other.open(await brin.open())
            await expect(other.composer).to_be_enabled()
            await other.say("Mine. [[say Aye.]]")
            await expect(other.reply.locator(".tale")).to_have_text("Aye.")
            await expect(other.text("My secret.")).to_have_count(0)
            assert await _own(client, conversation) == ["Who is there?"]

            await let_in(context, client)
            back = await readers(server, conversation, context=context)
            await _is_stored(client, conversation, "Who is there?", "My secret.")
            await expect(_with(back, "My secret.").get_by_text("Saved")).to_be_attached()


@pytest.mark.req("NFR-005", "NFR-013")
async def test_a_browser_that_stores_nothing_says_that_the_tab_must_stay_open(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await begun(client, ("You", "Who is there?"), ("Reply", "The wind."))
        reader = await readers(server)
        await reader.page.add_init_script(
            "IDBFactory.prototype.open = () => { throw new DOMException('no', 'SecurityError') }"
        )
        await reader.page.route(SENDING, lambda route: route.abort())
        await reader.open(conversation)
        await reader.say("We knock.")
        await expect(reader.text("One message waits in this tab")).to_be_visible()
        await expect(reader.text("keep the tab open")).to_be_visible()
        await expect(_with(reader, "We knock.").get_by_text("Not saved")).to_be_visible()
        await reader.page.unroute(SENDING)
        await _with(reader, "We knock.").get_by_role("button", name="Retry").click()
        await _is_stored(client, conversation, "Who is there?", "We knock.")


@pytest.mark.long
@pytest.mark.req("NFR-005", "FR-006")
async def test_the_hundred_and_first_message_is_refused_and_its_text_stays(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await begun(client, ("You", "Who is there?"), ("Reply", "The wind."))
        reader = await readers(server, conversation)
        await expect(reader.messages).to_have_count(2)
        await reader.page.route(SENDING, lambda route: route.abort())
        for count in range(100):
            await reader.say(f"Knock {count}.")
        await reader.say("One too many.")
        await expect(reader.text("100 messages wait to be saved already.")).to_be_visible()
        await expect(reader.composer).to_have_value("One too many.")
        await reader.page.unroute(SENDING)
        await reader.page.evaluate("dispatchEvent(new Event('online'))")
        said = [f"Knock {count}." for count in range(100)]
        await _is_stored(client, conversation, "Who is there?", *said)
        assert (await _own(client, conversation))[1:] == said


@pytest.mark.req("R12", "U5", "U2", "C-S2")
async def test_reloaded_at_every_tenth_of_its_growth_a_reply_is_whole_to_the_letter(
    server: Server, readers: Readers
):
    whole = " ".join(scripted_text(240).split())
    async with server.client() as client:
        conversation = await client.open()
        reader = await readers(server, conversation)
        await reader.say("Tell me all. [[tokens 240]] [[pace 25ms]]")
        for tenth in range(1, 10):
            await reader.reply_has(len(whole) * tenth // 10)
            await reader.page.reload()
            await expect(reader.reply).to_be_visible()
            for _, text in await reader.grown():
                assert whole.startswith(text)
        await reader.has_reply()
        await reader.shows(
            ("You", "Tell me all. [[tokens 240]] [[pace 25ms]]"), ("Reply", scripted_text(240))
        )
        for _, text in await reader.grown():
            assert whole.startswith(text)
        assert len(await client.tree(conversation)) == 2
