"""What a fleet must bear: any of three killed, frozen beyond its lease, cut from Redis or PostgreSQL.

People send to any server and follow from any, all the while. Counted is what was acknowledged and is
lost or doubled, and every gap or repetition that any follower was told. The long form (`--long`) does
each again and again.
"""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from engines import Valkey
from fleet.fleets import Member, a_fleet
from servers import SERVE, Client, Story, until
from talekeeper.torture import controls
from talekeeper.torture.asking import IN_FLIGHT
from talekeeper.torture.crowd import Crowd, losses
from talekeeper.torture.serving import beside

pytestmark = [pytest.mark.postgres, pytest.mark.req("C-S2", "R1", "R11", "R12", "R19")]

PEOPLE = 4
LEASE_AND_MORE = 6.5


async def killed(member: Member) -> None:
    await beside(member.server.kill)
    await asyncio.sleep(0.5)
    await beside(member.server.start)


async def frozen(member: Member) -> None:
    member.server.send_signal(signal.SIGSTOP)
    await asyncio.sleep(LEASE_AND_MORE)
    member.server.send_signal(signal.SIGCONT)


async def cut_from_redis(member: Member) -> None:
    member.redis.cut()
    await asyncio.sleep(2)
    member.redis.mend()


async def cut_from_postgresql(member: Member) -> None:
    member.database.cut()
    await asyncio.sleep(2)
    member.database.mend()


async def undisturbed(_: Member) -> None:
    await asyncio.sleep(4)


TROUBLES = {
    "killed": (killed, 10),
    "frozen": (frozen, 5),
    "cut_from_redis": (cut_from_redis, 15),
    "cut_from_postgresql": (cut_from_postgresql, 15),
}


async def test_nothing_is_lost_or_doubled_and_no_follower_has_a_gap(
    tmp_path: Path, postgres_database: str, valkey: Valkey
):
    every = [act for act, _ in TROUBLES.values()]
    await _suffered(tmp_path, postgres_database, valkey, every, name="each once")


async def test_the_rig_reports_the_gaps_of_processes_that_lose_what_they_hear(
    tmp_path: Path, postgres_database: str, valkey: Valkey
):
    """The control: servers that lose every third batch, with both nets under it switched off."""
    command = controls.command("deaf_to_lapses")
    with pytest.raises(AssertionError, match=r"delta at \d+, known up to"):
        await _suffered(
            tmp_path,
            postgres_database,
            valkey,
            [undisturbed] * 2,
            name="deaf to lapses",
            command=command,
        )


@pytest.mark.long
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("trouble", TROUBLES)
async def test_nothing_is_lost_or_doubled_however_often(
    tmp_path: Path, postgres_database: str, valkey: Valkey, trouble: str
):
    act, rounds = TROUBLES[trouble]
    await _suffered(tmp_path, postgres_database, valkey, [act] * rounds, name=trouble)


async def _suffered(
    folder: Path,
    database_url: str,
    valkey: Valkey,
    acts: Sequence[Callable[[Member], Awaitable[None]]],
    *,
    name: str,
    command: Sequence[str] = SERVE,
) -> None:
    chance = random.Random(name)
    async with (
        a_fleet(folder, 3, database_url, valkey, command=command) as fleet,
        fleet.anyone() as client,
    ):
        conversations = [await client.open() for _ in range(3)]
        crowd = Crowd(client, conversations, speaks=_spoken, pause=0.05)
        crowd.arrive(PEOPLE, follow=True)
        try:
            for act in acts:
                await crowd.until_acked(10)
                member = chance.choice(fleet.members)
                async with member.server.client() as asking:
                    await until(lambda asking=asking: _writes_a_reply(asking))
                member.is_reached = False
                await act(member)
                await crowd.until_acked(5)
                member.is_reached = True
                await crowd.until_acked(10)
            await crowd.leave()
            await until(lambda: _all_ended(client, crowd.conversations), seconds=20)
        finally:
            crowd.vanish()
        trees = {each: await client.tree(each) for each in crowd.conversations}
        wrong = losses(crowd.said, trees)
        statuses = [m["status"] for tree in trees.values() for m in tree]
        gaps = [fault for story in crowd.stories for fault in _gaps(story)]
        print(
            f"{name}: {len(acts)} rounds, {crowd.acks} acknowledged,"
            f" {sum(each.kind == 'lost' for each in wrong)} lost,"
            f" {sum(each.kind == 'doubled' for each in wrong)} doubled, {len(gaps)} gaps,"
            f" {statuses.count('interrupted')} interrupted replies,"
            f" {sum(len(story.seen) for story in crowd.stories)} pieces followed"
        )
        assert [str(each) for each in wrong] == []
        assert gaps == []
        assert not IN_FLIGHT & set(statuses)
        assert sum(len(story.seen) for story in crowd.stories) > 0


def _spoken(who: int, number: int, name: str) -> str:
    """A message that orders a reply of about a second, so that a trouble finds one growing."""
    return f"{who} says for the {number}. time: {name} [[tokens 150]] [[pace 5ms]]"


def _gaps(story: Story) -> list[str]:
    """What a follower was told with a hole or twice.

    A reply whose process died ends with what was stored, which may be less than was told: R12 lets
    the last second go. That is no gap.
    """
    cut_short = {
        name
        for name, message in story.messages.items()
        if message["status"] == "interrupted"
        and story.grown.get(name, "").startswith(message["content"])
    }
    return [each for each in story.faults if not any(each.startswith(name) for name in cut_short)]


async def _writes_a_reply(client: Client) -> bool:
    """The trouble finds a reply that grows there."""
    metrics = (await client.get("/metrics")).body.decode()
    return "talekeeper_running_generations 0.0" not in metrics


async def _all_ended(client: Client, conversations: list[str]) -> bool:
    states = [await client.conversation(each) for each in conversations]
    return all(state["generation_id"] is None for state in states)
