"""Marking: a bookmark on a message, and whether models are told of it."""

from talekeeper.database import Reader, Store, Writer
from talekeeper.domain.changes import KEPT, Kept
from talekeeper.domain.conversations import Message
from talekeeper.errors import NotFound
from talekeeper.ids import AccountId, ConversationId, MessageId
from talekeeper.store.conversations import get_conversation
from talekeeper.store.holding import hold_conversation
from talekeeper.store.message_changes import report_change, set_marks
from talekeeper.store.messages import bookmarked_messages, get_message


async def mark_message(
    store: Store,
    message_id: MessageId,
    *,
    owner_id: AccountId,
    bookmark: str | Kept | None = KEPT,
    hidden_from_ai: bool | Kept = KEPT,
) -> Message:
    """The message bears these marks; what is not given is kept.

    An empty `bookmark` is a mark without a note, None takes it away. No model is sent a message that
    is `hidden_from_ai`. Raises NotFound when it is absent, another account's, or taken back.
    """
    known = await store.read(lambda tx: get_message(tx, message_id, owner_id=owner_id))
    conversation_id = known.message.conversation_id

    def unit(tx: Writer) -> Message:
        held = hold_conversation(tx, conversation_id, owner_id=owner_id)
        stored = get_message(tx, message_id, owner_id=owner_id)
        if stored.is_hidden:
            raise NotFound("This message was deleted. Restore it first.")
        before = stored.message
        note = before.bookmark if isinstance(bookmark, Kept) else bookmark
        hidden = before.hidden_from_ai if isinstance(hidden_from_ai, Kept) else hidden_from_ai
        if (note, hidden) == (before.bookmark, before.hidden_from_ai):
            return before
        set_marks(tx, stored.key, bookmark=note, hidden_from_ai=hidden)
        changed = report_change(tx, held, stored.key)
        held.save(tx)
        return changed.message

    return await store.write(unit, conversation_id=conversation_id)


async def list_bookmarks(
    store: Store, conversation_id: ConversationId, *, owner_id: AccountId
) -> tuple[Message, ...]:
    """The conversation's bookmarked messages, by `seq`."""

    def unit(tx: Reader) -> tuple[Message, ...]:
        get_conversation(tx, conversation_id, owner_id=owner_id)
        return bookmarked_messages(tx, conversation_id)

    return await store.read(unit)
