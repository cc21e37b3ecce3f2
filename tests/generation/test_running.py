"""A reply belongs to the server, and its last write is never given up (FR-007, R11, U2, U7)."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from talekeeper.database import Reader
from talekeeper.domain.replies import ReplyRequest, StreamPart, TextDelta
from talekeeper.errors import ProviderFailed, StoreBusy, StoreFull
from talekeeper.generation.recovering import recover_replies
from talekeeper.ids import BootId, ConversationId
from talekeeper.prompts.receipts import shown_receipt
from talekeeper.providers.scripted import Fail, Hang, Script, Scripted, Think
from talekeeper.store.generations import (
    add_chunk,
    ask_to_stop,
    find_generation,
    find_receipt,
    told_text,
)
from talekeeper.store.messages import content_of
from talekeeper.store.verifying import verify
from tales import Table, a_table, new_id, until


async def _begun(table: Table, sent: Any) -> Any:
    found = await table.store.read(lambda tx: find_generation(tx, sent.generation_id))
    assert found is not None
    return found


@pytest.mark.req("U2", "G13")
async def test_what_was_said_is_on_disk_within_a_quarter_of_a_second(tmp_path: Path) -> None:
    script = Script(["The ", "lantern ", "gutters."], gated=True)
    async with a_table(tmp_path, script=script) as table:
        sent = await table.say()
        assert sent.reply is not None
        script.release(2)
        await script.until_said(2)
        async with asyncio.timeout(0.6):
            while (await table.message(sent.reply.id)).content != "The lantern ":
                await asyncio.sleep(0.01)
        assert (await table.message(sent.reply.id)).status == "streaming"
        script.release(5)
        await table.ended(sent)


@pytest.mark.req("R11", "U4")
async def test_what_a_dead_process_left_is_interrupted_with_its_text(tmp_path: Path) -> None:
    script = Script(["Half ", "a ", "word"], gated=True)
    async with a_table(tmp_path, script=script) as table:
        sent = await table.say()
        assert sent.reply is not None
        script.release(2)
        reply_id = sent.reply.id

        async def has_some() -> bool:
            return (await table.message(reply_id)).content == "Half a "

        await until(has_some)
        assert await recover_replies(table.store, boot_id=BootId("a later process")) == 1
        reply = await table.message(reply_id)
        assert (reply.status, reply.content) == ("interrupted", "Half a ")
        assert await verify(table.store) == []
        # The process that was thought dead wakes: nothing that it writes is taken.
        found = await _begun(table, sent)
        is_kept = await table.store.write(
            lambda tx: add_chunk(tx, found.generation, offset=7, text="late")
        )
        assert not is_kept
        script.release(5)
        await table.ended(sent)
        after = await table.message(reply_id)
        assert (after.status, after.content, after.revision) == (
            "interrupted",
            "Half a ",
            reply.revision,
        )


async def test_closing_the_server_interrupts_and_keeps_the_text(tmp_path: Path) -> None:
    script = Script(["Well ", "met"], gated=True)
    async with a_table(tmp_path, script=script) as table:
        sent = await table.say()
        assert sent.reply is not None
        script.release(1)
        await script.until_said(1)
        await table.generations.close()
        reply = await table.message(sent.reply.id)
        assert (reply.status, reply.content) == ("interrupted", "Well ")


@pytest.mark.req("FR-007", "R4")
async def test_the_final_write_is_tried_until_it_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_table(tmp_path) as table:
        write = table.store.write
        refused: list[str] = []

        async def full(unit: Any, *, conversation_id: Any = None) -> Any:
            if unit.__qualname__.startswith("Generations._write_end") and len(refused) < 3:
                refused.append("full")
                raise StoreFull("The disk is full.")
            return await write(unit, conversation_id=conversation_id)

        monkeypatch.setattr(table.store, "write", full)
        sent = await table.said("[[say Kept.]]")
        assert len(refused) == 3
        assert sent.reply is not None
        assert (await table.message(sent.reply.id)).content == "Kept."


async def test_a_checkpoint_that_fails_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script(["one ", "two ", "three"], gated=True)
    async with a_table(tmp_path, script=script) as table:
        write = table.store.write
        refused: list[str] = []

        async def busy(unit: Any, *, conversation_id: Any = None) -> Any:
            if unit.__qualname__.startswith("Checkpoints._keep") and not refused:
                refused.append("busy")
                raise StoreBusy("Busy.")
            return await write(unit, conversation_id=conversation_id)

        monkeypatch.setattr(table.store, "write", busy)
        sent = await table.say()
        assert sent.reply is not None
        script.release(1)

        async def is_refused() -> bool:
            return bool(refused)

        await until(is_refused)
        script.release(1)
        reply_id = sent.reply.id

        async def is_there() -> bool:
            return (await table.message(reply_id)).content == "one two "

        await until(is_there)
        script.release(5)
        await table.ended(sent)


@pytest.mark.req("FR-007")
async def test_a_reply_whose_row_was_removed_meanwhile_is_made_again(tmp_path: Path) -> None:
    script = Script(["Still ", "here"], gated=True)
    async with a_table(tmp_path, script=script) as table:
        sent = await table.say()
        assert sent.reply is not None
        script.release(1)
        await script.until_said(1)
        with sqlite3.connect(tmp_path / "talekeeper.db") as other:
            other.execute("DELETE FROM messages WHERE id = ?", (sent.reply.id,))
            other.execute(
                "DELETE FROM events WHERE log_id = ? AND seq = ?",
                (table.conversation.id, sent.reply.seq),
            )
            other.execute(
                "INSERT INTO events (log_kind, log_id, seq, at, kind)"
                " VALUES ('conversation', ?, ?, 0, 'conversation')",
                (table.conversation.id, sent.reply.seq),
            )
        other.close()
        script.release(5)
        await table.ended(sent)
        reply = await table.message(sent.reply.id)
        assert (reply.content, reply.status) == ("Still here", "complete")
        assert reply.parent_id == sent.message.id


async def test_thinking_aloud_is_not_said(tmp_path: Path) -> None:
    async with a_table(tmp_path, script=Script([Think("hmm"), "Aye."])) as table:
        sent = await table.said()
        assert sent.reply is not None
        assert (await table.message(sent.reply.id)).content == "Aye."


@pytest.mark.req("R13")
async def test_a_provider_that_breaks_in_an_unforeseen_way_still_frees_the_lock(
    tmp_path: Path,
) -> None:
    class Broken(Scripted):
        async def stream(self, request: ReplyRequest) -> AsyncGenerator[StreamPart]:
            yield TextDelta(str(1 // len(request.turns[:0])))

    async with a_table(tmp_path) as table:
        table.provider.append(Broken())
        sent = await table.said()
        assert sent.reply is not None
        reply = await table.message(sent.reply.id)
        assert reply.error is not None
        assert reply.error.code == "internal"
        table.provider.pop()
        await table.said()


async def test_stopping_a_reply_that_says_nothing_yet_ends_it_at_once(tmp_path: Path) -> None:
    async with a_table(tmp_path, script=Script([Hang()])) as table:
        sent = await table.say()
        found = await _begun(table, sent)
        async with asyncio.timeout(1):
            await table.generations.stop(found.generation)
        assert sent.reply is not None
        reply = await table.message(sent.reply.id)
        assert (reply.status, reply.content) == ("stopped", "")
        # What was stopped before its first word can be asked for again.
        again = await table.again(sent.reply.id)
        await table.generations.stop((await _begun(table, again.sent)).generation)


@pytest.mark.req("C-S5")
async def test_the_receipt_says_exactly_what_the_model_was_asked(tmp_path: Path) -> None:
    script = Script(["Aye."], ["No."], [" And so is the ford."])
    async with a_table(tmp_path, script=script) as table:

        async def told(sent: Any) -> list[dict[str, str]]:
            def unit(tx: Reader) -> Any:
                stored = find_receipt(tx, sent.generation_id)
                assert stored is not None
                assert "bridge" not in stored
                # Whatever a receipt names, nothing of another conversation is shown.
                elsewhere = partial(content_of, tx, ConversationId(new_id()))
                text = partial(told_text, tx, sent.message.conversation_id)
                shown = shown_receipt(stored, message=elsewhere, text=text)
                assert "bridge" not in str(shown)
                says = partial(content_of, tx, sent.message.conversation_id)
                turns = shown_receipt(stored, message=says, text=text).turns
                return [{"role": turn.role, "content": turn.content} for turn in turns]

            return await table.store.read(unit)

        first = await table.said("Is the bridge out?")
        assert (await told(first))[-1] == {"role": "user", "content": "Is the bridge out?"}
        again = await table.said("The bridge, I mean.")
        # What is continued later was not told when the second one was asked for.
        assert first.reply is not None
        await table.ended((await table.on(first.reply.id)).sent)
        assert (await table.message(first.reply.id)).content == "Aye. And so is the ford."
        for sent, asked in zip((first, again), script.asked[:2], strict=True):
            assert [turn["content"] for turn in await told(sent)] == [
                turn.content for turn in asked.turns
            ]


@pytest.mark.req("G9")
async def test_a_model_is_asked_after_a_single_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script(["Aye."], gated=True)
    async with a_table(tmp_path, script=script) as table:
        reads: list[Any] = []
        read = table.store.read

        async def counted(unit: Any) -> Any:
            reads.append(unit)
            return await read(unit)

        monkeypatch.setattr(table.store, "read", counted)
        sent = await table.say()

        async def was_asked() -> bool:
            return script.asked != []

        await until(was_asked)
        assert len(reads) == 1
        script.release()
        await table.ended(sent)


async def test_a_reply_of_blanks_is_continued_by_asking_anew(tmp_path: Path) -> None:
    class Chatty(Scripted):
        continues_text = False

    for kind in (Scripted, Chatty):
        script = Script(["\n\n", Fail(ProviderFailed("Out of order."))], ["Aye."])
        async with a_table(tmp_path / kind.__name__) as table:
            table.provider.append(kind(script, pace=0))
            sent = await table.said("Is the bridge out?")
            assert sent.reply is not None
            assert (await table.message(sent.reply.id)).content == "\n\n"
            await table.ended((await table.on(sent.reply.id)).sent)
            reply = await table.message(sent.reply.id)
            assert (reply.status, reply.content) == ("complete", "\n\nAye.")
        before, after = script.asked
        assert after == before


async def test_a_model_that_cannot_continue_a_text_is_asked_to_and_its_echo_is_removed(
    tmp_path: Path,
) -> None:
    class Chatty(Scripted):
        continues_text = False

    script = Script(["The bridge is ", "X"], ["«The bridge is» ", "out since spring."], gated=True)
    async with a_table(tmp_path) as table:
        table.provider.append(Chatty(script, pace=0))
        sent = await table.say()
        assert sent.reply is not None
        script.release(1)
        await script.until_said(1)
        await table.generations.stop((await _begun(table, sent)).generation)
        more = await table.on(sent.reply.id, generation_id=new_id())
        script.release(10)
        await table.ended(more.sent)
        assert (await table.message(sent.reply.id)).content == "The bridge is out since spring."


@pytest.mark.req("R8", "R11")
async def test_on_postgresql_the_last_holder_of_the_folder_is_known_to_be_dead(
    tmp_path: Path, postgres_database: str
) -> None:
    script = Script(["Half ", "a word"], gated=True)
    async with a_table(tmp_path, database_url=postgres_database, script=script) as table:
        sent = await table.say()
        assert sent.reply is not None
        later = BootId("a later process")
        # Its lease is good for five seconds, so nobody else may take its replies.
        assert await recover_replies(table.store, boot_id=later) == 0
        # But whoever holds its data folder knows that it is gone.
        recovered = await recover_replies(table.store, boot_id=later, predecessor=table.boot_id)
        assert recovered == 1
        assert (await table.message(sent.reply.id)).status == "interrupted"
        script.release(5)


@pytest.mark.req("C-S5", "FR-007")
async def test_a_message_that_the_model_cannot_hold_is_kept_and_its_reply_says_both_counts(
    tmp_path: Path,
) -> None:
    script = Script(["Never said."])
    async with a_table(tmp_path, script=script) as table:
        sent = await table.said("龙" * 120_000)
        assert sent.reply is not None
        assert (await table.message(sent.message.id)).content == "龙" * 120_000
        reply = await table.message(sent.reply.id)
        assert (reply.status, reply.content) == ("failed", "")
        assert reply.error is not None
        assert reply.error.code == "context_too_long"
        assert "120," in reply.error.message
        assert "98,976" in reply.error.message
        assert script.asked == []


@pytest.mark.req("NFR-003")
@pytest.mark.postgres
async def test_a_checkpoint_reads_that_another_process_was_asked_to_stop_the_reply(
    tmp_path: Path, postgres_database: str
) -> None:
    """The row alone tells it: nothing joins the processes, and nothing else looks here."""
    script = Script(["The ", "lantern ", "gutters."], gated=True)
    async with a_table(tmp_path, database_url=postgres_database, script=script) as table:
        sent = await table.say()
        assert sent.reply is not None
        assert sent.generation_id is not None
        script.release()
        await script.until_said(1)
        generation_id = sent.generation_id
        await table.store.write(lambda tx: ask_to_stop(tx, generation_id))
        script.release()
        async with asyncio.timeout(10):
            await table.ended(sent)
        reply = await table.message(sent.reply.id)
        assert (reply.status, reply.content) == ("stopped", "The lantern ")
