"""The turns as Anthropic and Gemini want them: instructions apart, and a talk that a user begins.

Both refuse turns without words and take a system text only beside the talk. Where a long
conversation was fitted into the model, what is left may begin with the assistant's turn.
"""

from collections.abc import Sequence
from typing import Final

from talekeeper.domain.replies import Turn

BEGINNING: Final = "(What was said before this is left out.)"


def parted(turns: Sequence[Turn]) -> tuple[str, list[Turn]]:
    """The instructions at the front, and the talk: the user's turn first, roles taking turns.

    Instructions that stand inside the talk stay there, as the user's.
    """
    told = [turn for turn in turns if turn.content.strip()]
    front = 0
    while front < len(told) and told[front].role == "system":
        front += 1
    instructions = "\n\n".join(turn.content for turn in told[:front])
    talk: list[Turn] = []
    for turn in told[front:]:
        role = "user" if turn.role == "system" else turn.role
        if not talk and role == "assistant":
            talk.append(Turn("user", BEGINNING))
        if talk and talk[-1].role == role:
            talk[-1] = Turn(role, f"{talk[-1].content}\n\n{turn.content}")
        else:
            talk.append(Turn(role, turn.content))
    return instructions, talk or [Turn("user", BEGINNING)]
