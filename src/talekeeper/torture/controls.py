"""Servers that are wrong on purpose: python -m talekeeper.torture.controls NAME serve.

`early_acks` answers before it commits. `normal_sync` commits without a flush. `deaf_to_errors`
acknowledges what the disk refused. `patient` waits ten seconds for a foreign lock. `no_epoch` writes
a reply's end although its generation is not the running one any more. `deaf_to_lapses` loses every
third batch of another process, and looks into the store neither for a lapse nor for a gap.
"""

import asyncio
import runpy
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from talekeeper.database import writing
from talekeeper.database.sqlite import Sqlite
from talekeeper.database.units import Writer, WriteUnit
from talekeeper.database.writing import WriterThread
from talekeeper.errors import StoreError
from talekeeper.generation import checkpointing, running
from talekeeper.store import generations

GAP: Final = 0.03
"""Seconds between a control's answer and its commit."""

_submit: Final = WriterThread.submit
_connect: Final = Sqlite.connect_writer
_end_generation: Final = generations.end_generation
_add_chunk: Final = generations.add_chunk


def _early_acks() -> None:
    def submit(
        self: WriterThread, unit: WriteUnit[Any], *, conversation_id: str | None
    ) -> "asyncio.Future[Any]":
        loop = asyncio.get_running_loop()
        early: asyncio.Future[Any] = loop.create_future()

        def settle(result: Any) -> None:
            if not early.done():
                early.set_result(result)

        def answering(tx: Writer) -> Any:
            result = unit(tx)
            loop.call_soon_threadsafe(settle, result)
            time.sleep(GAP)
            return result

        def fail(real: "asyncio.Future[Any]") -> None:
            error = None if real.cancelled() else real.exception()
            if error is not None and not early.done():
                early.set_exception(error)

        _submit(self, answering, conversation_id=conversation_id).add_done_callback(fail)
        return early

    setattr(WriterThread, "submit", submit)  # noqa: B010


def _normal_sync() -> None:
    def connect_writer(self: Sqlite) -> Any:
        connection = _connect(self)
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    setattr(Sqlite, "connect_writer", connect_writer)  # noqa: B010


def _deaf_to_errors() -> None:
    def submit(
        self: WriterThread, unit: WriteUnit[Any], *, conversation_id: str | None
    ) -> "asyncio.Future[Any]":
        results: list[Any] = []

        def noting(tx: Writer) -> Any:
            results.append(unit(tx))
            return results[-1]

        async def answered() -> Any:
            try:
                return await _submit(self, noting, conversation_id=conversation_id)
            except StoreError:
                if not results:
                    raise
                return results[-1]

        return asyncio.ensure_future(answered())

    setattr(WriterThread, "submit", submit)  # noqa: B010


def _patient() -> None:
    setattr(writing, "PATIENCE", 10.0)  # noqa: B010


def _no_epoch() -> None:
    def end_generation(*args: Any, **kwargs: Any) -> bool:
        _end_generation(*args, **kwargs)
        return True

    def add_chunk(*args: Any, **kwargs: Any) -> bool:
        _add_chunk(*args, **kwargs)
        return True

    setattr(running, "end_generation", end_generation)  # noqa: B010
    setattr(checkpointing, "add_chunk", add_chunk)  # noqa: B010


def _deaf_to_lapses() -> None:
    # Its libraries are slow to import, and no other control needs them.
    from talekeeper.conversations import following
    from talekeeper.live.redis import RedisHub

    hear: Callable[[RedisHub, dict[bytes, bytes]], None] = getattr(RedisHub, "_hear")  # noqa: B009

    def hear_some(self: RedisHub, fields: dict[bytes, bytes]) -> None:
        if int(fields[b"n"]) % 3:
            hear(self, fields)

    def ignore(*_: object) -> bool:
        return False

    def grown(state: Any, delta: Any) -> list[Any]:
        state.place = following.Place(state.place.seq, delta.generation_id, delta.end)
        return [following.Grew(state.place, delta, False)]

    setattr(RedisHub, "_hear", hear_some)  # noqa: B010
    setattr(RedisHub, "lapse", ignore)  # noqa: B010
    setattr(following, "_leaves_gap", ignore)  # noqa: B010
    setattr(following, "_grown", grown)  # noqa: B010


CONTROLS: Final[dict[str, Callable[[], None]]] = {
    "early_acks": _early_acks,
    "normal_sync": _normal_sync,
    "deaf_to_errors": _deaf_to_errors,
    "patient": _patient,
    "no_epoch": _no_epoch,
    "deaf_to_lapses": _deaf_to_lapses,
}


def command(name: str) -> tuple[str, ...]:
    """What starts that control instead of `talekeeper serve`."""
    assert name in CONTROLS
    return (sys.executable, "-m", "talekeeper.torture.controls", name, "serve")


if __name__ == "__main__":
    CONTROLS[sys.argv.pop(1)]()
    runpy.run_module("talekeeper", run_name="__main__", alter_sys=True)
