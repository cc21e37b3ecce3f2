"""Succeeding: the one place that says what passes from a conversation to one opened in its place."""

from talekeeper.database import Writer
from talekeeper.domain.conversations import Conversation, ConversationRole, TitleBy
from talekeeper.ids import AccountId, ConversationId
from talekeeper.store.holding import HeldConversation, insert_conversation


def open_successor(
    tx: Writer,
    before: Conversation,
    new_id: ConversationId,
    *,
    owner_id: AccountId,
    title: str = "",
    title_by: TitleBy | None = None,
    role: ConversationRole | None = None,
) -> HeldConversation:
    """A conversation with the purpose of `before`, the model that answers there, and how.

    Its first event is still to happen.
    """
    opened = insert_conversation(
        tx,
        new_id,
        owner_id=owner_id,
        title=title,
        title_by=title_by,
        purpose=before.purpose,
        role=role,
        connection_id=before.connection_id,
        model=before.model,
    )
    opened.change(sampling=before.sampling)
    return opened
