"""Arranging in words: a store on either engine, and a server's heart around it without the server."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from talekeeper.clock import SystemClock
from talekeeper.conversations.opening import open_conversation
from talekeeper.conversations.reading import read_tree
from talekeeper.conversations.sending import Outcome, Sender
from talekeeper.database import Reader, Store
from talekeeper.database.writing import Announce
from talekeeper.domain.accounts import Account
from talekeeper.domain.changes import KEPT, Kept
from talekeeper.domain.conversations import USUAL_MANNER, Conversation, Manner, Message, Sent
from talekeeper.domain.events import Announced
from talekeeper.domain.replies import Provider
from talekeeper.generation.admitting import Admission
from talekeeper.generation.beginning import ServerChoice
from talekeeper.generation.leasing import Lease
from talekeeper.generation.recovering import recover_replies
from talekeeper.generation.requesting import Reached
from talekeeper.generation.running import Generations
from talekeeper.ids import (
    AccountId,
    BootId,
    ConnectionId,
    ConversationId,
    GenerationId,
    MessageId,
    fresh_id,
)
from talekeeper.limiting import Limiter
from talekeeper.live import MemoryHub
from talekeeper.providers.scripted import Script, Scripted
from talekeeper.store.accounts import add_account
from talekeeper.store.verifying import verify
from talekeeper.tasks import OwnTasks


def new_id() -> str:
    return str(uuid4())


@asynccontextmanager
async def opened(
    folder: Path, *, database_url: str | None = None, announce: Announce | None = None
) -> AsyncGenerator[Store]:
    """A store in `folder`, whose invariants hold when it is left."""
    store = await Store.open(folder, database_url=database_url, announce=announce)
    try:
        yield store
        assert await verify(store) == []
    finally:
        await store.close()


async def an_account(store: Store, name: str = "Ada") -> Account:
    account_id = AccountId(fresh_id())
    return await store.write(
        lambda tx: add_account(
            tx, account_id=account_id, name=name, key=name.casefold(), is_admin=True
        )
    )


@dataclass
class Table:
    """A game master at a table: one account, one conversation, one scripted model."""

    store: Store
    hub: MemoryHub
    generations: Generations
    sender: Sender
    boot_id: BootId
    account: Account
    conversation: Conversation
    tasks: OwnTasks
    provider: list[Provider] = field(default_factory=list[Provider])

    @property
    def owner_id(self) -> AccountId:
        return self.account.id

    async def say(
        self,
        content: str = "Who is at the door?",
        *,
        message_id: str | None = None,
        parent_id: str | None | Kept = KEPT,
        wants_reply: bool = True,
        conversation_id: ConversationId | None = None,
        manner: Manner = USUAL_MANNER,
    ) -> Sent:
        outcome = await self.sender.send_message(
            conversation_id or self.conversation.id,
            MessageId(message_id or new_id()),
            content,
            owner_id=self.owner_id,
            parent_id=parent_id if isinstance(parent_id, Kept | None) else MessageId(parent_id),
            wants_reply=wants_reply,
            manner=manner,
        )
        return outcome.sent

    async def said(self, content: str = "Who is at the door?") -> Sent:
        """Say it, and wait until the reply has ended."""
        sent = await self.say(content)
        await self.ended(sent)
        return sent

    async def again(self, message_id: str, *, reply_id: str | None = None) -> Outcome:
        return await self.sender.regenerate(
            MessageId(message_id), MessageId(reply_id or new_id()), owner_id=self.owner_id
        )

    async def on(self, message_id: str, *, generation_id: str | None = None) -> Outcome:
        return await self.sender.continue_reply(
            MessageId(message_id), GenerationId(generation_id or new_id()), owner_id=self.owner_id
        )

    async def ended(self, sent: Sent) -> None:
        assert sent.generation_id is not None
        await self.generations.wait(sent.generation_id)

    async def another_conversation(self) -> Conversation:
        return await open_conversation(self.store, owner_id=self.owner_id)

    async def tree(self, conversation_id: ConversationId | None = None) -> tuple[Message, ...]:
        page = await read_tree(
            self.store,
            conversation_id or self.conversation.id,
            owner_id=self.owner_id,
            after=0,
            limit=10_000,
        )
        return page.items

    async def message(self, message_id: str) -> Message:
        return next(m for m in await self.tree() if m.id == message_id)


@asynccontextmanager
async def a_table(
    folder: Path,
    *,
    database_url: str | None = None,
    script: Script | None = None,
    makes_titles: bool = False,
    announce: Announce | None = None,
    keeps_reasoning: bool = True,
    limiter: Limiter | None = None,
    per_minute: int = 0,
    at_once: int = 0,
) -> AsyncGenerator[Table]:
    """Everything but the network: what is said here goes the way it goes in the server.

    With `makes_titles` there is a job for each first exchange. `announce` hears what the hub hears.
    Replies are not limited unless `per_minute` or `at_once` says how.
    """
    hub = MemoryHub()
    boot_id = BootId(fresh_id())
    clock = SystemClock()
    tasks = OwnTasks()
    provider = Scripted(script, pace=0)
    table: Table | None = None

    def reach(_tx: Reader, _owner: AccountId, _connection: ConnectionId, _model: str) -> Reached:
        assert table is not None
        return Reached(table.provider[-1], "scripted", 100_000)

    def tell(events: Sequence[Announced]) -> None:
        hub.announce(events)
        if announce is not None:
            announce(events)

    async with opened(folder, database_url=database_url, announce=tell) as store:
        await recover_replies(store, boot_id=boot_id)
        lease = await Lease.take(store, hub, boot_id=boot_id, clock=clock, tasks=tasks)
        generations = Generations(
            store,
            hub,
            reach=reach,
            clock=clock,
            boot_id=boot_id,
            tasks=tasks,
            keeps_reasoning=keeps_reasoning,
            makes_titles=makes_titles,
        )
        account = await an_account(store, f"Ada {boot_id}")
        table = Table(
            store=store,
            hub=hub,
            generations=generations,
            sender=Sender(
                store,
                generations,
                admission=Admission(
                    limiter or Limiter(clock=clock), per_minute=per_minute, at_once=at_once
                ),
                boot_id=boot_id,
                choice=ServerChoice("scripted", "scripted"),
            ),
            boot_id=boot_id,
            account=account,
            conversation=await open_conversation(store, owner_id=account.id),
            tasks=tasks,
            provider=[provider],
        )
        try:
            yield table
        finally:
            await generations.close()
            await lease.release()
            assert tasks.died == ()


async def until(holds: Callable[[], Awaitable[bool]], *, seconds: float = 5.0) -> None:
    """Wait until `holds`, or fail."""
    async with asyncio.timeout(seconds):
        while not await holds():
            await asyncio.sleep(0.005)


def texts(messages: Sequence[Message]) -> list[str]:
    return [message.content for message in messages]
