"""What a unit of work is handed: a Reader, or a Writer, which is a Reader that can also write.

A unit is a plain function `unit(tx) -> T`. It runs on the store's own thread inside a transaction
that the store begins and commits; it holds no state of its own, so that it can be run again.
"""

from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar

from talekeeper.clock import Millis
from talekeeper.database.statements import Engine, Row, Statement, statement
from talekeeper.domain.events import EVENT_KINDS, Announced, EventKind, Log, Recorded
from talekeeper.domain.kinds import known

T = TypeVar("T")

_APPEND_EVENT = statement(
    """
    INSERT INTO events (log_kind, log_id, seq, at, kind, message_key, subject_id)
    VALUES (:log_kind, :log_id, :seq, :at, :kind, :message_key, :subject_id)
    """
)


class Cursor(Protocol):
    """The part of a driver's cursor that is used: sqlite3 and psycopg share it."""

    rowcount: int

    def execute(self, sql: Any, params: dict[str, Any], /) -> Any: ...
    def executemany(self, sql: Any, params: Iterable[dict[str, Any]], /) -> Any: ...
    def fetchall(self) -> list[Row]: ...
    def fetchone(self) -> Row | None: ...


class Reader:
    """Reads within one consistent snapshot. Nothing is left open: every result is read whole."""

    def __init__(self, cursor: Cursor, engine: Engine) -> None:
        self._cursor = cursor
        self.engine: Engine = engine
        self._on_sqlite = engine == "sqlite"

    def all(self, statement: Statement, **params: Any) -> list[Row]:
        """Every row. Statements that can match many carry a LIMIT of their own."""
        self._execute(statement, params)
        return statement.rows(self._cursor)

    def first(self, statement: Statement, **params: Any) -> Row | None:
        """The first row, or None when there is none."""
        self._execute(statement, params)
        rows = statement.rows(self._cursor)
        return rows[0] if rows else None

    def _execute(self, statement: Statement, params: dict[str, Any]) -> None:
        self._cursor.execute(self._text(statement), params)

    def _text(self, statement: Statement) -> str:
        text = statement.sqlite if self._on_sqlite else statement.postgresql
        if text is None:
            raise TypeError(f"{statement!r} is not for {self.engine}")
        return text


class Writer(Reader):
    """Reads and writes within one transaction.

    What it records is announced after the commit, then its `after_commit` callbacks are called.
    """

    def __init__(self, cursor: Cursor, engine: Engine, *, now: Callable[[], Millis]) -> None:
        super().__init__(cursor, engine)
        self._now = now
        self.recorded: list[Announced] = []
        self.callbacks: list[Callable[[], None]] = []

    def now(self) -> Millis:
        """Wall time for the row's dates. Order never depends on it."""
        return self._now()

    def run(self, statement: Statement, **params: Any) -> int:
        """Run a statement that changes rows; how many it changed."""
        self._execute(statement, params)
        return self._cursor.rowcount

    def run_many(self, statement: Statement, rows: list[dict[str, Any]]) -> None:
        self._cursor.executemany(self._text(statement), rows)

    def record(self, event: Recorded, *, message_key: int | None = None) -> None:
        """Write `event` to its conversation's log; followers hear of it after the commit."""
        self.append(event.log, event.seq, event.kind, message_key=message_key)
        self.recorded.append(event)

    def append(
        self,
        log: Log,
        seq: int,
        kind: EventKind,
        *,
        message_key: int | None = None,
        subject_id: str | None = None,
    ) -> None:
        """Write an event to a log; `seq` is the place after the log's last one."""
        self.run(
            _APPEND_EVENT,
            log_kind=log.kind,
            log_id=log.id,
            seq=seq,
            at=self.now(),
            kind=known(kind, EVENT_KINDS, what="kind of event"),
            message_key=message_key,
            subject_id=subject_id,
        )

    def tell(self, event: Announced) -> None:
        """Followers hear of `event` after the commit, and no log holds it."""
        self.recorded.append(event)

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback` on the event loop once this transaction is on disk.

        It is called before the caller of `Store.write` gets its result, and also when that caller
        has been cancelled. When the transaction is rolled back, or the unit is run again, the
        callback is dropped.
        """
        self.callbacks.append(callback)


ReadUnit = Callable[[Reader], T]
WriteUnit = Callable[[Writer], T]
