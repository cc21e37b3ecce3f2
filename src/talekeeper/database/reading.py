"""Reading: a few threads, each with a read-only connection of its own."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from talekeeper.database.seam import DriverConnection, EngineSeam
from talekeeper.database.units import Reader, ReadUnit
from talekeeper.errors import StoreUnavailable

T = TypeVar("T")

READERS = 4


class ReaderPool:
    """Runs read units, each in one consistent snapshot that ends when the unit does.

    A snapshot that stays open pins SQLite's write-ahead log, so results are read whole and
    nothing is handed out that still reads.
    """

    def __init__(self, seam: EngineSeam) -> None:
        self._seam = seam
        self._local = threading.local()
        self._connections: set[DriverConnection] = set()
        self._guard = threading.Lock()
        self.is_closing = False
        self._executor = ThreadPoolExecutor(READERS, thread_name_prefix="talekeeper-reader")

    async def read(self, unit: ReadUnit[T]) -> T:
        """Run `unit` on one of the threads. Raises a StoreError when the database cannot answer."""
        if self.is_closing:
            raise StoreUnavailable("Talekeeper is closing. Try again when it is back.")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._run, unit)

    def _run(self, unit: ReadUnit[T]) -> T:
        for is_last_try in (False, True):
            try:
                return self._run_once(unit)
            except Exception as error:
                if self._seam.is_connection_lost(error):
                    self._drop()
                    if not is_last_try:
                        continue
                typed = self._seam.store_error(error)
                if typed is None:
                    raise
                raise typed from error
        raise AssertionError("unreachable")

    def _run_once(self, unit: ReadUnit[T]) -> T:
        cursor = self._cursor()
        self._seam.begin_read(cursor)
        try:
            return unit(Reader(cursor, self._seam.name))
        finally:
            cursor.execute("ROLLBACK")

    def _cursor(self) -> Any:
        """This thread's cursor, the only one of its connection.

        SQLite's connections keep a weak reference to each of the last 200 cursors. Scattered over
        the memory that many followers took, those keep all of it from being given back.
        """
        cursor = getattr(self._local, "cursor", None)
        if cursor is None:
            connection = self._seam.connect_reader()
            with self._guard:
                self._connections.add(connection)
            cursor = self._local.cursor = connection.cursor()
        return cursor

    def _drop(self) -> None:
        cursor = getattr(self._local, "cursor", None)
        self._local.cursor = None
        if cursor is not None:
            with self._guard:
                self._connections.discard(cursor.connection)
            cursor.connection.close()

    def close(self) -> None:
        """What runs is done; every connection is closed."""
        self.is_closing = True
        self._executor.shutdown(wait=True)
        with self._guard:
            for connection in self._connections:
                connection.close()
            self._connections.clear()
