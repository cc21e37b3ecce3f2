"""Whoever opens a connection and does not send a whole request head is dropped (S8, S9)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from talekeeper.cli import wire


async def hello(scope: Any, receive: Any, send: Any) -> None:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"6")]}
    )
    await send({"type": "http.response.body", "body": b"%06d" % len(body)})


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(wire, "HEAD_SECONDS", 0.3)
    config = uvicorn.Config(hello, log_config=None, lifespan="off")
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: wire.BoundedProtocol(config, state, {}), "127.0.0.1", 0
    )
    yield server.sockets[0].getsockname()[1]
    server.close()


async def answer_to(port: int, *pieces: bytes, pause: float = 0.0) -> bytes:
    """Everything that is answered until the server closes, or says nothing for a while."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        found = b""
        while piece := await asyncio.wait_for(reader.read(65536), 5):
            found += piece
        return found
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.req("S8")
@pytest.mark.parametrize("pieces", [[], [b"GET / HT"], [b"GET / HTTP/1.1\r\nHost: x\r\n"]])
async def test_a_head_that_does_not_come_ends_the_connection(port: int, pieces: list[bytes]):
    assert await answer_to(port, *pieces) == b""


@pytest.mark.req("S8")
async def test_a_head_that_does_not_end_is_refused(port: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(wire, "HEAD_SECONDS", 60)
    head = b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * (wire.MAX_HEAD + 1)
    answer = await answer_to(port, head)
    assert answer.startswith(b"HTTP/1.1 400") or answer == b""


async def test_a_long_body_right_behind_the_head_is_none_of_it(port: int):
    size = 3 * wire.MAX_HEAD
    head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    answer = await answer_to(port, head % size + b"x" * size)
    assert answer.endswith(b"%06d" % size)


async def test_a_body_may_take_longer_than_a_head(port: int):
    head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n"
    answer = await answer_to(port, head, b"a", b"b", pause=0.4)
    assert answer.endswith(b"000002")


async def test_several_requests_go_over_one_connection(port: int):
    one = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = await answer_to(port, one, one + last, pause=0.4)
    assert answer.count(b"HTTP/1.1 200") == 3
