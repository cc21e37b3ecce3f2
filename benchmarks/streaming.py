"""Streaming: G9, G10, G11 and G13, from a provider's socket through the server to followers."""

import asyncio
import json
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import psutil

from benchmarks.bench import Bench
from benchmarks.counting import system_calls
from benchmarks.figures import Bound, Figure, median, percentile
from benchmarks.rulers import compiled
from benchmarks.servers import TOKEN, Server, served

_TOKEN: Final = re.compile(rb"t(\d{9,}) ")
_SERVER_CORE: Final = 0
_OTHER_CORE: Final = 1


@dataclass
class Heard(asyncio.Protocol):
    """A connection that counts the tokens in what it is told, and how late each was."""

    request: bytes
    is_events: bool
    """Events of ours, in which only `delta` and `snapshot` hold tokens for the first time."""
    tokens: int = 0
    first: float = 0.0
    late: list[float] = field(default_factory=list[float])
    seen: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])
    """When how many characters were known, for ours."""
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    is_over: bool = False
    transport: Any = None
    _rest: bytes = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        self.opened.set()
        whole, found, rest = (self._rest + data).rpartition(b"\n")
        self._rest = rest
        if not found:
            return
        if self.is_events:
            # What is whole ends with an event's line; the others' lines hold no token anew.
            lines = [
                line
                for line in whole.split(b"\n")
                if line.startswith(b'data: {"conversation_id"') and b'"text"' in line
            ]
            if not lines:
                return
            whole = b"\n".join(lines)
        stamps = _TOKEN.findall(whole)
        if not stamps:
            return
        if self.is_events:
            end = re.findall(rb'"offset":(\d+),"text":"([^"]*)"', whole)[-1]
            self.seen.append((now / 1e9, int(end[0]) + len(end[1])))
        self.tokens += len(stamps)
        self.late.extend((now - int(stamp)) / 1e9 for stamp in stamps)
        if not self.first:
            self.first = now / 1e9
        self.heard.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_over = True
        self.opened.set()
        self.heard.set()


async def listen(port: int, request: bytes, *, is_events: bool) -> Heard:
    """A connection that has been answered."""
    loop = asyncio.get_running_loop()
    _, heard = await loop.create_connection(lambda: Heard(request, is_events), "127.0.0.1", port)
    return heard


async def follow(server: Server, conversation_id: str) -> Heard:
    """Follow one conversation; it stands when this returns."""
    request = (
        f"GET /api/conversations/{conversation_id}/events HTTP/1.1\r\nHost: 127.0.0.1:{server.port}"
        f"\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    )
    heard = await listen(server.port, request.encode(), is_events=True)
    await heard.opened.wait()
    return heard


def asked_directly(port: int, order: str) -> bytes:
    """What a client would send to the provider itself."""
    body = json.dumps(
        {"model": "m", "stream": True, "messages": [{"role": "user", "content": order}]}
    )
    return (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


@contextmanager
def provider() -> Generator[int]:
    """The port of a provider with nothing behind it, on the other core."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.provider"], stdout=subprocess.PIPE, text=True
    )
    _pin(process.pid)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def through(port: int) -> dict[str, str]:
    """Settings for a server that asks that provider."""
    return {
        "TALEKEEPER_PROVIDER": "openai",
        "TALEKEEPER_MODEL": "m",
        "TALEKEEPER_OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1",
        "TALEKEEPER_OPENAI_API_KEY": "none",
    }


def _pin(pid: int) -> None:
    if (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(pid, {_OTHER_CORE})


@contextmanager
def on_the_other_core() -> Generator[None]:
    """This process leaves the server's core alone."""
    before = os.sched_getaffinity(0)
    _pin(0)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _conversations(server: Server, count: int) -> list[str]:
    wire = server.wire()
    made = [
        json.loads(wire.ask("POST", "/api/conversations", b'{"title": "A tale"}')[1])["id"]
        for _ in range(count)
    ]
    wire.close()
    return made


def _say(wire: Any, conversation_id: str, order: str, **place: str) -> None:
    body = json.dumps({"id": str(uuid4()), "content": order, **place}).encode()
    status, said = wire.ask("POST", f"/api/conversations/{conversation_id}/messages", body)
    assert status == 201, said


async def first_token(bench: Bench) -> list[Figure]:
    """G9: how much later the first token comes than from the provider itself."""
    lengths = (10, 5_000 if bench.is_quick else 50_000)
    place, tales = await bench.copy_of(*lengths)
    turns = bench.count(150, 30)
    added: dict[int, list[float]] = {length: [] for length in lengths}
    direct: list[float] = []
    with provider() as port, served(place, through(port)) as server:
        wire = server.wire()
        followers = {n: await follow(server, t.id) for n, t in zip(lengths, tales, strict=True)}
        # Every turn goes under the same message, so that what is told to the model does not grow.
        leaves = {t.id: _newest(wire, t.id) for t in tales}
        for turn in range(turns + 3):
            began = time.monotonic()
            heard = await listen(port, asked_directly(port, "tokens=1 ms=0"), is_events=False)
            await heard.heard.wait()
            alone = heard.first - began
            heard.transport.close()
            for length, tale in zip(lengths, tales, strict=True):
                follower = followers[length]
                follower.heard.clear()
                follower.first = 0.0
                began = time.monotonic()
                await asyncio.to_thread(
                    _say, wire, tale.id, "tokens=1 ms=0", parent_id=leaves[tale.id]
                )
                await asyncio.wait_for(follower.heard.wait(), 20)
                took = follower.first - began
                if turn >= 3:  # the first calls import and connect
                    added[length].append(took - alone)
                await _until_idle(wire, tale.id)
            if turn >= 3:
                direct.append(alone)
        wire.close()
        for each in followers.values():
            each.transport.close()
    bench.forget(place)
    near, far = median(added[lengths[0]]), median(added[lengths[1]])
    return [
        Figure(
            "G9",
            "Time to the first token above the provider's own, the message being on disk",
            [
                Bound("at 10", near * 1e3, "ms", gate=5, goal=1, limit=0.4),
                Bound(f"at {lengths[1]:,} over at 10", far / near, "×", gate=1.3, goal=1.1),
            ],
            {
                "provider alone, ms": median(direct) * 1e3,
                f"ms at {lengths[1]:,}": far * 1e3,
                "p99 at 10, ms": percentile(added[lengths[0]], 0.99) * 1e3,
            },
        )
    ]


def _newest(wire: Any, conversation_id: str) -> str:
    page = json.loads(wire.ask("GET", f"/api/conversations/{conversation_id}/messages?limit=1")[1])
    return page["items"][-1]["id"]


async def _until_idle(wire: Any, conversation_id: str) -> None:
    while True:
        found = json.loads(wire.ask("GET", f"/api/conversations/{conversation_id}")[1])
        if found["generation_id"] is None:
            return
        await asyncio.sleep(0.002)


@dataclass(slots=True)
class Load:
    """Streams that run, each followed by one."""

    server: Server
    heard: list[Heard]

    @property
    def tokens(self) -> int:
        return sum(each.tokens for each in self.heard)

    def forget(self) -> None:
        """What was heard before does not count."""
        for each in self.heard:
            each.late.clear()


@asynccontextmanager
async def a_load(bench: Bench, count: int, order: str) -> AsyncGenerator[Load]:
    """So many replies grow through a server on one core, all begun."""
    place = bench.place("load")
    with (
        provider() as port,
        served(place, through(port), core=_SERVER_CORE) as server,
        on_the_other_core(),
    ):
        conversations = _conversations(server, count)
        heard = [await follow(server, each) for each in conversations]
        wire = server.wire()
        for each in conversations:
            await asyncio.to_thread(_say, wire, each, order)
        wire.close()
        for each in heard:
            await asyncio.wait_for(each.heard.wait(), 60)
        await asyncio.sleep(1.5)
        yield Load(server, heard)
        for each in heard:
            each.transport.close()
    bench.forget(place)


async def relaying(bench: Bench) -> list[Figure]:
    """G10: processor time a token against a relay in C, and system calls a token."""
    streams = bench.count(400, 100)
    pace, seconds = 50, bench.count(8, 4)
    order = f"tokens={int((seconds * 3 + 25) * 1000 / pace)} ms={pace}"
    async with a_load(bench, streams, order) as load:
        before, cpu = load.tokens, load.server.cpu()
        await asyncio.sleep(seconds)
        ours = (load.server.cpu() - cpu) / (load.tokens - before)
        before = load.tokens
        calls = await asyncio.to_thread(system_calls, load.server.pid, float(seconds) / 2)
        heard = load.tokens - before
    theirs = await _relayed(bench, streams, order, seconds)
    bounds: list[Bound] = []
    if theirs is not None:
        bounds.append(
            Bound("CPU over a relay in C", ours / theirs, "×", gate=8, goal=2.5, limit=2.1)
        )
    if calls is not None:
        bounds.append(Bound("system calls a token", calls / heard, "", gate=6, goal=3, limit=2.6))
    return [
        Figure(
            "G10",
            f"A relayed token, {streams} streams of {1000 // pace} a second, checkpoints on",
            bounds,
            {"µs of CPU": ours * 1e6, **({"C, µs": theirs * 1e6} if theirs else {})},
            note=("" if theirs else "No C compiler here: no relay to compare with. ")
            + ("" if calls is not None else "Neither perf nor strace here."),
        )
    ]


async def _relayed(bench: Bench, streams: int, order: str, seconds: int) -> float | None:
    place = bench.place("relay")
    with compiled(Path(__file__).with_name("relay.c"), place) as program, provider() as port:
        if program is None:
            return None
        process = subprocess.Popen([program, str(port)], stdout=subprocess.PIPE, text=True)
        if (os.cpu_count() or 1) > 1:
            os.sched_setaffinity(process.pid, {_SERVER_CORE})
        try:
            assert process.stdout is not None
            relay = int(process.stdout.readline())
            with on_the_other_core():
                request = asked_directly(relay, order)
                heard = [await listen(relay, request, is_events=False) for _ in range(streams)]
                for each in heard:
                    await asyncio.wait_for(each.heard.wait(), 60)
                await asyncio.sleep(1)
                before, cpu = sum(each.tokens for each in heard), _cpu(process.pid)
                await asyncio.sleep(seconds)
                tokens = sum(each.tokens for each in heard) - before
                used = _cpu(process.pid) - cpu
                for each in heard:
                    each.transport.close()
                await asyncio.sleep(0.1)
            return used / tokens
        finally:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()


def _cpu(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


async def one_core(bench: Bench) -> list[Figure]:
    """G11: two hundred streams of fifty tokens a second on one core: none dropped, none late."""
    streams, seconds = 200, bench.count(10, 5)
    order = f"tokens={(seconds + 25) * 50} ms=20"
    async with a_load(bench, streams, order) as load:
        load.forget()
        before, cpu, began = load.tokens, load.server.cpu(), time.monotonic()
        await asyncio.sleep(seconds)
        took = time.monotonic() - began
        tokens, used = load.tokens - before, load.server.cpu() - cpu
        dropped = sum(each.is_over for each in load.heard)
        late = [value for each in load.heard for value in each.late]
    return [
        Figure(
            "G11",
            f"{streams} streams of 50 tokens a second on one core",
            [
                Bound("dropped", dropped, "streams", gate=0, goal=0),
                Bound("late, p99", percentile(late, 0.99) * 1e3, "ms", 50, 25, 13),
                Bound("of the tokens due", tokens / (streams * 50 * took), "", 0.98, 1, 1, "more"),
            ],
            {
                "late, p50, ms": median(late) * 1e3,
                "tokens a second": tokens / took,
                "of the core": used / took,
                "µs of CPU a token": used / tokens * 1e6,
            },
        )
    ]


async def killed(bench: Bench) -> list[Figure]:
    """G13: what anybody had seen 250 ms before a kill is there after it."""
    rounds, streams = bench.count(14, 2), 40
    place = bench.place("killed")
    seen = lost = worst = 0
    with provider() as port:
        server = Server(place, through(port))
        try:
            for turn in range(rounds):
                server.start()
                conversations = _conversations(server, streams)
                heard = [await follow(server, each) for each in conversations]
                wire = server.wire()
                for each in conversations:
                    await asyncio.to_thread(_say, wire, each, "tokens=2000 ms=20")
                wire.close()
                await asyncio.sleep(1.0 + random.random())  # noqa: S311
                moment = time.monotonic()
                server.kill()
                for each in heard:
                    each.transport.abort()
                seen += sum(each.tokens for each in heard)
                server.start()
                wire = server.wire()
                for name, each in zip(conversations, heard, strict=True):
                    long_ago = [n for at, n in each.seen if at <= moment - 0.25]
                    page = json.loads(
                        wire.ask("GET", f"/api/conversations/{name}/messages?limit=2")[1]
                    )
                    kept = len(page["items"][-1]["content"])
                    missing = max(long_ago, default=0) - kept
                    lost += missing > 0
                    worst = max(worst, missing)
                wire.close()
                server.kill()
                bench.say(f"kill {turn + 1} of {rounds}: {seen:,} tokens seen, {lost} texts short")
        finally:
            server.kill()
    bench.forget(place)
    return [
        Figure(
            "G13",
            "Text seen longer than 250 ms before a kill -9 and not there after it",
            [Bound("texts cut short", lost, f"of {rounds * streams}", gate=0, goal=0, limit=0)],
            {"tokens seen": float(seen), "most characters missing": float(worst)},
        )
    ]
