"""What is typed is in the draft or on its way, at no moment in neither; and it is its account's alone.

A page may die at any step of sending; another account may use the browser next (R6, R7, S1, U2).
"""

import re
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Route, expect

from browser.conftest import Readers
from browser.reading import Reader, begun, let_in, plain
from servers import Client, Server, served, until

pytestmark = pytest.mark.browser

SENDING: Final = re.compile(r"/api/conversations/[^/]+/messages$")
# The browser's own store takes its time: what is written into it is never reported as written.
_STORE_STALLS: Final = (
    "IDBObjectStore.prototype.put = () => ({ set onsuccess(_) {} });"
    "Object.defineProperty(IDBTransaction.prototype, 'oncomplete', { set() {} })"
)
# The page dies between two steps: it has the message in its store and cannot say so to the draft.
_DRAFTS_STAY: Final = """
const { removeItem } = Storage.prototype
const isDraft = key => key.startsWith('talekeeper.drafts.')
Storage.prototype.removeItem = function (key) { if (!isDraft(key)) removeItem.call(this, key) }
"""

# A headless browser hides no page. From `hide()` on it draws no frame, as in a page that is hidden; it
# is hidden right after it has asked for the next one.
_HIDES: Final = """
let isHidden = false
let isDrawn = true
const draw = requestAnimationFrame
window.requestAnimationFrame = work => {
  isHidden = !isDrawn
  return draw(time => { if (isDrawn) work(time) })
}
Object.defineProperty(document, 'hidden', { get: () => isHidden })
Object.defineProperty(document, 'visibilityState', { get: () => (isHidden ? 'hidden' : 'visible') })
window.hide = () => { isDrawn = false }
"""


async def _own(client: Client, conversation: str) -> list[str]:
    tree = await client.tree(conversation)
    return [each["content"] for each in tree if each["role"] == "user"]


async def _kept(reader: Reader) -> str:
    """All that the browser keeps in its simple store."""
    return await reader.page.evaluate("JSON.stringify(localStorage)")


async def _is_said(client: Client, conversation: str, *texts: str) -> None:
    async def all_there() -> bool:
        return await _own(client, conversation) == list(texts)

    await until(all_there)


@pytest.mark.req("R6", "R7", "U2", "NFR-005")
@pytest.mark.parametrize("dying", ["before the store has it", "after the store has it"])
async def test_a_page_that_dies_while_it_sends_leaves_the_message_once(
    server: Server, readers: Readers, dying: str
):
    async with server.client() as client:
        conversation = await begun(client, ("You", "Who is there?"), ("Reply", "The wind."))
        reader = await readers(server)
        context = reader.page.context
        is_early = dying.startswith("before")
        await reader.page.add_init_script(_STORE_STALLS if is_early else _DRAFTS_STAY)
        await reader.open(conversation)
        await expect(reader.messages).to_have_count(2)
        await reader.say("We knock.")
        await expect(reader.own.last).to_contain_text("We knock.")
        if not is_early:
            await expect(reader.own.last.get_by_text("Saved")).to_be_attached()
        assert "We knock." in await _kept(reader)
        await reader.composer.fill("And then")
        await reader.page.close()

        again = await readers(server, conversation, context=context)
        await _is_said(client, conversation, "Who is there?", "We knock.")
        await expect(again.own.last.get_by_text("Saved")).to_be_attached()
        await expect(again.composer).to_have_value("And then")
        await again.composer.fill("")

        async def nothing_is_left() -> bool:
            return "drafts" not in await _kept(again)

        await until(nothing_is_left)
        await again.page.reload()
        await expect(again.own).to_have_count(2)
        await expect(again.composer).to_have_value("")


@pytest.mark.req("NFR-012", "S1", "R7", "U2")
async def test_a_draft_is_shown_to_its_account_only_and_there_when_that_is_back(
    tmp_path: Path, readers: Readers
):
    with served(tmp_path) as server:
        token = server.add_account("Brin")
        async with server.client() as client, server.client(token) as brin:
            conversation = await begun(client, ("You", "Who is there?"), ("Reply", "The wind."))
            brins = await begun(brin, ("You", "Brin is here."))
            reader = await readers(server, conversation)
            await expect(reader.messages).to_have_count(2)
            await reader.composer.fill("My secret plan")
            context = reader.page.context
            shown: list[str] = []

            def note(text: str) -> None:
                shown.append(text)

            async def log_in_as(name: str) -> Reader:
                link = await client.post("/api/login-links", {"name": name})
                await context.request.get(server.url + link["path"])
                return await readers(server, context=context)

            other = await log_in_as("Brin")
            # As much as a page shows while it loads: an address out of the browser's history.
            await other.page.expose_function("noted", note)
            await other.page.add_init_script(
                "new MutationObserver(() => {"
                " for (const one of document.querySelectorAll('textarea')) noted(one.value)"
                "}).observe(document, { subtree: true, childList: true, attributes: true })"
            )
            await other.open(conversation)
            await expect(other.page.get_by_role("heading", name="not in the book")).to_be_visible()
            await other.open(brins)
            await expect(other.composer).to_be_enabled()
            await expect(other.composer).to_have_value("")
            assert shown
            assert not any("secret" in text for text in shown)
            # The page of before has begun again as its browser's account is another.
            await expect(reader.text("Who is there?")).to_have_count(0)
            await expect(reader.text("The wind.")).to_have_count(0)

            await let_in(context, client)
            back = await readers(server, conversation, context=context)
            await expect(back.composer).to_have_value("My secret plan")


@pytest.mark.req("NFR-005", "NFR-012", "S1", "R7")
async def test_a_message_that_found_no_room_in_the_browser_is_discarded_for_good_or_waits_for_its_account(
    tmp_path: Path, readers: Readers
):
    with served(tmp_path) as server:
        token = server.add_account("Brin")
        async with server.client() as client, server.client(token) as brin:
            conversation = await begun(client, ("You", "Who is there?"), ("Reply", "The wind."))
            reader = await readers(server, conversation)
            await expect(reader.messages).to_have_count(2)
            context = reader.page.context
            door = await context.new_cdp_session(reader.page)
            await door.send(
                "Storage.overrideQuotaForOrigin", {"origin": server.url, "quotaSize": 1}
            )
            refusal = {"status": 422, "code": "invalid_input", "title": "", "detail": "No."}

            async def refuse(route: Route) -> None:
                await route.fulfill(status=422, json=refusal)

            await reader.page.route(SENDING, refuse)
            for text in ("We knock.", "My secret."):
                await reader.say(text + " " + "x" * 5_000)
                mine = reader.own.filter(has_text=text)
                await expect(mine.get_by_role("alert")).to_contain_text("Not saved")
            await (
                reader.own.filter(has_text="We knock.")
                .get_by_role("button", name="Discard")
                .click()
            )
            await expect(reader.text("We knock.")).to_have_count(0)
            await reader.page.close()

            link = await client.post("/api/login-links", {"name": "Brin"})
            await context.request.get(server.url + link["path"])
            other = await readers(server, await begun(brin, ("You", "Hm.")), context=context)
            await expect(other.composer).to_be_enabled()
            await expect(other.own).to_have_count(1)

            await let_in(context, client)
            back = await readers(server, conversation, context=context)
            await _is_said(client, conversation, "Who is there?", "My secret. " + "x" * 5_000)
            await expect(back.text("We knock.")).to_have_count(0)


@pytest.mark.req("NFR-012", "S1")
async def test_logging_out_in_one_tab_takes_everything_off_the_others(
    tmp_path: Path, readers: Readers
):
    with served(tmp_path) as server:
        async with server.client() as client:
            conversation = await begun(client, ("You", "My secret."), ("Reply", "The wind."))
            reader = await readers(server, conversation)
            await expect(reader.messages).to_have_count(2)
            await reader.composer.fill("half a thought")
            context = reader.page.context
            other = await readers(server, context=context)
            await other.page.goto(f"{server.url}/settings")
            await other.button("Log out").click()
            for each in (reader, other):
                await expect(each.text("Open the link that the server printed")).to_be_visible()
                await expect(each.text("My secret.")).to_have_count(0)

            await let_in(context, client)
            await reader.open(conversation)
            await expect(reader.composer).to_have_value("half a thought")


@pytest.mark.req("U5", "U7", "FR-003")
async def test_a_page_that_is_hidden_in_the_middle_of_a_reply_goes_on_taking_it_in(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await begun(client, ("You", "Who is there?"), ("Reply", "The wind."))
        reader = await readers(server)
        await reader.page.add_init_script(_HIDES)
        await reader.open(conversation)
        await expect(reader.messages).to_have_count(2)
        await reader.say("Tell me. [[tokens 60]] [[pace 20ms]]")
        await reader.reply_has(20)
        await reader.page.evaluate("hide()")
        await reader.has_reply()
        whole = (await client.path(conversation))[-1]["content"]
        assert await reader.shown() == [
            ("You", "Who is there?"),
            ("Reply", "The wind."),
            ("You", "Tell me. [[tokens 60]] [[pace 20ms]]"),
            ("Reply", plain(whole)),
        ]
