"""Parts: what a message holds beside its text.

A part is a small value that travels with its message and is shown where the message is shown. The
text of a reasoning part may be a hundred times longer than the reply: the part only counts its
characters, and the text is kept and read apart from the message.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

import msgspec

from talekeeper.ids import DraftId, MessageId, RecordId


@dataclass(frozen=True, slots=True)
class Reasoning:
    """What the model thought before it answered. No model is ever sent it again.

    `ms` is how long it thought; null while it thinks, and where that is not known.
    """

    characters: int
    ms: int | None = None
    kind: Literal["reasoning"] = "reasoning"


@dataclass(frozen=True, slots=True)
class Citation:
    """A quotation that the message rests on: of another message, of a record, or of neither."""

    quote: str
    message_id: MessageId | None = None
    record_id: RecordId | None = None


@dataclass(frozen=True, slots=True)
class Citations:
    items: tuple[Citation, ...]
    kind: Literal["citations"] = "citations"


@dataclass(frozen=True, slots=True)
class Drafts:
    """Drafts of records that the message proposes."""

    draft_ids: tuple[DraftId, ...]
    kind: Literal["drafts"] = "drafts"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture, named by the SHA-256 of its bytes in hexadecimal. `caption` says what it shows."""

    sha256: str
    mime: str
    width: int | None = None
    height: int | None = None
    caption: str = ""
    kind: Literal["picture"] = "picture"


@dataclass(frozen=True, slots=True)
class Dice:
    """A roll: `2d6+3`, what each die showed, and the sum."""

    notation: str
    rolls: tuple[int, ...]
    total: int
    kind: Literal["dice"] = "dice"


@dataclass(frozen=True, slots=True)
class Thoughts:
    """The text of a reasoning part from character `offset` on, and whether it may still grow."""

    offset: int
    text: str
    is_growing: bool


Part = Reasoning | Citations | Drafts | Picture | Dice

_KINDS: Final[dict[str, type[Part]]] = {
    "reasoning": Reasoning,
    "citations": Citations,
    "drafts": Drafts,
    "picture": Picture,
    "dice": Dice,
}


def written_parts(parts: Sequence[Part]) -> str | None:
    """The parts as they are stored, a JSON list; None for no parts."""
    return msgspec.json.encode(parts).decode() if parts else None


def parts_in(stored: str | None) -> tuple[Part, ...]:
    """The parts that `written_parts` wrote. Raises ValueError when they are none."""
    if stored is None:
        return ()
    return tuple(
        msgspec.convert(each, _kind_of(each))
        for each in msgspec.json.decode(stored, type=list[Any])
    )


def _kind_of(part: object) -> type[Part]:
    kind = cast("dict[str, object]", part).get("kind") if isinstance(part, dict) else None
    found = _KINDS.get(kind) if isinstance(kind, str) else None
    if found is None:
        raise ValueError("A part of a message is of no known kind.")
    return found
