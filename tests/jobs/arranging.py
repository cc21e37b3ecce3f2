"""Kinds of jobs for the tests, and a process that does them."""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from talekeeper.clock import SystemClock
from talekeeper.database import Store
from talekeeper.domain import jobs as domain
from talekeeper.domain.events import Announced, JobChanged
from talekeeper.domain.jobs import Job, JobKind
from talekeeper.ids import AccountId, BootId, JobId
from talekeeper.jobs import Assignment, Handler, JobRunner, Lane
from talekeeper.store import jobs as stored
from talekeeper.store import verifying
from talekeeper.store.jobs import StoredJobs, cancel_job, enqueue_job, get_job
from talekeeper.store.verifying import verify
from talekeeper.tasks import OwnTasks
from tales import an_account

LETTERS = Lane("letters", loss="No letters are written.")
PICTURES = Lane("pictures", loss="No pictures are painted.")
LETTER = cast("JobKind", "letter")
PICTURE = cast("JobKind", "picture")
KINDS = domain.JOB_KINDS | {LETTER, PICTURE}


def know_kinds(set_attribute: Callable[[Any, str, Any], None] = setattr) -> None:
    """The tests' own kinds of jobs may be stored."""
    set_attribute(stored, "JOB_KINDS", KINDS)
    set_attribute(verifying, "JOB_KINDS", KINDS)


@dataclass
class Office:
    """A store, an account in it, and the jobs that are done there."""

    store: Store
    owner_id: AccountId
    runner: JobRunner
    told: list[Job] = field(default_factory=list[Job])

    async def ask(self, kind: JobKind = LETTER, **how: Any) -> JobId:
        return await self.store.write(
            lambda tx: enqueue_job(tx, kind, owner_id=self.owner_id, **how)
        )

    async def job(self, job_id: JobId) -> Job:
        return await self.store.read(lambda tx: get_job(tx, job_id, owner_id=self.owner_id))

    async def cancel(self, job_id: JobId) -> Job:
        return await self.store.write(lambda tx: cancel_job(tx, job_id, owner_id=self.owner_id))

    async def has_ended(self, job_id: JobId) -> bool:
        return (await self.job(job_id)).state in domain.ENDED


@asynccontextmanager
async def an_office(
    folder: Path,
    handlers: Mapping[str, Handler],
    *,
    database_url: str | None = None,
    boot_id: str = "this process",
    owner_id: AccountId | None = None,
    idle_seconds: float | None = None,
    hears: bool = True,
) -> AsyncGenerator[Office]:
    """Jobs are done in it until the block ends. Without `hears` its runner is told of nothing."""
    hearers: list[Callable[[Sequence[Announced]], None]] = []

    def announce(events: Sequence[Announced]) -> None:
        for hear in hearers:
            hear(events)

    store = await Store.open(folder, database_url=database_url, announce=announce)
    tasks = OwnTasks()
    try:
        table = StoredJobs(store, boot_id=BootId(boot_id), clock=SystemClock())
        await table.free_abandoned()
        runner = JobRunner(table, handlers, tasks=tasks, idle_seconds=idle_seconds)
        office = Office(store, owner_id or (await an_account(store)).id, runner)
        hearers.append(
            lambda events: office.told.extend(
                event.job for event in events if isinstance(event, JobChanged)
            )
        )
        if hears:
            hearers.append(runner.hear)
        runner.start()
        try:
            yield office
        finally:
            await runner.close()
        assert tasks.died == ()
        assert await verify(store) == []
    finally:
        await store.close()


async def _work(
    folder: Path, database_url: str | None, owner_id: str, orders: dict[str, Any]
) -> None:
    """A process of its own: it says on which job it is, and does each in so many seconds."""
    know_kinds()

    async def work(assignment: Assignment) -> None:
        print("job", assignment.job.id, flush=True)
        await asyncio.sleep(orders["seconds"])

    handler = Handler(work=work, lane=LETTERS, lease_seconds=orders["lease"])
    async with an_office(
        folder,
        {LETTER: handler},
        database_url=database_url,
        boot_id=orders["boot"],
        owner_id=AccountId(owner_id),
        idle_seconds=0.2,
    ):
        await asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    order = json.loads(sys.argv[1])
    asyncio.run(_work(Path(order["folder"]), order["url"], order["owner"], order))
