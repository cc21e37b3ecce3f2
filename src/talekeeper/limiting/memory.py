"""Windows in this process's memory.

The library's own storage in memory reads the wall clock, so that a clock set back by an hour would
keep people waiting for one, and looks through all keys after every hit, with a thread for each: at
1,000 accounts 70 ms. This one reads the monotonic clock and drops what has expired as it goes.
"""

from collections import OrderedDict, deque

from limits.aio.storage import MemoryStorage

from talekeeper.clock import Clock


class MemoryWindows(MemoryStorage):
    """The times at which entries were acquired, by key. A window's start is a monotonic time."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._times: OrderedDict[str, deque[float]] = OrderedDict()
        """Ordered by the last acquisition, the longest ago first."""

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        now = self._clock.monotonic()
        self._forget_ended(now - expiry)
        times = self._window(key, now - expiry)
        if len(times) + amount > limit:
            return False
        times.extend([now] * amount)
        self._times[key] = times
        self._times.move_to_end(key)
        return True

    async def get_moving_window(
        self,
        key: str,
        limit: int,  # noqa: ARG002 - the library's signature
        expiry: int,
    ) -> tuple[float, int]:
        now = self._clock.monotonic()
        times = self._window(key, now - expiry)
        return (times[0] if times else now), len(times)

    def __len__(self) -> int:
        return len(self._times)

    def _window(self, key: str, since: float) -> deque[float]:
        times = self._times.get(key, deque())
        while times and times[0] <= since:
            times.popleft()
        return times

    def _forget_ended(self, since: float) -> None:
        while self._times:
            key = next(iter(self._times))
            times = self._times[key]
            if times and times[-1] > since:
                return
            del self._times[key]
