"""Leaving a value as it is, where None already means 'none'."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Kept:
    """Stands for 'as it is' in a change."""


KEPT: Final = Kept()
