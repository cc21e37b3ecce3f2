"""The search index follows the log: nothing missed, nothing doubled, and no send pays for it (U21)."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from talekeeper.conversations.branching import delete_message
from talekeeper.conversations.emptying import empty_trash
from talekeeper.conversations.indexing import Heard, Indexing, enter_all, rebuild_index
from talekeeper.conversations.opening import open_conversation
from talekeeper.conversations.searching import search_messages
from talekeeper.conversations.trashing import delete_conversation, delete_for_good
from talekeeper.database import Reader, Store, Writer
from talekeeper.database.statements import statement
from talekeeper.domain.events import Log
from talekeeper.domain.searching import Sought, query_of
from talekeeper.providers.scripted import Script
from talekeeper.store.holding import hold_conversation
from talekeeper.store.indexing import (
    FORMAT,
    News,
    empty_index,
    enter_news,
    is_caught_up,
    is_current,
    misindexed,
    prepare_index,
    read_news,
)
from talekeeper.store.message_changes import add_message
from talekeeper.store.places import logs_behind
from talekeeper.store.searching import search_texts
from talekeeper.store.verifying import verify
from talekeeper.tasks import OwnTasks
from tales import Table, a_table, an_account, new_id, opened, until

_PLACES = statement("SELECT seq FROM places WHERE log_kind = 'conversation'")
_LOSE = statement("DROP TABLE search_index")
_MAKE_OLDER = statement("UPDATE search_state SET format = format - 1")
_STATE = statement("SELECT format, is_caught_up FROM search_state")
_LOSE_AN_ENTRY = statement(
    postgresql="DELETE FROM search_index WHERE message_key = (SELECT min(key) FROM messages)"
)
_SHAPE = statement(
    sqlite="SELECT sql FROM sqlite_master WHERE name LIKE 'search_index%' ORDER BY 1"
)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: Any) -> str | None:
    return request.getfixturevalue("postgres_database") if request.param != "sqlite" else None


@pytest.fixture
async def table(tmp_path: Path, database_url: str | None) -> AsyncGenerator[Table]:
    async with a_table(tmp_path, database_url=database_url) as table:
        yield table


async def _caught_up(store: Store) -> None:
    indexing = Indexing(store, Heard(), tasks=OwnTasks())
    await until(lambda: store.read(lambda tx: is_current(tx) and is_caught_up(tx)), seconds=20)
    await indexing.close()
    assert await store.read(misindexed) == []


async def _found(table: Table, typed: str) -> list[str]:
    page = await search_messages(
        table.store, typed, owner_id=table.owner_id, sought=Sought(), after=None, limit=100
    )
    return [item.message.id for item in page.items]


@pytest.mark.req("U21")
async def test_what_was_said_is_found_within_a_second_of_its_commit(
    tmp_path: Path, database_url: str | None
) -> None:
    heard = Heard()
    store = await Store.open(tmp_path, database_url=database_url, announce=heard.hear)
    try:
        owner = await an_account(store)
        conversation = await open_conversation(store, owner_id=owner.id)
        indexing = Indexing(store, heard, tasks=OwnTasks())
        await until(lambda: store.read(is_current))

        def say(tx: Writer) -> None:
            held = hold_conversation(tx, conversation.id, owner_id=owner.id)
            add_message(tx, held, new_id(), parent=None, role="user", content="the quince key")  # type: ignore[arg-type]
            held.save(tx)

        def look(tx: Reader) -> int:
            page = search_texts(
                tx, query_of("quince"), owner_id=owner.id, sought=Sought(), after=None, limit=5
            )
            return len(page.items)

        await store.write(say, conversation_id=conversation.id)
        began = asyncio.get_running_loop().time()

        async def is_found() -> bool:
            return await store.read(look) == 1

        await until(is_found)
        assert asyncio.get_running_loop().time() - began < 2.0  # one, and the machine's own
        await indexing.close()
        assert await verify(store) == []
    finally:
        await store.close()


@pytest.mark.req("U21")
async def test_a_send_writes_nothing_into_the_index(table: Table) -> None:
    await _caught_up(table.store)
    before = await table.store.read(lambda tx: tx.all(_PLACES))
    await table.said("The ferryman wants two coins")
    assert await table.store.read(lambda tx: tx.all(_PLACES)) == before
    behind = await table.store.read(lambda tx: logs_behind(tx, "search", limit=9))
    assert behind == [Log("conversation", table.conversation.id)]
    assert await _found(table, "ferryman") == []


@pytest.mark.req("U21")
async def test_a_write_that_fails_leaves_neither_entries_nor_place(table: Table) -> None:
    await table.said("A lamp in the marsh")
    await table.store.write(prepare_index)
    news = await table.store.read(
        lambda tx: read_news(tx, table.conversation.id, characters=10_000)
    )
    assert news is not None

    def cut_short(tx: Writer) -> None:
        enter_news(tx, [news])
        raise ConnectionError("the power went")

    with pytest.raises(ConnectionError):
        await table.store.write(cut_short)
    assert await table.store.read(lambda tx: tx.all(_PLACES)) == []
    assert await _found(table, "lamp") == []
    await _caught_up(table.store)
    assert len(await _found(table, "lamp")) == 2  # the scripted reply repeats it


@pytest.mark.req("U21")
async def test_of_two_that_read_the_same_news_one_enters_them(table: Table) -> None:
    await table.said("The well has no bottom")
    await table.store.write(prepare_index)

    def read(tx: Reader) -> News | None:
        return read_news(tx, table.conversation.id, characters=10_000)

    early = await table.store.read(read)
    await table.said("And yet somebody answered")
    late = await table.store.read(read)
    assert early is not None
    assert late is not None
    assert early.after < late.after
    await table.store.write(lambda tx: enter_news(tx, [late]))
    await table.store.write(lambda tx: enter_news(tx, [early]))
    places = await table.store.read(lambda tx: tx.all(_PLACES))
    assert [row[0] for row in places] == [late.after]
    assert await table.store.read(misindexed) == []


@pytest.mark.req("U21")
async def test_news_are_read_in_steps_without_missing_any(table: Table) -> None:
    for number in range(12):
        await table.said(f"Lantern number {number} goes out")
    await table.store.write(prepare_index)
    await enter_all(table.store, [Log("conversation", table.conversation.id)], characters=60)
    assert await table.store.read(is_current)
    assert await table.store.read(misindexed) == []
    assert len(await _found(table, '"number 7 goes"')) == 2


@pytest.mark.req("U21", "FR-007")
async def test_a_reply_is_found_when_it_has_ended_and_again_when_it_has_gone_on(
    tmp_path: Path, database_url: str | None
) -> None:
    script = Script(["The cellar ", "is flooded."], [" A boat drifts in."], gated=True)
    async with a_table(tmp_path, database_url=database_url, script=script) as table:
        sent = await table.say("What is below?")
        assert sent.reply is not None
        script.release(1)
        await script.until_said(1)
        await _caught_up(table.store)
        assert await _found(table, "cellar") == []
        script.release(9)
        await table.ended(sent)
        await _caught_up(table.store)
        assert await _found(table, "flooded") == [sent.reply.id]
        again = await table.on(sent.reply.id)
        await table.ended(again.sent)
        assert await _found(table, "flooded") == [sent.reply.id]
        await _caught_up(table.store)
        assert await _found(table, "flooded boat") == [sent.reply.id]


@pytest.mark.req("U21")
async def test_an_index_that_is_missing_is_made_anew(table: Table) -> None:
    await table.said("The bell under the lake")
    await _caught_up(table.store)
    await table.store.write(lambda tx: tx.run(_LOSE))
    assert await _found(table, "bell") == []
    await _caught_up(table.store)
    assert len(await _found(table, "bell")) == 2
    assert await table.store.read(lambda tx: tx.all(_STATE)) == [(FORMAT, 1)]


@pytest.mark.req("U21")
async def test_who_reads_while_the_index_is_made_anew_is_not_told_that_it_is_current(
    table: Table,
) -> None:
    await table.said("The bell under the lake")
    await _caught_up(table.store)
    await table.store.write(lambda tx: tx.run(_LOSE))
    has_begun, is_made_anew = threading.Event(), threading.Event()

    def look(tx: Reader) -> bool:
        before = tx.all(_STATE)
        has_begun.set()
        assert is_made_anew.wait(20)
        assert tx.all(_STATE) == before
        return is_current(tx)

    reading = asyncio.create_task(table.store.read(look))
    assert await asyncio.to_thread(has_begun.wait, 20)
    await table.store.write(prepare_index)
    is_made_anew.set()
    assert not await reading


@pytest.mark.req("U21")
async def test_an_index_of_an_older_format_is_made_anew(table: Table) -> None:
    await table.said("The bell under the lake")
    await _caught_up(table.store)
    await table.store.write(lambda tx: tx.run(_MAKE_OLDER))
    assert not await table.store.read(is_current)
    await _caught_up(table.store)
    assert len(await _found(table, "bell")) == 2


async def test_the_index_that_is_made_is_the_migrations(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        shape = await store.read(lambda tx: tx.all(_SHAPE))
        await store.write(lambda tx: tx.run(_LOSE))
        await store.write(prepare_index)
        assert await store.read(lambda tx: tx.all(_SHAPE)) == shape
        assert len(shape) > 1


@pytest.mark.req("U21")
async def test_a_rebuild_ends_with_everything_found_and_tells_how_far_it_is(table: Table) -> None:
    for number in range(5):
        await table.said(f"Door {number} is ajar")
    await _caught_up(table.store)
    told: list[tuple[int, int]] = []
    await rebuild_index(table.store, told=lambda read, every: told.append((read, every)))
    assert told[-1][0] == told[-1][1] > 10
    assert await table.store.read(is_current)
    assert await table.store.read(misindexed) == []
    assert len(await _found(table, '"door 3"')) == 2


@pytest.mark.req("U21", "NFR-012")
async def test_what_is_removed_for_good_leaves_the_index(table: Table) -> None:
    await table.said("The password is marigold")
    kept = await table.another_conversation()
    other = await table.say("Marigold again", conversation_id=kept.id)
    await table.ended(other)
    await _caught_up(table.store)
    assert len(await _found(table, "marigold")) == 4
    await delete_conversation(
        table.store, table.generations, table.conversation.id, owner_id=table.owner_id
    )
    assert len(await _found(table, "marigold")) == 2
    await delete_for_good(table.store, table.conversation.id, owner_id=table.owner_id)
    assert await verify(table.store) == []  # no entry of no message
    await delete_message(table.store, other.message.id, owner_id=table.owner_id)
    assert await _found(table, "marigold") == []
    await empty_trash(table.store, before=2**60)  # type: ignore[arg-type]
    assert await verify(table.store) == []
    await _caught_up(table.store)


async def test_an_entry_that_is_missing_or_of_no_message_is_seen(
    tmp_path: Path, postgres_database: str
) -> None:
    async with a_table(tmp_path / "a") as table:
        await table.said("The hinge is silver")
        await _caught_up(table.store)
        with sqlite3.connect(tmp_path / "a" / "talekeeper.db") as other:
            other.execute("INSERT INTO search_index (rowid, tokens) VALUES (999, '12 13')")
        other.close()
        found = await table.store.read(misindexed)
        assert found == ["search index: an entry of no message (999)"]
        await table.store.write(empty_index)
        await _caught_up(table.store)
    async with a_table(tmp_path / "b", database_url=postgres_database) as table:
        sent = await table.said("The hinge is silver")
        await _caught_up(table.store)
        await table.store.write(lambda tx: tx.run(_LOSE_AN_ENTRY))
        assert await table.store.read(misindexed) == [
            f"message {sent.message.id}: the search index does not hold what it says"
        ]
        await table.store.write(empty_index)
        await _caught_up(table.store)
