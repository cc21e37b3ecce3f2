"""The turns of a request as wires and templates want them that know no system turn."""

from collections.abc import Sequence

from talekeeper.domain.replies import Turn


def apart(turns: Sequence[Turn]) -> tuple[str, tuple[Turn, ...]]:
    """The instructions, empty where there are none, and the talk that a user begins."""
    if turns and turns[0].role == "system":
        return turns[0].content, tuple(turns[1:])
    return "", tuple(turns)


def without_system(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """The same turns, the instructions at the beginning of the user's first."""
    instructions, talk = apart(turns)
    if not instructions or not talk:
        return talk
    return (Turn("user", f"{instructions}\n\n{talk[0].content}"), *talk[1:])
