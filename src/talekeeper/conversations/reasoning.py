"""Reasoning: what a model thought for a reply, read on demand and followed while it grows."""

from talekeeper.database import Reader, Store
from talekeeper.domain.conversations import IN_FLIGHT
from talekeeper.domain.parts import Reasoning, Thoughts
from talekeeper.errors import NotFound
from talekeeper.ids import AccountId, MessageId
from talekeeper.store.messages import get_message
from talekeeper.store.thoughts import thought_at


async def read_reasoning(
    store: Store, message_id: MessageId, position: int, *, owner_id: AccountId, after: int = 0
) -> Thoughts:
    """The text of the reasoning at `position` among the message's parts, from `after` on.

    Raises NotFound when the message is absent, another account's or taken back, or has no reasoning
    there.
    """

    def unit(tx: Reader) -> Thoughts:
        stored = get_message(tx, message_id, owner_id=owner_id)
        parts = stored.message.parts
        part = parts[position] if position < len(parts) else None
        if stored.is_hidden or not isinstance(part, Reasoning):
            raise NotFound("There is no such reasoning. The message may have been deleted.")
        is_last = position == len(parts) - 1
        grows = is_last and part.ms is None and stored.message.status in IN_FLIGHT
        return Thoughts(after, thought_at(tx, stored.key, position)[after:], grows)

    return await store.read(unit)
