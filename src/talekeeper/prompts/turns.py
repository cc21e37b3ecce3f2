"""Turns: the fitted texts as the turns of a request, legal for every model.

Instructions first, then user and assistant by turns, the user first, none empty: the templates of
Gemma, Mistral and others refuse anything else. So what the assistant says first, be it an opening
scene or what was left of a long talk, gets a turn of the user's before it, and system notes within
the talk become a part of the user's turns.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from talekeeper.domain.conversations import Role
from talekeeper.domain.replies import Turn
from talekeeper.prompts.fitting import Fitting, cost_of
from talekeeper.prompts.sections import (
    BEFORE_THE_QUESTION,
    IN_SYSTEM_TURN,
    NEWEST_FIRST,
    SectionName,
    Text,
)

BETWEEN: Final = "\n\n"
"""Between the texts that become one turn."""
LEFT_OUT: Final = "(What was said before this is left out.)"
"""The user's turn before the assistant's first, where the talk was cut."""
OPENED: Final = "(Open the scene.)"
"""The user's turn before the assistant's first, where the assistant began the talk."""
OPENING_COST: Final = cost_of(LEFT_OUT)


@dataclass(slots=True)
class MadeTurn:
    """A turn and the texts it is made of, in order."""

    role: Role
    texts: list[Text] = field(default_factory=list[Text])

    def turn(self) -> Turn:
        return Turn(self.role, BETWEEN.join([text.content for text in self.texts]))


@dataclass(frozen=True, slots=True)
class MadeTurns:
    """The turns, and the words of ours that were put before the assistant's first, if any."""

    turns: tuple[MadeTurn, ...]
    opening: Text | None


def legal_turns(fitting: Fitting, *, is_cut: bool) -> MadeTurns:
    """The turns of the request. `is_cut`: something was said before the history begins."""
    made = [MadeTurn("system")]
    for text in _written(fitting, IN_SYSTEM_TURN):
        made[0].texts.append(text)
    opening: Text | None = None
    for text in _written(fitting, ("history", *BEFORE_THE_QUESTION, "message", "prefill")):
        role = text.role
        if role == "system" and len(made) > 1:
            role = "user"
        if role == "assistant" and len(made) == 1:
            words = LEFT_OUT if is_cut else OPENED
            opening = Text(words, "opening", OPENING_COST)
            made.append(MadeTurn("user", [opening]))
        # Neighbours of one role become one turn: many models refuse two in a row.
        if made[-1].role != role:
            made.append(MadeTurn(role))
        made[-1].texts.append(text)
        if text.mark is not None:
            made[-1].texts.append(text.mark)
    return MadeTurns(tuple(turn for turn in made if turn.texts), opening)


def _written(fitting: Fitting, names: Iterable[SectionName]) -> Iterable[Text]:
    for name in names:
        done = fitting.sections.get(name)
        if done is not None:
            yield from reversed(done.included) if name in NEWEST_FIRST else done.included
