"""Following: G12, what a follower takes of memory, and whether it gives it back."""

import asyncio
import resource

import psutil

from benchmarks.bench import Bench
from benchmarks.figures import Bound, Figure
from benchmarks.servers import Server, served
from benchmarks.streaming import Heard, follow
from talekeeper.cli.starting import SOON_SECONDS


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
            await asyncio.sleep(SOON_SECONDS + 2)  # what replies need is imported by then
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
            given_back = await _given_back(server, base)
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
                Bound("when they have left, over base", given_back / base, "×", 1.25, 1.05),
            ],
            {
                "MB with all": full / (1 << 20),
                "MB as they leave": after / (1 << 20),
                "MB when they have left": given_back / (1 << 20),
                "MB after 500 more": settled / (1 << 20),
            },
        )
    ]


async def _given_back(server: Server, base: int) -> int:
    """The memory that is left a while later, at the most twice as long as it is given back."""
    for _ in range(20):
        await asyncio.sleep(1)
        if server.rss() < base * 1.05:
            break
    return server.rss()


async def _until(holds: "object") -> None:
    assert callable(holds)
    for _ in range(1_000):
        if holds():
            return
        await asyncio.sleep(0.02)
