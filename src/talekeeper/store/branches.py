"""Branches in the store: taken back with all that stands under them, and given back.

Every row that goes bears the key of the message that was taken back, so who reads needs to look at
one column only. Of two branches one above the other each keeps its own rows: what was taken back
before stays so when the larger one is given back.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from talekeeper.clock import Millis
from talekeeper.database.statements import Row, statement
from talekeeper.database.units import Reader, Writer
from talekeeper.ids import ConversationId
from talekeeper.store.indexing import Entry, entries_of, forget_entries
from talekeeper.store.removing import STEP, within_step
from talekeeper.store.thoughts import forget_thoughts
from talekeeper.store.tombstones import tell_emptied

# The message `top` and all under it that is still there.
_SUBTREE = """
    subtree (key) AS (
        SELECT key FROM messages WHERE key = :top AND deleted_by IS NULL
        UNION ALL
        SELECT m.key FROM messages AS m JOIN subtree ON m.parent_key = subtree.key
        WHERE m.deleted_by IS NULL
    )
"""
_WEIGHT = """
    count(*) AS messages,
    coalesce(sum(length(content)), 0) AS characters,
    count(CASE WHEN status = 'pending' OR status = 'streaming' THEN 1 END) AS growing,
    count(emptied_at) AS emptied
"""
_WEIGH = statement(
    f"""
    WITH RECURSIVE {_SUBTREE}
    SELECT {_WEIGHT} FROM subtree JOIN messages ON messages.key = subtree.key
    """
)
_HIDE = statement(
    f"""
    WITH RECURSIVE {_SUBTREE}
    UPDATE messages SET
        deleted_by = :top,
        deleted_at = CASE WHEN key = :top THEN CAST(:now AS bigint) END,
        revision = revision + CASE WHEN key = :top THEN 1 ELSE 0 END
    WHERE key IN (SELECT key FROM subtree)
    """
)
_HIDING = statement(
    """
    WITH RECURSIVE path (key, parent_key, deleted_by) AS (
        SELECT key, parent_key, deleted_by FROM messages WHERE key = :key
        UNION ALL
        SELECT m.key, m.parent_key, m.deleted_by
        FROM messages AS m JOIN path ON m.key = path.parent_key
    )
    SELECT DISTINCT deleted_by FROM path WHERE deleted_by IS NOT NULL ORDER BY deleted_by
    """
)
_WEIGH_HIDDEN = statement(f"SELECT {_WEIGHT} FROM messages WHERE deleted_by = :top")
_REVEAL = statement(
    """
    UPDATE messages SET
        deleted_by = NULL,
        deleted_at = NULL,
        revision = revision + CASE WHEN key = :top THEN 1 ELSE 0 END
    WHERE deleted_by = :top
    """
)
_NEWEST = statement(
    """
    WITH RECURSIVE forest (key) AS (
        SELECT key FROM messages
        WHERE parent_key IS NULL AND conversation_id = :conversation_id AND deleted_by IS NULL
        UNION ALL
        SELECT m.key FROM messages AS m JOIN forest ON m.parent_key = forest.key
        WHERE m.deleted_by IS NULL
    )
    SELECT max(key) AS key FROM forest
    """
)

_TO_BE_EMPTIED = statement(
    """
    SELECT key, conversation_id FROM messages
    WHERE deleted_at < :before AND emptied_at IS NULL
    ORDER BY deleted_at
    LIMIT 1
    """
)
# The message that was taken back comes last: while it is not emptied, there is still something to do.
_EMPTIED_NEXT = statement(
    """
    SELECT key, length(content) AS characters FROM messages
    WHERE deleted_by = :top AND emptied_at IS NULL
    ORDER BY key DESC
    LIMIT :limit
    """
)
_STILL_DELETED = statement(
    "SELECT key FROM messages WHERE deleted_by = :top AND key BETWEEN :first AND :last"
)
_EMPTY = statement(
    """
    UPDATE messages SET
        content = '',
        bookmark = NULL,
        speaker_id = NULL,
        speaker_name = NULL,
        parts = NULL,
        emptied_at = :now,
        revision = revision + 1
    WHERE key = :at
    """
)
_FORGET_RECEIPTS = statement("UPDATE generations SET receipt = NULL WHERE message_key = :at")
_FORGET_CHUNKS = statement(
    """
    DELETE FROM chunks
    WHERE generation_id IN (SELECT id FROM generations WHERE message_key = :at)
    """
)


@dataclass(frozen=True, slots=True)
class Weight:
    """What a branch holds, what of it grows, and what of it was emptied."""

    messages: int
    characters: int
    growing: int
    emptied: int


def _weight(row: Row) -> Weight:
    # PostgreSQL's sums are decimals.
    return Weight(int(row.messages), int(row.characters), int(row.growing), int(row.emptied))


def weigh_branch(tx: Reader, key: int) -> Weight:
    """Of the message and all under it that is still there."""
    row = tx.first(_WEIGH, top=key)
    assert row is not None
    return _weight(row)


def hide_branch(tx: Writer, key: int) -> None:
    """The message and all under it are taken back."""
    tx.run(_HIDE, top=key, now=tx.now())


def hiding_keys(tx: Reader, key: int) -> list[int]:
    """The messages whose being taken back hides this one, topmost first."""
    return [row.deleted_by for row in tx.all(_HIDING, key=key)]


def weigh_hidden(tx: Reader, key: int) -> Weight:
    """Of all that went when this message was taken back."""
    row = tx.first(_WEIGH_HIDDEN, top=key)
    assert row is not None
    return _weight(row)


def reveal_branch(tx: Writer, key: int) -> None:
    """What went when this message was taken back is there again."""
    tx.run(_REVEAL, top=key)


def newest_message_key(tx: Reader, conversation_id: ConversationId) -> int | None:
    """The newest message of the conversation that is there, which is a leaf; None without any."""
    row = tx.first(_NEWEST, conversation_id=conversation_id)
    return None if row is None else row.key


@dataclass(frozen=True, slots=True)
class OldBranch:
    """A branch that was taken back, and the conversation that it is of."""

    key: int
    conversation_id: ConversationId


def next_to_be_emptied(tx: Reader, *, before: Millis) -> OldBranch | None:
    """A branch taken back before then that still holds what it said; None without any."""
    row = tx.first(_TO_BE_EMPTIED, before=before)
    return None if row is None else OldBranch(row.key, ConversationId(row.conversation_id))


def next_to_be_emptied_of(tx: Reader, key: int, *, limit: int = STEP) -> dict[int, Entry]:
    """Messages of the deleted branch that still say something, youngest first, with their entries.

    They are as many as one transaction may empty.
    """
    taken = within_step(tx.all(_EMPTIED_NEXT, top=key, limit=limit))
    entries = entries_of(tx, [row.key for row in taken])
    return {row.key: entries.get(row.key, Entry(row.key, frozenset())) for row in taken}


def empty_rows(tx: Writer, branch: OldBranch, entries: Mapping[int, Entry]) -> None:
    """These messages say nothing any more, except those that were restored since they were read."""
    found = tx.all(_STILL_DELETED, top=branch.key, first=min(entries), last=max(entries))
    keys = [row.key for row in found if row.key in entries]
    if not keys:
        return
    forget_entries(
        tx, branch.conversation_id, [entries[key] for key in keys if entries[key].tokens]
    )
    places = [{"at": key} for key in keys]
    tx.run_many(_FORGET_CHUNKS, places)
    tx.run_many(_FORGET_RECEIPTS, places)
    forget_thoughts(tx, keys)
    now = tx.now()
    tx.run_many(_EMPTY, [{**place, "now": now} for place in places])
    tell_emptied(tx, branch.conversation_id, keys)
