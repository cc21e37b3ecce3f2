"""What is said is stored whatever the limits; a reply begins within them, however it is asked for (S9)."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from accounts.arranging import StoodClock
from talekeeper.conversations.opening import open_conversation
from talekeeper.domain.changes import KEPT
from talekeeper.domain.conversations import Limited, Sent
from talekeeper.errors import (
    GenerationRunning,
    NotFound,
    TooManyAtOnce,
    TooOften,
    UnknownParent,
)
from talekeeper.ids import MessageId
from talekeeper.limiting import Limiter
from talekeeper.store.generations import get_generation
from tales import Table, a_table, an_account, new_id
from troubles import refusing

pytestmark = pytest.mark.req("S9", "C-S9")

GROWING = "[[tokens 3]] [[pace 10s]]"


class ATable:
    """A table on either engine, opened with limits."""

    def __init__(self, folder: Path, url: str | None, stack: AsyncExitStack) -> None:
        self.url = url
        self._folder = folder
        self._stack = stack

    async def __call__(self, **limits: Any) -> Table:
        table = a_table(self._folder, database_url=self.url, **limits)
        return await self._stack.enter_async_context(table)


@pytest.fixture(params=["sqlite", "postgresql"])
async def table_with(request: Any, tmp_path: Path) -> AsyncGenerator[ATable]:
    url = request.getfixturevalue("postgres_database") if request.param != "sqlite" else None
    async with AsyncExitStack() as stack:
        yield ATable(tmp_path, url, stack)


async def test_a_message_over_the_rate_is_stored_without_a_reply(table_with: ATable) -> None:
    clock = StoodClock()
    table = await table_with(limiter=Limiter(clock=clock), per_minute=2)
    for _ in range(2):
        await table.said()
    clock.go(12_000)
    sent = await table.say("The third")
    assert sent.reply is None
    assert sent.generation_id is None
    assert sent.limited == Limited("too_often", 48)
    assert (await table.message(sent.message.id)).content == "The third"
    clock.go(48_000)
    outcome = await table.again(sent.message.id)
    assert outcome.sent.limited is None
    await table.ended(outcome.sent)
    assert (await table.said("The fourth")).limited is None


async def test_a_message_beside_as_many_growing_replies_as_may_be_is_stored_without_one(
    table_with: ATable,
) -> None:
    table = await table_with(at_once=2)
    growing = [
        await table.say(GROWING, conversation_id=(await table.another_conversation()).id)
        for _ in range(2)
    ]
    sent = await table.say("The third")
    assert (sent.reply, sent.generation_id) == (None, None)
    assert sent.limited == Limited("too_many_at_once", 5)
    with pytest.raises(TooManyAtOnce, match="2 replies at once") as refused:
        await table.again(sent.message.id)
    assert refused.value.retry_after == 5
    await stop(table, growing[0])
    outcome = await table.again(sent.message.id)
    await table.ended(outcome.sent)
    await stop(table, growing[1])


async def stop(table: Table, sent: Sent) -> None:
    generation_id = sent.generation_id
    assert generation_id is not None
    found = await table.store.read(
        lambda tx: get_generation(tx, generation_id, owner_id=table.owner_id)
    )
    await table.generations.stop(found.generation)


async def test_only_growing_replies_of_the_same_account_stand_in_the_way(
    table_with: ATable,
) -> None:
    table = await table_with(at_once=1)
    growing = await table.say(GROWING)
    other = await an_account(table.store, "Bo")
    theirs = await open_conversation(table.store, owner_id=other.id)
    outcome = await table.sender.send_message(
        theirs.id, MessageId(new_id()), "Hail", owner_id=other.id, parent_id=KEPT
    )
    assert outcome.sent.reply is not None
    await table.ended(outcome.sent)
    await stop(table, growing)


async def test_a_reply_that_is_asked_for_without_words_is_refused_over_the_rate(
    table_with: ATable,
) -> None:
    clock = StoodClock()
    table = await table_with(limiter=Limiter(clock=clock), per_minute=1)
    sent = await table.said()
    assert sent.reply is not None
    before = await table.tree()
    for ask in (table.again(sent.message.id), table.again(sent.reply.id), table.on(sent.reply.id)):
        with pytest.raises(TooOften, match="1 reply a minute") as refused:
            await ask
        assert refused.value.retry_after == 60
    assert await table.tree() == before
    clock.go(60_000)
    await table.ended((await table.on(sent.reply.id)).sent)


async def test_what_was_stored_before_is_answered_over_the_rate_and_says_whether_it_waits(
    table_with: ATable,
) -> None:
    clock = StoodClock()
    table = await table_with(limiter=Limiter(clock=clock), per_minute=2)
    first, second, third = new_id(), new_id(), new_id()
    answered = await table.say(message_id=first)
    await table.ended(answered)
    again = await table.again(first, reply_id=second)
    await table.ended(again.sent)
    await table.say(message_id=third)
    repeated = await table.say(message_id=first)
    assert repeated.reply is not None
    assert repeated.reply.id == answered.reply.id if answered.reply else False
    assert repeated.limited is None
    assert (await table.again(first, reply_id=second)).is_repeated
    assert (await table.say(message_id=third)).limited == Limited("too_often", 60)
    clock.go(60_000)
    waiting = await table.say(message_id=third)
    assert (waiting.reply, waiting.limited) == (None, None)


async def test_what_begins_no_reply_counts_for_nothing(table_with: ATable, tmp_path: Path) -> None:
    """A repeat, a note, a message while the AI speaks, one that is refused, one that is not stored."""
    table = await table_with(limiter=Limiter(clock=StoodClock()), per_minute=3)
    message_id = new_id()
    growing = await table.say(GROWING, message_id=message_id)
    for _ in range(5):
        assert (await table.say(GROWING, message_id=message_id)).generation_id
        beside = await table.say("And then?")
        assert (beside.reply, beside.limited) == (None, None)
        assert (await table.say("Only noted.", wants_reply=False)).limited is None
        with pytest.raises(GenerationRunning):
            await table.again(message_id)
        with pytest.raises(UnknownParent):
            await table.say(parent_id=new_id())
        with pytest.raises(NotFound):
            await table.again(new_id())
    await stop(table, growing)
    with refusing(tmp_path, table_with.url, "messages", "NEW.content = 'poison'"):
        for _ in range(5):
            with pytest.raises(Exception, match="refused"):
                await table.say("poison")
    table.conversation = await table.another_conversation()
    assert (await table.said()).limited is None
    assert (await table.said()).limited is None
    assert (await table.say()).limited is not None


async def test_a_crowd_of_sends_at_once_gets_as_many_replies_as_the_limits_allow(
    table_with: ATable,
) -> None:
    table = await table_with(per_minute=5)
    conversations = [await table.another_conversation() for _ in range(20)]
    sent = await asyncio.gather(*(table.say(conversation_id=each.id) for each in conversations))
    assert [each.limited is None for each in sent].count(True) == 5
    for each in sent:
        if each.reply is not None:
            await table.ended(each)


async def test_at_once_holds_for_a_crowd_that_comes_at_once(tmp_path: Path) -> None:
    """Exactly so on SQLite, where one writes after another."""
    async with a_table(tmp_path, at_once=3) as table:
        conversations = [await table.another_conversation() for _ in range(20)]
        sent = await asyncio.gather(
            *(table.say(GROWING, conversation_id=each.id) for each in conversations)
        )
        begun = [each for each in sent if each.reply is not None]
        assert len(begun) == 3
        assert {each.limited.code for each in sent if each.limited} == {"too_many_at_once"}
        for each in begun:
            await stop(table, each)
