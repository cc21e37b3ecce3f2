"""The event log: what happened in a conversation after a place that a follower has seen."""

from talekeeper.ids import ConversationId
from talekeeper.store.messages import (
    MESSAGE_COLUMNS,
    StoredMessage,
    stored_message,
    with_parent,
)
from talekeeper.store.prepared import prepared
from talekeeper.store.sql import bindparam, events, messages, select
from talekeeper.store.units import Reader

_AFTER = prepared(
    select(*MESSAGE_COLUMNS, events.c.seq)
    .select_from(with_parent(events.outerjoin(messages, messages.c.key == events.c.message_key)))
    .where(
        events.c.conversation_id == bindparam("conversation_id"),
        events.c.seq > bindparam("after"),
    )
    .order_by(events.c.seq)
    .limit(bindparam("limit"))
)


def events_after(
    tx: Reader, conversation_id: ConversationId, *, after: int, limit: int
) -> list[tuple[int, StoredMessage | None]]:
    """Up to `limit` events with the message each names, in its present state.

    An event that names no message tells that the conversation itself changed.
    """
    rows = tx.all(_AFTER, conversation_id=conversation_id, after=after, limit=limit)
    return [(row[-1], None if row[0] is None else stored_message(tx, row)) for row in rows]
