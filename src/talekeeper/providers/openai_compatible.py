"""The OpenAI wire: what OpenAI, OpenRouter, Ollama, llama.cpp, vLLM, LM Studio and others speak.

A reply is one POST to `{base}/chat/completions`, answered by server-sent events.

The end is where servers differ most; `answers` says what counts as one. A field that a server
refuses for a model is left out, or named otherwise, from then on; what was wished for and left out
is told with each reply. So are the instructions: where a model's template takes no system turn,
they go with the user's first.
"""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

import aiohttp
import msgspec

from talekeeper.clock import Clock
from talekeeper.domain.replies import Model, ReplyRequest, StreamPart, Wish
from talekeeper.providers.http import Line, Refusal
from talekeeper.providers.openai_answers import OpenAIAnswer, listed
from talekeeper.providers.reach import Reach
from talekeeper.providers.turns import without_system

_ADAPTATIONS: Final = (
    ("stream_options", "stream_options"),
    ("max_tokens", "max_completion_tokens"),
    ("top_p", "top_p"),
    ("temperature", "temperature"),
)
"""A field that some servers refuse, and the word in their answer that tells."""
_SYSTEM: Final = "system"
_NO_SYSTEM_TURN: Final = re.compile(
    r"system (?:role|message|prompt)s?\b.{0,40}\b(?:not|only)\b|roles must alternate"
    r"|only user(?:,| and) assistant",
    re.IGNORECASE | re.DOTALL,
)
"""How the templates of Gemma, Mistral and others refuse a system turn."""
_REFUSALS_OF_TEMPLATES: Final = frozenset((400, 422, 500))
_LEFT_OUT: Final[tuple[Wish, ...]] = ("temperature", "top_p")


class OpenAICompatible:
    """One provider at one base URL. `continues_text` is false: it has to be asked to go on."""

    continues_text = False

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        name: str = "openai",
        stall_seconds: float = 60.0,
        first_token_seconds: float = 300.0,
        reach: Reach = Reach.ANYWHERE,
        clock: Clock | None = None,
        leaves_out: frozenset[str] = frozenset(),
    ) -> None:
        """`leaves_out` are the fields that the server is known to refuse."""
        self.name = name
        self._leaves_out = leaves_out
        self._line = Line(
            base_url,
            api_key=api_key,
            stall_seconds=stall_seconds,
            first_token_seconds=first_token_seconds,
            reach=reach,
            clock=clock,
        )
        self._unwanted: dict[str, set[str]] = {}
        """The fields that a model's server refused, by model; `_SYSTEM` stands for that turn."""

    async def stream(self, request: ReplyRequest) -> AsyncGenerator[StreamPart]:
        response = await self._asked(request)
        unwanted = self._unwanted_by(request.model)
        unheeded: list[Wish] = [
            wish for wish in request.wishes() if wish in _LEFT_OUT and wish in unwanted
        ]
        answer = OpenAIAnswer(request.model)
        async with aclosing(self._line.heard(response, answer, unheeded=unheeded)) as parts:
            async for part in parts:
                yield part

    def can_title(self, request: ReplyRequest) -> bool:  # noqa: ARG002
        return True

    async def models(self) -> tuple[Model, ...]:
        return listed(await self._line.document("models"))

    async def aclose(self) -> None:
        await self._line.aclose()

    def _unwanted_by(self, model: str) -> frozenset[str]:
        return self._leaves_out | self._unwanted.get(model, set())

    async def _asked(self, request: ReplyRequest) -> aiohttp.ClientResponse:
        """The answer once it begins, with status 200. Raises ProviderError for any other."""
        while True:
            unwanted = self._unwanted_by(request.model)
            response = await self._line.ask("chat/completions", _body(request, unwanted))
            if not isinstance(response, Refusal):
                return response
            if not self._learned(response, request, unwanted):
                raise self._line.failure(response, model=request.model, wishes=request.wishes())

    def _learned(self, refusal: Refusal, request: ReplyRequest, unwanted: frozenset[str]) -> bool:
        """Whether asking in another way will help. What was learned holds from then on.

        `unwanted` is what was left out already: a reply beside this one may have learned since.
        """
        if (
            refusal.status in _REFUSALS_OF_TEMPLATES
            and _SYSTEM not in unwanted
            and request.turns[0].role == "system"
            and _NO_SYSTEM_TURN.search(refusal.said)
        ):
            self._unwanted.setdefault(request.model, set()).add(_SYSTEM)
            return True
        if refusal.status not in (400, 422):
            return False
        sent = {"stream_options", *request.wishes()}
        for field, hint in _ADAPTATIONS:
            if hint in refusal.said and field in sent - unwanted:
                self._unwanted.setdefault(request.model, set()).add(field)
                return True
        return False


def _body(request: ReplyRequest, unwanted: frozenset[str]) -> bytes:
    body: dict[str, object] = {
        "model": request.model,
        "messages": without_system(request.turns) if _SYSTEM in unwanted else request.turns,
        "stream": True,
    }
    if "stream_options" not in unwanted:
        body["stream_options"] = {"include_usage": True}
    if request.max_tokens is not None:
        field = "max_completion_tokens" if "max_tokens" in unwanted else "max_tokens"
        body[field] = request.max_tokens
    if request.temperature is not None and "temperature" not in unwanted:
        body["temperature"] = request.temperature
    if request.top_p is not None and "top_p" not in unwanted:
        body["top_p"] = request.top_p
    return msgspec.json.encode(body)
