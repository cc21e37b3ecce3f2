"""Google's wire: the Gemini API, v1beta, as Gemini speaks it.

A reply is one POST to `{base}/models/{model}:streamGenerateContent?alt=sse`, answered by
server-sent events of which each is an answer of its own, a piece long. The last of them gives a
`finishReason`, and so does every one of some models; the end of the stream is the only goodbye. A
stream without such an event was cut. A question may be refused for what it says: then there is a
`promptFeedback` and no candidate. Errors may come in the stream, as an event or as bare JSON.

Instructions stand beside the talk, in which the assistant is called `model`. `continues_text` is
false: a last turn of the model's own is not gone on with reliably.

Google says in a body, not in a header, how long to wait, words a limit like a lack of money, and
answers 400 to a wrong key; so it has its own table of failures here.

Taken from https://ai.google.dev/api/generate-content and /api/models.
"""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final, Literal, cast
from urllib.parse import quote

import msgspec

from talekeeper.clock import Clock
from talekeeper.domain.conversations import FinishReason
from talekeeper.domain.replies import Model, ReplyRequest, StreamPart, Usage, counted
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
from talekeeper.providers.failures import failure, not_the_protocol
from talekeeper.providers.http import Line, Refusal
from talekeeper.providers.reach import Reach, mended_address
from talekeeper.providers.turns import apart

_PAGES: Final = 10
_ROLES: Final[dict[str, Literal["user", "model"]]] = {"user": "user", "assistant": "model"}
_WRONG_KEY: Final = ("api_key_invalid", "api key not valid", "api key expired", "api key not found")
_DELAY: Final = re.compile(r'"retryDelay"\s*:\s*"(\d{1,5}(?:\.\d+)?)s"')
_BARE_ERROR: Final = re.compile(rb'"error"\s*:\s*\{\s*"code"\s*:\s*(\d{3})\b')


class Google:
    """Gemini at one base URL."""

    name = "google"
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
            _with_version(mended_address(base_url)),
            api_key=api_key,
            key_header="x-goog-api-key",
            key_prefix="",
            stall_seconds=stall_seconds,
            first_token_seconds=first_token_seconds,
            reach=reach,
            clock=clock,
            failing=google_failure,
        )

    async def stream(self, request: ReplyRequest) -> AsyncGenerator[StreamPart]:
        path = f"{_path_of(request.model)}:streamGenerateContent?alt=sse"
        response = await self._line.ask(path, _body(request))
        if isinstance(response, Refusal):
            raise self._line.failure(response, model=request.model, wishes=request.wishes())
        async with aclosing(self._line.heard(response, GoogleAnswer(request.model))) as parts:
            async for part in parts:
                yield part

    def can_title(self, request: ReplyRequest) -> bool:  # noqa: ARG002
        return True

    async def models(self) -> tuple[Model, ...]:
        """Those that can talk; others make pictures or numbers of a text."""
        models: list[Model] = []
        path = "models?pageSize=1000"
        for _ in range(_PAGES):
            entries, fields = entries_of(await self._line.document(path), "models")
            for entry in entries:
                identity = text_in(entry, "name").removeprefix("models/")
                methods = entry.get("supportedGenerationMethods")
                if identity and (not isinstance(methods, list) or "generateContent" in methods):
                    title = text_in(entry, "displayName") or identity
                    length = count_in(entry, "inputTokenLimit")
                    models.append(Model(identity, title, length, abilities_in(entry)))
            following = text_in(fields, "nextPageToken")
            if not following:
                break
            path = f"models?pageSize=1000&pageToken={quote(following, safe='')}"
        return tuple(models)

    async def aclose(self) -> None:
        await self._line.aclose()


class GoogleAnswer(Answer):
    """What Gemini has said so far."""

    def hear(self, event: bytes) -> bool:
        told = decoded(event, _DECODER)
        if told.usage_metadata is not None:
            self._count(told.usage_metadata)
        if told.candidates and (candidate := self.chosen(told.candidates)) is not None:
            self._listen(candidate)
        if is_error(told.error) and not self.is_settled:
            raise self._fault(told.error, said=event.decode(errors="replace"))
        feedback = told.prompt_feedback
        if not told.candidates and isinstance(feedback, dict):
            blocked = told_reason(cast("dict[str, object]", feedback).get("blockReason"))
            if blocked not in (None, "block_reason_unspecified"):
                self.finish("filtered")
        return True

    def has_words(self, choice: "_Candidate") -> bool:
        """Whether one of several replies says something in this event."""
        return any(words_in(piece) for piece in _pieces_of(choice.content))

    def misread(self, chunk: bytes) -> ProviderError:
        if found := _BARE_ERROR.search(chunk):
            said = chunk.decode(errors="replace")
            return google_failure(int(found[1]), said=said, model=self.model, retry_after=None)
        return not_the_protocol()

    def _listen(self, candidate: "_Candidate") -> None:
        for piece in _pieces_of(candidate.content):
            if text := words_in(piece):
                if (
                    isinstance(piece, dict)
                    and cast("dict[str, object]", piece).get("thought") is True
                ):
                    self.think(text)
                else:
                    self.say(text)
        reason = told_reason(candidate.finish_reason)
        if reason is None:
            return
        if reason not in _REASONS:
            # A call of a tool gone wrong, "OTHER", or what may be added: it is no good end.
            raise google_failure(500, said="", model=self.model, retry_after=None)
        self.finish(_REASONS[reason])

    def _count(self, usage: object) -> None:
        if not isinstance(usage, dict):
            return
        told = cast("dict[str, object]", usage)
        spoken, thought = (
            counted(told.get(name)) for name in ("candidatesTokenCount", "thoughtsTokenCount")
        )
        output = None if spoken is None and thought is None else (spoken or 0) + (thought or 0)
        self.usage = Usage(counted(told.get("promptTokenCount")), counted(output))

    def _fault(self, error: object, *, said: str) -> ProviderError:
        code = cast("dict[str, object]", error).get("code") if isinstance(error, dict) else None
        status = counted(code)
        if status is None or not 400 <= status < 600:
            status = 500
        return google_failure(status, said=said, model=self.model, retry_after=None)


def _pieces_of(content: object) -> list[object]:
    """The pieces of a candidate's content, which is an object with `parts`."""
    if isinstance(content, dict):
        content = cast("dict[str, object]", content).get("parts")
    if isinstance(content, list):
        return cast("list[object]", content)
    return [] if content is None else [content]


def google_failure(
    status: int, *, said: str, model: str, retry_after: float | None
) -> ProviderError:
    """The error for a status of Google's, or for an error's code in the stream."""
    hints = said.lower()
    if status == 400 and any(word in hints for word in _WRONG_KEY):
        status = 401
    if retry_after is None and (found := _DELAY.search(said)):
        retry_after = float(found[1])
    if status == 429:
        said = ""  # each of its limits is worded as a quota, with a plan and billing to look at
    return failure(status, said=said, model=model, retry_after=retry_after)


def _with_version(base_url: str) -> str:
    """An address that names a server only leads to v1beta: v1 knows no instructions.

    The settings write /v1 behind such an address before it is stored.
    """
    address = base_url.strip().rstrip("/")
    _, found, place = address.partition("://")
    if found and "/" not in place.removesuffix("/v1"):
        return f"{address.removesuffix('/v1')}/v1beta"
    return address


def _path_of(model: str) -> str:
    """Where a model stands: tuned ones have a folder of their own."""
    folder, found, name = model.partition("/")
    if found and folder in ("models", "tunedModels"):
        return f"{folder}/{quote(name, safe='')}"
    return f"models/{quote(model, safe='')}"


def _body(request: ReplyRequest) -> bytes:
    instructions, talk = apart(request.turns)
    body: dict[str, object] = {
        "contents": [
            {"role": _ROLES[turn.role], "parts": [{"text": turn.content}]} for turn in talk
        ]
    }
    if instructions:
        body["systemInstruction"] = {"parts": [{"text": instructions}]}
    wishes: dict[str, object] = {}
    if request.max_tokens is not None:
        wishes["maxOutputTokens"] = request.max_tokens
    if request.temperature is not None:
        wishes["temperature"] = request.temperature
    if request.top_p is not None:
        wishes["topP"] = request.top_p
    if wishes:
        body["generationConfig"] = wishes
    return msgspec.json.encode(body)


class _Candidate(msgspec.Struct, rename="camel"):
    index: Any = 0
    content: Any = None
    finish_reason: Any = None


class _Event(msgspec.Struct, rename="camel"):
    """One piece of an answer. Only what is used is named; all else may be as it likes."""

    candidates: list[_Candidate] | None = None
    prompt_feedback: Any = None
    usage_metadata: Any = None
    error: Any = None


_DECODER: Final = msgspec.json.Decoder(_Event)
_REASONS: Final[dict[str, FinishReason]] = {
    "stop": "stop",
    "max_tokens": "length",
    "safety": "filtered",
    "recitation": "filtered",
    "language": "filtered",
    "blocklist": "filtered",
    "prohibited_content": "filtered",
    "spii": "filtered",
    "image_safety": "filtered",
    "model_armor": "filtered",
}
