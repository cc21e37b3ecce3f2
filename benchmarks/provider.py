"""A provider with nothing behind it: speaks the OpenAI wire, a token whenever one is due.

    python -m benchmarks.provider

The last message orders: `tokens=400 ms=20` is 400 tokens, one every 20 ms. Each token bears the
moment at which it was written, so whoever hears it knows how late it came. It has one model, `m`.
"""

import asyncio
import re
import time
from typing import Final

import uvloop

_ORDER: Final = re.compile(rb"tokens=(\d+) ms=(\d+)")
_LENGTH: Final = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)
_MODELS: Final = b'{"object":"list","data":[{"id":"m","object":"model","owned_by":"nobody"}]}'
_LISTED: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
    % (len(_MODELS), _MODELS)
)
_END: Final = (
    b'data: {"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,'
    b'"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
)


def token() -> bytes:
    """An event with one token, which says when it was written."""
    return (
        b'data: {"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,'
        b'"delta":{"content":"t%d "},"finish_reason":null}]}\n\n' % time.monotonic_ns()
    )


class _Answering(asyncio.Protocol):
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._data = b""
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, found, body = self._data.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not found or (length is not None and len(body) < int(length[1])):
            return
        self._data = b""
        assert self._transport is not None
        if head.startswith(b"GET "):
            self._transport.write(_LISTED)
            return
        # The last one, found from the end: looking through a long history takes milliseconds.
        order = _ORDER.match(body, max(0, body.rfind(b"tokens=")))
        count, pace = (int(order[1]), int(order[2]) / 1000) if order else (1, 0.0)
        self._transport.write(_HEAD)
        self._tell(count, pace, self._loop.time())

    def _tell(self, left: int, pace: float, due: float) -> None:
        assert self._transport is not None
        if pace == 0:
            self._chunk(b"".join(token() for _ in range(left)) + _END)
            self._transport.write(b"0\r\n\r\n")
            return
        self._chunk(token())
        if left <= 1:
            self._chunk(_END)
            self._transport.write(b"0\r\n\r\n")
            return
        due += pace
        self._timer = self._loop.call_at(due, self._tell, left - 1, pace, due)

    def _chunk(self, body: bytes) -> None:
        assert self._transport is not None
        self._transport.write(b"%x\r\n%b\r\n" % (len(body), body))


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(
        _Answering, "127.0.0.1", 0, backlog=2048
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
