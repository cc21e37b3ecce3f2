"""A reply grows on every page that looks at it, and goes on wherever one looks (R12, U5, U6, U2).

What a page shows is at every moment a beginning of the reply, and only ever grows: no gap, no
repetition, not after a reload, not in the seventh tab, not when the tab that holds the stream for
the others is closed.
"""

import pytest
from playwright.async_api import Page, expect

from browser.conftest import Readers
from browser.reading import Reader, begun, plain
from servers import Server, until
from talekeeper.providers.scripted import scripted_text

pytestmark = pytest.mark.browser


async def _only_grew(reader: Reader, whole: str) -> None:
    """Since this page was loaded, each state was a beginning of the text, longer than before."""
    states = [text for _, text in await reader.grown()]
    assert states
    for before, after in zip(states, states[1:], strict=False):
        assert len(before) < len(after), (before[-80:], after[-80:])
    for state in states:
        assert whole.startswith(state), state[-200:]


@pytest.mark.req("R12", "U5", "FR-004", "C-S8")
async def test_reloaded_at_every_tenth_the_reply_goes_on_and_ends_as_the_very_text(
    server: Server, readers: Readers
):
    whole = scripted_text(400)
    said = "Go on. [[tokens 400]] [[pace 20ms]]"
    async with server.client() as client:
        conversation = await client.open()
        reader = await readers(server, conversation)
        await reader.say(said)
        for tenth in range(1, 10):
            await reader.reply_has(len(plain(whole)) * tenth // 10)
            await _only_grew(reader, plain(whole))
            states = await reader.grown()
            # What was seen a quarter of a second ago is on the disk, and so at once on the page.
            kept = max((len(text) for at, text in states if at < states[-1][0] - 0.25), default=0)
            await reader.page.reload()
            # What was there comes back at once, not from the beginning.
            await expect(reader.reply.locator(".tale")).to_be_visible()
            assert len((await reader.grown())[0][1]) >= kept
        await reader.has_reply()

        await _only_grew(reader, plain(whole))
        await reader.shows(("You", said), ("Reply", whole))
        _, reply = await client.path(conversation)
        assert reply["content"] == whole
        assert reply["status"] == "complete"


@pytest.mark.req("R12", "R15", "U2", "U5", "U6", "G18")
async def test_seven_tabs_and_a_phone_follow_one_reply_and_losing_the_first_tab_stops_none(
    server: Server, readers: Readers
):
    # It grows until it is stopped: no machine is so busy that it is over before all have looked.
    whole = plain(scripted_text(20_000))
    said = "Tell us all. [[tokens 20000]] [[pace 20ms]]"
    async with server.client() as client:
        conversation = await client.open()
        leading = await readers(server, conversation)
        await expect(leading.composer).to_be_enabled()
        context = leading.page.context
        tabs = [await readers(server, conversation, context=context) for _ in range(6)]
        phone = await readers(server, conversation, size="phone")
        for each in (*tabs, phone):
            await expect(each.composer).to_be_enabled()
        seventh = tabs[-1]

        await seventh.say(said)
        for each in (leading, *tabs, phone):
            await each.reply_has(200)
        await leading.page.close()
        shown = len((await phone.grown())[-1][1])
        for each in (*tabs, phone):
            await each.reply_has(shown + 800)
            await expect(each.reply).to_have_attribute("aria-busy", "true")
        await _send_meanwhile(tabs[2].page)
        running = (await client.conversation(conversation))["generation_id"]
        stopped = await client.post(f"/api/generations/{running}/stop")
        assert stopped["status"] == "stopped"
        kept = plain(stopped["content"])
        assert whole.startswith(kept)

        for each in (*tabs, phone):
            await each.has_reply()
            await _only_grew(each, whole)
            assert (await each.shown())[1] == ("Reply", kept)
        for each in (seventh, phone):
            await expect(each.own.last).to_contain_text("And then?")


async def _send_meanwhile(page: Page) -> None:
    composer = page.get_by_role("textbox", name="Your message")
    await composer.fill("And then?")
    await composer.press("Enter")
    await expect(page.get_by_text("Stored. The AI is still answering")).to_be_visible()


@pytest.mark.req("R9", "U6", "U23", "C-S11")
async def test_two_devices_that_answer_the_same_message_make_siblings_and_lose_nothing(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await begun(client, ("You", "Who is there?"), ("Reply", "The wind."))
        desk = await readers(server, conversation)
        phone = await readers(server, size="phone")
        # The phone is not told what happens elsewhere.
        await phone.page.route("**/api/events*", lambda route: route.abort())
        await phone.open(conversation)
        await expect(desk.messages).to_have_count(2)
        await expect(phone.messages).to_have_count(2)

        await desk.say("We open the door. [[say It is dark.]]")
        await expect(desk.messages).to_have_count(4)
        await desk.has_reply()
        await phone.say("We bar the door. [[say It is safe.]]")
        await expect(phone.own.last.get_by_text("Saved")).to_be_attached()
        await expect(phone.text("This started a new branch.")).to_be_visible()

        async def is_answered() -> bool:
            return (await client.path(conversation))[-1]["status"] == "complete"

        await until(is_answered)
        said = [each["content"] for each in await client.tree(conversation)]
        assert said == [
            "Who is there?",
            "The wind.",
            "We open the door. [[say It is dark.]]",
            "It is dark.",
            "We bar the door. [[say It is safe.]]",
            "It is safe.",
        ]


@pytest.mark.req("U2", "FR-004", "FR-007", "R12")
async def test_a_reply_whose_page_was_closed_is_whole_when_somebody_looks_again(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await client.open()
        reader = await readers(server, conversation)
        await reader.say("Tell me. [[tokens 120]] [[pace 20ms]]")
        await reader.reply_has(20)
        await reader.page.close()

        again = await readers(server, conversation)
        await again.has_reply()
        await again.shows(
            ("You", "Tell me. [[tokens 120]] [[pace 20ms]]"), ("Reply", scripted_text(120))
        )
