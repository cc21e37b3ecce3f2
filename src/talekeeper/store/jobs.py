"""Jobs in the store: enqueued with what makes them necessary, claimed by one process at a time.

On PostgreSQL a claim passes over what another process is claiming (SKIP LOCKED), and time is the
database's, which all processes share. On SQLite whoever holds the data folder is alone, so what
another boot had claimed is free again.
"""

from talekeeper.clock import Clock
from talekeeper.domain.jobs import MAX_ATTEMPTS, Job, JobKind
from talekeeper.ids import AccountId, BootId, ConversationId, JobId, fresh_id
from talekeeper.store.prepared import prepared
from talekeeper.store.processes import server_time
from talekeeper.store.sql import (
    and_,
    bindparam,
    case,
    exists,
    func,
    insert,
    jobs,
    or_,
    select,
    update,
)
from talekeeper.store.store import Store
from talekeeper.store.units import Reader, Writer

_j = jobs.c
_GIVEN = (
    "id",
    "kind",
    "unique_key",
    "conversation_id",
    "owner_id",
    "state",
    "attempts",
    "run_at",
    "created_at",
    "updated_at",
)
_ENQUEUE = prepared(
    insert(jobs).from_select(
        list(_GIVEN),
        select(*(bindparam(name, type_=_j[name].type) for name in _GIVEN)).where(
            ~exists().where(_j.kind == bindparam("kind"), _j.unique_key == bindparam("unique_key"))
        ),
    )
)
_is_due = or_(
    and_(_j.state == "queued", _j.run_at <= bindparam("now")),
    and_(_j.state == "running", _j.lease_until <= bindparam("now")),
)
_CLAIM = prepared(
    update(jobs)
    .where(
        _j.id
        == select(_j.id)
        .where(_is_due, _j.attempts < MAX_ATTEMPTS)
        .order_by(_j.run_at, _j.created_at)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    .values(
        state="running",
        attempts=_j.attempts + 1,
        lease_until=bindparam("until"),
        boot_id=bindparam("claimed_by"),
        updated_at=bindparam("now"),
    )
    .returning(_j.id, _j.kind, _j.conversation_id, _j.owner_id, _j.attempts)
)
_BURY = prepared(
    update(jobs)
    .where(_j.state == "running", _j.lease_until <= bindparam("now"), _j.attempts >= MAX_ATTEMPTS)
    .values(
        state="failed",
        lease_until=None,
        boot_id=None,
        error_code="process_died",
        updated_at=bindparam("now"),
    )
)
_FREE = prepared(
    update(jobs)
    .where(_j.state == "running", _j.boot_id != bindparam("own_boot"))
    .values(lease_until=0)
)
_SETTLE = prepared(
    update(jobs)
    .where(
        _j.id == bindparam("job_id"),
        _j.state == "running",
        _j.boot_id == bindparam("own_boot"),
        _j.attempts == bindparam("attempt"),
    )
    .values(
        state=bindparam("final"),
        attempts=bindparam("counted"),
        run_at=bindparam("due"),
        lease_until=None,
        boot_id=None,
        error_code=bindparam("code"),
        updated_at=bindparam("now"),
    )
)
_NEXT_DUE = prepared(
    select(func.min(case((_j.state == "queued", _j.run_at), else_=_j.lease_until))).where(
        or_(_j.state == "queued", _j.state == "running")
    )
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
    now = tx.now()
    added = tx.run(
        _ENQUEUE,
        id=fresh_id(),
        kind=kind,
        unique_key=unique_key,
        conversation_id=conversation_id,
        owner_id=owner_id,
        state="queued",
        attempts=0,
        run_at=now,
        created_at=now,
        updated_at=now,
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
            return row is not None and row[0] is not None and row[0] <= self._now(tx)

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
            return Job(JobId(row[0]), row[1], ConversationId(row[2]), AccountId(row[3]), row[4])

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
            if row is None or row[0] is None:
                return None
            return max(0.0, (row[0] - self._now(tx)) / 1000)

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
