"""Tales to measure with: a store in this process, and databases of a hundred to a million messages.

Long tales are written straight into the tables, since saying a million things takes an hour. What
was written is a tale like any other: `verify` would find nothing wrong with it.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from talekeeper.clock import SystemClock
from talekeeper.conversations.opening import open_conversation
from talekeeper.conversations.sending import Sender
from talekeeper.database import Store, Writer
from talekeeper.domain.accounts import Account
from talekeeper.domain.changes import KEPT
from talekeeper.generation.admitting import Admission
from talekeeper.generation.beginning import Begun, ServerChoice
from talekeeper.generation.running import Generations
from talekeeper.ids import AccountId, BootId, ConversationId, MessageId, fresh_id
from talekeeper.limiting import Limiter
from talekeeper.store.accounts import add_account
from talekeeper.store.indexing import prepare_index

TEXT: Final = "The lantern gutters, and what comes down the stairs is not the miller. " * 3
EVERY: Final = 10
"""Every so many messages there is one that leads nowhere."""


class _Quiet:
    """In place of the generations: what was begun is on disk, and nobody answers."""

    def begin(self, begun: Begun) -> None:
        """The rows are what is measured."""


@dataclass(slots=True)
class Heart:
    """A store and what sends into it, without a server."""

    store: Store
    sender: Sender
    account: Account

    async def opened(self, count: int) -> list[ConversationId]:
        """New conversations."""
        made: list[ConversationId] = []
        while len(made) < count:
            some = range(min(500, count - len(made)))
            opening = [
                open_conversation(self.store, owner_id=self.account.id, title="A tale")
                for _ in some
            ]
            made += [each.id for each in await asyncio.gather(*opening)]
        return made

    async def send(self, conversation_id: ConversationId, *, wants_reply: bool) -> float:
        """Say something; the seconds until it was on disk."""
        message_id = MessageId(fresh_id())
        began = time.perf_counter()
        await self.sender.send_message(
            conversation_id,
            message_id,
            TEXT,
            owner_id=self.account.id,
            parent_id=KEPT,
            wants_reply=wants_reply,
        )
        return time.perf_counter() - began


@asynccontextmanager
async def a_heart(folder: Path) -> AsyncGenerator[Heart]:
    """A store in `folder`, with the folder's first account or a new one."""
    store = await Store.open(folder)
    try:
        rows = await store.read(_accounts)
        account = rows[0] if rows else await _an_account(store)
        sender = Sender(
            store,
            cast("Generations", _Quiet()),
            admission=Admission(Limiter(clock=SystemClock()), per_minute=0, at_once=0),
            boot_id=BootId(fresh_id()),
            choice=ServerChoice("scripted", "scripted"),
        )
        yield Heart(store, sender, account)
    finally:
        await store.close()


def _accounts(tx: Any) -> list[Account]:
    from talekeeper.store.accounts import all_accounts

    return list(all_accounts(tx))


async def _an_account(store: Store) -> Account:
    account_id = AccountId(fresh_id())

    def add(tx: Writer) -> Account:
        prepare_index(tx)  # as a server has it that ran before
        return add_account(
            tx, account_id=account_id, name="Game master", key="game master", is_admin=True
        )

    return await store.write(add)


@dataclass(frozen=True, slots=True)
class Tale:
    """A conversation that was written into the tables."""

    id: ConversationId
    first_key: int
    last_key: int
    leaf_key: int


def the_same_again(number: int) -> str:
    """What the message of that number says, where it does not matter what."""
    return f"{number}. {TEXT[: 60 + number * 37 % 150]}"


def write_tale(
    database: Path,
    owner_id: str,
    count: int,
    *,
    says: Callable[[int], str] = the_same_again,
    is_indexed: bool = True,
) -> Tale:
    """`count` messages in one conversation: a long path, and beside it many that lead nowhere.

    With `is_indexed` the search index takes itself to have read them; it finds none of them.
    """
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("PRAGMA cache_size = -200000")
    name = fresh_id()
    found = connection.execute("SELECT coalesce(max(key), 0) FROM messages").fetchone()
    first = int(found[0]) + 1
    now = int(time.time() * 1000)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(
        "INSERT INTO conversations (id, owner_id, title, purpose, activity, seq, epoch,"
        " created_at, updated_at) SELECT ?, ?, 'A long tale', 'general',"
        " coalesce(max(activity), 0) + 1, 0, 0, ?, ? FROM conversations",
        (name, owner_id, now, now),
    )
    connection.executemany(
        "INSERT INTO messages (key, id, conversation_id, parent_key, seq, role, status, revision,"
        " created_at, updated_at, content) VALUES (?, ?, ?, ?, ?, ?, 'complete', 1, ?, ?, ?)",
        _messages(name, first, count, now, says),
    )
    connection.executemany(
        "INSERT INTO events (log_kind, log_id, seq, at, kind, message_key)"
        " VALUES ('conversation', ?, ?, ?, 'message_added', ?)",
        ((name, number + 1, now + number, first + number) for number in range(count)),
    )
    last = first + count - 1
    leaf = last if _leads_on(count - 1) else last - 1
    connection.execute(
        "UPDATE conversations SET seq = ?, leaf_key = ? WHERE id = ?", (count, leaf, name)
    )
    columns = {row[1] for row in connection.execute("PRAGMA table_info(conversations)")}
    if "message_count" in columns:
        connection.execute(
            "UPDATE conversations SET message_count = ?, characters = (SELECT sum(length(content))"
            " FROM messages WHERE conversation_id = ?) WHERE id = ?",
            (count, name, name),
        )
    if is_indexed:  # else it would be indexed in the background, and measured, too
        connection.execute(
            "INSERT INTO places (follower, log_kind, log_id, seq)"
            " VALUES ('search', 'conversation', ?, ?)",
            (name, count),
        )
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return Tale(ConversationId(name), first, last, leaf)


def _leads_on(number: int) -> bool:
    return number % EVERY != EVERY - 1


def _messages(
    name: str, first: int, count: int, now: int, says: Callable[[int], str]
) -> Iterator[tuple[Any, ...]]:
    parent: int | None = None
    for number in range(count):
        key = first + number
        role = "assistant" if number % 2 else "user"
        moment = now + number
        yield key, fresh_id(), name, parent, number + 1, role, moment, moment, says(number)
        if _leads_on(number):
            parent = key
