"""Rates: what is counted, and how many of it a minute holds."""

from dataclasses import dataclass
from math import ceil

from limits import RateLimitItemPerMinute


@dataclass(frozen=True, slots=True)
class Rate:
    """`per_minute` of one kind in any minute; 0 is no limit."""

    name: str
    per_minute: int

    @property
    def item(self) -> RateLimitItemPerMinute:
        """The rate as the `limits` library knows it."""
        return RateLimitItemPerMinute(self.per_minute, namespace=self.name)

    def halved(self) -> "Rate":
        """The rate that holds in one process while the shared windows cannot be reached."""
        return Rate(self.name, ceil(self.per_minute / 2))
