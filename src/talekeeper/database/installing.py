"""Installing: what lies in a data folder is opened, made for the first time, or refused.

A folder that holds an installation has a marker, `installation.json`, written last of all when the
installation was made. With a marker, a database that is missing, empty, damaged, another
installation's or newer than this code is refused with what was found and what to do: making a
new one in its place is how other programs lose everything. Without a marker nothing was ever
acknowledged here, so an unfinished first start is simply finished.
"""

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from talekeeper.clock import Clock
from talekeeper.database.file_systems import file_system_of, is_network
from talekeeper.database.migrations import HEAD
from talekeeper.database.seam import EngineSeam
from talekeeper.errors import DatabaseDamaged, FolderOnNetwork, InstallationRefused
from talekeeper.syncing import sync_file, sync_folder

MARKER: Final = "installation.json"

_INSTALLATION: Final = "SELECT installation_id FROM installation"
_REVISION: Final = "SELECT version_num FROM alembic_version"


@dataclass(frozen=True, slots=True)
class Installation:
    """Which installation this is, and what was noticed when it was opened."""

    id: str
    schema: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Said:
    """What a database says of itself; None where it does not yet."""

    installation_id: str | None
    revision: str | None


def opened_installation(
    data_dir: Path, seam: EngineSeam, clock: Clock, *, allows_network_folder: bool = False
) -> Installation:
    """The folder's installation, whole and at this version's schema.

    Raises InstallationRefused (see the module), or StoreUnavailable when no server answers.
    """
    with unusable_files_refused():
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        warnings = _of_the_disk(data_dir, seam, allows_network_folder=allows_network_folder)
        marker = read_marker(data_dir)
        seam.check_database(is_installed=marker is not None)
    found = said_by(seam)
    check_marker(data_dir, marker, found)
    if found.installation_id is None or found.revision != HEAD:
        # The migration tool is slow to import, and most starts have nothing to migrate.
        from talekeeper.database.migrating import migrate

        migrate(seam, clock)
        found = said_by(seam)
    assert found.installation_id is not None
    if marker is None:
        _write_marker(data_dir, found.installation_id, clock)
    return Installation(id=found.installation_id, schema=HEAD, warnings=warnings)


@contextmanager
def unusable_files_refused() -> Generator[None]:
    """What cannot be opened in the data folder is raised as InstallationRefused."""
    try:
        yield
    except OSError as error:
        raise InstallationRefused(
            f"{error.filename} cannot be used ({error.strerror}). Give this user access to it, or "
            "name another folder with --data-dir. Nothing was changed."
        ) from error


def check_marker(data_dir: Path, marker: str | None, found: Said) -> None:
    """The database belongs to the folder. Raises DatabaseDamaged."""
    if marker is not None and found.installation_id is None:
        raise DatabaseDamaged(
            f"{data_dir} holds installation {marker}, but its database is empty. Restore a "
            "backup, or give another folder with --data-dir to start afresh. Nothing was changed."
        )
    if marker is not None and found.installation_id != marker:
        raise DatabaseDamaged(
            f"{data_dir} holds installation {marker}, but the database is that of "
            f"{found.installation_id}. Put the right database back, or give the right --data-dir. "
            "Nothing was changed."
        )


def _of_the_disk(
    data_dir: Path, seam: EngineSeam, *, allows_network_folder: bool
) -> tuple[str, ...]:
    """What there is to warn of. Raises FolderOnNetwork, unless that is allowed."""
    kind = file_system_of(data_dir)
    if seam.name != "sqlite" or kind is None or not is_network(kind):
        return ()
    told = (
        f"The data folder lies on a network file system ({kind}), where locks and syncs are "
        "promises of another machine: what was acknowledged may be lost."
    )
    if allows_network_folder:
        return (told,)
    raise FolderOnNetwork(
        f"{told} Give a folder on a local disk with --data-dir, or use PostgreSQL. To do it all "
        "the same, set TALEKEEPER_ALLOW_NETWORK_FOLDER=true.",
        place=data_dir,
    )


def said_by(seam: EngineSeam) -> Said:
    """What the database that `seam` reaches says of itself."""
    try:
        connection = seam.connect_reader()
        try:
            cursor = connection.cursor()
            tables = seam.tables(cursor)
            installation_id = _first(cursor, _INSTALLATION) if "installation" in tables else None
            revision = _first(cursor, _REVISION) if "alembic_version" in tables else None
        finally:
            connection.close()
    except Exception as error:
        typed = seam.store_error(error)
        if typed is None:
            raise
        raise typed from error
    return Said(installation_id, revision)


def known_by(seam: EngineSeam) -> Said:
    """What the database says of itself, at this version's schema or an older one.

    Raises DatabaseTooNew.
    """
    said = said_by(seam)
    if said.revision != HEAD:
        from talekeeper.database.migrating import check_known

        check_known(said.revision)
    return said


def _first(cursor: Any, sql: str) -> str | None:
    rows = cursor.execute(sql).fetchall()
    return rows[0][0] if rows else None


def read_marker(data_dir: Path) -> str | None:
    """The id of the installation that the folder holds; None without one. Raises DatabaseDamaged."""
    path = data_dir / MARKER
    try:
        content: Any = json.loads(path.read_bytes())
        return str(content["installation_id"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise DatabaseDamaged(
            f"{path} cannot be read. If {data_dir} holds your conversations, restore that file or "
            "delete it, and start again: the database itself is kept."
        ) from error


def _write_marker(data_dir: Path, installation_id: str, clock: Clock) -> None:
    """The marker is on disk, whole or not at all."""
    body = json.dumps({"installation_id": installation_id, "created_at": clock.now()})
    temporary = data_dir / f"{MARKER}.new"
    with temporary.open("w") as file:
        file.write(body + "\n")
        file.flush()
        sync_file(file.fileno())
    temporary.replace(data_dir / MARKER)
    sync_folder(data_dir)
