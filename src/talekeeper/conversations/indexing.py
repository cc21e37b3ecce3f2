"""Indexing: one task that keeps the search index up with the logs.

A send only names its conversation's log here, in memory. Half a second after something was said, the
task reads what is new in the logs that were named and enters it, in small writes between which
others' messages come through. The logs that were not named (of what was said before a crash or by
another server, or when the index is empty) are looked for at the start, newest activity first, and
on PostgreSQL again every minute.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import Final

import structlog

from talekeeper.database import Reader, Store, Writer
from talekeeper.domain.events import Announced, Log, Recorded
from talekeeper.errors import StoreError, trail
from talekeeper.ids import ConversationId
from talekeeper.store.indexing import (
    FOLLOWER,
    News,
    empty_index,
    enter_news,
    forget_gone,
    is_current,
    mark_caught_up,
    prepare_index,
    read_gone,
    read_news,
)
from talekeeper.store.places import logs_behind, unread_and_all
from talekeeper.tasks import Duty, OwnTasks

INTERVAL: Final = 0.5
"""Seconds after which what was said is entered."""
STEP: Final = 32_000
"""Characters of one write while people are served."""
LARGE_STEP: Final = 1_000_000
"""Characters of one write while nobody is."""
_LOOK_AROUND: Final = 60.0
_AGAIN: Final = 2.0
_AT_ONCE: Final = 200
"""Logs that are looked for at once."""

_DUTY: Final = Duty("indexing", "A search does not find what is said from now on.")

log = structlog.get_logger(__name__)

Told = Callable[[int, int], None]
"""Told after each step how many events have been read, and how many there are."""


class Heard:
    """The logs in which something happened since they were last taken."""

    def __init__(self) -> None:
        self._logs: dict[Log, None] = {}
        self.something = asyncio.Event()

    def hear(self, events: Iterable[Announced]) -> None:
        """Called after the commit, on the event loop."""
        for event in events:
            if isinstance(event, Recorded):
                self._logs[event.log] = None
        if self._logs:
            self.something.set()

    def take(self) -> list[Log]:
        logs = list(self._logs)
        self._logs.clear()
        self.something.clear()
        return logs

    def give_back(self, logs: Iterable[Log]) -> None:
        """They could not be read: they are still to be."""
        self._logs = {**dict.fromkeys(logs), **self._logs}


class Indexing:
    """The one task that follows the log for the search index."""

    def __init__(self, store: Store, heard: Heard, *, tasks: OwnTasks) -> None:
        self._store = store
        self._tasks = tasks
        self._heard = heard
        self._is_to_look = asyncio.Event()
        self._is_to_look.set()
        self._task = tasks.start(_DUTY, self._follow_forever())

    async def close(self) -> None:
        """Nothing is read any more; what is unread is read at the next start."""
        await self._tasks.stop(self._task)

    async def rebuild(self) -> None:
        """The index is empty, and is being made anew."""

        def empty(tx: Writer) -> None:
            empty_index(tx)
            tx.after_commit(self._look_again)

        await self._store.write(empty)

    def _look_again(self) -> None:
        self._is_to_look.set()
        self._heard.something.set()

    async def _follow_forever(self) -> None:
        while True:
            logs: list[Log] = []
            try:
                if self._is_to_look.is_set():
                    self._is_to_look.clear()
                    await self._catch_up()
                await self._wait()
                logs = self._heard.take()
                await enter_all(self._store, logs)
            except Exception as error:  # noqa: BLE001 - the follower outlives whatever the disk does
                code = error.code if isinstance(error, StoreError) else "internal"
                log.warning("indexing.failed", code=code, at=trail(error))
                self._heard.give_back(logs)
                self._heard.something.set()
                self._is_to_look.set()
                await asyncio.sleep(_AGAIN)

    async def _wait(self) -> None:
        """Something was said a moment ago, or it is time to look around."""
        patience = None if self._store.engine == "sqlite" else _LOOK_AROUND
        try:
            async with asyncio.timeout(patience):
                await self._heard.something.wait()
        except TimeoutError:
            self._is_to_look.set()
            return
        await asyncio.sleep(INTERVAL)

    async def _catch_up(self) -> None:
        if await self._store.write(prepare_index):
            log.info("indexing.made_anew")
        while logs := await self._store.read(
            partial(logs_behind, follower=FOLLOWER, limit=_AT_ONCE)
        ):
            for each in logs:
                if fresh := self._heard.take():
                    await enter_all(self._store, fresh)
                await enter_all(self._store, [each])
        await self._store.write(mark_caught_up)


async def enter_all(store: Store, logs: Collection[Log], *, characters: int = STEP) -> None:
    """Everything that these logs tell up to now is in the index."""
    for each in logs:
        if each.kind == "account":
            await _forget_gone(store, each)
    left = [ConversationId(each.id) for each in logs if each.kind == "conversation"]
    while left:
        now = left

        def read(tx: Reader, now: Sequence[ConversationId] = now) -> list[News]:
            news: list[News] = []
            taken = 0
            for name in now:
                if taken >= characters or len(news) >= _AT_ONCE:
                    break
                found = read_news(tx, name, characters=characters - taken)
                news.append(found or News(name, 0, 0, (), 0, is_all=True))
                taken += news[-1].characters
            return news

        news = await store.read(read)

        def enter(tx: Writer, news: list[News] = news) -> None:
            enter_news(tx, [each for each in news if each.after])

        if any(each.after for each in news):
            await store.write(enter)
        left = [*(each.conversation_id for each in news if not each.is_all), *left[len(news) :]]


async def _forget_gone(store: Store, of: Log) -> None:
    """The index follows no conversation whose end the account's log tells."""
    while gone := await store.read(partial(read_gone, log=of)):
        await store.write(partial(forget_gone, gone=gone))


async def rebuild_index(store: Store, *, told: Told) -> None:
    """The index is made again, while nothing else uses the store."""

    def begin(tx: Writer) -> None:
        prepare_index(tx)
        empty_index(tx)

    await store.write(begin)
    while logs := await store.read(partial(logs_behind, follower=FOLLOWER, limit=_AT_ONCE)):
        await enter_all(store, logs, characters=LARGE_STEP)
        unread, every = await store.read(partial(unread_and_all, follower=FOLLOWER))
        told(every - unread, every)
    await store.write(mark_caught_up)


async def index_progress(store: Store) -> tuple[int, int, bool]:
    """How many events have been read, how many there are, and whether that is all."""

    def unit(tx: Reader) -> tuple[int, int, bool]:
        unread, every = unread_and_all(tx, FOLLOWER)
        return every - unread, every, is_current(tx)

    return await store.read(unit)
