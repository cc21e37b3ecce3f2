"""What every measurement is handed: a place, a size, and somewhere to say how far it has got."""

import random
import shutil
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.worlds import Tale, a_heart, write_tale


@dataclass(slots=True)
class Bench:
    """One run."""

    folder: Path
    is_quick: bool
    _worlds: dict[tuple[int, ...], tuple[Path, list[Tale]]] = field(
        default_factory=dict[tuple[int, ...], tuple[Path, list[Tale]]]
    )

    def count(self, full: int, quick: int) -> int:
        return quick if self.is_quick else full

    def say(self, text: str) -> None:
        """Show how far it has got."""
        print(f"    {time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)

    def place(self, name: str) -> Path:
        """An empty folder."""
        place = self.folder / f"{name}-{random.randrange(1 << 30):x}"  # noqa: S311
        place.mkdir(parents=True)
        return place

    @property
    def most(self) -> int:
        """Messages in the largest database."""
        return self.count(1_000_000, 100_000)

    async def world(self, *counts: int) -> tuple[Path, list[Tale]]:
        """A data folder with a tale of each length; made once, whoever asks."""
        if counts not in self._worlds:
            self.say(f"writing tales of {', '.join(f'{each:,}' for each in counts)} messages")
            place = self.place("world") / "data"
            async with a_heart(place) as heart:
                owner = heart.account.id
            tales = [write_tale(place / "talekeeper.db", owner, each) for each in counts]
            self._worlds[counts] = place, tales
        return self._worlds[counts]

    async def copy_of(self, *counts: int) -> tuple[Path, list[Tale]]:
        """The same, in a folder of one's own that may be changed; the server's data are in it."""
        source, tales = await self.world(*counts)
        place = self.place("copy")
        shutil.copytree(source, place / "data")
        return place, tales

    def forget(self, place: Path) -> None:
        """The folder is not needed again."""
        shutil.rmtree(place, ignore_errors=True)


Measure = Callable[[Bench], Awaitable[list[Figure]]]
