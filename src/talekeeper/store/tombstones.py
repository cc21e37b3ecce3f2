"""Tombstones: the events that tell what is no more.

A message that is emptied has one in its conversation's log, a conversation that is removed for good
has one in its account's. A follower that has passed it keeps nothing of what it names. A tombstone
holds an id or a key and the time, and no word of what was there.
"""

from collections.abc import Sequence

from talekeeper.database.statements import statement
from talekeeper.database.units import Writer
from talekeeper.domain.events import Recorded
from talekeeper.ids import AccountId, ConversationId
from talekeeper.store.conversations import get_conversation
from talekeeper.store.holding import HeldConversation

# The row's lock orders the log: its places are taken in the order of the commits.
_TAKE_PLACE = statement("UPDATE accounts SET seq = seq + 1 WHERE id = :account_id RETURNING seq")
_TAKE_PLACES = statement(
    """
    UPDATE conversations SET seq = seq + :count
    WHERE id = :conversation_id AND removed_at IS NULL
    RETURNING owner_id, seq
    """
)
_EMPTIED = statement(
    """
    INSERT INTO events (log_kind, log_id, seq, at, kind, message_key)
    VALUES ('conversation', :log_id, :seq, :at, 'message_emptied', :message_key)
    """
)


def tell_gone(tx: Writer, held: HeldConversation) -> None:
    """The account's log tells that the conversation was removed, and followers hear of it."""
    place = tx.first(_TAKE_PLACE, account_id=held.owner_id)
    assert place is not None
    conversation = held.conversation
    gone = Recorded(held.owner_id, held.id, conversation.seq, "conversation_gone", conversation)
    tx.append(gone.log, place.seq, "conversation_gone", subject_id=held.id)
    tx.tell(gone)


def tell_emptied(tx: Writer, conversation_id: ConversationId, keys: Sequence[int]) -> None:
    """The conversation's log tells that these messages say nothing any more.

    The conversation keeps its rank in the lists: nothing was said in it. One that is going itself
    has a log without followers.
    """
    taken = tx.first(_TAKE_PLACES, conversation_id=conversation_id, count=len(keys))
    if taken is None:
        return
    first, now = taken.seq - len(keys) + 1, tx.now()
    tx.run_many(
        _EMPTIED,
        [
            {"log_id": conversation_id, "seq": seq, "at": now, "message_key": key}
            for seq, key in enumerate(keys, first)
        ],
    )
    conversation = get_conversation(tx, conversation_id, owner_id=AccountId(taken.owner_id))
    tx.tell(
        Recorded(
            AccountId(taken.owner_id), conversation_id, taken.seq, "message_emptied", conversation
        )
    )
