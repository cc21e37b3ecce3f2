"""Bit rot: damaged, empty and missing files are refused with a sentence, or do no harm at all.

Never is a server healthy with less than was acknowledged. The control loses its database together
with the marker that says that there was one: nothing can tell it from a first start, and the check
must see that everything is gone.
"""

import os
import random
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from talekeeper.database.installing import MARKER
from talekeeper.database.store import DATABASE_NAME
from talekeeper.torture.crowd import Said
from talekeeper.torture.judging import contents_in
from talekeeper.torture.killing import crowded
from talekeeper.torture.rigs import Place, Rig, Tally, Wrong
from talekeeper.torture.serving import DidNotStart, beside, served

Damage = Callable[[Path, random.Random], None]
"""What is done to a data folder."""

_REFUSED: Final = "refused: "


def _garbage_index(folder: Path, chance: random.Random) -> None:
    (folder / f"{DATABASE_NAME}-shm").write_bytes(chance.randbytes(32_768))


def _no_index(folder: Path, _chance: random.Random) -> None:
    (folder / f"{DATABASE_NAME}-shm").unlink(missing_ok=True)


def _torn_log(folder: Path, chance: random.Random) -> None:
    with (folder / f"{DATABASE_NAME}-wal").open("ab") as log:
        log.write(chance.randbytes(chance.randint(1, 5_000)))


def _left_overs(folder: Path, _chance: random.Random) -> None:
    (folder / f"{MARKER}.new").write_text("{", encoding="utf-8")
    (folder / "server.json").write_text('{"url": "http://127.0.0.1:1"', encoding="utf-8")
    (folder / "server.json.new").write_text("", encoding="utf-8")
    (folder / "server.lock").write_text("garbage", encoding="utf-8")


HARMLESS: Final[tuple[Damage, ...]] = (_garbage_index, _no_index, _torn_log, _left_overs)


def _missing(folder: Path, _chance: random.Random) -> None:
    for each in folder.glob(f"{DATABASE_NAME}*"):
        each.unlink()


def _empty(folder: Path, chance: random.Random) -> None:
    _missing(folder, chance)
    (folder / DATABASE_NAME).touch()


def _truncated(folder: Path, chance: random.Random) -> None:
    _without_log(folder)
    size = (folder / DATABASE_NAME).stat().st_size
    os.truncate(folder / DATABASE_NAME, chance.randint(1, size // 4096 - 1) * 4096)


def _header_gone(folder: Path, chance: random.Random) -> None:
    _without_log(folder)
    _overwrite(folder / DATABASE_NAME, 0, chance.randbytes(100))


def _pages_overwritten(folder: Path, chance: random.Random) -> None:
    _without_log(folder)
    size = (folder / DATABASE_NAME).stat().st_size
    for page in range(1, size // 4096):
        _overwrite(folder / DATABASE_NAME, page * 4096, chance.randbytes(4096))


def _without_log(folder: Path) -> None:
    # What the log still holds would mend the pages.
    for each in folder.glob(f"{DATABASE_NAME}-*"):
        each.unlink()


def _overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


FATAL: Final[tuple[Damage, ...]] = (
    _missing,
    _empty,
    _truncated,
    _header_gone,
    _pages_overwritten,
)


def _forgotten(folder: Path, chance: random.Random) -> None:
    _missing(folder, chance)
    (folder / MARKER).unlink()


async def _bitrot(
    place: Place,
    *,
    harmless: tuple[Damage, ...] = HARMLESS,
    fatal: tuple[Damage, ...] = FATAL,
) -> Tally:
    tally = Tally(figures={"refused": 0})
    crashed, cleanly = place.fresh("crashed"), place.fresh("cleanly")
    said = await _used(crashed)
    shutil.copytree(crashed / "data", cleanly / "data")
    await beside(contents_in, cleanly / "data")  # opened and closed: all is in one file
    tally.acked = len(said)
    for _ in range(place.rounds):
        for damage in harmless:
            folder = _copied(crashed / "data", place)
            damage(folder, place.chance)
            left = await beside(contents_in, folder)
            tally.found += left.judged(said)
            tally.rounds += 1
            place.forget(folder.parent)
        for damage in fatal:
            folder = _copied(cleanly / "data", place)
            damage(folder, place.chance)
            before = _bytes_of(folder)
            left = await beside(contents_in, folder)
            name = damage.__name__.strip("_")
            if not any(each.startswith(_REFUSED) for each in left.violations):
                tally.found.append(Wrong("wrong", f"{name}: served"))
                tally.found += left.judged(said)
            else:
                tally.figures["refused"] += 1
            if _bytes_of(folder) != before:
                tally.found.append(Wrong("wrong", f"{name}: refused, and yet changed"))
            tally.rounds += 1
            place.forget(folder.parent)
    if fatal:
        tally.found += await _told_by_a_server(_copied(cleanly / "data", place), place)
    return tally


async def _used(folder: Path) -> list[Said]:
    """A data folder in which something was acknowledged, as its killed server left it."""
    async with served(folder) as server, crowded(server) as crowd:
        await crowd.until_acked(40)
        crowd.is_up.clear()
        await beside(server.kill)
        return list(crowd.acked)


def _copied(data_dir: Path, place: Place) -> Path:
    folder = place.fresh("copy") / "data"
    shutil.copytree(data_dir, folder)
    return folder


def _bytes_of(folder: Path) -> dict[str, bytes]:
    return {
        each.name: each.read_bytes()
        for each in sorted(folder.iterdir())
        if each.name.startswith((DATABASE_NAME, MARKER))
        and not each.name.endswith("-shm")
        and each.stat().st_size > 0  # looking leaves an empty log beside what was looked at
    }


async def _told_by_a_server(data_dir: Path, place: Place) -> list[Wrong]:
    """A real server says in one sentence what is the matter, and ends with its exit code."""
    _missing(data_dir, place.chance)
    async with served(data_dir.parent, starts=False) as server:
        try:
            await beside(server.start)
        except DidNotStart as refused:
            if refused.code != 4 or "backup" not in refused.said or "Traceback" in refused.said:
                return [Wrong("wrong", f"exit code {refused.code}: {refused.said[:200]}")]
            return []
    return [Wrong("wrong", "a server serves without its database")]


RIGS = (
    Rig(
        name="bitrot",
        proves=("R16",),
        does="damages, empties and removes what lies in a data folder",
        run=_bitrot,
        control=partial(_bitrot, harmless=(_forgotten,), fatal=()),
        quick=3,
        long=300,
        loses="lost",
    ),
)
