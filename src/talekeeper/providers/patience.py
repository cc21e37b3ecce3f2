"""Patience: until when the next bytes of an answer must come."""

import asyncio
from typing import Final

import aiohttp

_AGAIN: Final = 0.05
"""Seconds after which a reader that should have been told is told again."""


class Patience:
    """Until when the next bytes must come, on the event loop's clock; a reader that waits longer
    is given a TimeoutError.

    One timer watches over a whole answer and looks, when it goes off, whether it was too early: a
    time-out around every read costs more than the read. It goes on looking until the `end`: a
    reader that is woken by bytes in the turn of the loop in which its time is over does not hear
    that it is, and waits on if the bytes held nothing for it.
    """

    __slots__ = (
        "_first",
        "_last_said",
        "_looks_at",
        "_loop",
        "_stall",
        "_stream",
        "_timer",
        "_until",
    )

    def __init__(self, stream: aiohttp.StreamReader, first: float, stall: float) -> None:
        """`first` seconds for the first bytes, and for signs of life that say nothing; `stall`
        between any two.
        """
        self._loop = asyncio.get_running_loop()
        self._stream = stream
        self._first = first
        self._stall = stall
        self._last_said = self._loop.time()
        self._until = self._last_said + first
        self._look_at(self._until)

    def renew(self, *, has_said_something: bool, has_begun: bool) -> None:
        """Bytes came: the next may take as long again."""
        now = self._loop.time()
        if has_said_something:
            self._last_said = now
        if has_begun:
            self._wait_until(min(now + self._stall, self._last_said + self._first))

    def limit_to(self, seconds: float) -> None:
        """Wait no longer than `seconds` from the first time that this is said."""
        self._wait_until(min(self._until, self._loop.time() + seconds))

    def end(self) -> None:
        """Nobody is told anything any more."""
        self._timer.cancel()

    def _wait_until(self, until: float) -> None:
        self._until = until
        if until < self._looks_at:
            self._timer.cancel()
            self._look_at(until)

    def _look_at(self, time: float) -> None:
        # Kept beside the handle: uvloop's has no time where what is asked for is due at once.
        self._looks_at = time
        self._timer = self._loop.call_at(time, self._look)

    def _look(self) -> None:
        now = self._loop.time()
        if now < self._until:
            self._look_at(self._until)
        else:
            self._stream.set_exception(TimeoutError())
            self._look_at(now + _AGAIN)
