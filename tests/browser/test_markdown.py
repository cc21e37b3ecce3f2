"""No message breaks the page, and every word of it can be read (S5, NFR-011, R12).

The built page shows, under its own content security policy, all examples of the specifications of
CommonMark and GFM, random texts, and texts that are made to be deep or dear. No script error, no
report of a policy: the readers' fixture holds that. What must be read comes from another parser.
"""

import asyncio
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import CDPSession, Route, expect

from browser.conftest import Readers
from browser.markdown import examples, random_texts, words_of
from browser.reading import Reader, begun
from servers import Server, served
from talekeeper.database import Store, Writer
from talekeeper.ids import ConversationId, MessageId, fresh_id
from talekeeper.store.holding import hold_conversation
from talekeeper.store.message_changes import add_message
from talekeeper.store.messages import Place

pytestmark = [pytest.mark.browser, pytest.mark.req("S5", "NFR-011")]

TOGETHER: Final = 100
"""Messages on one page: all of them are drawn in a window that is high enough."""
WINDOW: Final = (1200, 40_000)

NOTE_TASKS: Final = """
window.tasks = []
new PerformanceObserver(list => {
  for (const each of list.getEntries()) window.tasks.push(each.duration)
}).observe({ type: 'longtask', buffered: true })
"""
REFERENCE: Final = """
() => {
  // Work that takes some fifty milliseconds where nothing else runs.
  const began = performance.now()
  let sum = 0
  for (let i = 0; i < 20_000_000; i++) sum = (sum + i) % 1000003
  return performance.now() - began + (sum < 0 ? 1 : 0)
}
"""


def _told(server: Server, conversations: Sequence[tuple[str, Sequence[tuple[str, str]]]]) -> None:
    """The stopped server's conversations hold these messages, each by "You" or by "Reply"."""

    async def tell(store: Store) -> None:
        for conversation, messages in conversations:

            def unit(
                tx: Writer,
                identity: str = conversation,
                messages: Sequence[tuple[str, str]] = messages,
            ) -> None:
                held = hold_conversation(tx, ConversationId(identity), owner_id=None)
                place: Place | None = None
                for who, content in messages:
                    added = add_message(
                        tx,
                        held,
                        MessageId(fresh_id()),
                        parent=place,
                        role="user" if who == "You" else "assistant",
                        content=content,
                    )
                    place = added.place
                held.save(tx)

            await store.write(unit, conversation_id=ConversationId(conversation))

    server.with_store(tell)


async def _shows_every_word(reader: Reader, messages: Sequence[tuple[str, str]]) -> None:
    """The conversation at hand shows these messages, each formatted and with all of its words."""
    await expect(reader.messages).to_have_count(len(messages))
    await expect(reader.page.get_by_text("could not be formatted")).to_have_count(0)
    wanted = [words_of(text, own=who == "You") for who, text in messages]
    # The table of named references comes a moment after the text.
    lost: list[tuple[str, str, str, str]] = []
    for _ in range(100):
        shown: list[str] = await reader.messages.evaluate_all(
            "all => all.map(one => one.querySelector('.tale')?.innerText ?? 'no tale')"
        )
        lost = [
            (word, who, text, seen)
            for (who, text), words, seen in zip(messages, wanted, shown, strict=True)
            for word in words
            if word not in seen
        ]
        if not lost:
            break
        await asyncio.sleep(0.1)
    if lost:
        print(*lost[:5], sep="\n")
    assert [each[0] for each in lost] == []


async def _show_all(tmp_path: Path, readers: Readers, texts: Sequence[str]) -> None:
    """Every text is shown by "You" and as "Reply", its words are there, and no second is frozen."""
    said = [(who, text) for text in texts for who in ("You", "Reply")]
    pages = [said[at : at + TOGETHER] for at in range(0, len(said), TOGETHER)]
    with served(tmp_path) as server:
        async with server.client() as client:
            conversations = [await client.open() for _ in pages]
        server.kill()
        _told(server, list(zip(conversations, pages, strict=True)))
        server.start()
        reader = await readers(server, viewport=WINDOW)
        await reader.page.add_init_script(NOTE_TASKS)
        for conversation, messages in zip(conversations, pages, strict=True):
            await reader.open(conversation)
            await _shows_every_word(reader, messages)
            # Measured in work done meanwhile: the machine may be busy.
            tasks: list[float] = await reader.page.evaluate("window.tasks")
            reference: float = await reader.page.evaluate(REFERENCE)
            assert max(tasks, default=0.0) < max(1000, 50 * reference), messages


@pytest.mark.req("R12")
async def test_every_example_of_commonmark_and_gfm_is_shown_with_all_its_words(
    tmp_path: Path, readers: Readers
):
    assert len(examples()) > 650
    await _show_all(tmp_path, readers, examples())


async def test_random_texts_are_shown_with_all_their_words(tmp_path: Path, readers: Readers):
    await _show_all(tmp_path, readers, random_texts(100, dice=1))


@pytest.mark.long
async def test_ten_thousand_random_texts_are_shown_with_all_their_words(
    tmp_path: Path, readers: Readers
):
    await _show_all(tmp_path, readers, random_texts(10_000, dice=2))


DEAR: Final = {
    "quotes": ">" * 2300,
    "lists in a line": "- " * 1000,
    "lists in lists": "\n".join(f"{'  ' * depth}- a" for depth in range(200)),
    "pictures": "![" * 5000,
    "pictures in pictures": "![" * 5000 + "](a)" * 5000,
    "brackets": "[" * 20_000,
    "links": "[a](" * 5000,
    "emphasis": "*a **b " * 2000 + "*" * 2000,
    "mixed emphasis": "*a_ " * 5000,
    "references": "&amp;" * 10_000,
    "code spans": "".join("`" * length + " " for length in range(1, 200)),
    "one line": "The mill stands by the fen. " * 6000,
    "one word": "x" * 150_000,
    "items": "- a\n" * 20_000,
    "a table": "| a | b |\n| - | - |\n" + "| c | d |\n" * 8000,
    "a code block": "```\n" + "x = 1\n" * 20_000 + "```",
    "verse": "a line\n" * 20_000,
    "a lazy quote": "> a\n" + "b\n" * 20_000,
}


@pytest.mark.parametrize("name", DEAR)
async def test_a_message_that_is_deep_or_dear_holds_up_nothing(
    server: Server, readers: Readers, name: str
):
    text = DEAR[name]
    async with server.client() as client:
        plain = await begun(client, ("You", "Who is there?"), ("Reply", "The wind."))
        dear = await begun(client, ("You", text), ("Reply", text))
    reader = await readers(server)
    await reader.page.add_init_script(NOTE_TASKS)

    async def longest(conversation: str) -> float:
        await reader.open(conversation)
        await expect(reader.reply.locator(".tale")).to_contain_text(re.compile(r"\S"))
        await expect(reader.composer).to_be_enabled()
        # Something that only an idle main thread does.
        await reader.page.evaluate("() => new Promise(done => requestIdleCallback(done))")
        return max(await reader.page.evaluate("window.tasks"), default=0.0)

    reference: float = await reader.page.evaluate(REFERENCE)
    usual = await longest(plain)
    assert await longest(dear) < 200 + usual + 10 * reference


async def _cpu_seconds(session: CDPSession) -> float:
    """What the page's main thread has worked since it was made."""
    answer: dict[str, Any] = await session.send("Performance.getMetrics")
    found = {each["name"]: each["value"] for each in answer["metrics"]}
    return found["TaskDuration"]


@pytest.mark.req("R12", "G18")
async def test_a_reply_that_begins_like_a_definition_costs_little_while_it_grows(
    server: Server, readers: Readers
):
    async with server.client() as client:
        reader = await readers(server, await client.open())
        session = await reader.page.context.new_cdp_session(reader.page)
        await session.send("Performance.enable", {"timeDomain": "threadTicks"})
        reference: float = await reader.page.evaluate(REFERENCE)
        before = await _cpu_seconds(session)
        text = "[Guard]: Halt!\\n\\n" + "The mill stands by the fen.\\n\\n" * 3300
        await reader.say(f"[[say {text}]] [[pace 0ms]]")
        await reader.has_reply()
        spent = await _cpu_seconds(session) - before
        print(f"spent {spent:.2f} s, reference {reference:.0f} ms")
        assert spent * 1000 < 25 * reference


@pytest.mark.req("R12")
async def test_nested_text_that_grows_is_shown_as_it_is_written(server: Server, readers: Readers):
    async with server.client() as client:
        reader = await readers(server, await client.open())
        for text in (">" * 2300, "- " * 1000, "![" * 1500):
            count = await reader.replies.count()
            await reader.say(f"[[say {text.strip()}]] [[pace 1ms]]")
            await expect(reader.replies).to_have_count(count + 1)
            await reader.has_reply()
            await expect(reader.reply.get_by_text("deeply nested to be formatted")).to_be_visible()
            await expect(reader.reply.locator(".written").first).to_contain_text(text[:200])


@pytest.mark.req("G18", "NFR-002")
async def test_a_reply_of_five_megabytes_is_readable_at_both_ends_in_seconds(
    tmp_path: Path, readers: Readers
):
    part = 'The *mill* stands by the **fen**, "and" nobody goes there.\n\n- one\n- two\n\n'
    text = "The first words.\n\n" + part * (5_000_000 // len(part)) + "The last words."
    with served(tmp_path, verifies=False) as server:
        async with server.client() as client:
            short, long = await client.open(), await client.open()
        server.kill()
        _told(server, [(short, [("Reply", "The last words.")]), (long, [("Reply", text)])])
        server.start()
        reader = await readers(server)
        await reader.page.add_init_script(NOTE_TASKS)

        async def seconds_to(conversation: str) -> float:
            began = time.monotonic()
            await reader.open(conversation)
            await expect(reader.text("The last words.")).to_be_in_viewport()
            return time.monotonic() - began

        await seconds_to(short)
        reference = await seconds_to(short)
        # Two seconds where nothing else runs.
        assert await seconds_to(long) < max(2, 8 * reference)

        await reader.page.get_by_label("Messages", exact=True).evaluate("one => one.scrollTo(0, 0)")
        await expect(reader.text("The first words.")).to_be_in_viewport()
        assert await reader.page.locator(".tale em").count() < 2000


@pytest.mark.req("U6")
async def test_what_is_read_in_a_long_message_stays_where_it_is(tmp_path: Path, readers: Readers):
    """Parts that are drawn as they come near the screen move nothing that is on it."""
    text = "\n\n".join(f"Line {number}. " + "*Wind* and rain. " * 20 for number in range(2000))
    with served(tmp_path, verifies=False) as server:
        async with server.client() as client:
            conversation = await client.open()
        server.kill()
        _told(server, [(conversation, [("Reply", text)])])
        server.start()
        reader = await readers(server, conversation)
        await expect(reader.text("Line 1999.")).to_be_in_viewport()
        seen: list[list[float]] = await reader.page.get_by_label("Messages", exact=True).evaluate(
            """async one => {
              const frame = () => new Promise(done => requestAnimationFrame(done))
              const jumps = []
              for (let step = 0; step < 60; step++) {
                const rows = [...one.querySelectorAll('.tale p')]
                const [row] = rows.filter(each => each.getBoundingClientRect().top > 200)
                const before = row.getBoundingClientRect().top
                one.scrollTop -= 300
                await frame(); await frame(); await frame()
                if (row.isConnected)
                  jumps.push([row.getBoundingClientRect().top - before - 300, step])
              }
              return jumps
            }"""
        )
        assert len(seen) == 60
        assert max(abs(jump) for jump, _ in seen) < 3, seen


BREAK_LINKS: Final = """
const set = Element.prototype.setAttribute
Element.prototype.setAttribute = function (name, value) {
  if (name === 'href' && String(value).includes('breaks.example')) throw new Error('It broke.')
  return set.call(this, name, value)
}
"""


async def test_a_part_that_cannot_be_formatted_is_shown_as_it_was_written(
    server: Server, readers: Readers
):
    text = "*Before.*\n\n[a link](https://breaks.example/)\n\n*After.*"
    async with server.client() as client:
        conversation = await begun(client, ("You", text), ("Reply", text))
    reader = await readers(server)
    await reader.page.add_init_script(BREAK_LINKS)
    await reader.open(conversation)
    for message in (reader.own, reader.replies):
        await expect(message.get_by_text("This could not be formatted:")).to_be_visible()
        await expect(message.locator(".written")).to_have_text(
            re.compile(re.escape("[a link](https"))
        )
        await expect(message.locator("em")).to_have_text(["Before.", "After."])
        await message.hover()
        await message.get_by_role("button", name="Copy", exact=True).click()
        assert await reader.page.evaluate("navigator.clipboard.readText()") == text
    await expect(reader.link("Settings")).to_be_visible()
    reader.complaints.clear()


@pytest.mark.req("S5")
async def test_a_page_that_breaks_leaves_the_rail_and_says_what_to_do(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await begun(client, ("You", "Who is there?"))
    reader = await readers(server, conversation)

    async def spoil(route: Route) -> None:
        await route.fulfill(json={"nothing": "that the page expects"})

    await reader.page.route("**/api/storage*", spoil)
    await reader.link("Storage").click()
    await expect(
        reader.page.get_by_role("heading", name="This page cannot be shown.")
    ).to_be_visible()
    await expect(reader.page.get_by_role("navigation", name="Conversations")).to_be_visible()
    await reader.page.unroute("**/api/storage*")
    await reader.link("Settings").click()
    await expect(reader.page.get_by_role("heading", name="Connections")).to_be_visible()
    reader.complaints.clear()
