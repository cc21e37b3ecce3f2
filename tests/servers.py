"""Real servers for the promises: the ones that `talekeeper torture` starts, by a short name.

with served(tmp_path) as server:                     # a data folder of its own, SQLite
    async with server.client() as client:            # bears the owner's token
        conversation = await client.open()
        sent = await client.say(conversation, "[[tokens 20]]")
        reply = await client.ended(sent)
        server.kill()
        server.start()
"""

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
from talekeeper.torture.serving import SERVE, TOKEN, DidNotStart, Server, apart, served

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
    "until",
]

on_both_engines = pytest.mark.parametrize(
    "engine", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]
)
"""For tests that take `database_url`."""
