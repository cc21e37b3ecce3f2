"""Whatever several clients do to a tree at once, it stays one, and every page of it is the walk by hand.

Clients send, edit, regenerate, switch branches, take messages back and restore them, bookmark, archive,
trash, restore, copy, clear and end, in any order and at the same time. After it (C-S4, NFR-004, NFR-009):

- `verify` finds nothing;
- every page of every path, before a message and after one, equals a walk made here from the listing
  of the tree, and so do the siblings;
- who followed from the beginning knows exactly what is fetched afresh.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import engines
from talekeeper.clock import Millis
from talekeeper.conversations.archiving import archive_older
from talekeeper.conversations.branching import delete_message, restore_message
from talekeeper.conversations.clearing import clear_conversation
from talekeeper.conversations.copying import copy_conversation
from talekeeper.conversations.ending import end_conversation
from talekeeper.conversations.following import Gone, Happened, follow
from talekeeper.conversations.marking import list_bookmarks, mark_message
from talekeeper.conversations.opening import change_conversation, list_conversations
from talekeeper.conversations.reading import read_conversation, read_path, read_tree
from talekeeper.conversations.trashing import (
    delete_conversation,
    delete_for_good,
    restore_conversation,
)
from talekeeper.domain.conversations import Conversation, ConversationState, Message, PathMessage
from talekeeper.errors import (
    GenerationRunning,
    IdReused,
    InvalidInput,
    NotFound,
    NotInTrash,
    StoreBusy,
)
from talekeeper.ids import ConversationId, MessageId
from talekeeper.store.verifying import verify
from tales import Table, a_table, new_id, until

REFUSALS = (NotFound, InvalidInput, IdReused, GenerationRunning, NotInTrash, StoreBusy)
"""What a client may hear when another was first."""
ALL_STATES: tuple[ConversationState, ...] = ("active", "archived", "trash")

Step = tuple[str, float, float, bool]


class Clients:
    """What the clients know together: ids of conversations and messages, living or not."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.conversations: list[ConversationId] = [table.conversation.id]
        self.messages: list[tuple[ConversationId, MessageId]] = []

    def conversation(self, choice: float) -> ConversationId:
        # The first one is used most: trees are to grow.
        at = int(choice * (len(self.conversations) + 3)) - 3
        return self.conversations[max(0, at)]

    def message(self, choice: float) -> tuple[ConversationId, MessageId]:
        if not self.messages:
            return self.conversations[0], MessageId(new_id())
        return self.messages[int(choice * len(self.messages))]

    def knows(self, conversation_id: ConversationId) -> None:
        if conversation_id not in self.conversations:
            self.conversations.append(conversation_id)

    async def do(self, step: Step) -> None:
        with suppress(*REFUSALS):
            await getattr(self, step[0])(*step[1:])

    async def send(self, where: float, _: float, reply: bool) -> None:
        conversation_id = self.conversation(where)
        sent = await self.table.say("Go on…", conversation_id=conversation_id, wants_reply=reply)
        self._said(conversation_id, sent.message, sent.reply)

    async def edit(self, which: float, _: float, reply: bool) -> None:
        """Beside or under any message, deleted ones as well."""
        conversation_id, parent = self.message(which)
        sent = await self.table.say(
            "[[say Another way.]]",
            parent_id=parent,
            conversation_id=conversation_id,
            wants_reply=reply,
        )
        self._said(conversation_id, sent.message, sent.reply)

    async def begin_anew(self, where: float, _: float, reply: bool) -> None:
        conversation_id = self.conversation(where)
        sent = await self.table.say(
            "Once upon a time", parent_id=None, conversation_id=conversation_id, wants_reply=reply
        )
        self._said(conversation_id, sent.message, sent.reply)

    def _said(self, conversation_id: ConversationId, *messages: Message | None) -> None:
        self.messages += [(conversation_id, each.id) for each in messages if each]

    async def regenerate(self, which: float, _: float, __: bool) -> None:
        conversation_id, message_id = self.message(which)
        outcome = await self.table.again(message_id)
        self._said(conversation_id, outcome.sent.reply)

    async def go_on(self, which: float, _: float, __: bool) -> None:
        await self.table.on(self.message(which)[1])

    async def switch(self, which: float, _: float, __: bool) -> None:
        conversation_id, message_id = self.message(which)
        await self._change(conversation_id, leaf_id=message_id)

    async def take_back(self, which: float, _: float, __: bool) -> None:
        await delete_message(self.store, self.message(which)[1], owner_id=self.owner)

    async def give_back(self, which: float, _: float, __: bool) -> None:
        await restore_message(self.store, self.message(which)[1], owner_id=self.owner)

    async def bookmark(self, which: float, note: float, marks: bool) -> None:
        text = ("" if note < 0.3 else f"note {note:.2f}") if marks else None
        await mark_message(self.store, self.message(which)[1], bookmark=text, owner_id=self.owner)

    async def archive(self, where: float, _: float, is_archived: bool) -> None:
        await self._change(self.conversation(where), archived=is_archived)

    async def pin(self, where: float, _: float, is_pinned: bool) -> None:
        await self._change(self.conversation(where), pinned=is_pinned)

    async def archive_all(self, _: float, __: float, ___: bool) -> None:
        await archive_older(self.store, owner_id=self.owner, before=Millis(1 << 50))

    async def trash(self, where: float, _: float, __: bool) -> None:
        await delete_conversation(
            self.store, self.table.generations, self.conversation(where), owner_id=self.owner
        )

    async def restore(self, where: float, other: float, replaces: bool) -> None:
        await restore_conversation(
            self.store,
            self.table.generations,
            self.conversation(where),
            owner_id=self.owner,
            replaces=self.conversation(other) if replaces else None,
        )

    async def remove(self, where: float, sure: float, _: bool) -> None:
        conversation_id = self.conversation(where)
        if sure < 0.5 and conversation_id != self.conversations[0]:
            await delete_for_good(self.store, conversation_id, owner_id=self.owner)

    async def copy(self, which: float, where: float, is_branch: bool) -> None:
        conversation_id, leaf = self.message(which)
        outcome = await copy_conversation(
            self.store,
            conversation_id if is_branch else self.conversation(where),
            ConversationId(new_id()),
            owner_id=self.owner,
            leaf_id=leaf if is_branch else None,
        )
        self.knows(outcome.conversation.id)

    async def clear(self, where: float, _: float, __: bool) -> None:
        outcome = await clear_conversation(
            self.store,
            self.table.generations,
            self.conversation(where),
            ConversationId(new_id()),
            owner_id=self.owner,
        )
        self.knows(outcome.cleared.conversation.id)

    async def end(self, where: float, _: float, __: bool) -> None:
        outcome = await end_conversation(
            self.store, self.conversation(where), ConversationId(new_id()), owner_id=self.owner
        )
        self.knows(outcome.ended.conversation.id)

    async def _change(self, conversation_id: ConversationId, **changes: Any) -> None:
        await change_conversation(self.store, conversation_id, owner_id=self.owner, **changes)

    @property
    def store(self) -> Any:
        return self.table.store

    @property
    def owner(self) -> Any:
        return self.table.owner_id


class Follower:
    """What somebody knows who has heard every event, by the rules of the wire and nothing else."""

    def __init__(self) -> None:
        self.conversations: dict[str, Conversation] = {}
        self.gone: set[str] = set()
        self.messages: dict[str, Message] = {}

    async def listen(self, table: Table, is_listening: asyncio.Event) -> None:
        follows = {table.conversation.id: None}
        bursts = follow(
            table.store, table.hub, owner_id=table.owner_id, follows=follows, with_account=True
        )
        async for told in bursts:
            is_listening.set()
            for one in told:
                match one:
                    case Happened(conversation=conversation, message=message):
                        known = self.conversations.get(conversation.id)
                        if known is None or known.seq < conversation.seq:
                            self.conversations[conversation.id] = conversation
                        if message is not None:
                            old = self.messages.get(message.id)
                            if old is None or old.revision <= message.revision:
                                self.messages[message.id] = message
                    case Gone(conversation_id=conversation_id):
                        self.conversations.pop(conversation_id, None)
                        self.gone.add(conversation_id)
                    case _:
                        pass

    def tree(self) -> list[Message]:
        """What is there: nothing that was deleted, and nothing under it."""
        there: dict[str, Message] = {}
        for message in sorted(self.messages.values(), key=lambda each: each.seq):
            is_under = message.parent_id is None or message.parent_id in there
            if is_under and message.deleted_at is None:
                there[message.id] = message
        return list(there.values())


async def _all_pages(read: Callable[[Any], Awaitable[Any]], first: Any) -> list[list[PathMessage]]:
    pages, at = [], first
    while True:
        page = await read(at)
        pages.append(list(page.items))
        if page.next is None:
            return pages
        at = page.next


async def _check_pages(table: Table, conversation: Conversation, limits: Sequence[int]) -> None:
    owner_id, store = table.owner_id, table.store
    tree = (await read_tree(store, conversation.id, owner_id=owner_id, after=0, limit=10_000)).items
    by_id = {message.id: message for message in tree}
    children: dict[str | None, list[str]] = {}
    for message in tree:
        children.setdefault(message.parent_id, []).append(message.id)
    assert conversation.message_count == len(tree)
    assert conversation.characters == sum(len(message.content) for message in tree)
    assert (conversation.leaf_id is None) == (not tree)
    assert conversation.leaf_id is None or conversation.leaf_id not in children
    marked = await list_bookmarks(store, conversation.id, owner_id=owner_id)
    assert list(marked) == [message for message in tree if message.bookmark is not None]

    for number, leaf in enumerate(tree):
        walk: list[Message] = []
        at: MessageId | None = leaf.id
        while at is not None:
            walk.append(by_id[at])
            at = by_id[at].parent_id
        walk.reverse()
        limit = limits[number % len(limits)]
        leaf_id = None if leaf.id == conversation.leaf_id else leaf.id

        async def before(at: Any, leaf_id: Any = leaf_id, limit: int = limit) -> Any:
            return await read_path(
                store,
                conversation.id,
                owner_id=owner_id,
                leaf_id=None if at else leaf_id,
                before=at,
                limit=limit,
            )

        async def after(at: Any, leaf_id: Any = leaf_id, limit: int = limit) -> Any:
            return await read_path(
                store, conversation.id, owner_id=owner_id, leaf_id=leaf_id, after=at, limit=limit
            )

        older = await _all_pages(before, None)
        assert all(len(page) == limit for page in older[:-1])
        found = [message for page in reversed(older) for message in page]
        assert [message.id for message in found] == [message.id for message in walk]
        for message, expected in zip(found, walk, strict=True):
            assert _plain(message) == _plain(expected)
            assert list(message.sibling_ids) == children[message.parent_id]
        begin = walk[number % len(walk)]
        younger = await _all_pages(after, begin.id)
        assert all(len(page) == limit for page in younger[:-1])
        rest = [message for page in younger for message in page]
        assert rest == found[walk.index(begin) + 1 :]
        beside = next((m for m in tree if m not in walk), None)
        if beside is not None:
            with pytest.raises(NotFound):
                await after(beside.id)


def _plain(message: Message) -> tuple[Any, ...]:
    return (
        message.id,
        message.seq,
        message.parent_id,
        message.content,
        message.status,
        message.revision,
        message.bookmark,
        message.deleted_at,
    )


async def _check_lists(table: Table, clients: Clients) -> dict[str, Conversation]:
    """Every conversation stands in the one list that it says, once; they are given back by id."""
    found: dict[str, Conversation] = {}
    for state in ALL_STATES:
        cursor = None
        listed: list[Conversation] = []
        while True:
            page = await list_conversations(
                table.store, owner_id=table.owner_id, state=state, cursor=cursor, limit=2
            )
            listed += page.items
            cursor = page.next
            if cursor is None:
                break
        for each in listed:
            is_deleted, is_archived = each.deleted_at is not None, each.archived_at is not None
            assert state == ("trash" if is_deleted else "archived" if is_archived else "active")
            assert each.id not in found
            found[each.id] = each
        if state == "active":
            pins = [each.pinned for each in listed]
            assert pins == sorted(pins, reverse=True)
    assert found.keys() <= set(clients.conversations)
    assert sum(each.is_current for each in found.values()) <= 1
    return found


async def _play(
    tmp_path: Path,
    servers: engines.Postgres | None,
    rounds: list[list[Step]],
    limits: list[int],
) -> None:
    # A database of its own for every example: what one breaks must not fail the next.
    url = servers.fresh_database() if servers else None
    try:
        await _played(tmp_path / new_id(), url, rounds, limits)
    finally:
        if servers and url:
            servers.drop(url)


async def _played(
    folder: Path, url: str | None, rounds: list[list[Step]], limits: list[int]
) -> None:
    async with a_table(folder, database_url=url) as table:
        clients, follower = Clients(table), Follower()
        is_listening = asyncio.Event()
        listening = asyncio.create_task(follower.listen(table, is_listening))
        await is_listening.wait()
        try:
            for steps in rounds:
                await asyncio.gather(*(clients.do(step) for step in steps))

            async def is_quiet() -> bool:
                return table.generations.running == 0

            await until(is_quiet, seconds=20)
            assert await verify(table.store) == []
            found = await _check_lists(table, clients)
            for conversation in found.values():
                fresh = await read_conversation(
                    table.store, conversation.id, owner_id=table.owner_id
                )
                assert fresh == conversation
                await _check_pages(table, conversation, limits)

            first = found[table.conversation.id]

            async def has_heard() -> bool:
                return listening.done() or all(
                    follower.conversations.get(each.id, table.conversation).seq == each.seq
                    for each in found.values()
                    if each.seq > 1 or each.id != first.id
                )

            await until(has_heard, seconds=10)
            if listening.done():
                listening.result()
            told = {key: each for key, each in follower.conversations.items() if key in found}
            assert told == {
                key: each
                for key, each in found.items()
                if key != first.id or key in follower.conversations
            }
            assert follower.conversations.keys() - found.keys() == set()
            tree = await table.tree()
            assert [_plain(each) for each in follower.tree()] == [_plain(each) for each in tree]
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


_TREE_STEPS = (
    "send",
    "edit",
    "begin_anew",
    "regenerate",
    "go_on",
    "switch",
    "take_back",
    "give_back",
)
_ALL_STEPS = (
    *_TREE_STEPS,
    *("bookmark", "archive", "pin", "archive_all", "trash", "restore"),
    *("remove", "copy", "clear", "end"),
)
_choice = st.floats(0, 1, exclude_max=True)
_steps = st.tuples(
    # Trees are to be large enough for what is done to them.
    st.one_of(st.just("send"), st.sampled_from(_TREE_STEPS), st.sampled_from(_ALL_STEPS)),
    _choice,
    _choice,
    st.booleans(),
)
_rounds = st.lists(st.lists(_steps, min_size=1, max_size=4), min_size=2, max_size=14)
_limits = st.lists(st.integers(1, 9), min_size=1, max_size=3)
_checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


def _servers(engine: str, request: pytest.FixtureRequest) -> engines.Postgres | None:
    return request.getfixturevalue("postgres") if engine == "postgresql" else None


@pytest.mark.req("C-S4", "NFR-004", "NFR-009", "U15")
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
@settings(max_examples=10, deadline=None, suppress_health_check=_checks)
@given(rounds=_rounds, limits=_limits)
async def test_a_tree_that_many_clients_change_at_once_is_walked_as_by_hand(
    tmp_path: Path,
    request: pytest.FixtureRequest,
    engine: str,
    rounds: list[list[Step]],
    limits: list[int],
) -> None:
    await _play(tmp_path, _servers(engine, request), rounds, limits)


@pytest.mark.long
@pytest.mark.timeout(1_800)
@pytest.mark.req("C-S4", "NFR-004", "NFR-009")
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
@settings(max_examples=100, deadline=None, suppress_health_check=_checks)
@given(rounds=_rounds, limits=_limits)
async def test_a_tree_is_walked_as_by_hand_whatever_was_done_to_it(
    tmp_path: Path,
    request: pytest.FixtureRequest,
    engine: str,
    rounds: list[list[Step]],
    limits: list[int],
) -> None:
    await _play(tmp_path, _servers(engine, request), rounds, limits)
