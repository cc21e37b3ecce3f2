"""Opening, naming and choosing: what is done to a conversation as a whole."""

from talekeeper.domain.changes import KEPT, Kept
from talekeeper.domain.conversations import Conversation, ConversationPage, Purpose
from talekeeper.errors import InvalidInput
from talekeeper.ids import AccountId, ConversationId, MessageId, fresh_id
from talekeeper.store import Reader, Store, Writer
from talekeeper.store.conversations import (
    HeldConversation,
    conversation_page,
    current_conversation,
    hold_conversation,
    insert_conversation,
)
from talekeeper.store.messages import find_message
from talekeeper.store.walking import newest_leaf_under


async def open_conversation(
    store: Store,
    *,
    owner_id: AccountId,
    title: str | None = None,
    purpose: Purpose = "general",
    provider: str | None = None,
    model: str | None = None,
) -> Conversation:
    """A new, empty conversation. It is not made the current one.

    Without a title it takes one from the first thing that is said in it.
    """
    _check_choice(provider, model)
    conversation_id = ConversationId(fresh_id())
    return await store.write(
        lambda tx: insert_conversation(
            tx,
            conversation_id,
            owner_id=owner_id,
            title=title or "",
            purpose=purpose,
            provider=provider,
            model=model,
        ),
        conversation_id=conversation_id,
    )


async def current(store: Store, *, owner_id: AccountId) -> tuple[Conversation, bool]:
    """The account's current global conversation, and whether it was opened just now."""
    conversation_id = ConversationId(fresh_id())

    def unit(tx: Writer) -> tuple[Conversation, bool]:
        found = current_conversation(tx, owner_id=owner_id)
        if found is not None:
            return found, False
        opened = insert_conversation(
            tx,
            conversation_id,
            owner_id=owner_id,
            title="",
            purpose="general",
            role="current_global",
        )
        return opened, True

    found = await store.read(lambda tx: current_conversation(tx, owner_id=owner_id))
    if found is not None:
        return found, False
    return await store.write(unit)


async def change_conversation(
    store: Store,
    conversation_id: ConversationId,
    *,
    owner_id: AccountId,
    title: str | Kept = KEPT,
    provider: str | Kept | None = KEPT,
    model: str | Kept | None = KEPT,
    leaf_id: MessageId | Kept = KEPT,
) -> Conversation:
    """What is given is changed, in one transaction.

    A `leaf_id` switches to the branch of that message: the active leaf becomes the newest message
    under it. Raises InvalidInput when the message is not of this conversation.
    """

    def unit(tx: Writer) -> Conversation:
        held = hold_conversation(tx, conversation_id, owner_id=owner_id)
        before = held.conversation
        if not isinstance(title, Kept):
            held.change(title=title)
        if not isinstance(provider, Kept):
            held.change(provider=provider)
        if not isinstance(model, Kept):
            held.change(model=model)
        if not isinstance(leaf_id, Kept):
            _switch_branch(tx, held, leaf_id)
        _check_choice(held.conversation.provider, held.conversation.model)
        if held.conversation == before:
            return before
        held.happened("conversation", held.next_seq())
        return held.save(tx)

    return await store.write(unit, conversation_id=conversation_id)


def _check_choice(provider: str | None, model: str | None) -> None:
    if model is not None and provider is None:
        raise InvalidInput("A model needs its provider: name both, or neither.")


def _switch_branch(tx: Writer, held: HeldConversation, message_id: MessageId) -> None:
    chosen = find_message(tx, message_id)
    if chosen is None or chosen.message.conversation_id != held.id:
        raise InvalidInput("There is no such message in this conversation.")
    leaf = newest_leaf_under(tx, chosen)
    held.move_leaf(leaf.message.id, leaf.key)


async def list_conversations(
    store: Store, *, owner_id: AccountId, cursor: str | None, limit: int
) -> ConversationPage:
    """The account's conversations, newest activity first. Raises InvalidInput for a bad cursor."""
    after = None if cursor is None else _parsed(cursor)

    def unit(tx: Reader) -> ConversationPage:
        return conversation_page(tx, owner_id=owner_id, after=after, limit=limit)

    return await store.read(unit)


def _parsed(cursor: str) -> tuple[int, str]:
    rank, dot, conversation_id = cursor.partition(".")
    if not dot or not rank.isascii() or not rank.isdigit() or len(rank) > 18:
        raise InvalidInput("This cursor is not one that was given out. Start from the first page.")
    return int(rank), conversation_id
