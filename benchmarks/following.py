"""Following: G12, what a follower takes of memory, and whether it gives it back."""

import asyncio
import resource

import psutil

from benchmarks.bench import Bench
from benchmarks.figures import Bound, Figure
from benchmarks.servers import served
from benchmarks.streaming import Heard, follow


async def memory(bench: Bench) -> list[Figure]:
    """G12 and R15: thousands of open streams, and the base afterwards."""
    wanted = bench.count(10_000, 1_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(wanted, hard - 500)
    place = bench.place("following")
    try:
        with served(place) as server:
            wire = server.wire()
            import json

            made = wire.ask("POST", "/api/conversations", b'{"title": "A tale"}')
            conversation = json.loads(made[1])["id"]
            process = psutil.Process(server.pid)
            first = await asyncio.gather(*(follow(server, conversation) for _ in range(200)))
            for each in first:  # what the first ones make is made once
                each.transport.close()
            await _until(lambda: process.num_fds() < 60)
            base, files = server.rss(), process.num_fds()
            heard: list[Heard] = []
            for start in range(0, count, 500):
                heard += await asyncio.gather(
                    *(follow(server, conversation) for _ in range(min(500, count - start)))
                )
                if start % 2_500 == 0:
                    bench.say(f"{len(heard):,} followers, {server.rss() >> 20} MB")
            full = server.rss()
            for each in heard:
                each.transport.close()
            await _until(lambda: process.num_fds() <= files)
            left = process.num_fds() - files
            after = server.rss()
            again = await asyncio.gather(*(follow(server, conversation) for _ in range(500)))
            for each in again:
                each.transport.close()
            await _until(lambda: process.num_fds() <= files)
            settled = server.rss()
            wire.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    bench.forget(place)
    return [
        Figure(
            "G12",
            f"Memory: {count:,} followers, and the server alone",
            [
                Bound("a follower", (full - base) / count / 1024, "KiB", gate=64, goal=16, limit=3),
                Bound("base", base / (1 << 20), "MB", gate=160, goal=90, limit=15),
                Bound("files left open", left, "", gate=0, goal=0),
            ],
            {
                "MB with all": full / (1 << 20),
                "MB after they left": after / (1 << 20),
                "MB after 500 more": settled / (1 << 20),
            },
        )
    ]


async def _until(holds: "object") -> None:
    assert callable(holds)
    for _ in range(1_000):
        if holds():
            return
        await asyncio.sleep(0.02)
