"""Putting away and bringing back: nothing is gone without a way back, but what one asked twice for.

Archive, clear, delete and the delete of a branch are done at once and undone by a note at the
page's edge (U12); ending a conversation archives it and begins another (FR-008).
"""

import re

import pytest
from playwright.async_api import Locator, expect

from browser.conftest import Readers
from browser.reading import Reader, begun
from servers import Server, until

pytestmark = pytest.mark.browser

TALE = (("You", "Who keeps the inn?"), ("Reply", "Hanne Rook does."))


async def _choose(reader: Reader, name: str) -> None:
    """An entry of the open conversation's own menu."""
    await reader.button("More about this conversation").click()
    await reader.page.get_by_role("menuitem", name=name, exact=True).click()


def _note(reader: Reader) -> Locator:
    return reader.page.get_by_role("region", name="What was just done")


def _rail(reader: Reader, title: str) -> Locator:
    return reader.page.get_by_role("navigation", name="Conversations").get_by_role(
        "link", name=title, exact=True
    )


@pytest.mark.req("U12", "NFR-010", "NFR-013", "FR-105")
async def test_an_archived_conversation_is_out_of_the_list_readable_and_back_by_undo(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await begun(client, *TALE)
        await client.ask("PATCH", f"/api/conversations/{conversation}", {"title": "The rook's inn"})
        reader = await readers(server, conversation)
        await reader.shows(*TALE)

        await _choose(reader, "Archive")
        await expect(_note(reader)).to_contain_text("“The rook's inn” is in the archive.")
        await expect(_rail(reader, "The rook's inn")).to_have_count(0)
        assert (await client.conversation(conversation))["archived_at"] is not None

        await reader.open(conversation)
        await expect(reader.text("In the archive since today.")).to_be_visible()
        await reader.shows(*TALE)
        await reader.button("Bring back").click()
        await expect(reader.text("In the archive since today.")).to_have_count(0)
        await expect(_rail(reader, "The rook's inn")).to_be_visible()

        await _choose(reader, "Archive")
        await reader.button("Undo").click()
        await expect(_rail(reader, "The rook's inn")).to_be_visible()
        await reader.shows(*TALE)
        assert (await client.conversation(conversation))["archived_at"] is None


@pytest.mark.req("U12")
async def test_a_deleted_conversation_waits_in_the_trash_and_only_deleting_for_good_asks(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await begun(client, *TALE)
        await client.ask("PATCH", f"/api/conversations/{conversation}", {"title": "A lost tale"})
        reader = await readers(server, conversation)
        await reader.shows(*TALE)

        await _choose(reader, "Delete")
        await expect(_note(reader)).to_contain_text("“A lost tale” is in the trash.")
        await reader.page.keyboard.press("Control+z")
        await reader.shows(*TALE)
        assert (await client.conversation(conversation))["deleted_at"] is None

        await _choose(reader, "Delete")
        await expect(_note(reader)).to_contain_text("“A lost tale” is in the trash.")
        await reader.link("Archive and trash").click()
        await reader.link("Trash").click()
        row = reader.page.get_by_role("listitem").filter(has_text="A lost tale").last
        await expect(row).to_contain_text("2 messages · deleted today · 30 days left")
        await reader.button("Delete A lost tale for good").click()
        asked = reader.page.get_by_role("alertdialog")
        await expect(asked).to_contain_text("Delete “A lost tale” for good?")
        await expect(asked).to_contain_text("2 messages on all its branches, the last from today.")
        await expect(asked).to_contain_text("Hanne Rook does.")
        await reader.button("Keep it").click()
        assert (await client.conversation(conversation))["deleted_at"] is not None

        await reader.button("Delete A lost tale for good").click()
        await asked.get_by_role("button", name="Delete for good").click()
        await expect(reader.link("A lost tale")).to_have_count(0)
        await expect(_note(reader)).to_contain_text("is deleted for good.")
        assert (await client.get(f"/api/conversations/{conversation}")).status == 404


@pytest.mark.req("U12")
async def test_what_was_put_in_the_trash_is_read_there_and_restored(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await begun(client, *TALE)
        answer = await client.ask("DELETE", f"/api/conversations/{conversation}")
        assert answer.status == 200, answer.body
        reader = await readers(server, conversation)
        await expect(reader.text("In the trash since today, 30 days left.")).to_be_visible()
        await reader.shows(*TALE)
        await reader.button("Restore").click()
        await expect(reader.text("In the trash since today")).to_have_count(0)
        assert (await client.conversation(conversation))["deleted_at"] is None


@pytest.mark.req("U12")
async def test_a_cleared_conversation_is_empty_and_undo_brings_all_of_it_back(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await begun(client, *TALE)
        await client.ask(
            "PATCH", f"/api/conversations/{conversation}", {"title": "Notes", "pinned": True}
        )
        reader = await readers(server, conversation)
        await reader.shows(*TALE)

        await _choose(reader, "Clear")
        await expect(reader.messages).to_have_count(0)
        await expect(reader.page.get_by_role("heading", name="Notes")).to_be_visible()
        assert conversation not in reader.page.url

        await reader.button("Undo").click()
        await reader.shows(*TALE)
        assert reader.page.url.endswith(f"/c/{conversation}")
        back = await client.conversation(conversation)
        assert (back["deleted_at"], back["pinned"]) == (None, True)
        await client.ask("PATCH", f"/api/conversations/{conversation}", {"pinned": False})


@pytest.mark.req("FR-008", "FR-004", "FR-005")
async def test_ending_archives_and_begins_another_and_the_archive_stays_readable(
    server: Server, readers: Readers
):
    async with server.client() as client:
        current = (await client.post("/api/conversations/current")).json["id"]
        await client.say(current, "An evening ends.", reply=False)
        reader = await readers(server, "")
        await expect(reader.own.last).to_contain_text("An evening ends.")

        await _choose(reader, "End and start new")
        await expect(reader.messages).to_have_count(0)
        await expect(_note(reader)).to_contain_text("is ended, and in the archive.")
        begun_after = reader.page.url.rpartition("/")[2]
        assert (await client.post("/api/conversations/current")).json["id"] == begun_after
        ended = await client.conversation(current)
        assert (ended["is_current"], ended["archived_at"] is None) == (False, False)

        await reader.page.goto(f"{server.url}/archive")
        await reader.page.locator(f'main a[href="/c/{current}"]').click()
        await expect(reader.own.last).to_contain_text("An evening ends.")
        await reader.page.reload()
        await expect(reader.own.last).to_contain_text("An evening ends.")


@pytest.mark.req("U12", "U10", "U11")
async def test_a_deleted_branch_is_taken_out_and_comes_back_whole(server: Server, readers: Readers):
    more = (*TALE, ("You", "And who pays?"), ("Reply", "The watch does."))
    async with server.client() as client:
        conversation = await begun(client, *more)
        reader = await readers(server, conversation)
        await reader.shows(*more)

        await reader.own.last.hover()
        await reader.own.last.get_by_role("button", name="More about this message").click()
        await reader.page.get_by_role("menuitem", name="Delete", exact=True).click()
        await reader.shows(*TALE)
        assert len(await client.tree(conversation)) == 2

        await reader.button("Undo").click()
        await reader.shows(*more)
        assert len(await client.tree(conversation)) == 4


@pytest.mark.req("FR-105", "U23")
async def test_pinning_duplicating_and_branching_out_leave_the_first_one_as_it_was(
    server: Server, readers: Readers
):
    more = (*TALE, ("You", "And who pays?"), ("Reply", "The watch does."))
    async with server.client() as client:
        conversation = await begun(client, *more)
        await client.ask("PATCH", f"/api/conversations/{conversation}", {"title": "Pinned tale"})
        await client.open(title="A younger one")
        reader = await readers(server, conversation)
        await reader.shows(*more)

        await _choose(reader, "Pin to the top")
        pinned = reader.page.locator("[data-rail-link]").first
        await expect(pinned).to_have_accessible_name(re.compile("Pinned: ?Pinned tale"))
        await client.ask("PATCH", f"/api/conversations/{conversation}", {"pinned": False})

        await _choose(reader, "Duplicate")
        await reader.page.wait_for_function(
            "id => !location.pathname.includes(id)", arg=conversation
        )
        await reader.shows(*more)
        copy = reader.page.url.rpartition("/")[2]
        assert {each["id"] for each in await client.tree(copy)}.isdisjoint(
            each["id"] for each in await client.tree(conversation)
        )

        await reader.replies.first.hover()
        await reader.replies.first.get_by_role("button", name="More about this message").click()
        await reader.page.get_by_role("menuitem", name="Branch into a new conversation").click()
        await reader.page.wait_for_function("id => !location.pathname.includes(id)", arg=copy)
        await reader.shows(*TALE)
        assert len(await client.tree(copy)) == len(await client.tree(conversation)) == 4


@pytest.mark.req("NFR-010")
async def test_the_storage_page_tells_sizes_and_archives_what_is_old(
    server: Server, readers: Readers
):
    async with server.client() as client:
        kept = await begun(client, *TALE)
        reader = await readers(server, kept)
        await reader.link("Storage").click()
        await expect(
            reader.page.get_by_text(re.compile(r"The database takes [\d.]+ (KB|MB)"))
        ).to_be_visible()
        held = (await client.get("/api/storage")).json["active"]
        row = reader.page.get_by_role("row", name=re.compile("^At hand"))
        await expect(row).to_contain_text(f"{held['messages']:,}")
        await expect(reader.page.get_by_role("heading", name="The largest")).to_be_visible()

        await reader.page.get_by_label("Untouched for").select_option("a month")
        await reader.button("Archive").click()
        await expect(reader.text("None is that old.")).to_be_visible()
        assert (await client.conversation(kept))["archived_at"] is None


@pytest.mark.req("U12", "U6")
async def test_another_tab_sees_what_was_put_away_and_what_is_gone(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await begun(client, *TALE)
        await client.ask("PATCH", f"/api/conversations/{conversation}", {"title": "Seen twice"})
        reader = await readers(server, conversation)
        await reader.shows(*TALE)
        await expect(_rail(reader, "Seen twice")).to_be_visible()

        await client.ask("DELETE", f"/api/conversations/{conversation}")
        await expect(_rail(reader, "Seen twice")).to_have_count(0)
        await expect(reader.text("In the trash since today")).to_be_visible()
        await reader.shows(*TALE)
        await client.ask("DELETE", f"/api/conversations/{conversation}?for_good=true")
        await expect(reader.text("This page is not in the book.")).to_be_visible()

        async def is_gone() -> bool:
            return (await client.get(f"/api/conversations/{conversation}")).status == 404

        await until(is_gone)
