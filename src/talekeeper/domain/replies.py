"""What a model is asked and what it answers, whichever provider speaks to it."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Literal, Protocol

from talekeeper.domain.conversations import Role


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of the talk as the model is told it. Neighbours never share a role."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class ReplyRequest:
    """Everything that is sent to a model for one reply.

    `turns` begins with at most one system turn. When `continues` is true the last turn is the
    assistant's own unfinished text, and the reply goes on from its last character.
    `max_tokens` and `temperature` are the provider's defaults where they are None.
    """

    model: str
    turns: tuple[Turn, ...]
    continues: bool = False
    max_tokens: int | None = None
    temperature: float | None = None


@dataclass(frozen=True, slots=True)
class TextDelta:
    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """The model's thinking aloud: kept apart from the reply and never sent back."""

    text: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of the request and the reply, as the provider says them."""

    input_tokens: int | None
    output_tokens: int | None


@dataclass(frozen=True, slots=True)
class Finished:
    """The model came to an end by itself. A stream without this was cut."""

    reason: Literal["stop", "length", "filtered"]


StreamPart = TextDelta | ReasoningDelta | Usage | Finished


@dataclass(frozen=True, slots=True)
class Model:
    """A model that a provider offers. `context_length` is in tokens, None where unknown."""

    id: str
    name: str
    context_length: int | None = None


class Provider(Protocol):
    """Serves models over one wire protocol.

    `stream` yields parts as they come and ends after Finished. It raises only ProviderError;
    closing or cancelling the generator ends the request at once. `continues_text` says whether
    the model itself can go on with an assistant turn that stands last.
    """

    name: str
    continues_text: bool

    def stream(self, request: ReplyRequest) -> AsyncGenerator[StreamPart]: ...

    async def models(self) -> tuple[Model, ...]:
        """The models on offer. Raises ProviderError when they cannot be listed."""
        ...

    async def aclose(self) -> None: ...
