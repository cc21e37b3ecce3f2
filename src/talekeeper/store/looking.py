"""Looking: what a database holds and how it is, without changing it, for those who judge it.

A look opens the file read-only; a server that serves it does not notice.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from talekeeper.database.installing import (
    MARKER,
    check_marker,
    known_by,
    read_marker,
    said_by,
    unusable_files_refused,
)
from talekeeper.database.migrations import HEAD
from talekeeper.database.postgresql import Postgresql
from talekeeper.database.seam import EngineSeam
from talekeeper.database.sqlite import Sqlite
from talekeeper.database.statements import statement
from talekeeper.database.store import DATABASE_NAME
from talekeeper.database.units import Reader, ReadUnit
from talekeeper.errors import DatabaseDamaged
from talekeeper.ids import ConnectionId
from talekeeper.store.connections import (
    Answering,
    SealedKey,
    answering_connections,
    sealed_keys,
)
from talekeeper.store.verifying import violations

T = TypeVar("T")

_SEQS: Final = statement("SELECT id, seq FROM conversations")
_MESSAGES: Final = statement(
    """
    SELECT id, conversation_id, seq, role, status, content, generation_id FROM messages
    ORDER BY conversation_id, seq
    """
)
_CHUNKS: Final = statement(
    "SELECT generation_id, text FROM chunks ORDER BY generation_id, start_offset"
)


@dataclass(frozen=True, slots=True)
class Look:
    """How a data folder's database is."""

    is_installed: bool
    schema: str | None = None
    size: int = 0
    log_size: int = 0
    violations: tuple[str, ...] = ()

    @property
    def is_current(self) -> bool:
        """Its schema is this version's; else the next start brings it up to date."""
        return self.schema == HEAD


def look_into(data_dir: Path) -> Look:
    """What can be seen of the folder's database. Reads all of it.

    Raises DatabaseDamaged, DatabaseTooNew or another StoreError when it must not be served.
    """
    path = data_dir / DATABASE_NAME
    size = path.stat().st_size if path.exists() else 0
    if not (data_dir / MARKER).exists() and not size:
        return Look(is_installed=False)
    seam = Sqlite(path)
    if not path.exists():
        raise DatabaseDamaged(f"{path} is missing, but {data_dir} has been in use.")
    with unusable_files_refused():
        marker = read_marker(data_dir)
        seam.check_database(is_installed=True)
    seam.forget_check()
    said = known_by(seam)
    check_marker(data_dir, marker, said)
    if said.revision != HEAD:
        return Look(True, said.revision, size, seam.log_size() or 0)
    found = _read(seam, lambda tx: violations(tx, seam.name))
    return Look(True, said.revision, size, seam.log_size() or 0, tuple(found))


def answering_in(data_dir: Path, *, usual: ConnectionId) -> list[Answering]:
    """What `answering_connections` says of the folder's database; nothing where there is none of this
    version's. Raises a StoreError when it cannot be read.
    """
    path = data_dir / DATABASE_NAME
    if not path.exists():
        return []
    seam = Sqlite(path)
    if said_by(seam).revision != HEAD:
        return []
    return _read(seam, lambda tx: answering_connections(tx, usual=usual))


def sealed_keys_in(data_dir: Path, *, database_url: str | None) -> list[SealedKey]:
    """Every stored provider key; none where there is no database with this version's schema.

    Raises a StoreError when the database cannot be read.
    """
    path = data_dir / DATABASE_NAME
    if database_url is None and not path.exists():
        return []
    seam = Sqlite(path) if database_url is None else Postgresql(database_url)
    return [] if said_by(seam).revision != HEAD else _read(seam, sealed_keys)


def _read(seam: EngineSeam, unit: ReadUnit[T]) -> T:
    try:
        connection = seam.connect_reader()
        try:
            cursor: Any = connection.cursor()
            seam.begin_read(cursor)
            return unit(Reader(cursor, seam.name))
        finally:
            connection.close()
    except Exception as error:
        typed = seam.store_error(error)
        if typed is None:
            raise
        raise typed from error


def everything(tx: Reader) -> dict[str, list[dict[str, Any]]]:
    """Every message of every conversation by `seq`, with the text of replies that still grow."""
    growing: dict[str, str] = {}
    for generation_id, text in tx.all(_CHUNKS):
        growing[generation_id] = growing.get(generation_id, "") + text
    trees: dict[str, list[dict[str, Any]]] = {row.id: [] for row in tx.all(_SEQS)}
    for name, conversation_id, seq, role, status, content, generation_id in tx.all(_MESSAGES):
        unfolded = growing.get(generation_id, "") if status in ("pending", "streaming") else ""
        trees.setdefault(conversation_id, []).append(
            {
                "id": name,
                "conversation_id": conversation_id,
                "seq": seq,
                "role": role,
                "status": status,
                "content": content + unfolded,
            }
        )
    return trees
