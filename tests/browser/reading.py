"""A reader: somebody at the page, in a browser of their own, and what they see there and do.

    reader = await readers(server, conversation)
    await reader.say("Who keeps the inn? [[tokens 40]]")
    await expect(reader.replies).to_have_attribute("aria-busy", "false")
    assert await reader.shown() == [("You", "Who keeps …"), ("Reply", scripted_text(40))]

Texts are compared as `plain` makes them: the page sets Markdown, so line ends and runs of blanks
are its own; every other character is the message's. A reader who is left has seen no error: not of
a script, not of the content security policy, not of trusted types.
"""

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Literal

from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Error,
    Locator,
    Page,
    Request,
    expect,
)

from servers import Client, Server

PATIENCE: Final = 20_000
"""Milliseconds: the machine may be busy."""
SIZES: Final = {"wide": (1440, 900), "phone": (390, 844)}
Size = Literal["wide", "phone"]
Theme = Literal["paper", "night"]

expect.set_options(timeout=PATIENCE)

_WELCOMED: Final = "localStorage.setItem('talekeeper.welcomed', 'yes')"
_NOTE_GROWTH: Final = """
(() => {
  const said = (tale) => tale.innerText.replace(/\\s+/g, ' ').trim()
  window.grown = []
  new MutationObserver(() => {
    const tale = [...document.querySelectorAll('article[aria-label="Reply"] .tale')].at(-1)
    if (tale === undefined) return
    const text = said(tale)
    if (text !== window.grown.at(-1)?.text) window.grown.push({ at: Date.now(), text })
  }).observe(document, { subtree: true, childList: true, characterData: true })
})()
"""
_HOME: Final = re.compile(r"http://127\.0\.0\.1:\d+/|data:|blob:")
_NETWORK: Final = re.compile("Failed to load resource|net::ERR")


def plain(text: str) -> str:
    return " ".join(text.split())


class Reader:
    """Somebody at a page."""

    def __init__(self, page: Page, server: Server) -> None:
        self.page = page
        self.server = server
        self.complaints: list[str] = []
        """What the browser found wrong."""
        self.dialogs: list[str] = []
        self.strayed: list[str] = []
        """Requests to anybody but a server of this machine."""
        page.on("console", self._note_console)
        page.on("pageerror", self._note_error)
        page.on("dialog", self._note_dialog)
        page.on("request", self._note_request)

    async def open(self, conversation_id: str = "") -> None:
        """Go to a conversation, or to the current one."""
        where = f"/c/{conversation_id}" if conversation_id else "/"
        await self.page.goto(self.server.url + where)

    # What there is.

    @property
    def composer(self) -> Locator:
        return self.page.get_by_role("textbox", name="Your message")

    @property
    def messages(self) -> Locator:
        return self.page.get_by_role("article")

    @property
    def own(self) -> Locator:
        return self.page.get_by_role("article", name="You")

    @property
    def replies(self) -> Locator:
        return self.page.get_by_role("article", name="Reply")

    @property
    def reply(self) -> Locator:
        """The last one."""
        return self.replies.last

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def link(self, name: str) -> Locator:
        return self.page.get_by_role("link", name=name, exact=True)

    def text(self, text: str) -> Locator:
        return self.page.get_by_text(text)

    async def shown(self) -> list[tuple[str, str]]:
        """Who says what, from top to bottom."""
        found: list[list[str]] = await self.messages.evaluate_all(
            "all => all.map(one => [one.getAttribute('aria-label'),"
            " [...one.querySelectorAll('.tale')].map(tale => tale.innerText).join(' ')])"
        )
        return [(who, plain(text)) for who, text in found]

    async def shows(self, *messages: tuple[str, str]) -> None:
        """Wait until exactly these messages stand there."""
        who = "all => all.map(one => one.getAttribute('aria-label')).join()"
        wanted = [(name, plain(text)) for name, text in messages]
        await expect(self.messages).to_have_count(len(wanted))
        for place, (_, text) in enumerate(wanted):
            await expect(self.messages.nth(place).locator(".tale")).to_have_text(
                re.compile(r"\s*".join(map(re.escape, re.findall(r"\S", text)))),
                use_inner_text=True,
            )
        assert await self.messages.evaluate_all(who) == ",".join(name for name, _ in wanted)
        assert await self.shown() == wanted

    # What one does.

    async def say(self, text: str) -> None:
        await self.composer.fill(text)
        await self.composer.press("Enter")

    async def has_reply(self) -> None:
        """Wait until the last reply has ended."""
        await expect(self.reply).to_have_attribute("aria-busy", "false")
        await expect(self.page.locator('article[aria-busy="true"]')).to_have_count(0)

    async def reply_has(self, length: int) -> None:
        """Wait until at least so many characters of the last reply are seen."""
        await self.page.wait_for_function(
            "length => [...document.querySelectorAll('article[aria-label=\"Reply\"] .tale')]"
            ".at(-1)?.innerText.length >= length",
            arg=length,
            timeout=60_000,
        )

    async def grown(self) -> list[tuple[float, str]]:
        """Every state of the last reply that this page has shown since it was loaded, and when."""
        seen: list[dict[str, Any]] = await self.page.evaluate("window.grown")
        return [(each["at"] / 1000, plain(each["text"])) for each in seen]

    def _note_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not _NETWORK.search(message.text):
            self.complaints.append(message.text)

    def _note_error(self, error: Error) -> None:
        self.complaints.append(str(error))

    async def _note_dialog(self, dialog: Dialog) -> None:
        if dialog.type == "beforeunload":
            await dialog.accept()
        else:
            self.dialogs.append(dialog.message)
            await dialog.dismiss()

    def _note_request(self, request: Request) -> None:
        address = request.url
        if not _HOME.match(address):
            self.strayed.append(address)


@asynccontextmanager
async def a_browser_of_ones_own(
    browser: Browser,
    server: Server,
    *,
    size: Size = "wide",
    theme: Theme = "paper",
    viewport: tuple[int, int] | None = None,
    scale: float = 1,
    is_welcomed: bool = True,
    is_let_in: bool = True,
) -> AsyncGenerator[BrowserContext]:
    """A context with its own cookies and storage, let in by a login link of its own."""
    width, height = viewport or SIZES[size]
    context = await browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if theme == "night" else "light",
        is_mobile=size == "phone",
        has_touch=size == "phone",
        device_scale_factor=scale,
        permissions=["clipboard-read", "clipboard-write"],
    )
    context.set_default_timeout(PATIENCE)
    await context.add_init_script(_NOTE_GROWTH)
    if is_welcomed:
        await context.add_init_script(_WELCOMED)
    if is_let_in:
        async with server.client() as client:
            await let_in(context, client)
    try:
        yield context
    finally:
        await context.close()


async def let_in(context: BrowserContext, client: Client) -> None:
    """The context bears a session of the server's owner."""
    link = await client.post("/api/login-links", {})
    assert link.status == 201, link.body
    answer = await context.request.get(client.server.url + link["path"])
    assert answer.ok, await answer.text()


async def begun(client: Client, *said: tuple[str, str]) -> str:
    """A conversation in which this was said, by "You" and by "Reply"; its id."""
    conversation = await client.open()
    for who, text in said:
        role = "user" if who == "You" else "assistant"
        await client.say(conversation, text, role=role, reply=False)
    return conversation


def contents(path: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """What the server has, as `shown` tells what the page has."""
    return [("You" if each["role"] == "user" else "Reply", plain(each["content"])) for each in path]
