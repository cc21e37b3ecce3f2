"""Health: how a connection answered its account when it was last asked for anything.

Kept in memory: it is about the present, and a server that has just started has asked nothing. Each
process of a fleet knows its own requests.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, Literal

from talekeeper.clock import Clock, Millis
from talekeeper.domain.conversations import ReplyError
from talekeeper.ids import AccountId, ConnectionId

REMEMBERED: Final = 4_096


@dataclass(frozen=True, slots=True)
class ConnectionHealth:
    """`at` is when it was last asked, null where it was not yet; `error` why it failed then."""

    state: Literal["unknown", "answering", "failing"]
    at: Millis | None = None
    error: ReplyError | None = None


UNKNOWN: Final = ConnectionHealth("unknown")


class HealthBook:
    """What this process was answered, by account and connection."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: OrderedDict[tuple[AccountId, ConnectionId], ConnectionHealth] = OrderedDict()

    def of(self, account_id: AccountId, connection_id: ConnectionId) -> ConnectionHealth:
        return self._known.get((account_id, connection_id), UNKNOWN)

    def answered(self, account_id: AccountId, connection_id: ConnectionId) -> None:
        self._note(account_id, connection_id, ConnectionHealth("answering", self._clock.now()))

    def failed(self, account_id: AccountId, connection_id: ConnectionId, error: ReplyError) -> None:
        """What is about one conversation, not about the connection, is passed over."""
        if error.code.startswith("provider_") or error.code == "model_missing":
            self._note(
                account_id, connection_id, ConnectionHealth("failing", self._clock.now(), error)
            )

    def forget(self, account_id: AccountId, connection_id: ConnectionId) -> None:
        """The account reaches it another way now."""
        self._known.pop((account_id, connection_id), None)

    def _note(
        self, account_id: AccountId, connection_id: ConnectionId, health: ConnectionHealth
    ) -> None:
        self._known[account_id, connection_id] = health
        self._known.move_to_end((account_id, connection_id))
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
