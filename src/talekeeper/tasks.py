"""The server's own tasks: started in one place, so that one that dies is noticed.

A loop that serves the whole process (checkpoints, the lease, jobs, the search index) is to run until
it is stopped. When it ends in any other way, by an error, a return or a foreign cancellation, it has
died: that is logged at once, and `died` names it for the server's health.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from talekeeper.errors import trail

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Duty:
    """What a task is for. `loss` is a sentence: what does not happen any more once it has died.

    Without one that `is_vital` no reply can be stored, or none be kept from being lost.
    """

    name: str
    loss: str
    is_vital: bool = False


class OwnTasks:
    """The tasks that serve this process as a whole."""

    def __init__(self) -> None:
        self._died: list[Duty] = []
        self._stopped: set[asyncio.Task[None]] = set()

    @property
    def died(self) -> tuple[Duty, ...]:
        """The duties whose tasks ended before they were stopped, in the order of their deaths."""
        return tuple(self._died)

    def start(self, duty: Duty, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Run `work` as a task until `stop`."""
        task = asyncio.create_task(work, name=duty.name)
        task.add_done_callback(partial(self._note_end, duty))
        return task

    async def stop(self, task: "asyncio.Task[None]") -> None:
        """The task is over; that it ends now is no death."""
        self._stopped.add(task)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        self._stopped.discard(task)

    def _note_end(self, duty: Duty, task: "asyncio.Task[None]") -> None:
        error = None if task.cancelled() else task.exception()
        if task in self._stopped:
            return
        self._died.append(duty)
        log.critical(
            "task.died",
            task=duty.name,
            error=type(error).__name__ if error else None,
            at=trail(error) if error else None,
        )
