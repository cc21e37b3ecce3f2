"""PostgreSQL behind the seam: a few writing connections, row locks where SQLite has one writer.

A batch locks its conversations in sorted order before it does anything else, so that two batches
cannot wait for each other. `synchronous_commit` is read back: an acknowledgement means a flush.
"""

from collections.abc import Collection
from typing import Any, Final

import psycopg
from psycopg import errors as pg
from psycopg.types.numeric import Int8Dumper

from talekeeper.database.statements import Engine
from talekeeper.database.units import Cursor
from talekeeper.errors import (
    InstallationRefused,
    StoreBusy,
    StoreError,
    StoreFull,
    StoreUnavailable,
)

_OPTIONS: Final = (
    "-c synchronous_commit=on -c statement_timeout=5000 -c lock_timeout=500 -c idle_in_transaction_session_timeout=10000"
    " -c timezone=UTC"
)
_MIGRATION_LOCK: Final = 0x54414C45
_LOCK: Final = "SELECT id FROM conversations WHERE id = ANY(%(ids)s) ORDER BY id FOR UPDATE"


class Postgresql:
    """A database on a server. `url` is a libpq address, which may hold a password: never shown."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.name: Engine = "postgresql"
        self.writers = 3

    @property
    def begin_migration(self) -> tuple[str, ...]:
        return (
            "BEGIN",
            "SET LOCAL statement_timeout = 0",
            "SET LOCAL lock_timeout = 0",
            f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})",
        )

    def check_database(self, *, is_installed: bool) -> None:
        """The server looks after its own files."""

    def tables(self, cursor: Cursor) -> set[str]:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()", {})
        return {row[0] for row in cursor.fetchall()}

    def connect_writer(self) -> "psycopg.Connection[Any]":
        connection = self._connect()
        setting = connection.execute("SHOW synchronous_commit").fetchone()
        if setting is None or setting[0] == "off":
            connection.close()
            raise InstallationRefused(
                "PostgreSQL runs with synchronous_commit = off: an acknowledged message could be "
                "lost. Set it to on for this database."
            )
        return connection

    def connect_reader(self) -> "psycopg.Connection[Any]":
        return self._connect()

    def _connect(self) -> "psycopg.Connection[Any]":
        connection = psycopg.connect(
            self.url,
            autocommit=True,
            options=_OPTIONS,
            connect_timeout=2,
            # A network that is gone is noticed by the kernel, which acknowledges for busy programs.
            tcp_user_timeout=1_500,
            keepalives_idle=1,
            keepalives_interval=1,
            keepalives_count=1,
            prepare_threshold=2,
            application_name="talekeeper",
        )
        # One type for every whole number: else a statement is planned once for each size of them.
        connection.adapters.register_dumper(int, Int8Dumper)
        return connection

    def begin_write(self, cursor: Cursor, *, conversation_ids: Collection[str]) -> None:
        cursor.execute("BEGIN", {})
        if conversation_ids:
            cursor.execute(_LOCK, {"ids": sorted(conversation_ids)})

    def touch(self, cursor: Cursor) -> None:
        # A row lock is written to the log, and changes nothing that anybody reads.
        cursor.execute("SELECT installation_id FROM installation FOR UPDATE", {})
        cursor.fetchall()

    def begin_read(self, cursor: Cursor) -> None:
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", {})

    def transaction_stands(self, connection: Any) -> bool:
        return not connection.closed and connection.info.transaction_status.name in (
            "INTRANS",
            "INERROR",
        )

    def store_error(self, error: Exception) -> StoreError | None:
        if not isinstance(error, psycopg.Error):
            return None
        match error:
            case pg.DiskFull():
                return StoreFull("The database server's disk is full. Free space, then send again.")
            case (
                pg.LockNotAvailable()
                | pg.QueryCanceled()
                | pg.SerializationFailure()
                | pg.DeadlockDetected()
            ):
                return StoreBusy("The database is busy. Try again in a moment.")
            case _ if self.is_connection_lost(error):
                return StoreUnavailable("The database server cannot be reached. Is it running?")
            case psycopg.OperationalError():
                # Not the fault of what was written: no memory, too many connections, a broken disk.
                return StoreUnavailable("The database server is in trouble. See its log.")
            case _:
                return None

    def may_rerun(self, error: Exception) -> bool:
        # A unique violation is another process's insert between our look and ours: look again.
        return isinstance(error, pg.SerializationFailure | pg.DeadlockDetected | pg.UniqueViolation)

    def is_connection_lost(self, error: Exception) -> bool:
        if not isinstance(error, psycopg.Error):
            return False
        state = error.sqlstate
        if state is None:
            return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        return state[:2] in ("08", "57") and not isinstance(error, pg.QueryCanceled)

    def log_size(self) -> int | None:
        """Nor is its log."""
        return None

    def tidy(self, cursor: Cursor, *, idle: bool) -> bool:
        del cursor, idle
        return True  # the server looks after its own log

    def size(self) -> int | None:
        """Not this machine's disk to watch."""
        return None
