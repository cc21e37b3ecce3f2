"""Conversations in the store: their rows, and how one is found."""

from talekeeper.clock import Millis
from talekeeper.database.statements import Row, statement
from talekeeper.database.units import Reader
from talekeeper.domain.conversations import (
    Conversation,
    Sampling,
    TitleBy,
)
from talekeeper.errors import IdReused, NotFound
from talekeeper.ids import AccountId, ConversationId, GenerationId, MessageId

CONVERSATION_ROWS = """
    conversations AS c
    LEFT JOIN messages AS leaf ON leaf.key = c.leaf_key
    LEFT JOIN generations AS running
        ON running.conversation_id = c.id AND running.status = 'running'
"""

CONVERSATION_COLUMNS = """
    c.id, c.owner_id, c.title, c.purpose, c.role, c.seq, leaf.id AS leaf_id,
    running.id AS generation_id, c.connection_id, c.model, c.created_at, c.updated_at, c.temperature,
    c.top_p, c.max_tokens, c.longest_request, c.pinned, c.archived_at, c.deleted_at,
    c.message_count, c.characters, c.activity
"""

CONVERSATIONS = f"SELECT {CONVERSATION_COLUMNS} FROM {CONVERSATION_ROWS} WHERE c.removed_at IS NULL"
"""All that there are, in rows that `conversation_in` reads."""

_GET = statement(f"{CONVERSATIONS} AND c.id = :id AND c.owner_id = :owner_id")

_IS_KNOWN = statement(
    """
    SELECT id FROM conversations WHERE id = :id
    UNION ALL
    SELECT subject_id FROM events WHERE kind = 'conversation_gone' AND subject_id = :id
    """
)

NEWEST_ACTIVITY = statement(
    "SELECT coalesce(max(activity), 0) AS activity FROM conversations WHERE owner_id = :owner_id"
)

_TITLE_GIVER = statement("SELECT title_by FROM conversations WHERE id = :id")

_CURRENT = statement(
    f"""
    {CONVERSATIONS} AND c.owner_id = :owner_id
        AND c.role = 'current_global' AND c.archived_at IS NULL AND c.deleted_at IS NULL
    """
)


def get_conversation(
    tx: Reader, conversation_id: ConversationId, *, owner_id: AccountId
) -> Conversation:
    """Raises NotFound when it is absent or another account's."""
    row = tx.first(_GET, id=conversation_id, owner_id=owner_id)
    if row is None:
        raise absent_conversation()
    return conversation_in(row)


def find_conversation(
    tx: Reader, conversation_id: ConversationId, *, owner_id: AccountId
) -> Conversation | None:
    """The conversation of that name; None where it is absent.

    Raises IdReused when it is another account's, or was removed for good.
    """
    row = tx.first(_GET, id=conversation_id, owner_id=owner_id)
    if row is not None:
        return conversation_in(row)
    if is_known(tx, conversation_id):
        raise IdReused("This id was used before for something else. Send again with a new id.")
    return None


def is_known(tx: Reader, conversation_id: ConversationId) -> bool:
    """Whether a conversation has this id, or had it: any account's, shown or not.

    An id is never given to a second conversation, so no log begins again at 1.
    """
    return tx.first(_IS_KNOWN, id=conversation_id) is not None


def title_giver(tx: Reader, conversation_id: ConversationId) -> TitleBy | None:
    """Who gave the conversation its title; None where there is no such conversation."""
    row = tx.first(_TITLE_GIVER, id=conversation_id)
    return None if row is None else row.title_by


def current_conversation(tx: Reader, *, owner_id: AccountId) -> Conversation | None:
    """The account's current global conversation; None while it has none."""
    row = tx.first(_CURRENT, owner_id=owner_id)
    return None if row is None else conversation_in(row)


def conversation_in(row: Row) -> Conversation:
    return Conversation(
        id=ConversationId(row.id),
        title=row.title,
        purpose=row.purpose,
        is_current=row.role == "current_global"
        and row.archived_at is None
        and row.deleted_at is None,
        seq=row.seq,
        leaf_id=None if row.leaf_id is None else MessageId(row.leaf_id),
        generation_id=None if row.generation_id is None else GenerationId(row.generation_id),
        connection_id=row.connection_id,
        model=row.model,
        created_at=Millis(row.created_at),
        updated_at=Millis(row.updated_at),
        sampling=Sampling(row.temperature, row.top_p, row.max_tokens, row.longest_request),
        pinned=bool(row.pinned),
        archived_at=None if row.archived_at is None else Millis(row.archived_at),
        deleted_at=None if row.deleted_at is None else Millis(row.deleted_at),
        message_count=row.message_count,
        characters=row.characters,
        activity=row.activity,
    )


def absent_conversation() -> NotFound:
    return NotFound("There is no such conversation. It may have been deleted.")
