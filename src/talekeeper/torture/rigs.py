"""Rigs: what one is, where it works, and what it counts.

A rig does something terrible to real servers, again and again, and counts what was lost or doubled.
Its control is the same with a server, a client or a check that is wrong on purpose: it must be
caught, or the rig does not count.
"""

import random
import shutil
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

Kind = Literal["lost", "doubled", "forgotten", "wrong"]
"""`lost` and `doubled` are of what was acknowledged, `forgotten` is a reply's text that was seen."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """One thing that should not be, in words that name it."""

    kind: Kind
    what: str

    def __str__(self) -> str:
        return self.what


def wrongs(what: Iterable[str]) -> list[Wrong]:
    """What is neither lost nor doubled, and wrong all the same."""
    return [Wrong("wrong", each) for each in what]


@dataclass(slots=True)
class Tally:
    """What a rig counted. `figures` are measured along the way, by name."""

    rounds: int = 0
    acked: int = 0
    found: list[Wrong] = field(default_factory=list[Wrong])
    figures: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def lost(self) -> int:
        return self._counted("lost")

    @property
    def doubled(self) -> int:
        return self._counted("doubled")

    @property
    def forgotten(self) -> int:
        return self._counted("forgotten")

    @property
    def wrong(self) -> int:
        return self._counted("wrong")

    def _counted(self, kind: Kind) -> int:
        # What is lost is missing in every later round, too.
        return len({each.what for each in self.found if each.kind == kind})

    def add(self, other: "Tally") -> None:
        """The other's counts are in this one; its figures stand beside."""
        self.rounds += other.rounds
        self.acked += other.acked
        self.found += other.found
        for name, value in other.figures.items():
            known = self.figures.get(name)
            if isinstance(known, list):
                self.figures[name] = [*cast("list[Any]", known), *value]
            elif isinstance(known, int | float) and isinstance(value, int | float):
                self.figures[name] = known + value
            else:
                self.figures[name] = value


@dataclass(slots=True)
class Place:
    """Where a rig works and how much: a folder of its own, removed afterwards."""

    folder: Path
    rounds: int
    chance: random.Random
    is_long: bool = False
    stops_when_found: bool = False
    _made: int = 0

    def fresh(self, name: str = "server") -> Path:
        """An empty folder that nobody had before."""
        self._made += 1
        folder = self.folder / f"{name}-{self._made}"
        folder.mkdir(parents=True)
        return folder

    def forget(self, folder: Path) -> None:
        """That folder is gone, so that a long run fits on the disk."""
        shutil.rmtree(folder, ignore_errors=True)


Run = Callable[[Place], Awaitable[Tally]]


@dataclass(frozen=True, slots=True)
class Rig:
    """`obstacle` says why it cannot run on this machine; None when it can."""

    name: str
    proves: tuple[str, ...]
    does: str
    run: Run
    control: Run
    quick: int
    long: int
    control_rounds: int = 1
    obstacle: Callable[[], str | None] = lambda: None
    loses: Kind | None = None
    """What the control must be caught at; None: at anything."""

    def is_caught(self, control: Tally) -> bool:
        """The control failed as it must."""
        if self.loses is None:
            return bool(control.found)
        return any(each.kind == self.loses for each in control.found)
