"""The hub's protocol: what is told, on which topics, and what a slow subscriber gets.

Topics are what a subscriber chooses, and each has its own kinds of news:

    ConversationTopic   events of the conversation, and the text that its reply grows by
    AccountTopic        events of all the account's conversations, without the growing text; its jobs
    ProcessTopic        what other processes ask of this one: to stop a generation that it runs
    StreamTopic         what other processes ask of one open event stream, and what it answered
    HealthTopic         this process's health may have changed; never leaves the process

Nothing told here is the only copy of anything: events are in the store's log, text is in the
checkpoints, a stop is in the generation's row. When something may not have been told, every
subscriber gets a `Lapse`, and reads the store.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

import msgspec

from talekeeper.domain.events import Announced, JobChanged, Recorded
from talekeeper.ids import AccountId, BootId, ConversationId, GenerationId, MessageId


class ConversationTopic(msgspec.Struct, frozen=True, tag="conversation"):
    id: ConversationId


class AccountTopic(msgspec.Struct, frozen=True, tag="account"):
    id: AccountId


class ProcessTopic(msgspec.Struct, frozen=True, tag="process"):
    id: BootId


class StreamTopic(msgspec.Struct, frozen=True, tag="stream"):
    id: str


class HealthTopic(msgspec.Struct, frozen=True, tag="health"):
    id: BootId


Topic = ConversationTopic | AccountTopic | ProcessTopic | StreamTopic | HealthTopic


class Delta(msgspec.Struct, frozen=True):
    """Text that a reply grew by. `offset` counts the characters before it in the message.

    It goes to clients as it is, and so bears no tag.
    """

    conversation_id: ConversationId
    message_id: MessageId
    generation_id: GenerationId
    offset: int
    text: str

    @property
    def end(self) -> int:
        return self.offset + len(self.text)


class Logged(msgspec.Struct, frozen=True, tag="logged"):
    """An event is in the log that is too large to be told here: the subscriber reads it there."""

    owner_id: AccountId
    conversation_id: ConversationId
    seq: int


class Lapse(msgspec.Struct, frozen=True, tag="lapse"):
    """Something of other processes may not have been told: the subscriber reads the store.

    Told to every subscriber, on whichever topics, and again and again while it lasts.
    """


class StopAsked(msgspec.Struct, frozen=True, tag="stop_asked"):
    """The process that runs this generation is asked to stop it. Its row says so, too."""

    generation_id: GenerationId


class FollowAsked(msgspec.Struct, frozen=True, tag="follow_asked"):
    """The process that holds the stream is asked to change what it follows.

    `follow` holds ids or `ID@SEQ`. The answer goes to the StreamTopic of `answer_to`.
    """

    stream_id: str
    account_id: AccountId
    follow: list[str]
    unfollow: list[str]
    answer_to: str


class FollowAnswered(msgspec.Struct, frozen=True, tag="follow_answered"):
    """What the stream follows now, or the code and the words of the error that refuses the change."""

    following: list[str]
    code: str | None = None
    message: str = ""


class HealthChanged(msgspec.Struct, frozen=True, tag="health_changed"):
    """The process's health may not be as it was."""


Request = StopAsked | FollowAsked | FollowAnswered | HealthChanged
"""What is told on one topic by name, with `Hub.tell`."""
Notice = Recorded | JobChanged | Delta | Logged | Lapse | Request
"""Everything that a subscriber may be told."""


class Subscription(Protocol):
    """One listener's place. What was published after it was made is kept until it is taken."""

    async def take(self) -> Sequence[Notice]:
        """Everything that waits, in order; waits while there is nothing.

        Empty when the subscription is over (closed, or cut because its listener was too slow) and
        after `wake`.
        """
        ...

    def add(self, topic: Topic) -> None:
        """Hear this topic, too, from now on."""
        ...

    def drop(self, topic: Topic) -> None:
        """Hear no more of this topic than other topics bring."""
        ...

    def wake(self) -> None:
        """The current `take`, or else the next, returns without waiting."""
        ...

    @property
    def is_over(self) -> bool: ...

    def close(self) -> None: ...


class Hub(Protocol):
    def announce(self, events: Sequence[Announced]) -> None:
        """Tell the events' conversations and accounts; of a job, its account.

        Called after the commit, in order.
        """
        ...

    def grow(self, delta: Delta) -> None:
        """Tell the conversation that its reply grew."""
        ...

    def tell(self, topic: Topic, told: Request) -> None:
        """Tell one topic, in whichever process it is listened to."""
        ...

    def forget(self, generation_id: GenerationId) -> None:
        """The generation has ended: its text is in the store."""
        ...

    async def text_so_far(self, generation_id: GenerationId) -> Delta | None:
        """What a running generation has said, as far back as it is known; None when it is not.

        Its offset may lie behind the end of what the store has: the text between is then in the
        store's next checkpoint.
        """
        ...

    async def subscribe(self, topics: Iterable[Topic]) -> Subscription:
        """Hear everything that is told on these topics from now on."""
        ...

    def announced(self, account_id: AccountId) -> int:
        """A count that grows with every event of the account and every lapse that is told here.

        Two equal counts of one process: nothing of the account's happened between, in any process.
        """
        ...

    def note_others(self, boot_ids: Collection[BootId]) -> None:
        """These other processes are alive, by their leases. One that is not heard is a lapse."""
        ...

    @property
    def reaches_others(self) -> bool:
        """What is told on a topic comes to another process that is alive."""
        ...

    @property
    def trouble(self) -> str | None:
        """Why other processes are not heard at once, as a sentence; None while they are."""
        ...

    @property
    def followers(self) -> int:
        """How many subscriptions to conversations and accounts are open."""
        ...

    def close(self) -> None:
        """Every subscription ends, and so does every later one at once."""
        ...
