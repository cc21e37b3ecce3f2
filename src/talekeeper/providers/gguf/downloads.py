"""Downloads that belong to the server: they go on when the page is closed, one after another.

What is wanted stands in the parts' notes on the disk, so a server that starts goes on with what the
one before it was fetching. Who stops a download keeps what came; adding the model again goes on from
there.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec
import structlog

from talekeeper.errors import NotFound, TalekeeperError, trail
from talekeeper.providers.gguf.adding import (
    CHECKING,
    TRYING,
    Wanted,
    add_model,
    known_already,
)
from talekeeper.providers.gguf.offers import is_model_name
from talekeeper.providers.gguf.partial import (
    RESERVE,
    Part,
    discard_part,
    note_facts,
    part_facts,
    parts_in,
)
from talekeeper.providers.gguf.tries import USUAL_TRIES, Tries
from talekeeper.tasks import Duty, OwnTasks

Doing = Literal["waiting", "downloading", "checking", "trying", "stopped", "failed"]

DUTY: Final = Duty("model downloads", "No model can be added until the server is restarted.")
_DOING: Final[dict[str, Doing]] = {CHECKING: "checking", TRYING: "trying"}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Download:
    """A model that is not whole yet. `total` is None where the server did not say it.

    `trouble` says why it failed and what to do next.
    """

    name: str
    address: str
    doing: Doing
    done: int
    total: int | None
    trouble: str | None = None


def stopped_downloads(folder: Path) -> tuple[Download, ...]:
    """The downloads of which a part is here, as they are when no server goes on with them."""
    return tuple(
        Download(name, facts.address, "stopped", facts.stored, facts.size or None)
        for name, facts in parts_in(folder).items()
    )


class Downloads:
    """The downloads of one server into one models folder."""

    def __init__(
        self,
        folder: Path,
        *,
        tasks: OwnTasks,
        tries: Tries = USUAL_TRIES,
        reserve: int = RESERVE,
    ) -> None:
        self._folder = folder
        self._tasks = tasks
        self._tries = tries
        self._reserve = reserve
        self._queue: list[Wanted] = []
        self._is_asked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._current: tuple[str, asyncio.Task[None]] | None = None
        self._seen: dict[str, Download] = {}
        """The downloads under way, and those that failed since the server started."""

    async def start(self) -> None:
        """Go on with what is wanted, and from now on with what will be."""
        for name, facts in (await asyncio.to_thread(parts_in, self._folder)).items():
            if facts.is_wanted and is_model_name(name):
                self._enqueue(Wanted(name, facts))
        self._task = self._tasks.start(DUTY, self._work())

    async def close(self) -> None:
        """Nothing is downloaded any more. What is wanted stays wanted."""
        if self._task is not None:
            await self._tasks.stop(self._task)

    async def add(self, wanted: Wanted) -> None:
        """The model is fetched until it is here, or until that is stopped.

        Raises InvalidInput, NoRoomForModel, and ModelBeingAdded when another process does it.
        """
        if self._is_under_way(wanted.name):
            return
        if await asyncio.to_thread(known_already, self._folder, wanted) is not None:
            return
        facts = msgspec.structs.replace(wanted.facts, is_wanted=True)
        await asyncio.to_thread(self._note_wanted, Wanted(wanted.name, facts))
        self._enqueue(Wanted(wanted.name, facts))

    async def stop(self, name: str) -> None:
        """The download is stopped, and what came of it kept. Raises NotFound."""
        if not self._is_under_way(name):
            raise NotFound("There is no such download.")
        self._queue = [each for each in self._queue if each.name != name]
        if self._current is not None and self._current[0] == name:
            self._current[1].cancel()
            await asyncio.gather(self._current[1], return_exceptions=True)
        self._seen.pop(name, None)
        await asyncio.to_thread(self._note_unwanted, name)

    async def discard(self, name: str) -> bool:
        """Nothing of the download is left; false when there was none."""
        if self._is_under_way(name):
            await self.stop(name)
        was_seen = self._seen.pop(name, None) is not None
        if not is_model_name(name) or part_facts(self._folder, name) is None:
            return was_seen
        await asyncio.to_thread(discard_part, self._folder, name)
        return True

    def all(self) -> tuple[Download, ...]:
        """The downloads under way, those that were stopped, and those that failed."""
        found = {each.name: each for each in stopped_downloads(self._folder)} | self._seen
        return tuple(found[name] for name in sorted(found))

    def _is_under_way(self, name: str) -> bool:
        seen = self._seen.get(name)
        return seen is not None and seen.doing != "failed"

    def _enqueue(self, wanted: Wanted) -> None:
        facts = part_facts(self._folder, wanted.name) or wanted.facts
        self._seen[wanted.name] = Download(
            wanted.name, facts.address, "waiting", facts.stored, facts.size or None
        )
        self._queue.append(wanted)
        self._is_asked.set()

    def _note_wanted(self, wanted: Wanted) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = Part(self._folder, wanted.name, wanted.facts, reserve=self._reserve)
        try:
            part.check_room()
        except BaseException:
            part.discard()
            raise
        finally:
            part.close()

    def _note_unwanted(self, name: str) -> None:
        facts = part_facts(self._folder, name)
        if facts is not None:
            note_facts(self._folder, name, msgspec.structs.replace(facts, is_wanted=False))

    async def _work(self) -> None:
        while True:
            while not self._queue:
                self._is_asked.clear()
                await self._is_asked.wait()
            wanted = self._queue.pop(0)
            running = asyncio.create_task(self._one(wanted), name=f"adding {wanted.name}")
            self._current = wanted.name, running
            try:
                await asyncio.wait({running})
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                self._current = None

    async def _one(self, wanted: Wanted) -> None:
        name = wanted.name
        try:
            await add_model(
                self._folder,
                wanted,
                progress=self._noting(wanted),
                tries=self._tries,
                reserve=self._reserve,
            )
        except TalekeeperError as error:
            await self._note_failure(wanted, error.message)
        except Exception as error:  # noqa: BLE001 - the next download is none the worse for it
            log.error("model.not_added", error=type(error).__name__, at=trail(error))
            await self._note_failure(
                wanted, "Something went wrong that was not foreseen. Add the model again."
            )
        else:
            self._seen.pop(name, None)
            log.info("model.added", model=name)

    def _noting(self, wanted: Wanted) -> Callable[[str, int, int], None]:
        name, address = wanted.name, wanted.facts.address

        def note(doing: str, done: int, total: int) -> None:
            self._seen[name] = Download(
                name, address, _DOING.get(doing, "downloading"), done, total or None
            )

        return note

    async def _note_failure(self, wanted: Wanted, message: str) -> None:
        await asyncio.to_thread(self._note_unwanted, wanted.name)
        facts = part_facts(self._folder, wanted.name)
        self._seen[wanted.name] = Download(
            wanted.name,
            wanted.facts.address,
            "failed",
            facts.stored if facts else 0,
            (facts.size if facts else None) or None,
            message,
        )
