"""Holding: what stays open is good for as long as the token that it was opened with.

A request proves once, at its beginning, who asks. An event stream stays open for days after that.
It is told when the proof ends: at once where this process revokes the token, and within about a
second where another process did, where the token expired or where its account was removed. One
statement every half second asks for all tokens that are held, and none is run while nothing is held.

"Could not read" is not "was revoked": while the store does not answer, only what has expired ends.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

import structlog

from talekeeper.clock import Clock, Millis
from talekeeper.database import Store
from talekeeper.errors import StoreError, Unauthenticated, trail
from talekeeper.ids import TokenId
from talekeeper.store.accounts import expiries_of

T = TypeVar("T")

LOOK_SECONDS: Final = 0.5

ENDED: Final = "You were logged out. Log in again to go on; what you wrote is kept."

log = structlog.get_logger(__name__)


class Hold:
    """One thing that is open. `ended` is done once its token is good for nothing."""

    def __init__(self, holds: "set[Hold] | None") -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._holds = holds

    def end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def release(self) -> None:
        """It is closed: nothing is to be ended any more."""
        if self._holds is not None:
            self._holds.discard(self)


class HeldTokens:
    """The tokens of everything that is open in this process."""

    def __init__(self, store: Store, *, clock: Clock, on_ended: Callable[[TokenId], None]) -> None:
        self._store = store
        self._clock = clock
        self._on_ended = on_ended
        self._held: dict[TokenId, set[Hold]] = {}
        self._expiries: dict[TokenId, Millis | None] = {}
        self._watching: asyncio.Task[None] | None = None
        self._is_blind = False

    def hold(self, token_id: TokenId | None) -> Hold:
        """A hold on the token; None is the token from the settings, which lasts as they do."""
        if token_id is None:
            return Hold(None)
        hold = Hold(holds := self._held.setdefault(token_id, set()))
        holds.add(hold)
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch(), name="held tokens")
        return hold

    async def during(self, token_id: TokenId | None, work: Coroutine[Any, Any, T]) -> T:
        """What `work` comes to. Raises Unauthenticated, and cancels it, when the token ends before."""
        hold = self.hold(token_id)
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait([task, hold.ended], return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise Unauthenticated(ENDED)
            return task.result()
        finally:
            hold.release()
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    def end(self, token_id: TokenId) -> None:
        """Everything that was opened with the token ends now."""
        for hold in self._held.pop(token_id, ()):
            hold.end()

    async def close(self) -> None:
        """Nothing is watched any more."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    async def _watch(self) -> None:
        while self._held:
            await asyncio.sleep(LOOK_SECONDS)
            self._held = {name: holds for name, holds in self._held.items() if holds}
            self._expiries = {
                name: each for name, each in self._expiries.items() if name in self._held
            }
            await self._look(tuple(self._held))

    async def _look(self, token_ids: tuple[TokenId, ...]) -> None:
        """Whatever of these has expired or is gone ends."""
        if not token_ids:
            return
        try:
            self._expiries = await self._store.read(lambda tx: expiries_of(tx, token_ids))
            gone = [each for each in token_ids if each not in self._expiries]
            self._is_blind = False
        except Exception as error:  # noqa: BLE001 - the next look may see
            gone = []
            if not self._is_blind:
                code = error.code if isinstance(error, StoreError) else type(error).__name__
                log.warning("tokens.unseen", code=code, at=trail(error))
            self._is_blind = True
        now = self._clock.now()
        expired = [name for name, at in self._expiries.items() if at is not None and at <= now]
        for token_id in {*gone, *expired}:
            self.end(token_id)
            self._on_ended(token_id)
