"""`talekeeper doctor`: what is well, what is not, and what to do next. It changes nothing."""

import json
import os
import shutil
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import typer

from talekeeper.cli.folder import ACCESS, fault_of
from talekeeper.domain.health import GIB, LARGE_DATABASE, LARGE_LOG, is_disk_filling
from talekeeper.settings import Settings, load_settings
from talekeeper.syncing import sync_file

app = typer.Typer(name="doctor")

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="The data folder. [default: the platform's own]"),
]
State = Literal["well", "note", "ill"]

SYNCS: Final = 20
IMPLAUSIBLE_MS: Final = 0.03
"""Less than this no disk takes for a sync that reaches it; a battery-backed one comes close."""
SLOW_MS: Final = 50.0
_BACKUP: Final = (
    "Stop the server, keep the damaged file, and put your newest copy of the data folder's database "
    "in its place."
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `next` says what to do, where something is to be done."""

    name: str
    state: State
    text: str
    next: str | None = None


@app.command("doctor")
def run_doctor(
    data_dir: DataDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Say it as JSON.")] = False,
) -> None:
    """Look at the data folder, its disk and its database, and say what is wrong and what to do.

    It may be run while the server serves. Ends with 1 when something is wrong.
    """
    found = examined(load_settings(data_dir=data_dir))
    is_well = all(each.state != "ill" for each in found)
    if as_json:
        print(json.dumps({"is_well": is_well, "findings": [asdict(each) for each in found]}))
    else:
        for each in found:
            print(f"{_MARKS[each.state]} {each.name}: {each.text}")
            if each.next is not None:
                print(f"    {each.next}")
        print("\nAll is well." if is_well else "\nSomething is wrong: see what is marked with ✗.")
    if not is_well:
        raise typer.Exit(1)


_MARKS: Final[dict[State, str]] = {"well": "✓", "note": "·", "ill": "✗"}


def examined(settings: Settings) -> list[Finding]:
    """Everything that there is to find, in the order in which one would mend it.

    Where the data folder cannot be used, nothing in it is looked at.
    """
    examinations = _EXAMINATIONS if fault_of(settings.data_dir) is None else _WITHOUT_FOLDER
    return [finding for examine in examinations for finding in examine(settings)]


def _versions(_settings: Settings) -> Iterator[Finding]:
    from talekeeper import __version__
    from talekeeper.database.sqlite import SQLITE_VERSION

    python = ".".join(map(str, sys.version_info[:3]))
    yield Finding(
        "versions", "well", f"Talekeeper {__version__}, Python {python}, SQLite {SQLITE_VERSION}"
    )


def _folder(settings: Settings) -> Iterator[Finding]:
    folder = settings.data_dir
    if (fault := fault_of(folder)) is not None:
        yield Finding("data folder", "ill", f"{folder} {fault}", ACCESS)
    elif not folder.exists():
        yield Finding(
            "data folder", "note", f"{folder} is not there yet", "talekeeper serve makes it."
        )
    elif (mode := folder.stat().st_mode) & 0o077:
        yield Finding(
            "data folder",
            "ill",
            f"{folder} is open to other users of this machine ({stat.filemode(mode)})",
            f"Close it: chmod 700 {folder}",
        )
    else:
        yield Finding("data folder", "well", f"{folder} is this user's alone")


def _disk(settings: Settings) -> Iterator[Finding]:
    from talekeeper.database.file_systems import file_system_of, is_network

    folder = settings.data_dir
    if not folder.is_dir():
        return
    disk = shutil.disk_usage(folder)
    free = f"{disk.free / GIB:.1f} GiB of {disk.total / GIB:.1f} GiB are free"
    if is_disk_filling(free=disk.free, total=disk.total):
        yield Finding("disk", "ill", f"only {free}", "Free some space: sends are refused without.")
    else:
        yield Finding("disk", "well", free)
    kind = file_system_of(folder)
    if kind is None:
        yield Finding("file system", "note", "this system does not tell which it is")
    elif is_network(kind) and settings.database_url is None:
        yield Finding(
            "file system",
            "note" if settings.allow_network_folder else "ill",
            f"{kind} is a network file system, whose locks and syncs cannot be relied on",
            "Name a folder on a local disk with --data-dir, or use PostgreSQL.",
        )
    else:
        yield Finding("file system", "well", kind)
    yield _sync_speed(folder, kind)


def _sync_speed(folder: Path, kind: str | None) -> Finding:
    try:
        took = sync_ms(folder)
    except OSError as error:
        return Finding(
            "sync", "ill", f"nothing could be written and synced ({error.strerror})",
            "Free some space, and look at the disk's own health (smartctl, dmesg).",
        )  # fmt: skip
    text = f"{took:.2f} ms for 4 KiB, the median of {SYNCS}"
    if kind == "tmpfs":
        return Finding(
            "sync", "ill", f"{text}: the folder is in memory and gone at the next boot",
            "Name a folder on a disk with --data-dir.",
        )  # fmt: skip
    if took < IMPLAUSIBLE_MS:
        return Finding(
            "sync", "note", f"{text}: faster than a disk can be, so it may say so too early",
            "After a power cut the last messages may be missing. On a virtual machine ask for a "
            "write-through or flush-honouring disk; on your own, look at its write cache.",
        )  # fmt: skip
    if took > SLOW_MS:
        return Finding(
            "sync", "note", f"{text}: slow, and every send waits for one",
            "Move the data folder to a faster disk.",
        )  # fmt: skip
    return Finding("sync", "well", text)


def sync_ms(folder: Path) -> float:
    """What one write that reaches the disk takes there."""
    times: list[float] = []
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(SYNCS):
            file.write(b"\0" * 4096)
            began = time.perf_counter()
            _sync(file.fileno())
            times.append((time.perf_counter() - began) * 1000)
    return median(times)


# What SQLite asks of the system for a commit.
_sync: Final[Callable[[int], None]] = getattr(os, "fdatasync", sync_file)


def _database(settings: Settings) -> Iterator[Finding]:
    if settings.database_url is not None:
        yield from _postgresql(settings)
        return
    from talekeeper.errors import DatabaseTooNew, StoreError
    from talekeeper.store.looking import look_into

    try:
        look = look_into(settings.data_dir)
    except DatabaseTooNew as error:
        yield Finding("database", "ill", error.message)
        return
    except StoreError as error:
        yield Finding("database", "ill", error.message, _BACKUP)
        return
    if not look.is_installed:
        yield Finding("database", "note", "there is none yet", "talekeeper serve makes it.")
        return
    megabytes = f"{look.size / 1e6:.1f} MB"
    if look.violations:
        shown = "; ".join(look.violations[:3])
        more = f" and {len(look.violations) - 3} more" if len(look.violations) > 3 else ""
        yield Finding(
            "database", "ill", f"{megabytes}, schema {look.schema}: {shown}{more}", _BACKUP
        )
    elif not look.is_current:
        yield Finding(
            "database",
            "note",
            f"{megabytes}, whole; its schema {look.schema} is an older version's",
            "The next start brings it up to date.",
        )
    elif look.size > LARGE_DATABASE:
        yield Finding(
            "database", "note", f"{megabytes}, schema {look.schema}: whole, and large",
            "Delete for good what nobody needs.",
        )  # fmt: skip
    else:
        yield Finding("database", "well", f"{megabytes}, schema {look.schema}: whole")
    log = f"{look.log_size / 1e6:.1f} MB"
    if look.log_size > LARGE_LOG:
        yield Finding(
            "log", "ill", f"{log}: it is not moved into the database",
            "Something reads without end. Start the server again.",
        )  # fmt: skip
    else:
        yield Finding("log", "well", log)


def _postgresql(settings: Settings) -> Iterator[Finding]:
    from talekeeper.database.installing import known_by
    from talekeeper.database.migrations import HEAD
    from talekeeper.database.postgresql import Postgresql
    from talekeeper.errors import DatabaseTooNew, StoreError

    assert settings.database_url is not None
    try:
        said = known_by(Postgresql(settings.database_url))
    except DatabaseTooNew as error:
        yield Finding("database", "ill", error.message)
        return
    except StoreError as error:
        yield Finding("database", "ill", error.message, "Look at the PostgreSQL server.")
        return
    if said.revision in (None, HEAD):
        schema = "empty" if said.revision is None else f"schema {said.revision}"
        yield Finding("database", "well", f"PostgreSQL answers, {schema}")
    else:
        yield Finding(
            "database",
            "note",
            f"PostgreSQL answers; its schema {said.revision} is an older version's",
            "The next start brings it up to date.",
        )


def _redis(settings: Settings) -> Iterator[Finding]:
    if settings.redis_url is None:
        return
    import asyncio

    from talekeeper.live.redis import answered

    url = settings.redis_url.get_secret_value()
    parts = urlsplit(url)
    where = f"{parts.hostname}:{parts.port or 6379}"  # never the login
    fault = asyncio.run(answered(url))
    if fault is None:
        yield Finding("redis", "well", f"{where} answers")
    else:
        yield Finding(
            "redis",
            "ill",
            f"{where} does not answer as it should ({fault})",
            "Look whether it runs, and whether TALEKEEPER_REDIS_URL names it and its password. Until "
            "then other server processes are followed from the database, a second later.",
        )


def _stored_keys(settings: Settings) -> Iterator[Finding]:
    from talekeeper.accounts.secrets import key_record, read_master_key
    from talekeeper.errors import ConfigurationError, StoredKeyUnreadable, StoreError
    from talekeeper.store.looking import sealed_keys_in

    stored = []
    with suppress(StoreError):  # the database's own examination says what is wrong with it
        stored = sealed_keys_in(settings.data_dir, database_url=settings.database_url)
    if not stored:
        return
    closed: list[str] = []
    why = ""
    try:
        master_key = read_master_key(settings.key_file)
    except ConfigurationError as error:
        closed, why = [each.name for each in stored], f" {error.message}"
    else:
        for each in stored:
            try:
                master_key.unseal(
                    each.sealed, record_id=key_record(each.account_id, each.connection_id)
                )
            except StoredKeyUnreadable:
                closed.append(each.name)
    if not closed:
        yield Finding("stored keys", "well", f"{settings.key_file} opens all {len(stored)}")
        return
    told = StoredKeyUnreadable().message
    yield Finding(
        "stored keys",
        "ill",
        f"{told} ({len(closed)} of {len(stored)}: {', '.join(sorted(set(closed)))}.){why}",
        f"Put the master key that sealed them at {settings.key_file}, or name it in "
        "TALEKEEPER_KEY_FILE; or enter the keys again in the settings. Conversations do "
        "not depend on it.",
    )


def _server(settings: Settings) -> Iterator[Finding]:
    from talekeeper.cli.running import find_server
    from talekeeper.database.folder_lock import FolderLock
    from talekeeper.errors import TalekeeperError

    holder = FolderLock.holder_of(settings.data_dir)
    server = find_server(settings.data_dir)
    if server is None or (holder is None and sys.platform == "linux"):
        if holder is None:
            yield Finding("server", "note", "none serves this folder", "Start it: talekeeper serve")
        else:
            yield Finding(
                "server", "note", f"process {holder} holds the folder, and is not serving"
            )
        yield _port(settings)
        return
    where = f"process {server.pid} at {server.address}"
    try:
        warnings = server.get("/readyz")["warnings"]
    except (TalekeeperError, ConnectionError) as error:
        yield Finding(
            "server", "ill", f"{where} is not ready: {error}",
            "Mend what is marked above. If nothing is, stop that process and start the server "
            "again; nothing that was confirmed is lost.",
        )  # fmt: skip
        return
    if warnings:
        yield Finding("server", "note", f"{where} serves. {' '.join(map(str, warnings))}")
    else:
        yield Finding("server", "well", f"{where} serves")


def _port(settings: Settings) -> Finding:
    from talekeeper.cli.binding import bound_sockets
    from talekeeper.errors import ConfigurationError

    where = f"{settings.host}:{settings.port}"
    try:
        sockets = bound_sockets(settings)
        try:
            for each in sockets:  # only listening shows who else does
                each.listen(1)
        finally:
            for each in sockets:
                each.close()
    except (ConfigurationError, OSError):
        found = _listener(settings.port)
        who = f" by {found}" if found else ""
        return Finding(
            "port", "ill", f"{where} is taken{who}",
            "Stop that program, or give another port with --port.",
        )  # fmt: skip
    return Finding("port", "well", f"{where} is free")


def _listener(port: int) -> str | None:
    """The program that listens on that port, as far as this user may know."""
    inodes: set[str] = set()
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in Path(f"/proc/net/{table}").read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{fields[9]}]")
    for process in Path("/proc").glob("[0-9]*") if inodes else ():
        with suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                if str(descriptor.readlink()) in inodes:
                    name = (process / "comm").read_text(encoding="utf-8").strip()
                    return f"{name} (process {process.name})"
    return None


def _models(settings: Settings) -> Iterator[Finding]:
    from talekeeper.errors import ModelMissing
    from talekeeper.providers.weights import SMOLLM2, find_weights

    asked = _asked(settings)
    try:
        path = find_weights(settings.data_dir / "models")
    except ModelMissing as error:
        is_asked = any(name == "local" for name, _ in asked)
        yield Finding("built-in model", "ill" if is_asked else "note", str(error))
    else:
        yield Finding("built-in model", "well", f"{SMOLLM2.name} is in {path.parent}")
    for name, address in asked:
        if address is not None:
            yield _reached(name, address)


def _asked(settings: Settings) -> list[tuple[str, str | None]]:
    """The kinds of provider that answer some account by default, each with its address."""
    from talekeeper.domain.connections import kind_of_server_connection, server_connection_id
    from talekeeper.errors import StoreError
    from talekeeper.providers.catalogue import kind_of
    from talekeeper.store.connections import Answering
    from talekeeper.store.looking import answering_in

    usual = server_connection_id(settings.provider)
    answering: list[Answering] = []
    if settings.database_url is None:
        with suppress(StoreError):  # the database's own examination says what is wrong with it
            answering = answering_in(settings.data_dir, usual=usual)
    asked: set[tuple[str, str | None]] = set()
    for each in answering or [Answering(usual, settings.provider, None)]:
        kind = each.kind or kind_of_server_connection(each.id)
        if kind is None:
            continue
        ours = getattr(settings, f"{kind}_base_url", None) or kind_of(kind).base_url
        asked.add((kind, each.base_url or ours))
    return sorted(asked, key=str)


def _reached(provider: str, address: str) -> Finding:
    parts = urlsplit(address)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with closing(socket.create_connection((parts.hostname or "", port), timeout=5)):
            return Finding("provider", "well", f"{provider} can be reached at {address}")
    except OSError as error:
        why = error.strerror or "no answer within 5 s"
        return Finding(
            "provider", "ill", f"{provider} at {address} cannot be reached ({why})",
            "Start it, or look at the address and the network. What you send is stored all the "
            "same; the reply can be had later.",
        )  # fmt: skip


_WITHOUT_FOLDER: Final = (_versions, _folder)
_EXAMINATIONS: Final = (
    _versions,
    _folder,
    _disk,
    _database,
    _redis,
    _stored_keys,
    _server,
    _models,
)
