"""A lease is renewed whatever one renewal meets (R11, S9)."""

import asyncio
from pathlib import Path
from typing import Any

import psycopg
import pytest

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
