"""Reading long tales: G7 over HTTP, G8 and G14 in this process."""

import asyncio

from benchmarks.bench import Bench
from benchmarks.figures import Bound, Figure, median, percentile
from benchmarks.rulers import echo_server
from benchmarks.servers import served
from benchmarks.worlds import a_heart
from talekeeper.database import Reader
from talekeeper.database.statements import statement
from talekeeper.domain.conversations import AS_THE_PROVIDER_DOES, Message
from talekeeper.prompts import composed, divided
from talekeeper.prompts.fitting import window_of
from talekeeper.store.messages import MESSAGE_COLUMNS, stored_message
from talekeeper.store.walking import lines_to, path_to

PAGE = 50
_NEIGHBOURS = statement(
    f"""
    SELECT {MESSAGE_COLUMNS}
    FROM messages AS m LEFT JOIN messages AS parent ON parent.key = m.parent_key
    WHERE m.key > :above AND m.key <= :upto
    ORDER BY m.key
    """
)


async def newest(bench: Bench) -> list[Figure]:
    """G7: the newest fifty over HTTP, of a million and of a hundred, against an empty server."""
    place, tales = await bench.copy_of(100, bench.most)
    turns = bench.count(1_500, 200)
    short, long = (
        f"/api/conversations/{each.id}/messages?limit={PAGE}" for each in (tales[0], tales[1])
    )
    with served(place) as server, echo_server() as echo_port:
        from benchmarks.rulers import Wire

        wire, echo = server.wire(), Wire(echo_port)
        size = len(wire.ask("GET", long)[1])
        times: dict[str, list[float]] = {"short": [], "long": [], "echo": []}
        for _ in range(turns):
            times["short"].append(wire.seconds("GET", short))
            times["echo"].append(echo.seconds("GET", f"/?{size}"))
            times["long"].append(wire.seconds("GET", long))
        wire.close()
        echo.close()
    bench.forget(place)
    at = {name: median(each) for name, each in times.items()}
    return [
        Figure(
            "G7",
            f"The newest {PAGE} of {bench.most:,} over HTTP",
            [
                Bound("over the newest of 100", at["long"] / at["short"], "×", 1.2, 1.05),
                Bound("over own echo", (at["long"] - at["echo"]) * 1e3, "ms", 2, 0.3),
            ],
            {
                "ms": at["long"] * 1e3,
                "ms of 100": at["short"] * 1e3,
                "echo, ms": at["echo"] * 1e3,
                "p99, ms": percentile(times["long"], 0.99) * 1e3,
            },
            curves={
                "newest 50 over HTTP": [(100, at["short"] * 1e3), (bench.most, at["long"] * 1e3)]
            },
        )
    ]


async def walking(bench: Bench) -> list[Figure]:
    """G8 and G14: fifty messages from a leaf towards the root, and what is told to a model."""
    place, tales = await bench.world(100, bench.most)
    tale = tales[1]
    turns = bench.count(3_000, 400)
    async with a_heart(place) as heart:

        def walk(tx: Reader) -> tuple[Message, ...]:
            return path_to(tx, tale.leaf_key, limit=PAGE)

        def neighbours(tx: Reader) -> tuple[Message, ...]:
            rows = tx.all(_NEIGHBOURS, above=tale.leaf_key - PAGE, upto=tale.leaf_key)
            return tuple(stored_message(tx, row).message for row in rows)

        def compose(tx: Reader) -> int:
            history, _ = lines_to(tx, tale.leaf_key, limit=PAGE)
            asked = composed(
                divided(history, purpose="general"),
                window_of(100_000, 32_000, AS_THE_PROVIDER_DOES),
                model="a model",
            )
            return len(asked.request.turns)

        def timed(tx: Reader) -> dict[str, list[float]]:
            import time

            times: dict[str, list[float]] = {"walk": [], "neighbours": [], "compose": []}
            for _ in range(turns):
                for name, unit in (
                    ("walk", walk),
                    ("neighbours", neighbours),
                    ("compose", compose),
                ):
                    began = time.perf_counter()
                    unit(tx)
                    times[name].append(time.perf_counter() - began)
            return times

        times = await heart.store.read(timed)
    await asyncio.sleep(0)
    at = {name: median(each) for name, each in times.items()}
    return [
        Figure(
            "G8",
            f"{PAGE} messages leaf to root in a tree of {bench.most:,}",
            [Bound("over neighbouring rows", at["walk"] / at["neighbours"], "×", 2.2, 1.5, 1.5)],
            {"walk, µs": at["walk"] * 1e6, "neighbours, µs": at["neighbours"] * 1e6},
        ),
        Figure(
            "G14",
            f"What is told to a model: a walk of {PAGE} in a tree of {bench.most:,}, composed",
            [Bound("p50", at["compose"] * 1e3, "ms", gate=3, goal=0.5, limit=0.15)],
            {"ms": at["compose"] * 1e3},
            note="There are no names to look for yet: the walk, the fitting and the receipt alone.",
        ),
    ]
