"""Bookmarking: a person's mark on a message, with a note or without one."""

from talekeeper.domain.conversations import Message
from talekeeper.errors import NotFound
from talekeeper.ids import AccountId, ConversationId, MessageId
from talekeeper.store import Reader, Store, Writer
from talekeeper.store.conversations import get_conversation, hold_conversation
from talekeeper.store.messages import (
    bookmarked_messages,
    get_message,
    report_change,
    set_bookmark,
)


async def bookmark_message(
    store: Store, message_id: MessageId, bookmark: str | None, *, owner_id: AccountId
) -> Message:
    """The message bears this note, an empty one for a mark alone; None takes the mark away.

    Raises NotFound when it is absent, another account's, or taken back.
    """
    known = await store.read(lambda tx: get_message(tx, message_id, owner_id=owner_id))
    conversation_id = known.message.conversation_id

    def unit(tx: Writer) -> Message:
        held = hold_conversation(tx, conversation_id, owner_id=owner_id)
        stored = get_message(tx, message_id, owner_id=owner_id)
        if stored.is_hidden:
            raise NotFound("This message was deleted. Restore it first.")
        if stored.message.bookmark == bookmark:
            return stored.message
        set_bookmark(tx, stored.key, bookmark)
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
