"""Whatever a model's server sends, cut however and whenever, a reply is whole or the error says why.

R13. Where the other tests know each fault, this one rolls dice: answers that are good, spoiled in
their bytes, framed wrongly, delivered in pieces around the moment when patience ends, and left by
a close, a reset or silence.
"""

import asyncio
import gc
import random
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from tests.providers.anthropic_server import AnthropicServer
from tests.providers.faulty_server import FaultyServer, pieces
from tests.providers.google_server import GoogleServer
from tests.providers.hearing import KEY, a_request, heard

from talekeeper.domain.replies import Finished
from talekeeper.providers.anthropic import Anthropic
from talekeeper.providers.google import Google
from talekeeper.providers.openai_compatible import OpenAICompatible

REPLIES = 320
AT_ONCE = 20
STALL = 0.02
"""Seconds, and twice as long for the first token: pauses are around both."""
PAUSES = (0, 0, 0.001, *(long + odd for long in (STALL, 2 * STALL) for odd in (-0.001, 0, 0.001)))
BUSY = (STALL / 4, STALL, 2 * STALL)
"""Seconds for which the loop is at something else."""

WIRES = [
    (FaultyServer, OpenAICompatible),
    (AnthropicServer, Anthropic),
    (GoogleServer, Google),
]
LOOPS = [False, True] if sys.platform != "win32" else [False]
"""Whether the loop is the server's or plain asyncio's, as it may be under the Python API."""
VALUES = [
    *(b"null", b"[]", b"{}", b'"x"', b"7", b"-1", b"1e999", b"NaN", b"true", b"[[[]]]"),
    *(b'"\\ud83d"', b"", b"\xff", b"\xed\xa0\x80", b"\x00", b"9" * 30, b'{"a":', b'{"message":7}'),
]
LINES = [
    *(b"\n\n", b"\r\n", b": alive\n\n", b"event: odd\n", b"data: [DONE]\n\n", b"data:\n\n"),
    b"id: 7\n",
]
WRONG_SIZES = [b"zz\r\n", b"\x00\x01", b"-5\r\n", b"f" * 18 + b"\r\n"]


class Dice(random.Random):
    """What a server does next."""

    def spoil(self, body: bytes) -> bytes:
        """The bytes, or what is left of them."""
        for _ in range(self.choice([0, 0, 0, 1, 1, 2, 5])):
            at = self.randrange(len(body) + 1)
            until = at + self.choice([1, 3, 20, 200])
            end = min(body.find(b, at + 1) % (len(body) + 1) for b in (b",", b"}"))
            body = self.choice(
                [
                    body[:at] + body[until:],
                    body[:until] + body[at:],
                    body[:at] + self.randbytes(1) + body[at + 1 :],
                    body[:at] + self.choice(VALUES) + body[at:],
                    body[:at] + self.choice(LINES) + body[at:],
                    body[: body.find(b":", at) + 1] + self.choice(VALUES) + body[end:],
                ]
            )
        return body

    def reply(self, wire: FaultyServer) -> bytes:
        """The body of an answer, most of it as the wire's documentation says."""
        said = [wire.opening(), *(wire.piece(text) for text in pieces()[: self.choice([1, 5, 99])])]
        if self.random() < 0.3:
            said.insert(1, wire.thought("Hm."))
        if self.random() < 0.7:
            said.append(wire.ending(usage=self.random() < 0.7, done=self.random() < 0.7))
        return self.spoil(b"".join(said))

    def answer(self, wire: FaultyServer) -> bytes:
        """Head and body, framed somehow."""
        body = self.reply(wire)
        status = self.choice(["200 OK"] * 8 + ["400 Bad", "429 Later", "500 Broken"])
        kind = self.choice(["text/event-stream", "application/json", "text/html"])
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n".encode()
        if self.random() < 0.05:
            head = self.spoil(head)
        framing = self.choice(["chunked", "chunked", "length", "close"])
        if framing == "close":
            return head + b"Connection: close\r\n\r\n" + body
        if framing == "length":
            length = max(0, len(body) + self.choice([0, 0, 0, 5, -5]))
            return head + b"Content-Length: %d\r\n\r\n" % length + body
        chunks: list[bytes] = []
        while body:
            size = self.choice([1, 7, 50, 500, 5000])
            chunk, body = body[:size], body[size:]
            chunks.append(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        if self.random() < 0.8:
            chunks.append(b"0\r\n\r\n")
        if self.random() < 0.1:
            chunks.insert(self.randrange(len(chunks) + 1), self.choice(WRONG_SIZES))
        return head + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(chunks)

    def segments(self, answer: bytes) -> list[bytes]:
        """The answer as it is sent, a pause after each; not always all of it."""
        cuts = sorted(self.randrange(len(answer)) for _ in range(self.choice([0, 0, 0, 1, 3, 10])))
        ends = [*cuts, len(answer)]
        if self.random() < 0.2:
            del ends[self.randrange(len(ends)) :]
        return [answer[start:end] for start, end in zip([0, *ends], ends, strict=False)]


async def _serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, dice: Dice, wire: FaultyServer
) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
            for segment in dice.segments(dice.answer(wire)):
                writer.write(segment)
                await writer.drain()
                await asyncio.sleep(dice.choice(PAUSES))
            farewell = dice.choice(["close", "reset", "silence", "next"])
            if farewell == "silence":
                await reader.read()
            if farewell == "reset":
                at_once = struct.pack("ii", 1, 0)
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
                writer.transport.abort()
            if farewell != "next":
                return
    except (OSError, RuntimeError, AttributeError, asyncio.IncompleteReadError):
        pass  # the client has gone, and its socket with it
    finally:
        writer.close()


async def _chaos(dice: Dice, wire: FaultyServer, adapter: Callable[..., Any]) -> Counter[str]:
    """How the replies ended. Every one has, and nothing was left behind that the loop tells of."""
    ended: Counter[str] = Counter()
    complaints: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    handler = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, told: complaints.append(told))
    server = await asyncio.start_server(
        lambda reader, writer: _serve(reader, writer, dice, wire), "127.0.0.1", 0
    )
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    # Every other reply is asked for with patience enough for a busy machine.
    providers = [
        adapter(url, api_key=KEY, stall_seconds=stall, first_token_seconds=2 * stall)
        for stall in (STALL, 10 * STALL)
    ]

    async def ask() -> None:
        for turn in range(REPLIES // AT_ONCE):
            provider = providers[turn % 2]
            async with asyncio.timeout(30):
                parts, error = await heard(provider, a_request())
            assert (error is None) == (parts != [] and isinstance(parts[-1], Finished))
            ended[error.code if error else "finished"] += 1
            if dice.random() < 0.05:
                time.sleep(dice.choice(BUSY))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(ask())
    finally:
        for provider in providers:
            await provider.aclose()
        server.close()
        await server.wait_closed()
        gc.collect()
        await asyncio.sleep(0)
        loop.set_exception_handler(handler)
    assert complaints == []
    return ended


@pytest.mark.req("R13")
@pytest.mark.parametrize(
    "anyio_backend",
    [("asyncio", {"use_uvloop": use_uvloop}) for use_uvloop in LOOPS],
    ids=[f"uvloop={use_uvloop}" for use_uvloop in LOOPS],
)
@pytest.mark.parametrize(("wire", "adapter"), WIRES, ids=[wire.__name__ for wire, _ in WIRES])
async def test_a_reply_ends_whole_or_with_an_error_of_its_providers(
    wire: type[FaultyServer], adapter: Callable[..., Any]
):
    seed = random.randrange(1 << 32)
    ended = await _chaos(Dice(seed), wire(), adapter)
    print(f"Dice({seed}): {ended}")
    assert ended.total() == REPLIES
    for ending in ("finished", "provider_stalled", "provider_stream_cut", "provider_sent_garbage"):
        assert ended[ending] > 0, ended
