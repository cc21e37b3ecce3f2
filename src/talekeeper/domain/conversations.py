"""Conversations, their messages and the generations that fill replies."""

from dataclasses import dataclass
from typing import Final, Literal, get_args

import msgspec

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
PURPOSES: Final[frozenset[Purpose]] = frozenset(get_args(Purpose))
ConversationRole = Literal["current_global"]
"""A part that a conversation plays for its account."""
CONVERSATION_ROLES: Final[frozenset[ConversationRole]] = frozenset(get_args(ConversationRole))
MessageStatus = Literal["pending", "streaming", "complete", "stopped", "interrupted", "failed"]
GenerationStatus = Literal["running", "finished", "stopped", "interrupted", "failed"]
FinishReason = Literal["stop", "length", "filtered", "refused"]
"""Why a model ended its reply: by itself, at the longest length, by the provider's filter, or
because it refused to answer."""
GenerationKind = Literal["send", "regenerate", "continue"]

IN_FLIGHT: frozenset[MessageStatus] = frozenset({"pending", "streaming"})
"""What a reply is while its generation runs; every other status is final."""

MAX_CONTENT = 200_000
"""Characters in one message."""
MAX_TITLE = 200
"""Characters in a conversation's title."""
MAX_BOOKMARK = 500
"""Characters in a bookmark's note."""
TitleBy = Literal["first_words", "model", "person"]
"""Who gave a conversation its title."""
ConversationState = Literal["active", "archived", "trash"]
"""Which of an account's lists a conversation is in."""
MAX_TEMPERATURE = 2.0
MAX_REPLY_TOKENS = 1_000_000
MIN_LONGEST_REQUEST = 256
MAX_LONGEST_REQUEST = 100_000_000
USUAL_LONGEST_REQUEST = 32_000
"""Tokens of the talk in one request by default: a window of a million is not filled,
and billed, unasked."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a conversation's replies are made; null where the provider's own way holds.

    `temperature` is 0 to 2, `top_p` above 0 up to 1. `max_tokens` is the longest reply, and
    `longest_request` how much of the talk is sent for it, in tokens; null where the connection's or
    the server's setting holds.
    """

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    longest_request: int | None = None


AS_THE_PROVIDER_DOES: Final = Sampling()


@dataclass(frozen=True, slots=True)
class Conversation:
    """A tree of messages with a purpose, as its owner sees it in a list.

    `seq` is the place of its newest event: whoever has seen a smaller one has missed something.
    `leaf_id` is where the user stands in the tree; null only while it is empty.
    `provider` and `model` are null where the account's own choice holds.
    `archived_at` and `deleted_at` say since when it is in the archive or in the trash.
    `message_count` and `characters` are of all branches, without what was taken back; a reply that
    grows is counted when it has ended.
    `activity` grows over all of an account's conversations with every change, whatever the clock
    does: lists are ordered by it, the largest first, and by `id` downwards where two are equal.
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
    sampling: Sampling
    created_at: Millis
    updated_at: Millis
    pinned: bool
    archived_at: Millis | None
    deleted_at: Millis | None
    message_count: int
    characters: int
    activity: int


@dataclass(frozen=True, slots=True)
class ReplyError:
    """Why a reply failed, in words a person can act on."""

    code: str
    message: str
    retryable: bool
    retry_after: float | None = None


class Line(msgspec.Struct, frozen=True):
    """What a message says and who says it: all of it that a model is told.

    Hundreds are made before a model is asked, which a frozen dataclass takes five times as long to.
    """

    id: MessageId
    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Message:
    """A node of a conversation's tree.

    `seq` grows by the order of storing, whatever the clock does; a parent's is always smaller.
    `revision` grows with every change: of two copies the one with the larger is newer.
    `generation_id` is the latest generation that wrote it; null for what a person wrote.
    `input_tokens` and `output_tokens` are the provider's count, null where it gave none.
    `finish_reason` says why the model ended the reply; null for a reply that did not come to its
    end or whose provider gave no reason, and for what a person wrote.
    `bookmark` is a person's note on it, empty for a mark without one, null without a mark.
    `deleted_at` says when it was taken back; everything under it is hidden with it.
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
    finish_reason: FinishReason | None = None
    error: ReplyError | None = None
    bookmark: str | None = None
    deleted_at: Millis | None = None


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
    """Pinned ones first, then newest activity; `next` fetches the page after it, null at the end."""

    items: tuple[Conversation, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class PathPage:
    """A stretch of a path in order; `next` is the `before` of the older stretch, null at the root.

    Where it was asked for with `after`, `next` is the `after` of the younger one, null at the leaf.
    """

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


@dataclass(frozen=True, slots=True)
class Ended:
    """A conversation that was archived, and the one that was opened in its place."""

    ended: Conversation
    conversation: Conversation


@dataclass(frozen=True, slots=True)
class Cleared:
    """A conversation that was put in the trash, and the empty one that took its place."""

    cleared: Conversation
    conversation: Conversation


@dataclass(frozen=True, slots=True)
class Holding:
    """What one of an account's lists holds."""

    conversations: int
    messages: int
    characters: int


@dataclass(frozen=True, slots=True)
class Holdings:
    """What an account holds. `largest` by characters; `oldest` of the active ones, longest untouched."""

    active: Holding
    archived: Holding
    trash: Holding
    largest: tuple[Conversation, ...]
    oldest: tuple[Conversation, ...]
