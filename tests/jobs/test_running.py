"""Jobs: done in lanes under leases that are renewed, cancelled, announced, kept for a while (R11).

A job is enqueued in the transaction of what it follows from; nothing else is needed for it to be done.
"""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Generator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest

from jobs.arranging import LETTER, LETTERS, PICTURE, PICTURES, Office, an_office, know_kinds
from talekeeper.clock import SystemClock
from talekeeper.conversations.opening import open_conversation
from talekeeper.database import Writer
from talekeeper.domain.jobs import JobKind
from talekeeper.errors import InvalidInput, NotFound, ProviderFailed
from talekeeper.ids import AccountId, BootId, JobId
from talekeeper.jobs import Assignment, Handler, Lane
from talekeeper.keeper import open_keeper
from talekeeper.settings import load_settings
from talekeeper.store.jobs import StoredJobs, enqueue_job
from tales import an_account, opened, until

HERE = Path(__file__).parents[1]
PATH = [os.environ["PYTHONPATH"]] if "PYTHONPATH" in os.environ else []
DAY = 86_400_000
both_engines = pytest.mark.parametrize(
    "engine", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]
)


@pytest.fixture(autouse=True)
def _kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    know_kinds(monkeypatch.setattr)


@pytest.fixture
def database_url(request: pytest.FixtureRequest, engine: str) -> str | None:
    return None if engine == "sqlite" else request.getfixturevalue("postgres_database")


class Desk:
    """Work that waits for a word, and counts how often it was begun and how often cut short."""

    def __init__(self, lane: Lane = LETTERS, **how: Any) -> None:
        self.begun: list[JobId] = []
        self.cut_short: list[JobId] = []
        self.goes_on = asyncio.Event()
        self.handler = Handler(work=self._work, lane=lane, **how)

    async def _work(self, assignment: Assignment) -> dict[str, Any]:
        self.begun.append(assignment.job.id)
        try:
            await self.goes_on.wait()
        except asyncio.CancelledError:
            self.cut_short.append(assignment.job.id)
            raise
        return {"read": dict(assignment.job.payload)}

    async def has_begun(self, count: int = 1) -> bool:
        return len(self.begun) >= count


def _sql(folder: Path, database_url: str | None, sql: str) -> list[tuple[Any, ...]]:
    """What another program does to the database, or sees in it."""
    if database_url is None:
        with closing(sqlite3.connect(folder / "talekeeper.db", isolation_level=None)) as database:
            return database.execute(sql).fetchall()
    with psycopg.connect(database_url, autocommit=True) as database:
        cursor = database.execute(cast("Any", sql))
        return cursor.fetchall() if cursor.description else []


@both_engines
async def test_a_job_is_done_soon_after_its_transaction_and_keeps_its_result(
    tmp_path: Path, database_url: str | None
) -> None:
    desk = Desk()
    desk.goes_on.set()
    async with an_office(tmp_path, {LETTER: desk.handler}, database_url=database_url) as office:
        job_id = await office.ask(payload={"to": "Ada"})
        await until(partial(office.has_ended, job_id))
        job = await office.job(job_id)
        assert (job.state, job.result, job.attempts) == ("done", {"read": {"to": "Ada"}}, 1)
        assert job.conversation_id is None
        assert [each.state for each in office.told] == ["queued", "running", "done"]


@both_engines
async def test_a_job_of_a_transaction_that_is_rolled_back_is_neither_stored_nor_told(
    tmp_path: Path, database_url: str | None
) -> None:
    desk = Desk()
    async with an_office(tmp_path, {LETTER: desk.handler}, database_url=database_url) as office:

        def torn(tx: Writer) -> None:
            enqueue_job(tx, LETTER, owner_id=office.owner_id)
            raise ConnectionError("the power went")

        with pytest.raises(ConnectionError):
            await office.store.write(torn)
        assert office.told == []
        assert _sql(tmp_path, database_url, "SELECT id FROM jobs") == []


async def test_a_kind_that_is_not_known_is_refused(tmp_path: Path) -> None:
    async with an_office(tmp_path, {}) as office:
        with pytest.raises(InvalidInput, match="kind of job"):
            await office.ask(cast("JobKind", "sing"))


@both_engines
async def test_the_same_work_is_asked_for_once_while_it_waits_or_runs_and_again_afterwards(
    tmp_path: Path, database_url: str | None
) -> None:
    desk = Desk()
    async with an_office(tmp_path, {LETTER: desk.handler}, database_url=database_url) as office:
        first = await office.ask(unique_key="Ada")
        await until(desk.has_begun)
        assert await office.ask(unique_key="Ada") == first
        other = await office.ask(unique_key="Bea")
        assert await office.ask(unique_key="Bea") == other
        assert await office.ask() != await office.ask()
        desk.goes_on.set()
        await until(partial(office.has_ended, first))
        again = await office.ask(unique_key="Ada")
        assert again != first
        await until(partial(office.has_ended, again))


async def test_a_job_waits_until_it_is_due(tmp_path: Path) -> None:
    desk = Desk()
    desk.goes_on.set()
    async with an_office(tmp_path, {LETTER: desk.handler}) as office:
        later = await office.ask(after_seconds=3_600)
        now = await office.ask()
        await until(partial(office.has_ended, now))
        assert (await office.job(later)).state == "queued"


@both_engines
async def test_a_busy_lane_holds_no_other_lane_back_and_runs_no_more_than_its_width(
    tmp_path: Path, database_url: str | None
) -> None:
    pictures = Desk(Lane("pictures", loss="No pictures.", width=2))
    letters = Desk()
    letters.goes_on.set()
    handlers = {PICTURE: pictures.handler, LETTER: letters.handler}
    async with an_office(tmp_path, handlers, database_url=database_url) as office:
        painted = [await office.ask(PICTURE) for _ in range(5)]
        await until(partial(pictures.has_begun, 2))
        letter = await office.ask(LETTER)
        await until(partial(office.has_ended, letter))
        assert len(pictures.begun) == 2
        pictures.goes_on.set()
        for job_id in painted:
            await until(partial(office.has_ended, job_id))
        assert sorted(pictures.begun) == sorted(painted)


@both_engines
async def test_a_lease_is_renewed_for_as_long_as_the_work_takes(
    tmp_path: Path, database_url: str | None
) -> None:
    desk = Desk(lease_seconds=1.5)
    async with an_office(tmp_path, {LETTER: desk.handler}, database_url=database_url) as office:
        job_id = await office.ask()
        await until(desk.has_begun)
        (first,) = _sql(tmp_path, database_url, "SELECT lease_until FROM jobs")[0]
        other = StoredJobs(office.store, boot_id=BootId("another"), clock=SystemClock())

        async def has_outlived_its_first_lease() -> bool:
            assert await other.claim({LETTER: 60}) is None
            (lease,) = _sql(tmp_path, database_url, "SELECT lease_until FROM jobs")[0]
            return lease > first + 1_500

        await until(has_outlived_its_first_lease, seconds=30)
        desk.goes_on.set()
        await until(partial(office.has_ended, job_id))
        assert (await office.job(job_id)).attempts == 1
        assert desk.begun == [job_id]


@both_engines
async def test_work_whose_lease_was_lost_is_cut_short_and_settles_nothing(
    tmp_path: Path, database_url: str | None
) -> None:
    desk = Desk(lease_seconds=0.6)
    async with an_office(tmp_path, {LETTER: desk.handler}, database_url=database_url) as office:
        job_id = await office.ask()
        await until(desk.has_begun)
        # As if this process had been frozen: another one has taken the job.
        taken = (
            "UPDATE jobs SET boot_id = 'another', attempts = 2, lease_until = lease_until + 600000"
        )
        _sql(tmp_path, database_url, taken)

        async def is_cut_short() -> bool:
            return desk.cut_short == [job_id]

        await until(is_cut_short)
        job = await office.job(job_id)
        assert (job.state, job.attempts) == ("running", 2)


@both_engines
async def test_a_waiting_job_that_is_cancelled_is_never_begun(
    tmp_path: Path, database_url: str | None
) -> None:
    desk = Desk()
    async with an_office(tmp_path, {LETTER: desk.handler}, database_url=database_url) as office:
        running, waiting = await office.ask(), await office.ask()
        await until(desk.has_begun)
        assert (await office.cancel(waiting)).state == "cancelled"
        assert (await office.cancel(waiting)).state == "cancelled"
        desk.goes_on.set()
        await until(partial(office.has_ended, running))
        assert desk.begun == [running]
        assert (await office.cancel(running)).state == "done"
        with pytest.raises(NotFound):
            await office.cancel(JobId("none"))


@both_engines
@pytest.mark.parametrize("hears", [True, False], ids=["own process", "another process"])
async def test_a_running_job_that_is_cancelled_is_cut_short_by_its_process(
    tmp_path: Path, database_url: str | None, *, hears: bool
) -> None:
    # In its own process it hears of it at once; elsewhere at the next renewal, a third of the lease.
    desk = Desk(lease_seconds=600 if hears else 0.9)
    async with an_office(
        tmp_path, {LETTER: desk.handler}, database_url=database_url, hears=hears, idle_seconds=0.1
    ) as office:
        job_id = await office.ask()
        await until(desk.has_begun)
        assert (await office.cancel(job_id)).is_cancel_asked
        await until(partial(office.has_ended, job_id))
        assert (await office.job(job_id)).state == "cancelled"
        assert desk.cut_short == [job_id]
        # The lane goes on.
        desk.goes_on.set()
        await until(partial(office.has_ended, await office.ask()))


async def test_another_account_cannot_see_or_cancel_a_job(tmp_path: Path) -> None:
    desk = Desk()
    async with an_office(tmp_path, {LETTER: desk.handler}) as office:
        job_id = await office.ask()
        stranger = Office(office.store, (await an_account(office.store, "Bea")).id, office.runner)
        with pytest.raises(NotFound):
            await stranger.job(job_id)
        with pytest.raises(NotFound):
            await stranger.cancel(job_id)


@both_engines
async def test_progress_is_stored_and_told_and_cannot_pass_its_end(
    tmp_path: Path, database_url: str | None
) -> None:
    async def work(assignment: Assignment) -> None:
        await assignment.report(0, of=2)
        await assignment.report(1)
        await assignment.report(5)

    handler = Handler(work=work, lane=LETTERS)
    async with an_office(tmp_path, {LETTER: handler}, database_url=database_url) as office:
        job_id = await office.ask()
        await until(partial(office.has_ended, job_id))
        told = [(job.state, job.progress, job.progress_of) for job in office.told]
        assert told == [
            ("queued", 0, None),
            ("running", 0, None),
            ("running", 0, 2),
            ("running", 1, 2),
            ("running", 2, 2),
            ("done", 2, 2),
        ]


@both_engines
async def test_work_learns_that_it_was_cancelled_where_it_reports_progress(
    tmp_path: Path, database_url: str | None
) -> None:
    has_begun, may_report, steps = asyncio.Event(), asyncio.Event(), list[str]()

    async def work(assignment: Assignment) -> None:
        has_begun.set()
        await may_report.wait()
        steps.append("before")
        await assignment.report(1)
        steps.append("after")

    handler = Handler(work=work, lane=LETTERS, lease_seconds=600)
    async with an_office(
        tmp_path, {LETTER: handler}, database_url=database_url, hears=False, idle_seconds=0.1
    ) as office:
        job_id = await office.ask()
        await asyncio.wait_for(has_begun.wait(), 10)
        await office.cancel(job_id)
        may_report.set()
        await until(partial(office.has_ended, job_id))
        assert (await office.job(job_id)).state == "cancelled"
        assert steps == ["before"]


@both_engines
async def test_work_that_fails_is_tried_again_as_often_as_its_handler_says(
    tmp_path: Path, database_url: str | None
) -> None:
    async def work(_assignment: Assignment) -> None:
        raise ProviderFailed("Out of order.")

    handler = Handler(work=work, lane=LETTERS, attempts=2, first_pause=0.0)
    async with an_office(tmp_path, {LETTER: handler}, database_url=database_url) as office:
        job_id = await office.ask()
        await until(partial(office.has_ended, job_id))
        job = await office.job(job_id)
        assert (job.state, job.attempts, job.error_code) == ("failed", 2, "provider_failed")


async def test_work_that_takes_longer_than_its_limit_has_failed(tmp_path: Path) -> None:
    desk = Desk(time_limit=0.1, attempts=1)
    async with an_office(tmp_path, {LETTER: desk.handler}) as office:
        job_id = await office.ask()
        await until(partial(office.has_ended, job_id))
        assert (await office.job(job_id)).error_code == "took_too_long"
        assert desk.cut_short == [job_id]


async def test_a_job_of_a_kind_without_a_handler_waits_for_one(tmp_path: Path) -> None:
    async with an_office(tmp_path, {}) as office:
        job_id = await office.ask()
    desk = Desk()
    desk.goes_on.set()
    async with an_office(tmp_path, {LETTER: desk.handler}, owner_id=office.owner_id) as office:
        await until(partial(office.has_ended, job_id))


@both_engines
async def test_closing_gives_back_what_is_under_way_in_every_lane(
    tmp_path: Path, database_url: str | None
) -> None:
    letters, pictures = Desk(), Desk(PICTURES)
    handlers = {LETTER: letters.handler, PICTURE: pictures.handler}
    async with an_office(tmp_path, handlers, database_url=database_url) as office:
        jobs = [await office.ask(LETTER), await office.ask(PICTURE)]
        await until(letters.has_begun)
        await until(pictures.has_begun)
        await office.runner.close()
        for job_id in jobs:
            job = await office.job(job_id)
            assert (job.state, job.attempts) == ("queued", 0)


@both_engines
async def test_a_job_goes_with_its_conversation(tmp_path: Path, database_url: str | None) -> None:
    desk = Desk(lease_seconds=0.6)
    async with an_office(tmp_path, {LETTER: desk.handler}, database_url=database_url) as office:
        conversation = await open_conversation(office.store, owner_id=office.owner_id)
        job_id = await office.ask(conversation_id=conversation.id)
        await until(desk.has_begun)
        gone = f"DELETE FROM jobs WHERE conversation_id = '{conversation.id}'"
        _sql(tmp_path, database_url, gone)

        async def is_cut_short() -> bool:
            return desk.cut_short == [job_id]

        await until(is_cut_short)


@both_engines
async def test_jobs_that_ended_long_ago_are_removed_and_no_others(
    tmp_path: Path, database_url: str | None
) -> None:
    desk = Desk()
    desk.goes_on.set()
    async with an_office(tmp_path, {LETTER: desk.handler}, database_url=database_url) as office:
        ended, kept = await office.ask(), await office.ask()
        waiting = await office.ask(after_seconds=3_600)
        for job_id in (ended, kept):
            await until(partial(office.has_ended, job_id))
        old = f"UPDATE jobs SET updated_at = updated_at - {8 * DAY} WHERE id <> '{kept}'"
        _sql(tmp_path, database_url, old)
    async with an_office(
        tmp_path, {}, database_url=database_url, owner_id=office.owner_id
    ) as office:

        async def is_removed() -> bool:
            rows = _sql(tmp_path, database_url, "SELECT id FROM jobs")
            return {row[0] for row in rows} == {kept, waiting}

        await until(is_removed)
        with pytest.raises(NotFound):
            await office.job(ended)


async def test_the_server_looks_after_its_jobs_though_titles_are_off(tmp_path: Path) -> None:
    data = tmp_path / "data"
    settings = load_settings(
        data_dir=data, key_file=tmp_path / "key", provider="scripted", titles=False
    )
    async with open_keeper(settings) as keeper:
        owner_id = keeper.identities.owner.id
        job_id = await keeper.store.write(lambda tx: enqueue_job(tx, "title", owner_id=owner_id))
    _sql(data, None, "UPDATE jobs SET state = 'done', updated_at = 1")
    async with open_keeper(settings):

        async def is_removed() -> bool:
            return _sql(data, None, f"SELECT id FROM jobs WHERE id = '{job_id}'") == []

        await until(is_removed)


@contextmanager
def _another_process(**orders: Any) -> Generator["subprocess.Popen[str]"]:
    """A process that does jobs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "jobs.arranging", json.dumps(orders)],
        cwd=HERE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *PATH])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _done(said: str) -> list[str]:
    """The jobs of which the process says, between the lines of its log, that it has begun them."""
    return [line.removeprefix("job ") for line in said.splitlines() if line.startswith("job ")]


def _first_done(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return next(job for line in process.stdout for job in _done(line))


@both_engines
@pytest.mark.req("R1")
async def test_a_job_whose_process_is_killed_is_done_by_another_process(
    tmp_path: Path, database_url: str | None
) -> None:
    async with an_office(tmp_path, {}, database_url=database_url) as office:
        owner_id = office.owner_id
        job_id = await office.ask()
    orders = {"folder": str(tmp_path), "url": database_url, "owner": owner_id}
    with _another_process(**orders, seconds=600, lease=2, boot="killed") as process:
        assert await asyncio.to_thread(_first_done, process) == job_id
        process.kill()
        process.wait()
    desk = Desk()
    desk.goes_on.set()
    async with an_office(
        tmp_path, {LETTER: desk.handler}, database_url=database_url, owner_id=owner_id
    ) as office:
        await until(partial(office.has_ended, job_id), seconds=20)
        job = await office.job(job_id)
        assert (job.state, job.attempts) == ("done", 2)


@pytest.mark.postgres
@pytest.mark.parametrize("engine", ["postgresql"])
async def test_two_processes_on_one_database_do_every_job_once(
    tmp_path: Path, database_url: str | None
) -> None:
    count = 120
    async with an_office(tmp_path, {}, database_url=database_url) as office:
        owner_id = office.owner_id

        def ask(tx: Writer) -> list[JobId]:
            return [enqueue_job(tx, LETTER, owner_id=owner_id) for _ in range(count)]

        asked = await office.store.write(ask)
        orders = {"folder": str(tmp_path), "url": database_url, "owner": owner_id}
        orders |= {"seconds": 0.005, "lease": 60}
        with (
            _another_process(**orders, boot="one") as one,
            _another_process(**orders, boot="two") as two,
        ):
            for job_id in asked:
                await until(partial(office.has_ended, job_id), seconds=60)
            done: list[str] = []
            for process in (one, two):
                said, _ = process.communicate("done\n", timeout=60)
                done += _done(said)
    assert Counter(done) == Counter(asked)


async def test_a_store_with_jobs_of_every_state_is_whole(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        owner = await an_account(store)
        jobs = StoredJobs(store, boot_id=BootId("this"), clock=SystemClock())

        def ask(tx: Writer) -> None:
            for _ in range(4):
                enqueue_job(tx, LETTER, owner_id=AccountId(owner.id))

        await store.write(ask)
        done, failed, cancelled = [await jobs.claim({LETTER: 60}) for _ in range(3)]
        assert done is not None
        assert failed is not None
        assert cancelled is not None
        await jobs.finish(done, {})
        await jobs.give_up(failed, error_code="internal")
        await jobs.call_off(cancelled)
        assert await jobs.claim({LETTER: 60}) is not None


@both_engines
async def test_an_attempt_whose_lease_ran_out_settles_nothing_for_the_one_that_followed(
    tmp_path: Path, engine: str, database_url: str | None
) -> None:
    """Both attempts are of one process, which was frozen for longer than its lease."""
    async with opened(tmp_path, database_url=database_url) as store:
        account = await an_account(store)
        table = StoredJobs(store, boot_id=BootId("this process"), clock=SystemClock())
        await store.write(lambda tx: enqueue_job(tx, LETTER, owner_id=account.id))
        first = await table.claim({LETTER: 60.0})
        _sql(tmp_path, database_url, "UPDATE jobs SET lease_until = 1")
        second = await table.claim({LETTER: 60.0})
        assert first is not None
        assert second is not None
        assert (first.id, second.attempts) == (second.id, 2)
        assert await table.renew(first, lease_seconds=60.0) == "lost"
        await table.finish(first, {"read": "by the first"})
        assert _sql(tmp_path, database_url, "SELECT state, result FROM jobs") == [("running", None)]
        await table.finish(second, {"read": "by the second"})
        ((state, result),) = _sql(tmp_path, database_url, "SELECT state, result FROM jobs")
        assert (state, json.loads(result)) == ("done", {"read": "by the second"})
