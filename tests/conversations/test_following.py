"""Following: from any place on, without gap or double (R12, U5)."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from talekeeper.conversations.following import (
    Grew,
    Happened,
    Missed,
    Place,
    Told,
    follow,
    parsed_place,
)
from talekeeper.errors import InvalidInput, NotFound
from talekeeper.ids import AccountId
from talekeeper.live.memory import BACKLOG
from talekeeper.providers.scripted import Script, scripted_pieces, scripted_text
from tales import Table, a_table, new_id


def _following(table: Table, place: Place | None = None) -> AsyncGenerator[list[Told]]:
    return follow(
        table.store,
        table.hub,
        owner_id=table.owner_id,
        follows={table.conversation.id: place},
    )


class Reader:
    """A page that follows: what it shows of one reply, and where it stands."""

    def __init__(self) -> None:
        self.text = ""
        self.place: Place | None = None
        self.is_done = False

    def take(self, told: Told, message_id: str) -> None:
        self.place = told.place
        match told:
            case Grew(delta=delta):
                if delta.message_id == message_id:
                    assert delta.offset == len(self.text) or delta.offset == 0
                    self.text = self.text[: delta.offset] + delta.text
            case Happened(message=message) if message and message.id == message_id:
                if message.status == "complete":
                    assert message.content.startswith(self.text)
                    self.text = message.content
                    self.is_done = True
            case _:
                pass


@pytest.mark.req("R12", "U5", "G13")
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cuts=st.lists(st.integers(0, 60), max_size=12).map(sorted))
async def test_a_follower_that_is_cut_anywhere_sees_the_reply_whole(
    tmp_path: Path, cuts: list[int]
) -> None:
    script = Script(scripted_pieces(60), gated=True)
    async with a_table(tmp_path, script=script) as table:
        reader = Reader()
        sent = await table.say()
        assert sent.reply is not None
        said = 0
        for cut in [*cuts, 61]:
            stream = _following(table, reader.place)
            await anext(stream)
            script.release(cut - said)
            said = max(said, cut)
            if cut > 60:
                script.release(10)
            expected = scripted_text(min(cut, 60))
            async with asyncio.timeout(5):
                while not (reader.is_done or (cut <= 60 and reader.text == expected)):
                    for told in await anext(stream):
                        reader.take(told, sent.reply.id)
            await stream.aclose()
        assert reader.text == scripted_text(60)


@asynccontextmanager
async def _joining_in_the_middle(
    tmp_path: Path,
) -> AsyncIterator[tuple[Table, AsyncGenerator[list[Told]], Grew]]:
    """A follower who comes after "one two " and before "three", and what they are told first."""
    script = Script(["one ", "two ", "three"], gated=True)
    async with a_table(tmp_path, script=script) as table:
        sent = await table.say()
        script.release(2)
        await script.until_said(2)
        stream = _following(table)
        await anext(stream)
        (first,) = await anext(stream)
        assert isinstance(first, Grew)
        yield table, stream, first
        await stream.aclose()
        script.release(10)
        await table.ended(sent)


async def test_a_follower_without_a_place_begins_with_what_was_said_so_far(tmp_path: Path) -> None:
    async with _joining_in_the_middle(tmp_path) as (_, _, first):
        assert first.is_snapshot
        assert (first.delta.offset, first.delta.text) == (0, "one two ")


async def test_of_a_piece_that_is_known_in_part_only_the_rest_is_told(tmp_path: Path) -> None:
    async with _joining_in_the_middle(tmp_path) as (table, stream, known):
        table.hub.grow(replace(known.delta, offset=4, text="two three"))
        (told,) = await anext(stream)
        assert isinstance(told, Grew)
        assert (told.delta.offset, told.delta.text) == (8, "three")
        assert told.place.offset == 13


async def test_whoever_resumes_is_told_what_happened_meanwhile_in_order(tmp_path: Path) -> None:
    async with a_table(tmp_path) as table:
        place = Place(table.conversation.seq)
        await table.said("A")
        await table.said("B")
        stream = _following(table, place)
        await anext(stream)
        told = await anext(stream)
        seqs = [one.seq for one in told if isinstance(one, Happened)]
        assert seqs == list(range(place.seq + 1, seqs[-1] + 1))
        await stream.aclose()


async def test_whoever_missed_too_much_is_sent_to_fetch_it_afresh(tmp_path: Path) -> None:
    async with a_table(tmp_path) as table:
        for _ in range(520):
            await table.say("word", wants_reply=False)
        stream = _following(table, Place(1))
        await anext(stream)
        told = await anext(stream)
        assert isinstance(told[0], Missed)
        await stream.aclose()


async def test_a_place_ahead_of_the_log_is_sent_to_fetch_it_afresh(tmp_path: Path) -> None:
    async with a_table(tmp_path) as table:
        stream = _following(table, Place(999))
        await anext(stream)
        told = await anext(stream)
        assert isinstance(told[0], Missed)
        await stream.aclose()


async def test_a_listener_that_is_too_slow_is_cut_and_holds_nobody_back(tmp_path: Path) -> None:
    script = Script(["x"] * (BACKLOG + 50))
    async with a_table(tmp_path, script=script) as table:
        stream = _following(table)
        await anext(stream)
        await table.said()
        with pytest.raises(StopAsyncIteration):
            while True:
                await anext(stream)
        assert table.hub.followers == 0


@pytest.mark.req("R15")
async def test_a_follower_that_leaves_leaves_nothing_behind(tmp_path: Path) -> None:
    async with a_table(tmp_path) as table:
        for _ in range(50):
            stream = _following(table)
            await anext(stream)
            await stream.aclose()
        assert table.hub.followers == 0


@pytest.mark.req("R21")
async def test_anothers_conversation_cannot_be_followed(tmp_path: Path) -> None:
    async with a_table(tmp_path) as table:
        stream = follow(
            table.store,
            table.hub,
            owner_id=AccountId(new_id()),
            follows={table.conversation.id: None},
        )
        with pytest.raises(NotFound):
            await anext(stream)
        assert table.hub.followers == 0


async def test_an_account_hears_of_all_its_conversations_and_the_text_of_those_it_follows(
    tmp_path: Path,
) -> None:
    async with a_table(tmp_path) as table:
        other = await table.another_conversation()
        stream = follow(
            table.store,
            table.hub,
            owner_id=table.owner_id,
            follows={table.conversation.id: None},
            with_account=True,
        )
        await anext(stream)
        there = await table.say("[[say Unheard]]", conversation_id=other.id)
        await table.ended(there)
        here = await table.said("[[say Heard]]")
        told: list[Any] = []
        async with asyncio.timeout(5):
            while not (told and getattr(told[-1], "message", None) and not _is_open(told[-1])):
                told += await anext(stream)
        grown = "".join(one.delta.text for one in told if isinstance(one, Grew))
        assert grown == "Heard"
        elsewhere = [
            one for one in told if isinstance(one, Happened) and one.conversation.id == other.id
        ]
        assert elsewhere
        assert all(one.message is None for one in elsewhere)
        assert here.reply is not None
        await stream.aclose()


def _is_open(told: Any) -> bool:
    return told.message.status != "complete" or told.message.role != "assistant"


@pytest.mark.parametrize("text", ["", "x", "-1", "1.g.x", "1e3", "9" * 40, "1.g.-3"])
def test_a_place_that_was_never_given_out_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parsed_place(text)


def test_a_place_reads_back_as_it_was_written() -> None:
    place = Place(12, None, 0)
    assert parsed_place(str(place)) == place
    assert parsed_place("7.abc.345") == Place(7, "abc", 345)  # type: ignore[arg-type]
    assert parsed_place("7") == Place(7)


@pytest.mark.req("R12")
async def test_a_piece_that_the_hub_lost_is_told_all_the_same(tmp_path: Path) -> None:
    script = Script(["one ", "two ", "three"], gated=True)
    async with a_table(tmp_path, script=script) as table:
        sent = await table.say()
        assert sent.reply is not None
        stream = _following(table)
        await anext(stream)
        reader = Reader()
        listeners = table.hub._of_conversations.pop(table.conversation.id)
        script.release(1)
        await script.until_said(1)
        table.hub._of_conversations[table.conversation.id] = listeners
        script.release(10)
        async with asyncio.timeout(5):
            while not reader.is_done:
                for told in await anext(stream):
                    reader.take(told, sent.reply.id)
        assert reader.text == "one two three"
        await stream.aclose()
