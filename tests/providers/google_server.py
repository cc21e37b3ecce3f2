"""A real HTTP server that speaks Gemini's wire as it is documented, and misbehaves on demand.

    async with GoogleServer(mode="blocked") as server: ...

It holds to what the real one refuses: no `alt=sse`, a role of another name, a talk that does not
begin and end with the user, parts without text.
"""

import json
from typing import Any

from aiohttp import web
from tests.providers.faulty_server import (
    FAIR_TOKENS,
    ON_EVERY_WIRE,
    SECRET,
    Asked,
    FaultyServer,
    Mode,
    event,
    pieces,
)

MODELS: list[dict[str, object]] = [
    {
        "name": "models/gemini-bard",
        "displayName": "Gemini Bard",
        "inputTokenLimit": 1_048_576,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
    },
    {
        "name": "models/embedding-1",
        "inputTokenLimit": 2048,
        "supportedGenerationMethods": ["embedContent"],
    },
    {"name": "models/gemini-plain", "supportedGenerationMethods": ["generateContent"]},
]
_NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
_QUOTA = "You exceeded your current quota, please check your plan and billing details."
RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37.5s"}


def candidate(
    text: str | None = None, *, thought: bool = False, finish: str | None = None
) -> dict[str, object]:
    said: dict[str, object] = {"index": 0}
    if text is not None:
        part: dict[str, object] = {"text": text}
        if thought:
            part["thought"] = True
        said["content"] = {"role": "model", "parts": [part]}
    if finish is not None:
        said["finishReason"] = finish
    return said


class GoogleServer(FaultyServer):
    """Listens on 127.0.0.1. `base_url` ends in /v1beta."""

    @property
    def base_url(self) -> str:
        return f"{self.root_url}/v1beta"

    def add_routes(self, app: web.Application) -> None:
        app.router.add_post(
            "/{base:.*?}{folder:models|tunedModels}/{model}:streamGenerateContent", self.complete
        )
        app.router.add_get("/{base:.*?}models", self.models)

    async def complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if wrong := wrong_with(request, body):
            self.requests.append(Asked("POST", request.path, dict(request.headers), body))
            return web.json_response(self.told(400, wrong), status=400)
        return await super().complete(request)

    def opening(self) -> bytes:
        return event({"candidates": [candidate("")], "usageMetadata": {"promptTokenCount": 17}})

    def piece(self, text: str) -> bytes:
        return event({"candidates": [candidate(text)], "modelVersion": "gemini-bard"})

    def thought(self, text: str) -> bytes:
        return event({"candidates": [candidate(text, thought=True)]})

    def ending(self, *, usage: bool = True, done: bool = True, reason: str = "STOP") -> bytes:
        told: dict[str, object] = {"candidates": [candidate("", finish=reason)]}
        if usage:
            told["usageMetadata"] = {
                "promptTokenCount": 17,
                "candidatesTokenCount": 40,
                "thoughtsTokenCount": 2,
                "totalTokenCount": 59,
            }
        return event(told)

    def told(self, status: int, message: str) -> object:
        details = [RETRY] if message.startswith("wait") else []
        said = message.replace("wait", _QUOTA)
        return {
            "error": {
                "code": status,
                "message": f"{said} {SECRET}",
                "status": _NAMES.get(status, "UNKNOWN"),
                "details": details,
            }
        }

    def listed(self, request: web.Request) -> web.Response:
        """Two models on a page, however many are asked for."""
        assert "key" not in request.query
        start = int(request.query.get("pageToken", "0"))
        told: dict[str, object] = {"models": MODELS[start : start + 2]}
        if start + 2 < len(MODELS):
            told["nextPageToken"] = str(start + 2)
        return web.json_response(told)


def wrong_with(request: web.Request, body: dict[str, Any]) -> str:
    """What the real server would not take about a request."""
    turns = body.get("contents") or []
    roles = [turn["role"] for turn in turns]
    if "key" in request.query:
        return "the key stands in the address"
    if request.query.get("alt") != "sse":
        return "this server streams events only"
    if set(body) - {"contents", "systemInstruction", "generationConfig"}:
        return "Unknown name"
    if not roles or set(roles) - {"user", "model"}:
        return "Please use a valid role: user, model."
    if roles[0] != "user" or roles[-1] != "user":
        return "Please ensure that multiturn requests end with a user role."
    if any(one == other for one, other in zip(roles, roles[1:], strict=False)):
        return "Please ensure that multiturn requests alternate between user and model."
    if not all(part["text"].strip() for turn in turns for part in turn["parts"]):
        return "Unable to submit request because it must have a text parameter."
    return ""


def _ending_with(reason: str, *, text: bool = True) -> Mode:
    async def mode(server: FaultyServer, request: web.Request) -> web.StreamResponse:
        assert isinstance(server, GoogleServer)
        answer = await server.begin(request)
        if text:
            await answer.some()
        await answer.write(server.ending(reason=reason))
        await answer.response.write_eof()
        return answer.response

    return mode


def _then(last: bytes) -> Mode:
    async def mode(server: FaultyServer, request: web.Request) -> web.StreamResponse:
        answer = await server.begin(request)
        await answer.some()
        await answer.write(last)
        return answer.response

    return mode


def _error(code: int, message: str = "") -> dict[str, object]:
    return {"error": {"code": code, "message": f"{message} {SECRET}", "status": _NAMES[code]}}


async def _blocked(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    answer = await server.begin(request)
    told = {"blockReason": "PROHIBITED_CONTENT", "safetyRatings": []}
    await answer.write(
        event({"promptFeedback": told, "usageMetadata": {"promptTokenCount": 17}}),
    )
    await answer.response.write_eof()
    return answer.response


async def _bare_error(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    """What has happened to others: JSON on several lines, in the middle of the events."""
    answer = await server.begin(request)
    said = b"".join(server.piece(piece) for piece in pieces(server.text)[:FAIR_TOKENS])
    bare = json.dumps(_error(503, "The model is overloaded."), indent=2)
    await answer.write(said + bare.encode() + b"\n")
    return answer.response


async def _document(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    told = {
        "candidates": [candidate(server.text, finish="STOP")],
        "usageMetadata": {"promptTokenCount": 17, "candidatesTokenCount": 42},
    }
    return web.json_response(told)


async def _error_in_document(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    return web.json_response(_error(503, "The model is overloaded."))


async def _odd_parts(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    """Candidates without content, parts without text, and another candidate beside."""
    answer = await server.begin(request)
    await answer.write(event({"candidates": [{"index": 0}], "responseId": "r"}))
    await answer.write(event({"candidates": [{"content": {"role": "model"}}]}))
    signed = {"content": {"parts": [{"thoughtSignature": "abc"}, {"executableCode": {}}]}}
    await answer.write(event({"candidates": [signed, {"index": 1, **signed}]}))
    await answer.say(*pieces(server.text))
    return await answer.end()


async def _stays_open(server: FaultyServer, request: web.Request) -> web.StreamResponse:
    answer = await server.begin(request)
    await answer.say(*pieces(server.text))
    await answer.write(server.ending(usage=True, done=True))
    return await answer.hang()


STATUSES: dict[str, tuple[int, str, dict[str, str]]] = {
    "wrong_key": (400, "API key not valid. Please pass a valid API key.", {}),
    "401": (401, "Request had invalid authentication credentials.", {}),
    "403": (403, "Method doesn't allow unregistered callers.", {}),
    "404": (404, "models/no-such-bard is not found for API version v1beta", {}),
    "400": (400, "Invalid JSON payload received.", {}),
    "location": (400, "User location is not supported for the API use. Enable billing.", {}),
    "429": (429, _QUOTA, {}),
    "429_seconds": (429, "wait", {}),
    "429_header": (429, _QUOTA, {"Retry-After": "7"}),
    "500": (500, "An internal error has occurred.", {}),
    "503": (503, "The model is overloaded. Please try again later.", {}),
    "redirect": (307, "elsewhere", {"Location": "http://169.254.169.254/latest"}),
    "context_too_long": (
        400,
        "The input token count (1196265) exceeds the maximum number of tokens allowed (1048576).",
        {},
    ),
    "too_large": (413, "Request payload size exceeds the limit: 20971520 bytes.", {}),
}

GoogleServer.statuses = STATUSES
GoogleServer.modes = {
    **ON_EVERY_WIRE,
    "length": _ending_with("MAX_TOKENS"),
    "safety": _ending_with("SAFETY"),
    "recitation": _ending_with("RECITATION"),
    "safety_at_once": _ending_with("SAFETY", text=False),
    "length_at_once": _ending_with("MAX_TOKENS", text=False),
    "malformed_call": _ending_with("MALFORMED_FUNCTION_CALL"),
    "of_a_kind_to_come": _ending_with("BORED"),
    "unspecified": _ending_with("FINISH_REASON_UNSPECIFIED"),
    "blocked": _blocked,
    "error_in_stream": _then(event(_error(500, "An internal error has occurred."))),
    "overloaded_in_stream": _then(event(_error(503, "The model is overloaded."))),
    "rate_limit_in_stream": _then(event(_error(429, _QUOTA))),
    "bare_error": _bare_error,
    "garbage_mid_stream": _then(event({"candidates": [{"content": {"parts": [{"text": 7}]}}]})),
    "document": _document,
    "error_in_document": _error_in_document,
    "odd_parts": _odd_parts,
    "stays_open": _stays_open,
    **dict.fromkeys(STATUSES, ON_EVERY_WIRE["well"]),
}
