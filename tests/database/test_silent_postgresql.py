"""A PostgreSQL that stops answering and leaves its connections open: refused within two seconds (R19).

The server is really frozen (SIGSTOP). What was sent to it may be carried out when it goes on, so a
refused write is repeated with the same id, and is there once.
"""

import asyncio
import signal
import time
from collections.abc import AsyncGenerator, Awaitable
from pathlib import Path
from typing import Any

import pytest

from engines import Postgres
from servers import until
from talekeeper.conversations.opening import open_conversation
from talekeeper.database import Reader, Store, Writer
from talekeeper.database.statements import statement
from talekeeper.errors import StoreError, StoreUnavailable
from talekeeper.ids import MessageId
from talekeeper.store.holding import hold_conversation
from talekeeper.store.message_changes import add_message
from talekeeper.store.messages import find_message
from tales import an_account, new_id, opened

pytestmark = [pytest.mark.postgres, pytest.mark.req("R19", "C-S2")]

COUNT = statement("SELECT count(*) AS messages FROM messages")
SLOW = statement("SELECT 1 AS one", postgresql="SELECT 1 AS one FROM pg_sleep(2.5)")


@pytest.fixture
async def store(tmp_path: Path, own_postgres: Postgres) -> AsyncGenerator[Store]:
    async with opened(tmp_path, database_url=own_postgres.url()) as store:
        yield store


class Teller:
    """Somebody who tells in a few conversations, each message under an id of its own."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def arrive(self) -> None:
        self.owner = await an_account(self.store)
        self.conversations = [
            (await open_conversation(self.store, owner_id=self.owner.id)).id for _ in range(8)
        ]

    async def tell(self, name: str, *, freezing: Postgres | None = None) -> None:
        """The message of that id is stored once, however often this is called."""
        conversation_id = self.conversations[hash(name) % len(self.conversations)]

        def unit(tx: Writer) -> None:
            held = hold_conversation(tx, conversation_id, owner_id=self.owner.id)
            if find_message(tx, MessageId(name)) is None:
                add_message(tx, held, MessageId(name), parent=None, role="user", content="a word")
                held.save(tx)
            if freezing is not None:
                freezing.send_signal(signal.SIGSTOP)

        await self.store.write(unit, conversation_id=conversation_id)


async def _count(store: Store) -> int:
    return (await store.read(lambda tx: tx.all(COUNT)))[0].messages


async def _refused(asking: Awaitable[Any]) -> float:
    """Seconds until it was refused."""
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        await asking
    return time.monotonic() - began


async def test_every_unit_is_refused_within_two_seconds_while_the_server_is_frozen(
    store: Store, own_postgres: Postgres
) -> None:
    teller = Teller(store)
    await teller.arrive()
    names = [new_id() for _ in range(60)]
    own_postgres.send_signal(signal.SIGSTOP)
    try:
        for _ in range(3):  # with the connections that there were, and without
            took = await asyncio.gather(
                *(_refused(teller.tell(name)) for name in names),
                *(_refused(_count(store)) for _ in range(60)),
            )
            assert max(took) < 2
        assert isinstance(store.trouble, StoreUnavailable)
    finally:
        own_postgres.send_signal(signal.SIGCONT)
    await until(lambda: store.trouble is None, seconds=10)
    for name in names:
        await _told(teller, name)
    assert await _count(store) == len(names)


async def test_a_write_whose_commit_is_not_answered_is_there_once_after_its_repetition(
    store: Store, own_postgres: Postgres
) -> None:
    teller = Teller(store)
    await teller.arrive()
    name = new_id()
    try:
        assert await _refused(teller.tell(name, freezing=own_postgres)) < 2
    finally:
        own_postgres.send_signal(signal.SIGCONT)
    await _told(teller, name)
    assert await _count(store) == 1


async def test_a_statement_that_takes_long_is_waited_for_while_the_server_answers_others(
    store: Store,
) -> None:
    def slow(tx: Reader) -> int:
        return tx.all(SLOW)[0].one

    slow_write = store.write(slow)
    assert await asyncio.gather(store.read(slow), slow_write) == [1, 1]
    assert store.trouble is None


async def _told(teller: Teller, name: str) -> None:
    """Told as a client does that was refused: again, until it is taken."""

    async def is_taken() -> bool:
        try:
            await teller.tell(name)
        except StoreError:
            return False
        return True

    await until(is_taken, seconds=10)
