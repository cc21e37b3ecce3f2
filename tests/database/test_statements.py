"""Every statement of the store is understood by the engines that it is for."""

import re
from pathlib import Path

import psycopg
import pytest

from every_statement import statements
from talekeeper.database import Store
from talekeeper.database.statements import statement
from tales import opened

OF_A_TEMPORARY_TABLE = "temp.search_words"


async def test_sqlite_prepares_every_statement(tmp_path: Path) -> None:
    import sqlite3

    async with opened(tmp_path):
        pass
    connection = sqlite3.connect(tmp_path / "talekeeper.db")
    refused: dict[str, str] = {}
    seen = 0
    for name, each in statements():
        sql = each.sqlite
        if sql is None or OF_A_TEMPORARY_TABLE in sql or re.match(r"\s*(PRAGMA|CREATE)", sql):
            continue
        seen += 1
        parameters = dict.fromkeys(re.findall(r":([a-z]\w*)", sql))
        try:
            connection.execute(f"EXPLAIN {sql}", parameters).fetchall()
        except sqlite3.Error as error:
            refused[name] = str(error)
    connection.close()
    assert refused == {}
    assert seen > 100


async def test_postgresql_prepares_every_statement(tmp_path: Path, postgres_database: str) -> None:
    async with opened(tmp_path, database_url=postgres_database):
        pass
    refused: dict[str, str] = {}
    seen = 0
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        for name, each in statements():
            sql = each.postgresql
            # A statement that defines something cannot be prepared; the search index is made by one.
            if sql is None or re.match(r"\s*(CREATE|DROP|TRUNCATE)", sql):
                continue
            seen += 1
            try:
                connection.execute(f"PREPARE one AS {_numbered(sql)}".encode())
                connection.execute("DEALLOCATE one")
            except psycopg.Error as error:
                refused[name] = str(error)
    assert refused == {}
    assert seen > 100


def _numbered(sql: str) -> str:
    """`sql` with its parameters as PREPARE wants them: $1, $2, …"""
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", sql)))
    for number, name in enumerate(names, start=1):
        sql = sql.replace(f"%({name})s", f"${number}")
    return sql.replace("%%", "%")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str | None:
    return request.getfixturevalue("postgres_database") if request.param != "sqlite" else None


async def test_columns_have_names_and_percent_signs_and_casts_are_left_alone(
    tmp_path: Path, database_url: str | None
) -> None:
    asked = statement(
        "SELECT :word AS word, 7 % 4 AS rest, '100%' AS share, ':no' AS text",
        postgresql="""
        SELECT :word::text AS word, 7 % 4 AS rest, '100%' AS share, '::no' AS text
        """,
    )
    async with opened(tmp_path, database_url=database_url) as store:
        row = await store.read(lambda tx: tx.first(asked, word="it's 5 %"))
    assert row is not None
    assert (row.word, row.rest, row.share) == ("it's 5 %", 3, "100%")


async def test_a_statement_that_is_not_for_an_engine_is_refused_there(tmp_path: Path) -> None:
    elsewhere = statement(postgresql="SELECT 1 AS one")
    async with opened(tmp_path) as store:
        with pytest.raises(TypeError, match="is not for sqlite"):
            await _read(store, elsewhere)


async def _read(store: Store, asked: object) -> None:
    await store.read(lambda tx: tx.all(asked))  # type: ignore[arg-type]
