"""Checkpointing: when what a reply grew by is put on disk."""

from typing import Final

INTERVAL: Final = 0.15
"""Seconds after which anything new is checkpointed."""
SIZE: Final = 1_024
"""Characters that are checkpointed at once, without waiting for the interval."""


def is_due(unsaved: int, *, waited: float) -> bool:
    return unsaved >= SIZE or (unsaved > 0 and waited >= INTERVAL)
