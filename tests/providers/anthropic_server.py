"""A real HTTP server that speaks Anthropic's wire as it is documented, and misbehaves on demand.

    async with AnthropicServer(mode="overloaded_in_stream") as server: ...

It holds to what the real one refuses: a version that is missing, a talk that does not begin with
a user or ends with the assistant, two turns of one role, turns without words, no `max_tokens`.
"""

import asyncio
from typing import Any

from aiohttp import web
from tests.providers.faulty_server import (
    ON_EVERY_WIRE,
    SECRET,
    Asked,
    FaultyServer,
    Mode,
    event,
    pieces,
)

MODELS = [
    {"id": "claude-bard-5", "display_name": "Claude Bard 5", "max_input_tokens": 1_000_000},
    {"id": "claude-bard-4", "display_name": "Claude Bard 4", "max_input_tokens": 200_000},
    {"id": "claude-old", "display_name": "", "max_input_tokens": None},
]
LONGEST = 8192
"""What the mode `small_replies` takes as `max_tokens`."""

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def named(kind: str, **fields: object) -> bytes:
    """One event, with its name in a field of its own as the real server does it."""
    return f"event: {kind}\n".encode() + event({"type": kind, **fields})


def error(kind: str, message: str = "") -> bytes:
    return named("error", error={"type": kind, "message": f"{message} {SECRET}"})


class AnthropicServer(FaultyServer):
    """Listens on 127.0.0.1. `base_url` ends in /v1."""

    def add_routes(self, app: web.Application) -> None:
        app.router.add_post("/{base:.*?}messages", self.complete)
        app.router.add_get("/{base:.*?}models", self.models)

    async def complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if wrong := wrong_with(request, body):
            self.requests.append(Asked("POST", request.path, dict(request.headers), body))
            return web.json_response(self.told(400, wrong), status=400)
        return await super().complete(request)

    def opening(self) -> bytes:
        usage = {
            "input_tokens": 10,
            "cache_read_input_tokens": 5,
            "cache_creation_input_tokens": 2,
            "output_tokens": 1,
        }
        message = {"id": "msg_1", "role": "assistant", "content": [], "usage": usage}
        block = {"type": "text", "text": ""}
        return (
            named("message_start", message=message)
            + named("content_block_start", index=0, content_block=block)
            + named("ping")
        )

    def piece(self, text: str) -> bytes:
        said = {"type": "text_delta", "text": text}
        return named("content_block_delta", index=0, delta=said)

    def thought(self, text: str) -> bytes:
        said = {"type": "thinking_delta", "thinking": text}
        return named("content_block_delta", index=0, delta=said)

    def ending(self, *, usage: bool = True, done: bool = True, reason: str = "end_turn") -> bytes:
        told: dict[str, object] = {"delta": {"stop_reason": reason, "stop_sequence": None}}
        if usage:
            told["usage"] = {"output_tokens": 42}
        return (
            named("content_block_stop", index=0)
            + named("message_delta", **told)
            + (named("message_stop") if done else b"")
        )

    def told(self, status: int, message: str) -> object:
        kind = _TYPES.get(status, "api_error")
        return {"type": "error", "error": {"type": kind, "message": f"{message} {SECRET}"}}

    def listed(self, request: web.Request) -> web.Response:
        """Two models on a page, however many are asked for."""
        after = request.query.get("after_id")
        ids = [model["id"] for model in MODELS]
        start = ids.index(after) + 1 if after else 0
        page = MODELS[start : start + 2]
        more = start + 2 < len(MODELS)
        return web.json_response(
            {"data": page, "has_more": more, "first_id": page[0]["id"], "last_id": page[-1]["id"]}
        )


def wrong_with(request: web.Request, body: dict[str, Any]) -> str:
    """What the real server would not take about a request."""
    turns = body.get("messages") or []
    roles = [turn["role"] for turn in turns]
    if request.headers.get("anthropic-version") != "2023-06-01":
        return "anthropic-version: header is required"
    if not isinstance(body.get("max_tokens"), int):
        return "max_tokens: Field required"
    if not roles or roles[0] != "user" or set(roles) - {"user", "assistant"}:
        return "messages: first message must use the user role"
    if any(one == other for one, other in zip(roles, roles[1:], strict=False)):
        return "messages: roles must alternate"
    if roles[-1] != "user":
        return "This model does not support assistant message prefill."
    if not all(turn["content"].strip() for turn in turns):
        return "messages: text content blocks must be non-empty"
    if not 0 <= body.get("temperature", 0) <= 1:
        return "temperature: range: 0..1"
    return ""


def _ending_with(reason: str, *, text: bool = True) -> Mode:
    async def mode(server: FaultyServer, request: web.Request) -> web.StreamResponse:
        assert isinstance(server, AnthropicServer)
        answer = await server.begin(request)
        await answer.write(server.opening())
        if text:
            await answer.some()
        await answer.write(server.ending(reason=reason))
        await answer.response.write_eof()
        return answer.response

    return mode


def _then(last: bytes) -> Mode:
    async def mode(server: FaultyServer, request: web.Request) -> web.StreamResponse:
        answer = await server.begin(request)
        await answer.write(server.opening())
        await answer.some()
        await answer.write(last)
        return answer.response

    return mode


async def _pings(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    answer = await server.begin(request)
    await answer.write(server.opening())
    for piece in pieces(server.text):
        await answer.write(named("ping") + named("of_a_kind_to_come", data={"x": 1}))
        await answer.say(piece)
    return await answer.end()


async def _stall_with_pings(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    answer = await server.begin(request)
    await answer.some()
    while not server.is_told_to_end.is_set():
        await answer.write(named("ping"))
        await asyncio.sleep(0.05)
    return answer.response


async def _stays_open(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    answer = await server.begin(request)
    await answer.say(*pieces(server.text))
    await answer.write(server.ending(usage=True, done=True))
    return await answer.hang()


async def _small_replies(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    asked = server.requests[-1].body["max_tokens"]
    if asked > LONGEST:
        wrong = (
            f"max_tokens: {asked} > {LONGEST}, which is the maximum allowed number of output "
            "tokens for claude-bard-3"
        )
        return web.json_response(server.told(400, wrong), status=400)
    return await ON_EVERY_WIRE["well"](server, request)


async def _no_temperature(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    if "temperature" in server.requests[-1].body:
        wrong = "`temperature` is deprecated for this model."
        return web.json_response(server.told(400, wrong), status=400)
    return await ON_EVERY_WIRE["well"](server, request)


async def _error_in_document(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    return web.json_response(server.told(529, "Overloaded"))


STATUSES: dict[str, tuple[int, str, dict[str, str]]] = {
    "401": (401, "invalid x-api-key", {}),
    "402": (402, "billing", {}),
    "403": (403, "not allowed", {}),
    "404": (404, "model: no-such-bard", {}),
    "400": (400, "messages.0.content: bad", {}),
    "no_credit": (400, "Your credit balance is too low to access the Anthropic API.", {}),
    "429": (429, "rate limit of 50,000 input tokens per minute", {}),
    "429_seconds": (429, "rate limit", {"retry-after": "7"}),
    "500": (500, "Internal server error", {}),
    "529": (529, "Overloaded", {"retry-after": "3"}),
    "redirect": (307, "elsewhere", {"Location": "http://169.254.169.254/latest"}),
    "context_too_long": (400, "prompt is too long: 213462 tokens > 200000 maximum", {}),
    "context_and_reply_too_long": (
        400,
        "input length and `max_tokens` exceed context limit: 188059 + 16384 > 200000",
        {},
    ),
    "too_large": (413, "Request exceeds the maximum size", {}),
}

AnthropicServer.statuses = STATUSES
AnthropicServer.modes = {
    **ON_EVERY_WIRE,
    "pings": _pings,
    "stall_with_pings": _stall_with_pings,
    "stays_open": _stays_open,
    "small_replies": _small_replies,
    "no_temperature": _no_temperature,
    "length": _ending_with("max_tokens"),
    "context_full": _ending_with("model_context_window_exceeded"),
    "refusal": _ending_with("refusal"),
    "refusal_at_once": _ending_with("refusal", text=False),
    "length_at_once": _ending_with("max_tokens", text=False),
    "overloaded_in_stream": _then(error("overloaded_error", "Overloaded")),
    "error_in_stream": _then(error("api_error", "Internal server error")),
    "rate_limit_in_stream": _then(error("rate_limit_error")),
    "too_long_in_stream": _then(error("invalid_request_error", "prompt is too long")),
    "stop_without_reason": _then(named("message_stop")),
    "garbage_mid_stream": _then(named("content_block_delta", delta={"text": 7})),
    "error_in_document": _error_in_document,
    **dict.fromkeys(STATUSES, ON_EVERY_WIRE["well"]),
}
