"""The map of branches: the whole tree at a glance, and the way to any place in it (U11, U15, U6)."""

import re

import pytest
from playwright.async_api import Locator, Route, expect

from browser.conftest import Readers
from browser.reading import Reader, begun
from servers import Client, Server

pytestmark = pytest.mark.browser


async def _forked(client: Client) -> tuple[str, dict[str, str]]:
    """A conversation that forked twice; its messages' ids by what they say."""
    conversation = await begun(client, ("You", "We go in."), ("Reply", "A hall."))
    ids = {each["content"]: each["id"] for each in await client.path(conversation)}

    async def said(text: str, under: str, role: str = "user") -> None:
        sent = await client.say(conversation, text, parent_id=ids[under], role=role, reply=False)
        ids[text] = sent["message"]["id"]

    await said("Left.", "A hall.")
    await said("A wall.", "Left.", "assistant")
    await said("Right.", "A hall.")
    await said("A door.", "Right.", "assistant")
    for step in range(1, 7):
        await said(f"Step {step}.", f"Step {step - 1}." if step > 1 else "A door.")
    return conversation, ids


def _map(reader: Reader) -> Locator:
    return reader.page.get_by_role("tree", name="Map of branches")


def _line(reader: Reader, words: str) -> Locator:
    return _map(reader).get_by_role("treeitem", name=re.compile(re.escape(words)))


@pytest.mark.req("U11", "U10", "C-S6", "NFR-003")
async def test_the_map_shows_every_branch_and_a_click_goes_there(server: Server, readers: Readers):
    async with server.client() as client:
        conversation, ids = await _forked(client)
        reader = await readers(server, conversation)
        await expect(reader.own.last).to_contain_text("Step 6.")
        await reader.button("Branches and bookmarks").click()

        lines = _map(reader).get_by_role("treeitem")
        await expect(lines).to_have_count(7)
        names = await lines.evaluate_all("all => all.map(one => one.ariaLabel)")
        assert names == [
            "You: We go in.",
            "Reply: A hall.",
            "You: Left., branch 1 of 2",
            "Reply: A wall.",
            "You: Right., branch 2 of 2",
            "6 messages in a row",
            "You: Step 6., you are here",
        ]
        levels = await lines.evaluate_all("all => all.map(one => one.ariaLevel).join('')")
        assert levels == "1122111"

        await _line(reader, "A wall.").click()
        await expect(reader.reply).to_contain_text("A wall.")
        await expect(_line(reader, "A wall., you are here")).to_be_visible()
        assert (await client.conversation(conversation))["leaf_id"] == ids["A wall."]

        await client.say(conversation, "We turn back.", reply=False)
        await expect(_line(reader, "You: We turn back., you are here")).to_be_visible()

        await reader.page.reload()
        await expect(_line(reader, "We turn back.")).to_be_visible()
        await reader.button("Close the panel").click()
        await expect(_map(reader)).to_have_count(0)


@pytest.mark.req("U11", "NFR-003")
async def test_the_keyboard_walks_the_map_opens_a_run_and_jumps(server: Server, readers: Readers):
    async with server.client() as client:
        conversation, _ = await _forked(client)
        reader = await readers(server, conversation)
        await expect(reader.composer).to_be_focused()
        await reader.page.keyboard.press("Alt+m")
        await expect(_line(reader, "you are here")).to_be_visible()
        await _map(reader).focus()

        active = _map(reader).locator('[aria-selected="true"]')
        await expect(active).to_have_accessible_name("You: Step 6., you are here")
        await reader.page.keyboard.press("ArrowUp")
        await expect(active).to_have_accessible_name("6 messages in a row")
        await reader.page.keyboard.press("ArrowRight")
        await expect(active).to_have_accessible_name("Reply: A door.")
        await reader.page.keyboard.press("ArrowLeft")
        await expect(active).to_have_accessible_name("6 messages in a row")
        await reader.page.keyboard.press("Home")
        for _ in range(2):
            await reader.page.keyboard.press("ArrowDown")
        await expect(active).to_have_accessible_name("You: Left., branch 1 of 2")
        await reader.page.keyboard.press("Enter")
        await expect(reader.reply).to_contain_text("A wall.")
        await expect(_map(reader)).to_be_focused()

        await reader.page.keyboard.press("Escape")
        await expect(_map(reader)).to_have_count(0)
        await expect(reader.button("Branches and bookmarks")).to_be_focused()


@pytest.mark.req("U11", "FR-004", "FR-005")
async def test_a_bookmark_with_its_note_is_kept_listed_and_leads_back(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation, ids = await _forked(client)
        reader = await readers(server, conversation)
        await expect(reader.own.last).to_contain_text("Step 6.")
        first = reader.replies.first
        await first.hover()
        await first.get_by_role("button", name="More about this message").click()
        await reader.page.get_by_role("menuitem", name="Bookmark", exact=True).click()
        note = reader.page.get_by_role("textbox", name="Note of the bookmark")
        await expect(note).to_be_focused()
        await reader.page.keyboard.type("The hall with two ways")
        await reader.page.keyboard.press("Enter")
        await expect(first).to_contain_text("The hall with two ways")

        await _go_left(reader)
        await reader.page.reload()
        await expect(reader.reply).to_contain_text("A wall.")
        await reader.button("Branches and bookmarks").click()
        await reader.page.get_by_role("tab", name="Bookmarks").click()
        listed = reader.page.get_by_role("tabpanel", name="Bookmarks")
        await listed.get_by_role("button", name=re.compile("^The hall with two ways")).click()
        await expect(reader.page.locator(".sought")).to_contain_text("A hall.")
        kept = (await client.get(f"/api/conversations/{conversation}/bookmarks")).json["items"]
        assert [(each["id"], each["bookmark"]) for each in kept] == [
            (ids["A hall."], "The hall with two ways")
        ]

        await reader.page.get_by_role("button", name=re.compile("^Remove the bookmark")).click()
        await expect(reader.text("None yet.")).to_be_visible()
        await expect(first).not_to_contain_text("The hall with two ways")


async def _go_left(reader: Reader) -> None:
    right = reader.own.nth(1)
    await right.get_by_role("button", name="The branch before").click()
    await expect(reader.reply).to_contain_text("A wall.")


@pytest.mark.req("U6", "C-S6")
async def test_newer_messages_on_another_branch_are_told_and_gone_to(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation, ids = await _forked(client)
        reader = await readers(server, conversation)
        await expect(reader.own.last).to_contain_text("Step 6.")
        await client.say(conversation, "Left again.", parent_id=ids["A wall."], reply=False)
        await expect(reader.text("Newer messages stand on another branch.")).to_be_visible()
        await expect(reader.own.last).to_contain_text("Step 6.")
        await reader.button("Go there").click()
        await expect(reader.own.last).to_contain_text("Left again.")
        await expect(reader.text("Newer messages stand on another branch.")).to_have_count(0)


@pytest.mark.req("U24", "C-S2")
async def test_what_was_never_answered_is_marked_wherever_it_stands_and_can_be_answered(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await begun(
            client,
            ("You", "Who knocks? [[say Nobody.]]"),
            ("You", "I said: who knocks?"),
            ("Reply", "The wind."),
        )
        reader = await readers(server, conversation)
        first = reader.own.first
        await expect(first).to_contain_text("Not answered yet.")
        await expect(reader.own.nth(1)).not_to_contain_text("Not answered yet.")
        await first.get_by_role("button", name="Reply", exact=True).click()
        await reader.shows(("You", "Who knocks? [[say Nobody.]]"), ("Reply", "Nobody."))
        assert len(await client.tree(conversation)) == 4


@pytest.mark.req("U15", "NFR-003", "NFR-008")
async def test_the_map_of_many_messages_comes_in_pieces_and_draws_only_what_is_seen(
    server: Server, readers: Readers
):
    """The server's own page of a tree stands in for ten thousand stored messages."""
    many = 10_000
    async with server.client() as client:
        conversation = await begun(client, ("You", "Begin."))
        pattern = (await client.tree(conversation))[0]
        reader = await readers(server)

        async def told(route: Route) -> None:
            after = int(route.request.url.partition("after=")[2].partition("&")[0])
            last = min(after + 1000, many)
            items = [pattern | {"seq": pattern["seq"]}] if after == 0 else []
            for place in range(max(after, 1) + 1, last + 1):
                parent = place - 2 if place % 5 == 0 else place - 1
                items.append(
                    pattern
                    | {
                        "id": f"m{place}",
                        "seq": place,
                        "parent_id": pattern["id"] if parent <= 1 else f"m{parent}",
                        "content": f"Message {place}",
                    }
                )
            await route.fulfill(json={"items": items, "next": None if last == many else last})

        async def counted(route: Route) -> None:
            answer = await route.fetch()
            body = await answer.json() | {"message_count": many}
            await route.fulfill(response=answer, json=body)

        await reader.page.route(re.compile("/tree"), told)
        await reader.page.route(re.compile(f"/api/conversations/{conversation}$"), counted)
        await reader.open(conversation)
        await expect(reader.messages).to_have_count(1)
        await reader.button("Branches and bookmarks").click()
        await expect(_map(reader).get_by_role("treeitem").first).to_be_visible()
        await expect(reader.text("messages so far")).to_have_count(0)
        await _map(reader).focus()
        await reader.page.keyboard.press("End")
        await expect(_line(reader, "Message 10000")).to_be_visible()
        assert await _map(reader).get_by_role("treeitem").count() < 100
