"""Serving: `talekeeper serve` as a process of its own, to be killed, frozen and starved.

    async with served(folder) as server:                 # a data folder of its own, SQLite
        async with server.client() as client:            # bears the owner's token
            conversation = await client.open()
            sent = await client.say(conversation, "[[tokens 20]]")
            reply = await client.ended(sent)
            server.kill()
            server.start()

When a server is left, its process is gone, however the block ended.
"""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

import aiohttp

from talekeeper.database import Store
from talekeeper.keeper import opened_store
from talekeeper.settings import Settings, load_settings
from talekeeper.store.verifying import verify
from talekeeper.torture.asking import PATIENCE, Client

P = ParamSpec("P")
T = TypeVar("T")

TOKEN: Final = "a-token-from-the-settings"  # noqa: S105 - it opens nothing but what it tortures
SERVE: Final = (sys.executable, "-m", "talekeeper", "serve")

UNLIMITED: Final = {
    "TALEKEEPER_GENERATIONS_PER_MINUTE": "0",
    "TALEKEEPER_GENERATIONS_AT_ONCE": "0",
    "TALEKEEPER_LOGINS_PER_MINUTE": "0",
    "TALEKEEPER_SEARCHES_PER_MINUTE": "0",
    "TALEKEEPER_STREAMS_AT_ONCE": "0",
}
"""No account and no address is limited: what is tortured or measured is asked for more than a person
would ask for."""

_ADDRESS: Final = re.compile(r"https?://[^/\s]+:(\d+)/login")


class DidNotStart(Exception):
    """The server went before it was ready, and said why."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(f"exit code {code}: {said}")
        self.code = code
        self.said = said


class Server:
    """A `talekeeper serve` on a data folder, which outlives the process."""

    def __init__(
        self,
        folder: Path,
        *,
        provider: str = "scripted",
        database_url: str | None = None,
        env: Mapping[str, str] | None = None,
        command: Sequence[str] = SERVE,
    ) -> None:
        self.data_dir = folder / "data"
        self.key_file = folder / "config" / "master.key"
        self.log_file = folder / "server.log"
        self._database_url = database_url
        self.token = TOKEN
        self.port = 0
        self.process: subprocess.Popen[str] | None = None
        self._command = command
        self.environment = {
            **{name: value for name, value in os.environ.items() if name[:11] != "TALEKEEPER_"},
            "TALEKEEPER_DATA_DIR": str(self.data_dir),
            "TALEKEEPER_KEY_FILE": str(self.key_file),
            "TALEKEEPER_PORT": "0",
            "TALEKEEPER_PROVIDER": provider,
            "TALEKEEPER_TOKEN": self.token,
            "TALEKEEPER_OPEN_BROWSER": "false",
            **UNLIMITED,
            **(env or {}),
        }
        if database_url is not None:
            self.environment["TALEKEEPER_DATABASE_URL"] = database_url

    @property
    def database_url(self) -> str | None:
        return self._database_url

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def database(self) -> Path:
        return self.data_dir / "talekeeper.db"

    @property
    def log(self) -> str:
        """What every run so far has logged."""
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def settings(self) -> Settings:
        """For opening the same store without the server."""
        return load_settings(
            data_dir=self.data_dir, key_file=self.key_file, database_url=self.database_url
        )

    def start(self) -> float:
        """It answers. Returns the seconds that it took; raises DidNotStart."""
        assert not self.is_running
        began = time.monotonic()
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("a", encoding="utf-8") as log:
            where = log.tell()
            self.process = subprocess.Popen(
                self._command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        greeting = ""
        for line in self.process.stdout:
            greeting += line
            if "Ctrl-C" in line:
                self.port = self._port_in(greeting)
                return time.monotonic() - began
        code = self._reap(PATIENCE)
        raise DidNotStart(code, self.log[where:])

    def _port_in(self, greeting: str) -> int:
        """Where it listens. With a public address the greeting names that one."""
        if "TALEKEEPER_PUBLIC_URL" in self.environment:
            told = json.loads((self.data_dir / "server.json").read_bytes())["url"]
            return int(told.rpartition(":")[2])
        found = _ADDRESS.search(greeting)
        assert found is not None, greeting
        return int(found[1])

    def kill(self) -> None:
        """The process is gone, as if its power had been cut."""
        self.send_signal(signal.SIGKILL)
        self._reap(PATIENCE)

    def restart(self) -> float:
        """Killed and started anew."""
        if self.is_running:
            self.kill()
        return self.start()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> tuple[float, int]:
        """The seconds that it took to be gone, and its exit code."""
        began = time.monotonic()
        self.send_signal(how)
        code = self._reap(PATIENCE)
        return time.monotonic() - began, code

    def wait(self, seconds: float) -> int:
        """Its exit code, once it is gone; raises subprocess.TimeoutExpired when it is not."""
        return self._reap(seconds)

    def send_signal(self, how: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(how)

    def end(self) -> None:
        """No process is left, whatever state it was in."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            self._reap(PATIENCE)

    def _reap(self, patience: float) -> int:
        assert self.process is not None
        code = self.process.wait(patience)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Another command of Talekeeper's, on the same data folder."""
        return subprocess.run(
            [sys.executable, "-m", "talekeeper", *words],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def add_account(self, name: str) -> str:
        """The token of a new account."""
        done = self.run("account", "add", name)
        assert done.returncode == 0, done.stderr
        found = re.search(r"tk_\S+", done.stdout)
        assert found is not None, done.stdout
        return found.group()

    @asynccontextmanager
    async def client(self, token: str | None = TOKEN) -> AsyncGenerator[Client]:
        """Somebody who asks; None as the token is nobody."""
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=PATIENCE)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            yield Client(self, session, token)

    def violations(self) -> list[str]:
        """What `verify` finds while no process serves."""

        async def found(store: Store) -> list[str]:
            return await verify(store)

        return self.with_store(found)

    def with_store(self, use: Callable[[Store], Awaitable[T]]) -> T:
        """What `use` makes of the store, which is opened as a starting server would."""

        async def opened() -> T:
            async with opened_store(self.settings) as store:
                return await use(store)

        return apart(opened)


def apart(coroutine: Callable[[], Awaitable[T]]) -> T:
    """The coroutine's result, from an event loop of its own, wherever this is called from."""
    results: list[T] = []
    problems: list[BaseException] = []

    async def awaited() -> T:
        return await coroutine()

    def run() -> None:
        try:
            results.append(asyncio.run(awaited()))
        except BaseException as error:  # noqa: BLE001 - it is raised again below
            problems.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if problems:
        raise problems[0]
    return results[0]


async def beside(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `work` makes in a thread, while everybody else in this loop goes on.

    It has ended when this has, however that was: a start that is cancelled leaves no process that
    nobody knows of.
    """
    done = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    try:
        await asyncio.wait([done])
    except asyncio.CancelledError:
        await asyncio.gather(done, return_exceptions=True)
        raise
    return done.result()


@asynccontextmanager
async def entered(block: AbstractContextManager[T]) -> AsyncGenerator[T]:
    """Within the block, which is entered and left beside everybody else in this loop."""
    stack = ExitStack()
    try:
        yield await beside(stack.enter_context, block)
    finally:
        await beside(stack.close)


@asynccontextmanager
async def served(
    folder: Path,
    *,
    env: Mapping[str, str] | None = None,
    command: Sequence[str] = SERVE,
    starts: bool = True,
) -> AsyncGenerator[Server]:
    """A server in `folder`. While it starts and ends, the rigs beside this one go on."""
    server = Server(folder, env=env, command=command)
    try:
        if starts:
            await beside(server.start)
        yield server
    finally:
        await beside(server.end)
