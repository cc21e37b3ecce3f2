"""The control of the crash rig: a server that answers before it commits, as no server should.

python tests/crash/early_acks.py serve
"""

import time
from typing import Any

from talekeeper.cli import main
from talekeeper.store.sqlite import Sqlite
from talekeeper.store.writing import WriterThread

GAP = 0.05
"""Seconds between the answer and the commit."""


class _Cursor:
    def __init__(self, cursor: Any, writer: WriterThread) -> None:
        self._cursor = cursor
        self._writer = writer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def execute(self, sql: str, params: Any = ()) -> Any:
        if sql == "COMMIT":
            self._writer._answer(batches[self._writer])
            time.sleep(GAP)
        return self._cursor.execute(sql, params)


class _Connection:
    def __init__(self, connection: Any, writer: WriterThread) -> None:
        self._connection = connection
        self._writer = writer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def cursor(self) -> _Cursor:
        return _Cursor(self._connection.cursor(), self._writer)


batches: dict[WriterThread, Any] = {}
_try_batch = WriterThread._try_batch
_connected = WriterThread._connected


def _noting_the_batch(writer: WriterThread, batch: Any) -> bool:
    batches[writer] = batch
    return _try_batch(writer, batch)


def _answering_early(writer: WriterThread) -> Any:
    assert isinstance(writer._seam, Sqlite)
    return _Connection(_connected(writer), writer)


if __name__ == "__main__":
    setattr(WriterThread, "_try_batch", _noting_the_batch)  # noqa: B010
    setattr(WriterThread, "_connected", _answering_early)  # noqa: B010
    main()
