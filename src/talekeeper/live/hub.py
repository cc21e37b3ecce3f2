"""The hub's protocol: what is told, to whom, and what a slow listener gets."""

from collections.abc import Collection, Sequence
from typing import Protocol

import msgspec

from talekeeper.domain.events import Announced
from talekeeper.ids import AccountId, ConversationId, GenerationId, MessageId


class Delta(msgspec.Struct, frozen=True):
    """Text that a reply grew by. `offset` counts the characters before it in the message."""

    conversation_id: ConversationId
    message_id: MessageId
    generation_id: GenerationId
    offset: int
    text: str

    @property
    def end(self) -> int:
        return self.offset + len(self.text)


class Subscription(Protocol):
    """One listener's place. What was published after it was made is kept until it is taken."""

    async def take(self) -> Sequence[Announced | Delta]:
        """Everything that waits, in order; waits while there is nothing.

        Empty when the subscription is over (closed, or cut because its listener was too slow) and
        after `wake`.
        """
        ...

    def follow(self, conversation_id: ConversationId) -> None:
        """Hear everything of this conversation, too, from now on."""
        ...

    def unfollow(self, conversation_id: ConversationId) -> None:
        """Hear no more of this conversation than its account does."""
        ...

    def wake(self) -> None:
        """Whoever takes, or will take next, does not wait any longer."""
        ...

    @property
    def is_over(self) -> bool: ...

    def close(self) -> None: ...


class Hub(Protocol):
    def announce(self, events: Sequence[Announced]) -> None:
        """Tell who follows the conversation or its owner; of a job, who follows its owner.

        Called after the commit, in order.
        """
        ...

    def grow(self, delta: Delta) -> None:
        """Tell who follows the conversation that its reply grew."""
        ...

    def tail(self, generation_id: GenerationId) -> Delta | None:
        """All that a running generation has said; None when it is not known here."""
        ...

    def forget(self, generation_id: GenerationId) -> None:
        """The generation has ended: its text is in the store."""
        ...

    def subscribe(
        self,
        *,
        account_id: AccountId | None,
        conversation_ids: Collection[ConversationId],
    ) -> Subscription:
        """Hear everything of these conversations, and the events of all the account's."""
        ...

    def announced(self, account_id: AccountId) -> int:
        """How many events of the account were announced here; two equal counts: none between."""
        ...

    def close(self) -> None:
        """Every subscription ends, and so does every later one at once."""
        ...
