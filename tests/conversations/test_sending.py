"""Sending: on disk before anything answers, exactly once for good, in a tree (R6, R9, R11, C-S5)."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from talekeeper.conversations.opening import change_conversation
from talekeeper.conversations.reading import read_path
from talekeeper.errors import (
    GenerationRunning,
    IdReused,
    InvalidInput,
    NotFound,
    ProviderFailed,
    UnknownParent,
)
from talekeeper.ids import AccountId, GenerationId, MessageId
from talekeeper.providers.scripted import Fail, Script, Scripted
from tales import Table, a_table, an_account, new_id, texts


@pytest.fixture(params=["sqlite", "postgresql"])
async def table(request: Any, tmp_path: Path) -> AsyncGenerator[Table]:
    url = request.getfixturevalue("postgres_database") if request.param != "sqlite" else None
    async with a_table(tmp_path, database_url=url) as table:
        yield table


@pytest.mark.req("FR-001", "C-S5")
async def test_a_send_stores_the_message_the_placeholder_and_the_generation_at_once(
    table: Table,
) -> None:
    sent = await table.say("Who rules Saltmarsh?")
    assert sent.reply is not None
    assert (sent.reply.status, sent.reply.role) == ("pending", "assistant")
    assert sent.reply.parent_id == sent.message.id
    assert sent.generation_id == sent.reply.generation_id
    assert [m.id for m in await table.tree()] == [sent.message.id, sent.reply.id]
    await table.ended(sent)
    assert (await table.message(sent.reply.id)).status == "complete"


@pytest.mark.req("FR-007")
async def test_a_finished_reply_has_its_text_and_its_token_counts(table: Table) -> None:
    sent = await table.said("[[say Well met.]]")
    assert sent.reply is not None
    reply = await table.message(sent.reply.id)
    assert reply.content == "Well met."
    assert reply.input_tokens
    assert reply.output_tokens
    assert reply.revision > sent.reply.revision


@pytest.mark.req("R6", "U8", "FR-006")
async def test_the_same_send_ten_times_at_once_is_one_message_and_one_reply(table: Table) -> None:
    message_id = new_id()
    answers = await asyncio.gather(*(table.say("Hail", message_id=message_id) for _ in range(10)))
    assert len({a.message.id for a in answers}) == 1
    assert len({a.reply.id for a in answers if a.reply}) == 1
    await table.ended(answers[0])
    again = await table.say("Hail", message_id=message_id)
    assert again.reply is not None
    assert again.reply.status == "complete"
    assert len(await table.tree()) == 2


@pytest.mark.req("R6")
async def test_an_id_with_another_text_or_elsewhere_is_refused(table: Table) -> None:
    sent = await table.said()
    with pytest.raises(IdReused):
        await table.say("Something else", message_id=sent.message.id)
    other = await table.another_conversation()
    with pytest.raises(IdReused):
        await table.say(sent.message.content, message_id=sent.message.id, conversation_id=other.id)
    assert len(await table.tree()) == 2


@pytest.mark.req("R9", "U6", "C-S11")
async def test_two_devices_on_one_leaf_make_siblings_and_the_second_is_told(table: Table) -> None:
    first = await table.said("We open the door")
    assert first.reply is not None
    parent = first.reply.id
    one = await table.say("I listen", parent_id=parent)
    await table.ended(one)
    two = await table.say("I knock", parent_id=parent)
    await table.ended(two)
    assert (one.branched, two.branched) == (False, True)
    assert one.message.parent_id == two.message.parent_id == parent
    path = await read_path(
        table.store,
        table.conversation.id,
        owner_id=table.owner_id,
        leaf_id=None,
        before=None,
        limit=50,
    )
    assert [m.id for m in path.items][2] == two.message.id
    assert path.items[2].sibling_ids == (one.message.id, two.message.id)


async def test_null_as_parent_makes_a_second_root(table: Table) -> None:
    first = await table.said("Once")
    second = await table.say("Twice", parent_id=None)
    await table.ended(second)
    assert second.message.parent_id is None
    assert (first.branched, second.branched) == (False, True)


@pytest.mark.req("C-S10")
async def test_an_unknown_parent_is_an_error_and_stores_nothing(table: Table) -> None:
    with pytest.raises(UnknownParent):
        await table.say("Hello?", parent_id=new_id())
    other = await table.another_conversation()
    there = await table.say("Elsewhere", conversation_id=other.id)
    await table.ended(there)
    with pytest.raises(UnknownParent):
        await table.say("Hello?", parent_id=there.message.id)
    assert await table.tree() == ()


@pytest.mark.req("R11", "C-S2")
async def test_what_is_said_while_the_ai_speaks_is_stored_and_told_so(tmp_path: Path) -> None:
    script = Script(["one ", "two "], gated=True)
    async with a_table(tmp_path, script=script) as table:
        first = await table.say("Tell me a long story")
        script.release(1)
        second = await table.say("And make it sad")
        assert second.reply is None
        assert second.generation_id == first.generation_id
        with pytest.raises(GenerationRunning) as refused:
            await table.again(second.message.id)
        assert refused.value.generation_id == first.generation_id
        script.release(1_000)
        await table.ended(first)
        answered = await table.again(second.message.id)
        await table.ended(answered.sent)
        statuses = [(m.role, m.status) for m in await table.tree()]
        assert statuses == [
            ("user", "complete"),
            ("assistant", "complete"),
            ("user", "complete"),
            ("assistant", "complete"),
        ]


@pytest.mark.req("C-S6", "U10")
async def test_regenerate_makes_a_sibling_and_keeps_the_first(table: Table) -> None:
    sent = await table.said("[[say First.]]")
    assert sent.reply is not None
    reply_id = new_id()
    again = await table.again(sent.reply.id, reply_id=reply_id)
    await table.ended(again.sent)
    assert again.sent.reply is not None
    assert again.sent.reply.id == reply_id
    assert again.sent.branched
    repeated = await table.again(sent.reply.id, reply_id=reply_id)
    assert repeated.is_repeated
    assert len(await table.tree()) == 3
    assert (await table.message(sent.reply.id)).content == "First."


@pytest.mark.req("U10", "R13")
async def test_a_reply_that_fails_keeps_the_message_and_the_elder_sibling(table: Table) -> None:
    sent = await table.said("[[say Good.]]")
    assert sent.reply is not None
    table.provider.append(Scripted(Script([Fail(ProviderFailed("It is down. Try again."))])))
    again = await table.again(sent.reply.id)
    await table.ended(again.sent)
    assert again.sent.reply is not None
    failed = await table.message(again.sent.reply.id)
    assert failed.status == "failed"
    assert failed.error is not None
    assert (failed.error.code, failed.error.retryable) == ("provider_failed", True)
    assert (await table.message(sent.reply.id)).content == "Good."
    table.provider.pop()
    retried = await table.again(again.sent.reply.id)
    await table.ended(retried.sent)


@pytest.mark.req("U3")
async def test_stopping_keeps_what_was_said_and_continuing_goes_on_from_there(
    tmp_path: Path,
) -> None:
    script = Script(["The ", "door ", "is ", "ajar."], ["is ", "ajar."], gated=True)
    async with a_table(tmp_path, script=script) as table:
        sent = await table.say("What do I see?")
        assert sent.reply is not None
        script.release(2)
        await script.until_said(2)
        reply = await table.message(sent.reply.id)
        found = await table.store.read(lambda tx: _generation(tx, sent.generation_id))
        await table.generations.stop(found)
        reply = await table.message(sent.reply.id)
        assert (reply.status, reply.content) == ("stopped", "The door ")
        generation_id = new_id()
        more = await table.on(reply.id, generation_id=generation_id)
        script.release(10)
        await table.ended(more.sent)
        whole = await table.message(reply.id)
        assert (whole.status, whole.content) == ("complete", "The door is ajar.")
        again = await table.on(reply.id, generation_id=generation_id)
        assert again.is_repeated
        assert len(await table.tree()) == 2


def _generation(tx: Any, generation_id: GenerationId | None) -> Any:
    from talekeeper.store.generations import find_generation

    assert generation_id is not None
    found = find_generation(tx, generation_id)
    assert found is not None
    return found.generation


async def test_only_a_reply_can_be_continued(table: Table) -> None:
    sent = await table.said()
    with pytest.raises(InvalidInput):
        await table.on(sent.message.id)


@pytest.mark.req("C-S5", "U24")
async def test_a_note_is_stored_without_asking_the_model(table: Table) -> None:
    sent = await table.say("Remember: the bridge is out", wants_reply=False)
    assert (sent.reply, sent.generation_id) == (None, None)
    answered = await table.again(sent.message.id)
    await table.ended(answered.sent)
    assert answered.sent.message.id == sent.message.id


@pytest.mark.req("C-S4", "C-S6", "U11")
async def test_switching_branches_goes_to_the_newest_leaf_of_the_branch(table: Table) -> None:
    first = await table.said("A")
    await table.said("B")
    assert first.reply is not None
    other = await table.again(first.reply.id)
    await table.ended(other.sent)
    assert other.sent.reply is not None
    changed = await change_conversation(
        table.store, table.conversation.id, owner_id=table.owner_id, leaf_id=first.reply.id
    )
    path = await read_path(
        table.store,
        table.conversation.id,
        owner_id=table.owner_id,
        leaf_id=None,
        before=None,
        limit=50,
    )
    assert changed.leaf_id == path.items[-1].id
    assert texts(path.items)[0] == "A"
    assert texts(path.items)[2] == "B"
    with pytest.raises(InvalidInput):
        await change_conversation(
            table.store,
            table.conversation.id,
            owner_id=table.owner_id,
            leaf_id=MessageId(new_id()),
        )


@pytest.mark.req("R21", "C-S9", "NFR-012")
async def test_what_is_anothers_is_not_found(table: Table) -> None:
    sent = await table.said()
    stranger = AccountId((await an_account(table.store, "Eve")).id)
    assert sent.reply is not None
    with pytest.raises(NotFound):
        await table.sender.send_message(
            table.conversation.id, MessageId(new_id()), "Hi", owner_id=stranger, parent_id=None
        )
    with pytest.raises(NotFound):
        await table.sender.regenerate(sent.reply.id, MessageId(new_id()), owner_id=stranger)
    with pytest.raises(NotFound):
        await table.sender.continue_reply(sent.reply.id, GenerationId(new_id()), owner_id=stranger)
    with pytest.raises(NotFound):
        await change_conversation(
            table.store, table.conversation.id, owner_id=stranger, title="Mine"
        )
