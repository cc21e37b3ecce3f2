"""What a person writes reaches the server as written, wherever it is written and however it comes.

Input methods, pastes from other programs, characters that cannot be kept, blanks, names (FR-001, U2).
"""

import re
from typing import Final

import pytest
from playwright.async_api import Locator, Route, expect

from browser.conftest import Readers
from browser.reading import Reader, begun
from servers import Server, until

pytestmark = pytest.mark.browser

_BELL: Final = "\x07"
_ALERT: Final = "1 character that cannot be kept: U+0007 (bell), after “The dragon”."


async def _taken_by_input_method(reader: Reader, key: str) -> None:
    """Press a key as Safari tells the press that ended a composition: 229, and no composition."""
    door = await reader.page.context.new_cdp_session(reader.page)
    told = {"key": key, "code": key, "windowsVirtualKeyCode": 229}
    await door.send("Input.dispatchKeyEvent", {"type": "rawKeyDown", **told})
    await door.send("Input.dispatchKeyEvent", {"type": "keyUp", **told})
    await door.detach()


async def _paste(reader: Reader, field: Locator, text: str) -> None:
    await reader.page.evaluate("text => navigator.clipboard.writeText(text)", text)
    await field.press("Control+v")


@pytest.mark.req("FR-001", "NFR-003", "U2")
async def test_an_enter_that_ends_a_composition_sends_nothing_half_typed(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await begun(client, ("You", "Begin."), ("Reply", "So be it."))
        reader = await readers(server, conversation)
        await expect(reader.messages).to_have_count(2)
        door = await reader.page.context.new_cdp_session(reader.page)
        composing = {"text": "門を開け", "selectionStart": 4, "selectionEnd": 4}

        await door.send("Input.imeSetComposition", composing)
        await _taken_by_input_method(reader, "Enter")
        await door.send("Input.insertText", {"text": "門を開けた"})
        await _taken_by_input_method(reader, "Enter")
        await expect(reader.composer).to_have_value("門を開けた")

        await reader.composer.fill("")
        await reader.page.keyboard.press("ArrowUp")
        edited = reader.page.get_by_role("textbox", name="Your message, edited")
        await edited.fill("門")
        await _taken_by_input_method(reader, "Enter")
        await _taken_by_input_method(reader, "Escape")
        await expect(edited).to_have_value("門")
        await edited.fill("門を開けた。 [[say Aye.]]")
        await edited.press("Enter")
        await expect(reader.reply.locator(".tale")).to_have_text("Aye.")
        said = [each["content"] for each in await client.tree(conversation)]
        assert said[2:] == ["門を開けた。 [[say Aye.]]", "Aye."]


@pytest.mark.req("NFR-003")
async def test_keys_of_an_input_method_end_no_name_no_note_no_search_and_no_dialog(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await begun(client, ("You", "Begin."), ("Reply", "So be it."))
        await client.ask("PATCH", f"/api/conversations/{conversation}", {"title": "Gate"})
        reader = await readers(server, conversation)
        await expect(reader.messages).to_have_count(2)

        for where in (reader.page.get_by_role("main"), reader.page.get_by_role("navigation")):
            await where.get_by_role("button", name="More about").first.click()
            await reader.page.get_by_role("menuitem", name="Rename").click()
            name = where.get_by_role("textbox", name="Name of")
            await name.fill("門")
            for key in ("Enter", "Escape"):
                await _taken_by_input_method(reader, key)
            await expect(name).to_be_focused()
            await expect(name).to_have_value("門")
            await name.press("Escape")
            await expect(name).to_have_count(0)

        await reader.reply.get_by_role("button", name="More about this message").click()
        await reader.page.get_by_role("menuitem", name="Bookmark", exact=True).click()
        note = reader.page.get_by_role("textbox", name="Note of the bookmark")
        await note.fill("門")
        for key in ("Enter", "Escape"):
            await _taken_by_input_method(reader, key)
        await expect(note).to_be_focused()
        await note.press("Enter")
        await expect(reader.button("門")).to_be_visible()

        await reader.page.keyboard.press("Control+k")
        switcher = reader.page.get_by_role("combobox")
        await switcher.fill("Gat")
        for key in ("Enter", "Escape", "ArrowDown"):
            await _taken_by_input_method(reader, key)
        await expect(switcher).to_be_focused()
        first = reader.page.get_by_role("option").first
        await expect(first).to_have_attribute("aria-selected", "true")
        await switcher.press("Escape")
        await expect(switcher).to_have_count(0)

        await reader.button("More about this conversation").click()
        menu = reader.page.get_by_role("menu")
        for key in ("Escape", "Enter"):
            await _taken_by_input_method(reader, key)
        await expect(menu).to_be_visible()
        assert (await client.get(f"/api/conversations/{conversation}"))["title"] == "Gate"


@pytest.mark.req("FR-001", "R7", "U2")
async def test_what_word_and_pdfs_end_lines_with_are_line_ends_and_undoing_takes_the_paste_back(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await begun(client, ("You", "Begin."), ("Reply", "So be it."))
        reader = await readers(server, conversation)
        await expect(reader.messages).to_have_count(2)
        await reader.page.keyboard.type("Look: ")
        await _paste(reader, reader.composer, "one\vtwo\ffour\u2028five\u2029six\x85seven")
        lines = "Look: one\ntwo\nfour\nfive\nsix\nseven"
        await expect(reader.composer).to_have_value(lines)
        await reader.page.keyboard.type("!")
        for _ in range(2):
            await reader.page.keyboard.press("Control+z")
        await expect(reader.composer).to_have_value("Look: ")
        await reader.page.keyboard.press("Control+Shift+z")
        await expect(reader.composer).to_have_value(lines)

        # What comes without a paste: dropped, dictated, filled in.
        await reader.say("The roll\vof the dead [[say Aye.]]")
        await expect(reader.reply.locator(".tale")).to_have_text("Aye.")
        said = [each["content"] for each in await client.tree(conversation)]
        assert said[2:] == ["The roll\nof the dead [[say Aye.]]", "Aye."]


@pytest.mark.req("FR-001", "NFR-010", "NFR-013", "U2")
async def test_what_cannot_be_kept_is_named_and_removed_by_one_click_in_every_field(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await begun(client, ("You", "Begin."), ("Reply", "So be it."))
        await client.ask("PATCH", f"/api/conversations/{conversation}", {"title": "Gate"})
        reader = await readers(server, conversation)
        await expect(reader.messages).to_have_count(2)
        alert = reader.page.get_by_role("alert").filter(has_text="cannot be kept")

        await _paste(reader, reader.composer, f"The dragon{_BELL} wakes. [[say Aye.]]")
        await expect(alert).to_contain_text(_ALERT)
        await reader.composer.press("Enter")
        await expect(reader.button("Send")).to_be_disabled()
        await expect(reader.messages).to_have_count(2)
        await reader.button("Remove it").click()
        await expect(alert).to_have_count(0)
        await expect(reader.composer).to_be_focused()
        await reader.composer.press("Enter")
        await expect(reader.reply.locator(".tale")).to_have_text("Aye.")
        assert (await client.path(conversation))[-2]["content"] == "The dragon wakes. [[say Aye.]]"

        await reader.page.keyboard.press("ArrowUp")
        edited = reader.page.get_by_role("textbox", name="Your message, edited")
        await edited.fill(f"The dragon{_BELL} sleeps.")
        await expect(alert).to_contain_text(_ALERT)
        await reader.button("Remove it").click()
        await expect(edited).to_have_value("The dragon sleeps.")
        await edited.press("Escape")

        for where in (reader.page.get_by_role("main"), reader.page.get_by_role("navigation")):
            await where.get_by_role("button", name="More about").first.click()
            await reader.page.get_by_role("menuitem", name="Rename").click()
            name = where.get_by_role("textbox", name="Name of")
            await name.fill(f"The dragon{_BELL}\vsleeps\x9f")
            await expect(alert).to_contain_text("2 characters that cannot be kept: U+0007 (bell)")
            await name.press("Enter")
            await expect(name).to_be_visible()
            await reader.button("Remove them").click()
            await expect(name).to_have_value("The dragon sleeps")
            await name.press("Enter")
            await expect(name).to_have_count(0)

            async def is_renamed() -> bool:
                found = await client.get(f"/api/conversations/{conversation}")
                return found["title"] == "The dragon sleeps"

            await until(is_renamed)
            await client.ask("PATCH", f"/api/conversations/{conversation}", {"title": "Gate"})
            await expect(reader.page.get_by_role("heading", name="Gate")).to_be_visible()

        await reader.reply.get_by_role("button", name="More about this message").click()
        await reader.page.get_by_role("menuitem", name="Bookmark", exact=True).click()
        note = reader.page.get_by_role("textbox", name="Note of the bookmark")
        await _paste(reader, note, f"The dragon{_BELL}\vwakes")
        await expect(alert).to_contain_text(_ALERT)
        await note.press("Enter")
        await expect(note).to_be_visible()
        await reader.button("Remove it").click()
        await note.press("Enter")
        await expect(reader.button("The dragon wakes")).to_be_visible()

        await reader.page.keyboard.press("Control+k")
        await reader.page.get_by_role("combobox").fill(f"dragon{_BELL}wakes")
        await expect(
            reader.page.get_by_role("option").filter(has_text=re.compile("The dragon\\s+wakes"))
        ).not_to_have_count(0)


@pytest.mark.req("FR-001", "U2")
async def test_what_is_typed_is_stored_as_it_is_typed_but_for_blank_lines_at_its_end(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await begun(client, ("You", "Begin."), ("Reply", "So be it."))
        reader = await readers(server, conversation)
        await expect(reader.messages).to_have_count(2)
        await reader.say(" \n\t \n")
        await expect(reader.button("Send")).to_be_disabled()
        # The first try is cut off after the server has stored it: the second compares the same.
        sending = re.compile(r"/api/conversations/[^/]+/messages$")
        cut = 0

        async def cut_off(route: Route) -> None:
            nonlocal cut
            cut += 1
            if cut == 1:
                await route.fetch()
                await route.abort()
            else:
                await route.continue_()

        async def is_sent_again() -> bool:
            return cut == 2

        await reader.page.route(sending, cut_off)
        await reader.say("\n    indented, [[say Aye.]]\n  less \n\n \n")
        await expect(reader.reply.locator(".tale")).to_have_text("Aye.")
        await expect(reader.own.last.get_by_text("Saved")).to_be_attached()
        await until(is_sent_again)
        await expect(reader.text("Not saved")).to_have_count(0)
        said = [each["content"] for each in await client.tree(conversation)]
        assert said[2:] == ["\n    indented, [[say Aye.]]\n  less ", "Aye."]


@pytest.mark.req("FR-105", "U2")
async def test_a_name_that_is_confirmed_unchanged_is_the_person_s_own(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await client.open()
        await client.say(conversation, "We knock. [[title The Gate]]", reply=False)
        reader = await readers(server, conversation)
        await expect(reader.messages).to_have_count(1)
        await reader.button("More about this conversation").click()
        await reader.page.get_by_role("menuitem", name="Rename").click()
        name = reader.page.get_by_role("main").get_by_role("textbox", name="Name of")
        before = await client.get(f"/api/conversations/{conversation}")
        async with reader.page.expect_response(
            lambda answer: answer.request.method == "PATCH" and answer.ok
        ):
            await name.press("Enter")
        confirmed = await client.get(f"/api/conversations/{conversation}")
        assert confirmed["title"] == before["title"]
        assert confirmed["seq"] == before["seq"] + 1
