"""Asking: a client of the wire, and what a follower knows by the wire's rules and nothing else.

A `Story` may be cut off and go on with another stream; it notes every gap and every repetition.
"""

import asyncio
import io
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Protocol
from urllib.parse import quote
from uuid import uuid4

import aiohttp

PATIENCE: Final = 30.0
"""Seconds after which nobody waits any longer for what should have happened."""
IN_FLIGHT: Final = frozenset({"pending", "streaming"})


class Asked(Protocol):
    """Where a server is reached, which may change when it is started again."""

    @property
    def url(self) -> str: ...

    @property
    def database_url(self) -> str | None: ...


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

    def __init__(self, server: Asked, session: aiohttp.ClientSession, token: str | None) -> None:
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
        self,
        conversation_id: str,
        content: str,
        *,
        id: str | None = None,  # noqa: A002 - as the wire calls it
        **fields: Any,
    ) -> Answer:
        """Whatever comes back; `say` is for what should succeed."""
        body = {"id": id or new_id(), "content": content, **fields}
        return await self.post(f"/api/conversations/{conversation_id}/messages", body)

    async def say(
        self,
        conversation_id: str,
        content: str,
        *,
        id: str | None = None,  # noqa: A002 - as the wire calls it
        **fields: Any,
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
        while True:
            page = await self.tree_page(conversation_id, after=after, limit=200)
            found += page
            if len(page) < 200:
                return found
            after = page[-1]["seq"]

    async def tree_page(
        self, conversation_id: str, *, after: int, limit: int
    ) -> list[dict[str, Any]]:
        """The next `limit` messages after that `seq`."""
        path = f"/api/conversations/{conversation_id}/tree?after={after}&limit={limit}"
        page = await self.get(path)
        assert page.status == 200, page.body
        return page["items"]

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
                self._grow(event.name, event.data)
            case (
                "ready"
                | "following"
                | "health"
                | "job.changed"
                | "conversation.changed"
                | "conversation.gone"
            ):
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

    def _grow(self, kind: str, data: Mapping[str, Any]) -> None:
        message_id: str = data["message_id"]
        offset: int = data["offset"]
        text: str = data["text"]
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
