"""Asking an application over ASGI, byte for byte: headers can be missing, doubled or malformed."""

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

from fastapi import FastAPI

from talekeeper.accounts.entering import open_identities
from talekeeper.api import accounts
from talekeeper.api.access import mount_access
from talekeeper.api.page import mount_page
from talekeeper.api.problems import mount_problems
from talekeeper.clock import Clock, SystemClock
from talekeeper.database import Store
from talekeeper.limiting import Limiter
from talekeeper.settings import load_settings

HOST = b"127.0.0.1:8000"
TOKEN = "a-token-from-the-settings"
JSON = ("content-type", "application/json")


@dataclass
class Answer:
    status: int = 0
    raw_headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    pieces: list[bytes] = field(default_factory=list)

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.raw_headers}

    def json(self) -> Any:
        return json.loads(self.body)


async def ask(
    app: Any,
    method: str,
    path: str,
    *headers: tuple[str, str],
    body: bytes | Iterable[bytes] = b"",
    host: bytes | None = HOST,
    scheme: str = "http",
    client: str = "127.0.0.1",
) -> Answer:
    """What `app` answers. `body` may come in several chunks; `host` None sends no Host at all."""
    chunks = [body] if isinstance(body, bytes) else list(body)
    plain, _, query = path.partition("?")
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    if host is not None:
        raw.insert(0, (b"host", host))
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": scheme,
        "path": unquote(plain),
        "raw_path": plain.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": raw,
        "client": (client, 50000),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }
    answer = Answer()

    async def receive() -> dict[str, Any]:
        if chunks:
            chunk = chunks.pop(0)
            return {"type": "http.request", "body": chunk, "more_body": bool(chunks)}
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.raw_headers = list(message["headers"])
        elif message.get("body"):
            answer.pieces.append(message["body"])

    await app(scope, receive, send)
    return answer


async def post(app: Any, path: str, value: Any, *headers: tuple[str, str]) -> Answer:
    """What `app` answers to `value` as JSON."""
    return await ask(app, "POST", path, JSON, *headers, body=json.dumps(value).encode())


def bearing(token: str) -> tuple[str, str]:
    return ("authorization", f"Bearer {token}")


def guarded(**settings: Any) -> FastAPI:
    """An application without routes of its own, behind the access rules."""
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    mount_problems(app)
    mount_access(app, load_settings(**settings))
    return app


@asynccontextmanager
async def served(
    folder: Path, *, clock: Clock | None = None, page: Path | None = None, **settings: Any
) -> AsyncIterator[FastAPI]:
    """The accounts' routes and the page, over a real store in `folder`."""
    clock = clock or SystemClock()
    store = await Store.open(folder, clock=clock)
    try:
        app = guarded(**settings)
        app.include_router(accounts.router)
        mount_page(app, page)
        identities = await open_identities(store, clock=clock, owner_token=TOKEN)
        app.state.keeper = SimpleNamespace(
            store=store,
            identities=identities,
            limiter=Limiter(clock=clock),
            settings=load_settings(**settings),
        )
        yield app
    finally:
        await store.close()
