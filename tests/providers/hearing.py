"""What a test hears of a provider: its parts, and the error that ended them."""

from tests.providers.faulty_server import FAIR_TOKENS, pieces

from talekeeper.domain.replies import (
    Provider,
    ReasoningDelta,
    ReplyRequest,
    StreamPart,
    TextDelta,
    Turn,
)
from talekeeper.errors import ProviderError

KEY = "sk-the-players-own-key"
QUESTION = "Who waits at the mill, in confidence?"
SOME = "".join(pieces()[:FAIR_TOKENS])
"""What a server says before a fault in mid-stream."""


def a_request(model: str = "storyteller") -> ReplyRequest:
    return ReplyRequest(model, (Turn("system", "Be brief."), Turn("user", QUESTION)))


async def heard(
    provider: Provider, request: ReplyRequest | None = None
) -> tuple[list[StreamPart], ProviderError | None]:
    parts: list[StreamPart] = []
    try:
        async for part in provider.stream(request or a_request()):
            parts.append(part)
    except ProviderError as error:
        return parts, error
    return parts, None


def text_of(parts: list[StreamPart]) -> str:
    return "".join(part.text for part in parts if isinstance(part, TextDelta))


def reasoning_of(parts: list[StreamPart]) -> str:
    return "".join(part.text for part in parts if isinstance(part, ReasoningDelta))
