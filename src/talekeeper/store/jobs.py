"""Jobs in the store: enqueued with what makes them necessary, claimed by one process at a time.

On PostgreSQL a claim passes over what another process is claiming (SKIP LOCKED), and time is the
database's, which all processes share. On SQLite whoever holds the data folder is alone, so what
another boot had claimed is free again.
"""

from talekeeper.clock import Clock
from talekeeper.domain.jobs import MAX_ATTEMPTS, Job, JobKind
from talekeeper.ids import AccountId, BootId, ConversationId, JobId, fresh_id
from talekeeper.store.processes import server_time
from talekeeper.store.statements import statement
from talekeeper.store.store import Store
from talekeeper.store.units import Reader, Writer

_ENQUEUE = statement(
    """
    INSERT INTO jobs (
        id, kind, unique_key, conversation_id, owner_id, state, attempts, run_at, created_at, updated_at
    )
    VALUES (
        :id, :kind, :unique_key, :conversation_id, :owner_id, 'queued', 0, :now, :now, :now
    )
    ON CONFLICT (kind, unique_key) DO NOTHING
    """
)
_IS_DUE = """
    (state = 'queued' AND run_at <= :now) OR (state = 'running' AND lease_until <= :now)
"""
_CLAIM = statement(
    f"""
    UPDATE jobs SET
        state = 'running',
        attempts = attempts + 1,
        lease_until = :until,
        boot_id = :claimed_by,
        updated_at = :now
    WHERE id = (
        SELECT id FROM jobs
        WHERE ({_IS_DUE}) AND attempts < {MAX_ATTEMPTS}
        ORDER BY run_at, created_at
        LIMIT 1
    )
    RETURNING id, kind, conversation_id, owner_id, attempts
    """,
    postgresql=f"""
    UPDATE jobs SET
        state = 'running',
        attempts = attempts + 1,
        lease_until = :until,
        boot_id = :claimed_by,
        updated_at = :now
    WHERE id = (
        SELECT id FROM jobs
        WHERE ({_IS_DUE}) AND attempts < {MAX_ATTEMPTS}
        ORDER BY run_at, created_at
        LIMIT 1
        FOR UPDATE SKIP LOCKED
    )
    RETURNING id, kind, conversation_id, owner_id, attempts
    """,
)
_BURY = statement(
    f"""
    UPDATE jobs SET
        state = 'failed',
        lease_until = NULL,
        boot_id = NULL,
        error_code = 'process_died',
        updated_at = :now
    WHERE state = 'running' AND lease_until <= :now AND attempts >= {MAX_ATTEMPTS}
    """
)
_FREE = statement(
    "UPDATE jobs SET lease_until = 0 WHERE state = 'running' AND boot_id != :own_boot"
)
_SETTLE = statement(
    """
    UPDATE jobs SET
        state = :final,
        attempts = :counted,
        run_at = :due,
        lease_until = NULL,
        boot_id = NULL,
        error_code = :code,
        updated_at = :now
    WHERE id = :job_id AND state = 'running' AND boot_id = :own_boot AND attempts = :attempt
    """
)
_NEXT_DUE = statement(
    """
    SELECT min(CASE WHEN state = 'queued' THEN run_at ELSE lease_until END) AS due
    FROM jobs
    WHERE state = 'queued' OR state = 'running'
    """
)


def enqueue_job(
    tx: Writer,
    kind: JobKind,
    *,
    unique_key: str,
    conversation_id: ConversationId,
    owner_id: AccountId,
) -> bool:
    """The job will be done, if it was never asked for before: whether it is new."""
    added = tx.run(
        _ENQUEUE,
        id=fresh_id(),
        kind=kind,
        unique_key=unique_key,
        conversation_id=conversation_id,
        owner_id=owner_id,
        now=tx.now(),
    )
    return added == 1


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

    async def claim(self, *, lease_seconds: float) -> Job | None:
        """The next job that is due; one whose last attempt died with its process has failed."""

        def look(tx: Reader) -> bool:
            row = tx.first(_NEXT_DUE)
            return row is not None and row.due is not None and row.due <= self._now(tx)

        def claim(tx: Writer) -> Job | None:
            now = self._now(tx)
            tx.run(_BURY, now=now)
            row = tx.first(
                _CLAIM,
                now=now,
                until=now + round(lease_seconds * 1000),
                claimed_by=self._boot_id,
            )
            if row is None:
                return None
            return Job(
                JobId(row.id),
                row.kind,
                ConversationId(row.conversation_id),
                AccountId(row.owner_id),
                row.attempts,
            )

        # A look costs no flush: most of the times there is nothing to be done.
        return await self._store.write(claim) if await self._store.read(look) else None

    async def finish(self, job: Job) -> None:
        await self._settle(job, "done")

    async def put_back(self, job: Job, *, after_seconds: float, error_code: str) -> None:
        await self._settle(job, "queued", after_seconds=after_seconds, error_code=error_code)

    async def give_back(self, job: Job) -> None:
        await self._settle(job, "queued", counted=job.attempts - 1)

    async def give_up(self, job: Job, *, error_code: str) -> None:
        await self._settle(job, "failed", error_code=error_code)

    async def next_due(self) -> float | None:
        def unit(tx: Reader) -> float | None:
            row = tx.first(_NEXT_DUE)
            if row is None or row.due is None:
                return None
            return max(0.0, (row.due - self._now(tx)) / 1000)

        return await self._store.read(unit)

    async def _settle(
        self,
        job: Job,
        state: str,
        *,
        after_seconds: float = 0.0,
        error_code: str | None = None,
        counted: int | None = None,
    ) -> None:
        def unit(tx: Writer) -> None:
            now = self._now(tx)
            tx.run(
                _SETTLE,
                job_id=job.id,
                own_boot=self._boot_id,
                attempt=job.attempts,
                final=state,
                counted=job.attempts if counted is None else counted,
                due=now + round(after_seconds * 1000),
                code=error_code,
                now=now,
            )

        await self._store.write(unit)

    def _now(self, tx: Reader) -> int:
        return server_time(tx) if self._store.engine == "postgresql" else self._clock.now()
