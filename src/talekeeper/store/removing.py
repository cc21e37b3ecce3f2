"""Removing for good: a conversation that was removed goes in steps, its youngest rows first.

One commit hides it from every read and tells its end in the account's log; its rows follow in small
transactions, so that other writers wait for none of them. If the process dies in between, the next
start removes the rest. Its `seq` stays as it is to the last.

A step first reads what it will remove, and with it the entries of the search index; the write that
follows removes exactly that. Each message is
deleted before its parent: SQLite would delete a parent's children by recursion, 500 deep for 500
messages in a row, which takes a hundred times as long.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from talekeeper.clock import Millis
from talekeeper.database.statements import Row, statement
from talekeeper.database.units import Reader, Writer
from talekeeper.ids import AccountId, ConversationId
from talekeeper.store.holding import HeldConversation
from talekeeper.store.indexing import Entry, entries_of, forget_entries
from talekeeper.store.tombstones import tell_gone

_REMOVE = statement(
    """
    UPDATE conversations SET removed_at = :now, leaf_key = NULL, role = NULL
    WHERE id = :conversation_id
    """
)
# A copy that is being made has a `removed_at` to come: see `copies`.
_DUE = statement(
    """
    SELECT id, owner_id, removed_at FROM conversations
    WHERE deleted_at IS NOT NULL
      AND (
            (deleted_at < :before AND removed_at IS NULL)
            OR (deleted_at > 0 AND removed_at IS NOT NULL)
            OR removed_at <= :now
      )
    ORDER BY deleted_at
    LIMIT :limit
    """
)
_LAST = statement(
    """
    SELECT e.seq, m.key, coalesce(length(m.content), 0) AS characters
    FROM events AS e
    JOIN conversations AS c ON c.id = e.log_id
    LEFT JOIN messages AS m ON m.key = e.message_key AND e.kind = 'message_added'
    WHERE e.log_kind = 'conversation' AND e.log_id = :conversation_id AND c.removed_at IS NOT NULL
    ORDER BY e.seq DESC
    LIMIT :limit
    """
)
_REMOVE_MESSAGE = statement("DELETE FROM messages WHERE key = :at")
_REMOVE_EVENTS = statement(
    """
    DELETE FROM events
    WHERE log_kind = 'conversation' AND log_id = :conversation_id AND seq >= :first
    """
)
_IS_GOING = statement(
    "SELECT id FROM conversations WHERE id = :conversation_id AND removed_at IS NOT NULL"
)
_REMOVE_ROW = statement(
    "DELETE FROM conversations WHERE id = :conversation_id AND removed_at IS NOT NULL"
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
    tell_gone(tx, held)


def next_removal(
    tx: Reader, conversation_id: ConversationId, *, limit: int = STEP
) -> Removal | None:
    """The newest `limit` events at most, with the messages that they added; None without any."""
    taken = within_step(tx.all(_LAST, conversation_id=conversation_id, limit=limit))
    if not taken:
        return None
    # Within a conversation keys rise with the events that added them: these are youngest first.
    keys = tuple(row.key for row in taken if row.key is not None)
    return Removal(conversation_id, taken[-1].seq, keys, tuple(entries_of(tx, keys).values()))


def within_step(rows: Sequence[Row]) -> Sequence[Row]:
    """The first of `rows` whose `characters` fit into one step; one at least."""
    characters = 0
    for count, row in enumerate(rows):
        characters += row.characters
        if count and characters > STEP_CHARACTERS:
            return rows[:count]
    return rows


def remove_rows(tx: Writer, removal: Removal) -> None:
    """What was read for this step is removed; as much of it as no other process removed."""
    conversation_id = removal.conversation_id
    if tx.first(_IS_GOING, conversation_id=conversation_id) is None:
        return  # another process has removed the rest
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
    return [
        (ConversationId(row.id), AccountId(row.owner_id), row.removed_at is not None)
        for row in rows
    ]
