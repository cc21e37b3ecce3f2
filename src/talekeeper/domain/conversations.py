"""Conversations, their messages and the generations that fill replies."""

from dataclasses import dataclass
from typing import Literal

from talekeeper.clock import Millis
from talekeeper.ids import AccountId, ConversationId, GenerationId, MessageId

Role = Literal["user", "assistant", "system"]
Purpose = Literal[
    "general",
    "campaign_creation",
    "session_planning",
    "npc_generation",
    "world_building",
    "character_background",
]
MessageStatus = Literal["pending", "streaming", "complete", "stopped", "interrupted", "failed"]
GenerationStatus = Literal["running", "finished", "stopped", "interrupted", "failed"]
GenerationKind = Literal["send", "regenerate", "continue"]

IN_FLIGHT: frozenset[MessageStatus] = frozenset({"pending", "streaming"})
"""What a reply is while its generation runs; every other status is final."""

MAX_CONTENT = 200_000
"""Characters in one message."""
MAX_TITLE = 200
"""Characters in a conversation's title."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A tree of messages with a purpose, as its owner sees it in a list.

    `seq` is the place of its newest event: whoever has seen a smaller one has missed something.
    `leaf_id` is where the user stands in the tree; null only while it is empty.
    `provider` and `model` are null where the account's own choice holds.
    """

    id: ConversationId
    title: str
    purpose: Purpose
    is_current: bool
    seq: int
    leaf_id: MessageId | None
    generation_id: GenerationId | None
    provider: str | None
    model: str | None
    created_at: Millis
    updated_at: Millis


@dataclass(frozen=True, slots=True)
class ReplyError:
    """Why a reply failed, in words a person can act on."""

    code: str
    message: str
    retryable: bool
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A node of a conversation's tree.

    `seq` grows by the order of storing, whatever the clock does; a parent's is always smaller.
    `revision` grows with every change: of two copies the one with the larger is newer.
    `generation_id` is the latest generation that wrote it; null for what a person wrote.
    `input_tokens` and `output_tokens` are the provider's count, null where it gave none.
    """

    id: MessageId
    conversation_id: ConversationId
    seq: int
    parent_id: MessageId | None
    role: Role
    content: str
    status: MessageStatus
    revision: int
    created_at: Millis
    updated_at: Millis
    generation_id: GenerationId | None = None
    provider: str | None = None
    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    error: ReplyError | None = None


@dataclass(frozen=True, slots=True)
class PathMessage(Message):
    """A message on the path from the root to a leaf, with all children of its parent in order."""

    sibling_ids: tuple[MessageId, ...] = ()


@dataclass(frozen=True, slots=True)
class Generation:
    """One attempt to get a reply. `epoch` is its lock's: a later generation has a larger one."""

    id: GenerationId
    conversation_id: ConversationId
    message_id: MessageId
    owner_id: AccountId
    kind: GenerationKind
    status: GenerationStatus
    epoch: int
    provider: str
    model: str


@dataclass(frozen=True, slots=True)
class ConversationPage:
    """Newest activity first; `next` fetches the page after it, null at the end."""

    items: tuple[Conversation, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class PathPage:
    """A stretch of a path in order; `next` is the `before` of the older stretch, null at the root."""

    items: tuple[PathMessage, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class TreePage:
    """Messages of every branch in `seq` order; `next` is the following page's `after`."""

    items: tuple[Message, ...]
    next: int | None


@dataclass(frozen=True, slots=True)
class Sent:
    """What a send, a regenerate or a continue stored.

    `reply` is null when none was begun; `generation_id` is then the one that runs, if one does.
    `branched` says that the message (for a regenerate: the reply) has an elder sibling.
    """

    message: Message
    reply: Message | None
    generation_id: GenerationId | None
    branched: bool
