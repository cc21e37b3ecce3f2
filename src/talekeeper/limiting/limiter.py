"""The limiter: whether one more may be done now, and if not, how long to wait.

A window holds the times of the last minute; one more may be done while it holds fewer than the rate
allows. So an account that was idle has the whole rate at once, and gets each back a minute after it
was used.

Redis only shares the count. A request waits `PATIENCE` for it at most; then this process counts for
itself, from what it has let pass in the last minute, against half the rate, and looks for Redis once
a second, with one request. There is no state in which nothing is counted.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import structlog
from limits.aio.strategies import MovingWindowRateLimiter
from limits.errors import StorageError

from talekeeper.clock import Clock
from talekeeper.limiting.memory import MemoryWindows
from talekeeper.limiting.rates import Rate

if TYPE_CHECKING:
    from talekeeper.limiting.redis import RedisWindows

PATIENCE: Final = 0.05
"""Seconds that a request waits for Redis."""
AGAIN: Final = 1.0
"""Seconds after which Redis is asked again that did not answer."""
MINUTE: Final = 60.0

log = structlog.get_logger(__name__)


class Limiter:
    """Counts what accounts and addresses do. One for the whole process."""

    def __init__(
        self, *, clock: Clock, shared: "RedisWindows | None" = None, patience: float = PATIENCE
    ) -> None:
        self._clock = clock
        self._patience = patience
        self._own = MovingWindowRateLimiter(MemoryWindows(clock))
        self._shared = None if shared is None else MovingWindowRateLimiter(shared)
        self._asks_again_at: float | None = None
        """When Redis is asked again; None while it answers."""
        self._unused: dict[tuple[str, str], deque[float]] = {}

    async def ask(self, rate: Rate, who: str) -> float:
        """Count one more of `who`'s. 0.0 if it may be done, else the seconds until it may."""
        if rate.per_minute == 0 or self._takes_unused(rate, who):
            return 0.0
        if self._shared is None:
            return await self._ask_own(rate, who)
        wait = await self._ask_shared(self._shared, rate, who)
        if wait is None:
            return await self._ask_own(rate.halved(), who)
        if wait == 0.0:
            await self._own.hit(rate.halved().item, who)  # what is counted from if Redis goes away
        return wait

    @property
    def is_shared(self) -> bool:
        """All processes count together now."""
        return self._shared is not None and self._asks_again_at is None

    def give_back(self, rate: Rate, who: str) -> None:
        """What was counted was not done: the next that `who` asks for is not counted."""
        if rate.per_minute:
            now = self._clock.monotonic()
            self._unused.setdefault((rate.name, who), deque()).append(now)

    def _takes_unused(self, rate: Rate, who: str) -> bool:
        unused = self._unused.get((rate.name, who))
        if unused is None:
            return False
        oldest = self._clock.monotonic() - MINUTE
        while unused and unused[0] <= oldest:
            unused.popleft()
        takes = bool(unused)
        if takes:
            unused.popleft()
        if not unused:
            del self._unused[rate.name, who]
        return takes

    async def _ask_own(self, rate: Rate, who: str) -> float:
        if await self._own.hit(rate.item, who):
            return 0.0
        reset, _ = await self._own.get_window_stats(rate.item, who)
        return _told(reset - self._clock.monotonic())

    async def _ask_shared(
        self, shared: MovingWindowRateLimiter, rate: Rate, who: str
    ) -> float | None:
        """None where Redis does not say."""
        now = self._clock.monotonic()
        if self._asks_again_at is not None:
            if now < self._asks_again_at:
                return None
            self._asks_again_at = now + AGAIN  # the others do not wait for it meanwhile
        try:
            async with asyncio.timeout(self._patience):
                wait = 0.0
                if not await shared.hit(rate.item, who):
                    reset, _ = await shared.get_window_stats(rate.item, who)
                    wait = _told(reset - time.time())
        except (StorageError, OSError, TimeoutError) as error:
            if self._asks_again_at is None:
                log.warning("limits.redis_away", error=type(error.__cause__ or error).__name__)
            self._asks_again_at = self._clock.monotonic() + AGAIN
            return None
        if self._asks_again_at is not None:
            self._asks_again_at = None
            log.info("limits.redis_back")
        return wait


def _told(seconds: float) -> float:
    """The wait as it is told: never nothing, for the window was full a moment ago, and never more
    than the window holds, for the clock that Redis is told may have been set back.
    """
    return min(max(seconds, 0.001), MINUTE)


@asynccontextmanager
async def opened_limiter(
    *, clock: Clock, redis_url: str | None, patience: float = PATIENCE
) -> AsyncGenerator[Limiter]:
    """A limiter that counts in the Redis at `redis_url`, or in this process's memory without one.

    A question waits `patience` seconds for Redis. Nothing is connected before the first.
    """
    if redis_url is None:
        yield Limiter(clock=clock)
        return
    from talekeeper.limiting.redis import RedisWindows  # only where there is a Redis

    shared = RedisWindows(redis_url, patience=patience)
    try:
        yield Limiter(clock=clock, shared=shared, patience=patience)
    finally:
        await shared.aclose()
