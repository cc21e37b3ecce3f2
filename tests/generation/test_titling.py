"""A conversation is named by the model after its first exchange, and by a person for good (U24, R11).

The job is on disk with the reply it follows, is done by one process at a time, outlives any of
them, and its failure changes nothing.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from talekeeper.clock import SystemClock
from talekeeper.conversations.opening import change_conversation
from talekeeper.conversations.reading import read_conversation
from talekeeper.database.statements import statement
from talekeeper.database.units import Reader, Writer
from talekeeper.domain.conversations import Sent
from talekeeper.domain.events import Announced, JobChanged, Recorded
from talekeeper.errors import ProviderFailed, ProviderRejected, ProviderUnreachable
from talekeeper.generation.requesting import Reached
from talekeeper.generation.titling import LANE, titling
from talekeeper.ids import AccountId, BootId
from talekeeper.jobs import Assignment, Handler, JobRunner
from talekeeper.keeper import open_keeper
from talekeeper.providers.scripted import Fail, Script
from talekeeper.settings import load_settings
from talekeeper.store.jobs import StoredJobs
from talekeeper.store.verifying import verify
from tales import Table, a_table, until

TITLED = "Who is at the door? [[title The Stranger at the Door]]"
FIRST_WORDS = "Who is at the door?"
ATTEMPTS = 3
_JOBS = statement("SELECT state, attempts, error_code, lease_until FROM jobs")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "sqlite" else request.getfixturevalue("postgres_database")


async def _jobs(table: Table) -> list[tuple[str, int, str | None]]:
    rows = await table.store.read(lambda tx: tx.all(_JOBS))
    return [(row[0], row[1], row[2]) for row in rows]


async def _are_done(table: Table) -> bool:
    return {job[0] for job in await _jobs(table)} == {"done"}


async def _title(table: Table) -> str:
    found = await read_conversation(table.store, table.conversation.id, owner_id=table.owner_id)
    return found.title


def _jobs_of(table: Table, boot_id: str | None = None) -> StoredJobs:
    return StoredJobs(table.store, boot_id=BootId(boot_id or table.boot_id), clock=SystemClock())


@asynccontextmanager
async def a_runner(table: Table, *, first_pause: float = 0.0) -> AsyncGenerator[JobRunner]:
    def reach(_tx: Reader, _owner: AccountId, _provider: str, model: str) -> Reached:
        return Reached(table.provider[-1], model, None)

    handler = titling(table.store, reach, first_pause=first_pause)
    runner = JobRunner(_jobs_of(table), {"title": handler}, tasks=table.tasks)
    runner.start()
    try:
        yield runner
    finally:
        await runner.close()


async def _said(table: Table, content: str = TITLED) -> Sent:
    return await table.said(content)


async def test_the_server_names_a_conversation_after_its_first_exchange(tmp_path: Path) -> None:
    settings = load_settings(
        data_dir=tmp_path / "data", key_file=tmp_path / "key", provider="scripted"
    )
    async with open_keeper(settings) as keeper:
        gm = keeper.game_master()
        conversation = await gm.open_conversation()
        await gm.reply(await gm.send(conversation.id, TITLED))

        async def is_named() -> bool:
            found = await gm.conversation(conversation.id)
            return found.title == "The Stranger at the Door"

        await until(is_named)
        assert await verify(keeper.store) == []


async def test_the_job_is_on_disk_with_the_reply_and_only_once(
    tmp_path: Path, database_url: str | None
) -> None:
    told: list[str] = []

    def hear(events: Sequence[Announced]) -> None:
        told.extend(event.job.state for event in events if isinstance(event, JobChanged))

    async with a_table(
        tmp_path, database_url=database_url, makes_titles=True, announce=hear
    ) as table:
        sent = await _said(table)
        assert await _jobs(table) == [("queued", 0, None)]
        assert told == ["queued"]
        assert sent.reply is not None
        again = await table.again(sent.reply.id)
        await table.ended(again.sent)
        await _said(table, "And then? [[title Another]]")
        assert await _jobs(table) == [("queued", 0, None)]


async def test_only_the_first_exchange_writes_anything_for_a_title(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    text = Writer._text

    def counted(tx: Writer, statement: Any) -> str:
        sql = text(tx, statement)
        written.append(sql.split(" (")[0])
        return sql

    monkeypatch.setattr(Writer, "_text", counted)
    async with a_table(tmp_path, makes_titles=True) as table:
        await _said(table)
        assert sum("jobs" in sql for sql in written) == 1
        counts: list[int] = []
        for _ in range(2):
            written.clear()
            await _said(table, "And then? [[title Another]]")
            assert not any("jobs" in sql for sql in written)
            counts.append(len(written))
        assert counts[0] == counts[1]


async def test_a_title_is_made_once_by_one_of_two_runners(
    tmp_path: Path, database_url: str | None
) -> None:
    async with a_table(tmp_path, database_url=database_url, makes_titles=True) as table:
        await _said(table)
        first, second = _jobs_of(table), _jobs_of(table, "another boot")
        claimed = await asyncio.gather(first.claim({"title": 60}), second.claim({"title": 60}))
        assert sum(job is not None for job in claimed) == 1
        assert await _jobs(table) == [("running", 1, None)]


async def test_the_title_is_told_and_stored(tmp_path: Path, database_url: str | None) -> None:
    told: list[Announced] = []
    async with a_table(
        tmp_path, database_url=database_url, makes_titles=True, announce=told.extend
    ) as table:
        await _said(table)
        assert (await _title(table)).startswith(FIRST_WORDS)
        before = await read_conversation(
            table.store, table.conversation.id, owner_id=table.owner_id
        )
        told.clear()
        async with a_runner(table):
            await until(partial(_are_done, table))
        recorded = [event for event in told if isinstance(event, Recorded)]
        assert [event.conversation.title for event in recorded] == ["The Stranger at the Door"]
        assert recorded[0].seq == before.seq + 1


async def test_without_a_word_of_it_the_scripted_provider_is_not_asked(tmp_path: Path) -> None:
    async with a_table(tmp_path, makes_titles=True) as table:
        await _said(table, FIRST_WORDS)
        assert await _jobs(table) == []


async def test_a_reply_that_failed_ends_no_exchange(tmp_path: Path) -> None:
    script = Script([Fail(ProviderFailed("Out of order."))])
    async with a_table(tmp_path, script=script, makes_titles=True) as table:
        await _said(table)
        assert await _jobs(table) == []
        await _said(table, "Now? [[title At Last]]")
        assert await _jobs(table) == [("queued", 0, None)]


async def test_a_title_that_a_person_gave_is_never_asked_for(tmp_path: Path) -> None:
    async with a_table(tmp_path, makes_titles=True) as table:
        await change_conversation(
            table.store, table.conversation.id, owner_id=table.owner_id, title="My own"
        )
        await _said(table)
        assert await _jobs(table) == []


async def test_a_title_that_a_person_gives_meanwhile_stays(tmp_path: Path) -> None:
    script = Script(["Nobody."], ["The ", "Door"], gated=True)
    async with a_table(tmp_path, script=script, makes_titles=True) as table:
        sent = await table.say(TITLED)
        script.release()
        await table.ended(sent)
        async with a_runner(table):
            script.release()
            await script.until_said(2)
            await change_conversation(
                table.store, table.conversation.id, owner_id=table.owner_id, title="My own"
            )
            script.release(5)

            async def is_done() -> bool:
                return (await _jobs(table))[0][0] == "done"

            await until(is_done)
        assert await _title(table) == "My own"


async def test_a_person_who_confirms_the_first_words_has_chosen_them(
    tmp_path: Path, database_url: str | None
) -> None:
    async with a_table(tmp_path, database_url=database_url, makes_titles=True) as table:
        first_words = "The bridge of sighs"
        await table.say(first_words, wants_reply=False)
        before = await read_conversation(
            table.store, table.conversation.id, owner_id=table.owner_id
        )
        confirmed = await change_conversation(
            table.store, table.conversation.id, owner_id=table.owner_id, title=first_words
        )
        assert (confirmed.title, confirmed.seq) == (first_words, before.seq + 1)
        again = await change_conversation(
            table.store, table.conversation.id, owner_id=table.owner_id, title=first_words
        )
        assert again == confirmed
        await _said(table)
        assert await _jobs(table) == []
        assert await _title(table) == first_words
        assert await verify(table.store) == []


@pytest.mark.parametrize(
    "answer",
    [
        ["Sure! Here's a title for the conversation:", "\n\n", "The ", "Mill", "\nIt is short."],
        ["```json\n", '{\n  "title":', ' "The Mill"\n', "}\n```"],
        ['{"title": "The Mill"}'],
        ["<title>", "\nThe Mill\n", "</title>"],
    ],
)
async def test_the_title_is_taken_out_of_an_answer_of_several_lines(
    tmp_path: Path, answer: list[str]
) -> None:
    script = Script(["Nobody."], answer)
    async with a_table(tmp_path, script=script, makes_titles=True) as table:
        await _said(table)
        async with a_runner(table):
            await until(lambda: _are_done(table))
        assert await _title(table) == "The Mill"


async def test_an_answer_that_is_no_title_leaves_the_first_words(tmp_path: Path) -> None:
    script = Script(["Nobody."], ["Here is a long explanation of why " * 10])
    async with a_table(tmp_path, script=script, makes_titles=True) as table:
        await _said(table)
        async with a_runner(table):

            async def is_done() -> bool:
                return (await _jobs(table))[0][0] == "done"

            await until(is_done)
        assert (await _title(table)).startswith(FIRST_WORDS)


async def test_a_model_that_cannot_be_reached_is_asked_three_times(
    tmp_path: Path, database_url: str | None
) -> None:
    gone = Fail(ProviderUnreachable("Nobody there."))
    script = Script(["Nobody."], [gone], [gone], [gone], ["Too late"])
    async with a_table(
        tmp_path, database_url=database_url, script=script, makes_titles=True
    ) as table:
        await _said(table)
        async with a_runner(table):

            async def has_failed() -> bool:
                return (await _jobs(table))[0][0] == "failed"

            await until(has_failed)
        assert await _jobs(table) == [("failed", ATTEMPTS, "provider_unreachable")]
        assert len(script.asked) == 1 + ATTEMPTS
        assert (await _title(table)).startswith(FIRST_WORDS)


async def test_what_trying_again_cannot_help_is_not_tried_again(tmp_path: Path) -> None:
    script = Script(["Nobody."], [Fail(ProviderRejected("No such model."))], ["Too late"])
    async with a_table(tmp_path, script=script, makes_titles=True) as table:
        await _said(table)
        async with a_runner(table):

            async def has_failed() -> bool:
                return (await _jobs(table))[0][0] == "failed"

            await until(has_failed)
        assert await _jobs(table) == [("failed", 1, "provider_rejected")]


async def test_a_job_waits_as_long_as_the_provider_asked(tmp_path: Path) -> None:
    script = Script(["Nobody."], [Fail(ProviderFailed("Busy.", retry_after=3_600))])
    async with a_table(tmp_path, script=script, makes_titles=True) as table:
        await _said(table)
        async with a_runner(table):

            async def is_put_back() -> bool:
                return await _jobs(table) == [("queued", 1, "provider_failed")]

            await until(is_put_back)
        due = await _jobs_of(table).next_due(["title"])
        assert due is not None
        assert 3_500 < due <= 3_600


@pytest.mark.req("R11")
async def test_a_job_of_a_killed_process_is_done_by_the_next(tmp_path: Path) -> None:
    async with a_table(tmp_path, makes_titles=True) as table:
        await _said(table)
        assert await _jobs_of(table, "the killed one").claim({"title": 3_600}) is not None
        # Whoever holds the data folder is alone, so no lease has to be waited for.
        await _jobs_of(table).free_abandoned()
        async with a_runner(table):

            async def is_done() -> bool:
                return await _jobs(table) == [("done", 2, None)]

            await until(is_done)
        assert await _title(table) == "The Stranger at the Door"


@pytest.mark.req("R11")
@pytest.mark.postgres
async def test_on_postgresql_a_killed_process_keeps_its_job_until_its_lease_ends(
    tmp_path: Path, postgres_database: str
) -> None:
    async with a_table(tmp_path, database_url=postgres_database, makes_titles=True) as table:
        await _said(table)
        killed, living = _jobs_of(table, "the killed one"), _jobs_of(table)
        assert await killed.claim({"title": 0.2}) is not None
        await living.free_abandoned()
        assert await living.claim({"title": 60}) is None
        due = await living.next_due(["title"])
        assert due is not None
        await asyncio.sleep(due + 0.01)  # the database's own clock decides
        job = await living.claim({"title": 60})
        assert job is not None
        # The killed one was only frozen, and wakes: its word about the job counts no more.
        await killed.finish(job, None)
        assert await _jobs(table) == [("running", 2, None)]


async def test_a_job_that_kills_its_process_ends_as_failed(tmp_path: Path) -> None:
    async with a_table(tmp_path, makes_titles=True) as table:
        await _said(table)
        for attempt in range(ATTEMPTS):
            claimed = await _jobs_of(table, f"boot {attempt}").claim({"title": 3_600})
            assert claimed is not None
            await _jobs_of(table).free_abandoned()

        async def has_failed() -> bool:
            return await _jobs(table) == [("failed", ATTEMPTS, "process_died")]

        async with a_runner(table):
            await until(has_failed)
        assert await _jobs_of(table).next_due(["title"]) is None


async def test_closing_gives_the_job_back_and_does_not_count_it(tmp_path: Path) -> None:
    script = Script(["Nobody."], ["The ", "Door"], gated=True)
    async with a_table(tmp_path, script=script, makes_titles=True) as table:
        sent = await table.say(TITLED)
        script.release()
        await table.ended(sent)
        async with a_runner(table):
            script.release()
            await script.until_said(2)
        assert await _jobs(table) == [("queued", 0, None)]


async def test_a_job_goes_on_past_one_that_breaks(tmp_path: Path) -> None:
    async with a_table(tmp_path, makes_titles=True) as table:
        await _said(table)
        tried: list[str] = []

        async def broken(_assignment: Assignment) -> None:
            tried.append("once more")
            raise ZeroDivisionError

        handler = Handler(work=broken, lane=LANE, first_pause=0.0)
        runner = JobRunner(_jobs_of(table), {"title": handler}, tasks=table.tasks)
        runner.start()

        async def has_failed() -> bool:
            return await _jobs(table) == [("failed", ATTEMPTS, "internal")]

        await until(has_failed)
        assert table.tasks.died == ()
        assert len(tried) == ATTEMPTS
        await runner.close()
