"""An installation is opened, made for the first time, or refused; never replaced (R16, U1)."""

import json
import re
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from talekeeper.database import Store
from talekeeper.database.folder_lock import FolderLock
from talekeeper.database.tables import metadata
from talekeeper.errors import DatabaseDamaged, DatabaseTooNew, DataFolderInUse
from talekeeper.ids import BootId
from tales import an_account, opened

pytestmark = pytest.mark.req("R16", "U1")


async def _in_use(folder: Path) -> Path:
    async with opened(folder) as store:
        await an_account(store)
    return folder / "talekeeper.db"


async def test_a_new_folder_becomes_an_installation_with_a_marker(tmp_path: Path) -> None:
    await _in_use(tmp_path / "fresh")
    marker = json.loads((tmp_path / "fresh" / "installation.json").read_text())
    async with opened(tmp_path / "fresh") as store:
        assert store.installation.id == marker["installation_id"]
    assert (tmp_path / "fresh" / "talekeeper.db").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("damage", ["missing", "empty", "garbage", "truncated", "overwritten"])
async def test_a_database_that_is_not_whole_is_refused_and_left_as_it_is(
    tmp_path: Path, damage: str
) -> None:
    path = await _in_use(tmp_path)
    whole = path.read_bytes()
    match damage:
        case "missing":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
        case "garbage":
            path.write_bytes(b"all is lost " * 1000)
        case "truncated":
            path.write_bytes(whole[: len(whole) // 2])
        case _:
            path.write_bytes(whole[:8192] + b"\xa5" * 8192 + whole[16384:])
    before = path.read_bytes() if path.exists() else None
    with pytest.raises(DatabaseDamaged, match="talekeeper.db") as refusal:
        await Store.open(tmp_path)
    assert "Nothing was changed" in refusal.value.message
    assert (path.read_bytes() if path.exists() else None) == before


async def test_another_installations_database_is_refused(tmp_path: Path) -> None:
    ours = await _in_use(tmp_path / "ours")
    theirs = await _in_use(tmp_path / "theirs")
    ours.write_bytes(theirs.read_bytes())
    with pytest.raises(DatabaseDamaged, match="the database is that of"):
        await Store.open(tmp_path / "ours")


async def test_a_database_without_rows_in_an_existing_installation_is_refused(
    tmp_path: Path,
) -> None:
    path = await _in_use(tmp_path)
    path.unlink()
    with sqlite3.connect(path) as fresh:
        fresh.execute("CREATE TABLE decoy (x)")
    fresh.close()
    with pytest.raises(DatabaseDamaged, match="its database is empty"):
        await Store.open(tmp_path)


@pytest.mark.req("R22", "U19")
async def test_a_database_from_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = await _in_use(tmp_path)
    with sqlite3.connect(path) as other:
        other.execute("UPDATE alembic_version SET version_num = '9999'")
    other.close()
    with pytest.raises(DatabaseTooNew, match="newer Talekeeper"):
        await Store.open(tmp_path)


async def test_a_first_start_that_was_killed_is_finished_by_the_next(tmp_path: Path) -> None:
    (tmp_path / "talekeeper.db").touch()
    async with opened(tmp_path) as store:
        await an_account(store)
    (tmp_path / "installation.json").unlink()
    async with opened(tmp_path) as store:
        assert store.installation.id


async def test_an_unreadable_marker_is_named(tmp_path: Path) -> None:
    await _in_use(tmp_path)
    (tmp_path / "installation.json").write_text("{")
    with pytest.raises(DatabaseDamaged, match="installation.json cannot be read"):
        await Store.open(tmp_path)


async def test_a_postgresql_database_that_was_emptied_is_refused(
    tmp_path: Path, postgres_database: str
) -> None:
    async with opened(tmp_path, database_url=postgres_database) as store:
        await an_account(store)
    engine = sa.create_engine(postgres_database.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(sa.text("DROP SCHEMA public CASCADE"))
        connection.execute(sa.text("CREATE SCHEMA public"))
    engine.dispose()
    with pytest.raises(DatabaseDamaged, match="empty"):
        await Store.open(tmp_path, database_url=postgres_database)


def test_a_second_server_on_one_folder_is_refused(tmp_path: Path) -> None:
    first = FolderLock.take(tmp_path, boot_id=BootId("one"))
    with pytest.raises(DataFolderInUse, match="in use by another Talekeeper"):
        FolderLock.take(tmp_path, boot_id=BootId("two"))
    first.release()
    FolderLock.take(tmp_path, boot_id=BootId("three")).release()


async def test_the_migrations_make_exactly_the_tables_that_the_code_knows(tmp_path: Path) -> None:
    path = await _in_use(tmp_path)
    migrated = _schema(f"sqlite:///{path}")
    direct = tmp_path / "direct.db"
    engine = sa.create_engine(f"sqlite:///{direct}")
    metadata.create_all(engine)
    engine.dispose()
    assert migrated == _schema(f"sqlite:///{direct}")


def _schema(url: str) -> dict[str, set[str]]:
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        rows = connection.execute(
            sa.text(
                "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
                " AND name NOT LIKE 'alembic%'"
            )
        ).all()
    engine.dispose()
    # The order of columns is the code's, unless they came later; that of constraints is the tool's.
    return {name: _definitions(sql) for name, sql in rows}


def _definitions(sql: str) -> set[str]:
    """What a statement defines, one by one, however it is laid out: a column added later stands
    behind everything else, on the same line.
    """
    head, _, body = " ".join(sql.split()).partition("(")
    body, _, tail = body.rpartition(")")
    found, depth = [""], 0
    for sign in body:
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if sign == "," and depth == 0:
            found.append("")
        else:
            found[-1] += sign
    # SQLite adds a constraint only with its column, behind which it then stands.
    split = (part for each in found for part in re.split(r"(?=\bCONSTRAINT )", each))
    # SQLite quotes the name of a table that was renamed.
    return {head.strip().replace('"', ""), tail.strip(), *(each.strip() for each in split)}
