"""One stream serves every tab of a browser, and what is told of it is true (US-004, US-007, S4)."""

import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, Request, expect

from browser.conftest import Readers
from browser.reading import Reader, begun
from servers import Server, until

pytestmark = pytest.mark.browser


class Requests:
    """What a tab asked of the server, by kind."""

    def __init__(self, page: Page) -> None:
        self.all: Counter[str] = Counter()
        page.on("request", self._note)

    def _note(self, request: Request) -> None:
        path = urlsplit(request.url).path
        self.all[f"{request.method} {re.sub('[0-9a-f-]{36}', 'ID', path)}"] += 1

    @property
    def streams(self) -> int:
        return self.all["GET /api/events"]

    @property
    def lists(self) -> int:
        return self.all["GET /api/conversations"]

    @property
    def changes(self) -> int:
        return self.all["PATCH /api/events/ID"]


async def _tabs(readers: Readers, server: Server, *conversations: str) -> list[Reader]:
    """Tabs of one browser, each at its conversation."""
    first = await readers(server, conversations[0])
    others = [await readers(server, each, context=first.page.context) for each in conversations[1:]]
    for reader in (first, *others):
        await expect(reader.composer).to_be_visible()
    return [first, *others]


@pytest.mark.req("US-007", "U6")
async def test_another_conversation_is_told_of_on_the_stream_that_stands(
    server: Server, readers: Readers
):
    async with server.client() as client:
        names = [await begun(client, ("You", f"Here is tale {n}.")) for n in range(3)]
        first, second = await _tabs(readers, server, names[0], names[1])
        await _is_told(first, client.say, names[0])
        await _is_told(second, client.say, names[1])
        counts = [Requests(first.page), Requests(second.page)]
        await second.page.evaluate(
            "path => { history.pushState(null, '', path); dispatchEvent(new PopStateEvent('popstate')) }",
            f"/c/{names[2]}",
        )
        await expect(second.own.first).to_contain_text("tale 2")
        await _is_told(second, client.say, names[2])
        await _is_told(first, client.say, names[0])
        assert [each.streams for each in counts] == [0, 0], "the stream stands"
        # One to leave the tale that was shown, one to follow the next when it is loaded.
        assert 1 <= sum(each.changes for each in counts) <= 2
        assert [each.lists for each in counts] == [0, 0], "no list is fetched for it"


async def _is_told(reader: Reader, say: Callable[..., Awaitable[object]], name: str) -> None:
    """What is said elsewhere comes to this page by itself."""
    text = f"Told at {time.monotonic()}."
    await say(name, text, reply=False)
    await expect(reader.own.last).to_contain_text(text)


@pytest.mark.req("US-007", "U6")
async def test_a_tab_that_takes_the_stream_over_fetches_no_list_where_nothing_was_missed(
    server: Server, readers: Readers
):
    async with server.client() as client:
        names = [await begun(client, ("You", "Here.")) for _ in range(3)]
        first, second, third = await _tabs(readers, server, *names)
        for reader, name in zip((first, second, third), names, strict=True):
            await _is_told(reader, client.say, name)
        counts = [Requests(each.page) for each in (second, third)]
        await first.page.close()
        await until(lambda: sum(each.streams for each in counts) > 0)
        for reader, name in ((second, names[1]), (third, names[2])):
            await _is_told(reader, client.say, name)
        assert sum(each.streams for each in counts) == 1
        assert [each.lists for each in counts] == [0, 0]


@pytest.mark.req("S4", "US-004")
async def test_every_tab_shows_the_way_in_when_its_login_is_ended_elsewhere(
    server: Server, readers: Readers
):
    async with server.client() as client:
        names = [await begun(client, ("You", "Here.")) for _ in range(2)]
        tabs = await _tabs(readers, server, *names)
        for reader, name in zip(tabs, names, strict=True):
            await _is_told(reader, client.say, name)
        newest = (await client.get("/api/tokens"))["items"][0]
        began = time.monotonic()
        assert (await client.ask("DELETE", f"/api/tokens/{newest['id']}")).status == 204
        for reader in tabs:
            await expect(reader.text("Open the link that the server printed")).to_be_visible()
            await expect(reader.text("The server is not answering.")).to_have_count(0)
        print(f"shown after {time.monotonic() - began:.2f} s")


@pytest.mark.req("S4")
async def test_a_browser_logs_another_one_out_by_two_steps(server: Server, readers: Readers):
    async with server.client() as client:
        name = await begun(client, ("You", "Here."))
        other = await readers(server, name)
        await expect(other.composer).to_be_visible()
        await _is_told(other, client.say, name)
        mine = await readers(server)
        await mine.page.goto(f"{server.url}/settings")
        rows = mine.page.get_by_role("region", name="Devices and tokens").get_by_role("listitem")
        await expect(rows.first).to_contain_text("This browser")
        await expect(rows.first.get_by_role("button")).to_have_count(0)
        row = rows.filter(has_text="A browser that is logged in").first
        count = await rows.count()
        await row.get_by_role("button").click()
        await mine.button("Keep it").click()
        await expect(mine.page.get_by_role("alertdialog")).to_have_count(0)
        assert await rows.count() == count
        await expect(row.get_by_role("button")).to_be_focused()
        await row.get_by_role("button").click()
        await mine.button("Log it out").last.click()
        await expect(rows).to_have_count(count - 1)
        await expect(other.text("Open the link that the server printed")).to_be_visible()
        await expect(mine.text("This browser").first).to_be_visible()


@pytest.mark.req("US-004", "NFR-013")
@pytest.mark.parametrize("status", [403, 422, 429, 431])
async def test_a_stream_that_is_refused_is_not_called_a_server_that_is_away(
    server: Server, readers: Readers, status: int
):
    async with server.client() as client:
        name = await begun(client, ("You", "Here."))
        reader = await readers(server)
        await reader.page.route("**/api/events*", lambda route: route.fulfill(status=status))
        await reader.open(name)
        await expect(reader.text("This page does not hear what is new.")).to_be_visible()
        await expect(reader.text("The server is not answering.")).to_have_count(0)
        await reader.say("It is saved all the same. [[say Yes.]]")
        await expect(reader.own.last).to_contain_text("saved all the same")
        await reader.page.unroute("**/api/events*")
        await expect(reader.text("This page does not hear what is new.")).to_have_count(0)
        await reader.has_reply()


@pytest.mark.req("US-007")
async def test_more_tabs_than_a_stream_follows_do_not_silence_the_one_that_is_looked_at(
    server: Server, readers: Readers
):
    async with server.client() as client:
        names = [await begun(client, ("You", "Here.")) for _ in range(34)]
        first = await readers(server, names[0])
        await expect(first.composer).to_be_visible()
        # 33 other tabs, as far as the leader can tell: it hears them on their channel.
        await first.page.evaluate(
            """names => {
              const channel = new BroadcastChannel('talekeeper.live')
              names.forEach((id, index) => {
                const tab = crypto.randomUUID()
                navigator.locks.request(`talekeeper.live.${tab}`, () => new Promise(() => {}))
                const wish = { follows: [{ id, seq: 0 }], isVisible: false, at: Date.now() + index }
                channel.postMessage({ type: 'follow', tab, wish, again: [] })
              })
            }""",
            names[1:],
        )
        await _is_told(first, client.say, names[0])
        last = await readers(server, names[33], context=first.page.context)
        await expect(last.composer).to_be_visible()
        await _is_told(last, client.say, names[33])
        await _is_told(first, client.say, names[0])
        await expect(first.text("The server is not answering.")).to_have_count(0)
