"""Reconciling: every reply that the store says this process is writing is filled by a task of it.

The commit that begins a generation also starts its task. When the database did the commit and could
not say so, no task is started, and the conversation would stay locked. This loop finds such a
generation within seconds: one without a word that is younger than a minute is started, any other
is ended as interrupted.

It also ends a reply that is to stop by its row and whose model is silent, so that no checkpoint reads
that row.
"""

import asyncio
from typing import Final

import structlog

from talekeeper.database import Store
from talekeeper.errors import StoreError, trail
from talekeeper.generation.running import Generations
from talekeeper.ids import BootId
from talekeeper.store.generations import generations_of_process
from talekeeper.tasks import Duty, OwnTasks

INTERVAL: Final = 2.0
"""Seconds between two looks. A look is one read of an index that is empty while nothing runs."""
_DUTY: Final = Duty("reconciler", "A reply whose start was lost stays unanswered.")

log = structlog.get_logger(__name__)


class Reconciler:
    """Compares the store's running generations with the tasks of this process."""

    def __init__(
        self,
        store: Store,
        generations: Generations,
        *,
        boot_id: BootId,
        tasks: OwnTasks,
        interval: float = INTERVAL,
    ) -> None:
        self._store = store
        self._generations = generations
        self._boot_id = boot_id
        self._tasks = tasks
        self._interval = interval
        self._task = tasks.start(_DUTY, self._look_forever())

    async def close(self) -> None:
        await self._tasks.stop(self._task)

    async def look(self) -> None:
        """A task fills every generation that the store says runs here, or it has ended."""
        running = await self._store.read(lambda tx: generations_of_process(tx, self._boot_id))
        for each in running:
            if not self._generations.fills(each.generation.id):
                await self._generations.take_up_unfilled(each.generation)
            elif each.is_stop_asked:
                self._generations.heed_stop(each.generation.id)

    async def _look_forever(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - the next look may succeed
                code = error.code if isinstance(error, StoreError) else "internal"
                log.warning("reconciler.failed", code=code, at=trail(error))
