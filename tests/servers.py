"""Real servers for the promises: the ones that `talekeeper torture` starts.

with served(tmp_path) as server:                     # a data folder of its own, SQLite
    async with server.client() as client:            # bears the owner's token
        conversation = await client.open()
        sent = await client.say(conversation, "[[tokens 20]]")
        reply = await client.ended(sent)
        server.kill()
        server.start()
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from talekeeper.torture.asking import (
    IN_FLIGHT,
    PATIENCE,
    Answer,
    Client,
    Event,
    Story,
    Stream,
    Unanswered,
    follow_path,
    new_id,
    until,
)
from talekeeper.torture.serving import SERVE, TOKEN, DidNotStart, Server, apart

__all__ = [
    "IN_FLIGHT",
    "PATIENCE",
    "SERVE",
    "TOKEN",
    "Answer",
    "Client",
    "DidNotStart",
    "Event",
    "Server",
    "Story",
    "Stream",
    "Unanswered",
    "apart",
    "follow_path",
    "new_id",
    "on_both_engines",
    "served",
    "troubles_of",
    "until",
]

on_both_engines = pytest.mark.parametrize(
    "engine", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]
)
"""For tests that take `database_url`."""


@contextmanager
def served(
    folder: Path,
    provider: str = "scripted",
    database_url: str | None = None,
    env: Mapping[str, str] | None = None,
    *,
    command: Sequence[str] = SERVE,
    starts: bool = True,
    verifies: bool = True,
) -> Generator[Server]:
    """A server in `folder`. Left without an error, its store holds all that must be true of it."""
    server = Server(folder, provider=provider, database_url=database_url, env=env, command=command)
    try:
        if starts:
            server.start()
        yield server
        server.end()
        if verifies:
            found = server.violations()
            assert found == [], "\n".join(found)
    except BaseException:
        print(troubles_of(server))
        raise
    finally:
        server.end()


def troubles_of(server: Server) -> str:
    """The last of what it logged as a warning or worse, for whoever reads of a failed test."""
    lines = server.log.splitlines() if server.log_file.exists() else []
    found = [line for line in lines if '"level": "info"' not in line]
    return "\n".join(
        [f"{len(lines)} lines in {server.log_file}, of those in trouble:", *found[-20:]]
    )
