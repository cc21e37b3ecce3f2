"""Health: how a provider answered an account the last time that it was asked anything.

Kept in memory: it is about now, and a server that has just started knows nothing of it. On a fleet
each process knows what it was told itself.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, Literal

from talekeeper.clock import Clock, Millis
from talekeeper.domain.conversations import ReplyError
from talekeeper.ids import AccountId

REMEMBERED: Final = 4_096


@dataclass(frozen=True, slots=True)
class ProviderHealth:
    """`at` is when it was last asked, null where it was not yet; `error` why it failed then."""

    state: Literal["unknown", "answering", "failing"]
    at: Millis | None = None
    error: ReplyError | None = None


UNKNOWN: Final = ProviderHealth("unknown")


class HealthBook:
    """What this process was answered, by account and provider."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: OrderedDict[tuple[AccountId, str], ProviderHealth] = OrderedDict()

    def of(self, account_id: AccountId, provider: str) -> ProviderHealth:
        return self._known.get((account_id, provider), UNKNOWN)

    def answered(self, account_id: AccountId, provider: str) -> None:
        self._note(account_id, provider, ProviderHealth("answering", self._clock.now()))

    def failed(self, account_id: AccountId, provider: str, error: ReplyError) -> None:
        """What is about one conversation, not about the provider, is passed over."""
        if error.code.startswith("provider_") or error.code == "model_missing":
            self._note(account_id, provider, ProviderHealth("failing", self._clock.now(), error))

    def forget(self, account_id: AccountId, provider: str) -> None:
        """The account reaches it another way now."""
        self._known.pop((account_id, provider), None)

    def _note(self, account_id: AccountId, provider: str, health: ProviderHealth) -> None:
        self._known[account_id, provider] = health
        self._known.move_to_end((account_id, provider))
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
