"""What a send, a page, a token and a follower cost, counted instead of timed: flushes, bytes,
statements, plans, system calls and memory (G4, G5, G7, G8, G10, G12, R15).

Counts hold on a slow and busy machine as on any other; times are in `make bench`.
"""

import asyncio
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from benchmarks.bench import Bench
from benchmarks.counting import system_calls
from benchmarks.servers import served
from benchmarks.streaming import a_load, follow
from benchmarks.worlds import Heart, a_heart, write_tale

from every_statement import statements
from talekeeper.__main__ import has_glibc
from talekeeper.cli.starting import SOON_SECONDS
from talekeeper.conversations.reading import read_path
from talekeeper.database import Store
from talekeeper.database.sqlite import PAGE_BYTES
from talekeeper.domain.changes import KEPT
from talekeeper.ids import ConversationId, MessageId, fresh_id
from talekeeper.store.verifying import verify

ROOT = Path(__file__).parents[2]
SENDS = 640
NOT_HOT = frozenset(
    {
        # At a start, or by whoever keeps the house: never while somebody waits for an answer.
        "generations._ABANDONED",
        "generations._RUNNING_OF",
        # Through the few that run, by the index that holds no others; PostgreSQL alone is asked.
        "generations._STOPS_ASKED",
    }
)
HOT = (
    "messages",
    "message_changes",
    "walking",
    "events",
    "generations",
    "conversations",
    "holding",
    "listing",
    "units",
)


@pytest.mark.req("G4")
@pytest.mark.skipif(not shutil.which("strace"), reason="NO STRACE HERE: flushes are not counted")
def test_sixty_four_senders_share_a_flush_among_sixteen_acks_at_least(tmp_path: Path):
    def flushes(count: int) -> int:
        """Of a run with so many sends. Conversations are opened before, many to a commit."""
        report = tmp_path / f"strace-{count}"
        subprocess.run(
            [
                *("strace", "-f", "-c", "-U", "calls,name", "-e", "trace=fdatasync,fsync"),
                *("-o", report, sys.executable, Path(__file__).with_name("senders.py")),
                *(tmp_path / f"store-{count}", str(count)),
            ],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=True,
            timeout=120,
        )
        found = re.findall(r"^\s*(\d+)\s+(?:fdatasync|fsync)\s*$", report.read_text(), re.MULTILINE)
        return sum(map(int, found))

    assert flushes(SENDS) - flushes(0) <= SENDS / 16


@pytest.mark.req("G5")
@pytest.mark.parametrize("length", [100, 5_000])
async def test_a_message_writes_seven_small_pages_at_most_however_long_its_tale(
    tmp_path: Path, length: int
):
    async with a_heart(tmp_path) as heart:
        owner = heart.account.id
    tale = write_tale(tmp_path / "talekeeper.db", owner, length, is_indexed=False)
    async with a_heart(tmp_path) as heart:
        log = tmp_path / "talekeeper.db-wal"
        await heart.send(tale.id, wants_reply=False)
        before = log.stat().st_size
        for _ in range(50):
            await heart.send(tale.id, wants_reply=False)
        pages = (log.stat().st_size - before) / (PAGE_BYTES + 24) / 50
        assert await verify(heart.store) == []
    # The message, its id, its place in the tree, the event, the conversation; now and then a split.
    assert 0 < pages <= 7
    assert PAGE_BYTES <= 2_048


@pytest.mark.req("G2", "G5")
async def test_a_whole_send_takes_eleven_statements_in_a_tale_of_any_length(tmp_path: Path):
    async with a_heart(tmp_path) as heart:
        owner = heart.account.id
    tales = [write_tale(tmp_path / "talekeeper.db", owner, length) for length in (10, 2_000)]
    async with a_heart(tmp_path) as heart:
        counts: list[int] = []
        for tale in tales:
            with _traced(heart, _writer_of) as statements:
                await heart.send(tale.id, wants_reply=True)
            counts.append(len(statements))
        assert counts[0] == counts[1]
        # Begin, hold, look for the id, two messages, the generation, the account's newest activity,
        # the conversation, two events, commit.
        assert counts[0] <= 11


@pytest.mark.req("G7", "NFR-002")
async def test_a_page_takes_as_many_statements_of_a_long_tale_as_of_a_short_one(tmp_path: Path):
    async with a_heart(tmp_path) as heart:
        owner = heart.account.id
    tales = [write_tale(tmp_path / "talekeeper.db", owner, length) for length in (60, 3_000)]
    async with a_heart(tmp_path) as heart:

        async def page(conversation_id: ConversationId) -> int:
            found = await read_path(
                heart.store,
                conversation_id,
                owner_id=heart.account.id,
                leaf_id=None,
                before=None,
                limit=50,
            )
            return len(found.items)

        counts: list[int] = []
        for tale in tales:
            with _every_reader_traced(heart) as statements:
                assert await page(tale.id) == 50
            counts.append(len(statements))
        assert counts[0] == counts[1]
        assert counts[0] <= 7


@pytest.mark.req("G7", "G8", "C-S3")
async def test_every_statement_of_a_send_a_page_and_a_stream_searches_and_never_scans(
    tmp_path: Path,
):
    async with a_heart(tmp_path) as heart:
        await heart.opened(1)
    connection = sqlite3.connect(tmp_path / "talekeeper.db")
    scans: list[str] = []
    seen = 0
    for name, statement in statements():
        if not name.startswith(HOT) or name in NOT_HOT or statement.sqlite is None:
            continue
        seen += 1
        given = dict.fromkeys(re.findall(r":([a-z]\w*)", statement.sqlite))
        for row in connection.execute(f"EXPLAIN QUERY PLAN {statement.sqlite}", given):
            # Going through what a walk has found is no scan of a table.
            if re.match(r"SCAN (?!path|way|forest|subtree|CONSTANT|\()", row[3]):
                scans.append(f"{name}: {row[3]}")
    connection.close()
    assert seen > 20
    assert scans == []


@pytest.mark.req("G10")
async def test_a_token_costs_at_most_six_system_calls_at_a_hundred_streams(tmp_path: Path):
    bench = Bench(tmp_path, is_quick=True)
    async with a_load(bench, 100, "tokens=400 ms=50") as load:
        before = load.tokens
        calls = await asyncio.to_thread(system_calls, load.server.pid, 2.0)
        heard = load.tokens - before
    if calls is None:
        pytest.skip("NEITHER PERF NOR STRACE HERE: system calls are not counted")
    assert heard > 100
    assert calls / heard <= 6


@pytest.mark.req("G12", "R15")
async def test_a_follower_takes_64_kib_at_most_and_leaves_nothing_behind(tmp_path: Path):
    with served(tmp_path) as server:
        wire = server.wire()
        conversation = re.findall(
            rb'"id":"([0-9a-f-]+)"', wire.ask("POST", "/api/conversations", b"{}")[1]
        )[0].decode()
        process = psutil.Process(server.pid)
        first = await asyncio.gather(*(follow(server, conversation) for _ in range(100)))
        for each in first:  # what the first ones make is made once
            each.transport.close()
        await _until(lambda: process.num_fds() < 70)
        await asyncio.sleep(SOON_SECONDS + 2)  # what replies need is imported by then
        files, base = process.num_fds(), server.rss()
        heard = [await follow(server, conversation) for _ in range(800)]
        grown = server.rss() - base
        assert 800 * 4096 < grown <= 800 * 64 * 1024
        for each in heard:
            each.transport.close()
        await _until(lambda: process.num_fds() <= files)
        assert process.num_fds() <= files
        if has_glibc():
            await _until(lambda: server.rss() - base <= grown / 2)
        wire.close()


@pytest.mark.req("G15", "R8")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts what a process reads")
async def test_a_start_reads_the_log_of_a_kill_once_to_recover_and_once_to_check(tmp_path: Path):
    async with a_heart(tmp_path / "killed") as heart:
        tale = (await heart.opened(1))[0]
        for _ in range(100):
            await heart.sender.send_message(
                tale,
                MessageId(fresh_id()),
                "x" * 60_000,
                owner_id=heart.account.id,
                parent_id=KEPT,
                wants_reply=False,
            )
        shutil.copytree(tmp_path / "killed", tmp_path / "left")
    log = (tmp_path / "left" / "talekeeper.db-wal").stat().st_size
    assert log > 5 << 20
    before = _bytes_read()
    store = await Store.open(tmp_path / "left")
    read = _bytes_read() - before
    try:
        assert log < read < 2.2 * log
    finally:
        await store.close()


def _bytes_read() -> int:
    """By this process so far, from the disk or from memory."""
    counters = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(counters["rchar"])


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.02)


def _writer_of(heart: Heart) -> sqlite3.Connection:
    connection = heart.store._writers[0]._connection
    assert isinstance(connection, sqlite3.Connection)
    return connection


@contextmanager
def _traced(
    heart: Heart, connection_of: Callable[[Heart], sqlite3.Connection]
) -> Iterator[list[str]]:
    statements: list[str] = []
    connection = connection_of(heart)
    connection.set_trace_callback(_only_whole(statements))
    try:
        yield statements
    finally:
        connection.set_trace_callback(None)


@contextmanager
def _every_reader_traced(heart: Heart) -> Iterator[list[str]]:
    statements: list[str] = []
    readers = heart.store._readers
    connect = readers._seam.connect_reader

    def traced() -> sqlite3.Connection:
        connection = connect()
        assert isinstance(connection, sqlite3.Connection)
        connection.set_trace_callback(_only_whole(statements))
        return connection

    for known in readers._connections:
        assert isinstance(known, sqlite3.Connection)
        known.set_trace_callback(_only_whole(statements))
    readers._seam.connect_reader = traced
    try:
        yield statements
    finally:
        readers._seam.connect_reader = connect
        for known in readers._connections:
            assert isinstance(known, sqlite3.Connection)
            known.set_trace_callback(None)


def _only_whole(statements: list[str]) -> Callable[[str], None]:
    """Takes down statements; what triggers and PRAGMAs do inside is not one."""

    def take(sql: str) -> None:
        if not sql.startswith(("--", "PRAGMA")):
            statements.append(sql)

    return take
