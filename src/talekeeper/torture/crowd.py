"""A crowd: people who send and follow without pause while their server is tortured.

Everybody notes what was acknowledged and when, by one logical clock. `losses` compares the notes
with what is there; it is a plain function, so that a test can show it a loss.
"""

import asyncio
import itertools
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from talekeeper.torture.asking import Client, Story, Unanswered, new_id
from talekeeper.torture.rigs import Wrong

PROMPT_SECONDS = 0.25
"""As long as it takes until text that a follower saw is kept, on a disk that has time (R12)."""


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
    sent_at: float = 0.0
    acked_at: float = 0.0
    """Seconds (monotonic), beside the ticks that order what happened."""
    answered_from: float = 0.0
    """When the request began that was acknowledged: the first, or the last of several."""
    was_stored_before: bool = False
    """The acknowledgement was of a repeat: an earlier request had stored it."""


def losses(said: Iterable[Said], trees: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Wrong]:
    """Everything that was acknowledged and is not there exactly once, as it was, in its order."""
    found: list[Wrong] = []
    acked = [each for each in said if each.acked is not None]
    everything = [message for tree in trees.values() for message in tree]
    by_id = {message["id"]: message for message in everything}
    ids = Counter(message["id"] for message in everything)
    texts = Counter(message["content"] for message in everything if message["role"] == "user")
    by_conversation: dict[str, list[Said]] = {conversation_id: [] for conversation_id in trees}
    for each in acked:
        by_conversation.setdefault(each.conversation_id, []).append(each)
        if ids[each.id] != 1:
            kind = "doubled" if ids[each.id] else "lost"
            found.append(Wrong(kind, f"{each.id}: acknowledged, and there {ids[each.id]} times"))
            continue
        message = by_id[each.id]
        if message["content"] != each.text or message["conversation_id"] != each.conversation_id:
            found.append(Wrong("lost", f"{each.id}: not as it was sent"))
        if texts[each.text] > 1:
            found.append(Wrong("doubled", f"{each.id}: its text is there {texts[each.text]} times"))
        if message["seq"] != each.seq:
            what = f"{each.id}: acknowledged at {each.seq}, found at {message['seq']}"
            found.append(Wrong("lost", what))
        if each.reply_id is not None and ids[each.reply_id] != 1:
            kind = "doubled" if ids[each.reply_id] else "lost"
            found.append(Wrong(kind, f"{each.id}: its reply is there {ids[each.reply_id]} times"))
    for together in by_conversation.values():
        found += _disorder(together)
    return found


def _disorder(acked: list[Said]) -> list[Wrong]:
    """Whoever was sent after another's acknowledgement must stand after it."""
    found: list[Wrong] = []
    by_ack = sorted(acked, key=lambda each: each.acked or 0)
    newest = place = 0
    for each in sorted(acked, key=lambda each: each.first_sent):
        while place < len(by_ack) and (by_ack[place].acked or 0) < each.first_sent:
            newest = max(newest, by_ack[place].seq)
            place += 1
        if each.seq <= newest:
            what = f"{each.id}: at {each.seq}, though {newest} was acknowledged before"
            found.append(Wrong("wrong", what))
    return found


def due_by(acked: Iterable[Said]) -> float:
    """Text that was seen before that moment (monotonic) is on disk, however slow the disk is.

    A message that was sent a quarter of a second after the text was seen has been acknowledged, and
    one more that was sent after that. Writes are kept in the order in which they were asked for:
    the checkpoint that was under way came before the first, and the one with the text before the
    second. Infinitely long ago where not so much was acknowledged.
    """
    known = list(acked)
    newest = max((each.sent_at for each in known), default=-math.inf)
    before = (each.sent_at for each in known if each.acked_at <= newest)
    return max(before, default=-math.inf) - PROMPT_SECONDS


def forgotten(
    stories: Iterable[Story],
    trees: Mapping[str, Sequence[Mapping[str, Any]]],
    *,
    seen_by: float,
) -> list[Wrong]:
    """Text that a follower had seen at `seen_by` (monotonic) and that is not kept."""
    found: list[Wrong] = []
    by_id = {message["id"]: message for tree in trees.values() for message in tree}
    for story in stories:
        longest: dict[str, int] = {}
        for at, name, length in story.seen:
            if at <= seen_by:
                longest[name] = max(length, longest.get(name, 0))
        for name, length in longest.items():
            kept = str(by_id[name]["content"]) if name in by_id else ""
            if len(kept) < length:
                found.append(Wrong("forgotten", f"{name}: {length} seen, {len(kept)} kept"))
            elif kept[:length] != story.grown.get(name, "")[:length]:
                found.append(Wrong("forgotten", f"{name}: not the text that was seen"))
    return found


Spoken = Callable[[int, int, str], str]
"""What somebody says: who, for the how-manieth time, and the message's id."""


def spoken(who: int, number: int, name: str) -> str:
    """A message that orders a growing reply of its own."""
    return f"{who} says for the {number}. time: 🐉 {name} [[tokens 24]] [[pace 4ms]]"


@dataclass
class Crowd:
    """Several people who send to the same conversations without pause, and follow them."""

    client: Client
    conversations: list[str]
    speaks: Spoken = spoken
    patience: float = 120.0
    pause: float = 0.0
    said: list[Said] = field(default_factory=list[Said])
    refused: Counter[str] = field(default_factory=Counter[str])
    slowest_refusal: float = 0.0
    stories: list[Story] = field(default_factory=list[Story])
    is_up: asyncio.Event = field(default_factory=asyncio.Event)
    acks: int = 0
    _has_acked: asyncio.Condition = field(default_factory=asyncio.Condition)
    _ticks: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    _is_leaving: bool = False
    _tasks: list["asyncio.Task[None]"] = field(default_factory=list["asyncio.Task[None]"])
    _following: list["asyncio.Task[None]"] = field(default_factory=list["asyncio.Task[None]"])

    @property
    def acked(self) -> list[Said]:
        return [each for each in self.said if each.acked is not None]

    def stored_since(self, began: float) -> int:
        """How many messages were stored by requests that began after that moment (monotonic)."""
        return sum(each.answered_from > began and not each.was_stored_before for each in self.acked)

    def arrive(self, people: int, *, follow: bool = False) -> None:
        self.is_up.set()
        self._tasks = [asyncio.create_task(self._send_forever(who)) for who in range(people)]
        if follow:
            for conversation_id in self.conversations:
                story = Story()
                self.stories.append(story)
                task = asyncio.create_task(self._follow_forever(story, conversation_id))
                self._following.append(task)

    async def leave(self) -> None:
        """Everybody has an answer to what was sent last."""
        self._is_leaving = True
        self.is_up.set()
        try:
            async with asyncio.timeout(self.patience):
                await asyncio.gather(*self._tasks)
        finally:
            self.vanish()

    def vanish(self) -> None:
        """Nobody sends or follows any more, answered or not."""
        for task in (*self._tasks, *self._following):
            task.cancel()

    def begin_afresh(self) -> None:
        """What followers saw is forgotten: a dead server may have shown more than it had kept."""
        for story in self.stories:
            story.messages.clear()
            story.texts.clear()
            story.grown.clear()
            story.seen.clear()
            story.last_event_id = None

    async def until_acked(self, more: int) -> None:
        """So many more have been acknowledged; a sender's failure is raised here."""
        target = self.acks + more
        async with asyncio.timeout(self.patience), self._has_acked:
            while self.acks < target:
                for task in self._tasks:
                    if task.done():
                        task.result()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._has_acked.wait(), 1)

    async def _send_forever(self, who: int) -> None:
        for number in itertools.count():
            if self._is_leaving:
                return
            name = new_id()
            each = Said(
                conversation_id=self.conversations[(who + number) % len(self.conversations)],
                id=name,
                text=self.speaks(who, number, name),
                first_sent=next(self._ticks),
                wants_reply=(who + number) % 3 != 0,
                sent_at=time.monotonic(),
            )
            self.said.append(each)
            await self._send_until_answered(each)
            await asyncio.sleep(self.pause)

    async def _send_until_answered(self, each: Said) -> None:
        while True:
            await self.is_up.wait()
            began = time.monotonic()
            try:
                answer = await self.client.send(
                    each.conversation_id, each.text, id=each.id, reply=each.wants_reply
                )
            except Unanswered:
                each.unanswered += 1
                await asyncio.sleep(0.005)
                continue
            if answer.status == 503:
                self.refused[answer["code"]] += 1
                self.slowest_refusal = max(self.slowest_refusal, time.monotonic() - began)
                assert int(answer.headers["Retry-After"]) >= 1
                assert answer["retryable"] is True
                if self._is_leaving:
                    return
                await asyncio.sleep(0.05)
                continue
            assert answer.status in (200, 201), answer.body
            assert answer["message"]["content"] == each.text
            each.seq = answer["message"]["seq"]
            reply = answer["reply"]
            each.reply_id = None if reply is None else reply["id"]
            each.acked = next(self._ticks)
            each.acked_at = time.monotonic()
            each.answered_from = began
            each.was_stored_before = answer.status == 200
            self.acks += 1
            async with self._has_acked:
                self._has_acked.notify_all()
            return

    async def _follow_forever(self, story: Story, conversation_id: str) -> None:
        while True:
            await self.is_up.wait()
            with suppress(*Unanswered, AssertionError):
                async with self.client.following(conversation_id, story.last_event_id) as stream:
                    while (events := await stream.some()) is not None:
                        for event in events:
                            story.apply(event)
                        story.events.clear()
            await asyncio.sleep(0.01)
