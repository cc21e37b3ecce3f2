"""Branching: a message is taken back with all that stands under it, and given back.

What was taken back is in no path, no tree and no search. It is told by the message alone: whoever
knows what stands under it hides that as well.
"""

from talekeeper.database import Store, Writer
from talekeeper.domain.conversations import Conversation
from talekeeper.errors import GenerationRunning, NotFound
from talekeeper.ids import AccountId, MessageId
from talekeeper.store.branches import (
    hide_branch,
    hiding_keys,
    newest_message_key,
    reveal_branch,
    weigh_branch,
    weigh_hidden,
)
from talekeeper.store.holding import HeldConversation, hold_conversation
from talekeeper.store.message_changes import report_change
from talekeeper.store.messages import StoredMessage, get_message, message_at
from talekeeper.store.walking import newest_leaf_under


async def delete_message(
    store: Store, message_id: MessageId, *, owner_id: AccountId
) -> Conversation:
    """The message and all under it are taken back. The active leaf is one that remains.

    Doing it again changes nothing. Raises GenerationRunning while a reply grows there, NotFound.
    """
    known = await store.read(lambda tx: get_message(tx, message_id, owner_id=owner_id))
    conversation_id = known.message.conversation_id

    def unit(tx: Writer) -> Conversation:
        held = hold_conversation(tx, conversation_id, owner_id=owner_id)
        stored = get_message(tx, message_id, owner_id=owner_id)
        if stored.is_hidden:
            return held.conversation
        weight = weigh_branch(tx, stored.key)
        if weight.growing:
            raise GenerationRunning(
                "The AI is answering under this message. Stop it, or wait until it has finished.",
                generation_id=held.conversation.generation_id or "",
            )
        hide_branch(tx, stored.key)
        held.count(messages=-weight.messages, characters=-weight.characters)
        _leave(tx, held, stored)
        report_change(tx, held, stored.key)
        held.changed()
        return held.save(tx)

    return await store.write(unit, conversation_id=conversation_id)


async def restore_message(
    store: Store, message_id: MessageId, *, owner_id: AccountId
) -> Conversation:
    """The message is there again, and what hid it, too. The active leaf is under it.

    Where nothing hides it nothing changes. Raises NotFound, also when it was emptied by now.
    """
    known = await store.read(lambda tx: get_message(tx, message_id, owner_id=owner_id))
    conversation_id = known.message.conversation_id

    def unit(tx: Writer) -> Conversation:
        held = hold_conversation(tx, conversation_id, owner_id=owner_id)
        stored = get_message(tx, message_id, owner_id=owner_id)
        if not stored.is_hidden:
            return held.conversation
        bring_back(tx, held, stored)
        leaf = newest_leaf_under(tx, stored.key)
        held.move_leaf(leaf.message.id, leaf.key)
        held.changed()
        return held.save(tx)

    return await store.write(unit, conversation_id=conversation_id)


def bring_back(tx: Writer, held: HeldConversation, stored: StoredMessage) -> StoredMessage:
    """The message is there, whatever hid it; as it is now. The active leaf stays where it is.

    Raises NotFound when it was taken back so long ago that it was emptied.
    """
    if not stored.is_hidden:
        return stored
    for key in hiding_keys(tx, stored.key):
        weight = weigh_hidden(tx, key)
        if weight.emptied:
            raise NotFound("This was deleted long ago, and what it said has been removed for good.")
        reveal_branch(tx, key)
        held.count(messages=weight.messages, characters=weight.characters)
        report_change(tx, held, key)
    return message_at(tx, stored.key)


def _leave(tx: Writer, held: HeldConversation, stored: StoredMessage) -> None:
    """The active leaf is outside of the branch that was just taken back."""
    if held.leaf_key is None or not message_at(tx, held.leaf_key).is_hidden:
        return
    if stored.parent_key is not None:
        leaf = newest_leaf_under(tx, stored.parent_key)
    elif (newest := newest_message_key(tx, held.id)) is not None:
        leaf = message_at(tx, newest)
    else:
        held.move_leaf(None, None)
        return
    held.move_leaf(leaf.message.id, leaf.key)
