"""Running jobs: one at a time, each under a lease, tried again with growing patience.

    claim ─> do ─┬─> finish      it was done, or nothing was left to do
                 ├─> put back    it may succeed later; the last attempt fails for good
                 └─> give up     trying again cannot help

A job is claimed in one commit, so that no two processes do it at once; the claim is a lease, so
that a process that dies, however it dies, gives it back. Whoever enqueues wakes the runner after
the commit; it also wakes by itself when a job that was put back, or whose lease ran out, is due.

Work is done at least once, so it must be harmless to do it again. What it raises is logged and
never ends the runner.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

import structlog

from talekeeper.domain.jobs import MAX_ATTEMPTS, Job, JobKind
from talekeeper.errors import TalekeeperError, trail
from talekeeper.tasks import Duty, OwnTasks

log = structlog.get_logger(__name__)

LEASE_SECONDS: Final = 120.0
"""How long a job may take; then it is taken to be dead, and its process as well."""
_FIRST_PAUSE: Final = 20.0
_FACTOR: Final = 4
_STORE_PAUSE: Final = 5.0
_LEAST_PAUSE: Final = 0.5
"""What is due and yet not claimed is being claimed by another process."""
_DUTY: Final = Duty("jobs", "Conversations get no titles made by their model.")

Work = Callable[[Job], Awaitable[None]]


class JobTable(Protocol):
    """Where jobs are kept. Every call is one transaction; all may raise StoreError."""

    async def claim(self, *, lease_seconds: float) -> Job | None:
        """The next job that is due, now this process's own; None where there is none."""
        ...

    async def finish(self, job: Job) -> None: ...

    async def put_back(self, job: Job, *, after_seconds: float, error_code: str) -> None:
        """The job is due again in a while."""
        ...

    async def give_back(self, job: Job) -> None:
        """The job is due at once, and this attempt does not count."""
        ...

    async def give_up(self, job: Job, *, error_code: str) -> None:
        """The job is not tried again."""
        ...

    async def next_due(self) -> float | None:
        """Seconds until a job may be claimed; None where none waits."""
        ...


class JobRunner:
    """The one task of this process that does jobs."""

    def __init__(
        self,
        table: JobTable,
        works: Mapping[JobKind, Work],
        *,
        tasks: OwnTasks,
        idle_seconds: float | None = None,
        first_pause: float = _FIRST_PAUSE,
    ) -> None:
        """`idle_seconds`: look for other processes' jobs so often; None where there are none."""
        self._table = table
        self._works = works
        self._tasks = tasks
        self._idle_seconds = idle_seconds
        self._first_pause = first_pause
        self._is_woken = asyncio.Event()
        self._current: Job | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = self._tasks.start(_DUTY, self._run_forever())

    def wake(self) -> None:
        """There may be a new job: it is begun as soon as the one before is settled."""
        self._is_woken.set()

    async def close(self) -> None:
        """No job is done any more. The one under way is given back, and due at once."""
        if self._task is None:
            return
        await self._tasks.stop(self._task)
        job, self._current = self._current, None
        if job is not None:
            try:
                await self._table.give_back(job)
            except TalekeeperError as error:
                log.warning("job.not_given_back", code=error.code, job_id=job.id)

    async def _run_forever(self) -> None:
        while True:
            self._is_woken.clear()
            try:
                while (job := await self._table.claim(lease_seconds=LEASE_SECONDS)) is not None:
                    self._current = job
                    await self._do(job)
                    self._current = None
                pause = await self._table.next_due()
                pause = None if pause is None else max(pause, _LEAST_PAUSE)
            except Exception as error:  # noqa: BLE001 - the runner outlives whatever happens
                self._current = None
                code = error.code if isinstance(error, TalekeeperError) else "internal"
                log.warning("jobs.waiting", code=code, at=trail(error))
                pause = _STORE_PAUSE
            if self._idle_seconds is not None:
                pause = self._idle_seconds if pause is None else min(pause, self._idle_seconds)
            try:
                async with asyncio.timeout(pause):
                    await self._is_woken.wait()
            except TimeoutError:
                pass

    async def _do(self, job: Job) -> None:
        ids = {"job_id": job.id, "kind": job.kind, "conversation_id": job.conversation_id}
        try:
            async with asyncio.timeout(LEASE_SECONDS / 2):
                await self._works[job.kind](job)
        except Exception as error:  # noqa: BLE001 - settled below, whatever it is
            code, may_help, wait = _judged(error)
            at = trail(error) if code == "internal" else None
            if not may_help or job.attempts >= MAX_ATTEMPTS:
                log.warning("job.failed", code=code, attempts=job.attempts, at=at, **ids)
                await self._table.give_up(job, error_code=code)
                return
            pause = max(wait or 0.0, self._first_pause * _FACTOR ** (job.attempts - 1))
            log.info("job.put_back", code=code, attempts=job.attempts, again_in=pause, at=at, **ids)
            await self._table.put_back(job, after_seconds=pause, error_code=code)
            return
        await self._table.finish(job)
        log.info("job.done", attempts=job.attempts, **ids)


def _judged(error: Exception) -> tuple[str, bool, float | None]:
    """The code to keep, whether another attempt may help, and how long it was told to wait."""
    if isinstance(error, TalekeeperError):
        return error.code, error.retryable, error.retry_after
    if isinstance(error, TimeoutError):
        return "took_too_long", True, None
    return "internal", True, None
