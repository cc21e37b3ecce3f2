"""Clearing: a conversation begins anew under its name, and what was said is in the trash."""

from dataclasses import dataclass

from talekeeper.conversations.ending import known_successor
from talekeeper.conversations.succeeding import open_successor
from talekeeper.conversations.trashing import quiet, when_quiet
from talekeeper.database import Store, Writer
from talekeeper.domain.conversations import Cleared
from talekeeper.generation.running import Generations
from talekeeper.ids import AccountId, ConversationId
from talekeeper.store.holding import hold_conversation


@dataclass(frozen=True, slots=True)
class ClearOutcome:
    """What was put away and opened, and whether that had been done before."""

    cleared: Cleared
    is_repeated: bool


async def clear_conversation(
    store: Store,
    generations: Generations,
    conversation_id: ConversationId,
    new_id: ConversationId,
    *,
    owner_id: AccountId,
) -> ClearOutcome:
    """It is in the trash; an empty one has its title, purpose, choices, pin and part.

    Restoring it in place of the new one takes all of that back. The same `new_id` again changes
    nothing. Raises NotFound, IdReused.
    """

    def unit(tx: Writer, *, may_wait: bool) -> ClearOutcome:
        held = hold_conversation(tx, conversation_id, owner_id=owner_id)
        known = known_successor(tx, held, new_id)
        if known is not None:
            return ClearOutcome(Cleared(held.conversation, known), True)
        quiet(tx, held, may_wait=may_wait)
        before = held.conversation
        role = held.role if before.is_current else None
        if role is not None:
            held.role = None
        if before.deleted_at is None:
            held.change(deleted_at=tx.now())
            held.changed()
            held.save(tx)
        opened = open_successor(
            tx,
            before,
            new_id,
            owner_id=owner_id,
            title=before.title,
            title_by=held.title_by,
            role=role,
        )
        opened.change(pinned=before.pinned)
        opened.changed()
        return ClearOutcome(Cleared(held.conversation, opened.save(tx)), False)

    return await when_quiet(store, generations, conversation_id, owner_id=owner_id, unit=unit)
