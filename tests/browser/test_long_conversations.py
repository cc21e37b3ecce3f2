"""Ten thousand messages open like ten, and older ones come in as one scrolls (NFR-002, NFR-008, R23)."""

import re
import time
from pathlib import Path

import pytest
from playwright.async_api import Request, expect

from browser.conftest import Readers
from servers import Server, served
from talekeeper.database import Store, Writer
from talekeeper.ids import ConversationId, MessageId, fresh_id
from talekeeper.store.holding import hold_conversation
from talekeeper.store.message_changes import add_message
from talekeeper.store.messages import Place

pytestmark = pytest.mark.browser

MANY = 10_000
SECONDS_TO_OPEN = 2.0
"""The goal is half a second on a quiet machine; this one is shared."""

NOTE_JUMPS = """
one => {
  // By how much rows that stay on screen moved from frame to frame.
  window.jumps = []
  let before = new Map()
  const look = () => {
    const now = new Map()
    for (const row of one.querySelectorAll('[data-index] article'))
      now.set(row.textContent.slice(0, 30), row.getBoundingClientRect().top)
    const moved = [...now].flatMap(([key, top]) => before.has(key) ? [top - before.get(key)] : [])
    // Not one row left of those before: that was a leap.
    if (before.size > 0) window.jumps.push(moved.sort((a, b) => a - b)[moved.length >> 1] ?? 1e9)
    before = now
    requestAnimationFrame(look)
  }
  look()
}
"""


def _filled(server: Server, conversation_id: str, count: int) -> None:
    """The stopped server's conversation has so many messages, one after the other."""

    async def fill(store: Store) -> None:
        place: Place | None = None
        for start in range(0, count, 1000):

            def unit(tx: Writer, start: int = start, place: Place | None = place) -> Place | None:
                held = hold_conversation(tx, ConversationId(conversation_id), owner_id=None)
                for number in range(start, start + 1000):
                    added = add_message(
                        tx,
                        held,
                        MessageId(fresh_id()),
                        parent=place,
                        role="assistant" if number % 2 else "user",
                        content=f"Number {number}. " + "The river goes on. " * (number * 7 % 23),
                    )
                    place = added.place
                held.save(tx)
                return place

            place = await store.write(unit, conversation_id=ConversationId(conversation_id))

    server.with_store(fill)


@pytest.mark.req("NFR-002", "NFR-008", "R23", "G18", "C-S4", "C-S8", "FR-002")
async def test_ten_thousand_messages_open_at_their_end_and_older_ones_come_without_a_jump(
    tmp_path: Path, readers: Readers
):
    # What verify finds in so long a tale is the store's own tests' business.
    with served(tmp_path, verifies=False) as server:
        async with server.client() as client:
            conversation = await client.open()
        server.kill()
        _filled(server, conversation, MANY)
        server.start()
        reader = await readers(server, "")
        await expect(reader.composer).to_be_enabled()

        began = time.monotonic()
        await reader.open(conversation)
        await expect(reader.own.last).to_contain_text(f"Number {MANY - 2}.")
        await expect(reader.reply).to_contain_text(f"Number {MANY - 1}.")
        assert time.monotonic() - began < SECONDS_TO_OPEN
        await expect(reader.composer).to_be_enabled()
        scroller = reader.page.get_by_role("region", name="Messages")
        assert (
            await scroller.evaluate("one => one.scrollHeight - one.scrollTop - one.clientHeight")
            < 60
        )
        # Only what is near stands in the document.
        assert await reader.messages.count() < 40

        pages: list[str] = []
        older = re.compile(r"/messages\?.*before=")

        def note(request: Request) -> None:
            if older.search(request.url):
                pages.append(request.url)

        reader.page.on("request", note)
        await scroller.hover()
        await scroller.evaluate(NOTE_JUMPS)
        wheel = 500
        while len(pages) < 3:
            await reader.page.mouse.wheel(0, -wheel)
            await reader.page.evaluate("new Promise(requestAnimationFrame)")
        await expect(reader.text("Loading older messages…")).to_be_attached()
        jumps: list[float] = await reader.page.evaluate("window.jumps")
        print("moved by at most", max(jumps), "and at least", min(jumps))
        # Rows come down by what the wheel asks for, and never start up or leap.
        assert min(jumps) > -5, sorted(jumps)[:5]
        assert max(jumps) < 3 * wheel, sorted(jumps)[-5:]

        before = await reader.messages.first.inner_text()
        number = int(re.findall(r"Number (\d+)\.", before)[0])
        assert number < MANY - 50
        began = time.monotonic()
        await reader.say("And now? [[say Now.]]")
        await expect(reader.own.last).to_contain_text("And now?")
        await expect(reader.reply.locator(".tale")).to_have_text("Now.")
        assert time.monotonic() - began < SECONDS_TO_OPEN
