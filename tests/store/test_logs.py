"""Every log is gapless and has times, its numbers never fall, and it tells of ends (U2, U12, U19).

A conversation has its log, an account has one for all that is not said in a conversation. What is
removed or emptied leaves a tombstone there, so a follower hears of every end.
"""

import sqlite3
from collections.abc import AsyncGenerator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from servers import on_both_engines
from talekeeper.clock import Millis
from talekeeper.conversations.branching import delete_message, restore_message
from talekeeper.conversations.copying import copy_conversation
from talekeeper.conversations.emptying import empty_trash
from talekeeper.conversations.following import Happened, follow
from talekeeper.conversations.indexing import enter_all
from talekeeper.conversations.opening import open_under
from talekeeper.conversations.reading import read_conversation
from talekeeper.conversations.trashing import (
    delete_conversation,
    delete_for_good,
    restore_conversation,
)
from talekeeper.database import Store, Writer
from talekeeper.database.statements import statement
from talekeeper.domain.events import Event, Log, Recorded
from talekeeper.errors import IdReused, InvalidInput
from talekeeper.ids import ConversationId
from talekeeper.store.holding import hold_conversation
from talekeeper.store.places import (
    forget_places,
    logs_behind,
    move_place,
    place_of,
    read_log,
    unread_and_all,
)
from talekeeper.store.removing import remove_conversation
from talekeeper.store.verifying import verify
from tales import Table, a_table, new_id

EVER = Millis(1 << 50)
_RANKS = statement("SELECT id FROM conversations ORDER BY activity")


@pytest.fixture
async def table(tmp_path: Path, database_url: str | None) -> AsyncGenerator[Table]:
    async with a_table(tmp_path, database_url=database_url) as table:
        yield table


async def _log(store: Store, log: Log, *, after: int = 0) -> Sequence[Event]:
    return await store.read(lambda tx: read_log(tx, log, after=after, limit=10_000))


def _of(conversation_id: str) -> Log:
    return Log("conversation", conversation_id)


async def _remove(table: Table, conversation_id: ConversationId) -> None:
    owner_id = table.owner_id
    await delete_conversation(table.store, table.generations, conversation_id, owner_id=owner_id)
    await delete_for_good(table.store, conversation_id, owner_id=owner_id)


@on_both_engines
async def test_every_event_has_its_time_and_place_and_names_what_it_is_about(table: Table) -> None:
    sent = await table.said()
    events = await _log(table.store, _of(table.conversation.id))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert all(event.at >= table.conversation.created_at for event in events)
    added = next(event for event in events if event.kind == "message_added")
    assert added.seq == sent.message.seq
    assert added.at >= sent.message.created_at
    assert added.message_key is not None
    assert events[0].message_key is None


@on_both_engines
async def test_a_removed_conversation_leaves_its_id_in_the_account_s_log_and_no_word(
    table: Table,
) -> None:
    account = Log("account", table.owner_id)
    assert await _log(table.store, account) == []
    gone = [await table.another_conversation() for _ in range(3)]
    for conversation in gone:
        await table.say("A secret", conversation_id=conversation.id, wants_reply=False)
        await _remove(table, conversation.id)
    events = await _log(table.store, account)
    assert [(event.seq, event.kind, event.subject_id) for event in events] == [
        (number, "conversation_gone", conversation.id)
        for number, conversation in enumerate(gone, start=1)
    ]
    for conversation in gone:
        assert await _log(table.store, _of(conversation.id)) == []
    assert await verify(table.store) == []


@on_both_engines
async def test_the_end_is_in_the_log_before_the_rows_go(table: Table) -> None:
    await table.said()
    await delete_conversation(
        table.store, table.generations, table.conversation.id, owner_id=table.owner_id
    )
    before = await _log(table.store, _of(table.conversation.id))

    def hide(tx: Writer) -> None:  # the first of the transactions of `delete_for_good`
        held = hold_conversation(tx, table.conversation.id, owner_id=table.owner_id)
        remove_conversation(tx, held)

    await table.store.write(hide)
    assert [e.kind for e in await _log(table.store, Log("account", table.owner_id))] == [
        "conversation_gone"
    ]
    assert await _log(table.store, _of(table.conversation.id)) == before
    assert await verify(table.store) == []
    assert await empty_trash(table.store, before=Millis(-1)) == 1
    assert len(await _log(table.store, Log("account", table.owner_id))) == 1


@on_both_engines
async def test_an_id_that_was_removed_is_given_to_no_other_conversation(table: Table) -> None:
    await _remove(table, table.conversation.id)
    with pytest.raises(IdReused):
        await open_under(table.store, table.conversation.id, owner_id=table.owner_id)
    source = await table.another_conversation()
    with pytest.raises(IdReused):
        await copy_conversation(
            table.store, source.id, table.conversation.id, owner_id=table.owner_id
        )


@on_both_engines
async def test_each_emptied_message_has_one_tombstone_and_the_conversation_keeps_its_rank(
    table: Table,
) -> None:
    root = await table.say("root", wants_reply=False)
    top = await table.say("top", wants_reply=False)
    below = await table.say("below", wants_reply=False)
    await delete_message(table.store, top.message.id, owner_id=table.owner_id)
    await table.another_conversation()
    ranks = await table.store.read(lambda tx: tx.all(_RANKS))
    before = await read_conversation(table.store, table.conversation.id, owner_id=table.owner_id)
    assert await empty_trash(table.store, before=EVER) == 1
    after = await read_conversation(table.store, table.conversation.id, owner_id=table.owner_id)
    assert after.seq == before.seq + 2
    assert (after.activity, after.updated_at) == (before.activity, before.updated_at)
    assert await table.store.read(lambda tx: tx.all(_RANKS)) == ranks
    events = await _log(table.store, _of(table.conversation.id))
    added = {e.message_key: e.seq for e in events if e.kind == "message_added"}
    emptied = [added[e.message_key] for e in events if e.kind == "message_emptied"]
    assert sorted(emptied) == [top.message.seq, below.message.seq]
    assert root.message.seq not in emptied
    assert await empty_trash(table.store, before=EVER) == 0
    assert await verify(table.store) == []


@on_both_engines
async def test_a_follower_that_was_away_hears_of_what_was_emptied_and_shows_none_of_it(
    table: Table,
) -> None:
    await table.say("root", wants_reply=False)
    top = await table.say("top", wants_reply=False)
    for number in range(3):
        await table.say(f"below {number}", wants_reply=False)
    await delete_message(table.store, top.message.id, owner_id=table.owner_id)
    seen = await read_conversation(table.store, table.conversation.id, owner_id=table.owner_id)
    follower = follow(
        table.store,
        table.hub,
        owner_id=table.owner_id,
        follows={table.conversation.id: None},
    )
    assert await anext(follower) == []
    await empty_trash(table.store, before=EVER)
    told = await anext(follower)
    await follower.aclose()
    # Four events, told at once: that the conversation has gone on to the last of them.
    assert [
        (type(each), each.message, each.seq) for each in told if isinstance(each, Happened)
    ] == [(Happened, None, seen.seq + 4)]


@on_both_engines
async def test_no_number_of_a_log_ever_falls(tmp_path: Path, database_url: str | None) -> None:
    seen: dict[Log, int] = {}

    def hear(events: Sequence[object]) -> None:
        for event in events:
            if isinstance(event, Recorded):
                log = _of(event.conversation_id)
                assert event.seq >= seen.get(log, 0)
                seen[log] = event.seq

    async with a_table(tmp_path, database_url=database_url, announce=hear) as table:
        store, owner_id = table.store, table.owner_id
        name = table.conversation.id
        if store.engine == "sqlite":
            await store.write(lambda tx: tx.run(_REFUSE_A_FALL))
            await store.write(lambda tx: tx.run(_REFUSE_A_FALL_OF_ACCOUNTS))
            await store.write(lambda tx: tx.run(_REFUSE_A_FALL_OF_PLACES))
        await table.said("root")
        top = await table.say("top", wants_reply=False)
        await enter_all(store, [_of(name)])
        await delete_message(store, top.message.id, owner_id=owner_id)
        await restore_message(store, top.message.id, owner_id=owner_id)
        await delete_message(store, top.message.id, owner_id=owner_id)
        copy = ConversationId(new_id())
        await copy_conversation(store, name, copy, owner_id=owner_id)
        await delete_conversation(store, table.generations, name, owner_id=owner_id)
        await restore_conversation(store, table.generations, name, owner_id=owner_id)
        await empty_trash(store, before=EVER)
        await enter_all(store, [_of(name), _of(copy)])
        await _remove(table, copy)
        await _remove(table, name)
        assert set(seen) == {_of(name), _of(copy)}


_REFUSE_A_FALL = statement(
    sqlite="""
    CREATE TRIGGER conversations_never_fall BEFORE UPDATE OF seq ON conversations
    WHEN new.seq < old.seq BEGIN SELECT raise(ABORT, 'a number fell'); END
    """
)
_REFUSE_A_FALL_OF_ACCOUNTS = statement(
    sqlite="""
    CREATE TRIGGER accounts_never_fall BEFORE UPDATE OF seq ON accounts
    WHEN new.seq < old.seq BEGIN SELECT raise(ABORT, 'a number fell'); END
    """
)
_REFUSE_A_FALL_OF_PLACES = statement(
    sqlite="""
    CREATE TRIGGER places_never_fall BEFORE UPDATE OF seq ON places
    WHEN new.seq < old.seq BEGIN SELECT raise(ABORT, 'a place fell'); END
    """
)


@on_both_engines
async def test_a_place_moves_from_where_it_was_read_and_never_in_a_log_that_is_gone(
    table: Table,
) -> None:
    log = _of(table.conversation.id)

    async def moved(before: int, after: int) -> bool:
        return await table.store.write(
            lambda tx: move_place(tx, "search", log, before=before, after=after)
        )

    await table.said()
    assert await moved(0, 1)
    assert not await moved(0, 3)
    assert await moved(1, 2)
    assert await table.store.read(lambda tx: place_of(tx, "search", log)) == 2
    assert log in await table.store.read(lambda tx: logs_behind(tx, "search", limit=9))
    await table.store.write(lambda tx: forget_places(tx, "search"))
    await _remove(table, table.conversation.id)
    assert not await moved(0, 1)


@on_both_engines
async def test_the_index_forgets_its_place_in_a_log_that_is_gone(table: Table) -> None:
    account = Log("account", table.owner_id)
    await table.said()
    await enter_all(table.store, [_of(table.conversation.id)])
    await _remove(table, table.conversation.id)
    assert await table.store.read(lambda tx: logs_behind(tx, "search", limit=9)) == [account]
    await enter_all(table.store, [account])
    place = await table.store.read(lambda tx: place_of(tx, "search", _of(table.conversation.id)))
    assert place == 0
    assert await table.store.read(lambda tx: unread_and_all(tx, "search")) == (0, 1)


async def test_a_value_that_no_enumeration_has_is_refused_when_written_and_named_by_verify(
    tmp_path: Path,
) -> None:
    async with a_table(tmp_path) as table:
        with pytest.raises(InvalidInput, match="purpose"):
            await open_under(
                table.store,
                ConversationId(new_id()),
                owner_id=table.owner_id,
                purpose="singing",  # pyright: ignore[reportArgumentType]
            )

        def odd(tx: Writer) -> None:
            tx.append(_of(table.conversation.id), 99, "sung")  # pyright: ignore[reportArgumentType]

        with pytest.raises(InvalidInput, match="kind of event"):
            await table.store.write(odd)
    with closing(sqlite3.connect(tmp_path / "talekeeper.db", isolation_level=None)) as database:
        database.execute("UPDATE conversations SET purpose = 'singing'")
        database.execute("UPDATE events SET kind = 'sung', message_key = 7")
    store = await Store.open(tmp_path)
    try:
        found = await verify(store)
    finally:
        await store.close()
    assert any("purpose “singing”" in each for each in found), found
    assert any("kind of event “sung”" in each for each in found), found
