"""What is kept of a reply's end: why the model ended it, what it counted, and its words without its
thinking (FR-006, FR-007, R13).
"""

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from servers import on_both_engines
from talekeeper.conversations.copying import copy_conversation
from talekeeper.domain.replies import (
    Finished,
    Model,
    ReasoningDelta,
    ReplyRequest,
    StreamPart,
    TakenBack,
    TextDelta,
    Usage,
    counted,
)
from talekeeper.errors import ProviderStreamCut
from talekeeper.ids import ConversationId
from talekeeper.providers.scripted import End, Fail, Script
from talekeeper.store.verifying import verify
from tales import a_table, new_id


class Plays:
    """A provider that says these parts, one list a reply."""

    name = "plays"

    def __init__(self, *replies: Sequence[StreamPart], continues_text: bool = True) -> None:
        self.replies = list(replies)
        self.continues_text = continues_text
        self.asked: list[ReplyRequest] = []

    async def stream(self, request: ReplyRequest) -> AsyncGenerator[StreamPart]:
        self.asked.append(request)
        for part in self.replies.pop(0):
            yield part

    def can_title(self, request: ReplyRequest) -> bool:
        return False

    async def models(self) -> tuple[Model, ...]:
        return ()

    async def aclose(self) -> None:
        """There is nothing to close."""


@pytest.mark.parametrize(
    ("value", "count"),
    [
        (0, 0),
        (17, 17),
        (2**53, 2**53),
        (17.0, 17),
        ("42", 42),
        (-1, None),
        (2**53 + 1, None),
        (18446744073709551615, None),
        (10**30, None),
        (1.5, None),
        (float("nan"), None),
        (float("inf"), None),
        (1e300, None),
        ("-1", None),
        ("٣", None),
        ("9" * 5000, None),
        ("many", None),
        (True, None),
        (None, None),
        ([7], None),
        ({"n": 7}, None),
    ],
)
def test_a_count_is_a_whole_number_that_every_reader_knows_or_none(
    value: object, count: int | None
) -> None:
    assert counted(value) == count


@pytest.mark.req("FR-006", "R13")
@on_both_engines
@pytest.mark.parametrize("value", [18446744073709551615, 10**30, -1, 1.5, "many", [7]])
async def test_a_count_that_is_none_costs_neither_the_words_nor_the_lock(
    tmp_path: Path, database_url: str | None, value: Any
) -> None:
    said = [TextDelta("It opens."), Usage(cast("int", value), cast("int", value)), Finished("stop")]
    async with a_table(tmp_path, database_url=database_url) as table:
        table.provider.append(Plays(said, said))
        for _ in range(2):
            sent = await table.said()
            assert sent.reply is not None
            reply = await table.message(sent.reply.id)
            assert (reply.status, reply.content) == ("complete", "It opens.")
            assert (reply.input_tokens, reply.output_tokens) == (None, None)
        assert await verify(table.store) == []


@pytest.mark.req("FR-006")
@on_both_engines
@pytest.mark.parametrize("reason", ["stop", "length", "filtered", "refused", None])
async def test_why_a_reply_ended_is_kept_until_it_goes_on(
    tmp_path: Path, database_url: str | None, reason: Any
) -> None:
    async with a_table(tmp_path, database_url=database_url) as table:
        first = [TextDelta("The door"), Finished(reason)]
        onward = [TextDelta(" opens."), Finished("stop")]
        table.provider.append(Plays(first, onward))
        sent = await table.said()
        assert sent.reply is not None
        assert (await table.message(sent.reply.id)).finish_reason == reason

        copied = ConversationId(new_id())
        await copy_conversation(table.store, table.conversation.id, copied, owner_id=table.owner_id)
        assert [each.finish_reason for each in await table.tree(copied)] == [None, reason]

        outcome = await table.on(sent.reply.id)
        assert outcome.sent.message.finish_reason is None
        await table.ended(outcome.sent)
        reply = await table.message(sent.reply.id)
        assert (reply.content, reply.finish_reason) == ("The door opens.", "stop")
        assert await verify(table.store) == []


async def test_a_reply_that_did_not_come_to_its_end_has_no_reason_for_it(tmp_path: Path) -> None:
    broken = Script(["The door", End("length")], [" op", Fail(ProviderStreamCut("Gone."))])
    async with a_table(tmp_path, script=broken) as table:
        sent = await table.said()
        assert sent.reply is not None
        await table.ended((await table.on(sent.reply.id)).sent)
        reply = await table.message(sent.reply.id)
        assert (reply.status, reply.content, reply.finish_reason) == ("failed", "The door op", None)


@pytest.mark.req("FR-006", "FR-007")
async def test_what_was_taken_back_is_not_in_the_reply_and_not_in_the_next_prompt(
    tmp_path: Path,
) -> None:
    thinking = [
        TextDelta("Keep it "),
        TextDelta("dark."),
        TakenBack(),
        TextDelta("The door "),
        TextDelta("opens."),
    ]
    async with a_table(tmp_path) as table:
        plays = Plays([*thinking, Finished("stop")], [TextDelta("On."), Finished("stop")])
        table.provider.append(plays)
        sent = await table.said()
        assert sent.reply is not None
        reply = await table.message(sent.reply.id)
        assert reply.content == "The door opens."
        assert await verify(table.store) == []
        await table.said("And then?")
        assert "dark" not in str(plays.asked[-1].turns)


@pytest.mark.parametrize("continues_text", [True, False])
async def test_what_was_taken_back_of_a_continuation_leaves_what_stood_before(
    tmp_path: Path, continues_text: bool
) -> None:
    onward = "opens." if continues_text else "The door opens."
    async with a_table(tmp_path) as table:
        plays = Plays(
            [TextDelta("The door "), Finished("length")],
            [TextDelta("Keep it dark."), TakenBack(), TextDelta(onward), Finished("stop")],
            continues_text=continues_text,
        )
        table.provider.append(plays)
        sent = await table.said()
        assert sent.reply is not None
        await table.ended((await table.on(sent.reply.id)).sent)
        assert (await table.message(sent.reply.id)).content == "The door opens."
        assert await verify(table.store) == []


async def test_thinking_after_the_words_changes_nothing(tmp_path: Path) -> None:
    async with a_table(tmp_path) as table:
        table.provider.append(
            Plays([TextDelta("It opens."), ReasoningDelta("Hm."), Finished(None)])
        )
        sent = await table.said()
        assert sent.reply is not None
        reply = await table.message(sent.reply.id)
        assert (reply.status, reply.content, reply.finish_reason) == ("complete", "It opens.", None)
