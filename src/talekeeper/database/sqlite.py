"""SQLite behind the seam: one writing connection, read-only readers, every PRAGMA read back.

`synchronous=FULL` with WAL, because an acknowledged message must survive a power cut: with NORMAL
up to 903 acknowledged rows were lost in one. Only the writer's connection writes or checkpoints,
which keeps clear of the WAL-reset race of SQLite before 3.51.3. `mmap_size` stays 0. `fullfsync`
and `checkpoint_fullfsync` matter on macOS alone, where a sync without them ends in the drive's cache.
"""

import os
import shutil
import sqlite3
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from talekeeper.database.statements import Engine
from talekeeper.database.units import Cursor
from talekeeper.errors import (
    DatabaseDamaged,
    StoreBusy,
    StoreError,
    StoreFull,
    StoreUnavailable,
    SyncFailed,
)

APPLICATION_ID: Final = 0x54414C45
"""'TALE' in the file's header: what tools such as `file` can tell a database of ours by."""

SQLITE_VERSION: Final = sqlite3.sqlite_version

PAGE_BYTES: Final = 2_048
"""Of a new database; one that was made with larger pages keeps them."""
_HEADER: Final = b"SQLite format 3\x00"
_SYNC_PRAGMAS: Final = {"fullfsync": 1, "checkpoint_fullfsync": 1}
_PRAGMAS: Final = {
    **_SYNC_PRAGMAS,
    "synchronous": 2,
    "foreign_keys": 1,
    "busy_timeout": 0,
    "trusted_schema": 0,
    "cell_size_check": 1,
    "mmap_size": 0,
    "cache_size": -16_000,
}
_WRITER_PRAGMAS: Final = {"wal_autocheckpoint": 0, "journal_size_limit": 64 << 20}

_SHARED_MEMORY: Final = (
    sqlite3.SQLITE_IOERR_SHMOPEN,
    sqlite3.SQLITE_IOERR_SHMSIZE,
    sqlite3.SQLITE_IOERR_SHMMAP,
)
_NO_ROOM: Final = 1 << 20

_CHECKPOINT_BYTES: Final = 8 << 20
_CHECKPOINT_COMMITS: Final = 250
_TRUNCATE_BYTES: Final = 64 << 20


class Sqlite:
    """A database file. The folder's lock is held by whoever made this object."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._log = path.with_name(path.name + "-wal")
        self._commits = 0
        self._tidied = 0
        self._first: sqlite3.Connection | None = None
        self.name: Engine = "sqlite"
        self.writers = 1

    @property
    def begin_migration(self) -> tuple[str, ...]:
        return (
            # A table that is written again is dropped, and must not take along what refers to it.
            # Only outside of a transaction can that be said; the connection serves for nothing else.
            "PRAGMA foreign_keys = OFF",
            "BEGIN IMMEDIATE",
            # Within the transaction: a newer version's database is left byte for byte as it was.
            f"PRAGMA application_id = {APPLICATION_ID}",
        )

    def check_database(self, *, is_installed: bool) -> None:
        # Whoever opens a log first reads it whole. So the first connection stays until the writer's
        # stands: a log of 64 MB is read once at a start and not three times.
        self._first = _checked(self.path, is_installed=is_installed)

    def forget_check(self) -> None:
        """The connection by which the database was checked is closed, where none will write."""
        if self._first is not None:
            self._first.close()
            self._first = None

    def tables(self, cursor: Cursor) -> set[str]:
        cursor.execute("SELECT name FROM sqlite_master WHERE type = 'table'", {})
        return {row[0] for row in cursor.fetchall()}

    def connect_writer(self) -> sqlite3.Connection:
        """The one connection that writes. Raises InstallationRefused when a PRAGMA does not hold."""
        connection = self._connect("rw")
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")  # of a database yet to be made
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise DatabaseDamaged(
                f"The database cannot use a write-ahead log (journal mode {mode}). Put the data "
                "folder on a local disk, not on a network share.",
                place=self.path,
            )
        _set_and_read_back(connection, _PRAGMAS | _WRITER_PRAGMAS)
        self.forget_check()
        # What a killed server left in the log is moved when there is time: not before the port opens.
        self._tidied = self.log_size() or 0
        return connection

    def connect_reader(self) -> sqlite3.Connection:
        connection = self._connect("ro")
        _set_and_read_back(connection, _PRAGMAS)
        return connection

    def _connect(self, mode: str) -> sqlite3.Connection:
        return sqlite3.connect(
            f"file:{quote(str(self.path))}?mode={mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )

    def begin_write(self, cursor: Cursor, *, conversation_ids: Collection[str]) -> None:
        del conversation_ids  # a single writer waits for nobody's rows
        # IMMEDIATE: a deferred transaction that reads and then writes fails at once when another
        # has written in between, whatever the time-out.
        cursor.execute("BEGIN IMMEDIATE", {})

    def touch(self, cursor: Cursor) -> None:
        # A header field is rewritten even with the value that it has; a row would be left alone.
        cursor.execute(f"PRAGMA application_id = {APPLICATION_ID}", {})

    def begin_read(self, cursor: Cursor) -> None:
        cursor.execute("BEGIN", {})

    def transaction_stands(self, connection: Any) -> bool:
        return connection.in_transaction

    def store_error(self, error: Exception) -> StoreError | None:
        if not isinstance(error, sqlite3.Error):
            return None
        match _primary(error):
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                return StoreBusy("The database is busy. Try again in a moment.")
            case sqlite3.SQLITE_FULL:
                return StoreFull("The disk is full. Free some space, then send again.")
            case sqlite3.SQLITE_IOERR if self._is_out_of_room(error):
                return StoreFull("The disk is full. Free some space, then send again.")
            case sqlite3.SQLITE_IOERR:
                return SyncFailed("The disk did not confirm the write. Try again in a moment.")
            case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
                return DatabaseDamaged(
                    "The database is damaged. Stop the server and restore the newest good backup.",
                    place=self.path,
                )
            case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
                return StoreUnavailable(
                    "The database cannot be opened for writing. Give the user that runs the "
                    "server access to the data folder.",
                    place=self.path,
                )
            case _:
                return None

    def _is_out_of_room(self, error: sqlite3.Error) -> bool:
        """What failed is SQLite's shared memory, which a full disk refuses in words of its own."""
        if getattr(error, "sqlite_errorcode", 0) not in _SHARED_MEMORY:
            return False
        return shutil.disk_usage(self.path.parent).free < _NO_ROOM

    def may_rerun(self, error: Exception) -> bool:
        return isinstance(error, sqlite3.Error) and _primary(error) in (
            sqlite3.SQLITE_BUSY,
            sqlite3.SQLITE_LOCKED,
        )

    def is_connection_lost(self, error: Exception) -> bool:
        # After a failed sync the page cache may show what is not on disk: drop it, read again.
        return isinstance(error, sqlite3.Error) and _primary(error) in (
            sqlite3.SQLITE_IOERR,
            sqlite3.SQLITE_CORRUPT,
        )

    def tidy(self, cursor: Cursor, *, idle: bool) -> bool:
        """Checkpoint when enough was written since the last time, or nothing else is to do.

        The log's file is kept, and written over from its beginning: a commit that makes a file
        longer waits for the file system's own log as well. So the file's size says nothing of what
        it holds, and commits are counted beside its growth. False when somebody still reads what
        would have been moved.
        """
        size = self.log_size() or 0
        self._commits += not idle
        has_grown = size > self._tidied + _CHECKPOINT_BYTES
        if not (idle or has_grown or self._commits > _CHECKPOINT_COMMITS):
            return True
        how = "TRUNCATE" if size > _TRUNCATE_BYTES else "PASSIVE"
        cursor.execute(f"PRAGMA wal_checkpoint({how})", {})
        moved = cursor.fetchall()
        self._commits = 0
        self._tidied = self.log_size() or 0
        return all(is_busy == 0 and in_log == done for is_busy, in_log, done in moved)

    def size(self) -> int | None:
        """Bytes of the database file; its log comes and goes."""
        return self.path.stat().st_size

    def log_size(self) -> int | None:
        # stat() takes no lock and drops none; opening the file here would (POSIX locks).
        try:
            return self._log.stat().st_size
        except FileNotFoundError:
            return 0


def _checked(path: Path, *, is_installed: bool) -> sqlite3.Connection | None:
    """A connection to the database, which is whole; None where it is yet to be made."""
    # Before any connection of ours is open: closing a file drops this process's locks on it.
    size = path.stat().st_size if path.exists() else None
    if not is_installed and not size:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        return None
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
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode=ro", uri=True, check_same_thread=False
    )
    try:
        _set_and_read_back(connection, _SYNC_PRAGMAS)
        found = connection.execute("PRAGMA quick_check(3)").fetchall()
    except sqlite3.Error as error:
        connection.close()
        raise _damaged(path, str(error)) from error
    if found != [("ok",)]:
        connection.close()
        raise _damaged(path, "; ".join(str(row[0]) for row in found))
    return connection


def _damaged(path: Path, what: str) -> DatabaseDamaged:
    return DatabaseDamaged(
        f"{path} is damaged ({what}). Restore the newest good backup into its place; keep the "
        "damaged file until then. Nothing was changed."
    )


def _primary(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _set_and_read_back(connection: sqlite3.Connection, pragmas: dict[str, int]) -> None:
    for name, value in pragmas.items():
        connection.execute(f"PRAGMA {name} = {value}")
        row = connection.execute(f"PRAGMA {name}").fetchone()
        # A build without a feature answers nothing for its PRAGMA (mmap_size where it is off).
        if row is not None and row[0] != value:
            raise DatabaseDamaged(f"This SQLite refuses PRAGMA {name} = {value} (it is {row[0]}).")
