"""Checkpointing: what replies grew by is put on disk, all of them in one commit a tick.

A tick comes 150 ms after something new, or as soon as one reply has 1,024 new characters. So what a
follower saw is on disk a quarter of a second later, however many replies stream at once. What came
while a slow disk was still at the checkpoint before has waited already: it goes at once.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

import structlog

from talekeeper.errors import StoreError, trail
from talekeeper.generation.growing import Growing
from talekeeper.store import Store, Writer
from talekeeper.store.generations import add_chunk, keep_receipt
from talekeeper.store.messages import begin_streaming

INTERVAL: Final = 0.15
"""Seconds after which anything new is checkpointed."""
SIZE: Final = 1_024
"""Characters that are checkpointed at once, without waiting for the interval."""
_AGAIN: Final = 0.1

log = structlog.get_logger(__name__)


class Checkpoints:
    """The one task that checkpoints every growing reply of this process."""

    def __init__(self, store: Store, growing: Callable[[], Iterable[Growing]]) -> None:
        self._store = store
        self._growing = growing
        self._is_due = asyncio.Event()
        self._due_since = 0.0
        self._is_urgent = asyncio.Event()
        self._ticker = asyncio.create_task(self._tick_forever(), name="checkpoints")

    @property
    def is_serving(self) -> bool:
        return not self._ticker.done()

    def grew(self, growing: Growing) -> None:
        """A reply has text that is not on disk: it will be within the interval."""
        if not self._is_due.is_set():
            self._due_since = asyncio.get_running_loop().time()
            self._is_due.set()
        if growing.end - growing.saved >= SIZE:
            self._is_urgent.set()

    async def close(self) -> None:
        self._ticker.cancel()
        await asyncio.gather(self._ticker, return_exceptions=True)

    async def _tick_forever(self) -> None:
        while True:
            await self._is_due.wait()
            try:
                async with asyncio.timeout_at(self._due_since + INTERVAL):
                    await self._is_urgent.wait()
            except TimeoutError:
                pass
            self._is_due.clear()
            self._is_urgent.clear()
            await self._checkpoint()

    async def _checkpoint(self) -> None:
        due = [
            (growing, growing.saved, "".join(growing.unsaved), growing.receipt)
            for growing in self._growing()
            if growing.unsaved
        ]
        if not due:
            return
        for growing, *_ in due:
            growing.unsaved = []

        def checkpoint(tx: Writer) -> list[bool]:
            kept: list[bool] = []
            for growing, offset, text, receipt in due:
                is_mine = add_chunk(tx, growing.generation, offset=offset, text=text)
                if is_mine and receipt is not None:
                    begin_streaming(tx, growing.begun.message_key)
                    keep_receipt(tx, growing.generation, receipt())
                kept.append(is_mine)
            return kept

        try:
            kept = await self._store.write(checkpoint)
        except Exception as error:  # noqa: BLE001 - the ticker must outlive whatever the disk does
            # The text is still here: it goes with the next checkpoint, or with the end.
            code = error.code if isinstance(error, StoreError) else "internal"
            log.warning("checkpoint.failed", code=code, at=trail(error), replies=len(due))
            for growing, _, text, _ in due:
                growing.unsaved.insert(0, text)
            await asyncio.sleep(_AGAIN)
            self._is_due.set()
            return
        for (growing, offset, text, _), is_mine in zip(due, kept, strict=True):
            growing.saved = offset + len(text)
            growing.receipt = None
            if not is_mine and growing.ending is None:
                growing.lose_lock()
