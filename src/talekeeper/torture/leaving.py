"""Leaving: servers that are told to go, freeze and wake again, and streams that are dropped."""

import asyncio
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from talekeeper.database.folder_lock import LOCK
from talekeeper.providers.scripted import scripted_text
from talekeeper.torture.asking import Story, until
from talekeeper.torture.controls import command
from talekeeper.torture.judging import contents_of
from talekeeper.torture.killing import crowded
from talekeeper.torture.rigs import Place, Rig, Tally, Wrong, wrongs
from talekeeper.torture.serving import SERVE, Server, beside, entered, served
from talekeeper.torture.trouble import write_lock_held

GONE_WITHIN: Final = 5.0
STREAMS: Final = 400
FROZEN_TOKENS: Final = 1_000
"""More than are said until the server is frozen, on a machine however slow."""
ROOM_FOR_RSS: Final = 40 << 20
"""Bytes that a server may keep of the memory that its streams took; allocators hold some back."""


async def _sigterm(place: Place, *, is_frozen: bool = False) -> Tally:
    """Told to go under senders and streams, it is gone in time, and nothing acknowledged with it.

    `is_frozen`, the control, is a server that does not hear.
    """
    tally = Tally(figures={"gone_in_s": []})
    async with served(place.fresh()) as server:
        for _ in range(place.rounds):
            async with crowded(server) as crowd:
                await crowd.until_acked(20)
                if is_frozen:
                    server.send_signal(signal.SIGSTOP)
                moment = time.monotonic()
                crowd.is_up.clear()
                server.send_signal(signal.SIGTERM)
                try:
                    code = await beside(server.wait, GONE_WITHIN)
                except subprocess.TimeoutExpired:
                    tally.found.append(Wrong("wrong", f"not gone within {GONE_WITHIN:g} s"))
                    server.send_signal(signal.SIGCONT)
                    code = await beside(server.wait, 20)
                tally.figures["gone_in_s"].append(round(time.monotonic() - moment, 3))
                if code != 0:
                    tally.found.append(Wrong("wrong", f"its exit code was {code}"))
                await asyncio.sleep(0.1)
                left = await beside(server.with_store, contents_of)
                tally.found += left.judged(crowd.acked, crowd.stories)
                if left.in_flight:
                    tally.found.append(Wrong("wrong", "a reply was left in flight"))
                tally.acked += crowd.acks
                tally.rounds += 1
                await beside(server.start)
    return tally


async def _freeze(place: Place, serve: Sequence[str] = SERVE) -> Tally:
    """A frozen server whose place another has taken wakes, and writes nothing to the reply it had.

    The folder's lock is taken from it by force, as no lock can be on a disk that two machines share;
    what is left to protect the reply is the generation's epoch. The control does not look at it.
    """
    tally = Tally()
    for _ in range(place.rounds):
        folder = place.fresh()
        async with served(folder, command=serve) as holder:
            async with holder.client() as client:
                conversation = await client.open()
                order = f"[[tokens {FROZEN_TOKENS}]] [[pace 5ms]]"
                sent = await client.say(conversation, order)
                reply = sent["reply"]["id"]
                story = Story()
                async with client.following(conversation, "0.-.0") as stream:
                    await stream.tell(story, partial(_is_long, story, reply))
                await _frozen_between_writes(holder)
                (holder.data_dir / LOCK).unlink()
                async with served(folder) as other, other.client() as here:
                    kept = await here.message(conversation, reply)
                    if kept["status"] != "interrupted":
                        tally.found.append(Wrong("wrong", f"it is {kept['status']}"))
                    if not scripted_text(FROZEN_TOKENS).startswith(kept["content"]):
                        tally.found.append(Wrong("lost", "the text is not what was said"))
                    after = await here.say(conversation, "Another one sends.", reply=False)
                    holder.send_signal(signal.SIGCONT)
                    await until(lambda: _has_ended(holder), seconds=30)
                    now = await here.message(conversation, reply)
                    if now != kept:
                        what = f"written by who had lost it: {now['status']}"
                        tally.found.append(Wrong("wrong", what))
                    there = await here.message(conversation, after["message"]["id"])
                    if there["content"] != "Another one sends.":
                        tally.found.append(Wrong("lost", "what the other one took"))
                tally.acked += 2
                tally.rounds += 1
            holder.end()
            found = await beside(holder.violations)
            tally.found += wrongs(found)
    return tally


async def _frozen_between_writes(server: Server) -> None:
    """The server is stopped, and not in the middle of a write: its lock would freeze everybody."""
    while True:
        server.send_signal(signal.SIGSTOP)
        await asyncio.sleep(0.02)
        try:
            async with entered(write_lock_held(server.database)):
                return
        except AssertionError:  # the lock could not be had
            server.send_signal(signal.SIGCONT)
            await asyncio.sleep(0.01)


def _is_long(story: Story, reply: str) -> bool:
    return story.length(reply) > 300


def _has_ended(server: Server) -> bool:
    return '"generation.ended"' in server.log


async def _sse_leak(place: Place, *, drops: bool = True) -> Tally:
    """Four hundred streams are opened and dropped; what they took is given back.

    Without `drops`, the control, they stay open.
    """
    tally = Tally(figures={"descriptors": [], "rss_mb": []})
    async with served(place.fresh()) as server:
        async with server.client() as client:
            conversation = await client.open()
            await beside(_streams, server, conversation, 20)  # what is made once is made
            await asyncio.sleep(0.5)
            files, memory = _held(server)
            for _ in range(place.rounds):
                opened = await beside(_streams, server, conversation, STREAMS, drops=drops)
                try:
                    await until(lambda: _held(server)[0] <= files + 2, seconds=8 if drops else 2)
                except TimeoutError:
                    held = _held(server)[0]
                    tally.found.append(Wrong("wrong", f"{held} descriptors, {files} at first"))
                for each in opened:
                    each.close()
                now_files, now_memory = _held(server)
                if now_memory > memory + ROOM_FOR_RSS:
                    grown = (now_memory - memory) >> 20
                    tally.found.append(Wrong("wrong", f"its memory grew by {grown} MB"))
                tally.figures["descriptors"].append(now_files - files)
                tally.figures["rss_mb"].append((now_memory - memory) >> 20)
                tally.rounds += 1
            await client.say(conversation, "Still here.", reply=False)
            tally.acked += 1
        found = await beside(_closed_violations, server)
        tally.found += wrongs(found)
    return tally


def _closed_violations(server: Server) -> list[str]:
    server.kill()
    return server.violations()


def _streams(
    server: Server, conversation: str, count: int, *, drops: bool = True
) -> list[socket.socket]:
    """So many streams were opened, and all but those returned dropped without a word."""
    head = (
        f"GET /api/events?follow={conversation} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
        f"Authorization: Bearer {server.token}\r\n\r\n"
    ).encode()
    opened: list[socket.socket] = []
    for _ in range(count):
        each = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        each.sendall(head)
        assert each.recv(64).startswith(b"HTTP/1.1 200")
        if drops:
            each.close()
        else:
            opened.append(each)
    return opened


def _held(server: Server) -> tuple[int, int]:
    """The server's open descriptors, and its resident bytes."""
    assert server.process is not None
    about = Path(f"/proc/{server.process.pid}")
    pages = int((about / "statm").read_text(encoding="utf-8").split()[1])
    return len(list((about / "fd").iterdir())), pages * 4096


def _no_proc() -> str | None:
    return None if sys.platform == "linux" else "descriptors and memory are read from /proc"


RIGS = (
    Rig(
        name="sigterm",
        proves=("R14",),
        does="tells the server to go under six senders and four streams",
        run=_sigterm,
        control=partial(_sigterm, is_frozen=True),
        quick=1,
        long=50,
    ),
    Rig(
        name="freeze",
        proves=("R11",),
        does="freezes a server, lets another take over, and wakes it",
        run=_freeze,
        control=partial(_freeze, serve=command("no_epoch")),
        quick=1,
        long=20,
    ),
    Rig(
        name="sse_leak",
        proves=("R15",),
        does=f"opens {STREAMS} event streams and drops them",
        run=_sse_leak,
        control=partial(_sse_leak, drops=False),
        quick=1,
        long=20,
        obstacle=_no_proc,
    ),
)
