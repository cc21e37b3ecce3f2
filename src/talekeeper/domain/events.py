"""What followers are told: an event of a conversation's log with the state it left."""

from dataclasses import dataclass
from typing import Literal

from talekeeper.domain.conversations import Conversation, Message
from talekeeper.ids import AccountId, ConversationId

EventKind = Literal["conversation", "message_added", "message_changed", "gone"]
"""What happened. `gone` is in no log: with the conversation went its log."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event that is on disk. It tells of a message, or of the conversation itself."""

    owner_id: AccountId
    conversation_id: ConversationId
    seq: int
    kind: EventKind
    conversation: Conversation
    message: Message | None = None
