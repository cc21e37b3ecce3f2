"""What the events of the streams carry. Their names stand in `stream_contract.py`."""

from dataclasses import dataclass

from talekeeper.domain.conversations import Conversation, Message
from talekeeper.domain.jobs import JobKind, JobState


@dataclass(frozen=True)
class ConversationReady:
    """The stream stands. `boot_id` names the server process that writes it."""

    boot_id: str


@dataclass(frozen=True)
class AccountReady:
    """The stream stands; `stream_id` is how requests name it.

    `missed`: lists that were fetched before this may lack something.
    """

    boot_id: str
    stream_id: str
    missed: bool


@dataclass(frozen=True)
class Followed:
    """The stream follows one more conversation; what happened after `seq` comes next."""

    conversation_id: str
    seq: int


@dataclass(frozen=True)
class ChangedConversation:
    """The conversation as it is after its event `seq`."""

    seq: int
    conversation: Conversation


@dataclass(frozen=True)
class ChangedMessage:
    """The message that was added or changed, and its conversation, as they are after the event `seq`."""

    seq: int
    conversation: Conversation
    message: Message


@dataclass(frozen=True)
class ReplyText:
    """Text of a running reply. `offset` counts the characters before it in the message."""

    conversation_id: str
    message_id: str
    generation_id: str
    offset: int
    text: str


@dataclass(frozen=True)
class Named:
    """The conversation that the event is about."""

    conversation_id: str


@dataclass(frozen=True)
class Work:
    """A job as its account sees it. `progress_of` is null while it is not known."""

    id: str
    kind: JobKind
    conversation_id: str | None
    state: JobState
    progress: int
    progress_of: int | None
    error_code: str | None


@dataclass(frozen=True)
class ChangedWork:
    """The job as it is now."""

    job: Work


@dataclass(frozen=True)
class End:
    """Why the server ends the stream."""

    code: str
    detail: str
