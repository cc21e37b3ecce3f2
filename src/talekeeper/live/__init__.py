"""Live: what is told at once. The store's log is the truth; this is the nudge and the tail."""

from talekeeper.live.hub import (
    AccountTopic,
    ConversationTopic,
    Delta,
    FollowAnswered,
    FollowAsked,
    HealthChanged,
    HealthTopic,
    Hub,
    Lapse,
    Logged,
    Notice,
    ProcessTopic,
    StopAsked,
    StreamTopic,
    Subscription,
)
from talekeeper.live.memory import MemoryHub

__all__ = [
    "AccountTopic",
    "ConversationTopic",
    "Delta",
    "FollowAnswered",
    "FollowAsked",
    "HealthChanged",
    "HealthTopic",
    "Hub",
    "Lapse",
    "Logged",
    "MemoryHub",
    "Notice",
    "ProcessTopic",
    "StopAsked",
    "StreamTopic",
    "Subscription",
]
