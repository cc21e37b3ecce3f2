"""Messages in the store: nodes of a tree.

The text of a reply that still grows is its content plus the chunks of its generation, and every
function of the store gives it so.
"""

from dataclasses import dataclass
from typing import Any

from talekeeper.database.statements import Row, statement
from talekeeper.database.units import Reader
from talekeeper.domain.audiences import audience_in
from talekeeper.domain.conversations import (
    IN_FLIGHT,
    Message,
    MessageStatus,
    PathMessage,
    ReplyError,
    Speaker,
)
from talekeeper.domain.parts import Part, parts_in
from talekeeper.errors import NotFound
from talekeeper.ids import AccountId, ConversationId, MessageId
from talekeeper.store.thoughts import reasoning_so_far

MESSAGE_COLUMNS = """
    m.key, m.parent_key, m.id, m.conversation_id, m.seq, parent.id AS parent_id, m.role, m.content,
    m.status, m.revision, m.created_at, m.updated_at, m.generation_id, m.provider, m.model,
    m.input_tokens, m.output_tokens, m.finish_reason, m.error_code, m.error_message,
    m.error_retryable, m.error_retry_after, m.bookmark, m.deleted_at, m.deleted_by, m.emptied_at,
    m.speaker_id, m.speaker_name, m.mode, m.audience, m.hidden_from_ai, m.parts
"""

_MESSAGES = """
    messages AS m LEFT JOIN messages AS parent ON parent.key = m.parent_key
"""

_SELECT = f"SELECT {MESSAGE_COLUMNS} FROM {_MESSAGES}"

_BY_ID = statement(f"{_SELECT} WHERE m.id = :id")

_BY_KEY = statement(f"{_SELECT} WHERE m.key = :key")

_OWNED = statement(
    f"""
    {_SELECT}
    JOIN conversations AS c ON c.id = m.conversation_id
    WHERE m.id = :id AND c.owner_id = :owner_id AND c.removed_at IS NULL
    """
)

_FIRST_CHILD = statement(
    """
    SELECT min(key) AS key FROM messages
    WHERE parent_key = :parent_key AND conversation_id = :conversation_id AND deleted_by IS NULL
    """
)

_FIRST_ROOT = statement(
    """
    SELECT min(key) AS key FROM messages
    WHERE parent_key IS NULL AND conversation_id = :conversation_id AND deleted_by IS NULL
    """
)

_FIRST_REPLY = statement(
    f"""
    {_SELECT}
    WHERE m.parent_key = :parent_key
      AND m.conversation_id = :conversation_id
      AND m.role = 'assistant'
      AND m.deleted_by IS NULL
    ORDER BY m.key
    LIMIT 1
    """
)

_BOOKMARKED = statement(
    f"""
    {_SELECT}
    WHERE m.conversation_id = :conversation_id AND m.bookmark IS NOT NULL AND m.deleted_by IS NULL
    ORDER BY m.seq
    """
)

_SAYS = statement(
    """
    SELECT content, status, generation_id FROM messages
    WHERE id = :id AND conversation_id = :conversation_id
    """
)

_GROWN = statement(
    "SELECT text FROM chunks WHERE generation_id = :generation_id ORDER BY start_offset"
)


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message and where it stands in the tree."""

    key: int
    parent_key: int | None
    message: Message
    deleted_by: int | None = None
    is_emptied: bool = False

    @property
    def is_hidden(self) -> bool:
        """It was taken back, or a message above it was."""
        return self.deleted_by is not None

    @property
    def place(self) -> "Place":
        return Place(self.key, self.message.id)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a new message is to stand: under this one."""

    key: int
    id: MessageId


def find_message(tx: Reader, message_id: MessageId) -> StoredMessage | None:
    """The message of that name, whoever owns it."""
    row = tx.first(_BY_ID, id=message_id)
    return None if row is None else stored_message(tx, row)


def get_message(tx: Reader, message_id: MessageId, *, owner_id: AccountId) -> StoredMessage:
    """Raises NotFound when it is absent or another account's."""
    row = tx.first(_OWNED, id=message_id, owner_id=owner_id)
    if row is None:
        raise NotFound("There is no such message. It may have been deleted.")
    return stored_message(tx, row)


def message_at(tx: Reader, key: int) -> StoredMessage:
    row = tx.first(_BY_KEY, key=key)
    if row is None:
        raise NotFound("There is no such message. It may have been deleted.")
    return stored_message(tx, row)


def bookmarked_messages(tx: Reader, conversation_id: ConversationId) -> tuple[Message, ...]:
    """The messages that bear a mark, by `seq`."""
    rows = tx.all(_BOOKMARKED, conversation_id=conversation_id)
    return tuple(stored_message(tx, row).message for row in rows)


def has_elder_sibling(tx: Reader, stored: StoredMessage) -> bool:
    conversation_id = stored.message.conversation_id
    if stored.parent_key is None:
        row = tx.first(_FIRST_ROOT, conversation_id=conversation_id)
    else:
        row = tx.first(_FIRST_CHILD, parent_key=stored.parent_key, conversation_id=conversation_id)
    return row is not None and row.key is not None and row.key < stored.key


def first_reply(tx: Reader, stored: StoredMessage) -> StoredMessage | None:
    """The eldest reply to a message; None where it was never answered."""
    row = tx.first(
        _FIRST_REPLY,
        parent_key=stored.key,
        conversation_id=stored.message.conversation_id,
    )
    return None if row is None else stored_message(tx, row)


def stored_message(tx: Reader, row: Row) -> StoredMessage:
    """The message in a row that has MESSAGE_COLUMNS."""
    return StoredMessage(
        row.key,
        row.parent_key,
        Message(**_state(tx, row)),
        row.deleted_by,
        row.emptied_at is not None,
    )


def path_message(tx: Reader, row: Row, *, sibling_ids: tuple[MessageId, ...]) -> PathMessage:
    """The message in such a row, with all children of its parent."""
    return PathMessage(**_state(tx, row), sibling_ids=sibling_ids)


def content_of(tx: Reader, conversation_id: ConversationId, message_id: MessageId) -> str:
    """What that message of the conversation says; nothing where there is none any more."""
    row = tx.first(_SAYS, id=message_id, conversation_id=conversation_id)
    return "" if row is None else whole_content(tx, row.content, row.status, row.generation_id)


def whole_content(
    tx: Reader, content: str, status: MessageStatus, generation_id: str | None
) -> str:
    """What a message says, the checkpoints of a growing one included."""
    if status not in IN_FLIGHT or generation_id is None:
        return content
    return content + "".join(chunk.text for chunk in tx.all(_GROWN, generation_id=generation_id))


def _state(tx: Reader, row: Row) -> dict[str, Any]:
    error = None
    if row.error_code is not None:
        error = ReplyError(
            row.error_code,
            row.error_message or "",
            bool(row.error_retryable),
            row.error_retry_after,
        )
    return {
        "id": row.id,
        "conversation_id": row.conversation_id,
        "seq": row.seq,
        "parent_id": row.parent_id,
        "role": row.role,
        "content": whole_content(tx, row.content, row.status, row.generation_id),
        "status": row.status,
        "revision": row.revision,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "generation_id": row.generation_id,
        "provider": row.provider,
        "model": row.model,
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "finish_reason": row.finish_reason,
        "error": error,
        "bookmark": row.bookmark,
        "deleted_at": row.deleted_at,
        "speaker": None if row.speaker_name is None else Speaker(row.speaker_name, row.speaker_id),
        "mode": row.mode,
        "audience": audience_in(row.audience),
        "hidden_from_ai": bool(row.hidden_from_ai),
        "parts": _whole_parts(tx, row.key, row.parts, row.status),
    }


def _whole_parts(
    tx: Reader, key: int, stored: str | None, status: MessageStatus
) -> tuple[Part, ...]:
    """A message's parts, the reasoning of a growing one included."""
    parts = parts_in(stored)
    if status not in IN_FLIGHT:
        return parts
    return (*parts, *reasoning_so_far(tx, key, len(parts)))
