"""Jobs in the store: enqueued with what makes them necessary, claimed by one process at a time.

On PostgreSQL a claim passes over what another process is claiming (SKIP LOCKED), and time is the
database's, which all processes share. On SQLite the process that holds the data folder is alone, so
what another boot had claimed is free again.

Every change of a job is announced after its commit (`JobChanged`), which also wakes the runner: who
enqueues has nothing else to do.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from talekeeper.clock import Clock, Millis
from talekeeper.database.statements import Row, statement
from talekeeper.database.store import Store
from talekeeper.database.units import Reader, Writer
from talekeeper.domain.events import JobChanged
from talekeeper.domain.jobs import ENDED, JOB_KINDS, Job, JobKind, Standing
from talekeeper.domain.kinds import known
from talekeeper.errors import NotFound
from talekeeper.ids import AccountId, BootId, ConversationId, JobId, fresh_id
from talekeeper.store.processes import server_time

RETIRED_AT_ONCE = 500
"""Ended jobs that one transaction removes at most."""

_COLUMNS = """
    id, kind, owner_id, conversation_id, payload, result, state, progress, progress_of, attempts,
    cancel_asked_at, error_code, created_at, updated_at
"""
_ENQUEUE = statement(
    f"""
    INSERT INTO jobs (
        id, kind, owner_id, conversation_id, unique_key, payload, state, progress, attempts,
        run_at, created_at, updated_at
    )
    VALUES (
        :id, :kind, :owner_id, :conversation_id, :unique_key, :payload, 'queued', 0, 0,
        :run_at, :now, :now
    )
    ON CONFLICT (kind, unique_key) WHERE state IN ('queued', 'running') DO NOTHING
    RETURNING {_COLUMNS}
    """
)
_PENDING = statement(
    """
    SELECT id FROM jobs
    WHERE kind = :kind AND unique_key = :unique_key AND state IN ('queued', 'running')
    """
)
_OWNED = statement(f"SELECT {_COLUMNS} FROM jobs WHERE id = :job_id AND owner_id = :owner_id")
_CANCEL = statement(
    f"""
    UPDATE jobs SET
        state = CASE WHEN state = 'queued' THEN 'cancelled' ELSE state END,
        cancel_asked_at = coalesce(cancel_asked_at, :now),
        updated_at = :now
    WHERE id = :job_id AND state IN ('queued', 'running')
    RETURNING {_COLUMNS}
    """
)
# `ix_jobs_due` serves both: what is due is a few rows, whatever else the table keeps.
_DUE_AMONG = """
    SELECT id, kind FROM jobs
    WHERE state IN ('queued', 'running')
      AND CASE WHEN state = 'queued' THEN run_at ELSE lease_until END <= :now
"""
_NEXT = statement(
    f"""
    {_DUE_AMONG} AND kind IN (SELECT value FROM json_each(:kinds))
    ORDER BY run_at, created_at
    LIMIT 1
    """,
    postgresql=f"""
    {_DUE_AMONG} AND kind IN (SELECT json_array_elements_text(CAST(:kinds AS json)))
    ORDER BY run_at, created_at
    LIMIT 1
    FOR UPDATE OF jobs SKIP LOCKED
    """,
)
_CLAIM = statement(
    f"""
    UPDATE jobs SET
        state = 'running',
        attempts = attempts + 1,
        progress = 0,
        progress_of = NULL,
        lease_until = :until,
        boot_id = :claimed_by,
        updated_at = :now
    WHERE id = :job_id
    RETURNING {_COLUMNS}
    """
)
_FREE = statement(
    "UPDATE jobs SET lease_until = 0 WHERE state = 'running' AND boot_id <> :own_boot"
)
_IS_OWN = "id = :job_id AND state = 'running' AND boot_id = :own_boot AND attempts = :attempt"
_RENEW = statement(
    f"""
    UPDATE jobs SET
        lease_until = :until,
        progress = coalesce(:progress, progress),
        progress_of = coalesce(:progress_of, progress_of),
        updated_at = :now
    WHERE {_IS_OWN}
    RETURNING {_COLUMNS}
    """
)
_SETTLE = statement(
    f"""
    UPDATE jobs SET
        state = CASE
            WHEN :final = 'queued' AND cancel_asked_at IS NOT NULL THEN 'cancelled' ELSE :final
        END,
        attempts = :counted,
        run_at = :due,
        lease_until = NULL,
        boot_id = NULL,
        result = :result,
        error_code = :code,
        updated_at = :now
    WHERE {_IS_OWN}
    RETURNING {_COLUMNS}
    """
)
_NEXT_DUE = statement(
    """
    SELECT min(CASE WHEN state = 'queued' THEN run_at ELSE lease_until END) AS due
    FROM jobs
    WHERE state IN ('queued', 'running') AND kind IN (SELECT value FROM json_each(:kinds))
    """,
    postgresql="""
    SELECT min(CASE WHEN state = 'queued' THEN run_at ELSE lease_until END) AS due
    FROM jobs
    WHERE state IN ('queued', 'running')
      AND kind IN (SELECT json_array_elements_text(CAST(:kinds AS json)))
    """,
)
_RETIRE = statement(
    """
    DELETE FROM jobs WHERE id IN (
        SELECT id FROM jobs
        WHERE state NOT IN ('queued', 'running') AND updated_at < :before
        ORDER BY updated_at
        LIMIT :limit
    )
    """
)


def enqueue_job(
    tx: Writer,
    kind: JobKind,
    *,
    owner_id: AccountId,
    conversation_id: ConversationId | None = None,
    payload: Mapping[str, Any] | None = None,
    unique_key: str | None = None,
    after_seconds: float = 0.0,
) -> JobId:
    """The job will be done, if this transaction is committed, and not before `after_seconds`.

    While another of this kind and `unique_key` waits or runs, no second one is added: the other's id.
    """
    now = server_time(tx) if tx.engine == "postgresql" else tx.now()
    row = tx.first(
        _ENQUEUE,
        id=fresh_id(),
        kind=known(kind, JOB_KINDS, what="kind of job"),
        owner_id=owner_id,
        conversation_id=conversation_id,
        unique_key=unique_key,
        payload=json.dumps(dict(payload or {})),
        run_at=now + round(after_seconds * 1000),
        now=now,
    )
    if row is None:
        other = tx.first(_PENDING, kind=kind, unique_key=unique_key)
        assert other is not None
        return JobId(other.id)
    return _announced(tx, row).id


def get_job(tx: Reader, job_id: JobId, *, owner_id: AccountId) -> Job:
    """Raises NotFound when it is absent or another account's, or was removed after its end."""
    row = tx.first(_OWNED, job_id=job_id, owner_id=owner_id)
    if row is None:
        raise NotFound("There is no such job. It may have ended long ago.")
    return _job_in(row)


def cancel_job(tx: Writer, job_id: JobId, *, owner_id: AccountId) -> Job:
    """The job is not done. One that runs is ended by its process, which learns it soon.

    What has ended stays as it is. Raises NotFound.
    """
    job = get_job(tx, job_id, owner_id=owner_id)
    if job.state in ENDED:
        return job
    row = tx.first(_CANCEL, job_id=job_id, now=tx.now())
    return job if row is None else _announced(tx, row)


class StoredJobs:
    """The table of jobs as the runner of this process sees it."""

    def __init__(self, store: Store, *, boot_id: BootId, clock: Clock) -> None:
        self._store = store
        self._boot_id = boot_id
        self._clock = clock

    async def free_abandoned(self) -> None:
        """On SQLite what an earlier process had claimed is due at once; elsewhere its lease ends."""
        if self._store.engine == "sqlite":
            await self._store.write(lambda tx: tx.run(_FREE, own_boot=self._boot_id))

    async def claim(self, leases: Mapping[str, float]) -> Job | None:
        """The next job that is due of these kinds, for so many seconds this process's own."""
        kinds = json.dumps(list(leases))

        def is_due(tx: Reader) -> bool:
            row = tx.first(_NEXT_DUE, kinds=kinds)
            return row is not None and row.due is not None and row.due <= self._now(tx)

        def claim(tx: Writer) -> Job | None:
            now = self._now(tx)
            due = tx.first(_NEXT, kinds=kinds, now=now)
            if due is None:
                return None
            row = tx.first(
                _CLAIM,
                job_id=due.id,
                now=now,
                until=now + round(leases[due.kind] * 1000),
                claimed_by=self._boot_id,
            )
            assert row is not None
            return _announced(tx, row)

        # A look costs no flush: most of the times there is nothing to be done.
        return await self._store.write(claim) if await self._store.read(is_due) else None

    async def renew(
        self, job: Job, *, lease_seconds: float, progress: tuple[int, int | None] | None = None
    ) -> Standing:
        """The lease begins again, and the progress is stored, if it is given."""
        done, of = progress or (None, None)

        def unit(tx: Writer) -> Standing:
            now = self._now(tx)
            row = tx.first(
                _RENEW,
                **self._own(job),
                until=now + round(lease_seconds * 1000),
                progress=done,
                progress_of=of,
                now=now,
            )
            if row is None:
                return "lost"
            if progress is not None:
                _announced(tx, row)
            return "held" if row.cancel_asked_at is None else "cancelled"

        return await self._store.write(unit)

    async def finish(self, job: Job, result: Mapping[str, Any] | None) -> None:
        await self._settle(job, "done", result=result)

    async def put_back(self, job: Job, *, after_seconds: float, error_code: str) -> None:
        await self._settle(job, "queued", after_seconds=after_seconds, error_code=error_code)

    async def give_back(self, job: Job) -> None:
        await self._settle(job, "queued", counted=job.attempts - 1)

    async def give_up(self, job: Job, *, error_code: str, has_begun: bool = True) -> None:
        counted = job.attempts - (not has_begun)
        await self._settle(job, "failed", error_code=error_code, counted=counted)

    async def call_off(self, job: Job) -> None:
        await self._settle(job, "cancelled")

    async def next_due(self, kinds: Sequence[str]) -> float | None:
        def unit(tx: Reader) -> float | None:
            row = tx.first(_NEXT_DUE, kinds=json.dumps(list(kinds)))
            if row is None or row.due is None:
                return None
            return max(0.0, (row.due - self._now(tx)) / 1000)

        return await self._store.read(unit)

    async def retire(self, *, after_seconds: float) -> int:
        """Some jobs that ended so long ago are removed; how many."""

        def unit(tx: Writer) -> int:
            before = self._now(tx) - round(after_seconds * 1000)
            return tx.run(_RETIRE, before=before, limit=RETIRED_AT_ONCE)

        return await self._store.write(unit)

    async def _settle(
        self,
        job: Job,
        state: str,
        *,
        after_seconds: float = 0.0,
        result: Mapping[str, Any] | None = None,
        error_code: str | None = None,
        counted: int | None = None,
    ) -> None:
        def unit(tx: Writer) -> None:
            now = self._now(tx)
            row = tx.first(
                _SETTLE,
                **self._own(job),
                final=state,
                counted=job.attempts if counted is None else counted,
                due=now + round(after_seconds * 1000),
                result=None if result is None else json.dumps(dict(result)),
                code=error_code,
                now=now,
            )
            if row is not None:
                _announced(tx, row)

        await self._store.write(unit)

    def _own(self, job: Job) -> dict[str, Any]:
        """The job is this process's, claimed by the attempt that `job` is of."""
        return {"job_id": job.id, "own_boot": self._boot_id, "attempt": job.attempts}

    def _now(self, tx: Reader) -> int:
        return server_time(tx) if self._store.engine == "postgresql" else self._clock.now()


def _announced(tx: Writer, row: Row) -> Job:
    """The job in the row, of which followers hear after the commit."""
    job = _job_in(row)
    tx.tell(JobChanged(job.owner_id, job))
    return job


def _job_in(row: Row) -> Job:
    return Job(
        id=JobId(row.id),
        kind=row.kind,
        owner_id=AccountId(row.owner_id),
        conversation_id=None
        if row.conversation_id is None
        else ConversationId(row.conversation_id),
        payload=json.loads(row.payload),
        result=None if row.result is None else json.loads(row.result),
        state=row.state,
        progress=row.progress,
        progress_of=row.progress_of,
        attempts=row.attempts,
        is_cancel_asked=row.cancel_asked_at is not None,
        error_code=row.error_code,
        created_at=Millis(row.created_at),
        updated_at=Millis(row.updated_at),
    )
