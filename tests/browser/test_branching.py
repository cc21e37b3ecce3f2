"""The tree as a person walks it: other replies, other words, and the way back (C-S6, C-S8, U10).

Nothing is ever replaced: regenerating and editing put a sibling beside what was there, stopping
keeps what was said, and the keyboard reaches all of it.
"""

import re

import pytest
from playwright.async_api import Locator, expect

from browser.conftest import Readers
from browser.reading import Reader, begun, plain
from servers import Server, until
from talekeeper.providers.scripted import scripted_text

pytestmark = pytest.mark.browser


def _arrows(message: Locator) -> Locator:
    return message.get_by_role("group", name="Branches")


async def _asked(reader: Reader, text: str) -> None:
    count = await reader.replies.count()
    await reader.say(text)
    await expect(reader.replies).to_have_count(count + 1)
    await reader.has_reply()


@pytest.mark.req("C-S6", "C-S8", "U10", "U11", "U8")
async def test_another_reply_stands_beside_the_first_and_the_arrows_lead_back_and_forth(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await client.open()
        reader = await readers(server, conversation)
        await _asked(reader, "Who keeps the inn? [[tokens 8]]")
        await _asked(reader, "And who pays? [[tokens 16]]")
        await reader.replies.first.hover()
        await reader.replies.first.get_by_role("button", name="Regenerate").click()

        await expect(_arrows(reader.replies.first)).to_have_text("2/2")
        await reader.has_reply()
        await expect(reader.messages).to_have_count(2)

        await _arrows(reader.reply).get_by_role("button", name="The branch before").click()
        await expect(_arrows(reader.replies.first)).to_have_text("1/2")
        await expect(reader.messages).to_have_count(4)
        await reader.page.reload()
        await expect(_arrows(reader.replies.first)).to_have_text("1/2")
        await expect(reader.messages).to_have_count(4)
        before = _arrows(reader.replies.first).get_by_role("button", name="The branch before")
        await expect(before).to_be_disabled()

        await _arrows(reader.replies.first).get_by_role("button", name="The branch after").click()
        await expect(_arrows(reader.replies.first)).to_have_text("2/2")
        await expect(reader.messages).to_have_count(2)
        assert len(await client.tree(conversation)) == 5


@pytest.mark.req("C-S6", "C-S8", "U10", "U11", "NFR-003")
async def test_an_edit_by_the_keyboard_makes_a_sibling_and_the_first_version_stays(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await client.open()
        reader = await readers(server, conversation)
        await _asked(reader, "We knock. [[say Who is there?]]")
        await expect(reader.composer).to_be_focused()

        await reader.page.keyboard.press("ArrowUp")
        editing = reader.page.get_by_role("textbox", name="Your message, edited")
        await expect(editing).to_have_value("We knock. [[say Who is there?]]")
        await expect(editing).to_be_focused()
        await reader.page.keyboard.press("Escape")
        await expect(editing).to_have_count(0)
        await reader.page.keyboard.press("ArrowUp")
        await editing.fill("We shout. [[say Be quiet!]]")
        await editing.press("Enter")

        await reader.shows(("You", "We shout. [[say Be quiet!]]"), ("Reply", "Be quiet!"))
        await expect(_arrows(reader.own)).to_have_text("2/2")
        await expect(reader.text("This started a new branch.")).to_be_visible()
        await _arrows(reader.own).get_by_role("button", name="The branch before").click()
        await reader.shows(("You", "We knock. [[say Who is there?]]"), ("Reply", "Who is there?"))


@pytest.mark.req("U3", "C-S2", "NFR-003", "C-S8")
async def test_escape_stops_the_reply_keeps_its_text_and_it_can_be_continued(
    server: Server, readers: Readers
):
    whole = scripted_text(150)
    async with server.client() as client:
        conversation = await client.open()
        reader = await readers(server, conversation)
        await reader.say("Tell me. [[tokens 150]] [[pace 20ms]]")
        await reader.reply_has(60)

        await reader.page.keyboard.press("Escape")
        await expect(reader.reply.get_by_text("Stopped by you.")).to_be_visible()
        await reader.has_reply()
        (_, kept) = (await reader.shown())[1]
        _, reply = await client.path(conversation)
        assert (plain(reply["content"]), reply["status"]) == (kept, "stopped")
        assert 60 <= len(kept) < len(plain(whole))
        assert plain(whole).startswith(kept)

        await reader.reply.get_by_role("button", name="Continue").click()
        await expect(reader.text("Stopped by you.")).to_have_count(0)
        await reader.shows(("You", "Tell me. [[tokens 150]] [[pace 20ms]]"), ("Reply", whole))
        await reader.has_reply()
        assert [each["content"] for each in await client.tree(conversation)][1] == whole


@pytest.mark.req("C-S2", "U24", "FR-001", "AC-003")
async def test_what_is_said_while_the_ai_speaks_is_stored_and_told_and_can_be_answered_later(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await client.open()
        reader = await readers(server, conversation)
        await reader.say("Tell me. [[tokens 80]] [[pace 20ms]]")
        await reader.reply_has(20)

        await reader.say("Wait! [[say I wait.]]")
        await expect(reader.text("Stored. The AI is still answering")).to_be_visible()
        await expect(reader.own.last.get_by_text("Saved")).to_be_attached()
        await expect(reader.replies.first).to_have_attribute("aria-busy", "true")
        await reader.has_reply()
        await expect(reader.own.last).to_contain_text("Not answered yet.")

        await reader.button("Reply").click()
        await reader.shows(
            ("You", "Tell me. [[tokens 80]] [[pace 20ms]]"),
            ("Reply", scripted_text(80)),
            ("You", "Wait! [[say I wait.]]"),
            ("Reply", "I wait."),
        )
        await expect(reader.text("Not answered yet.")).to_have_count(0)
        assert len(await client.tree(conversation)) == 4


@pytest.mark.req("R13", "NFR-013", "NFR-014", "U8")
async def test_a_model_that_fails_says_why_and_is_asked_again_without_a_second_message(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await client.open()
        reader = await readers(server, conversation)
        await reader.say("We knock. [[say Come in.]] [[fail 429 retry 7 once]]")
        await expect(reader.reply).to_contain_text("No answer.")
        await expect(reader.reply).to_contain_text("It asks to wait 7 seconds.")
        await expect(reader.button("Reply")).to_have_count(0)  # one way to ask again is enough

        await reader.button("Try again").click()
        await expect(reader.reply.locator(".tale")).to_have_text("Come in.")
        await expect(_arrows(reader.reply)).to_have_text("2/2")
        roles = [each["role"] for each in await client.tree(conversation)]
        assert roles == ["user", "assistant", "assistant"]

        await reader.say("Go on. [[tokens 30]] [[cut after 10]]")
        await expect(reader.reply).to_contain_text("Broken off.")
        await reader.reply.get_by_role("button", name="Continue").click()
        await expect(reader.reply.locator(".tale")).to_have_text(
            re.compile(re.escape(plain(scripted_text(30)[-30:]))), use_inner_text=True
        )
        await reader.has_reply()
        _, _, _, last = await client.path(conversation)
        assert (last["content"], last["status"]) == (scripted_text(30), "complete")


@pytest.mark.req("NFR-003", "NFR-014", "U5")
async def test_the_keyboard_writes_lines_walks_the_rail_and_renames(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await begun(client, ("You", "An older tale"), ("Reply", "It ended."))
        reader = await readers(server, conversation)
        await expect(reader.composer).to_be_focused()
        await reader.page.keyboard.type("One line")
        await reader.page.keyboard.press("Shift+Enter")
        await reader.page.keyboard.type("and another [[say Both.]]")
        await expect(reader.composer).to_have_value("One line\nand another [[say Both.]]")
        await reader.page.keyboard.press("Enter")
        await expect(reader.reply.locator(".tale")).to_have_text("Both.")
        path = await client.path(conversation)
        assert path[2]["content"] == "One line\nand another [[say Both.]]"

        await reader.page.get_by_role("link", name="An older tale").first.focus()
        await reader.page.keyboard.press("Tab")
        await expect(reader.button("More about An older tale").first).to_be_focused()
        await reader.page.keyboard.press("Enter")
        await expect(reader.page.get_by_role("menuitem", name="Rename")).to_be_focused()
        await reader.page.keyboard.press("Enter")
        await expect(reader.page.get_by_role("textbox", name="Name of")).to_be_focused()
        await reader.page.keyboard.type("The mill, retold")
        await reader.page.keyboard.press("Enter")
        await expect(reader.page.get_by_role("heading", name="The mill, retold")).to_be_visible()

        async def is_renamed() -> bool:
            return (await client.conversation(conversation))["title"] == "The mill, retold"

        await until(is_renamed)


@pytest.mark.req("NFR-003", "C-S8")
async def test_the_view_follows_a_growing_reply_only_while_one_reads_at_its_end(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await client.open()
        reader = await readers(server, conversation, viewport=(900, 500))
        await reader.say("Tell me. [[tokens 700]] [[pace 10ms]]")
        await reader.reply_has(1200)
        scroller = reader.page.get_by_role("region", name="Messages")
        to_the_end = "one => one.scrollHeight - one.scrollTop - one.clientHeight"
        assert await scroller.evaluate(to_the_end) < 60

        await scroller.hover()
        await reader.page.mouse.wheel(0, -300)
        await expect(reader.button("New text below")).to_be_visible()
        place = "one => one.querySelector('.tale').getBoundingClientRect().top"
        await reader.page.wait_for_function("window.grown.length > 0")
        top = await reader.reply.evaluate(place)
        length = len((await reader.grown())[-1][1])
        await reader.reply_has(length + 400)
        assert abs(await reader.reply.evaluate(place) - top) <= 1

        await reader.button("New text below").click()
        await expect(reader.button("New text below")).to_have_count(0)
        await reader.page.keyboard.press("Escape")
        await reader.has_reply()
        assert await scroller.evaluate(to_the_end) < 60
