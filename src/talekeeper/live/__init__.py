"""Live: who is told at once. The store's log is the truth; this is the nudge and the tail."""

from talekeeper.live.hub import Delta, Hub, Subscription
from talekeeper.live.memory import MemoryHub

__all__ = ["Delta", "Hub", "MemoryHub", "Subscription"]
