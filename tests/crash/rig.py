"""The crash rig: people who send without pause while their server is killed again and again.

Everybody notes what was acknowledged and when, by one logical clock. `losses` compares the notes
with what the server shows; it is a plain function, so that a test can show it a loss.
"""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from servers import IN_FLIGHT, Client, Server, Unanswered, new_id, until
from talekeeper.store import Store
from talekeeper.store.prepared import prepared
from talekeeper.store.tables import conversations
from talekeeper.store.units import Reader
from talekeeper.store.verifying import verify

_SEQS = prepared(conversations.select().with_only_columns(conversations.c.id, conversations.c.seq))


@dataclass(eq=False)
class Said:
    """One message as its sender knows it."""

    conversation_id: str
    id: str
    text: str
    first_sent: int
    wants_reply: bool
    acked: int | None = None
    seq: int = 0
    reply_id: str | None = None
    unanswered: int = 0
    """How often nobody said what became of it."""


def losses(said: Iterable[Said], trees: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """Everything that was acknowledged and is not there exactly once, as it was, in its order."""
    found: list[str] = []
    acked = [each for each in said if each.acked is not None]
    everything = [message for tree in trees.values() for message in tree]
    by_id = {message["id"]: message for message in everything}
    ids = Counter(message["id"] for message in everything)
    texts = Counter(message["content"] for message in everything if message["role"] == "user")
    for each in acked:
        if ids[each.id] != 1:
            found.append(f"{each.id}: acknowledged, and there {ids[each.id]} times")
            continue
        message = by_id[each.id]
        if message["content"] != each.text or message["conversation_id"] != each.conversation_id:
            found.append(f"{each.id}: not as it was sent")
        if texts[each.text] != 1:
            found.append(f"{each.id}: its text is there {texts[each.text]} times")
        if message["seq"] != each.seq:
            found.append(f"{each.id}: acknowledged at {each.seq}, found at {message['seq']}")
        if each.reply_id is not None and ids[each.reply_id] != 1:
            found.append(f"{each.id}: its reply is there {ids[each.reply_id]} times")
    for conversation_id in trees:
        found += _disorder([each for each in acked if each.conversation_id == conversation_id])
    return found


def _disorder(acked: list[Said]) -> list[str]:
    """Whoever was sent after another's acknowledgement must stand after it."""
    found: list[str] = []
    by_ack = sorted(acked, key=lambda each: each.acked or 0)
    newest = place = 0
    for each in sorted(acked, key=lambda each: each.first_sent):
        while place < len(by_ack) and (by_ack[place].acked or 0) < each.first_sent:
            newest = max(newest, by_ack[place].seq)
            place += 1
        if each.seq <= newest:
            found.append(f"{each.id}: at {each.seq}, though {newest} was acknowledged before")
    return found


@dataclass
class Crowd:
    """Several people who send to the same conversations without pause."""

    client: Client
    conversations: list[str]
    said: list[Said] = field(default_factory=list[Said])
    is_up: asyncio.Event = field(default_factory=asyncio.Event)
    acks: int = 0
    _has_acked: asyncio.Condition = field(default_factory=asyncio.Condition)
    _ticks: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    _is_leaving: bool = False
    _tasks: list["asyncio.Task[None]"] = field(default_factory=list["asyncio.Task[None]"])

    def arrive(self, people: int) -> None:
        self.is_up.set()
        self._tasks = [asyncio.create_task(self._send_forever(who)) for who in range(people)]

    async def leave(self) -> None:
        """Everybody has an answer to what was sent last."""
        self._is_leaving = True
        self.is_up.set()
        async with asyncio.timeout(30):
            await asyncio.gather(*self._tasks)

    async def until_acked(self, more: int) -> None:
        """So many more have been acknowledged; a sender's failure is raised here."""
        target = self.acks + more
        async with asyncio.timeout(30), self._has_acked:
            while self.acks < target:
                for task in self._tasks:
                    if task.done():
                        task.result()
                await asyncio.wait_for(self._has_acked.wait(), 10)

    async def _send_forever(self, who: int) -> None:
        for number in itertools.count():
            if self._is_leaving:
                return
            wants_reply = (who + number) % 3 != 0
            name = new_id()
            each = Said(
                conversation_id=self.conversations[(who + number) % len(self.conversations)],
                id=name,
                text=f"{who} says for the {number}. time: 🐉 {name} [[tokens 24]] [[pace 4ms]]",
                first_sent=next(self._ticks),
                wants_reply=wants_reply,
            )
            self.said.append(each)
            await self._send_until_answered(each)

    async def _send_until_answered(self, each: Said) -> None:
        while True:
            await self.is_up.wait()
            try:
                answer = await self.client.send(
                    each.conversation_id, each.text, id=each.id, reply=each.wants_reply
                )
            except Unanswered:
                each.unanswered += 1
                await asyncio.sleep(0.005)
                continue
            assert answer.status in (200, 201), answer.body
            assert answer["message"]["content"] == each.text
            each.acked = next(self._ticks)
            each.seq = answer["message"]["seq"]
            reply = answer["reply"]
            each.reply_id = None if reply is None else reply["id"]
            self.acks += 1
            async with self._has_acked:
                self._has_acked.notify_all()
            return


@dataclass
class Outcome:
    """What a run of the rig came to."""

    kills: int = 0
    acked: int = 0
    unanswered: int = 0
    interrupted: int = 0
    restarts: list[float] = field(default_factory=list[float])
    found: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        restarts = sorted(self.restarts) or [0.0]
        return (
            f"{self.kills} kills, {self.acked} acknowledged, {self.unanswered} unanswered and sent "
            f"again, {self.interrupted} replies interrupted; from start to first acknowledgement "
            f"p50 {restarts[len(restarts) // 2]:.2f} s, max {restarts[-1]:.2f} s; "
            f"{len(self.found)} found wrong"
        )


async def crash_again_and_again(
    server: Server, *, rounds: int, people: int = 6, stops_when_found: bool = False
) -> Outcome:
    """Kill the server `rounds` times while people send to it, and look each time what is there."""
    outcome = Outcome()
    chance = random.Random()
    async with server.client() as client:
        crowd = Crowd(client, [await client.open() for _ in range(4)])
        crowd.arrive(people)
        loop = asyncio.get_running_loop()
        try:
            for _ in range(rounds):
                await crowd.until_acked(chance.randint(1, 80))
                await asyncio.sleep(chance.uniform(0, 0.03))
                crowd.is_up.clear()
                await asyncio.to_thread(server.kill)
                outcome.kills += 1
                found, seqs = await asyncio.to_thread(server.with_store, _looked_into)
                outcome.found += found
                began = loop.time()
                await asyncio.to_thread(server.start)
                crowd.is_up.set()
                await crowd.until_acked(1)
                outcome.restarts.append(loop.time() - began)
                outcome.found += await _checked(client, crowd, seqs)
                if outcome.found and stops_when_found:
                    break
        finally:
            await crowd.leave()
        assert all(each.acked for each in crowd.said)
        # A fleet's member cannot know at once that another is dead: that takes the other's lease.
        await until(lambda: _all_has_ended(client, crowd), seconds=10)
        trees = {each: await client.tree(each) for each in crowd.conversations}
        outcome.found += losses(crowd.said, trees)
        outcome.acked = crowd.acks
        outcome.unanswered = sum(each.unanswered for each in crowd.said)
        outcome.interrupted = sum(
            message["status"] == "interrupted" for tree in trees.values() for message in tree
        )
    return outcome


async def _looked_into(store: Store) -> tuple[list[str], dict[str, int]]:
    """What is wrong in the killed server's store, and how far each conversation had come."""

    def unit(tx: Reader) -> dict[str, int]:
        return {row[0]: row[1] for row in tx.all(_SEQS)}

    return await verify(store), await store.read(unit)


async def _all_has_ended(client: Client, crowd: Crowd) -> bool:
    trees = [await client.tree(each) for each in crowd.conversations]
    return not any(message["status"] in IN_FLIGHT for tree in trees for message in tree)


async def _checked(client: Client, crowd: Crowd, seqs: Mapping[str, int]) -> list[str]:
    acked = [each for each in crowd.said if each.acked]  # others may be while the trees are read
    trees = {each: await client.tree(each) for each in crowd.conversations}
    found = losses(acked, trees)
    if client.server.database_url is not None:
        return found
    for conversation_id, tree in trees.items():
        found += [
            f"{message['id']}: still {message['status']} after the restart"
            for message in tree
            if message["seq"] <= seqs[conversation_id] and message["status"] in IN_FLIGHT
        ]
    return found
