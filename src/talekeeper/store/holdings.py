"""What an account holds: totals by list, the largest conversations and the longest untouched."""

from talekeeper.database.statements import statement
from talekeeper.database.units import Reader
from talekeeper.domain.conversations import Holding, Holdings
from talekeeper.ids import AccountId
from talekeeper.store.conversations import CONVERSATIONS, conversation_in

_TOTALS = statement(
    """
    SELECT
        CASE
            WHEN deleted_at IS NOT NULL THEN 'trash'
            WHEN archived_at IS NOT NULL THEN 'archived'
            ELSE 'active'
        END AS state,
        count(*) AS conversations,
        sum(message_count) AS messages,
        sum(characters) AS characters
    FROM conversations
    WHERE owner_id = :owner_id AND removed_at IS NULL
    GROUP BY state
    """
)
_LARGEST = statement(
    f"""
    {CONVERSATIONS} AND c.owner_id = :owner_id
    ORDER BY c.characters DESC, c.id
    LIMIT :limit
    """
)
_OLDEST = statement(
    f"""
    {CONVERSATIONS} AND c.owner_id = :owner_id AND c.archived_at IS NULL AND c.deleted_at IS NULL
    ORDER BY c.updated_at, c.id
    LIMIT :limit
    """
)


def holdings(tx: Reader, *, owner_id: AccountId, most: int) -> Holdings:
    """Of one account; `most` conversations are named in either list."""
    totals = {
        row.state: Holding(int(row.conversations), int(row.messages), int(row.characters))
        for row in tx.all(_TOTALS, owner_id=owner_id)
    }
    nothing = Holding(0, 0, 0)
    return Holdings(
        active=totals.get("active", nothing),
        archived=totals.get("archived", nothing),
        trash=totals.get("trash", nothing),
        largest=tuple(map(conversation_in, tx.all(_LARGEST, owner_id=owner_id, limit=most))),
        oldest=tuple(map(conversation_in, tx.all(_OLDEST, owner_id=owner_id, limit=most))),
    )
