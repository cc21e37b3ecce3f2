"""Writing: units from many tasks, one commit for all that wait, an answer only when it is on disk.

A writer thread takes everything that waits in its queue, begins one transaction, runs each unit in
a SAVEPOINT of its own, commits once (one flush for all) and only then answers each. So 64 senders
pay for two flushes rather than 64, and a unit that fails takes nobody with it.

What holds, and why:

- A unit that was handed over runs to its end whatever becomes of the task that asked, which waits
  for nothing but a future. A cancelled request may therefore be stored; the client's id makes
  asking again harmless.
- A failure inside a unit rolls back its savepoint alone. An error can also end the whole
  transaction (a full disk does): after each failure the writer looks whether its transaction
  still stands, and if not, everything is rolled back and each unit is run again by itself.
- No unit is answered, no event announced and no `after_commit` callback called before COMMIT has
  returned. If COMMIT fails, the outcome is unknown: each caller gets a StoreError and may ask again.
- After COMMIT, in this order: events are announced, callbacks are called, callers are answered. A
  callback therefore runs before any later unit of its conversation is answered. An announcement or
  a callback that raises is logged, and keeps no other from being made and no caller waiting.
- Whatever a unit or a driver raises is caught here: it belongs to whoever handed the unit over,
  and the thread must outlive it.
- Waiting for a foreign lock ends 500 ms after the unit was handed over, retries included.
- What keeps the writer from writing is its `trouble`, told as the server's health. While there is
  any and nobody writes, the writer tries for itself every second whether a commit reaches the disk
  again: nobody has to risk a message to find out that there is room. A commit of units that changed
  nothing would need no disk, so in trouble every commit is given something to write.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Final

import structlog

from talekeeper.clock import Millis
from talekeeper.database.seam import DriverConnection, EngineSeam
from talekeeper.database.units import Writer, WriteUnit
from talekeeper.domain.events import Announced
from talekeeper.errors import DatabaseDamaged, StoreBusy, StoreError, StoreUnavailable, trail

log = structlog.get_logger(__name__)

BATCH: Final = 256
"""Units in one commit at the most."""
QUEUE: Final = 2_000
"""Units that may wait for one writer; one more is refused at once."""
PATIENCE: Final = 0.5
"""Seconds a unit may wait for a lock that others hold (NFR-001)."""
_FIRST_PAUSE: Final = 0.02
_IDLE: Final = 2.0
_PROBE: Final = 1.0
"""Seconds after which a writer in trouble tries again by itself."""

Announce = Callable[[Sequence[Announced]], None]


@dataclass(eq=False, slots=True)
class _Waiting:
    """A unit in the queue, whoever waits for it, and what came of it."""

    unit: WriteUnit[Any]
    future: "asyncio.Future[Any]"
    conversation_id: str | None
    deadline: float
    result: Any = None
    error: BaseException | None = None
    recorded: list[Announced] = field(default_factory=list[Announced])
    callbacks: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]])
    reruns: int = 0

    def forget_consequences(self) -> None:
        """The unit's transaction is gone: nothing of it is announced, and no callback called."""
        self.recorded, self.callbacks = [], []

    @property
    def is_settled(self) -> bool:
        return self.error is not None


@dataclass(slots=True)
class WriterCounts:
    """What one writer has done since it started."""

    commits: int = 0
    units: int = 0


class WriterThread:
    """One connection that writes, and the thread that owns it."""

    def __init__(
        self,
        seam: EngineSeam,
        *,
        loop: asyncio.AbstractEventLoop,
        announce: Announce,
        now: Callable[[], Millis],
        name: str,
    ) -> None:
        self._seam = seam
        self._loop = loop
        self._announce = announce
        self._now = now
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._connection: DriverConnection | None = None
        self._cursor: Any = None
        self._is_closing = False
        self.counts = WriterCounts()
        self.trouble: StoreError | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Connect, raising what stands in the way, and begin to serve."""
        self._connected()
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive() and not self._is_closing

    @property
    def waiting(self) -> int:
        """Units that no commit has taken up."""
        return self._queue.qsize()

    def submit(self, unit: WriteUnit[Any], *, conversation_id: str | None) -> "asyncio.Future[Any]":
        """Hand `unit` over. The future is done when it is on disk, or has failed."""
        if self._is_closing:
            raise StoreUnavailable("Talekeeper is closing. Try again when it is back.")
        if self._queue.qsize() >= QUEUE:
            raise StoreBusy("Too much is waiting to be written. Try again in a moment.")
        future: asyncio.Future[Any] = self._loop.create_future()
        future.add_done_callback(_consume_error)
        self._queue.put(_Waiting(unit, future, conversation_id, time.monotonic() + PATIENCE))
        return future

    def close(self) -> None:
        """Everything handed over is answered; the thread is gone and its connection closed."""
        self._is_closing = True
        self._queue.put(None)
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            self._serve()
        except BaseException as error:  # noqa: BLE001 - whatever ends the thread, no caller may hang
            self._is_closing = True
            log.critical("store.writer_died", error=type(error).__name__, at=trail(error))
            while left := self._batch or self._drain()[0]:
                for waiting in left:
                    waiting.forget_consequences()
                    waiting.error = StoreUnavailable("Talekeeper does not write any more.")
                self._answer(left)
                self._batch = []
            self._disconnect()

    def _serve(self) -> None:
        is_tidy = True
        while True:
            patience = None if is_tidy else _IDLE
            try:
                first = self._queue.get(timeout=_PROBE if self._can_recover else patience)
            except Empty:
                if self._can_recover:
                    self._probe()
                else:
                    is_tidy = self._tidy(idle=True)
                continue
            if first is None:
                break
            self._batch, is_last = self._drain(first)
            self._commit_batch(self._batch)
            self._answer(self._batch)
            self._batch = []
            self._tidy(idle=False)
            is_tidy = False
            if is_last:
                break
        self._disconnect()

    def _drain(self, *first: _Waiting) -> tuple[list[_Waiting], bool]:
        """The next units, `first` among them, and whether no other will follow."""
        batch = [*first]
        while len(batch) < BATCH:
            try:
                waiting = self._queue.get_nowait()
            except Empty:
                break
            if waiting is None:
                return batch, True
            batch.append(waiting)
        return batch, False

    def _commit_batch(self, batch: list[_Waiting]) -> None:
        """Every item of `batch` has its result on disk, or an error, when this returns."""
        if self._try_batch(batch):
            return
        for waiting in batch:
            while not waiting.is_settled and not self._try_batch([waiting]):
                pass

    def _try_batch(self, batch: list[_Waiting]) -> bool:
        """One transaction for `batch`. False: nothing is stored, and each must run by itself."""
        alone = len(batch) == 1
        for waiting in batch:
            waiting.forget_consequences()
        try:
            cursor = self._connected()
            if not self._begin(cursor, batch):
                return True
        except Exception as error:  # noqa: BLE001
            self._fail(batch, error)
            return True
        for waiting in batch:
            if waiting.is_settled:
                continue
            tx = Writer(cursor, self._seam.name, now=self._now)
            try:
                if not alone:
                    cursor.execute("SAVEPOINT unit")
                waiting.result = waiting.unit(tx)
                if not alone:
                    cursor.execute("RELEASE unit")
                waiting.recorded, waiting.callbacks = tx.recorded, tx.callbacks
            except Exception as error:  # noqa: BLE001
                if alone or not self._seam.transaction_stands(cursor.connection):
                    self._roll_back(cursor)
                    return self._give_up(waiting, error) if alone else False
                try:
                    cursor.execute("ROLLBACK TO unit")
                    cursor.execute("RELEASE unit")
                except Exception:  # noqa: BLE001
                    self._roll_back(cursor)
                    return False
                if self._seam.may_rerun(error):
                    self._roll_back(cursor)
                    return False
                waiting.error = self._typed(error)
        try:
            if self._can_recover:
                self._seam.touch(cursor)
            cursor.execute("COMMIT")
        except Exception as error:  # noqa: BLE001
            self._roll_back(cursor)
            if not alone and self._seam.may_rerun(error):
                return False
            self._fail(batch, error)
            return True
        self.counts.commits += 1
        self.counts.units += len(batch)
        if self._can_recover:
            self._recover()
        return True

    def _begin(self, cursor: Any, batch: list[_Waiting]) -> bool:
        """A transaction stands; False when everybody's patience ran out before."""
        ids = {waiting.conversation_id for waiting in batch if waiting.conversation_id}
        pause = _FIRST_PAUSE
        while True:
            try:
                self._seam.begin_write(cursor, conversation_ids=ids)
                return True
            except Exception as error:
                self._roll_back(cursor)
                typed = self._seam.store_error(error)
                if not isinstance(typed, StoreBusy):
                    raise
                now = time.monotonic()
                late = [w for w in batch if not w.is_settled and now >= w.deadline]
                for waiting in late:
                    waiting.error = typed
                if late:
                    self._suffer(typed)
                    self._answer(late)  # the others may have longer to wait
                left = [w.deadline for w in batch if not w.is_settled]
                if not left:
                    return False
            time.sleep(max(0.0, min(pause, min(left) - now)))
            pause *= 2

    def _give_up(self, waiting: _Waiting, error: Exception) -> bool:
        """Whether `waiting` is settled by `error`; False when it may run again."""
        if self._seam.may_rerun(error) and waiting.reruns < 3:
            waiting.reruns += 1
            time.sleep(_FIRST_PAUSE * waiting.reruns)
            return False
        self._fail([waiting], error)
        return True

    def _fail(self, batch: list[_Waiting], error: Exception) -> None:
        typed = self._typed(error)
        if isinstance(typed, StoreError):
            self._suffer(typed)
        if self._seam.is_connection_lost(error):
            self._disconnect()
        for waiting in batch:
            if not waiting.is_settled:
                waiting.error = typed
            waiting.forget_consequences()

    def _suffer(self, trouble: StoreError) -> None:
        if isinstance(self.trouble, DatabaseDamaged):
            return  # it is no better for a page that could still be written
        if self.trouble is None or self.trouble.code != trouble.code:
            log.warning("store.in_trouble", code=trouble.code)
        self.trouble = trouble

    @property
    def _can_recover(self) -> bool:
        return self.trouble is not None and not isinstance(self.trouble, DatabaseDamaged)

    def _recover(self) -> None:
        log.info("store.out_of_trouble", code=self.trouble.code if self.trouble else None)
        self.trouble = None

    def _probe(self) -> None:
        """Whether a commit reaches the disk again, tried without anybody's message."""
        try:
            cursor = self._connected()
        except Exception as error:  # noqa: BLE001
            self._fail([], error)
            return
        try:
            self._seam.begin_write(cursor, conversation_ids=())
            self._seam.touch(cursor)
            cursor.execute("COMMIT")
        except Exception as error:  # noqa: BLE001
            self._roll_back(cursor)
            self._fail([], error)
        else:
            self._recover()

    def _typed(self, error: Exception) -> Exception:
        typed = self._seam.store_error(error)
        if typed is None:
            return error
        typed.__cause__ = error
        return typed

    def _answer(self, batch: list[_Waiting]) -> None:
        try:
            self._loop.call_soon_threadsafe(self._settle, batch)
        except RuntimeError:
            log.warning("store.loop_closed", units=len(batch))

    def _settle(self, batch: list[_Waiting]) -> None:
        # A caller that has its answer may count on followers having been told.
        for waiting in batch:
            if waiting.recorded:
                _attempt(partial(self._announce, waiting.recorded), "store.announcement_failed")
        for waiting in batch:
            for callback in waiting.callbacks:
                _attempt(callback, "store.callback_failed")
        for waiting in batch:
            if waiting.future.done():
                continue
            if waiting.error is not None:
                waiting.future.set_exception(waiting.error)
            else:
                waiting.future.set_result(waiting.result)

    def _connected(self) -> Any:
        """The connection's one cursor; see the readers'."""
        if self._connection is None:
            self._connection = self._seam.connect_writer()
            self._cursor = self._connection.cursor()
        return self._cursor

    def _roll_back(self, cursor: Any) -> None:
        try:
            cursor.execute("ROLLBACK")
        except Exception as error:  # noqa: BLE001
            # "No transaction is active" where the engine had ended it by itself.
            if self._seam.is_connection_lost(error):
                self._disconnect()

    def _tidy(self, *, idle: bool) -> bool:
        """Whether nothing is left to tidy; what failed is not tried again until the next write."""
        if self._connection is None:
            return True
        try:
            return self._seam.tidy(self._cursor, idle=idle)
        except Exception as error:  # noqa: BLE001
            log.warning("store.tidy_failed", error=type(error).__name__)
            if self._seam.is_connection_lost(error):
                self._disconnect()
            return True

    def _disconnect(self) -> None:
        connection, self._connection, self._cursor = self._connection, None, None
        if connection is not None:
            try:
                connection.close()
            except Exception as error:  # noqa: BLE001
                log.warning("store.close_failed", error=type(error).__name__)


def _attempt(act: Callable[[], None], failed: str) -> None:
    """Call `act`; what it raises is logged as the event `failed`."""
    try:
        act()
    except Exception as error:  # noqa: BLE001 - the units of a whole batch are still to be answered
        log.error(failed, error=type(error).__name__, at=trail(error))


def _consume_error(future: "asyncio.Future[Any]") -> None:
    """A unit whose asker has gone may fail without anybody left to hear of it."""
    if not future.cancelled():
        future.exception()
