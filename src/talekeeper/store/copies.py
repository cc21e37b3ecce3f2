"""Copies that are being made: rows that no read shows until the last of them is there.

A long conversation is copied in several transactions, so that other writers wait for none of them.
Until the last one, the copy is marked as removed (`removed_at`, which every read takes for absent)
and as deleted at the time 0, which tells it from what a person deleted. `removed_at` is the time
until which the process that makes the copy has promised to go on: after it the copy is abandoned,
and emptying the trash removes its rows as it does any other's.
"""

from dataclasses import dataclass
from typing import Final

from talekeeper.clock import Millis
from talekeeper.database.statements import Row, statement
from talekeeper.database.units import Reader, Writer
from talekeeper.domain.conversations import IN_FLIGHT, Message
from talekeeper.errors import GenerationRunning
from talekeeper.ids import AccountId, ConversationId, MessageId
from talekeeper.store.messages import message_at

STEP: Final = 200
"""Messages that one transaction copies at most."""
STEP_CHARACTERS: Final = 1_000_000
"""Characters that they say, about."""
PROMISE_MS: Final = 60_000
"""How long a step may take before its copy counts as abandoned."""


_TREE = statement(
    """
    SELECT m.key, m.status, m.generation_id
    FROM events AS e JOIN messages AS m ON m.key = e.message_key
    WHERE e.log_kind = 'conversation'
      AND e.log_id = :conversation_id
      AND e.kind = 'message_added'
      AND m.deleted_by IS NULL
    ORDER BY e.seq
    """
)
# The path from `leaf_key` to the root.
_WALK = """
    path (key, parent_key, status, generation_id) AS (
        SELECT key, parent_key, status, generation_id FROM messages WHERE key = :leaf_key
        UNION ALL
        SELECT m.key, m.parent_key, m.status, m.generation_id
        FROM messages AS m JOIN path ON m.key = path.parent_key
    )
"""
_PATH = statement(
    f"""
    WITH RECURSIVE {_WALK}
    SELECT key, status, generation_id FROM path ORDER BY key
    """
)
_FIRST = statement(
    """
    SELECT m.id
    FROM events AS e JOIN messages AS m ON m.key = e.message_key
    WHERE e.log_kind = 'conversation'
      AND e.log_id = :conversation_id
      AND e.kind = 'message_added'
      AND m.deleted_by IS NULL
    ORDER BY e.seq
    LIMIT 1
    """
)
_TOP = statement(
    f"""
    WITH RECURSIVE {_WALK}
    SELECT m.id FROM path JOIN messages AS m ON m.key = path.key
    WHERE path.parent_key IS NULL
    """
)
_IS_COPY = "deleted_at = 0 AND removed_at IS NOT NULL"
_PROMISE = statement(
    f"""
    SELECT removed_at FROM conversations
    WHERE id = :id AND owner_id = :owner_id AND {_IS_COPY}
    """
)
_PROMISED = statement(
    f"SELECT id FROM conversations WHERE id = :id AND {_IS_COPY} AND removed_at > :now"
)
_SHOW = statement(
    f"""
    UPDATE conversations SET deleted_at = NULL, removed_at = NULL
    WHERE id = :copy_id AND seq = :so_far AND {_IS_COPY}
    """
)
_HIDE = statement(
    "UPDATE conversations SET deleted_at = 0, removed_at = :until WHERE id = :copy_id"
)
_ABANDONED = statement(
    f"SELECT id FROM conversations WHERE {_IS_COPY} AND removed_at > :now LIMIT 1"
)
_ABANDON_ALL = statement(f"UPDATE conversations SET removed_at = :now WHERE {_IS_COPY}")
_ABANDON = statement(
    f"UPDATE conversations SET removed_at = :now WHERE id = :copy_id AND {_IS_COPY}"
)


@dataclass(frozen=True, slots=True)
class Promise:
    """A copy that is being made, or was abandoned: until when its next step was promised."""

    until: Millis


def keys_to_copy(tx: Reader, conversation_id: ConversationId, *, leaf_key: int | None) -> list[int]:
    """The messages of the path to `leaf_key`, or of the whole tree, parents before their children.

    Raises GenerationRunning while one of them grows.
    """
    if leaf_key is None:
        rows = tx.all(_TREE, conversation_id=conversation_id)
    else:
        rows = tx.all(_PATH, leaf_key=leaf_key)
    for row in rows:
        _check_is_whole(row)
    return [row.key for row in rows]


def _check_is_whole(message: Row | Message) -> None:
    if message.status in IN_FLIGHT:
        raise GenerationRunning(
            "The AI is still answering in what is to be copied. Wait for it or stop it.",
            generation_id=message.generation_id or "",
        )


def next_to_copy(tx: Reader, *, keys: list[int]) -> list[Message]:
    """The first of these messages, as many as one transaction may copy.

    Raises GenerationRunning when one of them grows by now.
    """
    found: list[Message] = []
    characters = 0
    for key in keys[:STEP]:
        message = message_at(tx, key).message
        characters += len(message.content)
        if found and characters > STEP_CHARACTERS:
            break
        _check_is_whole(message)
        found.append(message)
    return found


def first_to_copy(
    tx: Reader, conversation_id: ConversationId, *, leaf_key: int | None
) -> MessageId | None:
    """The first message that `keys_to_copy` names, whatever its state; None without any."""
    if leaf_key is None:
        row = tx.first(_FIRST, conversation_id=conversation_id)
    else:
        row = tx.first(_TOP, leaf_key=leaf_key)
    return None if row is None else MessageId(row.id)


def promise_of(
    tx: Reader, conversation_id: ConversationId, *, owner_id: AccountId
) -> Promise | None:
    """Of the account's copy that is being made under this id; None where none is."""
    row = tx.first(_PROMISE, id=conversation_id, owner_id=owner_id)
    return None if row is None else Promise(Millis(row.removed_at))


def is_promised(tx: Writer, conversation_id: ConversationId) -> bool:
    """Whether a process has promised by now to go on with the copy."""
    return tx.first(_PROMISED, id=conversation_id, now=tx.now()) is not None


def show_copy(tx: Writer, conversation_id: ConversationId, *, so_far: int) -> bool:
    """Within this transaction the copy is an ordinary conversation.

    False when it is not there with so many events: another process removed it.
    """
    return tx.run(_SHOW, copy_id=conversation_id, so_far=so_far) > 0


def hide_copy(tx: Writer, conversation_id: ConversationId) -> None:
    """No read shows the copy when this transaction is committed, and a next step is promised."""
    tx.run(_HIDE, copy_id=conversation_id, until=tx.now() + PROMISE_MS)


def abandon_copy(tx: Writer, conversation_id: ConversationId) -> None:
    """No next step is promised any more: the copy's rows may be removed."""
    tx.run(_ABANDON, copy_id=conversation_id, now=tx.now())


def has_promised_copies(tx: Reader, *, now: Millis) -> bool:
    """A copy is being made, as far as its promise tells."""
    return tx.first(_ABANDONED, now=now) is not None


def abandon_all_copies(tx: Writer) -> None:
    """No copy is being made by anybody: called while no other process can write."""
    tx.run(_ABANDON_ALL, now=tx.now())
