"""Messages in the store: nodes of a tree.

The text of a reply that still grows is its content plus the chunks of its generation, and every
function of the store gives it so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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
from talekeeper.store.prepared import Row, named, prepared
from talekeeper.store.sql import (
    FromClause,
    bindparam,
    chunks,
    conversations,
    events,
    func,
    generations,
    insert,
    messages,
    null,
    select,
    update,
)
from talekeeper.store.thoughts import reasoning_so_far
from talekeeper.store.units import Reader, Writer

_m = messages.c
_parent = messages.alias("parent")
MESSAGE_COLUMNS = (
    _m.key,
    _m.parent_key,
    _m.id,
    _m.conversation_id,
    _m.seq,
    _parent.c.id.label("parent_id"),
    _m.role,
    _m.content,
    _m.status,
    _m.revision,
    _m.created_at,
    _m.updated_at,
    _m.generation_id,
    _m.provider,
    _m.model,
    _m.input_tokens,
    _m.output_tokens,
    _m.finish_reason,
    _m.error_code,
    _m.error_message,
    _m.error_retryable,
    _m.error_retry_after,
    _m.bookmark,
    _m.deleted_at,
    _m.deleted_by,
    _m.emptied_at,
    _m.speaker_id,
    _m.speaker_name,
    _m.mode,
    _m.audience,
    _m.hidden_from_ai,
    _m.parts,
)


def with_parent(rows: FromClause) -> FromClause:
    """Those rows, among them the messages', and beside each message its parent.

    Never the other way round, as a join within a join: SQLite would go through every message.
    """
    return rows.outerjoin(_parent, _parent.c.key == _m.parent_key)


MESSAGES_WITH_PARENT = with_parent(messages)
_select = select(*MESSAGE_COLUMNS).select_from(MESSAGES_WITH_PARENT)

_BY_ID = prepared(_select.where(_m.id == bindparam("id")))
_BY_KEY = prepared(_select.where(_m.key == bindparam("key")))
_OWNED = prepared(
    select(*MESSAGE_COLUMNS)
    .select_from(MESSAGES_WITH_PARENT.join(conversations, conversations.c.id == _m.conversation_id))
    .where(
        _m.id == bindparam("id"),
        conversations.c.owner_id == bindparam("owner_id"),
        conversations.c.removed_at.is_(None),
    )
)

_INSERT = prepared(
    insert(messages)
    .values(
        named(
            "id",
            "conversation_id",
            "parent_key",
            "seq",
            "role",
            "status",
            "created_at",
            "updated_at",
            "generation_id",
            "provider",
            "model",
            "content",
            "speaker_id",
            "speaker_name",
            "mode",
            "audience",
        )
        | {"revision": 1}
    )
    .returning(_m.key)
)
_REOPEN = prepared(
    update(messages)
    .where(_m.key == bindparam("at"))
    .values(
        status="pending",
        revision=_m.revision + 1,
        generation_id=bindparam("by"),
        updated_at=bindparam("now"),
        finish_reason=null(),
        error_code=null(),
        error_message=null(),
        error_retryable=null(),
        error_retry_after=null(),
    )
)
_BEGIN_STREAMING = prepared(
    update(messages)
    .where(_m.key == bindparam("at"), _m.status == "pending")
    .values(status="streaming", revision=_m.revision + 1)
)
_CLOSE = prepared(
    update(messages)
    .where(_m.key == bindparam("at"))
    .values(
        content=bindparam("text"),
        status=bindparam("final"),
        revision=_m.revision + 1,
        updated_at=bindparam("now"),
        model=bindparam("by_model"),
        input_tokens=bindparam("input"),
        output_tokens=bindparam("output"),
        finish_reason=bindparam("finish"),
        error_code=bindparam("code"),
        error_message=bindparam("reason"),
        error_retryable=bindparam("retryable"),
        error_retry_after=bindparam("retry_after"),
        parts=bindparam("all_parts"),
    )
)


_FOLLOW_RESTORED = prepared(
    update(generations)
    .where(generations.c.id == bindparam("of_generation"))
    .values(message_key=bindparam("to_key"))
)


_FIRST_CHILD = prepared(
    select(func.min(_m.key)).where(
        _m.parent_key == bindparam("parent_key"),
        _m.conversation_id == bindparam("conversation_id"),
        _m.deleted_by.is_(None),
    )
)
_FIRST_ROOT = prepared(
    select(func.min(_m.key)).where(
        _m.parent_key.is_(None),
        _m.conversation_id == bindparam("conversation_id"),
        _m.deleted_by.is_(None),
    )
)
_FIRST_REPLY = prepared(
    _select.where(
        _m.parent_key == bindparam("parent_key"),
        _m.conversation_id == bindparam("conversation_id"),
        _m.role == "assistant",
        _m.deleted_by.is_(None),
    )
    .order_by(_m.key)
    .limit(1)
)
_MARK = prepared(
    update(messages)
    .where(_m.key == bindparam("at"))
    .values(
        bookmark=bindparam("note"),
        hidden_from_ai=bindparam("hidden"),
        revision=_m.revision + 1,
    )
)
_BOOKMARKED = prepared(
    _select.where(
        _m.conversation_id == bindparam("conversation_id"),
        _m.bookmark.is_not(None),
        _m.deleted_by.is_(None),
    ).order_by(_m.seq)
)
_elder = messages.alias("elder")
_COPY = prepared(
    insert(messages).values(
        named(
            "id",
            "conversation_id",
            "seq",
            "role",
            "status",
            "revision",
            "created_at",
            "updated_at",
            "provider",
            "model",
            "input_tokens",
            "output_tokens",
            "finish_reason",
            "error_code",
            "error_message",
            "error_retryable",
            "error_retry_after",
            "bookmark",
            "content",
            "speaker_id",
            "speaker_name",
            "mode",
            "audience",
            "hidden_from_ai",
            "parts",
        )
        | {
            "parent_key": select(_elder.c.key)
            .where(_elder.c.id == bindparam("parent_id"))
            .scalar_subquery()
        }
    )
)
_COPY_EVENT = prepared(
    insert(events).values(
        named("conversation_id", "seq")
        | {
            "kind": "message_added",
            "message_key": select(_elder.c.key)
            .where(_elder.c.id == bindparam("added_id"))
            .scalar_subquery(),
        }
    )
)
_SAYS = prepared(
    select(_m.content, _m.status, _m.generation_id).where(
        _m.id == bindparam("id"), _m.conversation_id == bindparam("conversation_id")
    )
)
_GROWN = prepared(
    select(chunks.c.text)
    .where(chunks.c.generation_id == bindparam("generation_id"))
    .order_by(chunks.c.start_offset)
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
        created_at=now,
        updated_at=now,
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
    held.move_leaf(message_id, row[0])
    held.count(messages=1, characters=len(content))
    held.happened("message_added", seq, message, row[0])
    return StoredMessage(row[0], parent_key, message)


def reopen_message(
    tx: Writer, held: HeldConversation, stored: StoredMessage, *, generation_id: GenerationId
) -> StoredMessage:
    """The message goes on growing under a new generation; its text is kept."""
    tx.run(_REOPEN, at=stored.key, by=generation_id, now=tx.now())
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
        text=content,
        final=status,
        now=tx.now(),
        by_model=model,
        input=input_tokens,
        output=output_tokens,
        finish=finish_reason,
        code=error.code if error else None,
        reason=error.message if error else None,
        retryable=int(error.retryable) if error else None,
        retry_after=round(error.retry_after) if error and error.retry_after is not None else None,
        all_parts=written_parts(parts),
    )
    if closed:
        held.count(characters=len(content) - start_offset)
    return report_change(tx, held, key)


def set_marks(tx: Writer, key: int, *, bookmark: str | None, hidden_from_ai: bool) -> None:
    """The message bears this note, None: no bookmark; models are told of it, or not."""
    tx.run(_MARK, at=key, note=bookmark, hidden=int(hidden_from_ai))


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
    tx.run_many(
        _COPY_EVENT,
        [{"conversation_id": held.id, "seq": row["seq"], "added_id": row["id"]} for row in rows],
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
    return row is not None and row[0] is not None and row[0] < stored.key


def first_reply(tx: Reader, stored: StoredMessage) -> StoredMessage | None:
    """The eldest reply to a message; None where it was never answered."""
    row = tx.first(
        _FIRST_REPLY,
        parent_key=stored.key,
        conversation_id=stored.message.conversation_id,
    )
    return None if row is None else stored_message(tx, row)


def stored_message(tx: Reader, row: Row) -> StoredMessage:
    """The message in a row that begins with MESSAGE_COLUMNS."""
    return StoredMessage(row[0], row[1], Message(**_state(tx, row)), row[24], row[25] is not None)


def path_message(tx: Reader, row: Row, *, sibling_ids: tuple[MessageId, ...]) -> PathMessage:
    """The message in such a row, with all children of its parent."""
    return PathMessage(**_state(tx, row), sibling_ids=sibling_ids)


def content_of(tx: Reader, conversation_id: ConversationId, message_id: MessageId) -> str:
    """What that message of the conversation says; nothing where there is none any more."""
    row = tx.first(_SAYS, id=message_id, conversation_id=conversation_id)
    return "" if row is None else whole_content(tx, row[0], row[1], row[2])


def whole_content(
    tx: Reader, content: str, status: MessageStatus, generation_id: str | None
) -> str:
    """What a message says, the checkpoints of a growing one included."""
    if status not in IN_FLIGHT or generation_id is None:
        return content
    return content + "".join(chunk for (chunk,) in tx.all(_GROWN, generation_id=generation_id))


def _state(tx: Reader, row: Row) -> dict[str, Any]:
    generation_id = row[12]
    error = None
    if row[18] is not None:
        error = ReplyError(row[18], row[19] or "", bool(row[20]), row[21])
    return {
        "id": row[2],
        "conversation_id": row[3],
        "seq": row[4],
        "parent_id": row[5],
        "role": row[6],
        "content": whole_content(tx, row[7], row[8], generation_id),
        "status": row[8],
        "revision": row[9],
        "created_at": row[10],
        "updated_at": row[11],
        "generation_id": generation_id,
        "provider": row[13],
        "model": row[14],
        "input_tokens": row[15],
        "output_tokens": row[16],
        "finish_reason": row[17],
        "error": error,
        "bookmark": row[22],
        "deleted_at": row[23],
        "speaker": None if row[27] is None else Speaker(row[27], row[26]),
        "mode": row[28],
        "audience": audience_in(row[29]),
        "hidden_from_ai": bool(row[30]),
        "parts": _whole_parts(tx, row[0], row[31], row[8]),
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
