"""Admitting: whether an account may have one more reply made now.

Two limits hold. So many replies a minute are counted by the limiter, which is asked once before the
transaction; what it counted for a reply that was not begun is given back. So many at once are
counted in the transaction itself, as rows that run: those are true for all processes, and after a
crash. Two that commit in the same instant on PostgreSQL may both be let in.
"""

from dataclasses import dataclass
from math import ceil
from typing import Final

from talekeeper.database import Reader
from talekeeper.domain.conversations import Limited
from talekeeper.errors import TooManyAtOnce, TooOften
from talekeeper.ids import AccountId
from talekeeper.limiting import Limiter, Rate
from talekeeper.store.generations import count_running

AGAIN: Final = 5
"""Seconds after which it is worth asking whether one of the replies that grow has ended."""


@dataclass(frozen=True, slots=True)
class Permit:
    """What the limiter said of one request for a reply; the rest is asked in the transaction."""

    owner_id: AccountId
    refused: TooOften | None
    at_once: int

    def refusal(self, tx: Reader) -> TooOften | TooManyAtOnce | None:
        """The limit that stands in the way of the reply; None when it may begin."""
        if self.refused is not None:
            return self.refused
        if self.at_once and count_running(tx, owner_id=self.owner_id) >= self.at_once:
            return TooManyAtOnce(
                f"{_replies(self.at_once)} at once is the limit of this server. Wait until one has "
                "ended, or stop one.",
                seconds=AGAIN,
            )
        return None


class Admission:
    """Lets replies begin, as often and as many at once as an account may have. 0 is no limit."""

    def __init__(self, limiter: Limiter, *, per_minute: int, at_once: int) -> None:
        self._limiter = limiter
        self._rate = Rate("generations", per_minute)
        self._at_once = at_once

    async def ask(self, owner_id: AccountId) -> Permit:
        """Count one reply of the account's, if it may have one."""
        wait = await self._limiter.ask(self._rate, owner_id)
        refused = None
        if wait:
            refused = TooOften(
                f"{_replies(self._rate.per_minute)} a minute is the limit of this server. The next "
                f"can be asked for in {ceil(wait)} s.",
                seconds=ceil(wait),
            )
        return Permit(owner_id, refused, self._at_once)

    def give_back(self, permit: Permit) -> None:
        """The reply was not begun."""
        if permit.refused is None:
            self._limiter.give_back(self._rate, permit.owner_id)


def told(refusal: TooOften | TooManyAtOnce | None) -> Limited | None:
    """The limit as it is told beside a message that was stored."""
    match refusal:
        case None:
            return None
        case TooManyAtOnce():
            return Limited("too_many_at_once", refusal.seconds)
        case _:
            return Limited("too_often", refusal.seconds)


def _replies(count: int) -> str:
    return "1 reply" if count == 1 else f"{count} replies"
