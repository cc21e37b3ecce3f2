"""One way to write: an answer only when it is on disk, nobody harmed by a neighbour (R1, NFR-004)."""

import asyncio
import sqlite3
import statistics
import threading
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from servers import on_both_engines, until
from talekeeper.conversations.opening import open_conversation
from talekeeper.database import Store, Writer
from talekeeper.database.sqlite import Sqlite
from talekeeper.database.statements import statement
from talekeeper.domain.events import Recorded
from talekeeper.errors import DatabaseDamaged, StoreBusy, StoreError, StoreUnavailable, SyncFailed
from talekeeper.store.holding import hold_conversation
from talekeeper.store.message_changes import add_message
from tales import a_table, an_account, new_id, opened
from troubles import LostCommits, write_lock_held

COUNT = statement("SELECT count(*) AS messages FROM messages")


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request: Any, tmp_path: Path) -> AsyncGenerator[Store]:
    url = request.getfixturevalue("postgres_database") if request.param != "sqlite" else None
    async with opened(tmp_path, database_url=url) as store:
        yield store


async def _count(store: Store) -> int:
    rows = await store.read(lambda tx: tx.all(COUNT))
    return rows[0][0]


async def _a_conversation(store: Store) -> tuple[str, str]:
    owner = await an_account(store)
    return owner.id, (await open_conversation(store, owner_id=owner.id)).id


def _adding(owner_id: Any, conversation_id: Any, text: str = "a word") -> Any:
    def unit(tx: Writer) -> str:
        held = hold_conversation(tx, conversation_id, owner_id=owner_id)
        stored = add_message(tx, held, new_id(), parent=None, role="user", content=text)  # type: ignore[arg-type]
        held.save(tx)
        return stored.message.id

    return unit


@pytest.mark.req("NFR-009", "R10")
async def test_many_writers_at_once_are_all_stored_in_one_order(store: Store) -> None:
    owner_id, conversation_id = await _a_conversation(store)
    unit = _adding(owner_id, conversation_id)
    ids = await asyncio.gather(
        *(store.write(unit, conversation_id=conversation_id) for _ in range(60))
    )
    assert len(set(ids)) == 60
    assert await _count(store) == 60


async def test_writes_that_wait_together_share_a_commit(store: Store) -> None:
    owner_id, conversation_id = await _a_conversation(store)
    before = store.counts
    unit = _adding(owner_id, conversation_id)
    await asyncio.gather(*(store.write(unit, conversation_id=conversation_id) for _ in range(200)))
    after = store.counts
    assert after.units - before.units == 200
    assert after.commits - before.commits < 50


@pytest.mark.req("R20")
async def test_a_unit_that_fails_leaves_nothing_and_harms_no_neighbour(store: Store) -> None:
    owner_id, conversation_id = await _a_conversation(store)
    good = _adding(owner_id, conversation_id)

    def bad(tx: Writer) -> None:
        good(tx)
        raise ValueError("no")

    results = await asyncio.gather(
        *(
            store.write(bad if n % 3 == 0 else good, conversation_id=conversation_id)
            for n in range(30)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(r, ValueError) for r in results) == 10
    assert await _count(store) == 20


async def test_a_constraint_that_is_broken_fails_its_own_unit_only(store: Store) -> None:
    owner_id, conversation_id = await _a_conversation(store)
    good = _adding(owner_id, conversation_id)

    def bad(tx: Writer) -> None:
        held = hold_conversation(tx, conversation_id, owner_id=owner_id)  # type: ignore[arg-type]
        add_message(tx, held, new_id(), parent=None, role="villain")  # type: ignore[arg-type]

    results = await asyncio.gather(
        *(store.write(bad if n == 4 else good, conversation_id=conversation_id) for n in range(9)),
        return_exceptions=True,
    )
    assert sum(isinstance(r, Exception) for r in results) == 1
    assert await _count(store) == 8


@pytest.mark.req("NFR-006")
async def test_a_cancelled_writer_never_tears_its_transaction(store: Store) -> None:
    owner_id, conversation_id = await _a_conversation(store)
    unit = _adding(owner_id, conversation_id)
    for _ in range(20):
        task = asyncio.create_task(store.write(unit, conversation_id=conversation_id))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await store.write(unit, conversation_id=conversation_id)
    assert 1 <= await _count(store) <= 21


async def test_an_event_is_announced_after_its_commit_and_before_the_answer(
    tmp_path: Path,
) -> None:
    seen: list[tuple[str, int]] = []
    path = tmp_path / "talekeeper.db"

    def announce(events: Any) -> None:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as other:
            rows = other.execute("SELECT count(*) FROM events").fetchone()[0]
        other.close()
        seen.extend((event.kind, rows) for event in events if isinstance(event, Recorded))

    store = await Store.open(tmp_path, announce=announce)
    owner = await an_account(store)
    await open_conversation(store, owner_id=owner.id)
    assert seen == [("conversation", 1)]
    await store.close()


async def test_a_unit_that_failed_announces_nothing(tmp_path: Path) -> None:
    seen: list[Any] = []
    store = await Store.open(tmp_path, announce=seen.extend)
    owner_id, conversation_id = await _a_conversation(store)
    seen.clear()

    def bad(tx: Writer) -> None:
        _adding(owner_id, conversation_id)(tx)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await store.write(bad)
    assert seen == []
    await store.close()


@pytest.mark.req("NFR-005", "FR-006", "R5")
async def test_a_foreign_lock_is_waited_for_half_a_second_and_then_refused(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as store:
        owner_id, conversation_id = await _a_conversation(store)
        other = sqlite3.connect(tmp_path / "talekeeper.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        begun = time.monotonic()
        results = await asyncio.gather(
            *(store.write(_adding(owner_id, conversation_id)) for _ in range(5)),
            return_exceptions=True,
        )
        assert all(isinstance(result, StoreBusy) for result in results)
        assert 0.4 < time.monotonic() - begun < 2.0
        assert await _count(store) == 0
        other.execute("ROLLBACK")
        other.close()
        await store.write(_adding(owner_id, conversation_id))
        assert await _count(store) == 1


@pytest.mark.req("R5", "NFR-001")
async def test_whoever_waits_for_a_foreign_lock_is_refused_in_time_whoever_waits_beside(
    tmp_path: Path,
) -> None:
    store = await Store.open(tmp_path)
    try:
        with write_lock_held(tmp_path / "talekeeper.db"):
            took: list[float] = []

            async def refused() -> None:
                began = time.monotonic()
                with pytest.raises(StoreBusy):
                    await store.write(lambda _tx: None)
                took.append(time.monotonic() - began)

            # One every 50 ms: those that are taken up together came at different times.
            async with asyncio.TaskGroup() as group:
                for _ in range(40):
                    group.create_task(refused())
                    await asyncio.sleep(0.05)
        assert min(took) > 0.49
        # A machine that stalls holds a few of them up; who waits twice would be most.
        assert statistics.median(took) < 0.6, sorted(took)
    finally:
        await store.close()


@pytest.mark.req("NFR-001", "NFR-007")
async def test_a_lock_that_is_given_back_in_time_costs_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        owner_id, conversation_id = await _a_conversation(store)
        other = sqlite3.connect(
            tmp_path / "talekeeper.db", isolation_level=None, check_same_thread=False
        )
        other.execute("BEGIN IMMEDIATE")
        timer = threading.Timer(0.15, lambda: other.execute("ROLLBACK"))
        timer.start()
        await store.write(_adding(owner_id, conversation_id))
        timer.join()
        other.close()
        assert await _count(store) == 1


@pytest.mark.req("NFR-004")
def test_every_pragma_of_the_writer_reads_back_as_it_was_set(tmp_path: Path) -> None:
    path = tmp_path / "talekeeper.db"
    sqlite3.connect(path).close()
    path.touch()
    connection = Sqlite(path).connect_writer()
    read = {
        name: connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys", "wal_autocheckpoint")
    }
    connection.close()
    assert read == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "wal_autocheckpoint": 0,
    }


async def test_a_reader_cannot_write(store: Store) -> None:
    owner_id, conversation_id = await _a_conversation(store)
    unit = _adding(owner_id, conversation_id)

    def sneaky(tx: Any) -> Any:
        writer = Writer(tx._cursor, store.engine, now=lambda: 0)  # type: ignore[arg-type,return-value]
        return unit(writer)

    with pytest.raises(Exception, match=r"cannot be opened for writing|read-only"):
        await store.read(sneaky)
    assert await _count(store) == 0


async def test_a_closed_store_refuses_in_plain_words(tmp_path: Path) -> None:
    store = await Store.open(tmp_path)
    await store.close()
    with pytest.raises(StoreUnavailable, match="closing"):
        await store.write(lambda tx: None)
    with pytest.raises(StoreUnavailable, match="closing"):
        await store.read(lambda tx: None)


async def test_what_is_in_the_log_is_moved_to_the_database_when_nothing_is_to_do(
    tmp_path: Path,
) -> None:
    def found_without_the_log() -> int:
        alone = sqlite3.connect(f"file:{tmp_path}/talekeeper.db?immutable=1", uri=True)
        try:
            return alone.execute("SELECT count(*) FROM messages").fetchone()[0]
        finally:
            alone.close()

    async with a_table(tmp_path) as table:
        await table.said()
        assert found_without_the_log() == 0
        async with asyncio.timeout(8):
            while found_without_the_log() != 2:
                await asyncio.sleep(0.1)


async def test_the_log_is_written_over_and_not_made_longer_without_end(tmp_path: Path) -> None:
    async with a_table(tmp_path) as table:
        log = tmp_path / "talekeeper.db-wal"
        sizes: list[int] = []
        for _ in range(900):
            await table.say(wants_reply=False)
            sizes.append(log.stat().st_size)
    assert sizes[-1] < sizes[299] * 1.5


@pytest.mark.req("R3")
async def test_after_a_failed_sync_the_connection_is_dropped_and_another_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened_connections: list[sqlite3.Connection] = []
    connect = Sqlite.connect_writer

    def connecting(self: Sqlite) -> sqlite3.Connection:
        opened_connections.append(connect(self))
        return opened_connections[-1]

    monkeypatch.setattr(Sqlite, "connect_writer", connecting)
    async with opened(tmp_path) as store:
        owner_id, conversation_id = await _a_conversation(store)
        first = opened_connections[-1]

        def failing(_tx: Writer) -> None:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
            raise error

        with pytest.raises(SyncFailed) as refused:
            await store.write(failing)
        assert refused.value.retryable
        assert isinstance(store.trouble, SyncFailed)
        await store.write(_adding(owner_id, conversation_id), conversation_id=conversation_id)
        assert store.trouble is None
        assert opened_connections[-1] is not first
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            first.execute("SELECT 1")


@pytest.mark.req("R4", "R5", "NFR-014")
async def test_trouble_is_over_once_a_commit_reaches_the_disk_though_nobody_writes(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as store:
        owner_id, conversation_id = await _a_conversation(store)
        with write_lock_held(tmp_path / "talekeeper.db"):
            with pytest.raises(StoreBusy):
                await store.write(_adding(owner_id, conversation_id))
            assert isinstance(store.trouble, StoreBusy)
        commits = store.counts.commits
        await until(lambda: store.trouble is None, seconds=10)
        assert store.counts.commits == commits, "what it tried was nobody's message"


@pytest.mark.req("R3", "R4", "NFR-014")
@on_both_engines
async def test_in_trouble_a_commit_that_changed_nothing_must_reach_the_disk_all_the_same(
    tmp_path: Path, database_url: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_tx: Writer) -> None:
        raise SyncFailed("The disk did not confirm the write.")

    def nothing(_tx: Writer) -> None:
        """As a look for work does that finds none."""

    async with opened(tmp_path, database_url=database_url) as store:
        seam = store._writers[0]._seam
        touch = seam.touch
        touched: list[None] = []

        def touching(cursor: Any) -> None:
            touch(cursor)
            touched.append(None)

        monkeypatch.setattr(seam, "touch", touching)
        await store.write(nothing)
        assert not touched, "a store that is well is not made to write"
        with pytest.raises(SyncFailed):
            await store.write(failing)
        await store.write(nothing)
        assert len(touched) == 1
        assert store.trouble is None


async def test_a_damaged_database_stays_in_trouble_however_well_it_writes(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        owner_id, conversation_id = await _a_conversation(store)

        def failing(_tx: Writer) -> None:
            error = sqlite3.DatabaseError("database disk image is malformed")
            error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise error

        with pytest.raises(DatabaseDamaged):
            await store.write(failing)
        await store.write(_adding(owner_id, conversation_id), conversation_id=conversation_id)
        assert isinstance(store.trouble, DatabaseDamaged)


@on_both_engines
async def test_what_follows_a_commit_is_done_after_it_and_before_the_answer(
    tmp_path: Path, database_url: str | None
) -> None:
    happened: list[str] = []
    store = await Store.open(
        tmp_path, database_url=database_url, announce=lambda _: happened.append("announced")
    )
    owner_id, conversation_id = await _a_conversation(store)
    happened.clear()
    loop = asyncio.get_running_loop()

    def unit(tx: Writer) -> None:
        tx.after_commit(lambda: happened.append(f"done {asyncio.get_running_loop() is loop}"))
        _adding(owner_id, conversation_id)(tx)
        happened.append("run")

    await store.write(unit, conversation_id=conversation_id)
    happened.append("answered")
    assert happened == ["run", "announced", "done True", "answered"]
    await store.close()


@pytest.mark.req("NFR-006")
async def test_what_follows_a_commit_is_done_though_the_caller_has_gone(store: Store) -> None:
    done = asyncio.Event()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await store.write(lambda tx: tx.after_commit(done.set))
    async with asyncio.timeout(5):
        await done.wait()


async def test_what_would_follow_a_unit_that_failed_or_ran_again_is_dropped_with_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    runs: list[str] = []

    def bad(tx: Writer) -> None:
        tx.after_commit(lambda: done.append("bad"))
        raise ValueError("no")

    def busy_at_first(tx: Writer) -> None:
        tx.after_commit(lambda: done.append(f"run {len(runs)}"))
        runs.append("once more")
        if len(runs) < 3:
            raise StoreBusy("Another transaction got in the way.")

    for writer in store._writers:
        monkeypatch.setattr(writer._seam, "may_rerun", lambda error: isinstance(error, StoreBusy))
    results = await asyncio.gather(
        store.write(bad), store.write(busy_at_first), store.write(bad), return_exceptions=True
    )
    assert [type(result) for result in results] == [ValueError, type(None), ValueError]
    assert len(runs) == 3
    assert done == ["run 3"]


async def test_what_would_follow_a_commit_that_failed_is_dropped(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    lost = LostCommits(store, monkeypatch)
    lost.count = 1
    with pytest.raises(StoreError):
        await store.write(lambda tx: tx.after_commit(lambda: done.append("lost")))
    await store.write(lambda tx: tx.after_commit(lambda: done.append("stored")))
    assert done == ["stored"]


@pytest.mark.req("R20")
@on_both_engines
async def test_an_announcement_or_a_callback_that_raises_leaves_no_writer_waiting(
    tmp_path: Path, database_url: str | None
) -> None:
    told: list[str] = []

    def announce(events: Any) -> None:
        told.extend(event.conversation_id for event in events)
        if len(told) % 2:
            raise RuntimeError("this follower cannot listen")

    def broken() -> None:
        raise RuntimeError("this cannot be done")

    store = await Store.open(tmp_path, database_url=database_url, announce=announce)
    owner_id, conversation_id = await _a_conversation(store)
    told.clear()
    done: list[int] = []

    def unit(tx: Writer) -> None:
        _adding(owner_id, conversation_id)(tx)
        tx.after_commit(broken)
        tx.after_commit(lambda: done.append(1))

    async with asyncio.timeout(10):
        await asyncio.gather(
            *(store.write(unit, conversation_id=conversation_id) for _ in range(40))
        )
    assert (len(told), len(done)) == (40, 40)
    assert await _count(store) == 40
    await store.close()


async def test_a_writer_that_dies_leaves_no_caller_waiting_and_is_told_as_trouble(
    store: Store,
) -> None:
    def deadly(_tx: Writer) -> None:
        raise SystemExit

    async with asyncio.timeout(10):
        results = await asyncio.gather(
            *(store.write(deadly if n == 3 else lambda _tx: None) for n in range(6)),
            return_exceptions=True,
        )
        assert any(isinstance(result, StoreUnavailable) for result in results)
        with pytest.raises(StoreUnavailable):
            await store.write(lambda _tx: None)
    assert isinstance(store.trouble, StoreUnavailable)
    assert not store.is_serving
