"""Installing: what lies in a data folder is opened, made for the first time, or refused.

A folder that holds an installation has a marker, `installation.json`, written last of all when the
installation was made. With a marker, a database that is missing, empty, damaged, another
installation's or newer than this code is refused with what was found and what to do: making a
new one in its place is how other programs lose everything. Without a marker nothing was ever
acknowledged here, so an unfinished first start is simply finished.
"""

import json
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from talekeeper.clock import Clock
from talekeeper.errors import DatabaseDamaged, DatabaseTooNew, StoreUnavailable
from talekeeper.ids import fresh_id
from talekeeper.store.postgresql import Postgresql
from talekeeper.store.sqlite import APPLICATION_ID, Sqlite
from talekeeper.store.tables import installation as table

MARKER: Final = "installation.json"
_HEADER: Final = b"SQLite format 3\x00"


@dataclass(frozen=True, slots=True)
class Installation:
    """Which installation this is, and what was noticed when it was opened."""

    id: str
    schema: str
    warnings: tuple[str, ...] = ()


def opened_installation(data_dir: Path, seam: Sqlite | Postgresql, clock: Clock) -> Installation:
    """The folder's installation, whole and at this version's schema.

    Raises InstallationRefused (see the module), or StoreUnavailable when no server answers.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    marker = _read_marker(data_dir)
    if isinstance(seam, Sqlite):
        _check_file(seam.path, is_installed=marker is not None)
    engine = _sqlalchemy_engine(seam)
    try:
        with engine.connect() as connection:
            found = _found_installation(connection)
            if marker is not None and found is None:
                raise DatabaseDamaged(
                    f"{data_dir} holds installation {marker}, but its database is empty. Restore a "
                    f"backup, or give another folder with --data-dir to start afresh. Nothing was "
                    "changed."
                )
            if marker is not None and found != marker:
                raise DatabaseDamaged(
                    f"{data_dir} holds installation {marker}, but the database is that of {found}. "
                    "Put the right database back, or give the right --data-dir."
                )
            schema = _migrated(connection)
            if found is None:
                found = fresh_id()
                connection.execute(
                    sa.insert(table).values(id=1, installation_id=found, created_at=clock.now())
                )
            connection.commit()
    except sa.exc.OperationalError as error:
        if isinstance(seam, Postgresql):
            raise StoreUnavailable(
                "The PostgreSQL server cannot be reached. Check that it runs and that "
                "TALEKEEPER_DATABASE_URL is right."
            ) from error
        raise _damaged(seam.path, str(error.orig)) from error
    except sa.exc.DatabaseError as error:
        if isinstance(seam, Postgresql):
            raise
        raise _damaged(seam.path, str(error.orig)) from error
    finally:
        engine.dispose()
    if marker is None:
        _write_marker(data_dir, found, clock)
    return Installation(id=found, schema=schema)


def _check_file(path: Path, *, is_installed: bool) -> None:
    """`path` is a whole SQLite database, or is about to be made one for the first time."""
    # Before any connection of ours is open: closing a file drops this process's locks on it.
    size = path.stat().st_size if path.exists() else None
    if not is_installed and not size:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        return
    if size is None:
        raise DatabaseDamaged(
            f"{path} is missing, but {path.parent} has been in use. Restore a backup into its "
            "place, or give another folder with --data-dir to start afresh. Nothing was changed."
        )
    with path.open("rb") as file:
        header = file.read(100)
    if not header.startswith(_HEADER):
        found = "empty" if size == 0 else "not a database (its header is wrong)"
        raise DatabaseDamaged(
            f"{path} is {found}. Restore a backup into its place; keep the file as it is until "
            "then. Nothing was changed."
        )
    connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
    try:
        found = connection.execute("PRAGMA quick_check(3)").fetchall()
    except sqlite3.Error as error:
        raise _damaged(path, str(error)) from error
    finally:
        connection.close()
    if found != [("ok",)]:
        raise _damaged(path, "; ".join(str(row[0]) for row in found))


def _damaged(path: Path, what: str) -> DatabaseDamaged:
    return DatabaseDamaged(
        f"{path} is damaged ({what}). Restore the newest good backup into its place; keep the "
        "damaged file until then. Nothing was changed."
    )


def _sqlalchemy_engine(seam: Sqlite | Postgresql) -> sa.Engine:
    """An engine for migrations only; everything else runs on the driver itself."""
    if isinstance(seam, Postgresql):
        engine = sa.create_engine(
            "postgresql+psycopg://", creator=lambda: psycopg.connect(seam.url, connect_timeout=5)
        )
        # Two servers may be started at once: the second waits, and finds everything in place.
        sa.event.listen(
            engine,
            "begin",
            lambda c: c.exec_driver_sql(f"SELECT pg_advisory_xact_lock({APPLICATION_ID})"),
        )
        return engine

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"file:{quote(str(seam.path))}?mode=rw", uri=True, isolation_level=None
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        return connection

    engine = sa.create_engine("sqlite://", creator=connect, poolclass=sa.NullPool)
    # The driver would begin nothing before CREATE TABLE, and a killed upgrade would stay half done.
    sa.event.listen(engine, "begin", lambda c: c.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def _found_installation(connection: sa.Connection) -> str | None:
    """The database's installation; None where there is no schema or its making was not finished."""
    if not sa.inspect(connection).has_table(table.name):
        return None
    return connection.execute(sa.select(table.c.installation_id)).scalar_one_or_none()


def _migrated(connection: sa.Connection) -> str:
    """The schema's revision, after bringing it up to date. Raises DatabaseTooNew."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    script = ScriptDirectory.from_config(config)
    known = {revision.revision for revision in script.walk_revisions()}
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in known:
        raise DatabaseTooNew(
            f"This database was written by a newer Talekeeper (schema {current}). Install that "
            "version, or restore a backup made with this one. Nothing was changed."
        )
    command.upgrade(config, "head")
    head = script.get_current_head()
    assert head is not None
    return head


def _read_marker(data_dir: Path) -> str | None:
    path = data_dir / MARKER
    try:
        content: Any = json.loads(path.read_bytes())
        return str(content["installation_id"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise DatabaseDamaged(
            f"{path} cannot be read. If {data_dir} holds your conversations, restore that file or "
            "delete it, and start again: the database itself is kept."
        ) from error


def _write_marker(data_dir: Path, installation_id: str, clock: Clock) -> None:
    """The marker is on disk, whole or not at all."""
    body = json.dumps({"installation_id": installation_id, "created_at": clock.now()})
    temporary = data_dir / f"{MARKER}.new"
    with temporary.open("w") as file:
        file.write(body + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(data_dir / MARKER)
    folder = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
