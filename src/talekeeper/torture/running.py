"""Running rigs: each with its control, several at a time, into one report.

A rig is good when nothing was lost, doubled or wrong and its control was caught. One that this
machine cannot run is skipped, with the reason, and counts as nothing.
"""

import asyncio
import os
import platform
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Final, cast

from talekeeper import __version__
from talekeeper.database.file_systems import file_system_of
from talekeeper.database.sqlite import SQLITE_VERSION
from talekeeper.errors import InvalidInput, trail
from talekeeper.torture import killing, leaving, manners, power, rotting, trouble
from talekeeper.torture.rigs import Place, Rig, Tally, Wrong
from talekeeper.torture.serving import beside

RIGS: Final[tuple[Rig, ...]] = (
    *killing.RIGS,
    *trouble.RIGS,
    *leaving.RIGS,
    *manners.RIGS,
    *power.RIGS,
    *rotting.RIGS,
)
"""Those that wait longest first: several at a time, none is waited for alone in the end."""
_SHOWN: Final = 20
PREFIX: Final = "talekeeper-torture-"


@dataclass(frozen=True, slots=True)
class Caught:
    """What the control came to."""

    rounds: int
    lost: int
    doubled: int
    forgotten: int
    wrong: int
    is_caught: bool
    first: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one rig came to. `skipped` says why it did not run."""

    rig: str
    proves: tuple[str, ...]
    rounds: int = 0
    acknowledged: int = 0
    lost: int = 0
    doubled: int = 0
    forgotten: int = 0
    wrong: int = 0
    control: Caught | None = None
    seconds: float = 0.0
    figures: dict[str, Any] = field(default_factory=dict[str, Any])
    found: list[str] = field(default_factory=list[str])
    skipped: str | None = None

    @property
    def is_good(self) -> bool:
        if self.skipped is not None:
            return True
        is_whole = not (self.lost or self.doubled or self.forgotten or self.wrong)
        return is_whole and self.control is not None and self.control.is_caught


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that a run came to, and on what it ran."""

    version: str
    began: str
    seconds: float
    seed: int
    form: str
    machine: dict[str, str | int | None]
    verdicts: list[Verdict]

    @property
    def is_good(self) -> bool:
        return all(each.is_good for each in self.verdicts)

    def as_json(self) -> dict[str, Any]:
        """For a file."""
        return {**asdict(self), "is_good": self.is_good}


def chosen(names: Iterable[str]) -> list[Rig]:
    """The rigs of these names, or all. Raises InvalidInput for a name that is none."""
    known = {rig.name: rig for rig in RIGS}
    asked = list(names)
    for name in asked:
        if name not in known:
            raise InvalidInput(f"There is no rig {name}. There are: {', '.join(known)}.")
    return [known[name] for name in asked] or list(RIGS)


async def torture(
    rigs: Sequence[Rig],
    *,
    is_long: bool = False,
    rounds: int | None = None,
    seed: int | None = None,
    work_dir: Path | None = None,
    jobs: int = 1,
    told: Callable[[Verdict], None] = lambda _verdict: None,
) -> Report:
    """Run these rigs, `jobs` at a time, in folders below `work_dir` that are removed afterwards.

    `told` hears of each as it ends.
    """
    began, clock = datetime.now(UTC), time.monotonic()
    seed = random.SystemRandom().randrange(1 << 32) if seed is None else seed
    gate = asyncio.Semaphore(jobs)

    async def one(rig: Rig, folder: Path) -> Verdict:
        async with gate:
            verdict = await judged(
                rig,
                folder=folder / rig.name,
                rounds=rounds or (rig.long if is_long else rig.quick),
                seed=seed,
                is_long=is_long,
            )
        told(verdict)
        return verdict

    with tempfile.TemporaryDirectory(
        prefix=PREFIX, dir=work_dir, ignore_cleanup_errors=True
    ) as folder:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(rig, Path(folder))) for rig in rigs]
        machine = _machine(Path(folder))
    return Report(
        version=__version__,
        began=began.isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - clock, 1),
        seed=seed,
        form="long" if is_long else "quick",
        machine=machine,
        verdicts=[task.result() for task in tasks],
    )


async def judged(
    rig: Rig, *, folder: Path, rounds: int, seed: int, is_long: bool = False
) -> Verdict:
    """What the rig and its control came to in that folder."""
    obstacle = await beside(rig.obstacle)
    if obstacle is not None:
        return Verdict(rig.name, rig.proves, skipped=obstacle)
    began = time.monotonic()
    place = Place(folder / "rig", rounds, random.Random(f"{seed} {rig.name}"), is_long)  # noqa: S311
    place.folder.mkdir(parents=True)
    tally = await _tallied(rig.run, place)
    aside = Place(
        folder / "control",
        rig.control_rounds,
        random.Random(f"{seed} {rig.name} control"),  # noqa: S311
        stops_when_found=True,
    )
    aside.folder.mkdir(parents=True)
    control = await _tallied(rig.control, aside, is_control=True)
    return Verdict(
        rig=rig.name,
        proves=rig.proves,
        rounds=tally.rounds,
        acknowledged=tally.acked,
        lost=tally.lost,
        doubled=tally.doubled,
        forgotten=tally.forgotten,
        wrong=tally.wrong,
        control=Caught(
            rounds=control.rounds,
            lost=control.lost,
            doubled=control.doubled,
            forgotten=control.forgotten,
            wrong=control.wrong,
            is_caught=rig.is_caught(control),
            first=control.found[0].what if control.found else None,
        ),
        seconds=round(time.monotonic() - began, 1),
        figures={name: _summed(value) for name, value in tally.figures.items()},
        found=sorted({each.what for each in tally.found})[:_SHOWN],
    )


async def _tallied(run: Callable[[Place], Any], place: Place, *, is_control: bool = False) -> Tally:
    try:
        return await run(place)
    except Exception as error:  # noqa: BLE001 - a rig that breaks is a finding, and the rest goes on
        what = f"the rig broke: {type(error).__name__}: {error} at {' '.join(trail(error)[-3:])}"
        # A control that breaks has shown nothing.
        return Tally(found=[] if is_control else [Wrong("wrong", what[:500])])


def _summed(value: Any) -> Any:
    """A list of measurements as what one wants to know of it."""
    if not isinstance(value, list):
        return value
    numbers = sorted(cast("list[float]", value))
    if not numbers:
        return None
    return {
        "count": len(numbers),
        "median": round(median(numbers), 3),
        "p95": numbers[min(len(numbers) - 1, int(len(numbers) * 0.95))],
        "max": numbers[-1],
    }


def _machine(folder: Path) -> dict[str, str | int | None]:
    return {
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": SQLITE_VERSION,
        "file_system": file_system_of(folder),
        "platform": sys.platform,
    }
