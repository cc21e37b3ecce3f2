"""Composing: the request for one reply, with a receipt of what went in and what stayed out."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from talekeeper.domain.conversations import Message, Purpose, Role
from talekeeper.domain.replies import ReplyRequest, Turn
from talekeeper.prompts.fitting import TURN_COST, estimated_tokens, fitted
from talekeeper.prompts.purposes import PURPOSES

DEFAULT_WINDOW: Final = 8_192
"""Tokens a model is taken to hold where nobody knows better."""
REPLY_SHARE: Final = 4
"""One part in four of the window is kept free for the reply, at most 1,024 tokens."""
HISTORY_LIMIT: Final = 400
"""Messages that are read for a request at the most."""
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
    parts: tuple[Part, ...]

    def receipt(self) -> dict[str, Any]:
        """The receipt as it is stored and shown: exactly what was sent, and why."""
        return {
            "model": self.request.model,
            "parts": [asdict(part) for part in self.parts],
            "turns": [asdict(turn) for turn in self.request.turns],
        }


def composed(
    history: Sequence[Message],
    *,
    purpose: Purpose,
    model: str,
    window: int | None,
    continues: bool,
    continues_text: bool,
) -> Composed:
    """The request for the reply to the last message of `history`, eldest first.

    With `continues` the last message is the unfinished reply itself. A model that can go on with
    its own text (`continues_text`) gets it as the last turn; any other is asked to.
    """
    window = window or DEFAULT_WINDOW
    instructions = PURPOSES[purpose]
    cost = estimated_tokens(instructions) + TURN_COST
    reply = min(1_024, window // REPLY_SHARE)
    told = [m for m in history if m.content.strip()]
    room = max(0, window - cost - reply)
    chosen = fitted(told, budget=room, window=room)
    parts = [
        Part("purpose", purpose, cost, True, "always first"),
        Part(
            "history",
            f"{len(chosen.messages)} of {len(told)} messages",
            chosen.tokens,
            True,
            "the newest that fit",
        ),
    ]
    if chosen.left_out:
        parts.append(
            Part("history", f"{chosen.left_out} elder messages", 0, False, "no room in the model")
        )
    turns = [Turn("system", instructions)]
    for message in chosen.messages:
        _append(turns, message.role, message.content)
    if continues and not continues_text:
        _append(turns, "user", _continue_asked(chosen.messages[-1].content))
    request = ReplyRequest(model=model, turns=tuple(turns), continues=continues and continues_text)
    return Composed(request, tuple(parts))


def _append(turns: list[Turn], role: Role, content: str) -> None:
    """Neighbours of one role become one turn: many models refuse two in a row."""
    if len(turns) > 1 and turns[-1].role == role:
        turns[-1] = Turn(role, f"{turns[-1].content}\n\n{content}")
    else:
        turns.append(Turn(role, content))


def _continue_asked(text: str) -> str:
    echo = " ".join(text.split()[-ECHO_WORDS:])
    return (
        "Your last message was cut off. Go on with it exactly where it stops. Begin by repeating "
        f"its last words «{echo}», then write only what follows. Do not comment on this."
    )
