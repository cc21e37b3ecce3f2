"""Appending in this process: G1, G2, G4 and G5, each against a flush of the same disk."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.figures import Bound, Figure, median, percentile
from benchmarks.rulers import Flush
from benchmarks.worlds import Heart, a_heart, write_tale

SENDERS = 64


async def one_sender(bench: Bench) -> list[Figure]:
    """G1 and G2: one message, and a whole send, in flushes."""
    place = bench.place("appending")
    turns = bench.count(3_000, 400)
    async with a_heart(place) as heart:
        flush = Flush(place)
        conversation = (await heart.opened(1))[0]
        fresh = await heart.opened(turns)
        returns: list[float] = []
        appends: list[float] = []
        sends: list[float] = []
        flushes: list[float] = []
        for each in fresh:
            flushes.append(flush.seconds())
            sends.append(await heart.send(each, wants_reply=True))
            flushes.append(flush.seconds())
            returns.append(await heart.send(conversation, wants_reply=False))
            flushes.append(flush.seconds())
            appends.append(await heart.send(conversation, wants_reply=False))
        flush.close()
    bench.forget(place)
    f = median(flushes)
    facts = {"F, µs": f * 1e6}
    append, send = median(appends), median(sends)
    return [
        Figure(
            "G1",
            "One message appended, one sender, on disk",
            [Bound("p50", append / f, "F", gate=3, goal=1.5, limit=1.2)],
            {
                **facts,
                "µs": append * 1e6,
                "p99, µs": percentile(appends, 0.99) * 1e6,
                "F where another conversation stood first in the list": median(returns) / f,
            },
        ),
        Figure(
            "G2",
            "A whole send: message, placeholder, generation, events",
            [Bound("p50", send / f, "F", gate=8, goal=3)],
            {**facts, "µs": send * 1e6, "p99, µs": percentile(sends, 0.99) * 1e6},
        ),
    ]


async def many_senders(bench: Bench) -> list[Figure]:
    """G4: sixty-four senders against one, in turns of a fifth of a second."""
    place = bench.place("senders")
    rounds = bench.count(8, 3)
    async with a_heart(place) as heart:
        fresh = iter(await heart.opened(rounds * bench.count(9_000, 5_000)))

        async def sends(count: int) -> float:
            done = 0
            began = time.perf_counter()
            until = began + 0.3

            async def sender() -> None:
                nonlocal done
                while time.perf_counter() < until:
                    each = next(fresh, None)
                    if each is None:
                        return
                    await heart.send(each, wants_reply=True)
                    done += 1

            await asyncio.gather(*(sender() for _ in range(count)))
            return done / (time.perf_counter() - began)

        alone: list[float] = []
        together: list[float] = []
        commits = units = 0
        for _ in range(rounds):
            alone.append(await sends(1))
            before = heart.store.counts
            together.append(await sends(SENDERS))
            after = heart.store.counts
            commits += after.commits - before.commits
            units += after.units - before.units
    bench.forget(place)
    one, many = median(alone), median(together)
    return [
        Figure(
            "G4",
            f"Group commit: sends a second at {SENDERS} senders over one",
            [
                Bound("times", many / one, "×", gate=2, goal=5, limit=2.6, better="more"),
                Bound("acks a commit", units / commits, "", gate=16, goal=40, better="more"),
            ],
            {"sends a second, one sender": one, f"sends a second, {SENDERS} senders": many},
        )
    ]


async def long_tales(bench: Bench) -> list[Figure]:
    """G5: appending to the longest tale against a short one, and the bytes written."""
    lengths = (100, 10_000, bench.most) if not bench.is_quick else (100, bench.most)
    # Not a copied file: the kernel keeps that in large pieces, and counts a whole one for a page.
    place = bench.place("long")
    async with a_heart(place / "data") as heart:
        owner = heart.account.id
    bench.say(f"writing tales of {', '.join(f'{each:,}' for each in lengths)} messages")
    tales = [write_tale(place / "data" / "talekeeper.db", owner, each) for each in lengths]
    turns = bench.count(2_000, 300)
    async with a_heart(place / "data") as heart:
        times: dict[int, list[float]] = {length: [] for length in lengths}
        for _ in range(turns):
            for length, tale in zip(lengths, tales, strict=True):
                times[length].append(await heart.send(tale.id, wants_reply=False))
        written = {
            length: await _written(heart, lambda t=tale: heart.send(t.id, wants_reply=False))
            for length, tale in zip(lengths, tales, strict=True)
        }
        fresh = iter(await heart.opened(1_000))
        whole = await _written(heart, lambda: heart.send(next(fresh), wants_reply=True))
    bench.forget(place)
    medians = {length: median(each) for length, each in times.items()}
    return [
        Figure(
            "G5",
            f"Appending to {bench.most:,} messages over appending to 100",
            [
                Bound(
                    "p50", medians[bench.most] / medians[100], "×", gate=1.2, goal=1.05, limit=1.05
                ),
                Bound(
                    "written a message",
                    max(written.values()) / 1024,
                    "KiB",
                    gate=24,
                    goal=14,
                    limit=13.4,
                ),
            ],
            {
                **{f"µs at {length:,}": each * 1e6 for length, each in medians.items()},
                **{f"KiB at {length:,}": each / 1024 for length, each in written.items()},
                "KiB a whole send": whole / 1024,
            },
            curves={
                "append": [(length, each * 1e3) for length, each in medians.items()],
            },
        )
    ]


async def _written(heart: Heart, act: Callable[[], Awaitable[object]], times: int = 1_000) -> float:
    """Bytes that one of it gives the disk to write, the log's own copying left out."""
    del heart
    before = _bytes_written()
    for _ in range(times):
        await act()
    return (_bytes_written() - before) / times


def _bytes_written() -> int:
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))
