"""Speaker, mode and audience belong to a message, and a person says what models are told (FR-005)."""

from pathlib import Path

import pytest

from servers import new_id, on_both_engines
from talekeeper.conversations.copying import copy_conversation
from talekeeper.conversations.marking import mark_message
from talekeeper.conversations.reading import read_tree
from talekeeper.domain.audiences import EVERYBODY, GAME_MASTER, audience_of
from talekeeper.domain.conversations import USUAL_MANNER, Manner, Speaker
from talekeeper.errors import IdReused, InvalidInput, NotFound
from talekeeper.ids import ConversationId, MessageId, RecordId
from talekeeper.providers.scripted import Script
from talekeeper.store.verifying import verify
from tales import Table, a_table

TAM = RecordId(new_id())
SPOKEN = Manner(Speaker("Old Tam", TAM), "speak", audience_of("characters", [TAM]))


async def _hide(table: Table, message_id: str, *, hidden: bool = True) -> None:
    await mark_message(
        table.store, MessageId(message_id), owner_id=table.owner_id, hidden_from_ai=hidden
    )


@on_both_engines
async def test_how_a_message_is_said_is_kept_passes_to_its_reply_and_is_copied(
    tmp_path: Path, database_url: str | None
) -> None:
    async with a_table(tmp_path, database_url=database_url) as table:
        sent = await table.say("Greetings!", manner=SPOKEN)
        await table.ended(sent)
        assert sent.reply is not None
        await _hide(table, sent.reply.id)
        question, reply = await table.tree()
        assert question.manner == sent.message.manner == SPOKEN
        assert reply.manner == Manner(None, "speak", SPOKEN.audience)
        assert reply.hidden_from_ai
        copy_id = ConversationId(new_id())
        await copy_conversation(
            table.store, table.conversation.id, copy_id, owner_id=table.owner_id
        )
        tree = await read_tree(table.store, copy_id, owner_id=table.owner_id, after=0, limit=9)
        assert [each.manner for each in tree.items] == [question.manner, reply.manner]
        assert [each.hidden_from_ai for each in tree.items] == [False, True]
        assert await verify(table.store) == []


@pytest.mark.parametrize(
    "other",
    [
        USUAL_MANNER,
        Manner(Speaker("Tam", TAM), "speak", SPOKEN.audience),
        Manner(Speaker("Old Tam"), "speak", SPOKEN.audience),
        Manner(SPOKEN.speaker, "about", SPOKEN.audience),
        Manner(SPOKEN.speaker, "speak", EVERYBODY),
        Manner(SPOKEN.speaker, "speak", GAME_MASTER),
    ],
)
async def test_the_same_id_said_in_another_manner_is_refused(tmp_path: Path, other: Manner) -> None:
    async with a_table(tmp_path) as table:
        first = await table.say("Greetings!", manner=SPOKEN)
        again = await table.say("Greetings!", message_id=first.message.id, manner=SPOKEN)
        assert again.message == first.message
        with pytest.raises(IdReused):
            await table.say("Greetings!", message_id=first.message.id, manner=other)


async def test_what_was_left_out_is_sent_to_no_model_until_it_is_told_again(
    tmp_path: Path,
) -> None:
    script = Script(["Noted."], ["One."], ["Two."])
    async with a_table(tmp_path, script=script) as table:
        secret = await table.said("The vault code is 7.")
        await _hide(table, secret.message.id)
        await table.said("What now?")
        assert "vault" not in str(script.asked[-1].turns)
        await _hide(table, secret.message.id, hidden=False)
        await table.said("And now?")
        assert "vault" in str(script.asked[-1].turns)


async def test_a_message_that_is_left_out_is_neither_answered_nor_continued(
    tmp_path: Path,
) -> None:
    async with a_table(tmp_path) as table:
        sent = await table.said()
        assert sent.reply is not None
        await _hide(table, sent.message.id)
        await _hide(table, sent.reply.id)
        with pytest.raises(InvalidInput, match="left out"):
            await table.again(sent.reply.id)
        with pytest.raises(InvalidInput, match="left out"):
            await table.on(sent.reply.id)


async def test_marks_are_kept_apart_and_nobody_else_sets_them(tmp_path: Path) -> None:
    async with a_table(tmp_path) as table:
        sent = await table.said()
        marked = await mark_message(
            table.store, sent.message.id, owner_id=table.owner_id, bookmark="here"
        )
        hidden = await mark_message(
            table.store, sent.message.id, owner_id=table.owner_id, hidden_from_ai=True
        )
        assert (hidden.bookmark, hidden.hidden_from_ai) == ("here", True)
        assert hidden.revision == marked.revision + 1
        with pytest.raises(NotFound):
            await mark_message(
                table.store, sent.message.id, owner_id=type(table.owner_id)(new_id()), bookmark=None
            )


def test_an_audience_has_one_form() -> None:
    one, two = RecordId("a"), RecordId("b")
    assert audience_of("characters", [two, one, two]) == audience_of("characters", [one, two])
    with pytest.raises(InvalidInput):
        audience_of("characters")
    with pytest.raises(InvalidInput):
        audience_of("everybody", [one])
