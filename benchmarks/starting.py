"""Starting: G15 against `python -c pass`, and R8, a restart after a kill up to the first ack."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

from benchmarks.bench import Bench
from benchmarks.figures import Bound, Figure, median
from benchmarks.sending import said
from benchmarks.servers import Server, served

WAL_BYTES = 64 << 20


def _python_alone() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - began


async def starts(bench: Bench) -> list[Figure]:
    """G15: from the command to an answer, with a million messages; and after a kill."""
    place, _ = await bench.copy_of(100, bench.most)
    with served(place) as server:
        server.stop()
        alone: list[float] = []
        took: list[float] = []
        more: list[float] = []
        for _ in range(bench.count(9, 3)):
            alone.append(_python_alone())
            _fill_log(server, 0)  # written anew and synced, as the one with a log is
            took.append(server.start())
            server.stop()
            _fill_log(server, WAL_BYTES)
            megabytes = _log_size(server) / (1 << 20)
            more.append((server.start() - took[-1]) * 1e3 / megabytes)
            server.stop()
    bench.forget(place)
    return [
        Figure(
            "G15",
            f"From the command to an answer, {bench.most:,} messages",
            [
                Bound("over python -c pass", median(took) / median(alone), "×", 150, 60, 8),
                Bound("more a MB of log after a kill", median(more), "ms", 1, None, 0.47),
            ],
            {
                "s": median(took),
                "python -c pass, ms": median(alone) * 1e3,
                "s, slowest": max(took),
                "more a MB, most, ms": max(more),
                "more a MB, least, ms": min(more),
            },
        )
    ]


async def restarts(bench: Bench) -> list[Figure]:
    """R8: killed with 100,000 messages and 64 MB of log, until a message is acknowledged again."""
    messages = bench.count(100_000, 20_000)
    place, tales = await bench.copy_of(messages)
    took: list[float] = []
    with served(place) as server:
        path = f"/api/conversations/{tales[0].id}/messages"
        server.kill()
        for _ in range(bench.count(15, 4)):
            _fill_log(server, WAL_BYTES)
            began = time.perf_counter()
            server.start()
            wire = server.wire()
            wire.seconds("POST", path, said_without_reply(), status=201)
            took.append(time.perf_counter() - began)
            wire.close()
            server.kill()
        size = _log_size(server) / (1 << 20)
    bench.forget(place)
    return [
        Figure(
            "R8",
            f"Restart after a kill up to the first ack, {messages:,} messages, 64 MB of log",
            [
                Bound("p50", median(took), "s", gate=1.5),
                Bound("max", max(took), "s", gate=2.5),
            ],
            {"MB of log at the end": size, "min, s": min(took)},
        )
    ]


def said_without_reply() -> bytes:
    return json.dumps({**json.loads(said()), "reply": False, "id": str(uuid4())}).encode()


def _log_size(server: Server) -> int:
    log = server.database.with_name(server.database.name + "-wal")
    return log.stat().st_size if log.exists() else 0


def _fill_log(server: Server, size: int) -> None:
    """The stopped server's database has a log of that size, as a kill would have left it.

    Closing would move the log into the database: the files are copied while it is open.
    """
    folder = server.database.parent
    aside = folder.with_name("aside")
    shutil.rmtree(aside, ignore_errors=True)
    connection = sqlite3.connect(server.database, isolation_level=None)
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("PRAGMA synchronous = OFF")
    key = int(connection.execute("SELECT max(key) FROM messages").fetchone()[0])
    while _log_size(server) < size:
        connection.execute(
            "UPDATE messages SET updated_at = updated_at + 1 WHERE key > ? AND key <= ?",
            (key - 20_000, key),
        )
    _copied(folder, aside)
    connection.close()
    shutil.rmtree(folder)
    aside.rename(folder)
    os.sync()  # each of a server's commits would have been


def _copied(folder: Path, aside: Path) -> None:
    shutil.copytree(folder, aside, ignore=shutil.ignore_patterns("*-shm"))
