"""Words are only ever words: nothing a model says is run, fetched or followed by itself (S5, S11).

Every payload stands on the page as a reply, as the game master's own message, as a title and while
it streams. No dialog, no request to anybody, no script; the browser's own second fence, the content
security policy with trusted types, has nothing to do.
"""

import pytest
from playwright.async_api import expect

from browser.conftest import Readers
from browser.hostile import PAYLOADS
from browser.reading import Reader, begun
from servers import Server
from talekeeper.providers.scripted import MARKDOWN

pytestmark = [pytest.mark.browser, pytest.mark.req("S5", "NFR-011")]

FORBIDDEN = "script, style, link, meta, base, img, image, svg, math, video, audio, iframe, object, embed, form"


async def _is_harmless(reader: Reader) -> None:
    """What stands in the messages can do nothing."""
    assert await reader.page.evaluate("window.harmed") is None
    tales = reader.page.locator("article .tale")
    found: list[str] = await tales.evaluate_all(
        "(all, forbidden) => all.flatMap(one => [...one.querySelectorAll(forbidden)]"
        ".map(bad => bad.outerHTML))",
        FORBIDDEN,
    )
    assert found == []
    attributes: list[str] = await tales.evaluate_all(
        "all => all.flatMap(one => [...one.querySelectorAll('*')].flatMap(each =>"
        " [...each.attributes].map(({ name }) => name)))"
    )
    assert not [name for name in attributes if name.startswith("on") or name == "style"]
    links: list[list[str]] = await tales.locator("a[href]").evaluate_all(
        "all => all.map(a => [a.getAttribute('href'), a.target, a.rel])"
    )
    for address, target, rel in links:
        # A link inside the message itself leads to its footnotes; all others out, and say so.
        assert address.startswith(("https://", "http://", "mailto:")), address
        assert (target, rel) == ("_blank", "noopener noreferrer nofollow"), address


@pytest.mark.req("S11")
async def test_fifty_hostile_messages_do_nothing_at_all(server: Server, readers: Readers):
    async with server.client() as client:
        conversation = await begun(
            client,
            *(("You" if place % 3 == 2 else "Reply", text) for place, text in enumerate(PAYLOADS)),
        )
        assert len(PAYLOADS) >= 40
        await client.ask(
            "PATCH", f"/api/conversations/{conversation}", {"title": "".join(PAYLOADS[:5])[:200]}
        )
        reader = await readers(server, viewport=(1200, 8000))
        answer = await reader.page.goto(f"{server.url}/c/{conversation}")
        assert answer is not None
        policy = answer.headers["content-security-policy"]
        for part in (
            "default-src 'none'",
            "img-src 'self' blob:",
            "require-trusted-types-for 'script'",
        ):
            assert part in policy, policy
        await expect(reader.messages).to_have_count(len(PAYLOADS))

        await _is_harmless(reader)
        # Passing over them and walking through them wakes nothing either.
        for message in await reader.messages.all():
            await message.dispatch_event("mouseover")
        for _ in range(40):
            await reader.page.keyboard.press("Tab")
        await _is_harmless(reader)


@pytest.mark.req("S11", "R12")
async def test_hostile_words_are_as_harmless_at_every_moment_while_they_stream(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await client.open()
        reader = await readers(server, conversation)
        await reader.page.evaluate(
            """forbidden => {
              window.seen = []
              new MutationObserver(() => {
                for (const bad of document.querySelectorAll(`article .tale :is(${forbidden})`))
                  window.seen.push(bad.outerHTML)
              }).observe(document, { subtree: true, childList: true, attributes: true })
            }""",
            FORBIDDEN,
        )
        await reader.say("Show me. [[markdown]] [[pace 5ms]]")
        await reader.has_reply()
        await expect(reader.reply.get_by_role("table")).to_be_visible()
        await expect(reader.reply).to_contain_text('<script>alert("never")</script>')
        await _is_harmless(reader)
        for payload in PAYLOADS[4:24:4]:
            count = await reader.replies.count()
            await reader.say(f"[[say {payload}]] [[pace 2ms]]".replace("\n", "\\n"))
            await expect(reader.replies).to_have_count(count + 1)
            await reader.has_reply()
            await _is_harmless(reader)
        assert await reader.page.evaluate("window.seen") == []
        path = await client.path(conversation)
        assert path[1]["content"] == MARKDOWN.rstrip("\n") or path[1]["content"] == MARKDOWN
