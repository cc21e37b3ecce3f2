"""Servers that speak the OpenAI wire each in its own way, written from their documentation.

    async with Host(stream=OPENROUTER, models={...}) as host:
        ... talk to host.url ...

A `Host` sends these bytes, whatever is asked, unless `refuse` finds something wrong in a request.
"""

import asyncio
import json
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from aiohttp import web

WORDS = "The miller bars the door. 🐉"
THOUGHT = "She is afraid. Keep it short."

Refuse = Callable[[dict[str, Any]], tuple[int, Any] | None]


def event(value: object) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def chunk(delta: dict[str, Any], finish: str | None = None, **fields: Any) -> bytes:
    """One event with a piece of a reply."""
    return event(
        {
            "id": "gen-1",
            "object": "chat.completion.chunk",
            "created": 1_700_000_000,
            "model": "storyteller",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}],
            **fields,
        }
    )


DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 17, "completion_tokens": 42, "total_tokens": 59}

OPENROUTER = (
    b": OPENROUTER PROCESSING\n\n",
    b": OPENROUTER PROCESSING\n\n",
    chunk({"role": "assistant", "content": "", "reasoning": THOUGHT}, provider="Mill"),
    chunk({"role": "assistant", "content": WORDS[:10], "reasoning": None}, provider="Mill"),
    b": OPENROUTER PROCESSING\n\n",
    chunk({"role": "assistant", "content": WORDS[10:]}, provider="Mill"),
    chunk({"content": ""}, "stop", native_finish_reason="end_turn"),
    chunk({"role": "assistant", "content": ""}, None, usage={**USAGE, "cost": 0.0001}),
    DONE,
)
OPENROUTER_FAULT = (
    b": OPENROUTER PROCESSING\n\n",
    chunk({"role": "assistant", "content": WORDS[:10]}, provider="Mill"),
    event(
        {
            "id": "gen-1",
            "object": "chat.completion.chunk",
            "model": "storyteller",
            "provider": "Mill",
            "error": {"code": 502, "message": "Provider disconnected unexpectedly"},
            "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}],
        }
    ),
    DONE,
)
LM_STUDIO = (
    chunk({"role": "assistant", "reasoning_content": THOUGHT}, system_fingerprint="storyteller"),
    chunk({"role": "assistant", "content": WORDS[:5]}),
    chunk({"content": WORDS[5:]}),
    chunk({}, "stop"),
    event({"id": "gen-1", "object": "chat.completion.chunk", "choices": [], "usage": USAGE}),
    DONE,
)
LLAMA_CPP = (
    chunk({"role": "assistant", "content": None}),
    chunk({"reasoning_content": THOUGHT}),
    chunk({"content": WORDS}),
    chunk({}, "stop"),
    event(
        {
            "choices": [],
            "object": "chat.completion.chunk",
            "usage": USAGE,
            "timings": {"cache_n": 12, "prompt_ms": 9.5},
        }
    ),
    DONE,
)
KOBOLDCPP = (
    b"event: message\n" + chunk({"role": "assistant", "content": WORDS[:7]}),
    b"event: message\n" + chunk({"content": WORDS[7:]}),
    b"event: message\n" + chunk({"content": ""}, "stop"),
    b"data: [DONE]\n\n",
)
VLLM = (
    chunk({"role": "assistant", "content": ""}, prompt_token_ids=None),
    chunk({"reasoning": THOUGHT, "reasoning_content": THOUGHT}),
    chunk({"content": WORDS}, stop_reason=None),
    chunk({"content": ""}, "stop", stop_reason=None),
    event({"id": "gen-1", "object": "chat.completion.chunk", "choices": [], "usage": USAGE}),
    DONE,
)
VLLM_FAULT = (
    chunk({"role": "assistant", "content": WORDS[:10]}),
    event({"object": "error", "message": "EngineDeadError", "type": "InternalServerError"}),
    DONE,
)
WEBUI = (
    b": ping - 2026-11-22 01:05:27\r\n\r\n",
    chunk({"role": "assistant", "content": ""}).replace(b"\n", b"\r\n"),
    chunk({"content": f"<think>{THOUGHT}</think>\n\n"}).replace(b"\n", b"\r\n"),
    chunk({"content": WORDS}).replace(b"\n", b"\r\n"),
    # Its last piece counts as well, and no [DONE] follows.
    chunk({"content": ""}, "stop", usage=USAGE).replace(b"\n", b"\r\n"),
)
TABBY = (
    chunk({"role": "assistant", "content": WORDS}),
    chunk({"content": None}, "length", usage=None),
    DONE,
)


class Host:
    """Listens on 127.0.0.1; what it was asked is in `asked`, with which keys in `keys`."""

    def __init__(
        self,
        stream: tuple[bytes, ...] = LM_STUDIO,
        *,
        models: Any = None,
        refuse: Refuse | None = None,
        version: str | None = None,
        port: int = 0,
    ) -> None:
        self.stream = stream
        self.models = models
        self.refuse = refuse
        self.version = version
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        """The Authorization of each request, for a reply or for the list of models."""
        self.listed = 0
        self.port = port
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/{base:.*?}chat/completions", self._complete)
        app.router.add_post("/{base:.*?}messages", self._complete)
        app.router.add_post("/{base:.*?}:streamGenerateContent", self._complete)
        app.router.add_get("/{base:.*?}models", self._list)
        app.router.add_get("/api/version", self._tell_version)
        app.router.add_get("/api/tags", self._list)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.keys.append(request.headers.get("Authorization"))
        self.asked.append(body)
        wrong = self.refuse(body) if self.refuse else None
        if wrong is not None:
            return web.json_response(wrong[1], status=wrong[0])
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        for piece in self.stream:
            await answer.write(piece)
            await asyncio.sleep(0)
        return answer

    async def _list(self, request: web.Request) -> web.Response:
        self.listed += 1
        self.keys.append(request.headers.get("Authorization"))
        if self.models is None:
            return web.Response(text="<html>not a model server</html>", content_type="text/html")
        return web.json_response(self.models)

    async def _tell_version(self, _request: web.Request) -> web.Response:
        if self.version is None:
            raise web.HTTPNotFound
        return web.json_response({"version": self.version})
