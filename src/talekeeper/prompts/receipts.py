"""Receipts: exactly what a model was told for one reply, as it is stored and as it is shown.

What somebody said is not stored a second time, or every reply would cost what its model holds. A
piece of a turn is either words of our own or a message's id, with how many of its characters were
told. A message only ever grows, so they are its first ones still.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from talekeeper.domain.conversations import Line, Role
from talekeeper.ids import MessageId

StoredPiece = str | tuple[MessageId, int]


class StoredTurn(msgspec.Struct, frozen=True):
    """One turn; before messages were only named, its content was the text itself."""

    role: Role
    content: str | list[StoredPiece]


def stored_piece(source: Line | str) -> StoredPiece:
    return source if isinstance(source, str) else (source.id, len(source.content))


def shown_receipt(stored: str, content_of: Callable[[MessageId], str]) -> dict[str, Any]:
    """The receipt with the text of every turn. What was deleted since is not in it any more."""

    def text(piece: StoredPiece) -> str:
        return piece if isinstance(piece, str) else content_of(piece[0])[: piece[1]]

    receipt: dict[str, Any] = msgspec.json.decode(stored)
    turns = msgspec.convert(receipt["turns"], list[StoredTurn])
    receipt["turns"] = [
        {"role": turn.role, "content": "".join(map(text, turn.content))} for turn in turns
    ]
    return receipt
