"""Composing: the request for one reply, with a receipt of what went in and what stayed out.

Its turns are legal for every model: instructions, then user and assistant by turns, the user first,
none empty. The templates of Gemma, Mistral and others refuse anything else. So what the assistant
says first, be it an opening scene or what was left of a long talk, gets a turn of the user's before
it, and system notes within the talk become a part of the user's turns.

A message whose reply ended before its first word stands in the path with nothing after it but the
next message of the same person. Run together, the two would be answered as one, and what failed
an hour ago would be answered now. So it is marked, in the turn that it becomes a part of.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import msgspec

from talekeeper.domain.conversations import (
    AS_THE_PROVIDER_DOES,
    Line,
    Purpose,
    Role,
    Sampling,
)
from talekeeper.domain.replies import ReplyRequest, Turn, Wish
from talekeeper.ids import MessageId
from talekeeper.prompts.fitting import TURN_COST, Limit, Limits, estimated_tokens, fitted
from talekeeper.prompts.purposes import PURPOSES
from talekeeper.prompts.receipts import StoredTurn, stored_piece

BETWEEN: Final = "\n\n"
"""Between the messages that become one turn."""
UNANSWERED: Final = "(The message above got no answer. Answer what follows it.)"
LEFT_OUT: Final = "(What was said before this is left out.)"
"""The user's turn before the assistant's first, where the talk was cut."""
OPENED: Final = "(Open the scene.)"
"""The user's turn before the assistant's first, where the assistant began the talk."""
ECHO_WORDS: Final = 6
"""Words a model that cannot continue a text is asked to begin with, so the seam can be found."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a request: where it is from, what it cost, and why it is in or out."""

    part: str
    source: str
    tokens: int
    included: bool
    why: str


@dataclass(frozen=True, slots=True)
class Composed:
    """What is asked of the model, and the receipt: the parts, in their order."""

    request: ReplyRequest
    sources: tuple[Sequence[Line | str], ...]
    """What each turn is made of, in order: messages, and words of our own."""
    parts: tuple[Part, ...]
    limits: Limits
    left_out_by: Limit | None
    """The limit that left messages out; None where all went in."""
    is_first_exchange: bool
    """Nothing that the assistant said stands above the reply."""
    connection: str | None = None
    """The name of the connection through which the model is asked."""

    def receipt(self, *, unheeded: Sequence[Wish] = ()) -> str:
        """The receipt as it is stored, as JSON: exactly what was sent, and why; `receipts` reads it.

        `unheeded` are the wishes that the provider refused for this model.
        """
        request = self.request
        told = {
            "connection": self.connection,
            "model": request.model,
            "sampling": {
                "temperature": request.temperature,
                "top_p": request.top_p,
                "max_tokens": request.max_tokens,
                "unheeded": unheeded,
            },
            "limits": {
                "window": self.limits.window if self.limits.is_window_known else None,
                "assumed_window": None if self.limits.is_window_known else self.limits.window,
                "longest_request": self.limits.longest_request,
                "left_out_by": self.left_out_by,
            },
            "parts": self.parts,
            "turns": [
                StoredTurn(turn.role, [stored_piece(piece) for piece in source])
                for turn, source in zip(request.turns, self.sources, strict=True)
            ],
        }
        return msgspec.json.encode(told).decode()


def composed(
    history: Sequence[Line],
    *,
    purpose: Purpose,
    model: str,
    limits: Limits,
    continues: bool,
    continues_text: bool,
    sampling: Sampling = AS_THE_PROVIDER_DOES,
    is_whole: bool = True,
    connection: str | None = None,
) -> Composed:
    """The request for the reply to the last message of `history`, oldest first.

    Without `is_whole` there are older messages still, of which none can find room.

    With `continues` the last message is the unfinished reply itself. A model that can go on with
    its own text (`continues_text`) gets it as the last turn; any other is asked to.
    """
    unanswered = unanswered_in(history)
    instructions = PURPOSES[purpose]
    cost = estimated_tokens(instructions) + TURN_COST
    told = [m for m in history if m.content.strip()]
    marks = len(unanswered) * estimated_tokens(UNANSWERED)
    opening = estimated_tokens(LEFT_OUT) + TURN_COST
    fixed = cost + marks + opening
    chosen = fitted(
        told,
        room=max(0, limits.room - fixed),
        window_room=max(0, limits.window_room - fixed),
    )
    parts = [
        Part("purpose", purpose, cost, True, "always first"),
        Part(
            "history",
            f"{len(chosen.messages)} of {len(told)} messages"
            if is_whole
            else f"the newest {len(chosen.messages)} messages",
            chosen.tokens,
            True,
            "the newest that fit"
            if chosen.tokens + cost + marks <= limits.room
            else "the last ones go in past the longest request",
        ),
    ]
    left_out_by = chosen.limit if chosen.left_out or not is_whole else None
    if left_out_by is not None:
        older = f"{chosen.left_out} older messages" if is_whole else "all older messages"
        parts.append(Part("history", older, 0, False, _told_limit(limits, left_out_by)))
    turns = [Turn("system", instructions)]
    sources: list[list[Line | str]] = [[instructions]]
    marked = 0
    for message in chosen.messages:
        role = _role_of(message, turns)
        if role == "assistant" and len(turns) == 1:
            words = OPENED if is_whole and not chosen.left_out else LEFT_OUT
            _append(turns, sources, "user", words, words)
            parts.append(Part("opening", words, opening, True, "the user's turn comes first"))
        _append(turns, sources, role, message.content, message)
        if message.id in unanswered:
            marked += 1
            _append(turns, sources, role, UNANSWERED, UNANSWERED)
    if marked:
        parts.append(
            Part(
                "unanswered",
                f"{marked} of these messages",
                marked * estimated_tokens(UNANSWERED),
                True,
                "marked: no answer came to them, and the next one is to be answered",
            )
        )
    if continues and not continues_text:
        asked = _continue_asked(chosen.messages[-1].content)
        _append(turns, sources, "user", asked, asked)
    request = ReplyRequest(
        model=model,
        turns=tuple(turns),
        continues=continues and continues_text,
        max_tokens=sampling.max_tokens,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
    )
    answers = sum(1 for m in told if m.role == "assistant")
    return Composed(
        request,
        tuple(sources),
        tuple(parts),
        limits,
        left_out_by,
        answers == int(continues),
        connection,
    )


def unanswered_in(history: Sequence[Line]) -> frozenset[MessageId]:
    """The messages of a path whose reply there ended without a word."""
    return frozenset(
        message.id
        for message, after in pairwise(history)
        if message.role == "user" and after.role == "assistant" and not after.content.strip()
    )


def _told_limit(limits: Limits, limit: Limit) -> str:
    if limit == "longest_request":
        return f"over the longest request, a setting: {limits.longest_request:,} tokens"
    if limits.is_window_known:
        return f"no room in the model's window of {limits.window:,} tokens"
    return f"the model's window is not known: {limits.window:,} tokens are assumed"


def _append(
    turns: list[Turn],
    sources: list[list[Line | str]],
    role: Role,
    content: str,
    source: Line | str,
) -> None:
    """Neighbours of one role become one turn: many models refuse two in a row."""
    if turns[-1].role == role:
        turns[-1] = Turn(role, f"{turns[-1].content}{BETWEEN}{content}")
        sources[-1] += (BETWEEN, source)
    else:
        turns.append(Turn(role, content))
        sources.append([source])


def _role_of(message: Line, turns: Sequence[Turn]) -> Role:
    """The role of the turn that a message becomes a part of: a system note within the talk goes into
    the user's turn, and one before it to the instructions.
    """
    return "user" if message.role == "system" and len(turns) > 1 else message.role


def _continue_asked(text: str) -> str:
    echo = " ".join(text.split()[-ECHO_WORDS:])
    return (
        "Your last message was cut off. Go on with it exactly where it stops. Begin by repeating "
        f"its last words «{echo}», then write only what follows. Do not comment on this."
    )
