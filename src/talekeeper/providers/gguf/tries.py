"""How long a server of models is waited for, and how often a download goes on by itself."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Tries:
    """The pause before each attempt is twice the one before it. An attempt that brought something
    begins the count again.
    """

    stall_seconds: float = 60.0
    at_most: int = 5
    pause_seconds: float = 1.0


USUAL_TRIES: Final = Tries()
