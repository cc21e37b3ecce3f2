"""Searching: U21, the index made from nothing, and what a search takes as one types."""

import itertools
import random
import time
from typing import Final

from benchmarks.bench import Bench
from benchmarks.figures import Bound, Figure, median, percentile
from benchmarks.worlds import a_heart, write_tale
from talekeeper.conversations.indexing import rebuild_index
from talekeeper.conversations.reading import read_path
from talekeeper.conversations.searching import search_messages
from talekeeper.domain.searching import Sought

LIMIT: Final = 20
_SOUNDS: Final = ("ba", "ren", "tol", "mi", "ska", "der", "u", "lan", "gor", "phe", "st", "wyn")
_HAN: Final = "龙在桥下等着渡船人收两枚硬币灯火熄灭雪落山门"
SOUGHT: Final = {
    "a word of every second message": "lantern",
    "a part of a word": "antern",
    "a word of one message in a thousand": "quincunx",
    "two such words, which meet nowhere": "quincunx palimpsest",
    "a phrase": '"lantern gutters"',
    "two Chinese characters": "渡船",
    "a word that nobody said": "xylophone",
    "two letters": "qu",
}


def _said(number: int) -> str:
    """What is said differs: words of Zipf's frequencies, rare ones, and Chinese now and then."""
    chance = random.Random(number)  # noqa: S311
    words = [_word(int(chance.paretovariate(0.6)) % 20_000) for _ in range(chance.randint(8, 40))]
    if number % 2:
        words[0] = "The lantern gutters"
    if number % 1_000 == 7:
        words[3] = "quincunx"
    if number % 1_000 == 11:
        words[3] = "palimpsest"
    if number % 50 == 3:
        start = chance.randrange(len(_HAN) - 8)
        words.append(_HAN[start : start + 8])
    return " ".join(words)


def _word(number: int) -> str:
    sounds: list[str] = []
    while number or not sounds:
        number, sound = divmod(number, len(_SOUNDS))
        sounds.append(_SOUNDS[sound])
    return "".join(sounds)


async def as_one_types(bench: Bench) -> list[Figure]:
    """U21 in a hundred thousand messages."""
    return await _searched(bench, bench.count(100_000, 10_000))


async def in_a_million(bench: Bench) -> list[Figure]:
    """The same in a million; making the index takes minutes."""
    return await _searched(bench, bench.most)


async def _searched(bench: Bench, count: int) -> list[Figure]:
    place = bench.place("searching") / "data"
    async with a_heart(place) as heart:
        owner = heart.account.id
    bench.say(f"writing {count:,} messages that differ")
    tale = write_tale(place / "talekeeper.db", owner, count, says=_said, is_indexed=False)
    bench.say("making the search index")
    shown = itertools.count()

    def told(read: int, every: int) -> None:
        if next(shown) % 20 == 0:
            bench.say(f"{read:,} of {every:,} events")

    async with a_heart(place) as heart:
        began, cpu = time.perf_counter(), time.process_time()
        await rebuild_index(heart.store, told=told)
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
        pages: list[float] = []
        times: dict[str, list[float]] = {name: [] for name in SOUGHT}
        for _ in range(bench.count(30, 5)):
            since = time.perf_counter()
            await read_path(heart.store, tale.id, owner_id=owner, leaf_id=None, limit=50)
            pages.append(time.perf_counter() - since)
            for name, typed in SOUGHT.items():
                since = time.perf_counter()
                await search_messages(
                    heart.store, typed, owner_id=owner, sought=Sought(), after=None, limit=LIMIT
                )
                times[name].append(time.perf_counter() - since)
    size = (place / "talekeeper.db").stat().st_size
    bench.forget(place.parent)
    # Two letters have no place in the index: they are looked for in the texts, for so long.
    indexed = {name: median(each) for name, each in times.items() if name != "two letters"}
    slowest = max(indexed, key=lambda name: indexed[name])
    return [
        Figure(
            "U21",
            f"A search in {count:,} messages, as one types",
            [
                Bound("the slowest of seven, p50", indexed[slowest] * 1e3, "ms", gate=100, goal=30),
                Bound("over the newest page of 50", indexed[slowest] / median(pages), "×"),
                Bound("making the index, a message", cpu / count * 1e3, "ms of CPU"),
            ],
            {
                **{f"{name}, ms": median(each) * 1e3 for name, each in times.items()},
                "p99 of all but the last, ms": percentile(
                    [one for name in indexed for one in times[name]], 0.99
                )
                * 1e3,
                "the newest page of 50, ms": median(pages) * 1e3,
                "s for the index": took,
                "MB of database": size / (1 << 20),
            },
        )
    ]
