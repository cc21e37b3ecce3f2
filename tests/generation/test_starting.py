"""A generation that is on disk is filled, whatever became of its sender (FR-007, R11, U7)."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from servers import on_both_engines
from talekeeper import open_keeper
from talekeeper.database import Writer
from talekeeper.domain.conversations import Sent
from talekeeper.errors import StoreError
from talekeeper.generation.beginning import unended
from talekeeper.generation.reconciling import Reconciler
from talekeeper.providers.scripted import Script
from talekeeper.settings import load_settings
from talekeeper.store.generations import add_chunk, find_generation
from tales import Table, a_table, new_id, until
from troubles import LostCommits

pytestmark = on_both_engines


def _reconciler(table: Table, *, interval: float = 60.0) -> Reconciler:
    return Reconciler(
        table.store,
        table.generations,
        boot_id=table.boot_id,
        tasks=table.tasks,
        interval=interval,
    )


@pytest.mark.req("FR-007", "NFR-006")
async def test_a_reply_begins_though_its_sender_ran_out_of_time(
    tmp_path: Path, database_url: str | None
) -> None:
    settings = load_settings(
        data_dir=tmp_path / "data",
        key_file=tmp_path / "key",
        provider="scripted",
        database_url=database_url,
    )
    async with open_keeper(settings) as keeper:
        gm = keeper.game_master()
        conversation = await gm.open_conversation("The gate")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await gm.send(conversation.id, "[[say Aye.]]")

        async def is_answered() -> bool:
            path = await gm.read_path(conversation.id)
            return [message.content for message in path[1:]] == ["Aye."]

        await until(is_answered)
        assert (await gm.conversation(conversation.id)).generation_id is None


@pytest.mark.req("FR-007", "NFR-006")
@pytest.mark.parametrize("verb", ["send", "regenerate", "continue"])
async def test_a_caller_that_leaves_once_its_unit_is_queued_changes_nothing_for_the_reply(
    tmp_path: Path, database_url: str | None, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script()
    async with a_table(tmp_path, database_url=database_url, script=script) as table:
        first = await table.said("[[say First.]]")
        assert first.reply is not None
        reply_id = first.reply.id
        calls: dict[str, Callable[[], Awaitable[Any]]] = {
            "send": lambda: table.say("[[say More.]]", message_id=new_id()),
            "regenerate": lambda: table.again(reply_id),
            "continue": lambda: table.on(reply_id),
        }
        write = table.store.write

        async def leaving(unit: Any, *, conversation_id: Any = None) -> Any:
            current = asyncio.current_task()
            assert current is not None
            current.cancel()  # takes effect where it waits: the unit is in the queue by then
            return await write(unit, conversation_id=conversation_id)

        with monkeypatch.context() as patch:
            patch.setattr(table.store, "write", leaving)
            caller = asyncio.ensure_future(calls[verb]())
            with pytest.raises(asyncio.CancelledError):
                await caller

        async def is_over() -> bool:
            is_asked = len(script.asked) == 2
            return is_asked and all(each.status == "complete" for each in await table.tree())

        await until(is_over)
        assert len(await table.tree()) == {"send": 4, "regenerate": 3, "continue": 2}[verb]
        assert (await table.said("[[say Free.]]")).reply is not None


@pytest.mark.req("FR-007", "R11")
@pytest.mark.parametrize("verb", ["send", "regenerate", "continue"])
async def test_when_a_commit_is_not_reported_the_repeats_start_the_generation_once(
    tmp_path: Path, database_url: str | None, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script(["First."], ["Second."])
    async with a_table(tmp_path, database_url=database_url, script=script) as table:
        first = await table.said()
        assert first.reply is not None
        reply_id, name = first.reply.id, new_id()

        async def ask() -> Sent:
            match verb:
                case "send":
                    return await table.say("More.", message_id=name)
                case "regenerate":
                    return (await table.again(reply_id, reply_id=name)).sent
                case _:
                    return (await table.on(reply_id, generation_id=name)).sent

        lost = LostCommits(table.store, monkeypatch)
        lost.count = 1
        with pytest.raises(StoreError):
            await ask()
        assert lost.count == 0
        reconciler = _reconciler(table)
        sent, again, _ = await asyncio.gather(ask(), ask(), reconciler.look())
        assert sent.reply is not None
        assert again.reply is not None
        assert sent.reply.id == again.reply.id
        await table.ended(sent)
        await reconciler.look()
        await reconciler.close()
        assert len(script.asked) == 2
        reply = await table.message(sent.reply.id)
        assert (reply.status, reply.content) == (
            "complete",
            "First.Second." if verb == "continue" else "Second.",
        )


@pytest.mark.req("FR-007", "R11")
async def test_a_generation_whose_start_was_lost_is_started_within_seconds_without_a_repeat(
    tmp_path: Path, database_url: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_table(tmp_path, database_url=database_url) as table:
        reconciler = _reconciler(table, interval=0.1)
        lost = LostCommits(table.store, monkeypatch)
        lost.count = 1
        with pytest.raises(StoreError):
            await table.say("[[say Aye.]]")

        async def is_answered() -> bool:
            tree = await table.tree()
            return [each.content for each in tree[1:]] == ["Aye."]

        await until(is_answered)
        await reconciler.close()


async def _lost(table: Table, patch: pytest.MonkeyPatch, *, text: str = "") -> Any:
    """A send whose start was lost, of which `text` had been checkpointed; the generation."""
    name = new_id()
    lost = LostCommits(table.store, patch)
    lost.count = 1
    with pytest.raises(StoreError):
        await table.say("[[say Aye.]]", message_id=name)
    reply = (await table.tree())[-1]
    assert (reply.role, reply.status) == ("assistant", "pending")
    generation_id = reply.generation_id
    assert generation_id is not None

    def find(tx: Writer) -> Any:
        found = find_generation(tx, generation_id)
        assert found is not None
        if text:
            assert add_chunk(tx, found.generation, offset=0, text=text)
        return found.generation

    return await table.store.write(find)


@pytest.mark.req("R11", "U4")
async def test_an_unfilled_generation_with_text_is_interrupted_and_the_text_kept(
    tmp_path: Path, database_url: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script()
    async with a_table(tmp_path, database_url=database_url, script=script) as table:
        generation = await _lost(table, monkeypatch, text="Half a ")
        reconciler = _reconciler(table)
        await reconciler.look()
        await table.generations.wait(generation.id)
        await reconciler.close()
        reply = await table.message(generation.message_id)
        assert (reply.status, reply.content) == ("interrupted", "Half a ")
        assert script.asked == []


async def test_an_unfilled_generation_older_than_a_minute_is_interrupted_not_started(
    tmp_path: Path, database_url: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script()
    async with a_table(tmp_path, database_url=database_url, script=script) as table:
        generation = await _lost(table, monkeypatch)

        def a_minute_later(tx: Writer) -> None:
            now = tx.now
            tx.now = lambda: now() + 60_000  # type: ignore[method-assign,return-value]
            found = unended(tx, generation.id, boot_id=table.boot_id)
            assert found is not None
            tx.after_commit(lambda: table.generations.take_up(found))

        await table.store.write(a_minute_later, conversation_id=table.conversation.id)
        await table.generations.wait(generation.id)
        reply = await table.message(generation.message_id)
        assert (reply.status, reply.content) == ("interrupted", "")
        assert script.asked == []


@pytest.mark.req("R11", "FR-007")
@pytest.mark.parametrize("text", ["", "Half a "])
async def test_stopping_a_generation_that_no_task_fills_ends_it_in_the_store(
    tmp_path: Path, database_url: str | None, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_table(tmp_path, database_url=database_url) as table:
        generation = await _lost(table, monkeypatch, text=text)
        async with asyncio.timeout(5):
            await table.generations.stop(generation)
        reply = await table.message(generation.message_id)
        assert (reply.status, reply.content) == ("stopped", text)
        await table.said("[[say Free.]]")


async def test_looking_for_lost_starts_while_replies_begin_and_end_starts_none_twice(
    tmp_path: Path, database_url: str | None
) -> None:
    script = Script()
    async with a_table(tmp_path, database_url=database_url, script=script) as table:
        conversations = [await table.another_conversation() for _ in range(5)]
        reconciler = _reconciler(table)
        over = asyncio.Event()

        async def look_again_and_again() -> None:
            while not over.is_set():
                await reconciler.look()

        async def talk(conversation_id: Any) -> None:
            for _ in range(10):
                sent = await table.say("[[say Aye.]]", conversation_id=conversation_id)
                await table.ended(sent)

        looking = asyncio.create_task(look_again_and_again())
        await asyncio.gather(*(talk(each.id) for each in conversations))
        over.set()
        await looking
        await reconciler.close()
        assert len(script.asked) == 50
        for each in conversations:
            tree = await table.tree(each.id)
            assert [message.status for message in tree] == ["complete"] * 20
