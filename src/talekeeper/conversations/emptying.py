"""Emptying: what has been in the trash long enough goes for good.

Of a conversation nothing is left. Of a branch that was taken back the rows stay, since an id is
unique for good, but not what they said.
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Final

import structlog

from talekeeper.clock import Clock, Millis, SystemClock
from talekeeper.conversations.trashing import delete_for_good, remove_what_is_left
from talekeeper.database import Store, Writer
from talekeeper.errors import NotFound, NotInTrash, StoreError, trail
from talekeeper.store.branches import (
    OldBranch,
    empty_rows,
    next_to_be_emptied,
    next_to_be_emptied_of,
)
from talekeeper.store.indexing import Entry
from talekeeper.store.removing import long_in_trash
from talekeeper.tasks import Duty, OwnTasks

log = structlog.get_logger(__name__)

DAY_MS: Final = 86_400_000
_EVERY: Final = 3_600.0
_NEVER: Final = Millis(-1)
_DUTY: Final = Duty("trash", "The trash is not emptied.")


async def empty_trash(store: Store, *, before: Millis, now: Millis | None = None) -> int:
    """What was deleted before then is gone for good; how many conversations and branches.

    What a dead process had begun to remove, or to copy, goes in any case.
    """
    count = 0
    at = SystemClock().now() if now is None else now
    while found := await store.read(lambda tx: long_in_trash(tx, before=before, now=at, limit=1)):
        conversation_id, owner_id, is_going = found[0]
        if is_going:
            await remove_what_is_left(store, conversation_id)
        else:
            try:
                await delete_for_good(store, conversation_id, owner_id=owner_id, before=before)
            except (NotFound, NotInTrash):
                continue  # taken out, or removed, between the look and the lock
        count += 1
    while branch := await store.read(lambda tx: next_to_be_emptied(tx, before=before)):
        await _empty_branch(store, branch)
        count += 1
    return count


async def _empty_branch(store: Store, branch: OldBranch) -> None:
    while entries := await store.read(lambda tx: next_to_be_emptied_of(tx, branch.key)):
        await store.write(
            partial(_empty_rows, branch=branch, entries=entries),
            conversation_id=branch.conversation_id,
        )


def _empty_rows(tx: Writer, *, branch: OldBranch, entries: Mapping[int, Entry]) -> None:
    empty_rows(tx, branch, entries)


class TrashEmptying:
    """Empties the trash every hour while the server runs."""

    def __init__(self, store: Store, *, clock: Clock, days: int, tasks: OwnTasks) -> None:
        self._store = store
        self._tasks = tasks
        self._clock = clock
        self._days = days
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = self._tasks.start(_DUTY, self._empty_forever())

    async def close(self) -> None:
        """What is being removed is left where it is; the next start goes on with it."""
        if self._task is not None:
            await self._tasks.stop(self._task)

    async def empty(self) -> int:
        """What is older than the days that were set is gone; 0 days: only what was going already."""
        before = Millis(self._clock.now() - self._days * DAY_MS) if self._days else _NEVER
        return await empty_trash(self._store, before=before, now=self._clock.now())

    async def _empty_forever(self) -> None:
        while True:
            try:
                count = await self.empty()
                if count:
                    log.info("trash.emptied", count=count)
            except StoreError as error:
                log.warning("trash.not_emptied", code=error.code)
            except Exception as error:  # noqa: BLE001 - the next hour may do better
                log.error("trash.broke", error=type(error).__name__, at=trail(error))
            await asyncio.sleep(_EVERY)
