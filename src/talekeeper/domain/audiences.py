"""Audiences: who may see a message, and one function that answers whether somebody may."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from talekeeper.errors import InvalidInput
from talekeeper.ids import RecordId

AudienceKind = Literal["everybody", "game_master", "characters"]
MAX_CHARACTERS: Final = 100
"""Characters that one audience names."""


@dataclass(frozen=True, slots=True)
class Audience:
    """Everybody, the game master alone, or the game master and the characters named.

    Two equal audiences are equal values: `character_ids` are sorted and unique, there are some
    exactly where `to` is characters. `audience_of` makes them so.
    """

    to: AudienceKind
    character_ids: tuple[RecordId, ...] = ()


EVERYBODY: Final = Audience("everybody")
GAME_MASTER: Final = Audience("game_master")


@dataclass(frozen=True, slots=True)
class Viewer:
    """For whom a text is made: the game master, one character, or the players as a whole."""

    who: Literal["game_master", "character", "players"]
    character_id: RecordId | None = None


AS_GAME_MASTER: Final = Viewer("game_master")


def audience_of(to: AudienceKind, character_ids: Iterable[RecordId] = ()) -> Audience:
    """Raises InvalidInput where names are missing, too many, or given with another audience."""
    named = tuple(sorted(set(character_ids)))
    if (to == "characters") != bool(named):
        raise InvalidInput("An audience names characters exactly where it is for some of them.")
    if len(named) > MAX_CHARACTERS:
        raise InvalidInput(f"An audience names {MAX_CHARACTERS} characters at most.")
    return Audience(to, named)


def may_see(viewer: Viewer, audience: Audience) -> bool:
    """Whether what has this audience may be shown to that viewer."""
    match viewer.who:
        case "game_master":
            return True
        case "character":
            return audience.to == "everybody" or viewer.character_id in audience.character_ids
        case "players":
            return audience.to == "everybody"


def written_audience(audience: Audience) -> str | None:
    """The audience as it is stored; None for the game master alone, which is the usual one."""
    return None if audience == GAME_MASTER else msgspec.json.encode(audience).decode()


def audience_in(stored: str | None) -> Audience:
    """The audience that `written_audience` wrote."""
    return GAME_MASTER if stored is None else msgspec.json.decode(stored, type=Audience)
