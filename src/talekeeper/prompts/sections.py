"""Sections: what a request is made of, and where, in which order and how much of it.

A section has a name and texts in order of worth. The tables of this module say the rest: whether a
section is always whole, its share of the window, in which order the sections are fitted, and where
each is written. `fitting` fits them, `turns` writes them.
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from talekeeper.domain.audiences import EVERYBODY, Audience
from talekeeper.domain.conversations import Line, Role

SectionName = Literal[
    "purpose",
    "personality",
    "proposals",
    "campaign",
    "character",
    "persona",
    "cast",
    "game_session",
    "constant_lore",
    "summary",
    "history",
    "events",
    "recalled",
    "named",
    "author_note",
    "after_history",
    "message",
    "prefill",
]

WHOLE: Final[tuple[SectionName, ...]] = (
    "message",
    "purpose",
    "personality",
    "proposals",
    "author_note",
    "after_history",
    "prefill",
)
"""Always in, in full. Where these alone do not fit, the model is not asked."""
BY_SHARE: Final[tuple[SectionName, ...]] = (
    "character",
    "persona",
    "named",
    "campaign",
    "game_session",
    "cast",
    "summary",
    "constant_lore",
    "events",
    "recalled",
)
"""In the order in which they are fitted: after the last ten messages of the history, before the rest
of it."""
SHARES: Final[Mapping[SectionName, float]] = {
    "campaign": 0.10,
    "character": 0.15,
    "persona": 0.15,
    "cast": 0.10,
    "game_session": 0.05,
    "constant_lore": 0.05,
    "summary": 0.10,
    "events": 0.05,
    "recalled": 0.10,
    "named": 0.15,
}
"""The part of the window that a section may take."""
TOGETHER: Final[Mapping[SectionName, SectionName]] = {"persona": "character"}
"""A section that takes from the share of another."""
IN_SYSTEM_TURN: Final[tuple[SectionName, ...]] = (
    "purpose",
    "personality",
    "proposals",
    "campaign",
    "character",
    "persona",
    "cast",
    "game_session",
    "constant_lore",
    "summary",
)
"""As they are written. The history follows in turns of its own."""
BEFORE_THE_QUESTION: Final[tuple[SectionName, ...]] = (
    "events",
    "recalled",
    "named",
    "author_note",
    "after_history",
)
"""In the user's turn that ends in the message; the prefill follows that turn."""
NEWEST_FIRST: Final[frozenset[SectionName]] = frozenset(("history", "events"))
"""Chosen from the newest on, and written from the oldest on."""
ORDER: Final[tuple[SectionName, ...]] = (
    *IN_SYSTEM_TURN,
    "history",
    *BEFORE_THE_QUESTION,
    "message",
    "prefill",
)
"""The sections as they are written, and as a receipt lists them."""


class Text(msgspec.Struct, frozen=True, eq=False):
    """One text of a section. `source` says what it is; a message is named by `message` itself.

    `withheld` is why it is kept out of the request whatever room there is. `mark` stands behind it
    in its turn. `tokens` is what the two take, as far as can be estimated.
    """

    content: str
    source: str
    tokens: int
    role: Role = "user"
    audience: Audience = EVERYBODY
    message: Line | None = None
    withheld: str | None = None
    mark: "Text | None" = None


class Section(msgspec.Struct, frozen=True):
    """`texts` are in order of worth. Without `is_whole` there are more of them, of less worth, of
    which none can find room.
    """

    name: SectionName
    texts: tuple[Text, ...]
    is_whole: bool = True
