"""Judging: what lies in a data folder, against what was acknowledged and seen."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from talekeeper.database import Store
from talekeeper.errors import StoreError
from talekeeper.keeper import opened_store
from talekeeper.settings import load_settings
from talekeeper.store.looking import everything
from talekeeper.store.verifying import verify
from talekeeper.torture.asking import IN_FLIGHT, Story
from talekeeper.torture.crowd import PROMPT_SECONDS, Said, due_by, forgotten, losses
from talekeeper.torture.rigs import Wrong, wrongs


@dataclass
class Contents:
    """Everything that a store holds, and what is wrong with it by its own rules."""

    trees: dict[str, list[dict[str, Any]]] = field(default_factory=dict[str, list[dict[str, Any]]])
    violations: list[str] = field(default_factory=list[str])

    def late(self, stories: Iterable[Story], *, moment: float) -> int:
        """How many replies lack text that was seen PROMPT_SECONDS before `moment`."""
        return len(forgotten(stories, self.trees, seen_by=moment - PROMPT_SECONDS))

    @property
    def in_flight(self) -> list[dict[str, Any]]:
        """Replies that nobody has ended."""
        every = (message for tree in self.trees.values() for message in tree)
        return [message for message in every if message["status"] in IN_FLIGHT]

    def judged(self, said: Iterable[Said], stories: Iterable[Story] = ()) -> list[Wrong]:
        """All that is wrong: lost, doubled, out of order, seen and not kept, or against the rules.

        What is acknowledged among `said` was so when the server was cut.
        """
        said = list(said)
        acked = [each for each in said if each.acked is not None]
        return [
            *losses(said, self.trees),
            *forgotten(stories, self.trees, seen_by=due_by(acked)),
            *wrongs(self.violations),
        ]


async def contents_of(store: Store) -> Contents:
    """What the store holds, in-flight text included."""
    return Contents(trees=await store.read(everything), violations=await verify(store))


def contents_in(data_dir: Path) -> Contents:
    """What the folder holds, opened as a starting server would; a refusal is a violation."""

    async def read() -> Contents:
        settings = load_settings(data_dir=data_dir, key_file=data_dir.parent / "master.key")
        async with opened_store(settings) as store:
            return await contents_of(store)

    try:
        return asyncio.run(read())
    except StoreError as error:
        return Contents(violations=[f"refused: {error.message}"])
