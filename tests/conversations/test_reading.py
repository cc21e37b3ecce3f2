"""Pages of a path and of the tree equal the walk that one would do by hand (C-S4, NFR-008)."""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from talekeeper.conversations.opening import (
    change_conversation,
    current,
    list_conversations,
    open_conversation,
)
from talekeeper.conversations.reading import read_conversation, read_path, read_tree
from talekeeper.domain.connections import server_connection_id
from talekeeper.domain.conversations import Message
from talekeeper.errors import InvalidInput, NotFound
from talekeeper.ids import MessageId
from tales import Table, a_table, new_id

SCRIPTED = server_connection_id("scripted")


async def _pages(table: Table, leaf_id: MessageId, limit: int) -> list[Any]:
    found: list[Any] = []
    before = None
    while True:
        page = await read_path(
            table.store,
            table.conversation.id,
            owner_id=table.owner_id,
            leaf_id=None if before else leaf_id,
            before=before,
            limit=limit,
        )
        found = [*page.items, *found]
        if page.next is None:
            return found
        before = MessageId(page.next)


def _walk(messages: Mapping[MessageId, Message], leaf_id: MessageId) -> list[str]:
    path: list[str] = []
    at: MessageId | None = leaf_id
    while at is not None:
        path.append(at)
        at = messages[at].parent_id
    return path[::-1]


@pytest.mark.req("C-S4", "U9", "U15")
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    parents=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=40),
    limit=st.integers(1, 9),
)
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_every_page_of_every_branch_equals_the_walk_by_hand(
    tmp_path: Path, request: Any, engine: str, parents: list[float], limit: int
) -> None:
    url = request.getfixturevalue("postgres_database") if engine != "sqlite" else None
    async with a_table(tmp_path, database_url=url) as table:
        ids: list[str | None] = [None]
        for choice in parents:
            parent = ids[int(choice * len(ids))]
            sent = await table.say("word", parent_id=parent, wants_reply=False)
            ids.append(sent.message.id)
        messages = {m.id: m for m in await table.tree()}
        assert len(messages) == len(parents)
        children: dict[str | None, list[str]] = {}
        for message in sorted(messages.values(), key=lambda m: m.seq):
            children.setdefault(message.parent_id, []).append(message.id)
        for leaf in random.Random(0).sample([*messages], min(5, len(messages))):
            path = await _pages(table, leaf, limit)
            assert [m.id for m in path] == _walk(messages, leaf)
            for message in path:
                assert list(message.sibling_ids) == children[message.parent_id]


async def test_the_tree_comes_in_pages_by_seq(tmp_path: Path) -> None:
    async with a_table(tmp_path) as table:
        for _ in range(7):
            await table.said()
        after, seen = 0, []
        while True:
            page = await read_tree(
                table.store,
                table.conversation.id,
                owner_id=table.owner_id,
                after=after,
                limit=3,
            )
            seen += [m.seq for m in page.items]
            if page.next is None:
                break
            after = page.next
        assert seen == sorted(seen)
        assert len(seen) == 14


@pytest.mark.req("R10")
async def test_conversations_are_listed_by_activity_and_never_by_the_clock(tmp_path: Path) -> None:
    async with a_table(tmp_path) as table:
        ids = [table.conversation.id]
        for _ in range(4):
            ids.append((await table.another_conversation()).id)
        await table.say("Me again", conversation_id=ids[1], wants_reply=False)
        expected = [ids[1], ids[4], ids[3], ids[2], ids[0]]
        seen, cursor = [], None
        while True:
            page = await list_conversations(
                table.store, owner_id=table.owner_id, cursor=cursor, limit=2
            )
            seen += [c.id for c in page.items]
            if (cursor := page.next) is None:
                break
        assert seen == expected
        for cursor in ("x", "1", "-1.a", "9" * 30 + ".a"):
            with pytest.raises(InvalidInput):
                await list_conversations(
                    table.store, owner_id=table.owner_id, cursor=cursor, limit=2
                )


@pytest.mark.req("C-003")
async def test_there_is_one_current_conversation_and_opening_others_does_not_change_it(
    tmp_path: Path,
) -> None:
    async with a_table(tmp_path) as table:
        first, is_opened = await current(table.store, owner_id=table.owner_id)
        await open_conversation(table.store, owner_id=table.owner_id)
        again, is_opened_again = await current(table.store, owner_id=table.owner_id)
        assert (is_opened, is_opened_again) == (True, False)
        assert first.id == again.id
        assert first.is_current


async def test_a_change_that_changes_nothing_makes_no_event(tmp_path: Path) -> None:
    async with a_table(tmp_path) as table:
        one = await change_conversation(
            table.store, table.conversation.id, owner_id=table.owner_id, title="The Keep"
        )
        two = await change_conversation(
            table.store, table.conversation.id, owner_id=table.owner_id, title="The Keep"
        )
        assert one.seq == two.seq == table.conversation.seq + 1


async def test_an_unknown_leaf_is_an_error(tmp_path: Path) -> None:
    async with a_table(tmp_path) as table:
        with pytest.raises(NotFound):
            await read_path(
                table.store,
                table.conversation.id,
                owner_id=table.owner_id,
                leaf_id=MessageId(new_id()),
                before=None,
                limit=5,
            )
        found = await read_conversation(table.store, table.conversation.id, owner_id=table.owner_id)
        assert found.leaf_id is None


async def test_a_model_without_its_connection_is_refused(tmp_path: Path) -> None:
    async with a_table(tmp_path) as table:
        with pytest.raises(InvalidInput, match="connection"):
            await open_conversation(table.store, owner_id=table.owner_id, model="m")
        with pytest.raises(InvalidInput, match="connection"):
            await change_conversation(
                table.store, table.conversation.id, owner_id=table.owner_id, model="m"
            )
        chosen = await change_conversation(
            table.store,
            table.conversation.id,
            owner_id=table.owner_id,
            connection_id=SCRIPTED,
            model="m",
        )
        assert (chosen.connection_id, chosen.model) == (SCRIPTED, "m")
