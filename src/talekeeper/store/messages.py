"""Messages in the store: nodes of a tree.

The text of a reply that still grows is its content plus the chunks of its generation, and every
function of the store gives it so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from talekeeper.database.statements import Row, statement
from talekeeper.database.units import Reader, Writer
from talekeeper.domain.audiences import audience_in, written_audience
from talekeeper.domain.conversations import (
    IN_FLIGHT,
    USUAL_MANNER,
    FinishReason,
    Manner,
    Message,
    MessageStatus,
    PathMessage,
    ReplyError,
    Role,
    Speaker,
)
from talekeeper.domain.parts import Part, parts_in, written_parts
from talekeeper.errors import NotFound
from talekeeper.ids import AccountId, ConversationId, GenerationId, MessageId
from talekeeper.store.conversations import HeldConversation
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

_INSERT = statement(
    """
    INSERT INTO messages (
        id, conversation_id, parent_key, seq, role, status, revision, created_at, updated_at,
        generation_id, provider, model, content, speaker_id, speaker_name, mode, audience
    )
    VALUES (
        :id, :conversation_id, :parent_key, :seq, :role, :status, 1, :now, :now,
        :generation_id, :provider, :model, :content, :speaker_id, :speaker_name, :mode, :audience
    )
    RETURNING key
    """
)
_REOPEN = statement(
    """
    UPDATE messages SET
        status = 'pending',
        revision = revision + 1,
        generation_id = :generation_id,
        updated_at = :now,
        finish_reason = NULL,
        error_code = NULL,
        error_message = NULL,
        error_retryable = NULL,
        error_retry_after = NULL
    WHERE key = :at
    """
)
_BEGIN_STREAMING = statement(
    """
    UPDATE messages SET status = 'streaming', revision = revision + 1
    WHERE key = :at AND status = 'pending'
    """
)
_CLOSE = statement(
    """
    UPDATE messages SET
        content = :content,
        status = :status,
        revision = revision + 1,
        updated_at = :now,
        model = :model,
        input_tokens = :input_tokens,
        output_tokens = :output_tokens,
        finish_reason = :finish_reason,
        error_code = :error_code,
        error_message = :error_message,
        error_retryable = :error_retryable,
        error_retry_after = :error_retry_after,
        parts = :parts
    WHERE key = :at
    """
)


_FOLLOW_RESTORED = statement(
    "UPDATE generations SET message_key = :to_key WHERE id = :of_generation"
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
_MARK = statement(
    """
    UPDATE messages
    SET bookmark = :bookmark, hidden_from_ai = :hidden_from_ai, revision = revision + 1
    WHERE key = :at
    """
)
_BOOKMARKED = statement(
    f"""
    {_SELECT}
    WHERE m.conversation_id = :conversation_id AND m.bookmark IS NOT NULL AND m.deleted_by IS NULL
    ORDER BY m.seq
    """
)
_COPY = statement(
    """
    INSERT INTO messages (
        id, conversation_id, parent_key, seq, role, status, revision, created_at, updated_at,
        provider, model, input_tokens, output_tokens, finish_reason, error_code, error_message,
        error_retryable, error_retry_after, bookmark, content, speaker_id, speaker_name, mode,
        audience, hidden_from_ai, parts
    )
    VALUES (
        :id, :conversation_id, (SELECT key FROM messages WHERE id = :parent_id), :seq, :role,
        :status, :revision, :created_at, :updated_at, :provider, :model, :input_tokens,
        :output_tokens, :finish_reason, :error_code, :error_message, :error_retryable,
        :error_retry_after, :bookmark, :content, :speaker_id, :speaker_name, :mode, :audience,
        :hidden_from_ai, :parts
    )
    """
)
_COPY_EVENT = statement(
    """
    INSERT INTO events (log_kind, log_id, seq, at, kind, message_key)
    VALUES (
        'conversation', :log_id, :seq, :at, 'message_added',
        (SELECT key FROM messages WHERE id = :added_id)
    )
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


def add_message(
    tx: Writer,
    held: HeldConversation,
    message_id: MessageId,
    *,
    parent: Place | None,
    role: Role,
    content: str = "",
    status: MessageStatus = "complete",
    generation_id: GenerationId | None = None,
    provider: str | None = None,
    model: str | None = None,
    manner: Manner = USUAL_MANNER,
) -> StoredMessage:
    """A new node under `parent`, which becomes the active leaf when `held` is saved."""
    now = tx.now()
    seq = held.next_seq()
    parent_key = parent.key if parent else None
    row = tx.first(
        _INSERT,
        id=message_id,
        conversation_id=held.id,
        parent_key=parent_key,
        seq=seq,
        role=role,
        status=status,
        now=now,
        generation_id=generation_id,
        provider=provider,
        model=model,
        content=content,
        **_stored_manner(manner),
    )
    assert row is not None
    message = Message(
        id=message_id,
        conversation_id=held.id,
        seq=seq,
        parent_id=parent.id if parent else None,
        role=role,
        content=content,
        status=status,
        revision=1,
        created_at=now,
        updated_at=now,
        generation_id=generation_id,
        provider=provider,
        model=model,
        speaker=manner.speaker,
        mode=manner.mode,
        audience=manner.audience,
    )
    held.move_leaf(message_id, row.key)
    held.count(messages=1, characters=len(content))
    held.happened("message_added", seq, message, row.key)
    return StoredMessage(row.key, parent_key, message)


def reopen_message(
    tx: Writer, held: HeldConversation, stored: StoredMessage, *, generation_id: GenerationId
) -> StoredMessage:
    """The message goes on growing under a new generation; its text is kept."""
    tx.run(_REOPEN, at=stored.key, generation_id=generation_id, now=tx.now())
    return report_change(tx, held, stored.key)


def begin_streaming(tx: Writer, key: int) -> None:
    """The reply has its first words. Followers see that by the words themselves."""
    tx.run(_BEGIN_STREAMING, at=key)


def close_message(
    tx: Writer,
    held: HeldConversation,
    key: int,
    *,
    start_offset: int,
    content: str,
    status: MessageStatus,
    model: str | None,
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    finish_reason: FinishReason | None = None,
    error: ReplyError | None = None,
    parts: Sequence[Part],
) -> StoredMessage:
    """The reply has its final text and state; the change is told when `held` is saved.

    `start_offset` is how many characters its row had, which its generation began with.
    Raises NotFound when its row is missing, which `restore_reply` mends.
    """
    closed = tx.run(
        _CLOSE,
        at=key,
        content=content,
        status=status,
        now=tx.now(),
        model=model,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        finish_reason=finish_reason,
        error_code=error.code if error else None,
        error_message=error.message if error else None,
        error_retryable=int(error.retryable) if error else None,
        error_retry_after=round(error.retry_after)
        if error and error.retry_after is not None
        else None,
        parts=written_parts(parts),
    )
    if closed:
        held.count(characters=len(content) - start_offset)
    return report_change(tx, held, key)


def set_marks(tx: Writer, key: int, *, bookmark: str | None, hidden_from_ai: bool) -> None:
    """The message bears this note, None: no bookmark; models are told of it, or not."""
    tx.run(_MARK, at=key, bookmark=bookmark, hidden_from_ai=int(hidden_from_ai))


def bookmarked_messages(tx: Reader, conversation_id: ConversationId) -> tuple[Message, ...]:
    """The messages that bear a mark, by `seq`."""
    rows = tx.all(_BOOKMARKED, conversation_id=conversation_id)
    return tuple(stored_message(tx, row).message for row in rows)


def add_copies(
    tx: Writer, held: HeldConversation, copies: Sequence[Message], *, leaf_id: MessageId | None
) -> None:
    """Messages with all they say, parents first, in the log of a conversation that has none yet.

    `leaf_id` is the active leaf. Nobody is told of them one by one: nobody knows the conversation.
    """
    rows: list[dict[str, Any]] = []
    for message in copies:
        error = message.error
        rows.append(
            {
                "id": message.id,
                "conversation_id": held.id,
                "parent_id": message.parent_id,
                "seq": held.next_seq(),
                "role": message.role,
                "status": message.status,
                "revision": message.revision,
                "created_at": message.created_at,
                "updated_at": message.updated_at,
                "provider": message.provider,
                "model": message.model,
                "input_tokens": message.input_tokens,
                "output_tokens": message.output_tokens,
                "finish_reason": message.finish_reason,
                "error_code": error.code if error else None,
                "error_message": error.message if error else None,
                "error_retryable": int(error.retryable) if error else None,
                "error_retry_after": error.retry_after if error else None,
                "bookmark": message.bookmark,
                "content": message.content,
                **_stored_manner(message.manner),
                "hidden_from_ai": int(message.hidden_from_ai),
                "parts": written_parts(message.parts),
            }
        )
    if not rows:
        return
    tx.run_many(_COPY, rows)
    now = tx.now()
    tx.run_many(
        _COPY_EVENT,
        [{"log_id": held.id, "seq": row["seq"], "at": now, "added_id": row["id"]} for row in rows],
    )
    held.count(messages=len(copies), characters=sum(len(each.content) for each in copies))
    leaf = None if leaf_id is None else find_message(tx, leaf_id)
    if leaf is not None:
        held.move_leaf(leaf.message.id, leaf.key)


def restore_reply(tx: Writer, held: HeldConversation, reply: Message) -> int:
    """A reply whose row something else removed stands again, as a new node; its key.

    Nothing of ours removes it while it grows. But what was said must not be lost with it (FR-007).
    """
    parent = None if reply.parent_id is None else find_message(tx, reply.parent_id)
    restored = add_message(
        tx,
        held,
        reply.id,
        parent=parent.place if parent else None,
        role=reply.role,
        status="streaming",
        generation_id=reply.generation_id,
        provider=reply.provider,
        manner=reply.manner,
    )
    # Whatever removed the row told nobody: it is still counted.
    held.count(messages=-1)
    tx.run(_FOLLOW_RESTORED, of_generation=reply.generation_id, to_key=restored.key)
    return restored.key


def report_change(tx: Writer, held: HeldConversation, key: int) -> StoredMessage:
    """The message as it is now, which followers are told when `held` is saved."""
    changed = message_at(tx, key)
    held.happened("message_changed", held.next_seq(), changed.message, key)
    return changed


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


def _stored_manner(manner: Manner) -> dict[str, Any]:
    speaker = manner.speaker
    return {
        "speaker_id": None if speaker is None else speaker.id,
        "speaker_name": None if speaker is None else speaker.name,
        "mode": manner.mode,
        "audience": written_audience(manner.audience),
    }
