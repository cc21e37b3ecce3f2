"""A reply's text and lock never wait for what the database refuses (FR-007, R4, U2)."""

import asyncio
import math
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from servers import on_both_engines
from talekeeper.domain.replies import Finished, ReplyRequest, StreamPart, TextDelta, Usage
from talekeeper.errors import ProviderRateLimited
from talekeeper.providers.scripted import Fail, Script, Scripted
from tales import Table, a_table, until
from troubles import LostCommits, refusing

pytestmark = on_both_engines


async def _says(table: Table, message_id: str, content: str) -> bool:
    return (await table.message(message_id)).content == content


@pytest.mark.req("U2", "R4")
async def test_a_reply_whose_chunk_is_refused_stops_no_other_ones_checkpoints(
    tmp_path: Path, database_url: str | None
) -> None:
    script = Script(["poison ", "and ", "more"], ["one ", "two ", "three"], gated=True)
    async with a_table(tmp_path, database_url=database_url, script=script) as table:
        other = await table.another_conversation()
        with refusing(tmp_path, database_url, "chunks", "NEW.text LIKE '%poison%'"):
            bad = await table.say()
            script.release(1)
            await script.until_said(1)
            good = await table.say(conversation_id=other.id)
            assert bad.reply is not None
            assert good.reply is not None
            good_id = good.reply.id

            async def is_asked() -> bool:
                return len(script.asked) == 2

            await until(is_asked)
            # The gate lets them through by turns.
            for said in (2, 3):
                script.release(1)
                await script.until_said(said)

            async def is_kept() -> bool:
                tree = await table.tree(other.id)
                return "one" in next(m for m in tree if m.id == good_id).content

            await until(is_kept)
            script.release(10)
            await table.ended(bad)
            await table.ended(good)
        reply = await table.message(bad.reply.id)
        assert (reply.status, reply.content) == ("complete", "poison and more")


@pytest.mark.req("U2", "R4")
async def test_a_checkpoint_that_was_stored_and_not_reported_is_repeated_without_harm(
    tmp_path: Path, database_url: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script(["one ", "two ", "three"], gated=True)
    async with a_table(tmp_path, database_url=database_url, script=script) as table:
        lost = LostCommits(table.store, monkeypatch)
        sent = await table.say()
        assert sent.reply is not None
        reply_id = sent.reply.id
        lost.count = 1
        script.release(1)

        async def is_lost() -> bool:
            return lost.count == 0

        await until(is_lost)
        script.release(1)
        await until(lambda: _says(table, reply_id, "one two "))
        script.release(2)
        await table.ended(sent)
        assert (await table.message(reply_id)).content == "one two three"


COUNTS = [2**64 - 1, 2**63, -1, 1.5, "many", [1], math.inf]


@pytest.mark.req("FR-007")
@pytest.mark.parametrize("count", COUNTS, ids=repr)
async def test_a_count_that_the_database_refuses_costs_neither_the_text_nor_the_lock(
    tmp_path: Path, database_url: str | None, count: Any
) -> None:
    class Miscounting(Scripted):
        async def stream(self, request: ReplyRequest) -> AsyncGenerator[StreamPart]:
            yield TextDelta("Well met.")
            yield Usage(count, count)
            yield Finished("stop")

    async with a_table(tmp_path, database_url=database_url) as table:
        table.provider.append(Miscounting())
        async with asyncio.timeout(20):
            sent = await table.said()
        assert sent.reply is not None
        reply = await table.message(sent.reply.id)
        assert (reply.status, reply.content) == ("complete", "Well met.")
        table.provider.pop()
        await table.said("[[say Free.]]")


@pytest.mark.req("FR-007")
@pytest.mark.parametrize("seconds", [math.inf, math.nan, 1e30], ids=repr)
async def test_a_waiting_time_that_is_none_costs_neither_the_reason_nor_the_lock(
    tmp_path: Path, database_url: str | None, seconds: float
) -> None:
    failing = Fail(ProviderRateLimited("Too many requests.", retry_after=seconds))
    script = Script(["Half a ", failing])
    async with a_table(tmp_path, database_url=database_url, script=script) as table:
        async with asyncio.timeout(20):
            sent = await table.said()
        assert sent.reply is not None
        reply = await table.message(sent.reply.id)
        assert (reply.status, reply.content) == ("failed", "Half a ")
        assert reply.error is not None
        assert (reply.error.code, reply.error.retry_after) == ("provider_rate_limited", None)
        await table.said("[[say Free.]]")


@pytest.mark.req("FR-007")
async def test_an_end_that_is_refused_with_its_measures_is_written_without_them(
    tmp_path: Path, database_url: str | None
) -> None:
    async with a_table(tmp_path, database_url=database_url) as table:
        with refusing(tmp_path, database_url, "generations", "NEW.duration_ms IS NOT NULL"):
            async with asyncio.timeout(20):
                sent = await table.said("[[say Kept.]]")
        assert sent.reply is not None
        reply = await table.message(sent.reply.id)
        assert (reply.status, reply.content) == ("complete", "Kept.")


@pytest.mark.req("FR-007")
async def test_an_end_whose_text_is_refused_fails_with_what_was_stored_and_says_so(
    tmp_path: Path, database_url: str | None
) -> None:
    script = Script(["Half a ", "word"], gated=True)
    async with a_table(tmp_path, database_url=database_url, script=script) as table:
        with refusing(tmp_path, database_url, "messages", "NEW.content = 'Half a word'"):
            sent = await table.say()
            assert sent.reply is not None
            reply_id = sent.reply.id
            script.release(1)
            await until(lambda: _says(table, reply_id, "Half a "))
            # Its second checkpoint is refused as well, so that less is stored than was said.
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("talekeeper.generation.checkpointing.INTERVAL", 60.0)
                await asyncio.sleep(0.2)  # the tick that had begun is over
                script.release(5)
                async with asyncio.timeout(30):
                    await table.ended(sent)
        reply = await table.message(reply_id)
        assert (reply.status, reply.content) == ("failed", "Half a ")
        assert reply.error is not None
        assert reply.error.retryable
        assert "could not be stored" in reply.error.message
        await table.said("[[say Free.]]")


@pytest.mark.req("FR-007")
async def test_a_receipt_that_cannot_be_written_costs_neither_checkpoints_nor_the_reply(
    tmp_path: Path, database_url: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> str:
        raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")

    monkeypatch.setattr("talekeeper.prompts.composing.Composed.receipt", broken)
    script = Script(["one ", "two"], gated=True)
    async with a_table(tmp_path, database_url=database_url, script=script) as table:
        sent = await table.say()
        assert sent.reply is not None
        reply_id = sent.reply.id
        script.release(1)
        await until(lambda: _says(table, reply_id, "one "))
        assert (await table.message(reply_id)).status == "streaming"
        script.release(2)
        await table.ended(sent)
        assert (await table.message(reply_id)).status == "complete"


async def test_a_hub_that_raises_costs_no_word_and_frees_the_lock(
    tmp_path: Path, database_url: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_table(tmp_path, database_url=database_url) as table:

        def broken(_delta: Any) -> None:
            raise RuntimeError("no followers here")

        with monkeypatch.context() as patch:
            patch.setattr(table.hub, "grow", broken)
            sent = await table.said("[[say Word.]]")
        assert sent.reply is not None
        reply = await table.message(sent.reply.id)
        assert (reply.status, reply.content) == ("failed", "Word.")
        await table.said("[[say Free.]]")
