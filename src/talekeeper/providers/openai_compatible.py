"""The OpenAI wire: what OpenAI, OpenRouter, Ollama, llama.cpp, vLLM, LM Studio and others speak.

A reply is one POST to `{base}/chat/completions`, answered by server-sent events. Whatever of the
answer has arrived is parsed in one go and given on as one part, so a fast model costs a few
parts a turn of the event loop and not one a token.

The end is where servers differ most. A reply is finished once a `finish_reason` was given,
whether or not `[DONE]`, the usage or a tidy close follows; a stream that ends without it was cut.
Before the first token a model may think for `first_token_seconds`; after it, `stall_seconds`
without a byte are a stall. Comments that only keep the line open count as bytes, but no longer
than `first_token_seconds` in a row.

Nothing that a provider sends is repeated in an error, and neither is the key.
"""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final, Literal, cast
from urllib.parse import urlsplit

import aiohttp
import msgspec

from talekeeper.clock import Clock, SystemClock
from talekeeper.domain.replies import (
    Finished,
    Model,
    ReasoningDelta,
    ReplyRequest,
    StreamPart,
    TextDelta,
    Usage,
)
from talekeeper.errors import (
    InvalidInput,
    ProviderError,
    ProviderRefusedKey,
    ProviderRejected,
    ProviderSentGarbage,
    ProviderStalled,
    ProviderStreamCut,
    ProviderUnreachable,
)
from talekeeper.providers.failures import failure, waiting_time
from talekeeper.providers.guard import AddressRefused, guarded_connector
from talekeeper.providers.reach import Reach, checked_base_url
from talekeeper.providers.sse import NotAnEventStream, SseReader
from talekeeper.providers.thinking import Thinking

MAX_DOCUMENT: Final = 8 << 20
"""Bytes of an answer that comes as one JSON document."""
_MAX_REFUSAL: Final = 64 << 10
_REFUSAL_SECONDS: Final = 10.0
_CONNECT_SECONDS: Final = 15.0
_LIST_SECONDS: Final = 30.0
_FAREWELL_SECONDS: Final = 2.0
"""How long the usage and `[DONE]` may take once the reply is finished."""
_CLOSE_SECONDS: Final = 0.02
"""How long the answer's end may take after `[DONE]`, so that the connection can be used again."""


class OpenAICompatible:
    """One provider at one base URL. `continues_text` is false: it has to be asked to go on."""

    continues_text = False

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        name: str = "openai",
        stall_seconds: float = 60.0,
        first_token_seconds: float = 300.0,
        reach: Reach = Reach.ANYWHERE,
        clock: Clock | None = None,
    ) -> None:
        self.name = name
        self._base_url = base_url
        self._api_key = (api_key or "").strip()
        self._stall_seconds = stall_seconds
        self._first_token_seconds = max(first_token_seconds, stall_seconds)
        self._reach = reach
        self._clock = clock or SystemClock()
        self._session: aiohttp.ClientSession | None = None
        self._unwanted: set[str] = set()

    async def stream(self, request: ReplyRequest) -> AsyncGenerator[StreamPart]:
        response = await self._asked(request)
        try:
            answer = _Answer(request.model)
            patience = _Patience(self._first_token_seconds, self._stall_seconds)
            fault: ProviderError | None = None
            while fault is None and not answer.is_over:
                try:
                    await self._hear(response, answer, patience)
                except ProviderError as error:
                    # What came before the fault, in the same burst even, is part of the reply.
                    answer.flush()
                    fault = error
                for part in answer.parts():
                    yield part
            if fault is not None:
                raise fault
            await _let_end(response)
            if answer.usage is not None:
                yield answer.usage
            yield Finished(answer.reason)
        finally:
            response.close()

    async def models(self) -> tuple[Model, ...]:
        try:
            async with asyncio.timeout(_LIST_SECONDS):
                response = await self._sent("GET", "models", None)
                try:
                    if response.status != 200:
                        raise self._failure(response, await _said(response), model="")
                    body = await _whole(response)
                finally:
                    response.close()
        except TimeoutError as error:
            raise ProviderStalled(
                "The provider did not list its models in time. Try again."
            ) from error
        return _listed(body)

    async def aclose(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _asked(self, request: ReplyRequest) -> aiohttp.ClientResponse:
        """The answer once it begins, with status 200. Raises ProviderError for any other."""
        while True:
            try:
                async with asyncio.timeout(self._first_token_seconds):
                    response = await self._sent("POST", "chat/completions", self._body(request))
                    if response.status == 200:
                        return response
                    try:
                        said = await _said(response)
                    finally:
                        response.close()
            except TimeoutError as error:
                raise _stalled() from error
            if not self._learned(response.status, said):
                raise self._failure(response, said, model=request.model)

    def _body(self, request: ReplyRequest) -> bytes:
        body: dict[str, object] = {
            "model": request.model,
            "messages": [{"role": turn.role, "content": turn.content} for turn in request.turns],
            "stream": True,
        }
        if "stream_options" not in self._unwanted:
            body["stream_options"] = {"include_usage": True}
        if request.max_tokens is not None:
            unwanted = "max_tokens" in self._unwanted
            body["max_completion_tokens" if unwanted else "max_tokens"] = request.max_tokens
        if request.temperature is not None:
            body["temperature"] = request.temperature
        return msgspec.json.encode(body)

    def _learned(self, status: int, said: str) -> bool:
        """Whether asking in another way will help. What was learned holds from then on."""
        if status not in (400, 422):
            return False
        for field, hint in _ADAPTATIONS:
            if hint in said and field not in self._unwanted:
                self._unwanted.add(field)
                return True
        return False

    async def _sent(
        self, method: Literal["GET", "POST"], path: str, body: bytes | None
    ) -> aiohttp.ClientResponse:
        try:
            url = f"{checked_base_url(self._base_url, self._reach)}/{path}"
        except InvalidInput as error:
            raise ProviderRejected(error.message) from error
        headers = self._headers()
        # A server may close an idle connection at the moment when it is used again. Only then is
        # a question that got no answer asked twice: on a fresh connection that might cost twice.
        while True:
            trip = _Trip()
            try:
                return await self._opened().request(
                    method,
                    url,
                    data=body,
                    headers=headers,
                    allow_redirects=False,
                    trace_request_ctx=trip,
                )
            except aiohttp.ClientResponseError as error:
                raise _garbage() from error
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
                raise self._unreachable(error) from error
            except aiohttp.InvalidURL as error:
                raise ProviderRejected(
                    "The provider's address cannot be read. Enter it again in the settings."
                ) from error
            except (aiohttp.ClientError, OSError) as error:
                if not trip.is_reused:
                    raise _cut() from error

    def _headers(self) -> dict[str, str]:
        headers = {
            "Accept": "text/event-stream, application/json",
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
            "User-Agent": "Talekeeper",
        }
        if self._api_key:
            if not (self._api_key.isascii() and self._api_key.isprintable()):
                raise ProviderRefusedKey(
                    "The API key contains characters that a key cannot contain. Enter it again."
                )
            headers["Authorization"] = f"Bearer {self._api_key}"
        return headers

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            watch = aiohttp.TraceConfig()
            watch.on_connection_reuseconn.append(_note_reuse)
            self._session = aiohttp.ClientSession(
                connector=guarded_connector(self._reach),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, connect=_CONNECT_SECONDS),
                trust_env=False,
                trace_configs=[watch],
            )
        return self._session

    async def _hear(
        self, response: aiohttp.ClientResponse, answer: "_Answer", patience: "_Patience"
    ) -> None:
        """Take in what has arrived. After the reply's own end, every fault is only the end."""
        try:
            async with asyncio.timeout_at(patience.until):
                chunk = await response.content.readany()
        except TimeoutError as error:
            if not answer.is_finished:
                raise _stalled() from error
            chunk = b""
        except (aiohttp.ClientError, OSError) as error:
            if not answer.is_finished:
                raise _cut() from error
            chunk = b""
        if not chunk:
            answer.end()
            return
        has_said_something = answer.take(chunk)
        if answer.is_finished:
            patience.limit_to(_FAREWELL_SECONDS)
        else:
            patience.renew(has_said_something=has_said_something, has_begun=answer.has_begun)

    def _failure(self, response: aiohttp.ClientResponse, said: str, *, model: str) -> ProviderError:
        wait = waiting_time(response.headers.get("Retry-After"), self._clock)
        return failure(response.status, said=said, model=model, retry_after=wait)

    def _unreachable(self, error: Exception) -> ProviderError:
        place = urlsplit(self._base_url).netloc
        reason = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else None
        if isinstance(reason, AddressRefused):
            return ProviderRejected(str(reason))
        if isinstance(error, aiohttp.ClientSSLError):
            return ProviderUnreachable(
                f"The connection to {place} cannot be made secret: its certificate or TLS was not "
                "accepted. Check that the address begins with the right http:// or https://."
            )
        return ProviderUnreachable(
            f"No connection to {place}. Check that the model's server runs and that the address "
            "in the settings is right, then try again."
        )


class _Patience:
    """Until when the next bytes must come, on the event loop's clock."""

    __slots__ = ("_first", "_last_said", "_loop", "_stall", "until")

    def __init__(self, first: float, stall: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._first = first
        self._stall = stall
        self._last_said = self._loop.time()
        self.until = self._last_said + first

    def renew(self, *, has_said_something: bool, has_begun: bool) -> None:
        now = self._loop.time()
        if has_said_something:
            self._last_said = now
        if has_begun:
            self.until = min(now + self._stall, self._last_said + self._first)

    def limit_to(self, seconds: float) -> None:
        """Wait no longer than `seconds` from the first time that this is said."""
        self.until = min(self.until, self._loop.time() + seconds)


class _Answer:
    """What the server has said so far: bytes in, parts of the reply out."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._reader = SseReader()
        self._document: bytearray | None = None
        self._is_known = False
        self._has_chosen = False
        self._thinking = Thinking()
        self._parts: list[TextDelta | ReasoningDelta] = []
        self.usage: Usage | None = None
        self.reason: Literal["stop", "length", "filtered"] = "stop"
        self.is_finished = False
        """The model came to its end; only counts and goodbyes may follow."""
        self.is_over = False
        """Nothing more is waited for."""
        self.has_begun = False
        """The model has said something."""

    def take(self, chunk: bytes) -> bool:
        """Take in a chunk; whether it held more than signs of life. Raises ProviderError."""
        if not self._is_known:
            start = chunk.lstrip()[:1]
            self._is_known = bool(start)
            if start == b"{":
                self._document = bytearray()
        if self._document is not None:
            self._document += chunk
            if len(self._document) > MAX_DOCUMENT:
                raise _garbage()
            return False
        try:
            events = self._reader.feed(chunk)
        except NotAnEventStream as error:
            raise _garbage() from error
        self._hear(events)
        return bool(events)

    def end(self) -> None:
        """The connection ended. Raises ProviderError when the reply had not."""
        if self._document is not None:
            self._hear([bytes(self._document)])
            if not self._has_chosen:
                raise _garbage()
            self.is_finished = True
        else:
            try:
                events = self._reader.finish()
            except NotAnEventStream as error:
                raise _garbage() from error
            try:
                self._hear(events)
            except ProviderSentGarbage as error:
                raise _cut() from error
        if not self.is_finished:
            raise _cut()
        self.flush()
        self.is_over = True

    def flush(self) -> None:
        """Nothing follows: what could still have become a mark is the reply's."""
        for part in self._thinking.rest():
            self._add(part)

    def parts(self) -> list[TextDelta | ReasoningDelta]:
        """What was said since the last call, neighbours of one kind joined."""
        parts, self._parts = self._parts, []
        if len(parts) < 2:
            return parts
        joined: list[TextDelta | ReasoningDelta] = []
        for kind, group in itertools.groupby(parts, type):
            joined.append(kind("".join(part.text for part in group)))
        return joined

    def _hear(self, events: list[bytes]) -> None:
        for event in events:
            if event == b"[DONE]":
                if not self.is_finished:
                    raise _cut()
                self.flush()
                self.is_over = True
                return
            chunk = _decoded(event)
            if not self.is_finished and (chunk.error or chunk.object == "error"):
                raise self._fault(chunk.error or {"code": chunk.code, "type": chunk.message})
            if chunk.usage is not None:
                self.usage = Usage(chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
            if chunk.choices and chunk.choices[0].index == 0:
                self._choose(chunk.choices[0])

    def _choose(self, choice: "_Choice") -> None:
        self._has_chosen = True
        delta = choice.delta or choice.message
        if delta is not None:
            thought = delta.reasoning_content or delta.reasoning
            if isinstance(thought, str) and thought:
                self._add(ReasoningDelta(thought))
            content = delta.content
            if isinstance(content, list):
                content = "".join(piece.text for piece in content)
            if content:
                if self._thinking.is_over:
                    self._add(TextDelta(content))
                else:
                    self.has_begun = True
                    self._parts += self._thinking.parts(content)
        if choice.finish_reason:
            if choice.finish_reason == "error":
                raise self._fault(None)
            self.is_finished = True
            self.reason = _REASONS.get(choice.finish_reason, "stop")

    def _add(self, part: TextDelta | ReasoningDelta) -> None:
        self.has_begun = True
        self._parts.append(part)

    def _fault(self, error: object) -> ProviderError:
        """The error for an error object in the place of a reply."""
        status = 500
        said = str(error)
        if isinstance(error, dict):
            told = cast("dict[str, object]", error)
            code = told.get("code") or told.get("status")
            if isinstance(code, str) and code.isascii() and code.isdigit():
                code = int(code)
            kind = f"{code} {told.get('type')}"
            if isinstance(code, int) and 400 <= code < 600:
                status = code
            else:
                status = next((known for word, known in _KINDS if word in kind), 500)
        return failure(status, said=said, model=self._model, retry_after=None)


class _Piece(msgspec.Struct, gc=False):
    text: str = ""


class _Delta(msgspec.Struct):
    content: str | list[_Piece] | None = None
    reasoning_content: str | None = None
    reasoning: Any = None


class _Choice(msgspec.Struct):
    index: int = 0
    delta: _Delta | None = None
    message: _Delta | None = None
    finish_reason: str | None = None


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Chunk(msgspec.Struct):
    """One event, or a whole answer. Only what is used is named; all else may be as it likes."""

    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: Any = None
    object: Any = None
    code: Any = None
    message: Any = None


_DECODER: Final = msgspec.json.Decoder(_Chunk)
_REASONS: Final[dict[str, Literal["stop", "length", "filtered"]]] = {
    "length": "length",
    "max_tokens": "length",
    "content_filter": "filtered",
    "safety": "filtered",
}
_KINDS: Final = (
    ("context_length", 400),
    ("exceed_context", 400),
    ("rate_limit", 429),
    ("insufficient_quota", 429),
    ("invalid_api_key", 401),
    ("authentication", 401),
    ("permission", 403),
    ("not_found", 404),
    ("invalid_request", 400),
    ("overloaded", 503),
)
"""Error codes and types in words, and the HTTP status that says the same."""
_ADAPTATIONS: Final = (
    ("stream_options", "stream_options"),
    ("max_tokens", "max_completion_tokens"),
)
"""A field that some servers refuse, and the word in their answer that tells."""


def _decoded(event: bytes) -> _Chunk:
    """An event's JSON as a value.

    msgspec refuses a lone surrogate, but half an emoji may well end one delta and begin the next;
    json takes it, and so may a byte that is no UTF-8 pass as U+FFFD instead of ending the reply.
    """
    try:
        return _DECODER.decode(event)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        return msgspec.convert(json.loads(event.decode(errors="replace")), _Chunk)
    except (ValueError, RecursionError, msgspec.ValidationError) as error:
        raise _garbage() from error


@dataclass(slots=True)
class _Trip:
    """What is noted of one request on its way."""

    is_reused: bool = False


async def _note_reuse(_session: object, context: SimpleNamespace, _params: object) -> None:
    trip = context.trace_request_ctx
    if isinstance(trip, _Trip):
        trip.is_reused = True


async def _said(response: aiohttp.ClientResponse) -> str:
    """The beginning of a refusal, to be looked at and never shown; empty if it does not come."""
    body = bytearray()
    try:
        async with asyncio.timeout(_REFUSAL_SECONDS):
            while len(body) < _MAX_REFUSAL and (chunk := await response.content.readany()):
                body += chunk
    except (aiohttp.ClientError, OSError):
        pass
    return body.decode(errors="replace")


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    try:
        while chunk := await response.content.readany():
            body += chunk
            if len(body) > MAX_DOCUMENT:
                raise _garbage()
    except (aiohttp.ClientError, ConnectionError) as error:
        raise _cut() from error
    return bytes(body)


async def _let_end(response: aiohttp.ClientResponse) -> None:
    """Read the few bytes that close a tidy answer: only then can the connection be used again."""
    with contextlib.suppress(aiohttp.ClientError, OSError):
        async with asyncio.timeout(_CLOSE_SECONDS):
            await response.content.readany()


def _listed(body: bytes) -> tuple[Model, ...]:
    """The models in an answer, whichever of the known shapes it has."""
    try:
        answer = cast("object", json.loads(body))
    except (ValueError, RecursionError) as error:
        raise _garbage() from error
    if isinstance(answer, dict):
        fields = cast("dict[str, object]", answer)
        answer = fields.get("data", fields.get("models"))
    if not isinstance(answer, list):
        raise _garbage()
    models: dict[str, Model] = {}
    for entry in cast("list[object]", answer):
        fields = cast("dict[str, object]", entry) if isinstance(entry, dict) else {"id": entry}
        identity = fields.get("id") or fields.get("model") or fields.get("name")
        if isinstance(identity, str) and identity:
            title = fields.get("display_name") or fields.get("name")
            models.setdefault(
                identity,
                Model(
                    identity,
                    title if isinstance(title, str) and title else identity,
                    _context_length(fields),
                ),
            )
    return tuple(models.values())


def _context_length(fields: dict[str, object]) -> int | None:
    meta = fields.get("meta")
    inner = cast("dict[str, object]", meta) if isinstance(meta, dict) else {}
    for value in (
        fields.get("loaded_context_length"),
        fields.get("context_length"),
        fields.get("max_model_len"),
        fields.get("context_window"),
        fields.get("max_context_length"),
        inner.get("n_ctx"),
        inner.get("n_ctx_train"),
    ):
        if isinstance(value, int) and value > 0:
            return value
    return None


def _cut() -> ProviderStreamCut:
    return ProviderStreamCut(
        "The connection to the model broke off before the reply was whole. What came is kept; "
        "continue it or try again."
    )


def _garbage() -> ProviderSentGarbage:
    return ProviderSentGarbage(
        "What came back is not what a model's server sends. Check that the address in the "
        "settings leads to an OpenAI-compatible server: it usually ends in /v1."
    )


def _stalled() -> ProviderStalled:
    return ProviderStalled(
        "The model has said nothing for too long, so Talekeeper stopped waiting. What came is "
        "kept; continue it or try again."
    )
