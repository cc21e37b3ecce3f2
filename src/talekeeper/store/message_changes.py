"""Message changes: messages are added to a held conversation, grow, are closed and marked."""

from collections.abc import Sequence
from typing import Any

from talekeeper.database.statements import statement
from talekeeper.database.units import Writer
from talekeeper.domain.audiences import written_audience
from talekeeper.domain.conversations import (
    USUAL_MANNER,
    FinishReason,
    Manner,
    Message,
    MessageStatus,
    ReplyError,
    Role,
)
from talekeeper.domain.parts import Part, written_parts
from talekeeper.ids import GenerationId, MessageId
from talekeeper.store.holding import HeldConversation
from talekeeper.store.messages import Place, StoredMessage, find_message, message_at

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

_MARK = statement(
    """
    UPDATE messages
    SET bookmark = :bookmark, hidden_from_ai = :hidden_from_ai, revision = revision + 1
    WHERE key = :at
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


def add_copies(
    tx: Writer, held: HeldConversation, copies: Sequence[Message], *, leaf_id: MessageId | None
) -> None:
    """Messages with all they say, parents first, in the log of a conversation that has none yet.

    `leaf_id` is the active leaf. No follower is told of each message: none knows the conversation yet.
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
    # The row was removed without an event, so the conversation still counts it.
    held.count(messages=-1)
    tx.run(_FOLLOW_RESTORED, of_generation=reply.generation_id, to_key=restored.key)
    return restored.key


def report_change(tx: Writer, held: HeldConversation, key: int) -> StoredMessage:
    """The message as it is now, which followers are told when `held` is saved."""
    changed = message_at(tx, key)
    held.happened("message_changed", held.next_seq(), changed.message, key)
    return changed


def _stored_manner(manner: Manner) -> dict[str, Any]:
    speaker = manner.speaker
    return {
        "speaker_id": None if speaker is None else speaker.id,
        "speaker_name": None if speaker is None else speaker.name,
        "mode": manner.mode,
        "audience": written_audience(manner.audience),
    }
