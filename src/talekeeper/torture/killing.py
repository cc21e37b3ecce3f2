"""Killing: real servers killed with SIGKILL, and crash images of servers that were not.

`kill9` kills, looks into the store as it lies there, starts the server again. `snapshot` stops the
process with SIGSTOP, copies its data folder and lets it run on: the copy is what a kill at that
moment leaves, many times a second. Six people send and follow meanwhile; replies grow.
"""

import asyncio
import shutil
import signal
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from talekeeper.torture.asking import Client, until
from talekeeper.torture.controls import command
from talekeeper.torture.crowd import Crowd
from talekeeper.torture.judging import Contents, contents_in, contents_of
from talekeeper.torture.rigs import Place, Rig, Tally, Wrong
from talekeeper.torture.serving import SERVE, Server, beside, served

PEOPLE = 6
LIFE = 40
"""Kills that one data folder lives through; then another begins, or looking would take longer."""
IMAGES = 150
"""Crash images of one server."""


@asynccontextmanager
async def crowded(
    server: Server, *, people: int = PEOPLE, pause: float = 0.0
) -> AsyncGenerator[Crowd]:
    """People who send to four conversations of `server`, until the block ends."""
    async with server.client() as client:
        crowd = Crowd(client, [await client.open() for _ in range(4)], pause=pause)
        crowd.arrive(people, follow=True)
        try:
            yield crowd
        finally:
            crowd.vanish()


async def crash_again_and_again(server: Server, place: Place, *, kills: int) -> Tally:
    """Kill the server `kills` times while people send to it, and look each time what is there."""
    tally = Tally(figures={"unanswered": 0, "interrupted": 0, "late": 0, "restart_to_ack_s": []})
    chance = place.chance
    async with crowded(server) as crowd:
        for _ in range(kills):
            await crowd.until_acked(chance.randint(1, 80))
            await asyncio.sleep(chance.uniform(0, 0.03))
            crowd.is_up.clear()
            moment = time.monotonic()
            await beside(server.kill)
            tally.rounds += 1
            acked = list(crowd.acked)
            left = await beside(server.with_store, contents_of)
            tally.found += left.judged(acked, crowd.stories)
            tally.figures["late"] += left.late(crowd.stories, moment=moment)
            if tally.found and place.stops_when_found:
                break
            crowd.begin_afresh()
            began = time.monotonic()
            await beside(server.start)
            crowd.is_up.set()
            await crowd.until_acked(1)
            tally.figures["restart_to_ack_s"].append(round(time.monotonic() - began, 3))
            tally.found += await _not_ended(crowd.client, left)
        if not server.is_running:
            return tally
        await crowd.leave()
        await _all_ended(crowd)
    await beside(server.kill)
    left = await beside(server.with_store, contents_of)
    tally.found += left.judged(crowd.said)
    tally.acked = crowd.acks
    tally.figures["unanswered"] = sum(each.unanswered for each in crowd.said)
    tally.figures["interrupted"] = sum(
        message["status"] == "interrupted" for tree in left.trees.values() for message in tree
    )
    return tally


async def _not_ended(client: Client, left: Contents) -> list[Wrong]:
    """What was in flight in the dead server and still is in the next one."""
    found: list[Wrong] = []
    if client.server.database_url is not None:
        return found  # a fleet's member learns of another's death from its lease
    for each in left.in_flight:
        page = await client.tree_page(each["conversation_id"], after=each["seq"] - 1, limit=1)
        if page[0]["status"] != "interrupted":
            what = f"{each['id']}: {page[0]['status']} after the restart"
            found.append(Wrong("wrong", what))
    return found


async def _all_ended(crowd: Crowd) -> None:
    async def have_ended() -> bool:
        states = [await crowd.client.conversation(each) for each in crowd.conversations]
        return all(state["generation_id"] is None for state in states)

    await until(have_ended, seconds=15)


async def _kill9(place: Place, serve: Sequence[str] = SERVE) -> Tally:
    tally = Tally()
    while tally.rounds < place.rounds and not (tally.found and place.stops_when_found):
        folder = place.fresh()
        async with served(folder, command=serve) as server:
            kills = min(LIFE, place.rounds - tally.rounds)
            tally.add(await crash_again_and_again(server, place, kills=kills))
        place.forget(folder)
    return tally


async def _kill9_control(place: Place) -> Tally:
    return await _kill9(place, command("early_acks"))


async def _snapshot(place: Place, serve: Sequence[str] = SERVE) -> Tally:
    tally = Tally(figures={"late": 0})
    while tally.rounds < place.rounds and not (tally.found and place.stops_when_found):
        folder = place.fresh()
        async with served(folder, command=serve) as server, crowded(server, pause=0.05) as crowd:
            images = min(IMAGES, place.rounds - tally.rounds)
            for _ in range(images):
                await _image(server, crowd, place, tally)
                if tally.found and place.stops_when_found:
                    break
            tally.acked += crowd.acks
        place.forget(folder)
    return tally


async def _image(server: Server, crowd: Crowd, place: Place, tally: Tally) -> None:
    await asyncio.sleep(place.chance.uniform(0, 0.05))
    image = place.fresh("image")
    server.send_signal(signal.SIGSTOP)
    try:
        await until(lambda: _is_stopped(server))
        moment = time.monotonic()
        await beside(shutil.copytree, server.data_dir, image / "data")
        await asyncio.sleep(0.002)  # answers that it gave before are read
        acked = list(crowd.acked)
    finally:
        server.send_signal(signal.SIGCONT)
    contents = await beside(contents_in, image / "data")
    tally.rounds += 1
    tally.found += contents.judged(acked, crowd.stories)
    tally.figures["late"] += contents.late(crowd.stories, moment=moment)
    place.forget(image)


def _is_stopped(server: Server) -> bool:
    assert server.process is not None
    stat = Path(f"/proc/{server.process.pid}/stat")
    if not stat.exists():
        return True  # a system without /proc stops soon, too
    return stat.read_text(encoding="utf-8").rpartition(")")[2].split()[0] in "tT"


async def _snapshot_control(place: Place) -> Tally:
    return await _snapshot(place, command("early_acks"))


RIGS = (
    Rig(
        name="kill9",
        proves=("R1", "R7", "R8", "R10"),
        does="kills the server with SIGKILL under six senders and growing replies",
        run=_kill9,
        control=_kill9_control,
        quick=4,
        long=1_000,
        control_rounds=6,
        loses="lost",
    ),
    Rig(
        name="snapshot",
        proves=("R1",),
        does="copies the data folder of a stopped server, which is what a crash leaves",
        run=_snapshot,
        control=_snapshot_control,
        quick=20,
        long=10_000,
        control_rounds=20,
        loses="lost",
    ),
)
