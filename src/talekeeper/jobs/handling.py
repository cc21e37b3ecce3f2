"""Handlers: what is done for a kind of job, in which lane, how long and how often."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from talekeeper.domain.jobs import Job


class Assignment(Protocol):
    """A job that this process has claimed, as its work sees it."""

    @property
    def job(self) -> Job: ...

    async def report(self, done: int, of: int | None = None) -> None:
        """So many steps are done. Stored and announced, so call it once a step, not once a line.

        The lease is renewed with it. Does not return when the job was cancelled or its lease lost:
        the work is then cancelled, as any task is.
        """
        ...


Work = Callable[[Assignment], Awaitable[Mapping[str, Any] | None]]
"""What is done; it returns the job's result. Done at least once, so twice must do no harm."""


@dataclass(frozen=True, slots=True)
class Lane:
    """Jobs that may wait for each other: at most `width` of them run in one process at once.

    `loss` is a sentence: what does not happen once the lane's task has died.
    """

    name: str
    loss: str
    width: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """How a kind of job is done.

    The lease is renewed while the work runs, so it need only be longer than a pause of the process:
    after it another process takes the job to be abandoned. Work that runs longer than `time_limit`
    has failed. After a failure the job waits `first_pause` seconds, then `factor` times as long.
    """

    work: Work
    lane: Lane
    lease_seconds: float = 60.0
    time_limit: float | None = None
    attempts: int = 3
    first_pause: float = 20.0
    factor: float = 4.0
