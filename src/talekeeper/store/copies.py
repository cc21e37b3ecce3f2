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
from talekeeper.domain.conversations import IN_FLIGHT, Message
from talekeeper.errors import GenerationRunning
from talekeeper.ids import AccountId, ConversationId, MessageId
from talekeeper.store.messages import message_at
from talekeeper.store.prepared import Row, prepared
from talekeeper.store.sql import (
    bindparam,
    conversations,
    events,
    literal,
    messages,
    null,
    select,
    update,
)
from talekeeper.store.units import Reader, Writer

STEP: Final = 200
"""Messages that one transaction copies at most."""
STEP_CHARACTERS: Final = 1_000_000
"""Characters that they say, about."""
PROMISE_MS: Final = 60_000
"""How long a step may take before its copy counts as abandoned."""

_c, _e, _m = conversations.c, events.c, messages.c

_TREE = prepared(
    select(_m.key, _m.status, _m.generation_id)
    .select_from(events.join(messages, _m.key == _e.message_key))
    .where(
        _e.conversation_id == bindparam("conversation_id"),
        _e.kind == "message_added",
        _m.deleted_by.is_(None),
    )
    .order_by(_e.seq)
)
_path = (
    select(_m.key, _m.parent_key, _m.status, _m.generation_id)
    .where(_m.key == bindparam("leaf_key"))
    .cte("path", recursive=True)
)
_path = _path.union_all(
    select(_m.key, _m.parent_key, _m.status, _m.generation_id).join(
        _path, _m.key == _path.c.parent_key
    )
)
_PATH = prepared(select(_path.c.key, _path.c.status, _path.c.generation_id).order_by(_path.c.key))
_FIRST = prepared(
    select(_m.id)
    .select_from(events.join(messages, _m.key == _e.message_key))
    .where(
        _e.conversation_id == bindparam("conversation_id"),
        _e.kind == "message_added",
        _m.deleted_by.is_(None),
    )
    .order_by(_e.seq)
    .limit(1)
)
_TOP = prepared(
    select(_m.id)
    .select_from(_path.join(messages, _m.key == _path.c.key))
    .where(_path.c.parent_key.is_(None))
)
_is_made = (_c.deleted_at == literal(0), _c.removed_at.is_not(None))
_PROMISE = prepared(
    select(_c.removed_at).where(
        _c.id == bindparam("id"), _c.owner_id == bindparam("owner_id"), *_is_made
    )
)
_PROMISED = prepared(
    select(_c.id).where(_c.id == bindparam("id"), *_is_made, _c.removed_at > bindparam("now"))
)
_SHOW = prepared(
    update(conversations)
    .where(_c.id == bindparam("copy_id"), _c.seq == bindparam("so_far"), *_is_made)
    .values(deleted_at=null(), removed_at=null())
)
_HIDE = prepared(
    update(conversations)
    .where(_c.id == bindparam("copy_id"))
    .values(deleted_at=0, removed_at=bindparam("until"))
)
_ABANDONED = prepared(select(_c.id).where(*_is_made, _c.removed_at > bindparam("now")).limit(1))
_ABANDON_ALL = prepared(update(conversations).where(*_is_made).values(removed_at=bindparam("now")))
_ABANDON = prepared(
    update(conversations)
    .where(_c.id == bindparam("copy_id"), *_is_made)
    .values(removed_at=bindparam("now"))
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
        _check_status(row)
    return [row[0] for row in rows]


def _check_status(row: Row) -> None:
    if row[1] in IN_FLIGHT:
        raise GenerationRunning(
            "The AI is still answering in what is to be copied. Wait for it or stop it.",
            generation_id=row[2] or "",
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
        _check_status((key, message.status, message.generation_id))
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
    return None if row is None else MessageId(row[0])


def promise_of(
    tx: Reader, conversation_id: ConversationId, *, owner_id: AccountId
) -> Promise | None:
    """Of the account's copy that is being made under this id; None where none is."""
    row = tx.first(_PROMISE, id=conversation_id, owner_id=owner_id)
    return None if row is None else Promise(Millis(row[0]))


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
