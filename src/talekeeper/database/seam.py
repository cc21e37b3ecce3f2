"""The seam between the store and its two engines: all that SQLite and PostgreSQL do differently."""

from collections.abc import Collection
from typing import Any, Protocol

from talekeeper.database.statements import Engine
from talekeeper.database.units import Cursor
from talekeeper.errors import StoreError


class DriverConnection(Protocol):
    """The part of a driver's connection that is used: sqlite3 and psycopg share it."""

    def cursor(self) -> Any: ...
    def close(self) -> None: ...


class EngineSeam(Protocol):
    """One engine. Methods are called from the store's own threads, never from the event loop."""

    @property
    def name(self) -> Engine: ...

    @property
    def writers(self) -> int:
        """Threads that write. Units of one conversation always go to the same one."""
        ...

    @property
    def begin_migration(self) -> tuple[str, ...]:
        """Statements that begin a migration's transaction, alone on the database."""
        ...

    def check_database(self, *, is_installed: bool) -> None:
        """The database is whole, or is about to be made for the first time.

        Raises DatabaseDamaged, with nothing changed.
        """
        ...

    def tables(self, cursor: Cursor) -> set[str]:
        """The names of the tables that there are."""
        ...

    def connect_writer(self) -> DriverConnection: ...

    def connect_reader(self) -> DriverConnection: ...

    def begin_write(self, cursor: Cursor, *, conversation_ids: Collection[str]) -> None:
        """A write transaction stands, and these conversations' rows are locked in it."""
        ...

    def touch(self, cursor: Cursor) -> None:
        """Within a write transaction: something is written that changes nothing, so that its
        commit must reach the disk.
        """
        ...

    def begin_read(self, cursor: Cursor) -> None:
        """A read-only transaction on one consistent snapshot stands."""
        ...

    def transaction_stands(self, connection: Any) -> bool:
        """Whether the transaction survived the error just seen in it."""
        ...

    def store_error(self, error: Exception) -> StoreError | None:
        """What a driver's error means; None when it is a programming error, which is raised."""
        ...

    def may_rerun(self, error: Exception) -> bool:
        """Whether another transaction got in the way, so that running the unit again can help."""
        ...

    def is_connection_lost(self, error: Exception) -> bool:
        """Whether the connection must be dropped: it is gone, or its cache may lie."""
        ...

    def size(self) -> int | None:
        """Bytes of the database on this machine's disk; None where it is elsewhere."""
        ...

    def log_size(self) -> int | None:
        """Bytes of the write-ahead log on this machine's disk; None where it is elsewhere."""
        ...

    def tidy(self, cursor: Cursor, *, idle: bool) -> bool:
        """Housekeeping after answers were given: on SQLite, move the WAL into the database.

        Whether nothing is left to do.
        """
        ...
