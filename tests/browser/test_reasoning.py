"""What the model thinks is folded, and what models are told of is said and shown (U25)."""

import re

import pytest
from playwright.async_api import expect

from browser.conftest import Readers
from browser.reading import begun
from servers import Server

pytestmark = pytest.mark.browser

THOUGHT = "Who would knock at this hour? A raven cannot knock. An envoy would call out first."


@pytest.mark.req("U25", "NFR-003")
async def test_the_thinking_is_folded_opens_by_key_and_click_and_grows_while_it_is_open(
    server: Server, readers: Readers
):
    async with server.client() as client:
        reader = await readers(server, await client.open())
        await reader.say(f"Who is there? [[think {THOUGHT}]] [[say An envoy.]] [[pace 120ms]]")
        fold = reader.reply.get_by_role("button", name=re.compile("Thinking|Thought"))
        await expect(fold).to_have_text("Thinking")
        await expect(fold).to_have_attribute("aria-expanded", "false")
        await fold.focus()
        await reader.page.keyboard.press("Enter")
        thought = reader.reply.get_by_role("region", name="What the model thought")
        await expect(thought).to_contain_text("Who would")
        await expect(thought).to_have_text(THOUGHT)
        await expect(fold).to_have_text(re.compile(r"Thought for \d"))
        await expect(thought).to_have_attribute("aria-busy", "false")
        await fold.click()
        await expect(thought).to_have_count(0)
        await reader.page.reload()
        await fold.click()
        await expect(thought).to_have_text(THOUGHT)


@pytest.mark.req("U25")
async def test_a_message_is_left_out_of_what_the_ai_is_told_and_the_receipt_says_so(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await begun(client, ("You", "The code is 7."), ("Reply", "Noted."))
        reader = await readers(server, conversation)
        await reader.messages.first.hover()
        more = reader.messages.first.get_by_role("button", name="More about this message")
        await more.click()
        await reader.page.get_by_role("menuitem", name="Leave out of what the AI is told").click()
        await expect(reader.messages.first).to_contain_text("Left out of what the AI is told")
        await reader.page.reload()
        await expect(reader.messages.first).to_contain_text("Left out of what the AI is told")

        await reader.say("What now? [[say We go on.]]")
        await expect(reader.replies).to_have_count(2)
        await reader.has_reply()
        await reader.reply.hover()
        await reader.reply.get_by_role("button", name="More about this message").click()
        await reader.page.get_by_role("menuitem", name="How this reply was made").click()
        told = reader.reply.get_by_role("region", name="What the AI was told")
        await expect(told).to_contain_text("Not told: 1 message (left out by you)")
        await told.get_by_text("To the letter").click()
        await expect(told).to_contain_text("What now?")
        await expect(told).not_to_contain_text("The code is 7.")

        await reader.messages.first.hover()
        await more.click()
        await reader.page.get_by_role("menuitem", name="Tell the AI again").click()
        await expect(reader.messages.first).not_to_contain_text("Left out")
