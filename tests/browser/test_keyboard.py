"""The keyboard does everything: the table of shortcuts, as it is pressed in a real browser."""

import re

import pytest
from playwright.async_api import expect

from browser.conftest import Readers
from browser.reading import begun
from servers import Server, until

pytestmark = pytest.mark.browser


@pytest.mark.req("NFR-003", "C-S6", "U10")
async def test_another_reply_the_walk_between_them_and_more_of_it_are_keys(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await client.open()
        reader = await readers(server, conversation)
        await reader.say("Who is there? [[tokens 6]]")
        await reader.has_reply()
        branches = reader.reply.get_by_role("group", name="Branches")

        await reader.page.keyboard.press("Control+Enter")
        await expect(branches).to_have_text("2/2")
        await reader.has_reply()
        await expect(reader.composer).to_be_focused()
        await reader.page.keyboard.press("ArrowLeft")
        await expect(branches).to_have_text("1/2")
        await reader.page.keyboard.press("ArrowRight")
        await expect(branches).to_have_text("2/2")
        await reader.page.keyboard.press("ArrowRight")
        await reader.page.keyboard.type("half a thought")
        await reader.page.keyboard.press("ArrowLeft")
        await expect(branches).to_have_text("2/2")
        await reader.composer.fill("")
        assert len(await client.tree(conversation)) == 3

        await reader.page.keyboard.press("Alt+Enter")

        async def is_continued() -> bool:
            last = (await client.path(conversation))[-1]
            told = await client.get(f"/api/generations/{last['generation_id']}")
            return told["kind"] == "continue" and told["status"] == "finished"

        await until(is_continued)
        await expect(branches).to_have_text("2/2")
        assert len(await client.tree(conversation)) == 3


@pytest.mark.req("NFR-003")
async def test_escape_closes_one_thing_at_a_time(server: Server, readers: Readers):
    async with server.client() as client:
        conversation = await begun(client, ("You", "Begin."), ("Reply", "So be it."))
        reader = await readers(server, conversation)
        await reader.say("Tell me. [[tokens 400]] [[pace 20ms]]")
        await reader.reply_has(20)
        await reader.page.keyboard.press("ArrowUp")
        editing = reader.page.get_by_role("textbox", name="Your message, edited")
        await expect(editing).to_be_focused()
        await reader.button("More about this conversation").click()
        menu = reader.page.get_by_role("menu")
        await expect(menu).to_be_visible()

        await reader.page.keyboard.press("Escape")
        await expect(menu).to_have_count(0)
        await expect(reader.button("More about this conversation")).to_be_focused()
        await expect(editing).to_be_visible()
        await reader.page.keyboard.press("Escape")
        await expect(editing).to_have_count(0)
        await expect(reader.reply).to_have_attribute("aria-busy", "true")
        await reader.page.keyboard.press("Escape")
        await expect(reader.text("Stopped by you.")).to_be_visible()


@pytest.mark.req("NFR-003", "NFR-014")
async def test_the_sheet_of_shortcuts_opens_by_a_key_but_not_while_one_writes(
    server: Server, readers: Readers
):
    async with server.client() as client:
        reader = await readers(server, await begun(client, ("You", "Begin.")))
        await expect(reader.composer).to_be_focused()
        await reader.page.keyboard.type("Who?")
        await expect(reader.composer).to_have_value("Who?")
        sheet = reader.page.get_by_role("dialog", name="The keyboard")
        await expect(sheet).to_have_count(0)
        await reader.page.get_by_role("region", name="Messages").focus()
        await reader.page.keyboard.press("?")
        await expect(sheet.get_by_role("term")).not_to_have_count(0)
        await expect(sheet).to_contain_text(re.compile(r"Ctrl\s*Enter\s*Another reply"))
        await reader.page.keyboard.press("Escape")
        await expect(sheet).to_have_count(0)
        await expect(reader.page.get_by_role("region", name="Messages")).to_be_focused()


@pytest.mark.req("NFR-003", "U12")
async def test_a_menu_is_opened_walked_and_left_by_keys_and_undo_is_one_key_away(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await begun(client, ("You", "Begin."), ("Reply", "So be it."))
        await client.ask("PATCH", f"/api/conversations/{conversation}", {"title": "By keys"})
        reader = await readers(server, conversation)
        await expect(reader.messages).to_have_count(2)
        await reader.button("More about this conversation").focus()
        await reader.page.keyboard.press("Enter")
        await expect(reader.page.get_by_role("menuitem", name="Rename")).to_be_focused()
        await reader.page.keyboard.press("Enter")
        name = reader.page.get_by_role("textbox", name="Name of By keys")
        await expect(name).to_be_focused()
        await reader.page.keyboard.type("By keys alone")
        await reader.page.keyboard.press("Enter")
        await expect(reader.page.get_by_role("heading", name="By keys alone")).to_be_visible()

        await reader.button("More about this conversation").focus()
        await reader.page.keyboard.press("Enter")
        await expect(reader.page.get_by_role("menuitem", name="Rename")).to_be_focused()
        await reader.page.keyboard.press("End")
        await expect(reader.page.get_by_role("menuitem", name="Delete")).to_be_focused()
        await reader.page.keyboard.press("Enter")
        await expect(reader.text("“By keys alone” is in the trash.").first).to_be_visible()
        await reader.page.keyboard.press("Control+z")
        await expect(reader.page.get_by_role("heading", name="By keys alone")).to_be_visible()
        await expect(reader.messages).to_have_count(2)


@pytest.mark.req("NFR-014", "NFR-003")
async def test_the_numbers_of_a_reply_and_its_markdown_are_there_when_asked_for(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await client.open()
        reader = await readers(server, conversation)
        await reader.say('We knock. [[say "Who is it?" *A pause.*]]')
        await reader.has_reply()
        reply = (await client.path(conversation))[-1]
        more = reader.reply.get_by_role("button", name="More about this message")

        await more.click()
        await reader.page.get_by_role("menuitem", name="How this reply was made").click()
        facts = reader.page.get_by_role("region", name="How this reply was made")
        await expect(facts).to_contain_text(
            re.compile(rf"Written\s*{reply['output_tokens']} tokens")
        )
        await expect(facts).to_contain_text(re.compile(r"First word after\s*[\d.]+ m?s"))
        await expect(facts).to_contain_text(re.compile(r"In all\s*[\d.]+ m?s"))
        await expect(facts).to_contain_text("scripted")
        await reader.button("Close the numbers").click()
        await expect(facts).to_have_count(0)

        await more.click()
        await reader.page.get_by_role("menuitem", name="Copy as Markdown").click()
        await expect(reader.text("Copied, with who said it and when.").first).to_be_visible()
        copied = await reader.page.evaluate("navigator.clipboard.readText()")
        assert re.fullmatch(
            r'\*\*Reply \(scripted\)\*\* · .+\n\n"Who is it\?" \*A pause\.\*\n', copied
        )

        await reader.button("More about this conversation").click()
        await reader.page.get_by_role("menuitem", name="Copy as Markdown").click()
        await expect(reader.text("Copied, as Markdown.").first).to_be_visible()
        whole = await reader.page.evaluate("navigator.clipboard.readText()")
        assert whole.startswith("# We knock.")
        assert whole.index("> We knock.") < whole.index('"Who is it?" *A pause.*\n')
