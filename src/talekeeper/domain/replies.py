"""What a model is asked and what it answers, whichever provider speaks to it."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final, Literal, Protocol

import msgspec

from talekeeper.domain.conversations import FinishReason, Role


class Turn(msgspec.Struct, frozen=True):
    """One turn of the talk as the model is told it. Neighbours never share a role.

    As quickly made as a Line, and as quickly written: its JSON is what most providers want.
    """

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class ReplyRequest:
    """Everything that is sent to a model for one reply.

    `turns` begins with at most one system turn, then user and assistant take turns, the user
    first, and no turn is empty: the templates of many models refuse anything else. When `continues`
    is true the last turn is the assistant's own unfinished text, and the reply goes on from its
    last character.
    `is_for_title`: it is no part of a talk, and its answer is read by nobody as it is.
    `max_tokens`, `temperature` and `top_p` are the provider's defaults where they are None.
    """

    model: str
    turns: tuple[Turn, ...]
    continues: bool = False
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    is_for_title: bool = False

    def wishes(self) -> tuple["Wish", ...]:
        """What is wished for beyond the provider's defaults."""
        wished: dict[Wish, float | None] = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_tokens": self.max_tokens,
        }
        return tuple(wish for wish, value in wished.items() if value is not None)


@dataclass(frozen=True, slots=True)
class TextDelta:
    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """The model's thinking aloud: kept apart from the reply and never sent back."""

    text: str


@dataclass(frozen=True, slots=True)
class TakenBack:
    """All text of this reply so far was the model's thinking: what follows is the reply."""


MAX_COUNT: Final = 2**53
"""The largest count that is kept: up to it, every reader of JSON reads whole numbers exactly."""
_MOST_DIGITS: Final = 16


def counted(value: object) -> int | None:
    """`value` as a count from 0 to `MAX_COUNT`; None where it is none. Raises nothing.

    A whole number may come as a float or as a text of digits.
    """
    if (
        isinstance(value, str)
        and len(value) <= _MOST_DIGITS
        and value.isascii()
        and value.isdigit()
    ) or (isinstance(value, float) and value.is_integer()):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_COUNT:
        return value
    return None


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of the request and the reply, as the provider says them; None: not known."""

    input_tokens: int | None
    output_tokens: int | None


@dataclass(frozen=True, slots=True)
class Finished:
    """The model came to an end by itself. A stream without this was cut.

    `reason` is None where the provider ended the stream in order and gave no reason.
    """

    reason: FinishReason | None


Wish = Literal["temperature", "top_p", "max_tokens"]
"""What may be wished for in a request beyond its turns."""


@dataclass(frozen=True, slots=True)
class Unheeded:
    """The provider refused this wish for this model: the reply is made without it."""

    wish: Wish


StreamPart = TextDelta | ReasoningDelta | TakenBack | Usage | Unheeded | Finished


Ability = Literal["images", "tools", "json", "reasoning"]


@dataclass(frozen=True, slots=True)
class Model:
    """A model that a provider offers. `context_length` is in tokens, None where unknown.

    `abilities` are what the provider says it can do beyond text: take images, call tools, keep to
    a JSON schema, think first. Empty where it says nothing of it.
    """

    id: str
    name: str
    context_length: int | None = None
    abilities: tuple[Ability, ...] = ()


class Provider(Protocol):
    """Serves models over one wire protocol.

    `stream` yields parts as they come and ends after Finished. It raises only ProviderError;
    closing or cancelling the generator ends the request at once. `continues_text` says whether
    the model itself can go on with an assistant turn that stands last.
    """

    name: str
    continues_text: bool

    def stream(self, request: ReplyRequest) -> AsyncGenerator[StreamPart]: ...

    def can_title(self, request: ReplyRequest) -> bool:
        """Whether it may be asked for a title of the conversation that `request` is part of."""
        ...

    async def models(self) -> tuple[Model, ...]:
        """The models on offer. Raises ProviderError when they cannot be listed."""
        ...

    async def aclose(self) -> None: ...
