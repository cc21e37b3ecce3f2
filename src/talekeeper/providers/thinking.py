"""Models that think aloud inside their text: `<think>…</think>` before the reply itself.

Only a block at the very start is thinking; later the same letters are text, as a game master may
well talk about them. What could still become a mark is held back until it is clear, at most a few
characters, and given out by `rest` when the stream ends before it became clear.
"""

from typing import Final, Literal

from talekeeper.domain.replies import ReasoningDelta, TextDelta

_OPENING: Final = "<think>"
_CLOSING: Final = "</think>"


class Thinking:
    """Parts a model's text into thinking and reply, as it comes."""

    __slots__ = ("_held", "_state")

    def __init__(self) -> None:
        self._held = ""
        self._state: Literal["unclear", "thinking", "gap", "reply"] = "unclear"

    @property
    def is_over(self) -> bool:
        """Whether all that follows is the reply."""
        return self._state == "reply"

    def parts(self, text: str) -> list[TextDelta | ReasoningDelta]:
        """What is clear once `text` came."""
        found: list[TextDelta | ReasoningDelta] = []
        text, self._held = self._held + text, ""
        if self._state == "unclear":
            begun = text.lstrip()
            if _OPENING.startswith(begun[: len(_OPENING)]):
                if len(begun) < len(_OPENING):
                    self._held = text
                    return found
                self._state, text = "thinking", begun[len(_OPENING) :]
            else:
                self._state = "reply"
        if self._state == "thinking":
            thought, mark, text = text.partition(_CLOSING)
            if mark:
                self._state = "gap"
            else:
                keep = _overlap(thought)
                thought, self._held = thought[: len(thought) - keep], thought[len(thought) - keep :]
            if thought:
                found.append(ReasoningDelta(thought))
        if self._state == "gap":
            # Models put empty lines between their thinking and the reply.
            text = text.lstrip()
            if text:
                self._state = "reply"
        if self._state == "reply" and text:
            found.append(TextDelta(text))
        return found

    def rest(self) -> list[TextDelta | ReasoningDelta]:
        """What was held back, when nothing follows."""
        held, self._held = self._held, ""
        if not held:
            return []
        return [ReasoningDelta(held) if self._state == "thinking" else TextDelta(held)]


def _overlap(text: str) -> int:
    """How many characters at the end of `text` may be the beginning of the closing mark."""
    for length in range(min(len(_CLOSING) - 1, len(text)), 0, -1):
        if _CLOSING.startswith(text[-length:]):
            return length
    return 0
