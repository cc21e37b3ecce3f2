"""What a model thinks is kept as a part of its reply, and no model is ever sent it (FR-005, U25)."""

from pathlib import Path

import pytest

from generation.test_endings import Plays
from servers import new_id, on_both_engines
from talekeeper.clock import Millis
from talekeeper.conversations.branching import delete_message
from talekeeper.conversations.copying import copy_conversation
from talekeeper.conversations.emptying import empty_trash
from talekeeper.conversations.indexing import rebuild_index
from talekeeper.conversations.reading import read_tree
from talekeeper.conversations.reasoning import read_reasoning
from talekeeper.conversations.searching import search_messages
from talekeeper.database import Reader, Writer
from talekeeper.domain.conversations import Message
from talekeeper.domain.parts import Reasoning, Thoughts
from talekeeper.domain.replies import (
    Finished,
    ReasoningDelta,
    StreamPart,
    TakenBack,
    TextDelta,
)
from talekeeper.domain.searching import Sought
from talekeeper.errors import NotFound, ProviderFailed
from talekeeper.generation.recovering import end_as_stored, recover_replies
from talekeeper.ids import BootId, ConversationId, MessageId
from talekeeper.providers.scripted import Fail, Script, Think
from talekeeper.store.generations import find_generation
from talekeeper.store.thoughts import add_thought, thought_at
from talekeeper.store.verifying import verify
from tales import Table, a_table, until


async def _thought(table: Table, message_id: str, position: int = 0, after: int = 0) -> Thoughts:
    return await read_reasoning(
        table.store, MessageId(message_id), position, owner_id=table.owner_id, after=after
    )


async def _told(table: Table, *parts: StreamPart) -> Message:
    """What is stored of a reply that is told in these parts."""
    table.provider.append(Plays([*parts, Finished("stop")]))
    sent = await table.said()
    assert sent.reply is not None
    assert await verify(table.store) == []
    return await table.message(sent.reply.id)


@on_both_engines
async def test_reasoning_is_a_part_with_its_text_apart_and_is_never_sent_again(
    tmp_path: Path, database_url: str | None
) -> None:
    script = Script([Think("Is it "), Think("a raven? 🐉"), "A raven."], ["Nothing more."])
    async with a_table(tmp_path, database_url=database_url, script=script) as table:
        sent = await table.said()
        assert sent.reply is not None
        reply = await table.message(sent.reply.id)
        (part,) = reply.parts
        assert isinstance(part, Reasoning)
        assert (reply.content, part.characters) == ("A raven.", len("Is it a raven? 🐉"))
        assert part.ms is not None
        assert await _thought(table, reply.id) == Thoughts(0, "Is it a raven? 🐉", False)
        assert await _thought(table, reply.id, after=6) == Thoughts(6, "a raven? 🐉", False)
        with pytest.raises(NotFound):
            await _thought(table, reply.id, position=1)
        with pytest.raises(NotFound):
            await _thought(table, sent.message.id)
        await table.said("And then?")
        assert "raven?" not in str(script.asked[-1].turns)
        assert await verify(table.store) == []


async def test_what_a_model_thinks_is_told_and_read_while_it_grows_and_survives_a_kill(
    tmp_path: Path,
) -> None:
    script = Script([Think("One. "), "said ", "more"], gated=True)
    async with a_table(tmp_path, script=script) as table:
        sent = await table.say()
        assert sent.reply is not None
        reply_id = sent.reply.id

        async def is_told() -> bool:
            return bool((await table.message(reply_id)).parts)

        await until(is_told)
        growing = await table.message(reply_id)
        assert growing.parts == (Reasoning(5, None),)
        assert growing.status == "streaming"
        assert growing.revision > sent.reply.revision
        assert await _thought(table, reply_id) == Thoughts(0, "One. ", True)
        # Another process finds what a dead one left.
        await recover_replies(table.store, boot_id=BootId(new_id()))
        kept = await table.message(reply_id)
        assert (kept.status, kept.parts) == ("interrupted", (Reasoning(5, None),))
        assert await _thought(table, reply_id) == Thoughts(0, "One. ", False)
        assert await verify(table.store) == []
        script.release()
        await table.ended(sent)
        assert (await table.message(reply_id)).status == "interrupted"
        assert await verify(table.store) == []


async def test_a_reply_that_fails_or_is_stopped_keeps_what_was_thought(tmp_path: Path) -> None:
    script = Script([Think("Hm."), Fail(ProviderFailed("It broke."))])
    async with a_table(tmp_path, script=script) as table:
        sent = await table.said()
        assert sent.reply is not None
        reply = await table.message(sent.reply.id)
        assert (reply.status, reply.content) == ("failed", "")
        assert (await _thought(table, reply.id)).text == "Hm."
        assert await verify(table.store) == []


@pytest.mark.parametrize("continues_text", [True, False])
async def test_a_continued_reply_has_the_reasoning_of_both_generations(
    tmp_path: Path, continues_text: bool
) -> None:
    async with a_table(tmp_path) as table:
        plays = Plays(
            [ReasoningDelta("First."), TextDelta("The door "), Finished("length")],
            [TextDelta("Keep it dark."), TakenBack(), TextDelta("opens."), Finished("stop")],
            continues_text=continues_text,
        )
        table.provider.append(plays)
        sent = await table.said()
        assert sent.reply is not None
        await table.ended((await table.on(sent.reply.id)).sent)
        reply = await table.message(sent.reply.id)
        assert [part.characters for part in reply.parts if isinstance(part, Reasoning)] == [6, 13]
        assert (await _thought(table, reply.id)).text == "First."
        assert (await _thought(table, reply.id, 1)).text == "Keep it dark."
        assert await verify(table.store) == []


async def test_what_was_taken_back_is_reasoning(tmp_path: Path) -> None:
    async with a_table(tmp_path) as table:
        thought = [TextDelta("Keep it "), TextDelta("dark."), TakenBack()]
        reply = await _told(table, *thought, TextDelta("It opens."))
        assert reply.content == "It opens."
        assert (await _thought(table, reply.id)).text == "Keep it dark."


async def test_halves_of_pairs_and_control_characters_are_mended_in_reasoning_too(
    tmp_path: Path,
) -> None:
    async with a_table(tmp_path) as table:
        pieces = [ReasoningDelta("a\x00\ud83d"), ReasoningDelta("\udc09b")]
        reply = await _told(table, *pieces, TextDelta("Aye."))
        assert (await _thought(table, reply.id)).text == "a🐉b".replace("🐉", "\U0001f409")


async def test_no_reasoning_is_kept_where_none_is_wanted(tmp_path: Path) -> None:
    async with a_table(tmp_path, keeps_reasoning=False) as table:
        thought = [ReasoningDelta("Hm."), TextDelta("Dark."), TakenBack()]
        reply = await _told(table, *thought, TextDelta("It opens."))
        assert (reply.content, reply.parts) == ("It opens.", ())


async def test_reasoning_is_not_searched(tmp_path: Path) -> None:
    async with a_table(tmp_path) as table:
        await _told(table, ReasoningDelta("A kraken?"), TextDelta("A raven."))
        await rebuild_index(table.store, told=lambda _read, _every: None)
        for word, count in (("raven", 1), ("kraken", 0)):
            page = await search_messages(
                table.store, word, owner_id=table.owner_id, sought=Sought(), after=None, limit=5
            )
            assert len(page.items) == count


@on_both_engines
async def test_a_copy_has_the_reasoning_and_what_is_emptied_has_none(
    tmp_path: Path, database_url: str | None
) -> None:
    async with a_table(tmp_path, database_url=database_url) as table:
        reply = await _told(table, ReasoningDelta("A kraken?"), TextDelta("A raven."))
        copy_id = ConversationId(new_id())
        await copy_conversation(
            table.store, table.conversation.id, copy_id, owner_id=table.owner_id
        )
        tree = await read_tree(table.store, copy_id, owner_id=table.owner_id, after=0, limit=9)
        copy = tree.items[-1]
        assert copy.parts == reply.parts
        assert (await _thought(table, copy.id)).text == "A kraken?"
        await delete_message(table.store, reply.id, owner_id=table.owner_id)
        with pytest.raises(NotFound):
            await _thought(table, reply.id)
        await empty_trash(table.store, before=Millis(1 << 50))
        assert await verify(table.store) == []
        assert (await _thought(table, copy.id)).text == "A kraken?"


@on_both_engines
async def test_a_checkpoint_of_a_lost_reply_takes_no_thought_of_it_away(
    tmp_path: Path, database_url: str | None
) -> None:
    """A process that froze after a checkpoint without an answer repeats it, when another has ended
    the reply.
    """
    script = Script([Think("A raven. "), Think("At night."), "Kraa."], gated=True)
    async with a_table(tmp_path, database_url=database_url, script=script) as table:
        sent = await table.say("Who is there?")
        assert sent.generation_id is not None
        assert sent.reply is not None

        generation_id = sent.generation_id

        def stored(tx: Reader) -> str:
            found = find_generation(tx, generation_id)
            assert found is not None
            return thought_at(tx, found.message_key, 0)

        async def is_stored() -> bool:
            return await table.store.read(stored) == "A raven. At night."

        await until(is_stored)

        def end_elsewhere(tx: Writer) -> bool:
            found = find_generation(tx, generation_id)
            assert found is not None
            return end_as_stored(tx, found, "interrupted")

        def repeat(tx: Writer) -> bool:
            found = find_generation(tx, generation_id)
            assert found is not None
            return add_thought(
                tx,
                found.generation,
                message_key=found.message_key,
                position=0,
                offset=0,
                text="A raven. At night.",
                may_be_stored=True,
            )

        assert await table.store.write(end_elsewhere)
        assert not await table.store.write(repeat)
        assert (await _thought(table, sent.reply.id)).text == "A raven. At night."
        script.release()
