"""A message that is taken back goes with all under it, and comes back whole (U10, U11, U12).

Bookmarks and copies, too: they follow what is there.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from talekeeper.conversations.branching import delete_message, restore_message
from talekeeper.conversations.copying import CopyOutcome, copy_conversation
from talekeeper.conversations.following import Grew, Happened, follow
from talekeeper.conversations.marking import list_bookmarks, mark_message
from talekeeper.conversations.opening import change_conversation
from talekeeper.conversations.reading import read_conversation, read_path, read_tree
from talekeeper.domain.conversations import Conversation, Sent
from talekeeper.errors import GenerationRunning, IdReused, InvalidInput, NotFound
from talekeeper.ids import ConversationId, MessageId
from talekeeper.providers.scripted import Script
from tales import Table, a_table, new_id, texts


async def _delete(table: Table, message_id: str) -> Conversation:
    return await delete_message(table.store, MessageId(message_id), owner_id=table.owner_id)


async def _restore(table: Table, message_id: str) -> Conversation:
    return await restore_message(table.store, MessageId(message_id), owner_id=table.owner_id)


async def _path(table: Table, **asked: Any) -> list[str]:
    page = await read_path(
        table.store,
        table.conversation.id,
        owner_id=table.owner_id,
        leaf_id=asked.pop("leaf_id", None),
        limit=100,
        **asked,
    )
    return texts(page.items)


async def _say(table: Table, text: str, parent: Sent | None = None) -> Sent:
    """Said and not answered, under that message or at the root."""
    return await table.say(text, parent_id=parent.message.id if parent else None, wants_reply=False)


@pytest.mark.req("U12", "U9")
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_a_branch_goes_and_comes_back_with_all_under_it(
    tmp_path: Path, request: pytest.FixtureRequest, engine: str
) -> None:
    url = request.getfixturevalue("postgres_database") if engine != "sqlite" else None
    async with a_table(tmp_path, database_url=url) as table:
        root = await _say(table, "root")
        left = await _say(table, "left", root)
        deep = await _say(table, "deep", left)
        right = await _say(table, "right", root)
        whole = await table.tree()
        before = await read_conversation(
            table.store, table.conversation.id, owner_id=table.owner_id
        )
        after = await _delete(table, left.message.id)
        assert (after.message_count, after.characters) == (2, len("rootright"))
        assert after.leaf_id == right.message.id
        assert texts(await table.tree()) == ["root", "right"]
        assert await _delete(table, left.message.id) == after
        assert await _delete(table, deep.message.id) == after
        page = await read_path(
            table.store,
            table.conversation.id,
            owner_id=table.owner_id,
            leaf_id=None,
            limit=9,
        )
        assert page.items[1].sibling_ids == (right.message.id,)
        for hidden in (left, deep):
            with pytest.raises(NotFound):
                await _path(table, leaf_id=hidden.message.id)
            with pytest.raises(InvalidInput):
                await change_conversation(
                    table.store,
                    table.conversation.id,
                    owner_id=table.owner_id,
                    leaf_id=hidden.message.id,
                )
        back = await _restore(table, left.message.id)
        assert back.leaf_id == deep.message.id
        assert (back.message_count, back.characters) == (before.message_count, before.characters)
        assert texts(await table.tree()) == texts(whole)
        assert (await table.message(left.message.id)).revision == 3
        assert await _restore(table, left.message.id) == back


@pytest.mark.req("U12")
async def test_the_leaf_moves_to_the_newest_that_remains_near_the_branch_first(
    tmp_path: Path,
) -> None:
    async with a_table(tmp_path) as table:
        root = await _say(table, "root")
        near = await _say(table, "near", root)
        other = await _say(table, "other root")
        gone = await _say(table, "gone", root)
        assert (await _delete(table, gone.message.id)).leaf_id == near.message.id
        assert (await _delete(table, root.message.id)).leaf_id == other.message.id
        empty = await _delete(table, other.message.id)
        assert (empty.leaf_id, empty.message_count, empty.characters) == (None, 0, 0)
        assert await _path(table) == []
        again = await _say(table, "anew")
        assert (await table.tree())[0].id == again.message.id


@pytest.mark.req("U12")
async def test_of_two_branches_one_above_the_other_each_keeps_what_it_took(tmp_path: Path) -> None:
    async with a_table(tmp_path) as table:
        root = await _say(table, "root")
        outer = await _say(table, "outer", root)
        inner = await _say(table, "inner", outer)
        deep = await _say(table, "deep", inner)
        await _delete(table, inner.message.id)
        await _delete(table, outer.message.id)
        await _restore(table, outer.message.id)
        assert texts(await table.tree()) == ["root", "outer"]
        await _delete(table, outer.message.id)
        back = await _restore(table, deep.message.id)
        assert back.leaf_id == deep.message.id
        assert await _path(table) == ["root", "outer", "inner", "deep"]


@pytest.mark.req("FR-001", "U12")
async def test_what_is_said_under_a_deleted_message_brings_its_branch_back(tmp_path: Path) -> None:
    async with a_table(tmp_path) as table:
        first = await table.said("[[say One.]]")
        second = await table.said("[[say Two.]]")
        assert second.reply is not None
        await _delete(table, first.message.id)
        await table.say("Late", parent_id=second.reply.id, wants_reply=False)
        assert await _path(table) == ["[[say One.]]", "One.", "[[say Two.]]", "Two.", "Late"]
        await _delete(table, second.message.id)
        await table.ended((await table.again(second.reply.id)).sent)
        assert [m.role for m in await table.tree()].count("assistant") == 3
        await _delete(table, second.reply.id)
        continued = await table.on(second.reply.id)
        await table.ended(continued.sent)
        assert (await _path(table))[-1] == "Late"


@pytest.mark.req("FR-003")
async def test_a_branch_in_which_the_ai_speaks_is_not_deleted_under_it(tmp_path: Path) -> None:
    script = Script(["word ", "by ", "word"], gated=True)
    async with a_table(tmp_path, script=script) as table:
        root = await _say(table, "root")
        aside = await _say(table, "aside", root)
        sent = await table.say("Speak", parent_id=root.message.id)
        script.release()
        await script.until_said(1)
        for above in (root.message.id, sent.message.id, sent.reply.id if sent.reply else ""):
            with pytest.raises(GenerationRunning) as refusal:
                await _delete(table, above)
            assert refusal.value.generation_id == sent.generation_id
        await _delete(table, aside.message.id)
        script.release(2)
        await table.ended(sent)
        assert (await _path(table))[-1] == "word by word"


@pytest.mark.req("R10", "U12")
async def test_a_bookmark_on_a_growing_reply_costs_its_followers_no_word(tmp_path: Path) -> None:
    script = Script(["It ", "grows ", "on ", "and ", "on"], gated=True)
    async with a_table(tmp_path, script=script) as table:
        stream = follow(
            table.store,
            table.hub,
            owner_id=table.owner_id,
            follows={table.conversation.id: None},
        )
        await anext(stream)
        sent = await table.say("Grow")
        assert sent.reply is not None
        script.release(2)
        await script.until_said(2)
        marked = await mark_message(
            table.store, sent.reply.id, bookmark="here", owner_id=table.owner_id
        )
        assert marked.bookmark == "here"
        script.release(3)
        await table.ended(sent)
        known, final = "", None
        async with asyncio.timeout(10):
            async for told in stream:
                for one in told:
                    if isinstance(one, Grew):
                        starts_anew = one.is_snapshot and one.delta.offset == 0
                        assert starts_anew or one.delta.offset == len(known)
                        known = known[: one.delta.offset] + one.delta.text
                    elif (
                        isinstance(one, Happened)
                        and one.message is not None
                        and one.message.id == sent.reply.id
                    ):
                        known, final = one.message.content, one.message
                if final is not None and final.status == "complete":
                    break
        await stream.aclose()
        assert final is not None
        assert (known, final.bookmark) == ("It grows on and on", "here")


async def test_bookmarks_are_listed_by_place_and_hidden_with_their_branch(tmp_path: Path) -> None:
    async with a_table(tmp_path) as table:
        root = await _say(table, "root")
        deep = await _say(table, "deep", root)
        for each, note in ((deep, ""), (root, "Begin here")):
            await mark_message(table.store, each.message.id, bookmark=note, owner_id=table.owner_id)
        again = await mark_message(
            table.store, root.message.id, bookmark="Begin here", owner_id=table.owner_id
        )
        assert again.revision == 2
        notes = await _bookmarks(table)
        assert notes == [("root", "Begin here"), ("deep", "")]
        await _delete(table, deep.message.id)
        assert await _bookmarks(table) == [("root", "Begin here")]
        with pytest.raises(NotFound, match="Restore it"):
            await mark_message(table.store, deep.message.id, bookmark="x", owner_id=table.owner_id)
        await _restore(table, deep.message.id)
        await mark_message(table.store, root.message.id, bookmark=None, owner_id=table.owner_id)
        assert await _bookmarks(table) == [("deep", "")]


async def _bookmarks(table: Table) -> list[tuple[str, str | None]]:
    found = await list_bookmarks(table.store, table.conversation.id, owner_id=table.owner_id)
    return [(each.content, each.bookmark) for each in found]


async def _copy(table: Table, new: str, leaf_id: str | None = None) -> CopyOutcome:
    return await copy_conversation(
        table.store,
        table.conversation.id,
        ConversationId(new),
        owner_id=table.owner_id,
        leaf_id=None if leaf_id is None else MessageId(leaf_id),
    )


@pytest.mark.req("U11")
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_a_copy_holds_what_was_said_and_asking_again_makes_no_second(
    tmp_path: Path, request: pytest.FixtureRequest, engine: str
) -> None:
    url = request.getfixturevalue("postgres_database") if engine != "sqlite" else None
    async with a_table(tmp_path, database_url=url) as table:
        first = await table.said("[[say One.]]")
        assert first.reply is not None
        failed = await table.said("[[rate-limit 3]]")
        aside = await table.say("Aside", parent_id=first.reply.id, wants_reply=False)
        gone = await table.say("Gone", parent_id=first.reply.id, wants_reply=False)
        await mark_message(table.store, first.reply.id, bookmark="", owner_id=table.owner_id)
        await _delete(table, gone.message.id)
        new = new_id()
        outcomes = await asyncio.gather(*(_copy(table, new) for _ in range(3)))
        assert sorted(each.is_repeated for each in outcomes) == [False, True, True]
        copied = await _tree(table, new)
        originals = await table.tree()
        said = [
            (m.role, m.content, m.status, m.created_at, m.bookmark, m.error, m.model)
            for m in originals
        ]
        assert [
            (m.role, m.content, m.status, m.created_at, m.bookmark, m.error, m.model)
            for m in copied
        ] == said
        assert {m.id for m in copied}.isdisjoint({m.id for m in originals})
        copy = outcomes[0].conversation
        assert copy.message_count == len(originals)
        at = [m.id for m in originals].index(aside.message.id)
        original = await read_conversation(
            table.store, table.conversation.id, owner_id=table.owner_id
        )
        leaf = [m.id for m in originals].index(original.leaf_id or MessageId(""))
        assert copy.leaf_id == copied[leaf].id
        assert copied[at].parent_id == copied[1].id

        branch = (await _copy(table, new_id(), failed.message.id)).conversation
        assert texts(await _tree(table, branch.id)) == ["[[say One.]]", "One.", "[[rate-limit 3]]"]
        # What is done to the copy is not done to what it was made of.
        await table.say("Elsewhere", conversation_id=branch.id, wants_reply=False)
        assert await table.tree() == originals
        with pytest.raises(IdReused):
            await _copy(table, table.conversation.id)
        with pytest.raises(NotFound):
            await _copy(table, new_id(), gone.message.id)


async def _tree(table: Table, conversation_id: str) -> Any:
    page = await read_tree(
        table.store,
        ConversationId(conversation_id),
        owner_id=table.owner_id,
        after=0,
        limit=1000,
    )
    return page.items


@pytest.mark.req("FR-003")
async def test_a_reply_that_grows_is_not_copied_but_what_stands_above_it_is(
    tmp_path: Path,
) -> None:
    script = Script(["slowly", " on"], gated=True)
    async with a_table(tmp_path, script=script) as table:
        sent = await table.say("Speak")
        script.release()
        await script.until_said(1)
        with pytest.raises(GenerationRunning):
            await _copy(table, new_id())
        branch = (await _copy(table, new_id(), sent.message.id)).conversation
        assert branch.message_count == 1
        script.release()
        await table.ended(sent)
        assert (await _copy(table, new_id())).conversation.message_count == 2


async def test_an_empty_conversation_is_copied_once_as_well(tmp_path: Path) -> None:
    async with a_table(tmp_path) as table:
        new = new_id()
        first = await _copy(table, new)
        assert not first.is_repeated
        assert (await _copy(table, new)).is_repeated
        assert first.conversation.leaf_id is None
