"""Fitting: how much of the talk goes into a request.

Tokens are estimated, since every model counts its own way: four characters of Latin text or one of
CJK make a token, and a turn costs four more. The estimate errs on the large side for prose. What a
provider really counted is stored with the reply.

Two limits hold. The model's window, less the room of the reply, is never passed. The longest request
is a setting, so that a large window is not filled unasked: only the last ten messages pass it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from talekeeper.domain.conversations import Line, Sampling

TURN_COST: Final = 4
_WIDE: Final = re.compile("[\u2e80-\uffdc]+")
LEAST_MESSAGES: Final = 10
"""Messages that go in past the longest request, as long as the model's window holds them."""
HISTORY_STEP: Final = 50
"""Messages that are read first; how many more depends on how long these are."""
DEFAULT_WINDOW: Final = 8_192
"""Tokens that a model is assumed to hold where its window is unknown."""
REPLY_SHARE: Final = 4
"""One part in four of the window is kept free for the reply, at most 1,024 tokens; where a longest
reply is wished for, room for all of it, up to half of the window."""

Limit = Literal["window", "longest_request"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How many tokens a request may have. `window_room` is the model's window less the reply's room.

    Where `is_window_known` is false, `window` is the usual assumption.
    """

    window: int
    is_window_known: bool
    window_room: int
    longest_request: int

    @property
    def room(self) -> int:
        return min(self.window_room, self.longest_request)


@dataclass(frozen=True, slots=True)
class Fitted:
    """The newest messages that fit, oldest first, how many older ones were left out, and by what."""

    messages: tuple[Line, ...]
    tokens: int
    left_out: int
    limit: Limit


def limits_of(window: int | None, longest_request: int, sampling: Sampling) -> Limits:
    """The limits of one request. `window` is None where it is not known."""
    size = window or DEFAULT_WINDOW
    if sampling.max_tokens is not None:
        reply = min(sampling.max_tokens, size // 2)
    else:
        reply = min(1_024, size // REPLY_SHARE)
    return Limits(size, window is not None, size - reply, longest_request)


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


def fitted(history: Sequence[Line], *, room: int, window_room: int) -> Fitted:
    """The newest of `history` within `room` tokens.

    The last ten go in past it as long as `window_room` holds them; the very last always goes in,
    since it is what is being asked.
    """
    tokens = 0
    taken = 0
    for message in reversed(history):
        cost = cost_of(message)
        most = window_room if taken < LEAST_MESSAGES else room
        if taken and tokens + cost > most:
            break
        tokens += cost
        taken += 1
    is_by_window = taken < LEAST_MESSAGES or window_room <= room
    return Fitted(
        tuple(history[len(history) - taken :]),
        tokens,
        len(history) - taken,
        "window" if is_by_window else "longest_request",
    )
