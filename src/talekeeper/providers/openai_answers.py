"""What is said on the OpenAI wire: chunks of bytes in, parts of the reply out.

The shape of an event is named no further than it is used, as every server adds fields of its own.
"""

import json
from typing import Any, Final, cast

import msgspec

from talekeeper.domain.conversations import FinishReason
from talekeeper.domain.replies import Ability, Model, Usage, counted
from talekeeper.errors import ProviderError
from talekeeper.providers.abilities import abilities_in
from talekeeper.providers.answers import (
    Answer,
    count_in,
    decoded,
    is_error,
    text_in,
    told_reason,
    words_in,
)
from talekeeper.providers.failures import endpoint_failure, failure, not_the_protocol


class OpenAIAnswer(Answer):
    """What the server has said so far. `[DONE]` ends it, and so does a plain end of the stream."""

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self._has_delta = False

    def hear(self, event: bytes) -> bool:
        if event.strip() == b"[DONE]":
            self.close()
            return True
        chunk = decoded(event, _DECODER)
        if chunk.usage is not None:
            self._count(chunk.usage)
        if chunk.choices and (choice := self.chosen(chunk.choices)) is not None:
            self._listen(choice)
        if (chunk.error or chunk.object == "error") and not self.is_settled:
            self._look_at_error(chunk)
        return True

    def misread(self, chunk: bytes) -> ProviderError:
        return endpoint_failure(chunk.decode(errors="replace")) or super().misread(chunk)

    def has_words(self, choice: "_Choice") -> bool:
        """Whether one of several replies says something in this event."""
        told = (choice.delta, choice.message)
        deltas = [delta for delta in told if isinstance(delta, _Delta)]
        return bool(
            choice.text
            or any(isinstance(delta, str) and delta for delta in told)
            or any(d.content or d.refusal or d.reasoning_content or d.reasoning for d in deltas)
        )

    def _listen(self, choice: "_Choice") -> None:
        delta = choice.delta
        if delta is not None:
            self._has_delta = True
            if isinstance(delta, str):
                self._say_content(delta)
            else:
                content = delta.content
                thought = delta.reasoning_content or delta.reasoning
                if isinstance(thought, str) and thought:
                    self.think(thought)
                if type(content) is str:
                    if content:
                        self.say(content)
                elif content is not None:
                    self._say_content(content)
                if delta.refusal and (text := words_in(delta.refusal)):
                    self.say(text)
                    self.reason = "refused"
        reason = choice.finish_reason
        if choice.message is not None:
            self._listen_to_message(choice.message, is_last=told_reason(reason) is not None)
        elif delta is None and choice.text:
            self._say_content(choice.text)
        if reason is not None and (reason := told_reason(reason)) is not None:
            if reason == "error":
                raise self._fault(None)
            self.finish(_REASONS.get(reason, "stop"))

    def _listen_to_message(self, message: "_Delta | str", *, is_last: bool) -> None:
        """A whole message. Beside deltas it repeats them; without any, some servers send the
        pieces so, and may still repeat the whole in the end.
        """
        if isinstance(message, str):
            message = _Delta(content=message)
        thought = message.reasoning_content or message.reasoning
        if isinstance(thought, str) and thought and not self.has_begun:
            self.think(thought)
        text = words_in(message.content)
        said = self.thinking.said
        is_repeat = (is_last or self.is_finished) and len(said) > 1 and text == "".join(said)
        if self._has_delta:
            self.say_whole(text)
        elif not is_repeat:
            self._say_content(message.content)
        if refusal := words_in(message.refusal):
            self.say_whole(refusal)
            self.reason = "refused"

    def _say_content(self, content: object) -> None:
        if isinstance(content, list):
            # Mistral's models think in parts of their own.
            for part in cast("list[object]", content):
                if isinstance(part, dict) and "thinking" in part:
                    thought = words_in(cast("dict[str, object]", part)["thinking"])
                    if thought:
                        self.think(thought)
        if text := words_in(cast("object", content)):
            self.say(text)

    def _count(self, usage: object) -> None:
        if isinstance(usage, dict):
            told = cast("dict[str, object]", usage)
            counts = Usage(
                counted(told.get("prompt_tokens")), counted(told.get("completion_tokens"))
            )
            if self.usage is None or counts != Usage(None, None):
                self.usage = counts

    def _look_at_error(self, chunk: "_Chunk") -> None:
        """Raises ProviderError where there is one."""
        error = chunk.error
        if chunk.object == "error" and not error:
            error = {"code": chunk.code, "type": chunk.message, "message": chunk.message or "error"}
        if is_error(error):
            raise self._fault(error)

    def _fault(self, error: object) -> ProviderError:
        """The error for an error object in the place of a reply."""
        status = None
        said = kind = str(error)
        if isinstance(error, dict):
            told = cast("dict[str, object]", error)
            code = told.get("code") or told.get("status")
            status = counted(code)
            kind = f"{code} {told.get('type')}"
        if status is None or not 400 <= status < 600:
            status = next((known for word, known in _KINDS if word in kind), 500)
        if status == 500 and (wrong_address := endpoint_failure(said)):
            return wrong_address
        return failure(status, said=said, model=self.model, retry_after=None)


class _Delta(msgspec.Struct):
    content: Any = None
    refusal: Any = None
    reasoning_content: Any = None
    reasoning: Any = None


class _Choice(msgspec.Struct):
    index: Any = 0
    delta: _Delta | str | None = None
    message: _Delta | str | None = None
    text: Any = None
    finish_reason: Any = None


class _Chunk(msgspec.Struct):
    """One event, or a whole answer. Only what is used is named; all else may be as it likes."""

    choices: list[_Choice] | None = None
    usage: Any = None
    error: Any = None
    object: Any = None
    code: Any = None
    message: Any = None


_DECODER: Final = msgspec.json.Decoder(_Chunk)
_REASONS: Final[dict[str, FinishReason]] = {
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_length": "length",
    "content_filter": "filtered",
    "content-filter": "filtered",
    "sensitive": "filtered",
    "safety": "filtered",
    "refusal": "refused",
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
        raise endpoint_failure(body.decode(errors="replace")) or not_the_protocol()
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
