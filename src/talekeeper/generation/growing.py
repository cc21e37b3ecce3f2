"""A reply while it grows: all its text, and how much of it is on disk."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from talekeeper.domain.conversations import FinishReason, Generation, MessageStatus
from talekeeper.domain.replies import Usage
from talekeeper.generation.beginning import Begun
from talekeeper.generation.folding import folded, joined, needs_more_for_seam, settled
from talekeeper.generation.thinking import Thought
from talekeeper.prompts.receipts import WrittenReceipt

Ending = Literal["finished", "stopped", "interrupted", "failed"]

MESSAGE_STATUS: Final[dict[Ending, MessageStatus]] = {
    "finished": "complete",
    "stopped": "stopped",
    "interrupted": "interrupted",
    "failed": "failed",
}
_UNCOUNTED: Final = Usage(None, None)


@dataclass(eq=False, slots=True)
class Growing:
    """What the server knows of a reply that it is filling.

    `end` counts the message's characters, what was there before a continue included; those up to
    `saved` are on disk, and `unsaved` is the rest.
    """

    begun: Begun
    started: float
    model: str
    end: int = 0
    saved: int = 0
    unsaved: list[str] = field(default_factory=list[str])
    receipt: Callable[[], WrittenReceipt] | None = None
    """Writes what the model was told, until it is on disk: it goes with the first write there is,
    since nobody should wait for it before the model is asked."""
    wants_title: bool = False
    """It ends the first exchange, and its provider may be asked for a title."""
    first_token: float | None = None
    usage: Usage = _UNCOUNTED
    finish_reason: FinishReason | None = None
    ending: Ending | None = None
    has_lost_lock: bool = False
    may_be_stored: bool = False
    """A checkpoint failed: the text after `saved` may be on disk all the same."""
    is_refused: bool = False
    """The store refused a checkpoint of this reply alone: it is written apart from the others."""
    task: "asyncio.Task[None] | None" = None
    reader: "asyncio.Task[None] | None" = None
    thought: Thought = field(default_factory=Thought)
    """What the model thinks in this generation."""
    _text: list[str] = field(default_factory=list[str])
    _held: str = ""
    _seam: str | None = None
    _looks_for_seam: bool = False
    _taken_back: int = 0
    """How many pieces of `_text`, from the second on, turned out to be the model's thinking."""

    def __post_init__(self) -> None:
        self._text.append(self.begun.message.content)
        self.end = self.saved = len(self.begun.message.content)

    @property
    def generation(self) -> Generation:
        return self.begun.generation

    @property
    def is_continuing(self) -> bool:
        """The model goes on with a text; where only blanks came so far, it is asked anew."""
        return self.generation.kind == "continue" and self.begun.message.content.strip() != ""

    @property
    def text(self) -> str:
        """All of the message's text, as far as it has grown, without what was taken back."""
        if not self._taken_back:
            return "".join(self._text)
        return self._text[0] + "".join(self._text[1 + self._taken_back :])

    @property
    def position(self) -> int:
        """The place of this generation's reasoning among the message's parts."""
        return len(self.begun.message.parts)

    def take_back(self) -> str:
        """What the model said in this generation was thinking: the end is written without it.

        The text that followers have keeps its offsets until then, since it only ever grows. Returns
        what it was.
        """
        text = "".join(self._text[1 + self._taken_back :]) + (self._seam or "")
        self._taken_back = len(self._text) - 1
        self._held = ""
        if self._looks_for_seam:
            self._seam = ""
        return text

    def resume(self, grown: str) -> None:
        """The store has `grown` of this generation already."""
        self._text.append(grown)
        self.end = self.saved = self.end + len(grown)

    def look_for_seam(self) -> None:
        """What comes next may repeat the end of what is there: that is taken away."""
        self._looks_for_seam = True
        self._seam = ""

    def taken(self, piece: str) -> str:
        """What a piece of the model's adds to the text now; the rest is held for the next."""
        text, self._held = folded(self._held, piece)
        if self._seam is not None:
            self._seam += text
            if needs_more_for_seam(self._seam):
                return ""
            text, self._seam = joined(self.begun.message.content, self._seam), None
        return text

    def rest(self) -> str:
        """What was held for the next piece, when there is none."""
        rest, self._held = settled(self._held), ""
        if self._seam is not None:
            rest, self._seam = joined(self.begun.message.content, self._seam) + rest, None
        return rest

    def add(self, text: str) -> None:
        """The text has grown by `text`, which is not on disk yet."""
        self._text.append(text)
        self.unsaved.append(text)
        self.end += len(text)

    def interrupt(self, ending: Ending) -> None:
        """The model is asked no further; the first reason given is how the reply ends."""
        if self.ending is None:
            self.ending = ending
        if self.reader is not None:
            self.reader.cancel()

    def lose_lock(self) -> None:
        """Another process took the conversation over: this one writes nothing more there."""
        if self.ending is None:
            self.has_lost_lock = True
        self.interrupt("interrupted")
