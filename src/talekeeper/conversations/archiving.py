"""Archiving: old conversations leave the list together, and stay readable."""

from typing import Final

from talekeeper.clock import Millis
from talekeeper.database import Store, Writer
from talekeeper.ids import AccountId
from talekeeper.store.holding import hold_conversation
from talekeeper.store.listing import long_untouched

_BATCH: Final = 100
"""Conversations archived in one transaction, so that nobody who writes waits for long."""


async def archive_older(store: Store, *, owner_id: AccountId, before: Millis) -> int:
    """All that nothing happened in since then are archived; how many they are.

    Those that are pinned stay, and so does the current one.
    """

    def unit(tx: Writer) -> tuple[int, bool]:
        ids = long_untouched(tx, owner_id=owner_id, before=before, limit=_BATCH)
        count = 0
        for conversation_id in ids:
            held = hold_conversation(tx, conversation_id, owner_id=owner_id)
            found = held.conversation
            # On PostgreSQL something may have happened in it between the look and the lock.
            if found.pinned or found.is_current or held.is_put_away or found.updated_at >= before:
                continue
            held.change(archived_at=tx.now())
            held.changed()
            held.save(tx)
            count += 1
        return count, bool(ids)

    archived = 0
    while True:
        count, is_more = await store.write(unit)
        archived += count
        if not is_more:
            return archived
