"""What is said on the OpenAI wire: chunks of bytes in, parts of the reply out.

The shape of an event is named no further than it is used, as every server adds fields of its own.
"""

import json
from typing import Any, Final, cast

import msgspec

from talekeeper.domain.replies import Ability, Model, ReasoningDelta, TextDelta, Usage
from talekeeper.errors import ProviderError
from talekeeper.providers.abilities import abilities_in
from talekeeper.providers.answers import Answer, Reason, count_in, decoded, text_in
from talekeeper.providers.failures import broken_off, failure, not_the_protocol
from talekeeper.providers.thinking import Thinking


class OpenAIAnswer(Answer):
    """What the server has said so far. `[DONE]` ends it, and so does a plain end of the stream."""

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self._has_chosen = False
        self._thinking = Thinking()

    def hear(self, event: bytes) -> bool:
        if event == b"[DONE]":
            if not self.is_finished:
                raise broken_off()
            self.close()
            return True
        chunk = decoded(event, _DECODER)
        if not self.is_finished and (chunk.error or chunk.object == "error"):
            raise self._fault(chunk.error or {"code": chunk.code, "type": chunk.message})
        if chunk.usage is not None:
            self.usage = Usage(chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
        if chunk.choices and chunk.choices[0].index == 0:
            self._choose(chunk.choices[0])
        return True

    def hear_document(self, document: bytes) -> None:
        self.hear(document)
        if not self._has_chosen:
            raise not_the_protocol()
        self.is_finished = True

    def flush(self) -> None:
        """What could still have become a mark is the reply's."""
        if rest := self._thinking.rest():
            self.add(*rest)

    def _choose(self, choice: "_Choice") -> None:
        self._has_chosen = True
        delta = choice.delta or choice.message
        if delta is not None:
            thought = delta.reasoning_content or delta.reasoning
            if isinstance(thought, str) and thought:
                self.add(ReasoningDelta(thought))
            content = delta.content
            if isinstance(content, list):
                content = "".join(piece.text for piece in content)
            if content:
                if self._thinking.is_over:
                    self.add(TextDelta(content))
                else:
                    self.add(*self._thinking.parts(content))
        if choice.finish_reason:
            if choice.finish_reason == "error":
                raise self._fault(None)
            self.finish(_REASONS.get(choice.finish_reason, "stop"))

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
        return failure(status, said=said, model=self.model, retry_after=None)


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
_REASONS: Final[dict[str, Reason]] = {
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


def listed(body: bytes) -> tuple[Model, ...]:
    """The models in an answer, whichever of the known shapes it has."""
    try:
        answer = cast("object", json.loads(body))
    except (ValueError, RecursionError) as error:
        raise not_the_protocol() from error
    beside: dict[object, tuple[Ability, ...]] = {}
    if isinstance(answer, dict):
        fields = cast("dict[str, object]", answer)
        answer = fields.get("data", fields.get("models"))
        beside = _abilities_beside(fields)
    if not isinstance(answer, list):
        raise not_the_protocol()
    models: dict[str, Model] = {}
    for entry in cast("list[object]", answer):
        fields = cast("dict[str, object]", entry) if isinstance(entry, dict) else {"id": entry}
        identity = fields.get("id") or fields.get("model") or fields.get("name")
        if isinstance(identity, str) and identity:
            title = text_in(fields, "display_name", "name") or identity
            abilities = abilities_in(fields) or beside.get(identity, ())
            models.setdefault(identity, Model(identity, title, _context_length(fields), abilities))
    return tuple(models.values())


def _abilities_beside(fields: dict[str, object]) -> dict[object, tuple[Ability, ...]]:
    """llama.cpp lists its models twice, and says what they can do in the second list only."""
    models = fields.get("models")
    if not isinstance(models, list) or "data" not in fields:
        return {}
    entries = [
        cast("dict[str, object]", entry)
        for entry in cast("list[object]", models)
        if isinstance(entry, dict)
    ]
    return {text_in(entry, "model", "name"): abilities_in(entry) for entry in entries}


def _context_length(fields: dict[str, object]) -> int | None:
    meta = fields.get("meta")
    inner = cast("dict[str, object]", meta) if isinstance(meta, dict) else {}
    return count_in(
        fields,
        "loaded_context_length",
        "context_length",
        "max_model_len",
        "context_window",
        "max_context_length",
    ) or count_in(inner, "n_ctx", "n_ctx_train")
