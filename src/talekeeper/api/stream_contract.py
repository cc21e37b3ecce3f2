"""The events of the streams as the contract names them: `event` is the name, `data` what it carries.

A stream writes each as server-sent events do, the name and the data on lines of their own. The
page's types are made from these classes; a test reads the streams and finds no other event.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from talekeeper.api.health import Health
from talekeeper.api.stream_events import (
    AccountReady,
    ChangedConversation,
    ChangedMessage,
    ChangedWork,
    ConversationReady,
    End,
    Followed,
    Named,
    ReplyText,
)


@dataclass(frozen=True)
class ConversationReadyEvent:
    """The first event."""

    event: Literal["ready"]
    data: ConversationReady


@dataclass(frozen=True)
class AccountReadyEvent:
    """The first event."""

    event: Literal["ready"]
    data: AccountReady


@dataclass(frozen=True)
class FollowingEvent:
    """A conversation is followed from now on."""

    event: Literal["following"]
    data: Followed


@dataclass(frozen=True)
class ConversationChangedEvent:
    """The conversation itself changed, or, where it is not followed, something in it."""

    event: Literal["conversation.changed"]
    data: ChangedConversation


@dataclass(frozen=True)
class MessageChangedEvent:
    """A message was added or changed."""

    event: Literal["message.changed"]
    data: ChangedMessage


@dataclass(frozen=True)
class SnapshotEvent:
    """The text of the running reply from `offset` on, up to now."""

    event: Literal["snapshot"]
    data: ReplyText


@dataclass(frozen=True)
class DeltaEvent:
    """The running reply grew."""

    event: Literal["delta"]
    data: ReplyText


@dataclass(frozen=True)
class ResyncEvent:
    """Too much was missed: fetch the conversation again."""

    event: Literal["resync"]
    data: Named


@dataclass(frozen=True)
class ConversationGoneEvent:
    """The conversation does not exist any more, or never did for this account."""

    event: Literal["conversation.gone"]
    data: Named


@dataclass(frozen=True)
class JobChangedEvent:
    """Work that goes on by itself was added, began, came further or ended."""

    event: Literal["job.changed"]
    data: ChangedWork


@dataclass(frozen=True)
class HealthEvent:
    """Whether the server can keep what is said."""

    event: Literal["health"]
    data: Health


@dataclass(frozen=True)
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
    AccountReadyEvent
    | FollowingEvent
    | _OfConversations
    | JobChangedEvent
    | HealthEvent
    | EndEvent,
    Field(discriminator="event"),
]
"""Every event of an account's stream."""
