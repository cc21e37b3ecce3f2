"""The server's side of a connection: uvicorn's own, bounded while a request's head comes in.

The application sees a request only when its head is whole, so whoever sends an endless head, or a
byte a minute, must be dropped here.
"""

from asyncio import TimerHandle, Transport
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD: Final = 64 * 1024
"""Bytes of a request's head that are read at all; `api/access.py` takes much less."""
HEAD_SECONDS: Final = 30.0


class BoundedProtocol(HttpToolsProtocol):
    """Drops a connection whose request head is too long, or too long in coming."""

    _head: int = 0
    _is_in_head: bool = True
    _patience: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_patience()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_in_head:
            self._head += len(data)
        super().data_received(data)
        if self._is_in_head and self._head > MAX_HEAD and not self.transport.is_closing():
            self.send_400_response("The headers are too large.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if not self._is_in_head:
            self._head = 0
            self._await_head()

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self._head = 0
        self._end_patience()
        super().on_headers_complete()

    def _await_head(self) -> None:
        self._is_in_head = True
        self._end_patience()
        self._patience = self.loop.call_later(HEAD_SECONDS, self._drop)

    def _end_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _drop(self) -> None:
        transport: Any = self.transport
        if not transport.is_closing():
            transport.close()
