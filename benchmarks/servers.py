"""Real servers to measure: `talekeeper serve` as a process of its own, on cores of its own."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from benchmarks.rulers import Wire
from talekeeper.torture.serving import UNLIMITED

TOKEN: Final = "a-token-to-measure-with"  # noqa: S105
_ADDRESS: Final = re.compile(r"https?://[^/\s]+:(\d+)/login\S*")


@dataclass(slots=True)
class Server:
    """One data folder, and the process that serves it, if any."""

    folder: Path
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    core: int | None = None
    port: int = 0
    login: str = ""
    process: "subprocess.Popen[str] | None" = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def database(self) -> Path:
        return self.data / "talekeeper.db"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> float:
        """It answers; the seconds that it took."""
        pinned = [] if self.core is None else ["taskset", "-c", str(self.core)]
        began = time.perf_counter()
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "server.log").open("a") as log:
            self.process = subprocess.Popen(
                [*pinned, sys.executable, "-m", "talekeeper", "serve"],
                env={
                    **_environment(),
                    "TALEKEEPER_DATA_DIR": str(self.data),
                    "TALEKEEPER_KEY_FILE": str(self.folder / "config" / "key"),
                    "TALEKEEPER_PORT": "0",
                    "TALEKEEPER_TOKEN": TOKEN,
                    "TALEKEEPER_PROVIDER": "scripted",
                    "TALEKEEPER_TITLES": "false",
                    "TALEKEEPER_OPEN_BROWSER": "false",
                    "TALEKEEPER_LOG_LEVEL": "warning",
                    **UNLIMITED,
                    **self.env,
                },
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := _ADDRESS.search(line):
                self.port, self.login = int(found[1]), found[0]
            if "Ctrl-C" in line:
                return time.perf_counter() - began
        self.process.wait()
        raise RuntimeError((self.folder / "server.log").read_text()[-2000:])

    def wire(self) -> Wire:
        return Wire(self.port, TOKEN)

    def rss(self) -> int:
        return psutil.Process(self.pid).memory_info().rss

    def cpu(self) -> float:
        """Seconds of processor time that it has used."""
        times = psutil.Process(self.pid).cpu_times()
        return times.user + times.system

    def kill(self) -> None:
        """Gone, as if its power had been cut."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        process = self.process
        if process is None:
            return
        process.send_signal(how)
        process.wait(30)
        if process.stdout is not None:
            process.stdout.close()
        self.process = None


def _environment() -> dict[str, str]:
    """What is around us, without settings, and with what Python compiles kept: as people have it."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("TALEKEEPER_")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return kept


@contextmanager
def served(
    folder: Path, env: Mapping[str, str] | None = None, *, core: int | None = None
) -> Generator[Server]:
    """A server in `folder`, gone when the block is left."""
    server = Server(folder, env or {}, core if shutil.which("taskset") else None)
    server.start()
    try:
        yield server
    finally:
        server.kill()
