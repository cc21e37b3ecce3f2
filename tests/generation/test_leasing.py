"""A lease is renewed whatever one renewal meets (R11, S9)."""

import asyncio
from pathlib import Path
from typing import Any

import psycopg
import pytest

from talekeeper.database import Writer
from talekeeper.generation import leasing
from talekeeper.generation.leasing import Lease
from talekeeper.ids import BootId
from talekeeper.providers.scripted import Script
from tales import a_table, until

pytestmark = pytest.mark.postgres


def _until_of(url: str, boot_id: str) -> int:
    with psycopg.connect(url) as there:
        row = there.execute(
            "SELECT lease_until FROM processes WHERE boot_id = %s", (boot_id,)
        ).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.req("R11")
@pytest.mark.parametrize("what", ["_renew", "recover_replies"])
async def test_a_lease_is_renewed_after_an_error_that_no_one_foresaw(
    tmp_path: Path, postgres_database: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[str] = []

    def failing(*_: Any, **__: Any) -> Any:
        failures.append(what)
        raise ZeroDivisionError

    owner = "talekeeper.generation.leasing"
    place = f"{owner}.Lease._renew" if what == "_renew" else f"{owner}.recover_replies"
    async with a_table(tmp_path, database_url=postgres_database) as table:
        with monkeypatch.context() as patch:
            patch.setattr(place, failing)

            async def has_failed() -> bool:
                return len(failures) >= 2

            await until(has_failed)
        before = _until_of(postgres_database, table.boot_id)

        async def is_renewed() -> bool:
            return await asyncio.to_thread(_until_of, postgres_database, table.boot_id) > before

        await until(is_renewed)
        assert table.tasks.died == ()


@pytest.mark.req("R11")
async def test_after_an_outage_of_the_database_the_first_to_renew_ends_no_others_reply(
    tmp_path: Path, postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every lease runs out while no process reaches the database; all of them are alive."""
    monkeypatch.setattr(leasing, "LEASE_MS", 1_000)
    monkeypatch.setattr(leasing, "RENEW_SECONDS", 0.1)
    renew = Lease._renew
    cut_off: set[BootId] = set()

    def reaching(lease: Lease, tx: Writer) -> Any:
        if lease._boot_id in cut_off:
            raise ZeroDivisionError
        return renew(lease, tx)

    monkeypatch.setattr(Lease, "_renew", reaching)
    script = Script(["The inn ", "is full."], gated=True)
    async with (
        a_table(tmp_path / "one", database_url=postgres_database, script=script) as one,
        a_table(tmp_path / "other", database_url=postgres_database) as other,
    ):
        sent = await one.say("Who is there?")
        assert sent.reply is not None
        cut_off |= {one.boot_id, other.boot_id}
        await asyncio.sleep(1.2)
        cut_off.discard(other.boot_id)
        before = _until_of(postgres_database, other.boot_id)

        async def is_renewed() -> bool:
            return await asyncio.to_thread(_until_of, postgres_database, other.boot_id) > before

        await until(is_renewed)
        await asyncio.sleep(0.3)  # in which the other judges, if it does so at once
        cut_off.clear()
        script.release(2)
        await one.ended(sent)
        assert (await one.message(sent.reply.id)).status == "complete"
