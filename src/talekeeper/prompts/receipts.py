"""Receipts: exactly what a model was told for one reply, as it is stored and as it is shown.

A receipt is stored in the version of its shape, and a later release still shows it.

**Version 2** lists the sections. A text of a section is an array `[source, tokens, included, why,
ref, characters]`: `ref` is the id of the message that it is, or the hash of any other text; `why` is
null where the section's own holds. A turn is `[role, [[section, text], …]]`: its content is those
texts, with an empty line between. What somebody said is not stored a second time, or every reply
would cost what its model holds: a message only ever grows, so its first `characters` are what was
told. Any other text is stored once a conversation, under its hash (`told_texts`).

**Version 1** has no version in it: a list of parts, and turns that are made of the ids of messages
and of the words themselves. Its older receipts hold the whole text of each turn.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from typing import Any, Final, Literal

import msgspec

from talekeeper.domain.conversations import Role
from talekeeper.domain.replies import ReplyRequest, Wish
from talekeeper.ids import MessageId
from talekeeper.prompts.fitting import Fitting, Limit, Window
from talekeeper.prompts.sections import ORDER, Text
from talekeeper.prompts.turns import BETWEEN, MadeTurns

VERSION: Final = 2
_HASH_DIGITS: Final = 32

WindowName = Literal["window", "assumed_window", "longest_request"]


@dataclass(frozen=True, slots=True)
class WrittenReceipt:
    """A receipt as it is stored: its JSON, and by their hashes the texts that it names."""

    json: str
    texts: dict[str, str]


@dataclass(frozen=True, slots=True)
class ReceiptSampling:
    """How the reply was wished for; null: the provider's own way. `unheeded` were refused."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    unheeded: tuple[Wish, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceiptWindow:
    """What a request could take, in tokens.

    `room` is the smaller of the model's window less the room for the reply, and of the longest
    request; `named_by` says which. `window` is null where it is not known, and `assumed_window` is
    then what it was taken for. `left_out_by` is the limit that left messages out, if any were.
    Null throughout for replies that were made before this was written down.
    """

    room: int | None = None
    named_by: WindowName | None = None
    window: int | None = None
    assumed_window: int | None = None
    longest_request: int | None = None
    left_out_by: Limit | None = None


@dataclass(frozen=True, slots=True)
class ReceiptText:
    """One text of a section: what it is, what it cost, and why it went in or stayed out.

    `message_id` and `characters` name a message and how much of it was told.
    """

    source: str
    tokens: int
    included: bool
    why: str
    message_id: MessageId | None = None
    characters: int | None = None


@dataclass(frozen=True, slots=True)
class ReceiptSection:
    """`share` is the part of the window that it may take, null where it has none; `room` is what it
    could have in this request, and `used` what it took, in tokens.
    """

    name: str
    share: float | None
    room: int | None
    used: int
    texts: tuple[ReceiptText, ...]


@dataclass(frozen=True, slots=True)
class ReceiptTurn:
    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the model was told: the sections, and the turns to the letter.

    `connection` is the name of the connection that was asked; null where none was written down.
    """

    version: int
    connection: str | None
    model: str
    sampling: ReceiptSampling
    window: ReceiptWindow
    sections: tuple[ReceiptSection, ...]
    turns: tuple[ReceiptTurn, ...]


class _StoredText(msgspec.Struct, frozen=True, array_like=True):
    source: str
    tokens: int
    included: bool
    why: str | None = None
    ref: str | None = None
    characters: int = 0


class _StoredSection(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    used: int
    why: str
    texts: list[_StoredText]
    share: float | None = None
    room: int | None = None


class _StoredTurn(msgspec.Struct, frozen=True, array_like=True):
    role: Role
    texts: list[tuple[int, int]]


class _Stored(msgspec.Struct, frozen=True):
    version: int
    model: str
    sampling: ReceiptSampling
    window: ReceiptWindow
    sections: list[_StoredSection]
    turns: list[_StoredTurn]
    connection: str | None = None


_ReadMessage = Callable[[MessageId], str]
_ReadText = Callable[[str], str]


def written_receipt(
    request: ReplyRequest,
    fitting: Fitting,
    made: MadeTurns,
    window: Window,
    *,
    connection: str | None = None,
    unheeded: Sequence[Wish] = (),
) -> WrittenReceipt:
    """The receipt of that request, as it is stored."""
    texts: dict[str, str] = {}
    places: dict[int, tuple[int, int]] = {}
    sections: list[_StoredSection] = []

    def stored(text: Text, *, included: bool, why: str | None, times: int = 1) -> _StoredText:
        tokens = text.tokens * times - (text.mark.tokens if text.mark is not None else 0)
        line = text.message
        if line is not None:
            return _StoredText("", tokens, included, why, line.id, len(line.content))
        if not included:
            return _StoredText(text.source, tokens, included, why)
        ref = _hash_of(text.content)
        texts[ref] = text.content
        return _StoredText(text.source, tokens, included, why, ref)

    for name in ORDER:
        done = fitting.sections.get(name)
        if done is None:
            continue
        listed: list[_StoredText] = []
        for text in done.included:
            places[id(text)] = (len(sections), len(listed))
            listed.append(stored(text, included=True, why=None))
        used = done.used
        ours = [(mark, times, _MARKED) for mark, times in _marks_of(done.included)]
        if name == "history" and made.opening is not None:
            ours.append((made.opening, 1, _OPENING))
            used += made.opening.tokens
        for text, times, why in ours:
            places[id(text)] = (len(sections), len(listed))
            listed.append(stored(text, included=True, why=why, times=times))
        listed += [stored(text, included=False, why=why) for text, why in done.left_out]
        if listed:
            sections.append(_StoredSection(name, used, done.why, listed, done.share, done.room))
    turns = [
        _StoredTurn(turn.role, [places[id(text)] for text in turn.texts]) for turn in made.turns
    ]
    sampling = ReceiptSampling(
        request.temperature, request.top_p, request.max_tokens, tuple(unheeded)
    )
    told = _Stored(
        VERSION,
        request.model,
        sampling,
        _window(window, fitting),
        sections,
        turns,
        connection,
    )
    return WrittenReceipt(msgspec.json.encode(told).decode(), texts)


def _marks_of(texts: Sequence[Text]) -> list[tuple[Text, int]]:
    """Each mark, and behind how many of the texts it stands."""
    marks = {id(text.mark): text.mark for text in texts if text.mark is not None}
    counts = Counter(id(text.mark) for text in texts)
    return [(mark, counts[key]) for key, mark in marks.items()]


_MARKED: Final = "no answer came to it, and the next message is to be answered"
_OPENING: Final = "the user's turn comes first"


def shown_receipt(stored: str, *, message: _ReadMessage, text: _ReadText) -> Receipt:
    """The receipt with the text of every turn.

    `message` and `text` read what a message says and what stands under a hash, empty where that was
    removed since: it is then shown as a gap of its length.
    """
    fields: dict[str, Any] = msgspec.json.decode(stored)
    if "version" not in fields:
        return _of_version_1(fields, message)
    told = msgspec.convert(fields, _Stored)
    return Receipt(
        told.version,
        told.connection,
        told.model,
        told.sampling,
        told.window,
        tuple(_section(each) for each in told.sections),
        tuple(
            ReceiptTurn(
                turn.role,
                BETWEEN.join(
                    _content(told.sections[section].texts[place], message, text)
                    for section, place in turn.texts
                ),
            )
            for turn in told.turns
        ),
    )


def began_at(stored: str | None) -> MessageId | None:
    """The oldest message of the history in a stored receipt; None where it names none."""
    if stored is None:
        return None
    try:
        told = msgspec.json.decode(stored, type=_Beginning)
    except msgspec.DecodeError:
        return None
    for section in told.sections:
        if section.name == "history":
            of_messages = [each for each in section.texts if each.included and not each.source]
            return MessageId(of_messages[-1].ref or "") if of_messages else None
    return None


class _Beginning(msgspec.Struct, frozen=True):
    """As much of a stored receipt of version 2 as tells where its history begins."""

    sections: list[_StoredSection] = msgspec.field(default_factory=list[_StoredSection])


def _hash_of(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:_HASH_DIGITS]


def _window(window: Window, fitting: Fitting) -> ReceiptWindow:
    named_by: WindowName = window.limit
    if named_by == "window" and not window.is_known:
        named_by = "assumed_window"
    return ReceiptWindow(
        room=window.room,
        named_by=named_by,
        window=window.model if window.is_known else None,
        assumed_window=None if window.is_known else window.model,
        longest_request=window.longest_request,
        left_out_by=fitting.left_out_by,
    )


def _section(stored: _StoredSection) -> ReceiptSection:
    texts = tuple(
        ReceiptText(
            each.source or "message",
            each.tokens,
            each.included,
            stored.why if each.why is None else each.why,
            None if each.source else MessageId(each.ref or ""),
            None if each.source else each.characters,
        )
        for each in stored.texts
    )
    return ReceiptSection(stored.name, stored.share, stored.room, stored.used, texts)


def _content(stored: _StoredText, message: _ReadMessage, text: _ReadText) -> str:
    if stored.source:
        return text(stored.ref or "") or _gap("A text")
    return _told(message, MessageId(stored.ref or ""), stored.characters)


def _told(message: _ReadMessage, message_id: MessageId, characters: int) -> str:
    """As much of the message as was told."""
    content = message(message_id)[:characters]
    missing = characters - len(content)
    return content + _gap(f"{missing:,} characters") if missing else content


def _gap(what: str) -> str:
    return f"[{what} removed for good since]"


def _of_version_1(fields: dict[str, Any], message: _ReadMessage) -> Receipt:
    def content(told: str | list[Any]) -> str:
        if isinstance(told, str):
            return told
        return "".join(
            piece if isinstance(piece, str) else _told(message, MessageId(piece[0]), piece[1])
            for piece in told
        )

    limits: dict[str, Any] = fields.get("limits", {})
    parts = groupby(fields.get("parts", ()), key=lambda part: part["part"])
    return Receipt(
        1,
        fields.get("connection"),
        fields.get("model", ""),
        msgspec.convert(fields.get("sampling", {}), ReceiptSampling),
        ReceiptWindow(
            window=limits.get("window"),
            assumed_window=limits.get("assumed_window"),
            longest_request=limits.get("longest_request"),
            left_out_by=limits.get("left_out_by"),
        ),
        tuple(_section_of_version_1(name, list(group)) for name, group in parts),
        tuple(ReceiptTurn(turn["role"], content(turn["content"])) for turn in fields["turns"]),
    )


def _section_of_version_1(name: str, parts: Sequence[dict[str, Any]]) -> ReceiptSection:
    texts = tuple(
        ReceiptText(part["source"], part["tokens"], part["included"], part["why"]) for part in parts
    )
    used = sum(text.tokens for text in texts if text.included)
    return ReceiptSection(name, None, None, used, texts)
