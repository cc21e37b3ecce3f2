"""A long copy is written in steps, and is seen only when it is whole (NFR-010, U12)."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from servers import on_both_engines
from store.test_removing import a_chain
from talekeeper.clock import Millis
from talekeeper.conversations import copying
from talekeeper.conversations.copying import abandon_copies, copy_conversation
from talekeeper.conversations.emptying import empty_trash
from talekeeper.conversations.measuring import measure_holdings
from talekeeper.conversations.opening import list_conversations, open_under
from talekeeper.conversations.reading import read_conversation, read_tree
from talekeeper.database import Store, Writer
from talekeeper.errors import GenerationRunning, IdReused, NotFound, StoreBusy
from talekeeper.ids import ConversationId
from talekeeper.providers.scripted import Script
from talekeeper.store.copies import PROMISE_MS, STEP
from talekeeper.store.verifying import verify
from tales import Table, a_table, new_id

EVER = Millis(1 << 50)
pytestmark = [pytest.mark.req("NFR-010")]


@pytest.fixture
async def table(tmp_path: Path, database_url: str | None) -> AsyncGenerator[Table]:
    async with a_table(tmp_path, database_url=database_url) as table:
        yield table


async def _copy(table: Table, new: ConversationId) -> Any:
    return await copy_conversation(table.store, table.conversation.id, new, owner_id=table.owner_id)


async def _is_seen(table: Table, new: ConversationId) -> bool:
    """Whether any read shows something of the copy."""
    page = await list_conversations(table.store, owner_id=table.owner_id, cursor=None, limit=100)
    trash = await list_conversations(
        table.store, owner_id=table.owner_id, state="trash", cursor=None, limit=100
    )
    held = await measure_holdings(table.store, owner_id=table.owner_id, most=10)
    listed = {each.id for each in (*page.items, *trash.items, *held.largest, *held.oldest)}
    try:
        await read_conversation(table.store, new, owner_id=table.owner_id)
    except NotFound:
        return new in listed
    return True


class Stopped(Exception):
    """The process ends here, as far as the copy can tell."""


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many messages each step of a copy wrote; the first entry says before which step to end."""
    written: list[int] = [0]
    write = copying._copy_step

    def counted(tx: Writer, *, step: Any, **how: Any) -> Any:
        if len(written) == written[0]:
            raise Stopped
        written.append(len(step.originals))
        return write(tx, step=step, **how)

    monkeypatch.setattr(copying, "_copy_step", counted)
    return written


@on_both_engines
async def test_a_long_copy_is_whole_and_is_written_in_small_steps(
    table: Table, steps: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_chain(table, 2 * STEP + 5)
    new = ConversationId(new_id())
    read, seen = Store.read, list[bool]()

    async def looking(store: Store, unit: Any) -> Any:
        monkeypatch.setattr(Store, "read", read)
        if len(steps) > 1:
            seen.append(await _is_seen(table, new))
            # Nobody's emptying takes the copy for what a dead process left.
            assert await empty_trash(table.store, before=EVER) == 0
            assert await verify(table.store) == []
        monkeypatch.setattr(Store, "read", looking)
        return await read(store, unit)

    monkeypatch.setattr(Store, "read", looking)
    outcome = await _copy(table, new)
    monkeypatch.setattr(Store, "read", read)
    assert steps[1:] == [STEP, STEP, 5]
    assert seen == [False, False]
    assert outcome.conversation.message_count == 2 * STEP + 5
    originals = await table.tree()
    copies = (
        await read_tree(table.store, new, owner_id=table.owner_id, after=0, limit=10_000)
    ).items
    assert [each.content for each in copies] == [each.content for each in originals]
    assert outcome.conversation.leaf_id == copies[-1].id
    assert [each.parent_id for each in copies[1:]] == [each.id for each in copies[:-1]]
    assert (await _copy(table, new)).is_repeated
    page = await list_conversations(table.store, owner_id=table.owner_id, cursor=None, limit=9)
    assert page.items[0].id == new, "it is the newest"
    assert await verify(table.store) == []


@on_both_engines
async def test_a_copy_that_was_cut_off_is_never_seen_and_is_made_when_asked_again(
    table: Table, steps: list[int]
) -> None:
    await a_chain(table, 2 * STEP + 5)
    new = ConversationId(new_id())
    steps[0] = 3
    with pytest.raises(Stopped):
        await _copy(table, new)
    assert not await _is_seen(table, new)
    assert await verify(table.store) == []
    with pytest.raises(StoreBusy, match="another request"):
        await _copy(table, new)
    with pytest.raises(IdReused):
        await open_under(table.store, new, owner_id=table.owner_id)
    steps[:] = [0]
    await abandon_copies(table.store, now=Millis(0))  # as at a start
    outcome = await _copy(table, new)
    assert outcome.conversation.message_count == 2 * STEP + 5
    assert await verify(table.store) == []


@on_both_engines
async def test_what_a_dead_process_had_begun_to_copy_is_removed_after_its_promise(
    table: Table, steps: list[int]
) -> None:
    await a_chain(table, STEP + 5)
    new = ConversationId(new_id())
    steps[0] = 2
    with pytest.raises(Stopped):
        await _copy(table, new)
    at = table.conversation.created_at
    assert await empty_trash(table.store, before=Millis(-1), now=at) == 0
    later = Millis(at + 10 * PROMISE_MS)
    assert await empty_trash(table.store, before=Millis(-1), now=later) == 1
    assert (await open_under(table.store, new, owner_id=table.owner_id)).conversation.seq == 1


@on_both_engines
async def test_the_same_long_copy_asked_for_at_once_is_made_once(table: Table) -> None:
    await a_chain(table, STEP + 5)
    new = ConversationId(new_id())
    outcomes = await asyncio.gather(*(_copy(table, new) for _ in range(3)), return_exceptions=True)
    made = [each for each in outcomes if not isinstance(each, BaseException)]
    assert [each.is_repeated for each in made].count(False) == 1
    assert all(isinstance(each, StoreBusy) for each in outcomes if each not in made)
    assert (await _copy(table, new)).conversation.message_count == STEP + 5


async def test_a_reply_that_begins_to_grow_in_what_is_copied_leaves_no_half_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script(["Nobody."], ["And ", "more"], gated=True)
    async with a_table(tmp_path, script=script) as table:
        await a_chain(table, STEP + 5)
        sent = await table.say("Who is there?")
        assert sent.reply is not None
        reply_id = sent.reply.id
        script.release()
        await table.ended(sent)
        new = ConversationId(new_id())
        write, read = copying._copy_step, Store.read
        going: list[Any] = []
        again: list[Any] = []

        def begun(tx: Writer, **how: Any) -> Any:
            going.append(write(tx, **how))
            return going[-1]

        async def late(store: Store, unit: Any) -> Any:
            if going and not again:
                again.append(None)
                again[0] = await table.on(reply_id)
            return await read(store, unit)

        monkeypatch.setattr(copying, "_copy_step", begun)
        monkeypatch.setattr(Store, "read", late)
        try:
            with pytest.raises(GenerationRunning):
                await _copy(table, new)
            assert not await _is_seen(table, new)
            assert await empty_trash(table.store, before=EVER) == 0, "it was removed at once"
        finally:
            script.release(3)
            await table.ended(again[0].sent)
