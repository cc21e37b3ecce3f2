"""A conversation's log: what happened in it after a place that a follower has seen."""

from talekeeper.database.statements import statement
from talekeeper.database.units import Reader
from talekeeper.ids import ConversationId
from talekeeper.store.messages import MESSAGE_COLUMNS, StoredMessage, stored_message

_AFTER = statement(
    f"""
    SELECT {MESSAGE_COLUMNS}, e.seq AS event_seq
    FROM events AS e
    LEFT JOIN messages AS m ON m.key = e.message_key AND e.kind <> 'message_emptied'
    LEFT JOIN messages AS parent ON parent.key = m.parent_key
    WHERE e.log_kind = 'conversation' AND e.log_id = :conversation_id AND e.seq > :after
    ORDER BY e.seq
    LIMIT :limit
    """
)


def events_after(
    tx: Reader, conversation_id: ConversationId, *, after: int, limit: int
) -> list[tuple[int, StoredMessage | None]]:
    """Up to `limit` events with the message each names, in its present state.

    An event without a message tells that the conversation itself changed, or that a message which
    was taken back long before was emptied.
    """
    rows = tx.all(_AFTER, conversation_id=conversation_id, after=after, limit=limit)
    return [(row.event_seq, None if row.key is None else stored_message(tx, row)) for row in rows]
