"""What is put away is out of the way, comes back whole, and goes for good only when it is meant to.

Archiving, the trash, clearing, ending and emptying (FR-008, US-003, NFR-010, U12).
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from talekeeper.clock import Millis
from talekeeper.conversations.archiving import archive_older
from talekeeper.conversations.branching import delete_message, restore_message
from talekeeper.conversations.clearing import ClearOutcome, clear_conversation
from talekeeper.conversations.emptying import DAY_MS, TrashEmptying, empty_trash
from talekeeper.conversations.ending import end_conversation
from talekeeper.conversations.following import Gone, Happened, Told, follow
from talekeeper.conversations.measuring import measure_holdings
from talekeeper.conversations.opening import (
    change_conversation,
    current,
    list_conversations,
    open_under,
)
from talekeeper.conversations.reading import read_conversation, read_tree
from talekeeper.conversations.trashing import (
    delete_conversation,
    delete_for_good,
    restore_conversation,
)
from talekeeper.domain.conversations import Conversation, ConversationState
from talekeeper.errors import IdReused, InvalidInput, NotFound, NotInTrash, UnknownParent
from talekeeper.ids import ConversationId, MessageId
from talekeeper.providers.scripted import Script
from talekeeper.store.removing import next_removal, remove_rows
from talekeeper.store.verifying import verify
from tales import Table, a_table, new_id, texts

EVER = Millis(1 << 50)


async def _list(table: Table, state: ConversationState) -> list[ConversationId]:
    page = await list_conversations(
        table.store, owner_id=table.owner_id, state=state, cursor=None, limit=100
    )
    assert page.next is None
    return [each.id for each in page.items]


async def _delete(table: Table, conversation_id: ConversationId) -> Conversation:
    return await delete_conversation(
        table.store, table.generations, conversation_id, owner_id=table.owner_id
    )


async def _restore(
    table: Table, conversation_id: ConversationId, replaces: ConversationId | None = None
) -> Conversation:
    return await restore_conversation(
        table.store,
        table.generations,
        conversation_id,
        owner_id=table.owner_id,
        replaces=replaces,
    )


async def _clear(table: Table, conversation_id: ConversationId, new: str) -> ClearOutcome:
    return await clear_conversation(
        table.store,
        table.generations,
        conversation_id,
        ConversationId(new),
        owner_id=table.owner_id,
    )


async def _change(table: Table, conversation_id: ConversationId, **changes: Any) -> Conversation:
    return await change_conversation(
        table.store, conversation_id, owner_id=table.owner_id, **changes
    )


async def _end(table: Table, conversation_id: ConversationId, new: str) -> Any:
    return await end_conversation(
        table.store, conversation_id, ConversationId(new), owner_id=table.owner_id
    )


async def _read(table: Table, conversation_id: ConversationId) -> Conversation:
    return await read_conversation(table.store, conversation_id, owner_id=table.owner_id)


@pytest.mark.req("US-003", "NFR-010")
async def test_the_archive_is_out_of_the_list_and_reads_as_before(tmp_path: Path) -> None:
    async with a_table(tmp_path) as table:
        await table.said("Remember this.")
        before = await table.tree()
        archived = await _change(table, table.conversation.id, archived=True)
        assert archived.archived_at is not None
        assert await _list(table, "active") == []
        assert await _list(table, "archived") == [table.conversation.id]
        assert await table.tree() == before
        assert (await _change(table, table.conversation.id, archived=True)) == archived
        back = await _change(table, table.conversation.id, archived=False)
        assert back.archived_at is None
        assert await _list(table, "active") == [table.conversation.id]


async def test_pinned_conversations_stand_first_however_old_and_across_pages(
    tmp_path: Path,
) -> None:
    async with a_table(tmp_path) as table:
        ids = [table.conversation.id]
        ids += [(await table.another_conversation()).id for _ in range(4)]
        await _change(table, ids[1], pinned=True)
        await table.say("News", conversation_id=ids[0], wants_reply=False)
        expected = [ids[1], ids[0], ids[4], ids[3], ids[2]]
        seen: list[ConversationId] = []
        cursor = None
        while True:
            page = await list_conversations(
                table.store, owner_id=table.owner_id, cursor=cursor, limit=2
            )
            seen += [each.id for each in page.items]
            if (cursor := page.next) is None:
                break
        assert seen == expected


async def test_every_list_is_in_the_order_that_pins_and_activities_give(
    tmp_path: Path,
) -> None:
    async with a_table(tmp_path) as table:
        told = {table.conversation.id: table.conversation}
        for _ in range(5):
            opened = await table.another_conversation()
            told[opened.id] = opened
        ids = list(told)
        for at, change in [
            (3, {"pinned": True}),
            (1, {"archived": True}),
            (0, {"title": "Renamed"}),
            (2, {"archived": True}),
            (1, {"title": "Renamed in the archive"}),
            (4, {"pinned": True}),
        ]:
            told[ids[at]] = await _change(table, ids[at], **change)
        told[ids[5]] = await _delete(table, ids[5])
        states: tuple[ConversationState, ...] = ("active", "archived", "trash")
        for state in states:
            page = await list_conversations(
                table.store, owner_id=table.owner_id, state=state, cursor=None, limit=100
            )
            assert list(page.items) == sorted(
                page.items,
                key=lambda each: (state == "active" and each.pinned, each.activity, each.id),
                reverse=True,
            )
            # The answer to a change knows the place that the change gave.
            assert [told[each.id] for each in page.items] == list(page.items)
        assert len({each.activity for each in told.values()}) == len(told)


@pytest.mark.req("NFR-010")
async def test_only_what_is_old_unpinned_and_not_current_is_archived_together(
    tmp_path: Path,
) -> None:
    async with a_table(tmp_path) as table:
        now, _ = await current(table.store, owner_id=table.owner_id)
        pinned = await table.another_conversation()
        await _change(table, pinned.id, pinned=True)
        others = [(await table.another_conversation()).id for _ in range(120)]
        first = await _read(table, table.conversation.id)
        none = await archive_older(table.store, owner_id=table.owner_id, before=first.updated_at)
        assert none == 0
        count = await archive_older(table.store, owner_id=table.owner_id, before=EVER)
        assert count == 121
        assert set(await _list(table, "active")) == {now.id, pinned.id}
        page = await list_conversations(
            table.store, owner_id=table.owner_id, state="archived", cursor=None, limit=1000
        )
        assert [each.id for each in page.items] == [*reversed(others), table.conversation.id]


@pytest.mark.req("U12")
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_deleting_stops_the_reply_and_restoring_gives_all_of_it_back(
    tmp_path: Path, request: pytest.FixtureRequest, engine: str
) -> None:
    url = request.getfixturevalue("postgres_database") if engine != "sqlite" else None
    script = Script(["It is cold, ", "and long", ", and dark"], gated=True)
    async with a_table(tmp_path, database_url=url, script=script) as table:
        sent = await table.say("Tell me of the north.")
        assert sent.generation_id is not None
        script.release(2)
        await script.until_said(2)
        gone = await _delete(table, table.conversation.id)
        assert gone.deleted_at is not None
        assert gone.generation_id is None
        assert await _list(table, "active") == []
        assert await _list(table, "trash") == [table.conversation.id]
        assert await _delete(table, table.conversation.id) == gone
        back = await _restore(table, table.conversation.id)
        assert (back.deleted_at, back.message_count) == (None, 2)
        assert texts(await table.tree()) == ["Tell me of the north.", "It is cold, and long"]
        assert (await table.tree())[1].status == "stopped"
        assert await _restore(table, table.conversation.id) == back


@pytest.mark.req("FR-001", "U12")
async def test_what_is_sent_into_the_archive_or_the_trash_brings_it_back(tmp_path: Path) -> None:
    async with a_table(tmp_path) as table:
        await _change(table, table.conversation.id, archived=True)
        await table.said("Still here?")
        assert (await _read(table, table.conversation.id)).archived_at is None
        sent = await table.said("And now?")
        await _delete(table, table.conversation.id)
        late = await table.say("Too late?", wants_reply=False)
        assert (await _read(table, table.conversation.id)).deleted_at is None
        assert "Too late?" in texts(await table.tree())
        await _delete(table, table.conversation.id)
        again = await table.say("Too late?", message_id=late.message.id, wants_reply=False)
        assert again.message == late.message
        assert (await _read(table, table.conversation.id)).deleted_at is not None
        assert sent.reply is not None
        await table.ended((await table.again(sent.reply.id)).sent)
        assert (await _read(table, table.conversation.id)).deleted_at is None


@pytest.mark.req("FR-008", "C-003")
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_ending_archives_and_opens_one_new_current_conversation(
    tmp_path: Path, request: pytest.FixtureRequest, engine: str
) -> None:
    url = request.getfixturevalue("postgres_database") if engine != "sqlite" else None
    async with a_table(tmp_path, database_url=url) as table:
        old, _ = await current(table.store, owner_id=table.owner_id)
        await _change(table, old.id, provider="scripted", model="m")
        new = new_id()
        outcomes = await asyncio.gather(*(_end(table, old.id, new) for _ in range(4)))
        assert sorted(each.is_repeated for each in outcomes) == [False, True, True, True]
        ended = outcomes[0].ended
        assert ended.ended.archived_at is not None
        assert not ended.ended.is_current
        assert ended.conversation.is_current
        assert (ended.conversation.provider, ended.conversation.model) == ("scripted", "m")
        now, is_opened = await current(table.store, owner_id=table.owner_id)
        assert (now.id, is_opened) == (new, False)
        await table.say("Back again", conversation_id=old.id, wants_reply=False)
        assert not (await _read(table, old.id)).is_current
        other = await _end(table, table.conversation.id, new_id())
        assert other.ended.conversation.is_current
        assert not (await _read(table, now.id)).is_current
        with pytest.raises(IdReused):
            await _end(table, now.id, old.id)


@pytest.mark.req("U12")
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_clearing_is_undone_with_its_part_and_its_pin(
    tmp_path: Path, request: pytest.FixtureRequest, engine: str
) -> None:
    url = request.getfixturevalue("postgres_database") if engine != "sqlite" else None
    async with a_table(tmp_path, database_url=url) as table:
        old, _ = await current(table.store, owner_id=table.owner_id)
        await _change(
            table, old.id, title="The keep", pinned=True, provider="scripted", temperature=0.5
        )
        await table.say("Who goes there?", conversation_id=old.id, wants_reply=False)
        new = new_id()
        outcomes = await asyncio.gather(*(_clear(table, old.id, new) for _ in range(3)))
        assert sorted(each.is_repeated for each in outcomes) == [False, True, True]
        cleared = outcomes[0].cleared
        assert cleared.cleared.deleted_at is not None
        fresh = cleared.conversation
        assert (fresh.id, fresh.title, fresh.is_current, fresh.pinned) == (
            new, "The keep", True, True,
        )  # fmt: skip
        assert (fresh.provider, fresh.sampling.temperature) == ("scripted", 0.5)
        assert (fresh.message_count, fresh.leaf_id) == (0, None)
        await table.say("Hm", conversation_id=fresh.id, wants_reply=False)
        back = await _restore(table, old.id, fresh.id)
        assert (back.is_current, back.pinned, back.deleted_at) == (True, True, None)
        assert (await _read(table, fresh.id)).deleted_at is not None
        assert texts(await table.tree(old.id)) == ["Who goes there?"]
        assert await _restore(table, old.id, fresh.id) == back
        with pytest.raises(InvalidInput, match="itself"):
            await _restore(table, old.id, old.id)


async def test_the_current_conversation_is_current_again_after_an_undo_unless_another_is(
    tmp_path: Path,
) -> None:
    async with a_table(tmp_path) as table:
        first, _ = await current(table.store, owner_id=table.owner_id)
        assert not (await _delete(table, first.id)).is_current
        assert (await _restore(table, first.id)).is_current
        await _delete(table, first.id)
        second, is_opened = await current(table.store, owner_id=table.owner_id)
        assert is_opened
        assert not (await _restore(table, first.id)).is_current
        assert (await _read(table, second.id)).is_current


@pytest.mark.req("U12", "S3")
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_for_good_takes_everything_out_of_the_trash_only_and_followers_hear_of_it(
    tmp_path: Path, request: pytest.FixtureRequest, engine: str
) -> None:
    url = request.getfixturevalue("postgres_database") if engine != "sqlite" else None
    async with a_table(tmp_path, database_url=url) as table:
        sent = await table.said("Burn this.")
        kept = await table.another_conversation()
        stream = follow(
            table.store,
            table.hub,
            owner_id=table.owner_id,
            follows={table.conversation.id: None},
        )
        await anext(stream)
        with pytest.raises(NotInTrash):
            await delete_for_good(table.store, table.conversation.id, owner_id=table.owner_id)
        await _delete(table, table.conversation.id)
        await delete_for_good(table.store, table.conversation.id, owner_id=table.owner_id)
        told = await _rest(stream)
        assert isinstance(told[-1], Gone)
        assert told[-1].conversation_id == table.conversation.id
        assert [
            one.conversation.deleted_at is None for one in told if isinstance(one, Happened)
        ] == [False]
        for read in (
            _read(table, table.conversation.id),
            table.tree(),
            _delete(table, table.conversation.id),
            _restore(table, table.conversation.id),
            table.say("Anyone?"),
            delete_for_good(table.store, table.conversation.id, owner_id=table.owner_id),
            delete_message(table.store, sent.message.id, owner_id=table.owner_id),
        ):
            with pytest.raises(NotFound):
                await read
        assert await _list(table, "trash") == []
        assert await _list(table, "active") == [kept.id]


async def _rest(stream: Any) -> list[Told]:
    """Everything up to the end of the stream."""
    async with asyncio.timeout(10):
        return [one async for told in stream for one in told]


@pytest.mark.req("U12")
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_a_removal_that_was_cut_off_shows_nothing_and_goes_on_later(
    tmp_path: Path, request: pytest.FixtureRequest, engine: str
) -> None:
    url = request.getfixturevalue("postgres_database") if engine != "sqlite" else None
    async with a_table(tmp_path, database_url=url) as table:
        for _ in range(6):
            await table.said("More and more")
        await _delete(table, table.conversation.id)
        conversation_id = table.conversation.id
        removing = asyncio.create_task(
            delete_for_good(table.store, conversation_id, owner_id=table.owner_id)
        )
        await asyncio.sleep(0)
        removing.cancel()
        await asyncio.gather(removing, return_exceptions=True)
        with pytest.raises(NotFound):
            # The unit that was handed over runs to its end.
            while True:
                await _read(table, conversation_id)
        step = await table.store.read(lambda tx: next_removal(tx, conversation_id, limit=5))
        assert step is not None
        await table.store.write(lambda tx: remove_rows(tx, step))
        await table.store.write(lambda tx: remove_rows(tx, step))  # another process did the same
        assert await verify(table.store) == []
        with pytest.raises(IdReused):
            await open_under(table.store, conversation_id, owner_id=table.owner_id)
        assert await empty_trash(table.store, before=Millis(-1)) == 1
        # Its log is gone and must not begin again at 1 for those who followed it.
        with pytest.raises(IdReused):
            await open_under(table.store, conversation_id, owner_id=table.owner_id)


@dataclass
class SetClock:
    """A clock that a test sets."""

    at: int

    def now(self) -> Millis:
        return Millis(self.at)

    def monotonic(self) -> float:
        return self.at / 1000


@pytest.mark.req("NFR-010", "U12")
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_the_trash_empties_after_its_days_and_not_before(
    tmp_path: Path, request: pytest.FixtureRequest, engine: str
) -> None:
    url = request.getfixturevalue("postgres_database") if engine != "sqlite" else None
    async with a_table(tmp_path, database_url=url) as table:
        old = await table.another_conversation()
        await table.say("Old words", conversation_id=old.id, wants_reply=False)
        first = await table.said("Stay")
        branch = await table.said("Go")
        assert branch.reply is not None
        deleted = await _delete(table, old.id)
        await delete_message(table.store, branch.message.id, owner_id=table.owner_id)
        assert deleted.deleted_at is not None
        clock = SetClock(deleted.deleted_at + 30 * DAY_MS)
        emptying = TrashEmptying(table.store, clock=clock, days=30, tasks=table.tasks)
        assert await emptying.empty() == 0
        assert await _list(table, "trash") == [old.id]
        clock.at += DAY_MS
        never = TrashEmptying(table.store, clock=clock, days=0, tasks=table.tasks)
        assert await never.empty() == 0
        assert await emptying.empty() == 2
        assert await emptying.empty() == 0
        assert await _list(table, "trash") == []
        # The rows of the branch are there: nobody may take their ids for something else.
        for emptied in (branch.message.id, branch.reply.id):
            with pytest.raises(NotFound, match="removed for good"):
                await restore_message(table.store, emptied, owner_id=table.owner_id)
            with pytest.raises(UnknownParent):
                await table.say("Under it", parent_id=emptied)
        with pytest.raises(IdReused):
            await table.say("Something else", message_id=branch.message.id)
        assert first.reply is not None
        assert [each.id for each in await table.tree()] == [first.message.id, first.reply.id]


@pytest.mark.req("NFR-009", "U12")
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_sends_that_race_with_deleting_archiving_and_clearing_lose_no_word(
    tmp_path: Path, request: pytest.FixtureRequest, engine: str
) -> None:
    url = request.getfixturevalue("postgres_database") if engine != "sqlite" else None
    async with a_table(tmp_path, database_url=url) as table:
        conversation_id = table.conversation.id
        for number in range(6):
            said = [f"word {number}.{each}" for each in range(3)]
            await asyncio.gather(
                table.say(said[0]),
                _delete(table, conversation_id),
                table.say(said[1]),
                _change(table, conversation_id, archived=True),
                _clear(table, conversation_id, new_id()),
                table.say(said[2]),
                _end(table, conversation_id, new_id()),
                _restore(table, conversation_id),
            )
            page = await read_tree(
                table.store, conversation_id, owner_id=table.owner_id, after=0, limit=1000
            )
            assert set(said) <= set(texts(page.items))
            assert await verify(table.store) == []


@pytest.mark.req("R6")
async def test_the_same_opening_twice_is_one_conversation(tmp_path: Path) -> None:
    async with a_table(tmp_path) as table:
        new = ConversationId(new_id())

        async def opened(**asked: Any) -> Any:
            return await open_under(table.store, new, owner_id=table.owner_id, **asked)

        outcomes = await asyncio.gather(*(opened(title="The keep") for _ in range(3)))
        assert sorted(each.is_repeated for each in outcomes) == [False, True, True]
        with pytest.raises(IdReused):
            await opened(title="Another")
        with pytest.raises(IdReused):
            await opened(title="The keep", purpose="npc_generation")
        await _change(table, new, title="Renamed")
        assert (await opened(title="The keep")).conversation.title == "Renamed"


@pytest.mark.req("NFR-010")
async def test_what_is_held_is_counted_by_list_and_the_largest_and_oldest_are_named(
    tmp_path: Path,
) -> None:
    async with a_table(tmp_path) as table:
        large = await table.another_conversation()
        await table.say("x" * 500, conversation_id=large.id, wants_reply=False)
        await table.say("xy", wants_reply=False)
        deleted = await table.another_conversation()
        await table.say("🐉", conversation_id=deleted.id, wants_reply=False)
        await _delete(table, deleted.id)
        await _change(table, large.id, archived=True)
        held = await measure_holdings(table.store, owner_id=table.owner_id, most=2)
        assert (held.active.conversations, held.active.messages, held.active.characters) == (
            1, 1, 2,
        )  # fmt: skip
        assert (held.archived.messages, held.archived.characters) == (1, 500)
        assert (held.trash.conversations, held.trash.characters) == (1, 1)
        assert [each.id for each in held.largest] == [large.id, table.conversation.id]
        assert [each.id for each in held.oldest] == [table.conversation.id]


async def test_what_others_delete_restore_and_empty_is_not_ours_to_touch(tmp_path: Path) -> None:
    async with a_table(tmp_path / "one") as table, a_table(tmp_path / "two") as stranger:
        sent = await table.say("Mine", wants_reply=False)
        for unasked in (
            delete_message(table.store, sent.message.id, owner_id=stranger.owner_id),
            restore_message(table.store, MessageId(new_id()), owner_id=table.owner_id),
            delete_conversation(
                table.store,
                table.generations,
                table.conversation.id,
                owner_id=stranger.owner_id,
            ),
        ):
            with pytest.raises(NotFound):
                await unasked
