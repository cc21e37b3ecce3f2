"""A crowd: opening a long conversation, and sending while ten write and others read (R23, NFR-001/2/8/9)."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from benchmarks.bench import Bench
from benchmarks.figures import Bound, Figure, median, percentile
from benchmarks.sending import said
from benchmarks.servers import Server, served

WRITERS = 10
PAUSE = 0.2
"""Seconds between a writer's sends: five a second each is far more than people at a table write."""


async def ten_writers(bench: Bench) -> list[Figure]:
    """R23: the first page of 10,000 messages, and the slowest sends of ten writers."""
    place, tales = await bench.copy_of(10_000)
    path = f"/api/conversations/{tales[0].id}/messages"
    seconds = bench.count(12, 4)
    with served(place) as server:
        wire = server.wire()
        cold = wire.seconds("GET", f"{path}?limit=50")
        opening = [_opened(server, tales[0].id) for _ in range(bench.count(50, 10))]
        sends = _sends(server, path, seconds)
        wire.seconds("POST", "/api/search/index", b"{}", status=202)
        indexing = _sends(server, path, bench.count(4, 2))
        wire.close()
    bench.forget(place)
    return [
        Figure(
            "R23",
            "10,000 messages: opening them; sending with ten writers while one reads",
            [
                Bound("conversation and first page", percentile(opening, 0.99) * 1e3, "ms", 500),
                Bound("send, p99", percentile(sends, 0.99) * 1e3, "ms", 100),
            ],
            {
                "first page cold, ms": cold * 1e3,
                "opening, p50, ms": median(opening) * 1e3,
                "send, p50, ms": median(sends) * 1e3,
                "send, p99 while the search index is made, ms": percentile(indexing, 0.99) * 1e3,
                "sends": float(len(sends)),
                "sends a second": len(sends) / seconds,
            },
        )
    ]


def _sends(server: Server, path: str, seconds: float) -> list[float]:
    """How long ten writers' sends took, for so many seconds, while one reads page after page."""
    until = time.monotonic() + seconds
    reading = threading.Thread(target=_read, args=(server, path, until))
    reading.start()
    with ThreadPoolExecutor(WRITERS) as crowd:
        sends = crowd.map(_write, [server] * WRITERS, [until] * WRITERS)
        took = [one for each in sends for one in each]
    reading.join()
    return took


def _opened(server: Server, conversation_id: str) -> float:
    began = time.perf_counter()
    wire = server.wire()
    wire.seconds("GET", f"/api/conversations/{conversation_id}")
    wire.seconds("GET", f"/api/conversations/{conversation_id}/messages?limit=50")
    wire.close()
    return time.perf_counter() - began


def _write(server: Server, until: float) -> list[float]:
    wire = server.wire()
    made = wire.ask("POST", "/api/conversations", b'{"title": "A tale"}')
    path = f"/api/conversations/{json.loads(made[1])['id']}/messages"
    took: list[float] = []
    while time.monotonic() < until:
        took.append(wire.seconds("POST", path, said(), status=201))
        time.sleep(PAUSE)
    wire.close()
    return took


def _read(server: Server, path: str, until: float) -> None:
    wire = server.wire()
    while time.monotonic() < until:
        wire.seconds("GET", f"{path}?limit=50")
        time.sleep(0.01)
    wire.close()
