"""PostgreSQL behind the seam: a few writing connections, row locks where SQLite has one writer.

A batch locks its conversations in sorted order before it does anything else, so that two batches
cannot wait for each other. `synchronous_commit` is read back: an acknowledgement means a flush.

A server can stop answering and leave its connections open (frozen, or behind a network that
swallows). A statement that waits for longer than SILENCE therefore has a new connection ask whether
the server answers at all. If it does, the statement is slow, and waits on; else the connection is
closed. Every unit is answered within two seconds so, and a busy server is not taken for a dead one.
"""

import time
from collections.abc import Callable, Collection, Generator
from typing import Any, Final, Self, TypeVar

import psycopg
from psycopg import errors as pg
from psycopg.abc import RV, PQGen, PQGenConn
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

SILENCE: Final = 0.6
"""Seconds that a statement waits before a new connection asks whether the server answers."""
CONNECTING: Final = 1.2
"""Seconds that the server may take to answer a new connection. With SILENCE less than two."""
_KNOWN_SILENT: Final = 1.0
"""Seconds after a silence in which no connection is tried, so that units that wait are answered."""

Y = TypeVar("Y")


class ServerSilent(psycopg.OperationalError):
    """The server answers no connection. It may still carry out what it was sent."""


class _Connection(psycopg.Connection[Any]):
    """A connection that closes itself when the server answers neither it nor a new connection."""

    answers: Callable[[], bool] | None = None
    """Asks whether the server answers a new connection; None for a connection that asks this itself."""

    @classmethod
    def _connect_gen(cls, conninfo: str = "") -> PQGenConn[Self]:
        return _heard(super()._connect_gen(conninfo), CONNECTING)

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        try:
            return super().wait(_heard(gen, SILENCE, self.answers), interval, timeout)
        except ServerSilent:
            self.close()
            raise


def _heard(
    driving: Generator[Y, int, RV], seconds: float, answers: Callable[[], bool] | None = None
) -> Generator[Y, int, RV]:
    """`driving`, which psycopg sends 0 ten times a second while nothing comes.

    Raises ServerSilent when nothing came for so many seconds, and `answers` does not say that the
    server answers others.
    """
    since = time.monotonic()
    try:
        awaited = next(driving)
        while True:
            ready = yield awaited
            if ready:
                since = time.monotonic()
            elif time.monotonic() - since > seconds:
                if answers is None or not answers():
                    raise ServerSilent("The server does not answer.")
                since = time.monotonic()
            awaited = driving.send(ready)
    except StopIteration as end:
        return end.value


class Postgresql:
    """A database on a server. `url` is a libpq address, which may hold a password: never shown."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.name: Engine = "postgresql"
        self.writers = 3
        self._silent_at = -_KNOWN_SILENT

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
        if time.monotonic() - self._silent_at < _KNOWN_SILENT:
            raise ServerSilent("The server did not answer a moment ago.")
        try:
            connection = self._connected()
        except ServerSilent:
            self._silent_at = time.monotonic()
            raise
        connection.answers = self._answers
        # One type for every whole number: else a statement is planned once for each size of them.
        connection.adapters.register_dumper(int, Int8Dumper)
        return connection

    def _connected(self) -> _Connection:
        return _Connection.connect(
            self.url,
            autocommit=True,
            options=_OPTIONS,
            # A network that is gone is noticed by the kernel, which acknowledges for busy programs.
            tcp_user_timeout=1_500,
            keepalives_idle=1,
            keepalives_interval=1,
            keepalives_count=1,
            prepare_threshold=2,
            application_name="talekeeper",
        )

    def _answers(self) -> bool:
        try:
            self._connect().close()
        except ServerSilent:
            return False
        except psycopg.Error:
            return True  # to refuse a connection is an answer
        return True

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
            case ServerSilent():
                return StoreUnavailable(
                    "The database server does not answer. What was asked for may be done all the "
                    "same; a message can be sent again, it is stored once. Try again in a moment."
                )
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
