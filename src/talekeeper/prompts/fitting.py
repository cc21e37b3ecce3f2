"""Fitting: which texts of which sections go into a request.

Tokens are estimated, since every model counts its own way: four characters of Latin text or one of
CJK make a token, and a turn costs four more. The estimate errs on the large side for prose. What a
provider really counted is stored with the reply.

The room is the model's window less the room of the reply, or the longest request, a setting, so that
a large window is not filled unasked; whichever is smaller. Three things are fitted differently:

- **What is always whole** (the instructions, the message, …) and the last ten messages of the history
  pass the longest request, but never the model's window. Where the window is known and what is always
  whole does not fit, `fitted` raises ContextTooLong.
- **A section with a share** takes its texts in order of worth. A text that does not fit is passed
  over, and the next is still tried.
- **The history** is a stretch without gaps: a talk with holes cannot be followed. Once it does not
  fit it is cut a quarter of its room below what would fit, and begins at the same message until that
  room is used up. So the turns before the question stay the same from one request to the next, byte
  for byte, and a provider's prompt cache holds.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from talekeeper.domain.audiences import AS_GAME_MASTER, Viewer, may_see
from talekeeper.domain.conversations import Line, Sampling
from talekeeper.errors import ContextTooLong
from talekeeper.ids import MessageId
from talekeeper.prompts.sections import (
    BY_SHARE,
    SHARES,
    TOGETHER,
    WHOLE,
    Section,
    SectionName,
    Text,
)

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
CUT: Final = 4
"""The history is cut by one part in four of its room at once."""

Limit = Literal["window", "longest_request"]


@dataclass(frozen=True, slots=True)
class Window:
    """How many tokens a request may have.

    `model` is the model's window, the usual assumption where `is_known` is false, and `reply` what
    is kept free in it.
    """

    model: int
    is_known: bool
    reply: int
    longest_request: int

    @property
    def model_room(self) -> int:
        """What the model holds beside its reply."""
        return self.model - self.reply

    @property
    def room(self) -> int:
        return min(self.model_room, self.longest_request)

    @property
    def limit(self) -> Limit:
        """The smaller of the two."""
        return "window" if self.model_room <= self.longest_request else "longest_request"


class Fitted:
    """One section as it was fitted: which texts are in, and why the others are not.

    `room` is what it could have, None for what is always whole; `used` what it took, in tokens.
    """

    __slots__ = ("included", "left_out", "name", "room", "share", "used", "why")

    def __init__(self, name: SectionName, *, share: float | None, room: int | None) -> None:
        self.name: SectionName = name
        self.share = share
        self.room = room
        self.used = 0
        self.why = "always in"
        self.included: list[Text] = []
        self.left_out: list[tuple[Text, str]] = []

    def take(self, text: Text) -> None:
        self.included.append(text)
        self.used += text.tokens


@dataclass(frozen=True, slots=True)
class Fitting:
    """All sections as they were fitted, and the limit that left messages out of the history."""

    sections: Mapping[SectionName, Fitted]
    left_out_by: Limit | None


def window_of(model: int | None, longest_request: int, sampling: Sampling) -> Window:
    """The window of one request. `model` is None where the model's window is not known."""
    size = model or DEFAULT_WINDOW
    if sampling.max_tokens is not None:
        reply = min(sampling.max_tokens, size // 2)
    else:
        reply = min(1_024, size // REPLY_SHARE)
    return Window(size, model is not None, reply, longest_request)


def estimated_tokens(text: str) -> int:
    # Every message of a long history passes here before the model is asked: no loop of Python's.
    wide = 0 if text.isascii() else sum(map(len, _WIDE.findall(text)))
    return wide + (len(text) - wide + 3) // 4


def cost_of(content: str) -> int:
    """Tokens that a text takes with its turn, as far as can be estimated."""
    return estimated_tokens(content) + TURN_COST


def cost_of_all(messages: Sequence[Line]) -> int:
    """What they take together at the least: a broken token a message may be missing."""
    return estimated_tokens("".join([m.content for m in messages])) + TURN_COST * len(messages)


def fitted(
    sections: Sequence[Section],
    window: Window,
    *,
    viewer: Viewer = AS_GAME_MASTER,
    began_at: MessageId | None = None,
    reserved: int = 0,
) -> Fitting:
    """Every section with what of it goes in. `reserved` tokens are kept free for words between.

    `began_at` is the message at which the history of the request before began.
    Raises ContextTooLong.
    """
    given = {section.name: section for section in sections}
    done: dict[SectionName, Fitted] = {}
    for name in WHOLE:
        if name in given:
            done[name] = _in_full(given[name], viewer)
    taken = reserved + sum(each.used for each in done.values())
    if window.is_known and taken > window.model_room:
        raise _too_long(window, taken)
    left = max(0, window.room - taken)
    history = given.get("history")
    told = [] if history is None else _allowed(history, viewer)
    costs = [text.tokens for text in told]
    # At most half of what is left is kept for the last messages, whatever other sections need.
    kept = sum(costs[: _count_within(costs[:LEAST_MESSAGES], left // 2)])
    spent: dict[SectionName, int] = {}
    for name in BY_SHARE:
        if name in given:
            pool = TOGETHER.get(name, name)
            share = int(SHARES[name] * window.room)
            room = max(0, min(share - spent.get(pool, 0), left - kept))
            done[name] = _by_worth(given[name], viewer, room=room, share=share)
            spent[pool] = spent.get(pool, 0) + done[name].used
            left -= done[name].used
            taken += done[name].used
    if history is None:
        return Fitting(done, None)
    count = _count_of_history(
        told,
        costs,
        room=left,
        model_room=window.model_room - taken,
        began_at=began_at,
        is_whole=history.is_whole,
    )
    done["history"], limit = _history(history, told, count, window, room=left, viewer=viewer)
    return Fitting(done, limit)


def _in_full(section: Section, viewer: Viewer) -> Fitted:
    done = Fitted(section.name, share=None, room=None)
    for text in section.texts:
        why = _kept_out(text, viewer)
        if why is None:
            done.take(text)
        else:
            done.left_out.append((text, why))
    return done


def _by_worth(section: Section, viewer: Viewer, *, room: int, share: int) -> Fitted:
    done = Fitted(section.name, share=SHARES[section.name], room=room)
    done.why = "fits"
    for text in section.texts:
        why = _kept_out(text, viewer)
        if why is None and done.used + text.tokens > room:
            over = "over the section's share" if room == share else "no room is left"
            why = f"{over}: {text.tokens:,} tokens, and {room - done.used:,} are free"
        if why is None:
            done.take(text)
        else:
            done.left_out.append((text, why))
    return done


def _kept_out(text: Text, viewer: Viewer) -> str | None:
    if text.withheld is not None:
        return text.withheld
    return None if may_see(viewer, text.audience) else "not for whom this is made"


def _allowed(section: Section, viewer: Viewer) -> list[Text]:
    if viewer is AS_GAME_MASTER:
        return [text for text in section.texts if text.withheld is None]
    return [text for text in section.texts if _kept_out(text, viewer) is None]


def _count_within(costs: Sequence[int], room: int) -> int:
    """How many of these, from the first on, take no more than `room` together."""
    for count, cost in enumerate(costs):
        room -= cost
        if room < 0:
            return count
    return len(costs)


def _count_of_history(
    told: Sequence[Text],
    costs: Sequence[int],
    *,
    room: int,
    model_room: int,
    began_at: MessageId | None,
    is_whole: bool,
) -> int:
    """How many messages, newest first, go in."""
    most = _count_within(costs, room)
    if most == len(costs) and is_whole:
        return most
    count = _count_within(costs, room - room // CUT)
    before = _count_to(told, began_at)
    if before is not None and before <= most and sum(costs[:before]) > room // 2:
        count = before
    return max(count, _count_within(costs[:LEAST_MESSAGES], model_room))


def _count_to(told: Sequence[Text], message_id: MessageId | None) -> int | None:
    """How many messages, newest first, go down to that one; None where it is not among them."""
    if message_id is not None:
        for place, text in enumerate(told):
            if text.message is not None and text.message.id == message_id:
                return place + 1
    return None


def _history(
    section: Section,
    told: Sequence[Text],
    count: int,
    window: Window,
    *,
    room: int,
    viewer: Viewer,
) -> tuple[Fitted, Limit | None]:
    done = Fitted("history", share=None, room=room)
    done.included = list(told[:count])
    done.used = sum(text.tokens for text in done.included)
    done.why = (
        "the newest that fit"
        if done.used <= room
        else "the last ones go in past the longest request"
    )
    for text in section.texts:
        why = (
            None if text.withheld is None and viewer is AS_GAME_MASTER else _kept_out(text, viewer)
        )
        if why is not None:
            done.left_out.append((text, why))
    older = len(told) - count
    if not older and section.is_whole:
        return done, None
    limit: Limit = "window" if count < LEAST_MESSAGES else window.limit
    source = "all older messages" if not section.is_whole else f"{older:,} older messages"
    done.left_out.append((Text("", source, 0), _told_limit(window, limit)))
    return done, limit


def _told_limit(window: Window, limit: Limit) -> str:
    if limit == "longest_request":
        return f"over the longest request, a setting: {window.longest_request:,} tokens"
    if window.is_known:
        return f"no room in the model's window of {window.model:,} tokens"
    return f"the model's window is not known: {window.model:,} tokens are assumed"


def _too_long(window: Window, needed: int) -> ContextTooLong:
    return ContextTooLong(
        f"This message and its instructions need about {needed:,} tokens, and the model has room "
        f"for {window.model_room:,} ({window.model:,} less {window.reply:,} for the reply). The "
        "message is kept. Send a shorter one, or choose a model with a larger window."
    )
