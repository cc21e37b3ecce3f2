"""Anthropic's wire: the Messages API, version 2023-06-01, as Claude speaks it.

A reply is one POST to `{base}/messages`, answered by server-sent events. `message_delta` says why
the model stopped, `message_stop` ends it; a stream without either was cut. Pings are signs of
life and no more. An error may come as an event of its own after the status was 200.

Instructions stand beside the talk, which a user begins; `max_tokens` must always be said. What a
model refuses is learned from its refusal: how long a reply it gives at most, and whether it takes
a temperature or a top_p, which the newest do not, or not both.

`continues_text` is false: a last turn of the assistant's own is refused by models since 2026 and
must not end in a space for the elder, so every Claude is asked to go on in words.

Taken from https://platform.claude.com/docs/en/api/messages and /build-with-claude/streaming.
"""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final, cast
from urllib.parse import quote

import aiohttp
import msgspec

from talekeeper.clock import Clock
from talekeeper.domain.conversations import FinishReason
from talekeeper.domain.replies import (
    Model,
    ReplyRequest,
    StreamPart,
    Usage,
    Wish,
    counted,
)
from talekeeper.errors import ProviderError
from talekeeper.providers.abilities import abilities_in
from talekeeper.providers.answers import (
    Answer,
    count_in,
    decoded,
    entries_of,
    is_error,
    text_in,
    told_reason,
    words_in,
)
from talekeeper.providers.failures import endpoint_failure, failure
from talekeeper.providers.http import Line, Refusal
from talekeeper.providers.reach import Reach
from talekeeper.providers.turns import apart

_VERSION: Final = "2023-06-01"
_LONGEST_REPLY: Final = 16_384
"""Tokens of a reply where nothing else is asked: every model sold since 2025 gives as many."""
_PAGES: Final = 10
_SAMPLING: Final[tuple[Wish, ...]] = ("top_p", "temperature")
_TOO_MANY_TOKENS: Final = re.compile(r"max_tokens: \d+ > (\d+)")


class Anthropic:
    """Claude at one base URL."""

    name = "anthropic"
    continues_text = False

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        stall_seconds: float = 60.0,
        first_token_seconds: float = 300.0,
        reach: Reach = Reach.ANYWHERE,
        clock: Clock | None = None,
    ) -> None:
        self._line = Line(
            base_url,
            api_key=api_key,
            key_header="x-api-key",
            key_prefix="",
            headers={"anthropic-version": _VERSION},
            stall_seconds=stall_seconds,
            first_token_seconds=first_token_seconds,
            reach=reach,
            clock=clock,
        )
        self._longest: dict[str, int] = {}
        self._refused: dict[str, set[Wish]] = {}
        """The wishes that a model refused, by model."""

    async def stream(self, request: ReplyRequest) -> AsyncGenerator[StreamPart]:
        response = await self._asked(request)
        refused = self._refused.get(request.model, ())
        unheeded: list[Wish] = [wish for wish in request.wishes() if wish in refused]
        answer = AnthropicAnswer(request.model)
        async with aclosing(self._line.heard(response, answer, unheeded=unheeded)) as parts:
            async for part in parts:
                yield part

    def can_title(self, request: ReplyRequest) -> bool:  # noqa: ARG002
        return True

    async def models(self) -> tuple[Model, ...]:
        models: list[Model] = []
        path = "models?limit=1000"
        for _ in range(_PAGES):
            entries, fields = entries_of(await self._line.document(path), "data")
            for entry in entries:
                if identity := text_in(entry, "id"):
                    title = text_in(entry, "display_name") or identity
                    length = count_in(entry, "max_input_tokens")
                    models.append(Model(identity, title, length, abilities_in(entry)))
            last = text_in(fields, "last_id")
            if fields.get("has_more") is not True or not last:
                break
            path = f"models?limit=1000&after_id={quote(last, safe='')}"
        return tuple(models)

    async def aclose(self) -> None:
        await self._line.aclose()

    async def _asked(self, request: ReplyRequest) -> aiohttp.ClientResponse:
        while True:
            body = self._body(request)
            response = await self._line.ask("messages", msgspec.json.encode(body))
            if not isinstance(response, Refusal):
                return response
            if not self._learned(response, request.model, body):
                raise self._line.failure(response, model=request.model, wishes=request.wishes())

    def _body(self, request: ReplyRequest) -> dict[str, object]:
        model = request.model
        instructions, talk = apart(request.turns)
        longest = request.max_tokens or _LONGEST_REPLY
        body: dict[str, object] = {
            "model": model,
            "max_tokens": min(longest, self._longest.get(model, longest)),
            "messages": talk,
            "stream": True,
        }
        if instructions:
            body["system"] = instructions
        refused = self._refused.get(model, ())
        if request.temperature is not None and "temperature" not in refused:
            body["temperature"] = min(request.temperature, 1.0)  # it ends there on this wire
        if request.top_p is not None and "top_p" not in refused:
            body["top_p"] = request.top_p
        return body

    def _learned(self, refusal: Refusal, model: str, body: dict[str, object]) -> bool:
        """Whether asking in another way will help. What was learned holds from then on."""
        if refusal.status != 400:
            return False
        if found := _TOO_MANY_TOKENS.search(refusal.said):
            longest, asked = int(found[1]), body["max_tokens"]
            self._longest[model] = longest
            return isinstance(asked, int) and 0 < longest < asked
        # Where a refusal names both, either may be sent alone: the temperature is kept.
        for wish in _SAMPLING:
            if wish in body and wish in refusal.said:
                self._refused.setdefault(model, set()).add(wish)
                return True
        return False


class AnthropicAnswer(Answer):
    """What Claude has said so far."""

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self._input_tokens: int | None = None
        self._block_start = ""
        """The text that a block began with: some servers say it once more as its first piece."""

    def hear(self, event: bytes) -> bool:
        told = decoded(event, _DECODER)
        match told.type:
            case "ping":
                return False
            case "message_start" if isinstance(told.message, _Message):
                self._count(told.message.usage)
                self._say_blocks(told.message.content)
            case "content_block_start":
                self._begin_block(told.content_block)
            case "content_block_delta":
                self._say(told.delta)
            case "content_block_stop":
                self._say_block_start()
            case "message_delta":
                self._say_block_start()
                self._count(told.usage)
                if isinstance(told.delta, _Said):
                    self._end_for(told.delta.stop_reason)
            case "message_stop":
                self.close()
            case "message":
                # The whole answer, where a stream was asked for.
                self._count(told.usage)
                self._say_blocks(told.content)
                self._end_for(told.stop_reason)
            case _:
                # Kinds of event may be added at any time, and are to be passed over.
                pass
        if is_error(told.error) and not self.is_settled:
            raise self._fault(told.error)
        return True

    def flush(self) -> None:
        self._say_block_start()
        super().flush()

    def _begin_block(self, block: "_Said | str | None") -> None:
        self._say_block_start()
        if isinstance(block, _Said):
            if block.thinking:
                self.think(words_in(block.thinking))
            self._block_start = words_in(block.text)
        elif block:
            self._block_start = block

    def _say_block_start(self) -> None:
        text, self._block_start = self._block_start, ""
        if text:
            self.say(text)

    def _say(self, said: "_Said | str | None") -> None:
        if isinstance(said, str):
            said = _Said(text=said)
        if said is None:
            return
        if said.thinking:
            self.think(words_in(said.thinking))
        text = said.text
        if type(text) is not str:
            text = words_in(text)
        if text:
            if text == self._block_start:
                self._block_start = ""
            elif self._block_start:
                self._say_block_start()
            self.say(text)

    def _say_blocks(self, blocks: object) -> None:
        """The blocks of a whole message."""
        for block in cast("list[object]", blocks) if isinstance(blocks, list) else [blocks]:
            fields = cast("dict[str, object]", block) if isinstance(block, dict) else {}
            if thought := words_in(fields.get("thinking")):
                self.think(thought)
            elif text := words_in(cast("object", block)):
                self.say(text)

    def _end_for(self, reason: object) -> None:
        if (told := told_reason(reason)) is not None:
            self.finish(_REASONS.get(told, "stop"))

    def _count(self, usage: object) -> None:
        """The counts so far: each event gives the sum, and the last one need not repeat all."""
        if not isinstance(usage, dict):
            return
        told = cast("dict[str, object]", usage)
        fresh, read, made = (
            counted(told.get(name))
            for name in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
        )
        if fresh is not None:
            self._input_tokens = counted(fresh + (read or 0) + (made or 0))
        output = counted(told.get("output_tokens"))
        if output is None and self.usage is not None:
            output = self.usage.output_tokens
        self.usage = Usage(self._input_tokens, output)

    def _fault(self, error: object) -> ProviderError:
        told = cast("dict[str, object]", error) if isinstance(error, dict) else {}
        kind, message = (
            text_in(told, "type"),
            text_in(told, "message") or str(cast("object", error)),
        )
        if kind not in _STATUSES and (wrong_address := endpoint_failure(message)):
            return wrong_address
        return failure(_STATUSES.get(kind, 500), said=message, model=self.model, retry_after=None)


class _Said(msgspec.Struct, gc=False):
    """A block of content at its start, a piece of it, or the end of the message."""

    text: Any = None
    thinking: Any = None
    stop_reason: Any = None


class _Message(msgspec.Struct, gc=False):
    usage: Any = None
    content: Any = None


class _Event(msgspec.Struct):
    """One event. Only what is used is named; all else may be as it likes."""

    type: Any = ""
    message: _Message | str | None = None
    content_block: _Said | str | None = None
    delta: _Said | str | None = None
    content: Any = None
    stop_reason: Any = None
    usage: Any = None
    error: Any = None


_DECODER: Final = msgspec.json.Decoder(_Event)
_REASONS: Final[dict[str, FinishReason]] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refused",
}
_STATUSES: Final = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""Errors in the stream, and the HTTP status that says the same."""
