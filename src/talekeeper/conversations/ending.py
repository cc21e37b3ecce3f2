"""Ending: the evening is over. The conversation is archived and another one opened in its place."""

from dataclasses import dataclass
from typing import Final

from talekeeper.conversations.succeeding import open_successor
from talekeeper.database import Store, Writer
from talekeeper.domain.conversations import Conversation, Ended
from talekeeper.errors import IdReused
from talekeeper.ids import AccountId, ConversationId
from talekeeper.store.conversations import current_conversation, find_conversation
from talekeeper.store.holding import HeldConversation, hold_conversation, insert_conversation

_CURRENT: Final = "current_global"


@dataclass(frozen=True, slots=True)
class EndOutcome:
    """What was archived and opened, and whether that had been done before."""

    ended: Ended
    is_repeated: bool


async def end_conversation(
    store: Store,
    conversation_id: ConversationId,
    new_id: ConversationId,
    *,
    owner_id: AccountId,
) -> EndOutcome:
    """It is archived, and a new, empty one is the account's current conversation.

    Where it was the current one itself, its purpose and its choices go over. The same `new_id`
    again changes nothing. Raises NotFound, IdReused.
    """

    def unit(tx: Writer) -> EndOutcome:
        held = hold_conversation(tx, conversation_id, owner_id=owner_id)
        known = known_successor(tx, held, new_id)
        if known is not None:
            return EndOutcome(Ended(held.conversation, known), True)
        before = held.conversation
        if before.is_current:
            held.role = None
        if before.archived_at is None:
            held.change(archived_at=tx.now())
            held.changed()
            held.save(tx)
        _retire_current(tx, owner_id)
        if before.is_current:
            opened = open_successor(tx, before, new_id, owner_id=owner_id, role=_CURRENT)
        else:
            opened = insert_conversation(
                tx, new_id, owner_id=owner_id, title="", purpose="general", role=_CURRENT
            )
        opened.changed()
        return EndOutcome(Ended(held.conversation, opened.save(tx)), False)

    return await store.write(unit, conversation_id=conversation_id)


def known_successor(
    tx: Writer, held: HeldConversation, new_id: ConversationId
) -> Conversation | None:
    """What was opened under this id when it was asked before. Raises IdReused for another's."""
    if new_id == held.id:
        raise IdReused("The new conversation needs an id of its own.")
    known = find_conversation(tx, new_id, owner_id=held.owner_id)
    if known is not None and not held.is_put_away:
        raise IdReused("This id was used before for something else. Send again with a new id.")
    return known


def _retire_current(tx: Writer, owner_id: AccountId) -> None:
    current = current_conversation(tx, owner_id=owner_id)
    if current is None:
        return
    held = hold_conversation(tx, current.id, owner_id=owner_id)
    held.role = None
    held.changed()
    held.save(tx)
