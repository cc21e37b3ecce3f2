"""The store itself: opened once, handed units, closed at the end."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar
from zlib import crc32

from talekeeper.clock import Clock, SystemClock
from talekeeper.database.installing import Installation, opened_installation
from talekeeper.database.reading import ReaderPool
from talekeeper.database.seam import EngineSeam
from talekeeper.database.sqlite import Sqlite
from talekeeper.database.statements import Engine
from talekeeper.database.units import ReadUnit, WriteUnit
from talekeeper.database.writing import Announce, WriterThread
from talekeeper.domain.events import Announced
from talekeeper.errors import StoreError, StoreUnavailable

T = TypeVar("T")

DATABASE_NAME = "talekeeper.db"


@dataclass(frozen=True, slots=True)
class StoreCounts:
    """Since the store was opened; `waiting` is now."""

    commits: int
    units: int
    waiting: int


class Store:
    """All conversations and whom they belong to, on SQLite or on PostgreSQL."""

    def __init__(
        self,
        *,
        engine: Engine,
        installation: Installation,
        writers: Sequence[WriterThread],
        readers: ReaderPool,
        size: Callable[[], int | None],
        log_size: Callable[[], int | None],
    ) -> None:
        self.engine: Engine = engine
        self.installation = installation
        self._writers = writers
        self._readers = readers
        self._size = size
        self._log_size = log_size

    @classmethod
    async def open(
        cls,
        data_dir: Path,
        *,
        database_url: str | None = None,
        announce: Announce | None = None,
        clock: Clock | None = None,
        allows_network_folder: bool = False,
    ) -> "Store":
        """The store of `data_dir`, made if the folder has none, brought up to this version's schema.

        A database on a network share is refused unless `allows_network_folder`, and then warned of.
        `announce` is called on the event loop with every event after its commit, in order.
        Raises InstallationRefused when what is there must be neither served nor replaced. Whoever
        calls holds the folder's lock.
        """
        clock = clock or SystemClock()
        seam = _seam(data_dir, database_url)
        installation = await asyncio.to_thread(
            opened_installation,
            data_dir,
            seam,
            clock,
            allows_network_folder=allows_network_folder,
        )
        loop = asyncio.get_running_loop()
        writers = [
            WriterThread(
                seam,
                loop=loop,
                announce=announce or _unheard,
                now=clock.now,
                name=f"talekeeper-writer-{number}",
            )
            for number in range(seam.writers)
        ]
        readers = ReaderPool(seam)
        for writer in writers:
            await asyncio.to_thread(writer.start)
        return cls(
            engine=seam.name,
            installation=installation,
            writers=writers,
            readers=readers,
            size=seam.size,
            log_size=seam.log_size,
        )

    async def write(self, unit: WriteUnit[T], *, conversation_id: str | None = None) -> T:
        """Run `unit` in a transaction; what it did is on disk when this returns.

        `conversation_id` names the conversation whose rows it changes, so that writes to one
        conversation never wait for each other's locks. A cancelled caller may find that the unit
        was run all the same. Raises StoreError when nothing can be acknowledged, and whatever the
        unit itself raised, with nothing stored.
        """
        number = crc32(conversation_id.encode()) % len(self._writers) if conversation_id else 0
        return await self._writers[number].submit(unit, conversation_id=conversation_id)

    async def read(self, unit: ReadUnit[T]) -> T:
        """Run `unit` on a read-only connection, on one consistent snapshot."""
        return await self._readers.read(unit)

    @property
    def is_serving(self) -> bool:
        return all(writer.is_alive for writer in self._writers)

    @property
    def trouble(self) -> StoreError | None:
        """Why writes are refused; None while they are not. Reads may well go on meanwhile."""
        if not self.is_serving:
            return StoreUnavailable("Talekeeper does not write any more. Start it again.")
        return next((writer.trouble for writer in self._writers if writer.trouble), None)

    @property
    def counts(self) -> StoreCounts:
        return StoreCounts(
            commits=sum(writer.counts.commits for writer in self._writers),
            units=sum(writer.counts.units for writer in self._writers),
            waiting=sum(writer.waiting for writer in self._writers),
        )

    @property
    def versions(self) -> dict[str, str]:
        """What the store is built on."""
        return {"sqlite": sqlite3.sqlite_version, "sqlalchemy": version("sqlalchemy")}

    def size(self) -> int | None:
        """Bytes that the database takes on this machine's disk; None where it is elsewhere."""
        return self._size()

    def log_size(self) -> int | None:
        """Bytes of the write-ahead log on this machine's disk; None where it is elsewhere."""
        return self._log_size()

    async def close(self) -> None:
        """Everything handed over is answered, and every connection closed."""
        for writer in self._writers:
            await asyncio.to_thread(writer.close)
        await asyncio.to_thread(self._readers.close)


def _seam(data_dir: Path, database_url: str | None) -> EngineSeam:
    if database_url is None:
        return Sqlite(data_dir / DATABASE_NAME)
    # Its driver is slow to import, and a laptop never needs it.
    from talekeeper.database.postgresql import Postgresql

    return Postgresql(database_url)


def _unheard(_events: Sequence[Announced]) -> None:
    """Nobody follows a store that is opened for a command."""
