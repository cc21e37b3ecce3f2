"""Copying: a branch, or the whole tree, as a conversation of its own.

A copied message's id is made of the new conversation's and its own, so that copying again with the
same id finds what was copied.
"""

from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID, uuid5

from talekeeper.domain.conversations import IN_FLIGHT, Conversation, Message
from talekeeper.errors import GenerationRunning, IdReused, NotFound
from talekeeper.ids import AccountId, ConversationId, MessageId
from talekeeper.store import Store, Writer
from talekeeper.store.conversations import (
    HeldConversation,
    find_conversation,
    hold_conversation,
    insert_conversation,
)
from talekeeper.store.messages import add_copies, find_message
from talekeeper.store.walking import path_to, tree_page

_ALL: Final = 2_000_000_000


@dataclass(frozen=True, slots=True)
class CopyOutcome:
    """The copy, and whether it had been made before."""

    conversation: Conversation
    is_repeated: bool


async def copy_conversation(
    store: Store,
    conversation_id: ConversationId,
    new_id: ConversationId,
    *,
    owner_id: AccountId,
    leaf_id: MessageId | None = None,
) -> CopyOutcome:
    """A conversation with the path to `leaf_id`, or with the whole tree where it is None.

    Title, purpose and choices go over, and of the messages everything but their generations.
    Raises GenerationRunning while a copied reply grows, NotFound, IdReused.
    """

    def unit(tx: Writer) -> CopyOutcome:
        held = hold_conversation(tx, conversation_id, owner_id=owner_id)
        originals = _originals(tx, held, leaf_id)
        known = find_conversation(tx, new_id, owner_id=owner_id)
        if known is not None:
            if originals:
                is_copy = find_message(tx, _copied_id(new_id, originals[0].id)) is not None
            else:
                is_copy = known.message_count == 0
            if not is_copy:
                raise IdReused("This id was used before for something else. Take a new one.")
            return CopyOutcome(known, True)
        for message in originals:
            if message.status in IN_FLIGHT:
                raise GenerationRunning(
                    "The AI is still answering in what is to be copied. Wait for it or stop it.",
                    generation_id=message.generation_id or "",
                )
        before = held.conversation
        copy = insert_conversation(
            tx,
            new_id,
            owner_id=owner_id,
            title=before.title,
            title_by=held.title_by,
            purpose=before.purpose,
            provider=before.provider,
            model=before.model,
        )
        copy.change(sampling=before.sampling)
        copies = [_copied(new_id, message) for message in originals]
        leaf = _copied_id(new_id, leaf_id or before.leaf_id or MessageId(""))
        add_copies(tx, copy, copies, leaf_id=leaf if copies else None)
        copy.changed()
        return CopyOutcome(copy.save(tx), False)

    return await store.write(unit, conversation_id=conversation_id)


def _originals(
    tx: Writer, held: HeldConversation, leaf_id: MessageId | None
) -> tuple[Message, ...]:
    """What is copied, parents before their children."""
    if leaf_id is None:
        return tree_page(tx, held.id, after=0, limit=_ALL).items
    leaf = find_message(tx, leaf_id)
    if leaf is None or leaf.message.conversation_id != held.id or leaf.is_hidden:
        raise NotFound("There is no such message in this conversation.")
    return path_to(tx, leaf.key, limit=_ALL)


def _copied_id(new_id: ConversationId, message_id: MessageId) -> MessageId:
    return MessageId(str(uuid5(UUID(new_id), message_id)))


def _copied(new_id: ConversationId, message: Message) -> Message:
    return replace(
        message,
        id=_copied_id(new_id, message.id),
        conversation_id=new_id,
        parent_id=None if message.parent_id is None else _copied_id(new_id, message.parent_id),
        generation_id=None,
        revision=1,
    )
