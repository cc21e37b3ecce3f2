"""Trouble for a store: a lock that another process holds, a disk that is full, a commit whose success is
not reported, a row that is refused.
"""

import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from talekeeper.database import Store
from talekeeper.torture.trouble import fill_up, write_lock_held

__all__ = ["LostCommits", "fill_up", "refusing", "small_disk", "write_lock_held"]


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """A file system of its own, as small as that."""
    with tempfile.TemporaryDirectory(prefix="talekeeper-disk-") as place:
        options = f"size={megabytes}m,mode=0700"
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", place],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            pytest.skip(f"this machine mounts nothing here: {made.stderr.strip()}")
        try:
            yield Path(place)
        finally:
            subprocess.run(["umount", "--lazy", place], check=True)


class LostCommits:
    """The next `count` commits of a store succeed and are reported as failed, the connection lost.

    A server that dies, or a network that breaks, between a commit and its answer looks so.
    """

    def __init__(self, store: Store, patch: pytest.MonkeyPatch) -> None:
        self.count = 0
        for writer in store._writers:
            patch.setattr(writer, "_connected", self._watching(writer))

    def _watching(self, writer: Any) -> Any:
        connected = writer._connected

        def watched() -> Any:
            cursor = connected()
            return _Cursor(self, cursor)

        return watched


class _Cursor:
    def __init__(self, faults: LostCommits, cursor: Any) -> None:
        self._faults = faults
        self._cursor = cursor

    def execute(self, sql: Any, *params: Any) -> Any:
        done = self._cursor.execute(sql, *params)
        if sql == "COMMIT" and self._faults.count:
            self._faults.count -= 1
            if isinstance(self._cursor, sqlite3.Cursor):
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
                raise error
            self._cursor.connection.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        return done

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


@contextmanager
def refusing(folder: Path, database_url: str | None, table: str, condition: str) -> Iterator[None]:
    """Within, the database refuses rows of `table` for which `condition`, over NEW, is true."""
    if database_url is None:
        raising = "SELECT RAISE(ABORT, 'refused')"
        with _on_sqlite(folder) as database:
            for when in ("INSERT", "UPDATE"):
                database.execute(
                    f"CREATE TRIGGER refused_{when} BEFORE {when} ON {table} WHEN {condition}"
                    f" BEGIN {raising}; END"
                )
        try:
            yield
        finally:
            with _on_sqlite(folder) as database:
                for when in ("INSERT", "UPDATE"):
                    database.execute(f"DROP TRIGGER refused_{when}")
        return
    with psycopg.connect(database_url, autocommit=True) as there:
        there.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$BEGIN RAISE EXCEPTION 'refused'; END$$"
        )
        there.execute(
            sql.SQL(
                f"CREATE TRIGGER refused BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW"  # pyright: ignore[reportArgumentType]
                f" WHEN ({condition}) EXECUTE FUNCTION refuse()"
            )
        )
    try:
        yield
    finally:
        with psycopg.connect(database_url, autocommit=True) as there:
            there.execute("DROP FUNCTION refuse() CASCADE")


@contextmanager
def _on_sqlite(folder: Path) -> Iterator[sqlite3.Connection]:
    database = sqlite3.connect(folder / "talekeeper.db", isolation_level=None, timeout=5)
    try:
        yield database
    finally:
        database.close()
