"""Fitting: how much of the talk goes into a request.

Tokens are estimated, since every model counts its own way: four characters of Latin text or one of
CJK make a token, and a turn costs four more. The estimate errs on the large side for prose. What a
provider really counted is stored with the reply.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from talekeeper.domain.conversations import Line

TURN_COST: Final = 4
_WIDE: Final = re.compile("[\u2e80-\uffdc]+")
LEAST_MESSAGES: Final = 10
"""Messages that go in before the budget is asked, where the model's window has room at all."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """The newest messages that fit, eldest first, and how many elder ones were left out."""

    messages: tuple[Line, ...]
    tokens: int
    left_out: int


def estimated_tokens(text: str) -> int:
    # Every message of a long history passes here before the model is asked: no loop of Python's.
    wide = 0 if text.isascii() else sum(map(len, _WIDE.findall(text)))
    return wide + (len(text) - wide + 3) // 4


def cost_of(message: Line) -> int:
    """Tokens that `message` takes as a turn, as far as can be estimated."""
    return estimated_tokens(message.content) + TURN_COST


def cost_of_all(messages: Sequence[Line]) -> int:
    """What they take together at the least: a broken token a message may be missing."""
    return estimated_tokens("".join([m.content for m in messages])) + TURN_COST * len(messages)


def fitted(history: Sequence[Line], *, budget: int, window: int) -> Fitted:
    """The newest of `history` within `budget` tokens.

    The last ten go in past the budget as long as the model's `window` holds them; the very last
    always goes in, since it is what is being asked.
    """
    tokens = 0
    taken = 0
    for message in reversed(history):
        cost = cost_of(message)
        room = window if taken < LEAST_MESSAGES else budget
        if taken and tokens + cost > room:
            break
        tokens += cost
        taken += 1
    messages = tuple(history[len(history) - taken :])
    return Fitted(messages, tokens, len(history) - taken)
