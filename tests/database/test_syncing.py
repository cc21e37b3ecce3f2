"""A sync ends on the disk, on macOS too, where `fsync` alone ends in the drive's cache (R2)."""

import errno
import fcntl
import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from talekeeper.accounts.secrets import open_master_key
from talekeeper.database import Store
from talekeeper.database.sqlite import Sqlite
from talekeeper.providers import weights
from talekeeper.syncing import sync_file, sync_folder

FULL = 51
"""F_FULLFSYNC on macOS."""


class Disk:
    """What was synced, by path: how, and in which order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, refuses_full: bool = False) -> None:
        self.full: list[str] = []
        self.plain: list[str] = []
        fsync, control = os.fsync, fcntl.fcntl

        def full_sync(descriptor: int, command: int, *rest: Any) -> Any:
            if command != FULL:
                return control(descriptor, command, *rest)
            if refuses_full:
                raise OSError(errno.ENOTSUP, "Operation not supported")
            self.full.append(_name(descriptor))
            return 0

        def plain_sync(descriptor: int) -> None:
            self.plain.append(_name(descriptor))
            fsync(descriptor)

        monkeypatch.setattr(fcntl, "F_FULLFSYNC", FULL, raising=False)
        monkeypatch.setattr(fcntl, "fcntl", full_sync)
        monkeypatch.setattr(os, "fsync", plain_sync)


def _name(descriptor: int) -> str:
    return Path(f"/proc/self/fd/{descriptor}").readlink().name


pytestmark = pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="only Linux tells a descriptor's path"
)


@pytest.mark.req("R2")
@pytest.mark.parametrize("connected", [Sqlite.connect_writer, Sqlite.connect_reader])
async def test_every_connection_syncs_past_the_drives_cache(
    tmp_path: Path, connected: Callable[[Sqlite], Any]
):
    await (await Store.open(tmp_path)).close()
    connection = connected(Sqlite(tmp_path / "talekeeper.db"))
    for pragma in ("fullfsync", "checkpoint_fullfsync"):
        assert connection.execute(f"PRAGMA {pragma}").fetchone() == (1,), pragma
    connection.close()


@pytest.mark.req("R2")
async def test_the_connection_that_checks_the_file_does_so_too(tmp_path: Path):
    await (await Store.open(tmp_path)).close()
    seam = Sqlite(tmp_path / "talekeeper.db")
    seam.check_database(is_installed=True)
    connection = seam._first
    assert connection is not None
    for pragma in ("fullfsync", "checkpoint_fullfsync"):
        assert connection.execute(f"PRAGMA {pragma}").fetchone() == (1,), pragma
    seam.forget_check()


@pytest.mark.req("R2")
async def test_the_marker_of_an_installation_is_synced_in_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    disk = Disk(monkeypatch)
    await (await Store.open(tmp_path / "data")).close()
    assert disk.full == ["installation.json.new", "data"]
    assert disk.plain == []


@pytest.mark.req("R2", "S10")
def test_the_master_key_is_synced_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    disk = Disk(monkeypatch)
    open_master_key(tmp_path / "config" / "master.key")
    assert [name.startswith(".master.key.") for name in disk.full] == [True, False]
    assert disk.full[1] == "config"
    assert disk.plain == []


@pytest.mark.req("R2")
def test_weights_are_synced_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    body = b"GGUF" + bytes(100)
    source = tmp_path / "tiny.gguf"
    source.write_bytes(body)
    tiny = replace(
        weights.SMOLLM2,
        file_name="tiny.gguf",
        size=len(body),
        sha256=hashlib.sha256(body).hexdigest(),
    )
    disk = Disk(monkeypatch)
    weights.add_weights(tmp_path / "models", source=source, weights=tiny)
    assert disk.full == ["tiny.gguf", "models"]
    assert disk.plain == []


def test_a_file_system_without_the_full_sync_gets_the_plain_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    disk = Disk(monkeypatch, refuses_full=True)
    sync_folder(tmp_path)
    with (tmp_path / "a").open("w") as file:
        sync_file(file.fileno())
    assert disk.plain == [tmp_path.name, "a"]
