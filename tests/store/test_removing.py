"""Removing for good, and emptying, take short steps on either engine (NFR-010, U12)."""

import sqlite3
import threading
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from servers import on_both_engines
from talekeeper.clock import Millis
from talekeeper.conversations.branching import delete_message
from talekeeper.conversations.emptying import empty_trash
from talekeeper.conversations.indexing import enter_all
from talekeeper.conversations.reading import read_conversation
from talekeeper.conversations.trashing import delete_conversation, delete_for_good
from talekeeper.database import Reader, Store, Writer, sqlite
from talekeeper.domain.events import Log
from talekeeper.errors import NotFound
from talekeeper.ids import MessageId
from talekeeper.store import indexing
from talekeeper.store.branches import (
    empty_rows,
    next_to_be_emptied,
    next_to_be_emptied_of,
    reveal_branch,
)
from talekeeper.store.holding import hold_conversation
from talekeeper.store.message_changes import add_message
from talekeeper.store.messages import StoredMessage
from talekeeper.store.removing import STEP, STEP_CHARACTERS, next_removal
from talekeeper.store.verifying import verify
from tales import Table, a_table, new_id

EVER = Millis(1 << 50)


async def a_chain(table: Table, count: int, content: str = "And then?") -> list[MessageId]:
    """So many messages, each under the one before, all of them in the search index."""
    ids = [MessageId(new_id()) for _ in range(count)]

    def tell(tx: Writer) -> None:
        held = hold_conversation(tx, table.conversation.id, owner_id=table.owner_id)
        parent: StoredMessage | None = None
        for number, name in enumerate(ids):
            parent = add_message(
                tx,
                held,
                name,
                parent=parent.place if parent else None,
                role="user",
                content=f"{content} {number}",
            )
        held.save(tx)

    await table.store.write(tell, conversation_id=table.conversation.id)
    await enter_all(table.store, [Log("conversation", table.conversation.id)], characters=1_000_000)
    return ids


@pytest.fixture
async def table(tmp_path: Path, database_url: str | None) -> AsyncGenerator[Table]:
    async with a_table(tmp_path, database_url=database_url) as table:
        yield table


async def _put_away_and_remove(table: Table) -> None:
    await delete_conversation(
        table.store, table.generations, table.conversation.id, owner_id=table.owner_id
    )
    await delete_for_good(table.store, table.conversation.id, owner_id=table.owner_id)


@pytest.mark.req("NFR-010", "U12")
async def test_no_deletion_cascades_down_a_chain_of_messages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = sqlite.Sqlite.connect_writer

    def shallow(seam: sqlite.Sqlite) -> sqlite3.Connection:
        connection = connect(seam)
        # A message's own rows are two levels: its generations, and their chunks.
        connection.setlimit(sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH, 3)
        return connection

    monkeypatch.setattr(sqlite.Sqlite, "connect_writer", shallow)
    async with a_table(tmp_path) as table:
        await table.said("With a generation of its own.")
        await a_chain(table, 3 * STEP)
        await _put_away_and_remove(table)
        with pytest.raises(NotFound):
            await read_conversation(table.store, table.conversation.id, owner_id=table.owner_id)


@pytest.mark.req("NFR-010", "U12")
@on_both_engines
async def test_a_step_is_small_and_no_text_is_divided_by_the_writer(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await a_chain(table, 2 * STEP, "word " * (2 * STEP_CHARACTERS // STEP // 5))
    written: list[int] = []
    by: list[str] = []
    write, divide = Store.write, indexing.tokens_of

    def divided(*args: Any, **how: Any) -> frozenset[int]:
        by.append(threading.current_thread().name)
        return divide(*args, **how)

    async def counted(store: Store, unit: Any, **how: Any) -> Any:
        def counting(tx: Writer) -> Any:
            run_many = tx.run_many

            def many(statement: Any, rows: list[dict[str, Any]]) -> None:
                written.append(len(rows))
                run_many(statement, rows)

            tx.run_many = many
            return unit(tx)

        return await write(store, counting, **how)

    monkeypatch.setattr(indexing, "tokens_of", divided)
    monkeypatch.setattr(Store, "write", counted)
    await delete_message(table.store, ids[STEP], owner_id=table.owner_id)
    assert await empty_trash(table.store, before=EVER) == 1
    # Their texts are twice as long as those of as many rows as a step may have.
    assert STEP // 4 < max(written) <= STEP // 2
    await _put_away_and_remove(table)
    assert max(written) <= STEP
    assert len(by) == 2 * STEP
    assert not [name for name in by if "writer" in name]


@pytest.mark.req("NFR-010", "U12")
@on_both_engines
async def test_one_message_longer_than_a_step_is_removed_all_the_same(table: Table) -> None:
    await a_chain(table, 3, "龍" * (STEP_CHARACTERS + 1))
    await _put_away_and_remove(table)
    assert await table.store.read(lambda tx: next_removal(tx, table.conversation.id)) is None
    assert await verify(table.store) == []


@pytest.mark.req("U12")
@on_both_engines
async def test_what_is_restored_between_the_read_and_the_write_of_a_step_is_not_emptied(
    table: Table,
) -> None:
    ids = await a_chain(table, 4)
    await delete_message(table.store, ids[1], owner_id=table.owner_id)
    branch = await table.store.read(lambda tx: next_to_be_emptied(tx, before=EVER))
    assert branch is not None

    def read(tx: Reader) -> dict[int, indexing.Entry]:
        return next_to_be_emptied_of(tx, branch.key)

    entries = await table.store.read(read)
    assert len(entries) == 3

    def write(tx: Writer) -> None:
        held = hold_conversation(tx, table.conversation.id, owner_id=table.owner_id)
        reveal_branch(tx, branch.key)
        held.count(messages=3, characters=sum(len(f"And then? {n}") for n in (1, 2, 3)))
        held.move_leaf(ids[3], max(entries))
        held.changed()
        held.save(tx)
        empty_rows(tx, branch, entries)

    await table.store.write(write)
    assert [each.content for each in await table.tree()] == [f"And then? {n}" for n in range(4)]
    assert await verify(table.store) == []
