"""Trouble: a disk that refuses to sync or is full, a lock that another holds.

While it lasts nobody gets an acknowledgement, everybody is told when to try again, what is stored
can be read, and the server says what is the matter. Once it is over the same process writes again by
itself, within seconds. Then it is killed, and what was acknowledged must be there.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from talekeeper.torture.controls import command
from talekeeper.torture.crowd import Crowd
from talekeeper.torture.judging import contents_of
from talekeeper.torture.killing import crowded
from talekeeper.torture.power import NoDisk, mounted
from talekeeper.torture.rigs import Place, Rig, Tally, Wrong, wrongs
from talekeeper.torture.serving import SERVE, Server, beside, entered, served
from talekeeper.torture.shim import Shim, no_compiler

SETTLED_SECONDS: Final = 0.3
"""After which what room a full disk still had in its files is taken."""
CHECKPOINTED_SECONDS: Final = 1.0
"""After which replies that grew during the trouble are on disk, too."""
_FILLED_BY: Final = (1 << 16, 1 << 12, 1)


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is done to a server, and what it must say and keep to."""

    code: str
    cause: AbstractContextManager[object]
    over_within: float
    lasts: float = 1.0
    state: str = "unavailable"
    refused_within: float = 5.0


async def troubled(tally: Tally, crowd: Crowd, trouble: Trouble) -> None:
    """The trouble came and went once, and whatever was wrong meanwhile is in `tally`."""
    await crowd.until_acked(10)
    before = crowd.refused[trouble.code]
    found: list[str] = []
    async with entered(trouble.cause):
        await asyncio.sleep(SETTLED_SECONDS)
        # An answer that was decided before may arrive at any time, on a busy machine much later:
        # only what is asked for from now on must be refused.
        began_at = time.monotonic()
        ends = began_at + trouble.lasts
        is_told = False
        slowest = 0.0
        while time.monotonic() < ends:
            began = time.monotonic()
            listed = await crowd.client.get("/api/conversations")
            slowest = max(slowest, time.monotonic() - began)
            if listed.status != 200:
                found.append(f"conversations could not be read: {listed.status}")
            health = (await crowd.client.get("/api/health")).json
            is_told |= health["state"] == trouble.state and any(
                reason["code"] == trouble.code for reason in health["reasons"]
            )
            await asyncio.sleep(0.05)
        if stored := crowd.stored_since(began_at):
            found.append(f"{stored} acknowledged while nothing could be stored")
        if crowd.refused[trouble.code] == before:
            found.append(f"nobody was refused with {trouble.code}")
        if not is_told:
            found.append(f"its health never told of {trouble.code}")
        if crowd.slowest_refusal > trouble.refused_within:
            found.append(f"it took {crowd.slowest_refusal:.2f} s to refuse")
    over = time.monotonic()
    await crowd.until_acked(1)
    took = time.monotonic() - over
    if took > trouble.over_within:
        found.append(f"it wrote again only after {took:.1f} s")
    tally.figures["writes_again_s"].append(round(took, 3))
    tally.figures["slowest_read_s"].append(round(slowest, 3))
    tally.rounds += 1
    tally.found += wrongs(found)


async def _suffered(
    place: Place,
    folder: Path,
    trouble: Callable[[Server], Trouble],
    *,
    serve: Sequence[str],
    env: Mapping[str, str] | None = None,
) -> Tally:
    """A server that had that trouble again and again, and was killed and judged afterwards."""
    tally = Tally(figures={"writes_again_s": [], "slowest_read_s": [], "refused": 0})
    async with served(folder, command=serve, env=env) as server:
        async with crowded(server, pause=0.01) as crowd:
            for _ in range(place.rounds):
                await troubled(tally, crowd, trouble(server))
            await asyncio.sleep(CHECKPOINTED_SECONDS)
            crowd.is_up.clear()
            await beside(server.kill)
            acked = list(crowd.acked)
            tally.acked = len(acked)
            tally.figures["refused"] = sum(crowd.refused.values())
            left = await beside(server.with_store, contents_of)
            tally.found += left.judged(acked, crowd.stories)
        if "Traceback" in server.log:
            tally.found.append(Wrong("wrong", "the log has a traceback"))
    return tally


async def _failing_sync(place: Place, serve: Sequence[str] = SERVE) -> Tally:
    shim = await beside(Shim, place.folder)

    def trouble(_server: Server) -> Trouble:
        return Trouble("sync_failed", shim.ordered(fail_sync=True), over_within=8.0)

    return await _suffered(place, place.fresh(), trouble, serve=serve, env=shim.environment)


async def _no_space(place: Place, serve: Sequence[str] = SERVE) -> Tally:
    shim = await beside(Shim, place.folder)

    def trouble(_server: Server) -> Trouble:
        return Trouble("store_full", shim.ordered(no_space=True), over_within=5.0)

    return await _suffered(place, place.fresh(), trouble, serve=serve, env=shim.environment)


async def _full_disk(place: Place, serve: Sequence[str] = SERVE) -> Tally:
    small = mounted(Path("tmpfs"), place.fresh("disk"), "size=24m,mode=0700", kind="tmpfs")
    async with entered(small) as disk:

        def trouble(_server: Server) -> Trouble:
            return Trouble("store_full", _filled(disk / "ballast"), over_within=5.0, lasts=2.0)

        return await _suffered(place, disk, trouble, serve=serve)


@contextmanager
def _filled(ballast: Path) -> Generator[None]:
    """The disk is full until the end of the block."""
    fill_up(ballast)
    try:
        yield
    finally:
        ballast.unlink()


def fill_up(ballast: Path) -> None:
    """Not a byte is free any more on that disk."""
    with ballast.open("ab", buffering=0) as file:
        for size in _FILLED_BY:
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                pass


_HOLDING: Final = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
connection.execute("ROLLBACK")
"""


@contextmanager
def write_lock_held(database: Path) -> Generator[None]:
    """Another process is in the middle of a write."""
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDING, str(database)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "held\n"
        yield
    finally:
        holder.kill()
        holder.wait()
        holder.stdin.close()
        holder.stdout.close()


async def _locked(place: Place, serve: Sequence[str] = SERVE) -> Tally:
    def trouble(server: Server) -> Trouble:
        return Trouble(
            "store_busy",
            write_lock_held(server.database),
            over_within=2.0,
            lasts=3.0,
            state="degraded",
            refused_within=1.5,
        )

    return await _suffered(place, place.fresh(), trouble, serve=serve)


def _no_small_disk() -> str | None:
    if sys.platform != "linux" or os.geteuid() != 0:
        return "mounting a small disk takes root on Linux"
    with tempfile.TemporaryDirectory(prefix="talekeeper-torture-") as folder:
        try:
            with mounted(Path("tmpfs"), Path(folder), "size=1m", kind="tmpfs"):
                return None
        except NoDisk as problem:
            return problem.message


RIGS = (
    Rig(
        name="fsync_eio",
        proves=("R3",),
        does="lets every sync of the database fail for a while",
        run=_failing_sync,
        control=partial(_failing_sync, serve=command("deaf_to_errors")),
        quick=2,
        long=100,
        obstacle=no_compiler,
        loses="lost",
    ),
    Rig(
        name="enospc",
        proves=("R4",),
        does="refuses every write to the database for want of space for a while",
        run=_no_space,
        control=partial(_no_space, serve=command("deaf_to_errors")),
        quick=2,
        long=100,
        obstacle=no_compiler,
        loses="lost",
    ),
    Rig(
        name="diskfull",
        proves=("R4", "NFR-010"),
        does="fills a small disk to the last byte, and makes room again",
        run=_full_disk,
        control=partial(_full_disk, serve=command("deaf_to_errors")),
        quick=1,
        long=50,
        obstacle=_no_small_disk,
        loses="lost",
    ),
    Rig(
        name="locked",
        proves=("R5", "NFR-001"),
        does="holds the database's write lock from another process for three seconds",
        run=_locked,
        control=partial(_locked, serve=command("patient")),
        quick=1,
        long=50,
    ),
)
