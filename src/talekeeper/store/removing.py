"""Removing for good: a conversation that was removed goes in steps, its youngest rows first.

One commit hides it from every read; its rows follow in small transactions, so that other writers
wait for none of them. If the process dies in between, the next start removes the rest.

A step first reads what it will remove, and with it the entries of the search index; the write that
follows removes exactly that. Each message is
deleted before its parent: SQLite would delete a parent's children by recursion, 500 deep for 500
messages in a row, which takes a hundred times as long.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from talekeeper.clock import Millis
from talekeeper.domain.events import Recorded
from talekeeper.ids import AccountId, ConversationId
from talekeeper.store.conversations import HeldConversation
from talekeeper.store.indexing import Entry, entries_of, forget_entries
from talekeeper.store.prepared import Row, prepared
from talekeeper.store.sql import (
    and_,
    bindparam,
    conversations,
    delete,
    events,
    func,
    literal,
    messages,
    null,
    or_,
    select,
    update,
)
from talekeeper.store.units import Reader, Writer

_c, _e = conversations.c, events.c

_REMOVE = prepared(
    update(conversations)
    .where(_c.id == bindparam("conversation_id"))
    .values(removed_at=bindparam("now"), leaf_key=null(), role=null())
)
_DUE = prepared(
    select(_c.id, _c.owner_id, _c.removed_at)
    .where(
        _c.deleted_at.is_not(None),
        # A copy that is being made has a `removed_at` to come: see `copies`.
        or_(
            and_(_c.deleted_at < bindparam("before"), _c.removed_at.is_(None)),
            and_(_c.deleted_at > literal(0), _c.removed_at.is_not(None)),
            _c.removed_at <= bindparam("now"),
        ),
    )
    .order_by(_c.deleted_at)
    .limit(bindparam("limit"))
)
_LAST = prepared(
    select(_e.seq, messages.c.key, func.coalesce(func.length(messages.c.content), 0))
    .select_from(
        events.join(conversations, _c.id == _e.conversation_id).outerjoin(
            messages, (messages.c.key == _e.message_key) & (_e.kind == "message_added")
        )
    )
    .where(_e.conversation_id == bindparam("conversation_id"), _c.removed_at.is_not(None))
    .order_by(_e.seq.desc())
    .limit(bindparam("limit"))
)
_REMOVE_MESSAGE = prepared(delete(messages).where(messages.c.key == bindparam("at")))
_REMOVE_EVENTS = prepared(
    delete(events).where(
        _e.conversation_id == bindparam("conversation_id"), _e.seq >= bindparam("first")
    )
)
_IS_GOING = prepared(
    select(_c.id).where(_c.id == bindparam("conversation_id"), _c.removed_at.is_not(None))
)
_SHORTEN = prepared(
    update(conversations)
    .where(_c.id == bindparam("conversation_id"), _c.seq > bindparam("left"))
    .values(seq=bindparam("left"))
)
_REMOVE_ROW = prepared(
    delete(conversations).where(_c.id == bindparam("conversation_id"), _c.removed_at.is_not(None))
)


STEP: Final = 200
"""Rows that one transaction removes or empties at most."""
STEP_CHARACTERS: Final = 100_000
"""Characters that these rows say, about: dividing them into tokens is most of the work."""


@dataclass(frozen=True, slots=True)
class Removal:
    """One step: the events from `first` on and the messages that they added, youngest first."""

    conversation_id: ConversationId
    first: int
    keys: tuple[int, ...]
    entries: tuple[Entry, ...]


def remove_conversation(tx: Writer, held: HeldConversation) -> None:
    """It is there for nobody any more. Its rows go with `next_removal` and `remove_rows`."""
    tx.run(_REMOVE, conversation_id=held.id, now=tx.now())
    conversation = held.conversation
    tx.tell(Recorded(held.owner_id, held.id, conversation.seq, "gone", conversation))


def next_removal(
    tx: Reader, conversation_id: ConversationId, *, limit: int = STEP
) -> Removal | None:
    """The newest `limit` events at most, with the messages that they added; None without any."""
    taken = within_step(tx.all(_LAST, conversation_id=conversation_id, limit=limit))
    if not taken:
        return None
    # Within a conversation keys rise with the events that added them: these are youngest first.
    keys = tuple(row[1] for row in taken if row[1] is not None)
    return Removal(conversation_id, taken[-1][0], keys, tuple(entries_of(tx, keys).values()))


def within_step(rows: Sequence[Row]) -> Sequence[Row]:
    """The first of `rows` whose characters, each row's last column, fit into one step; one at least."""
    characters = 0
    for count, row in enumerate(rows):
        characters += row[-1]
        if count and characters > STEP_CHARACTERS:
            return rows[:count]
    return rows


def remove_rows(tx: Writer, removal: Removal) -> None:
    """What was read for this step is removed; as much of it as no other process removed."""
    conversation_id = removal.conversation_id
    if tx.first(_IS_GOING, conversation_id=conversation_id) is None:
        return  # it is gone, and its id may be another conversation's
    tx.run(_SHORTEN, conversation_id=conversation_id, left=removal.first - 1)
    forget_entries(tx, conversation_id, removal.entries)
    if removal.keys:
        tx.run_many(_REMOVE_MESSAGE, [{"at": key} for key in removal.keys])
    tx.run(_REMOVE_EVENTS, conversation_id=conversation_id, first=removal.first)


def remove_last_row(tx: Writer, conversation_id: ConversationId) -> None:
    """The conversation's own row is removed, once its log and its messages are."""
    tx.run(_REMOVE_ROW, conversation_id=conversation_id)


def long_in_trash(
    tx: Reader, *, before: Millis, now: Millis, limit: int
) -> list[tuple[ConversationId, AccountId, bool]]:
    """Conversations put in the trash before then, or going already, which the last value says.

    Abandoned copies are going, too; a copy that is being made is not.
    """
    rows = tx.all(_DUE, before=before, now=now, limit=limit)
    return [(ConversationId(row[0]), AccountId(row[1]), row[2] is not None) for row in rows]
