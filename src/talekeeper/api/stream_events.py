"""The events of the streams as the contract names them: `event` is the name, `data` what it carries.

A stream writes each as server-sent events do, the name and the data on lines of their own. The
page's types are made from these classes; a test reads the streams and finds no other event.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from talekeeper.api.health import Health
from talekeeper.domain.conversations import Conversation, Message


@dataclass(frozen=True, slots=True)
class ConversationReady:
    """The stream stands. `boot_id` names the server process that writes it."""

    boot_id: str


@dataclass(frozen=True, slots=True)
class AccountReady:
    """The stream stands; `stream_id` is how requests name it.

    `missed`: lists that were fetched before this may lack something.
    """

    boot_id: str
    stream_id: str
    missed: bool


@dataclass(frozen=True, slots=True)
class Followed:
    """The stream follows one more conversation; what happened after `seq` comes next."""

    conversation_id: str
    seq: int


@dataclass(frozen=True, slots=True)
class ChangedConversation:
    """The conversation as it is after its event `seq`."""

    seq: int
    conversation: Conversation


@dataclass(frozen=True, slots=True)
class ChangedMessage:
    """The message that was added or changed, and its conversation, as they are after the event `seq`."""

    seq: int
    conversation: Conversation
    message: Message


@dataclass(frozen=True, slots=True)
class ReplyText:
    """Text of a running reply. `offset` counts the characters before it in the message."""

    conversation_id: str
    message_id: str
    generation_id: str
    offset: int
    text: str


@dataclass(frozen=True, slots=True)
class Named:
    """The conversation that the event is about."""

    conversation_id: str


@dataclass(frozen=True, slots=True)
class End:
    """Why the server ends the stream."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class ConversationReadyEvent:
    """The first event."""

    event: Literal["ready"]
    data: ConversationReady


@dataclass(frozen=True, slots=True)
class AccountReadyEvent:
    """The first event."""

    event: Literal["ready"]
    data: AccountReady


@dataclass(frozen=True, slots=True)
class FollowingEvent:
    """A conversation is followed from now on."""

    event: Literal["following"]
    data: Followed


@dataclass(frozen=True, slots=True)
class ConversationChangedEvent:
    """The conversation itself changed, or, where it is not followed, something in it."""

    event: Literal["conversation.changed"]
    data: ChangedConversation


@dataclass(frozen=True, slots=True)
class MessageChangedEvent:
    """A message was added or changed."""

    event: Literal["message.changed"]
    data: ChangedMessage


@dataclass(frozen=True, slots=True)
class SnapshotEvent:
    """The text of the running reply from `offset` on, up to now."""

    event: Literal["snapshot"]
    data: ReplyText


@dataclass(frozen=True, slots=True)
class DeltaEvent:
    """The running reply grew."""

    event: Literal["delta"]
    data: ReplyText


@dataclass(frozen=True, slots=True)
class ResyncEvent:
    """Too much was missed: fetch the conversation again."""

    event: Literal["resync"]
    data: Named


@dataclass(frozen=True, slots=True)
class ConversationGoneEvent:
    """The conversation does not exist any more, or never did for this account."""

    event: Literal["conversation.gone"]
    data: Named


@dataclass(frozen=True, slots=True)
class HealthEvent:
    """Whether the server can keep what is said."""

    event: Literal["health"]
    data: Health


@dataclass(frozen=True, slots=True)
class EndEvent:
    """The last event."""

    event: Literal["end"]
    data: End


_OfConversations = (
    ConversationChangedEvent
    | MessageChangedEvent
    | SnapshotEvent
    | DeltaEvent
    | ResyncEvent
    | ConversationGoneEvent
)

ConversationEvent = Annotated[
    ConversationReadyEvent | _OfConversations | EndEvent, Field(discriminator="event")
]
"""Every event of one conversation's stream."""

AccountEvent = Annotated[
    AccountReadyEvent | FollowingEvent | _OfConversations | HealthEvent | EndEvent,
    Field(discriminator="event"),
]
"""Every event of an account's stream."""
