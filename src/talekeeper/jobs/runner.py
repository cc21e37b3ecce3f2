"""Running jobs: each under a lease that is renewed, in lanes, tried again with growing patience.

    claim ─> work ─┬─> finish      it was done, or nothing was left to do
       ^     │     ├─> put back    it may succeed later; the last attempt fails for good
       │   renew   ├─> give up     trying again cannot help
       │     │     ├─> call off    somebody asked for that
       └─────┴─────┴─> (nothing)   the lease was lost: the job is another process's by now

A job is claimed in one commit, so that no two processes do it at once. The claim is a lease: a
process that dies gives it back, however it dies. While the work runs its lease is renewed, and with
the renewal the process learns that the job was cancelled, or that it was frozen for so long that the
job is another's; either way the work's task is cancelled.

Each lane has tasks of its own, so that no kind of job waits for a kind of another lane. A job that
is added is announced after its commit, which wakes its lane (`hear`); a lane also wakes by itself
when a job that was put back, or whose lease ran out, is due. Jobs that ended a while ago are removed.

Work is done at least once, so it must be harmless to do it again. What it raises is logged and
never ends the runner.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import structlog

from talekeeper.domain.events import Announced, JobChanged
from talekeeper.domain.jobs import Job, Standing
from talekeeper.errors import StoreError, TalekeeperError, trail
from talekeeper.ids import JobId
from talekeeper.jobs.handling import Handler, Lane
from talekeeper.tasks import Duty, OwnTasks

log = structlog.get_logger(__name__)

KEPT_SECONDS: Final = 7 * 86_400.0
"""How long a job is kept after its end."""
_RETIRE_EVERY: Final = 3_600.0
_STORE_PAUSE: Final = 5.0
_LEAST_PAUSE: Final = 0.5
"""What is due and yet not claimed is being claimed by another process."""
_RENEWALS: Final = 3
"""A lease is renewed so often before it would end."""
_RETIRING: Final = Duty("old jobs", "Jobs that ended are kept for good.")


class JobTable(Protocol):
    """Where jobs are kept. Every call is one transaction; all may raise StoreError."""

    async def claim(self, leases: Mapping[str, float]) -> Job | None:
        """The next job that is due of these kinds, for so many seconds this process's own."""
        ...

    async def renew(
        self, job: Job, *, lease_seconds: float, progress: tuple[int, int | None] | None = None
    ) -> Standing:
        """The lease begins again, and the progress is stored, if it is given."""
        ...

    async def finish(self, job: Job, result: Mapping[str, Any] | None) -> None: ...

    async def put_back(self, job: Job, *, after_seconds: float, error_code: str) -> None:
        """The job is due again in a while."""
        ...

    async def give_back(self, job: Job) -> None:
        """The job is due at once, and this attempt does not count."""
        ...

    async def give_up(self, job: Job, *, error_code: str, has_begun: bool = True) -> None:
        """The job is not tried again. An attempt that has not begun does not count."""
        ...

    async def call_off(self, job: Job) -> None:
        """The job is cancelled."""
        ...

    async def next_due(self, kinds: Sequence[str]) -> float | None:
        """Seconds until a job of these kinds may be claimed; None where none waits."""
        ...

    async def retire(self, *, after_seconds: float) -> int:
        """Some jobs that ended so long ago are removed; how many. 0: there are none left."""
        ...


class _Held:
    """A claimed job, and the task that does it."""

    def __init__(self, table: JobTable, job: Job, handler: Handler) -> None:
        self.job = job
        self.standing: Standing = "held"
        self.is_done = False
        """The work came to its end by itself."""
        self._table = table
        self._handler = handler
        self._lease_until = time.monotonic() + handler.lease_seconds
        self._work: asyncio.Future[Mapping[str, Any] | None] | None = None
        self._is_to_renew = asyncio.Event()
        self._of: int | None = None

    async def report(self, done: int, of: int | None = None) -> None:
        self._of = of if of is not None else self._of
        await self._renew((done if self._of is None else min(done, self._of), self._of))
        if self.standing != "held" and self._work is not None:
            self._work.cancel()
            await asyncio.sleep(0)  # where the work itself reports, it ends here

    def look_again(self) -> None:
        """Renew the lease now: what the store says of the job has changed."""
        self._is_to_renew.set()

    async def result(self) -> Mapping[str, Any] | None:
        """Do the work, and renew the lease meanwhile. Where `is_done` stays False, it was cancelled.

        Raises what the work raises, and TimeoutError when it takes too long.
        """
        work = self._work = asyncio.ensure_future(self._handler.work(self))
        keeping = asyncio.create_task(self._keep_lease())
        try:
            async with asyncio.timeout(self._handler.time_limit):
                await asyncio.wait({work, keeping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (work, keeping):
                task.cancel()
            await asyncio.wait({work, keeping})
        if not work.cancelled():
            self.is_done = True
            return work.result()
        if not keeping.cancelled():
            keeping.result()  # raises what ended it, if something did
        if self.standing == "held":
            raise RuntimeError("The work of a job cancelled itself.")
        return None

    async def _keep_lease(self) -> None:
        """Returns when this process is not to do the job any more."""
        while self.standing == "held":
            try:
                async with asyncio.timeout(self._handler.lease_seconds / _RENEWALS):
                    await self._is_to_renew.wait()
            except TimeoutError:
                pass
            self._is_to_renew.clear()
            await self._renew(None)

    async def _renew(self, progress: tuple[int, int | None] | None) -> None:
        seconds = self._handler.lease_seconds
        until = time.monotonic() + seconds
        try:
            standing = await self._table.renew(self.job, lease_seconds=seconds, progress=progress)
        except StoreError as error:
            log.warning("job.lease_not_renewed", code=error.code, job_id=self.job.id)
            standing = "held" if time.monotonic() < self._lease_until else "lost"
        else:
            self._lease_until = until
        if self.standing == "held":
            self.standing = standing


class JobRunner:
    """The tasks of this process that do jobs."""

    def __init__(
        self,
        table: JobTable,
        handlers: Mapping[str, Handler],
        *,
        tasks: OwnTasks,
        idle_seconds: float | None = None,
    ) -> None:
        """Jobs of a kind without a handler wait until there is one.

        `idle_seconds`: look for other processes' jobs so often; None where there are none.
        """
        self._table = table
        self._handlers = handlers
        self._tasks = tasks
        self._idle_seconds = idle_seconds
        self._lanes: dict[Lane, list[str]] = {}
        for kind, handler in handlers.items():
            self._lanes.setdefault(handler.lane, []).append(kind)
        self._wakes: dict[Lane, list[asyncio.Event]] = {lane: [] for lane in self._lanes}
        self._held: dict[JobId, _Held] = {}
        self._running: list[asyncio.Task[None]] = []

    def start(self) -> None:
        for lane in self._lanes:
            for _ in range(lane.width):
                duty = Duty(f"jobs ({lane.name})", lane.loss)
                self._running.append(self._tasks.start(duty, self._serve(lane)))
        self._running.append(self._tasks.start(_RETIRING, self._retire_forever()))

    def hear(self, events: Sequence[Announced]) -> None:
        """Called after each commit: what was added is begun, what is to be cancelled looked at."""
        for event in events:
            if not isinstance(event, JobChanged):
                continue
            job = event.job
            if job.state == "queued":
                handler = self._handlers.get(job.kind)
                for wake in () if handler is None else self._wakes[handler.lane]:
                    wake.set()
            elif job.is_cancel_asked and (held := self._held.get(job.id)) is not None:
                held.look_again()

    async def close(self) -> None:
        """No job is done any more. What is under way is given back, and due at once."""
        for task in self._running:
            await self._tasks.stop(task)
        self._running.clear()
        for held in tuple(self._held.values()):
            try:
                await self._table.give_back(held.job)
            except TalekeeperError as error:
                log.warning("job.not_given_back", code=error.code, job_id=held.job.id)
        self._held.clear()

    async def _serve(self, lane: Lane) -> None:
        """One of the lane's tasks: one job after the other."""
        kinds = self._lanes[lane]
        leases = {kind: self._handlers[kind].lease_seconds for kind in kinds}
        wake = asyncio.Event()
        self._wakes[lane].append(wake)
        while True:
            wake.clear()
            try:
                while (job := await self._table.claim(leases)) is not None:
                    await self._do(job, self._handlers[job.kind])
                pause = await self._table.next_due(kinds)
                pause = None if pause is None else max(pause, _LEAST_PAUSE)
            except Exception as error:  # noqa: BLE001 - the runner outlives whatever happens
                code = error.code if isinstance(error, TalekeeperError) else "internal"
                log.warning("jobs.waiting", lane=lane.name, code=code, at=trail(error))
                pause = _STORE_PAUSE
            if self._idle_seconds is not None:
                pause = self._idle_seconds if pause is None else min(pause, self._idle_seconds)
            try:
                async with asyncio.timeout(pause):
                    await wake.wait()
            except TimeoutError:
                pass

    async def _do(self, job: Job, handler: Handler) -> None:
        ids = {"job_id": job.id, "kind": job.kind, "conversation_id": job.conversation_id}
        if job.is_cancel_asked:
            await self._table.call_off(job)
            return
        if job.attempts > handler.attempts:
            log.warning("job.failed", code="process_died", attempts=handler.attempts, **ids)
            await self._table.give_up(job, error_code="process_died", has_begun=False)
            return
        held = self._held[job.id] = _Held(self._table, job, handler)
        try:
            await self._settle(held, handler, ids)
        except asyncio.CancelledError:
            raise  # `close` gives the job back
        except BaseException:
            del self._held[job.id]
            raise
        del self._held[job.id]

    async def _settle(self, held: _Held, handler: Handler, ids: dict[str, Any]) -> None:
        job = held.job
        try:
            result = await held.result()
        except Exception as error:  # noqa: BLE001 - settled below, whatever it is
            code, may_help, wait = _judged(error)
            at = trail(error) if code == "internal" else None
            if not may_help or job.attempts >= handler.attempts:
                log.warning("job.failed", code=code, attempts=job.attempts, at=at, **ids)
                await self._table.give_up(job, error_code=code)
                return
            pause = max(wait or 0.0, handler.first_pause * handler.factor ** (job.attempts - 1))
            log.info("job.put_back", code=code, attempts=job.attempts, again_in=pause, at=at, **ids)
            await self._table.put_back(job, after_seconds=pause, error_code=code)
            return
        if held.standing == "lost":
            log.warning("job.lost", attempts=job.attempts, **ids)
        elif not held.is_done:
            await self._table.call_off(job)
            log.info("job.cancelled", attempts=job.attempts, **ids)
        else:
            await self._table.finish(job, result)
            log.info("job.done", attempts=job.attempts, **ids)

    async def _retire_forever(self) -> None:
        while True:
            try:
                while await self._table.retire(after_seconds=KEPT_SECONDS):
                    pass
            except StoreError as error:
                log.warning("jobs.not_retired", code=error.code)
            await asyncio.sleep(_RETIRE_EVERY)


def _judged(error: Exception) -> tuple[str, bool, float | None]:
    """The code to keep, whether another attempt may help, and how long it was told to wait."""
    if isinstance(error, TalekeeperError):
        return error.code, error.retryable, error.retry_after
    if isinstance(error, TimeoutError):
        return "took_too_long", True, None
    return "internal", True, None
