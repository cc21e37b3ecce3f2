"""What is said on the OpenAI wire: chunks of bytes in, parts of the reply out.

The shape of an event is named no further than it is used, as every server adds fields of its own.
Servers that answer a question for a stream with one JSON document are understood as well.
"""

import itertools
import json
from typing import Any, Final, Literal, cast

import msgspec

from talekeeper.domain.replies import Model, ReasoningDelta, TextDelta, Usage
from talekeeper.errors import ProviderError, ProviderSentGarbage
from talekeeper.providers.failures import broken_off, failure, not_the_protocol
from talekeeper.providers.sse import NotAnEventStream, SseReader
from talekeeper.providers.thinking import Thinking

MAX_DOCUMENT: Final = 8 << 20
"""Bytes of an answer that comes as one JSON document."""


class Answer:
    """What the server has said so far: bytes in, parts of the reply out."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._reader = SseReader()
        self._document: bytearray | None = None
        self._is_known = False
        self._has_chosen = False
        self._thinking = Thinking()
        self._parts: list[TextDelta | ReasoningDelta] = []
        self.usage: Usage | None = None
        self.reason: Literal["stop", "length", "filtered"] = "stop"
        self.is_finished = False
        """The model came to its end; only counts and goodbyes may follow."""
        self.is_over = False
        """Nothing more is waited for."""
        self.has_begun = False
        """The model has said something."""

    def take(self, chunk: bytes) -> bool:
        """Take in a chunk; whether it held more than signs of life. Raises ProviderError."""
        if not self._is_known:
            start = chunk.lstrip()[:1]
            self._is_known = bool(start)
            if start == b"{":
                self._document = bytearray()
        if self._document is not None:
            self._document += chunk
            if len(self._document) > MAX_DOCUMENT:
                raise not_the_protocol()
            return False
        try:
            events = self._reader.feed(chunk)
        except NotAnEventStream as error:
            raise not_the_protocol() from error
        self._hear(events)
        return bool(events)

    def end(self) -> None:
        """The connection ended. Raises ProviderError when the reply had not."""
        if self._document is not None:
            self._hear([bytes(self._document)])
            if not self._has_chosen:
                raise not_the_protocol()
            self.is_finished = True
        else:
            try:
                events = self._reader.finish()
            except NotAnEventStream as error:
                raise not_the_protocol() from error
            try:
                self._hear(events)
            except ProviderSentGarbage as error:
                raise broken_off() from error
        if not self.is_finished:
            raise broken_off()
        self.flush()
        self.is_over = True

    def flush(self) -> None:
        """Nothing follows: what could still have become a mark is the reply's."""
        for part in self._thinking.rest():
            self._add(part)

    def parts(self) -> list[TextDelta | ReasoningDelta]:
        """What was said since the last call, neighbours of one kind joined."""
        parts, self._parts = self._parts, []
        if len(parts) < 2:
            return parts
        joined: list[TextDelta | ReasoningDelta] = []
        for kind, group in itertools.groupby(parts, type):
            joined.append(kind("".join(part.text for part in group)))
        return joined

    def _hear(self, events: list[bytes]) -> None:
        for event in events:
            if event == b"[DONE]":
                if not self.is_finished:
                    raise broken_off()
                self.flush()
                self.is_over = True
                return
            chunk = _decoded(event)
            if not self.is_finished and (chunk.error or chunk.object == "error"):
                raise self._fault(chunk.error or {"code": chunk.code, "type": chunk.message})
            if chunk.usage is not None:
                self.usage = Usage(chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
            if chunk.choices and chunk.choices[0].index == 0:
                self._choose(chunk.choices[0])

    def _choose(self, choice: "_Choice") -> None:
        self._has_chosen = True
        delta = choice.delta or choice.message
        if delta is not None:
            thought = delta.reasoning_content or delta.reasoning
            if isinstance(thought, str) and thought:
                self._add(ReasoningDelta(thought))
            content = delta.content
            if isinstance(content, list):
                content = "".join(piece.text for piece in content)
            if content:
                if self._thinking.is_over:
                    self._add(TextDelta(content))
                else:
                    self.has_begun = True
                    self._parts += self._thinking.parts(content)
        if choice.finish_reason:
            if choice.finish_reason == "error":
                raise self._fault(None)
            self.is_finished = True
            self.reason = _REASONS.get(choice.finish_reason, "stop")

    def _add(self, part: TextDelta | ReasoningDelta) -> None:
        self.has_begun = True
        self._parts.append(part)

    def _fault(self, error: object) -> ProviderError:
        """The error for an error object in the place of a reply."""
        status = 500
        said = str(error)
        if isinstance(error, dict):
            told = cast("dict[str, object]", error)
            code = told.get("code") or told.get("status")
            if isinstance(code, str) and code.isascii() and code.isdigit():
                code = int(code)
            kind = f"{code} {told.get('type')}"
            if isinstance(code, int) and 400 <= code < 600:
                status = code
            else:
                status = next((known for word, known in _KINDS if word in kind), 500)
        return failure(status, said=said, model=self._model, retry_after=None)


class _Piece(msgspec.Struct, gc=False):
    text: str = ""


class _Delta(msgspec.Struct):
    content: str | list[_Piece] | None = None
    reasoning_content: str | None = None
    reasoning: Any = None


class _Choice(msgspec.Struct):
    index: int = 0
    delta: _Delta | None = None
    message: _Delta | None = None
    finish_reason: str | None = None


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Chunk(msgspec.Struct):
    """One event, or a whole answer. Only what is used is named; all else may be as it likes."""

    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: Any = None
    object: Any = None
    code: Any = None
    message: Any = None


_DECODER: Final = msgspec.json.Decoder(_Chunk)
_REASONS: Final[dict[str, Literal["stop", "length", "filtered"]]] = {
    "length": "length",
    "max_tokens": "length",
    "content_filter": "filtered",
    "safety": "filtered",
}
_KINDS: Final = (
    ("context_length", 400),
    ("exceed_context", 400),
    ("rate_limit", 429),
    ("insufficient_quota", 429),
    ("invalid_api_key", 401),
    ("authentication", 401),
    ("permission", 403),
    ("not_found", 404),
    ("invalid_request", 400),
    ("overloaded", 503),
)
"""Error codes and types in words, and the HTTP status that says the same."""


def _decoded(event: bytes) -> _Chunk:
    """An event's JSON as a value.

    msgspec refuses a lone surrogate, but half an emoji may well end one delta and begin the next;
    json takes it, and so may a byte that is no UTF-8 pass as U+FFFD instead of ending the reply.
    """
    try:
        return _DECODER.decode(event)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        return msgspec.convert(json.loads(event.decode(errors="replace")), _Chunk)
    except (ValueError, RecursionError, msgspec.ValidationError) as error:
        raise not_the_protocol() from error


def listed(body: bytes) -> tuple[Model, ...]:
    """The models in an answer, whichever of the known shapes it has."""
    try:
        answer = cast("object", json.loads(body))
    except (ValueError, RecursionError) as error:
        raise not_the_protocol() from error
    if isinstance(answer, dict):
        fields = cast("dict[str, object]", answer)
        answer = fields.get("data", fields.get("models"))
    if not isinstance(answer, list):
        raise not_the_protocol()
    models: dict[str, Model] = {}
    for entry in cast("list[object]", answer):
        fields = cast("dict[str, object]", entry) if isinstance(entry, dict) else {"id": entry}
        identity = fields.get("id") or fields.get("model") or fields.get("name")
        if isinstance(identity, str) and identity:
            title = fields.get("display_name") or fields.get("name")
            models.setdefault(
                identity,
                Model(
                    identity,
                    title if isinstance(title, str) and title else identity,
                    _context_length(fields),
                ),
            )
    return tuple(models.values())


def _context_length(fields: dict[str, object]) -> int | None:
    meta = fields.get("meta")
    inner = cast("dict[str, object]", meta) if isinstance(meta, dict) else {}
    for value in (
        fields.get("loaded_context_length"),
        fields.get("context_length"),
        fields.get("max_model_len"),
        fields.get("context_window"),
        fields.get("max_context_length"),
        inner.get("n_ctx"),
        inner.get("n_ctx_train"),
    ):
        if isinstance(value, int) and value > 0:
            return value
    return None
