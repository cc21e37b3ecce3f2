"""What all answers have in common: chunks of bytes in, events heard, parts of the reply out.

How a reply ends is where providers differ most; each adapter's `hear` knows its own. Here it only
holds that a stream which ends before the model came to its end was cut, and that after that end
nothing can spoil the reply any more.

Servers that answer a question for a stream with one JSON document are understood as well: the
document is heard as if it were an event.
"""

import abc
import itertools
import json
from typing import Final, Literal, TypeVar, cast

import msgspec

from talekeeper.domain.replies import ReasoningDelta, TextDelta, Usage
from talekeeper.errors import ProviderError, ProviderSentGarbage
from talekeeper.providers.failures import broken_off, not_the_protocol
from talekeeper.providers.sse import NotAnEventStream, SseReader

MAX_DOCUMENT: Final = 8 << 20
"""Bytes of an answer that comes as one JSON document."""

Reason = Literal["stop", "length", "filtered"]
_T = TypeVar("_T")


class Answer(abc.ABC):
    """What the server has said so far: bytes in, parts of the reply out."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.usage: Usage | None = None
        self.reason: Reason = "stop"
        self.is_finished = False
        """The model came to its end; only counts and goodbyes may follow."""
        self.is_over = False
        """Nothing more is waited for."""
        self.has_begun = False
        """The model has said or thought something."""
        self.has_spoken = False
        """There are words in the reply itself."""
        self._reader = SseReader()
        self._document: bytearray | None = None
        self._is_known = False
        self._parts: list[TextDelta | ReasoningDelta] = []

    @abc.abstractmethod
    def hear(self, event: bytes) -> bool:
        """Take in one event; whether it is more than a sign of life. Raises ProviderError."""

    def hear_document(self, document: bytes) -> None:
        """Take in an answer that is no stream. Raises ProviderError."""
        self.hear(document)
        if not self.is_finished:
            raise not_the_protocol()

    def misread(self, chunk: bytes) -> ProviderError:  # noqa: ARG002 - adapters look into it
        """The error for a chunk that holds something else than events."""
        return not_the_protocol()

    def flush(self) -> None:  # noqa: B027 - most hold nothing back
        """Nothing follows: what an adapter still held back is the reply's."""

    def take(self, chunk: bytes) -> bool:
        """Take in a chunk; whether it held more than signs of life. Raises ProviderError."""
        try:
            return self._taken(chunk)
        except ProviderError:
            if not self.is_finished:
                raise
            self.close()
            return False

    def end(self) -> None:
        """The connection ended. Raises ProviderError when the reply had not."""
        if self.is_finished:
            self.close()
            return
        if self._document is not None:
            self.hear_document(bytes(self._document))
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
        self.close()

    def close(self) -> None:
        """Nothing more is waited for, and nothing is held back."""
        self.flush()
        self.is_over = True

    def finish(self, reason: Reason) -> None:
        """The model came to its end."""
        self.is_finished = True
        self.reason = reason

    def add(self, *parts: TextDelta | ReasoningDelta) -> None:
        """These were said."""
        self.has_begun = True
        self._parts += parts

    def parts(self) -> list[TextDelta | ReasoningDelta]:
        """What was said since the last call, neighbours of one kind joined."""
        parts, self._parts = self._parts, []
        if not self.has_spoken:
            self.has_spoken = any(
                isinstance(part, TextDelta) and not part.text.isspace() for part in parts
            )
        if len(parts) < 2:
            return parts
        joined: list[TextDelta | ReasoningDelta] = []
        for kind, group in itertools.groupby(parts, type):
            joined.append(kind("".join(part.text for part in group)))
        return joined

    def _taken(self, chunk: bytes) -> bool:
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
            self._hear(error.events)
            raise self.misread(chunk) from error
        return self._hear(events)

    def _hear(self, events: list[bytes]) -> bool:
        has_said_something = False
        for event in events:
            if self.is_over:
                break
            has_said_something |= self.hear(event)
        return has_said_something


def decoded(event: bytes, decoder: msgspec.json.Decoder[_T]) -> _T:
    """An event's JSON as a value. Raises ProviderSentGarbage.

    msgspec refuses a lone surrogate, but half an emoji may well end one delta and begin the next;
    json takes it, and so may a byte that is no UTF-8 pass as U+FFFD instead of ending the reply.
    """
    try:
        return decoder.decode(event)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        return msgspec.convert(json.loads(event.decode(errors="replace")), decoder.type)
    except (ValueError, RecursionError, msgspec.ValidationError) as error:
        raise not_the_protocol() from error


def entries_of(document: bytes, *names: str) -> tuple[list[dict[str, object]], dict[str, object]]:
    """The objects of a list in a document, under the first of `names` that is there, and the
    document's fields. Raises ProviderSentGarbage where there is no such list.
    """
    try:
        answer = cast("object", json.loads(document))
    except (ValueError, RecursionError) as error:
        raise not_the_protocol() from error
    if not isinstance(answer, dict):
        raise not_the_protocol()
    fields = cast("dict[str, object]", answer)
    found = next((fields[name] for name in names if name in fields), None)
    if not isinstance(found, list):
        raise not_the_protocol()
    entries = [
        cast("dict[str, object]", entry)
        for entry in cast("list[object]", found)
        if isinstance(entry, dict)
    ]
    return entries, fields


def text_in(fields: dict[str, object], *names: str) -> str:
    """The first of these fields that is a text with something in it, else an empty one."""
    for name in names:
        value = fields.get(name)
        if isinstance(value, str) and value:
            return value
    return ""


def count_in(fields: dict[str, object], *names: str) -> int | None:
    """The first of these fields that is a positive number."""
    for name in names:
        value = fields.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None
