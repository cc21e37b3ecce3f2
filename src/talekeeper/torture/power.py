"""Power cuts: what lies on a disk whose machine went dark, hundreds of times a minute.

The data folder is on ext4 or xfs inside an image file, which lies on an XFS made with reflink. While
the server runs the image is cloned (FICLONE): the clone holds what had reached the disk, and nothing
that only the page cache knew. The clone is mounted, its journal is replayed, and the store in it is
opened and judged. With `synchronous=NORMAL`, the control, acknowledged messages are gone.
"""

import asyncio
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final, Literal

from talekeeper.errors import TalekeeperError
from talekeeper.torture.controls import command
from talekeeper.torture.crowd import Crowd
from talekeeper.torture.judging import Contents, contents_in
from talekeeper.torture.killing import crowded
from talekeeper.torture.rigs import Place, Rig, Tally
from talekeeper.torture.serving import SERVE, beside, entered, served

FileSystem = Literal["ext4", "xfs"]

CUTS: Final = 150
"""Power cuts of one server; then another begins on an empty disk."""

_FICLONE: Final = 0x40049409
_MIB: Final = 1 << 20
_IMAGE: Final[dict[FileSystem, int]] = {"ext4": 96 * _MIB, "xfs": 320 * _MIB}
_MAKE: Final[dict[FileSystem, list[str]]] = {
    "ext4": ["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"],
    "xfs": ["mkfs.xfs", "-q", "-f"],
}
_MOUNT: Final[dict[FileSystem, str]] = {"ext4": "loop", "xfs": "loop,nouuid"}


class NoDisk(TalekeeperError):
    """A disk could not be made or mounted."""


def _do(*words: str | Path) -> None:
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise NoDisk(f"{words[0]}: {done.stderr.strip()}")


@contextmanager
def mounted(image: Path, at: Path, options: str, *, kind: str | None = None) -> Generator[Path]:
    """The file system in that file, until the end of the block, whatever happens in it."""
    at.mkdir(parents=True, exist_ok=True)
    _do("mount", *(("-t", kind) if kind else ()), "-o", options, image, at)
    try:
        yield at
    finally:
        _unmount(at)


def _unmount(at: Path) -> None:
    for _ in range(40):
        if subprocess.run(["umount", at], capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.05)
    _do("umount", "--lazy", at)


@contextmanager
def a_disk(folder: Path, kind: FileSystem, size: int) -> Generator[tuple[Path, Path]]:
    """A file system of that kind in a file: the file, and where it is mounted."""
    image = folder / f"{kind}.img"
    with image.open("wb") as file:
        file.truncate(size)
    _do(*_MAKE[kind], image)
    with mounted(image, folder / f"{kind}.mounted", _MOUNT[kind]) as at:
        yield image, at


@contextmanager
def where_files_can_be_cloned(folder: Path) -> Generator[Path]:
    """A file system that clones a file in a moment, with room for images."""
    image = folder / "clones.img"
    with image.open("wb") as file:
        file.truncate(6 << 30)  # holes: it takes what is written
    _do("mkfs.xfs", "-q", "-f", "-m", "reflink=1", image)
    with mounted(image, folder / "clones", "loop") as at:
        yield at


def _cloned(source: Path, target: Path) -> None:
    with source.open("rb") as old, target.open("wb") as new:
        fcntl.ioctl(new.fileno(), _FICLONE, old.fileno())


async def _powercut(place: Place, kind: FileSystem, serve: Sequence[str] = SERVE) -> Tally:
    tally = Tally(figures={"late": 0, "cut_ms": [], "check_ms": []})
    async with entered(where_files_can_be_cloned(place.folder)) as clones:
        while tally.rounds < place.rounds and not (tally.found and place.stops_when_found):
            folder = clones / f"disk-{tally.rounds}"
            folder.mkdir()
            async with entered(a_disk(folder, kind, _IMAGE[kind])) as (image, at):
                cuts = min(CUTS, place.rounds - tally.rounds)
                async with (
                    served(at, command=serve) as server,
                    crowded(server, pause=0.05) as crowd,
                ):
                    for _ in range(cuts):
                        await _cut(tally, place, kind, image, crowd)
                        if tally.found and place.stops_when_found:
                            break
                    tally.acked += crowd.acks
            await beside(shutil.rmtree, folder)
    return tally


async def _cut(tally: Tally, place: Place, kind: FileSystem, image: Path, crowd: Crowd) -> None:
    await asyncio.sleep(place.chance.uniform(0, 0.05))
    clone = image.with_name("clone.img")
    moment = time.monotonic()
    acked = list(crowd.acked)  # what is acknowledged from here on may be in it or not
    await beside(_cloned, image, clone)
    cut = time.monotonic()
    contents = await beside(_contents_of_clone, clone, kind)
    tally.figures["cut_ms"].append(round((cut - moment) * 1000, 1))
    tally.figures["check_ms"].append(round((time.monotonic() - cut) * 1000, 1))
    tally.rounds += 1
    tally.found += contents.judged(acked, crowd.stories)
    tally.figures["late"] += contents.late(crowd.stories, moment=moment)
    clone.unlink()


def _contents_of_clone(clone: Path, kind: FileSystem) -> Contents:
    with mounted(clone, clone.with_suffix(".mounted"), _MOUNT[kind]) as at:
        return contents_in(at / "data")


def _obstacle() -> str | None:
    if sys.platform != "linux" or os.geteuid() != 0:
        return "mounting disks takes root on Linux"
    if not Path("/dev/loop-control").exists():
        return "there are no loop devices"
    missing = [tool for tool in ("mkfs.xfs", "mkfs.ext4") if shutil.which(tool) is None]
    if missing:
        return f"{' and '.join(missing)} cannot be found; the package xfsprogs has mkfs.xfs"
    with tempfile.TemporaryDirectory(prefix="talekeeper-torture-") as folder:
        try:
            with where_files_can_be_cloned(Path(folder)):
                return None
        except NoDisk as problem:
            return problem.message


def _rig(kind: FileSystem) -> Rig:
    return Rig(
        name=f"powercut-{kind}",
        proves=("R2",),
        does=f"cuts the power of a disk with {kind}, and replays what had reached it",
        run=partial(_powercut, kind=kind),
        control=partial(_powercut, kind=kind, serve=command("normal_sync")),
        quick=15,
        long=10_000,
        control_rounds=40,
        obstacle=_obstacle,
        loses="lost",
    )


RIGS = (_rig("ext4"), _rig("xfs"))
