"""The clock: wall time for people, monotonic time for waiting. Order never comes from either."""

import time
from dataclasses import dataclass
from typing import NewType, Protocol

Millis = NewType("Millis", int)
"""Milliseconds since 1970-01-01 00:00 UTC."""


class Clock(Protocol):
    def now(self) -> Millis:
        """Wall time, for display and expiry only."""
        ...

    def monotonic(self) -> float:
        """Seconds that only ever grow, for measuring how long a thing took."""
        ...


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The machine's own clock."""

    def now(self) -> Millis:
        return Millis(time.time_ns() // 1_000_000)

    def monotonic(self) -> float:
        return time.monotonic()
