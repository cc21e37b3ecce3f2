"""Removing for good: a conversation that nobody sees any more goes row by row, youngest first.

It is gone for everybody with one commit; its rows follow in batches, so that nobody who writes waits
for a long one. Should the process die between two, what is left goes later.
"""

from talekeeper.clock import Millis
from talekeeper.domain.events import Recorded
from talekeeper.ids import AccountId, ConversationId
from talekeeper.store.conversations import HeldConversation
from talekeeper.store.indexing import forget_added_since
from talekeeper.store.prepared import prepared
from talekeeper.store.sql import (
    bindparam,
    conversations,
    delete,
    events,
    messages,
    null,
    or_,
    select,
    update,
)
from talekeeper.store.units import Reader, Writer

_c, _e = conversations.c, events.c

_REMOVE = prepared(
    update(conversations)
    .where(_c.id == bindparam("conversation_id"))
    .values(removed_at=bindparam("now"), leaf_key=null(), role=null())
)
_DUE = prepared(
    select(_c.id, _c.owner_id, _c.removed_at)
    .where(
        _c.deleted_at.is_not(None),
        or_(_c.deleted_at < bindparam("before"), _c.removed_at.is_not(None)),
    )
    .order_by(_c.deleted_at)
    .limit(bindparam("limit"))
)
_LAST = prepared(
    select(_e.seq)
    .where(_e.conversation_id == bindparam("conversation_id"))
    .order_by(_e.seq.desc())
    .limit(bindparam("limit"))
)
_later = (_e.conversation_id == bindparam("conversation_id"), _e.seq >= bindparam("first"))
_REMOVE_MESSAGES = prepared(
    delete(messages).where(
        messages.c.key.in_(select(_e.message_key).where(*_later, _e.kind == "message_added"))
    )
)
_REMOVE_EVENTS = prepared(delete(events).where(*_later))
_SHORTEN = prepared(
    update(conversations).where(_c.id == bindparam("conversation_id")).values(seq=bindparam("last"))
)
_REMOVE_ROW = prepared(
    delete(conversations).where(_c.id == bindparam("conversation_id"), _c.removed_at.is_not(None))
)


def remove_conversation(tx: Writer, held: HeldConversation) -> None:
    """It is there for nobody any more. Its rows go with `remove_rows`."""
    tx.run(_REMOVE, conversation_id=held.id, now=tx.now())
    conversation = held.conversation
    tx.tell(Recorded(held.owner_id, held.id, conversation.seq, "gone", conversation))


def remove_rows(tx: Writer, conversation_id: ConversationId, *, limit: int) -> bool:
    """Up to `limit` events go, with the messages that they added. False when nothing is left."""
    seqs = [row[0] for row in tx.all(_LAST, conversation_id=conversation_id, limit=limit)]
    if not seqs:
        return tx.run(_REMOVE_ROW, conversation_id=conversation_id) > 0
    forget_added_since(tx, conversation_id, first=seqs[-1])
    tx.run(_REMOVE_MESSAGES, conversation_id=conversation_id, first=seqs[-1])
    tx.run(_REMOVE_EVENTS, conversation_id=conversation_id, first=seqs[-1])
    tx.run(_SHORTEN, conversation_id=conversation_id, last=seqs[-1] - 1)
    return True


def long_in_trash(
    tx: Reader, *, before: Millis, limit: int
) -> list[tuple[ConversationId, AccountId, bool]]:
    """Conversations put in the trash before then, or going already, which the last value says."""
    rows = tx.all(_DUE, before=before, limit=limit)
    return [(ConversationId(row[0]), AccountId(row[1]), row[2] is not None) for row in rows]
