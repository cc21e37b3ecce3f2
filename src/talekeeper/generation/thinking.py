"""What a model thinks during one generation: its text, how much of it is stored, and how long it took."""

from dataclasses import dataclass, field

from talekeeper.domain.parts import Reasoning
from talekeeper.generation.folding import folded


@dataclass(slots=True)
class Thought:
    """Reasoning as it grows. `end` counts its characters; those up to `saved` are on disk, and
    `unsaved` is the rest. It grows until the reply has words of its own, and may go on after them.
    """

    end: int = 0
    saved: int = 0
    unsaved: list[str] = field(default_factory=list[str])
    ms: int | None = None
    """How long the model thought, up to the last time that it stopped."""
    is_told: bool = False
    """Followers know that the model thinks."""
    _text: list[str] = field(default_factory=list[str])
    _held: str = ""
    _since: float | None = None
    _seconds: float = 0.0

    @property
    def text(self) -> str:
        return "".join(self._text)

    def part(self) -> tuple[Reasoning, ...]:
        """The part that stands for it in the message: one, or none where nothing was thought."""
        return (Reasoning(self.end, self.ms),) if self.end else ()

    def grow(self, piece: str, now: float) -> None:
        """The model thinks on. `now` is in seconds, on any clock that never steps."""
        if self._since is None:
            self._since = now
        self._add(piece)

    def take_over(self, text: str, seconds: float) -> None:
        """The model thought `text` in so many seconds, and it was taken for the reply until now."""
        self._count(seconds)
        self._add(text)

    def resume(self, text: str) -> None:
        """The store has `text` of this generation already."""
        self._text.append(text)
        self.end = self.saved = len(text)
        self.is_told = bool(text)

    def stop(self, now: float) -> None:
        """The model speaks, or has ended."""
        if self._since is not None:
            self._count(now - self._since)
            self._since = None

    def _add(self, piece: str) -> None:
        text, self._held = folded(self._held, piece)
        if text:
            self._text.append(text)
            self.unsaved.append(text)
            self.end += len(text)

    def _count(self, seconds: float) -> None:
        self._seconds += seconds
        self.ms = round(self._seconds * 1000)
