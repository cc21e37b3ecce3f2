"""What all answers have in common: chunks of bytes in, events heard, parts of the reply out.

**The end.** A reply is whole once the stream ends in order after a reason for the end, or with the
protocol's own last word (`close`). A reason alone is no end: some servers give one with every
event. So words that come after a reason open the reply again, and once that happened a reason
counts for nothing on this stream until nothing follows it. Where a reason was trusted
(`is_settled`), nothing can spoil the reply any more. A stream that breaks off before was cut.

**The words.** Whatever stands beside the words and is not of the type that the protocol says counts
as absent, and never costs the words: see `decoded` and `counted`. The words themselves are taken in
every shape in which servers were seen to send them (`words_in`). `say` takes a piece of them, and
`say_whole` a field that holds the whole reply so far, which some servers send beside the pieces.

Servers that answer a request for a stream with one JSON document, a list of events or one event a
line are understood as well.
"""

import abc
import itertools
import json
from collections.abc import Sequence
from functools import cache
from typing import Any, Final, Protocol, TypeVar, cast

import msgspec

from talekeeper.domain.conversations import FinishReason
from talekeeper.domain.replies import ReasoningDelta, TakenBack, TextDelta, Usage, counted
from talekeeper.errors import ProviderError, ProviderSentGarbage
from talekeeper.providers.failures import (
    broken_off,
    endpoint_failure,
    garbled,
    not_the_protocol,
    too_large,
)
from talekeeper.providers.sse import EventTooLarge, NotAnEventStream, SseReader
from talekeeper.providers.thinking import Part, Thinking

MAX_DOCUMENT: Final = 8 << 20
"""Bytes of an answer that comes as one JSON document."""

_NO_REASON: Final = frozenset(
    ("", "null", "none", "undefined", "unspecified", "finish_reason_unspecified")
)
_BOM: Final = b"\xef\xbb\xbf"
_T = TypeVar("_T")


class Choosable(Protocol):
    """One of several replies in an event."""

    index: Any


_C = TypeVar("_C", bound=Choosable)


class Answer(abc.ABC):
    """What the server has said so far: bytes in, parts of the reply out."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.usage: Usage | None = None
        self.reason: FinishReason | None = None
        """Why the model ended, as far as it was told."""
        self.is_finished = False
        """A reason for the end was given, and no words came since."""
        self.is_over = False
        """Nothing more is waited for."""
        self.has_begun = False
        """The model has said or thought something."""
        self.has_spoken = False
        """There are words in the reply itself."""
        self.thinking = Thinking()
        self._had_reason = False
        self._was_reopened = False
        self._followed: int | None = None
        self._reader = SseReader()
        self._document: bytearray | None = None
        self._is_known = False
        self._parts: list[Part] = []

    @abc.abstractmethod
    def hear(self, event: bytes) -> bool:
        """Take in one event; whether it is more than a sign of life. Raises ProviderError."""

    def hear_document(self, document: bytes) -> None:
        """Take in an answer that is no stream. Raises ProviderError."""
        self._hear(events_in(document))
        if not (self._had_reason or self.has_begun):
            raise not_the_protocol()
        self._had_reason = True

    def misread(self, chunk: bytes) -> ProviderError:  # noqa: ARG002 - adapters look into it
        """The error for a chunk that holds something else than events."""
        return not_the_protocol()

    @property
    def is_settled(self) -> bool:
        """The reply is whole, whatever comes next: only counts and goodbyes should.

        Before the first word a reason says nothing: some servers give one with the opening event,
        and then read the prompt.
        """
        return self.is_finished and self.has_begun and not self._was_reopened

    @property
    def has_news(self) -> bool:
        """There are parts that `parts` has not given out."""
        return bool(self._parts)

    def flush(self) -> None:
        """Nothing follows: what was held back is the reply's."""
        self._parts += self.thinking.rest()

    def take(self, chunk: bytes) -> bool:
        """Take in a chunk; whether it held more than signs of life. Raises ProviderError."""
        try:
            return self._taken(chunk)
        except ProviderError as error:
            if not self.is_settled:
                if self._is_garbled(error):
                    raise garbled() from error
                raise
            self.close()
            return False

    def end(self) -> None:
        """The stream ended in order. Raises ProviderError when the reply had not."""
        try:
            self._hear_rest()
        except ProviderError as error:
            if not self.is_settled:
                if self._is_garbled(error):
                    raise garbled() from error
                raise
        if not (self.is_over or self._had_reason):
            raise broken_off()
        self.close()

    def close(self) -> None:
        """The reply is whole: nothing more is waited for, and nothing is held back."""
        self.flush()
        self.is_finished = self.is_over = True

    def finish(self, reason: FinishReason) -> None:
        """The model gives a reason for the end. A refusal stays one, whatever else is said."""
        self.is_finished = self._had_reason = True
        if self.reason != "refused":
            self.reason = reason

    def say(self, text: str) -> None:
        """A piece of the text that the model says: of the reply, or of what it thinks aloud."""
        if self.is_finished:
            self._reopen()
        self.has_begun = True
        thinking = self.thinking
        if thinking.leaves(text):
            thinking.said.append(text)
            self._parts.append(TextDelta(text))
        else:
            self._parts += thinking.parts(text)

    def say_whole(self, text: str) -> None:
        """The whole reply so far, in a field that is no piece of it: only what is new is added."""
        said = "".join(self.thinking.said)
        if text.startswith(said):
            new = text[len(said) :]
        elif _without_blanks(text) in (_without_blanks(said), _without_blanks(_reply_in(said))):
            new = ""
        else:
            new = text
        if new:
            self.say(new)

    def think(self, text: str) -> None:
        """A piece of what the model thinks, told apart by the protocol itself."""
        if self.is_finished:
            self._reopen()
        self.has_begun = True
        self.thinking.begins_in_thought = False  # its text is the reply
        self._parts.append(ReasoningDelta(text))

    def chosen(self, choices: Sequence[_C]) -> _C | None:
        """The one of several replies that is followed: the first that has come, of two that come
        together the one with the smaller index. None where the event holds nothing of it.
        """
        if len(choices) == 1:
            choice = choices[0]
            if choice.index == self._followed:
                return choice
            index = counted(choice.index)
            if self._followed is None and self.has_words(choice):
                self._followed = index
            return choice if self._followed is None or index in (None, self._followed) else None
        told = sorted(choices, key=lambda choice: counted(choice.index) or 0)
        for choice in told:
            index = counted(choice.index) or 0
            if self._followed is None and self.has_words(choice):
                self._followed = index
            if self._followed == index:
                return choice
        return told[0] if told and self._followed is None else None

    def has_words(self, choice: Any) -> bool:  # noqa: ARG002
        """Whether one of several replies says something in this event."""
        return True

    def _reopen(self) -> None:
        self.is_finished = False
        self._was_reopened = self.has_begun

    def parts(self) -> list[Part]:
        """What was said since the last call, neighbours of one kind joined."""
        parts, self._parts = self._parts, []
        if not self.has_spoken:
            self.has_spoken = any(
                isinstance(part, TextDelta) and not part.text.isspace() for part in parts
            )
        if len(parts) < 2:
            return parts
        joined: list[Part] = []
        for kind, group in itertools.groupby(parts, type):
            if kind is TakenBack:
                joined.append(TakenBack())
            else:
                texts = cast("list[TextDelta | ReasoningDelta]", list(group))
                joined.append(kind("".join([part.text for part in texts])))
        return joined

    def _taken(self, chunk: bytes) -> bool:
        if not self._is_known:
            start = chunk.removeprefix(_BOM).lstrip()[:1]
            self._is_known = bool(start)
            if start in (b"{", b"["):
                self._document = bytearray()
        if self._document is not None:
            self._document += chunk
            if len(self._document) > MAX_DOCUMENT:
                raise too_large()
            return False
        try:
            events = self._reader.feed(chunk)
        except EventTooLarge as error:
            self._hear(error.events)
            raise too_large() from error
        except NotAnEventStream as error:
            self._hear(error.events)
            raise self.misread(chunk) from error
        return self._hear(events)

    def _is_garbled(self, error: ProviderError) -> bool:
        """Whether a model had begun to answer, so that the address cannot be what is wrong."""
        is_garbage = isinstance(error, ProviderSentGarbage)
        return is_garbage and self.has_begun and not isinstance(error.__cause__, EventTooLarge)

    def _hear_rest(self) -> None:
        """Take in what stands unfinished when the stream ends."""
        if self._document is not None:
            self.hear_document(bytes(self._document))
            return
        try:
            events = self._reader.finish()
        except NotAnEventStream as error:
            raise not_the_protocol() from error
        try:
            self._hear(events)
        except ProviderSentGarbage as error:
            raise broken_off() from error

    def _hear(self, events: list[bytes]) -> bool:
        has_said_something = False
        for event in events:
            if self.is_over:
                break
            has_said_something |= self.hear(event)
        return has_said_something


def decoded(event: bytes, decoder: msgspec.json.Decoder[_T]) -> _T:
    """An event's JSON as a value. Raises ProviderSentGarbage where it is no JSON object.

    msgspec refuses a lone surrogate, but half an emoji may well end one delta and begin the next;
    json takes it, and so may a byte that is no UTF-8 pass as U+FFFD instead of ending the reply.
    What is not of its field's type counts as absent: it must not cost what stands beside it.
    """
    try:
        return decoder.decode(event)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        value = cast("object", json.loads(event.decode(errors="replace")))
        return msgspec.convert(_fitting(value, _shape_of(decoder.type)), decoder.type)
    except (ValueError, RecursionError, msgspec.ValidationError) as error:
        raise not_the_protocol() from error


def _fitting(value: object, kind: msgspec.inspect.Type) -> object:
    """`value` without what does not fit into `kind`; `_ABSENT` where it does not fit itself."""
    match kind:
        case msgspec.inspect.AnyType():
            return value
        case msgspec.inspect.UnionType(types=kinds):
            fitted = (_fitting(value, each) for each in kinds)
            return next((each for each in fitted if each is not _ABSENT), _ABSENT)
        case msgspec.inspect.StructType(fields=fields) if isinstance(value, dict):
            told = cast("dict[str, object]", value)
            pairs = (
                (field.encode_name, _fitting(told[field.encode_name], field.type))
                for field in fields
                if field.encode_name in told
            )
            return {name: each for name, each in pairs if each is not _ABSENT}
        case msgspec.inspect.ListType(item_type=item) if isinstance(value, list):
            items = (_fitting(each, item) for each in cast("list[object]", value))
            return [each for each in items if each is not _ABSENT]
        case msgspec.inspect.StrType() if isinstance(value, str):
            return value
        case msgspec.inspect.NoneType() if value is None:
            return None
        case _:
            return _ABSENT


_ABSENT: Final = object()
_shape_of: Final = cache(msgspec.inspect.type_info)


def events_in(document: bytes) -> list[bytes]:
    """The events of an answer that is no event stream: one, a list of them, or one a line."""
    document = document.removeprefix(_BOM).strip()
    try:
        if document.startswith(b"["):
            return [bytes(each) for each in msgspec.json.decode(document, type=list[msgspec.Raw])]
        msgspec.json.decode(document, type=msgspec.Raw)
    except msgspec.DecodeError:
        return [line for line in document.splitlines() if line.strip()]
    return [document]


def words_in(value: object) -> str:
    """The words in a field that holds a reply's text: a text, or parts of which some are texts.

    Parts of other kinds, as references and pictures, hold none. Raises ProviderSentGarbage for
    what can hold no words, since those that were meant would be lost in silence.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join([words_in(each) for each in cast("list[object]", value)])
    if isinstance(value, dict):
        text = cast("dict[str, object]", value).get("text")
        return text if isinstance(text, str) else "" if text is None else words_in(text)
    if value is None:
        return ""
    raise not_the_protocol()


def told_reason(value: object) -> str | None:
    """A reason for the end as a text in small letters; None where the field holds none."""
    if not isinstance(value, str):
        return None
    reason = value.strip().lower()
    return None if reason in _NO_REASON else reason


def is_error(value: object) -> bool:
    """Whether the field for an error tells of one. Some servers send it with every event, with
    nothing in it or a code that means success.
    """
    if not value or (isinstance(value, str) and told_reason(value) is None):
        return False
    if not isinstance(value, dict):
        return True
    told = cast("dict[str, object]", value)
    code = told.get("code", told.get("status"))
    if code in (0, "0", 200, "200"):
        return False
    return any(each for name, each in told.items() if name != "type")


def _reply_in(said: str) -> str:
    """What a model said, without what it thought aloud."""
    thinking = Thinking()
    parts = thinking.parts(said) + thinking.rest()
    return "".join(part.text for part in parts if isinstance(part, TextDelta))


def _without_blanks(text: str) -> str:
    return "".join(text.split())


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
        raise endpoint_failure(document.decode(errors="replace")) or not_the_protocol()
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
        if count := counted(fields.get(name)):
            return count
    return None
