"""What followers are told: events of the logs with the state they left, and jobs that changed."""

from dataclasses import dataclass
from typing import Final, Literal, get_args

from talekeeper.domain.conversations import Conversation, Message
from talekeeper.domain.jobs import Job
from talekeeper.ids import AccountId, ConversationId

LogKind = Literal["conversation", "account"]
"""What a log is of. An account's log tells of all that it has beside what is said."""

EventKind = Literal[
    "conversation", "message_added", "message_changed", "message_emptied", "conversation_gone"
]
"""What happened. `message_emptied` and `conversation_gone` are tombstones: of the first nothing is
left but its place in the tree, of the second nothing but this event, which the account's log holds.
"""
OF_MESSAGES: Final[frozenset[EventKind]] = frozenset(
    {"message_added", "message_changed", "message_emptied"}
)
"""Events that name a message of their conversation."""

LOG_KINDS: Final[frozenset[LogKind]] = frozenset(get_args(LogKind))
EVENT_KINDS: Final[frozenset[EventKind]] = frozenset(get_args(EventKind))


@dataclass(frozen=True, slots=True)
class Log:
    """Which log: that of the conversation, or of the account, of this id."""

    kind: LogKind
    id: str


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a log. `message_key` or `subject_id` names what it is about."""

    seq: int
    at: int
    kind: EventKind
    message_key: int | None
    subject_id: str | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event that is on disk. It tells of a message, or of the conversation itself.

    `seq` is the conversation's, whichever log holds the event.
    """

    owner_id: AccountId
    conversation_id: ConversationId
    seq: int
    kind: EventKind
    conversation: Conversation
    message: Message | None = None

    @property
    def log(self) -> Log:
        """The log that holds the event."""
        if self.kind == "conversation_gone":
            return Log("account", self.owner_id)
        return Log("conversation", self.conversation_id)


@dataclass(frozen=True, slots=True)
class JobChanged:
    """A job was added, began, went on or ended. No log holds it: the job's row does."""

    owner_id: AccountId
    job: Job


Announced = Recorded | JobChanged
"""What is told after the commit."""
