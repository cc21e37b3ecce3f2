"""Real servers for the promises: `talekeeper serve` as a process of its own, and what asks it.

    with served(tmp_path) as server:                     # a data folder of its own, SQLite
        async with server.client() as client:            # bears the owner's token
            conversation = await client.open()
            sent = await client.say(conversation, "[[tokens 20]]")
            reply = await client.ended(sent)
            server.kill()
            server.start()

A `Story` is what a follower knows, kept by the rules of docs/reference/wire.md and nothing else: it
may be cut off and go on with another stream, and it notes every gap and every repetition.

When a server is left, its process is gone, however the test ended, and `verify` finds nothing.
"""

import asyncio
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote
from uuid import uuid4

import aiohttp
import pytest

from talekeeper.keeper import opened_store
from talekeeper.settings import Settings, load_settings
from talekeeper.store import Store
from talekeeper.store.verifying import verify

T = TypeVar("T")

TOKEN: Final = "a-token-from-the-settings"
PATIENCE: Final = 30.0
"""Seconds after which a test stops waiting for what should have happened."""
IN_FLIGHT: Final = frozenset({"pending", "streaming"})
SERVE: Final = (sys.executable, "-m", "talekeeper", "serve")

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
        provider: str,
        database_url: str | None,
        env: Mapping[str, str],
        command: Sequence[str],
    ) -> None:
        self.data_dir = folder / "data"
        self.key_file = folder / "config" / "master.key"
        self.log_file = folder / "server.log"
        self.database_url = database_url
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
            **env,
        }
        if database_url is not None:
            self.environment["TALEKEEPER_DATABASE_URL"] = database_url

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
                found = _ADDRESS.search(greeting)
                assert found is not None, greeting
                self.port = int(found[1])
                return time.monotonic() - began
        code = self._reap(PATIENCE)
        raise DidNotStart(code, self.log[where:])

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
    async def client(self, token: str | None = TOKEN) -> AsyncGenerator["Client"]:
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


@contextmanager
def served(
    folder: Path,
    provider: str = "scripted",
    database_url: str | None = None,
    env: Mapping[str, str] | None = None,
    *,
    command: Sequence[str] = SERVE,
    starts: bool = True,
    verifies: bool = True,
) -> Generator[Server]:
    """A server in `folder`. Left without an error, its store holds all that must be true of it."""
    server = Server(
        folder, provider=provider, database_url=database_url, env=env or {}, command=command
    )
    try:
        if starts:
            server.start()
        yield server
        server.end()
        if verifies:
            found = server.violations()
            assert found == [], "\n".join(found)
    finally:
        server.end()


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @cached_property
    def json(self) -> Any:
        return json.loads(self.body)

    def __getitem__(self, name: str) -> Any:
        return self.json[name]

    @property
    def problem(self) -> tuple[int, str]:
        """The status and the code of a refusal, which has the shape that every refusal has."""
        assert self.headers["Content-Type"] == "application/problem+json", (self.status, self.body)
        assert self["status"] == self.status
        assert isinstance(self["detail"], str)
        assert self["detail"]
        assert isinstance(self["retryable"], bool)
        assert self["reference"]
        if self["retry_after"] is not None:
            assert float(self.headers["Retry-After"]) >= self["retry_after"]
        return self.status, self["code"]


Unanswered = (aiohttp.ClientError, ConnectionError, TimeoutError)
"""How a request ends whose outcome nobody told."""


class Client:
    """Asks a server; follows it through restarts."""

    def __init__(self, server: Server, session: aiohttp.ClientSession, token: str | None) -> None:
        self.server = server
        self.session = session
        self.token = token
        self.heard: list[bytes] | None = None
        """Every answer's head and body, once this is a list."""

    def headers(self) -> dict[str, str]:
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = PATIENCE,
    ) -> Answer:
        """The answer. `raw` is sent as it is; else `body` as JSON, whatever the method."""
        data = raw
        if data is None and method not in ("GET", "HEAD"):
            data = json.dumps({} if body is None else body).encode()
        async with self.session.request(
            method,
            self.server.url + path,
            data=None if data is None else io.BytesIO(data),
            headers={"Content-Type": "application/json", **self.headers(), **(headers or {})},
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=seconds),
        ) as response:
            answer = Answer(response.status, response.headers, await response.read())
        if self.heard is not None:
            self.heard.append(repr(dict(answer.headers)).encode() + answer.body)
        return answer

    async def get(self, path: str) -> Answer:
        return await self.ask("GET", path)

    async def post(self, path: str, body: Any = None) -> Answer:
        return await self.ask("POST", path, body)

    async def open(self, **fields: Any) -> str:
        """A new conversation's id."""
        answer = await self.post("/api/conversations", fields)
        assert answer.status == 201, answer.body
        return answer["id"]

    async def send(
        self, conversation_id: str, content: str, *, id: str | None = None, **fields: Any
    ) -> Answer:
        """Whatever comes back; `say` is for what should succeed."""
        body = {"id": id or new_id(), "content": content, **fields}
        return await self.post(f"/api/conversations/{conversation_id}/messages", body)

    async def say(
        self, conversation_id: str, content: str, *, id: str | None = None, **fields: Any
    ) -> dict[str, Any]:
        """What was stored of it, just now."""
        answer = await self.send(conversation_id, content, id=id, **fields)
        assert answer.status == 201, answer.body
        return answer.json

    async def conversation(self, conversation_id: str) -> dict[str, Any]:
        return (await self.get(f"/api/conversations/{conversation_id}")).json

    async def tree(self, conversation_id: str, *, after: int = 0) -> list[dict[str, Any]]:
        """Every message of every branch, page by page."""
        found: list[dict[str, Any]] = []
        place: int | None = after
        while place is not None:
            page = await self.get(
                f"/api/conversations/{conversation_id}/tree?after={place}&limit=200"
            )
            assert page.status == 200, page.body
            found += page["items"]
            place = page["next"]
        return found

    async def path(self, conversation_id: str) -> list[dict[str, Any]]:
        """The path to the active leaf."""
        found: list[dict[str, Any]] = []
        before = ""
        while True:
            page = await self.get(
                f"/api/conversations/{conversation_id}/messages?limit=200{before}"
            )
            assert page.status == 200, page.body
            found = page["items"] + found
            if page["next"] is None:
                return found
            before = f"&before={page['next']}"

    async def message(self, conversation_id: str, message_id: str) -> dict[str, Any]:
        return next(m for m in await self.tree(conversation_id) if m["id"] == message_id)

    async def ended(self, sent: Mapping[str, Any], *, seconds: float = PATIENCE) -> dict[str, Any]:
        """The reply that was begun, once it has ended."""
        reply = sent["reply"]
        story = Story()
        async with self.following(reply["conversation_id"], f"{reply['seq'] - 1}.-.0") as stream:
            await stream.tell(
                story, lambda: story.has_ended(reply["id"], sent["generation_id"]), seconds=seconds
            )
        return story.messages[reply["id"]]

    def following(self, conversation_id: str, last_event_id: str | None = None) -> "Following":
        """An open stream of one conversation's events."""
        return self.listening(f"/api/conversations/{conversation_id}/events", last_event_id)

    def listening(self, path: str, last_event_id: str | None = None) -> "Following":
        return Following(self, path, last_event_id)


class Following:
    """The connection of one event stream, which is gone when the block is left."""

    def __init__(self, client: Client, path: str, last_event_id: str | None) -> None:
        self._client = client
        self._path = path
        self._last_event_id = last_event_id
        self._response: aiohttp.ClientResponse | None = None

    async def __aenter__(self) -> "Stream":
        headers = self._client.headers()
        if self._last_event_id is not None:
            headers["Last-Event-ID"] = self._last_event_id
        self._response = await self._client.session.get(
            self._client.server.url + self._path, headers=headers
        )
        assert self._response.status == 200, await self._response.read()
        return Stream(self._response)

    async def __aexit__(self, *_: object) -> None:
        assert self._response is not None
        self._response.close()


@dataclass(frozen=True)
class Event:
    name: str
    id: str | None
    data: Any


class Stream:
    """Server-sent events as they come. An event that is cut in the middle is none."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._rest = b""
        self._waiting: list[Event] = []

    async def some(self, most: int = 1 << 16) -> list[Event] | None:
        """What whole events are in the next bytes, of which `most` are taken; None at the end."""
        try:
            data = await self._response.content.read(most)
        except (aiohttp.ClientError, ConnectionError):
            return None
        if not data:
            return None
        *whole, self._rest = (self._rest + data).split(b"\n\n")
        return [event for block in whole if (event := _event(block)) is not None]

    async def tell(
        self, story: "Story", until: Callable[[], bool], *, seconds: float = PATIENCE
    ) -> bool:
        """Tell `story` event by event until that holds; False when the stream ended before.

        What came after the event that made it hold is not told: as if the connection was cut there.
        """
        try:
            async with asyncio.timeout(seconds):
                while not until():
                    if not self._waiting:
                        events = await self.some()
                        if events is None:
                            return False
                        self._waiting = events
                    while self._waiting and not until():
                        story.apply(self._waiting.pop(0))
        except TimeoutError:
            told = [f"{event.name} {event.id}" for event in story.events[-5:]]
            raise AssertionError(f"not told within {seconds:g} s; at last: {told}") from None
        return True


def _event(block: bytes) -> Event | None:
    fields: dict[str, str] = {}
    for line in block.decode().split("\n"):
        name, _, value = line.partition(": ")
        if name in ("event", "id", "data"):
            assert name not in fields, block
            fields[name] = value
        else:
            assert name in ("retry", ""), block
    if "data" not in fields:
        return None
    return Event(fields["event"], fields.get("id"), json.loads(fields["data"]))


@dataclass
class Story:
    """What a follower knows, by the rules of the wire; it goes on over any number of streams."""

    messages: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    texts: dict[str, str] = field(default_factory=dict[str, str])
    grown: dict[str, str] = field(default_factory=dict[str, str])
    """Of each reply the text as its snapshots and deltas told it, without its final state."""
    seen: list[tuple[float, str, int]] = field(default_factory=list[tuple[float, str, int]])
    """When which message was how long."""
    faults: list[str] = field(default_factory=list[str])
    """Gaps, repetitions and contradictions."""
    events: list[Event] = field(default_factory=list[Event])
    last_event_id: str | None = None

    def apply(self, event: Event) -> None:
        self.events.append(event)
        if event.id is not None:
            self.last_event_id = event.id
        match event.name:
            case "message.changed":
                self._change(event.data["message"])
            case "snapshot" | "delta":
                self._grow(event.name, **event.data)
            case "ready" | "conversation.changed":
                pass
            case "resync":
                self.messages.clear()
                self.texts.clear()
                self.grown.clear()
            case _:
                self.faults.append(f"unknown event {event.name}")

    def _change(self, message: dict[str, Any]) -> None:
        known = self.messages.get(message["id"])
        if known is not None and known["revision"] >= message["revision"]:
            return
        name, content = message["id"], message["content"]
        self.messages[name] = message
        self.texts[name] = content
        if message["status"] in IN_FLIGHT:
            self.grown[name] = content
        elif not content.startswith(self.grown.get(name, "")):
            self.faults.append(f"{name} ended as something else than what had been told of it")

    def _grow(
        self,
        kind: str,
        conversation_id: str,
        message_id: str,
        generation_id: str,
        offset: int,
        text: str,
    ) -> None:
        known = self.texts.get(message_id, "")
        if kind == "snapshot" and offset == 0:
            if not text.startswith(self.grown.get(message_id, "")):
                self.faults.append(f"{message_id} began again as something else")
            self.texts[message_id] = text
        elif offset == len(known):
            self.texts[message_id] = known + text
        else:
            self.faults.append(f"{message_id}: {kind} at {offset}, known up to {len(known)}")
            return
        self.grown[message_id] = self.texts[message_id]
        self.seen.append((time.monotonic(), message_id, len(self.texts[message_id])))

    def length(self, message_id: str) -> int:
        return len(self.texts.get(message_id, ""))

    def has_ended(self, message_id: str, generation_id: str | None = None) -> bool:
        """The reply has its final state, under that generation where one is named."""
        message = self.messages.get(message_id)
        return (
            message is not None
            and message["status"] not in IN_FLIGHT
            and generation_id in (None, message["generation_id"])
        )

    def seen_before(self, message_id: str, moment: float) -> int:
        """How long the message was known to be at that moment."""
        return max(
            (n for at, name, n in self.seen if name == message_id and at <= moment), default=0
        )


def follow_path(*conversation_ids: str) -> str:
    """The account's stream with these conversations followed."""
    return "/api/events?" + "&".join(f"follow={quote(each)}" for each in conversation_ids)


def new_id() -> str:
    return str(uuid4())


async def until(
    holds: Callable[[], Awaitable[bool]] | Callable[[], bool], *, seconds: float = PATIENCE
) -> None:
    """Wait until it holds, or fail."""
    async with asyncio.timeout(seconds):
        while True:
            answer = holds()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(0.01)


on_both_engines = pytest.mark.parametrize(
    "engine", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]
)
"""For tests that take `database_url`."""
