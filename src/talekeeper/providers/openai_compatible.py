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
import io
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Final, Literal
from urllib.parse import urlsplit

import aiohttp
import msgspec

from talekeeper.clock import Clock, SystemClock
from talekeeper.domain.replies import (
    Finished,
    Model,
    ReplyRequest,
    StreamPart,
)
from talekeeper.errors import (
    InvalidInput,
    ProviderError,
    ProviderRefusedKey,
    ProviderRejected,
    ProviderStalled,
    ProviderUnreachable,
)
from talekeeper.providers.failures import (
    broken_off,
    failure,
    fell_silent,
    not_the_protocol,
    waiting_time,
)
from talekeeper.providers.guard import AddressRefused, guarded_connector
from talekeeper.providers.openai_answers import MAX_DOCUMENT, Answer, listed
from talekeeper.providers.reach import Reach, checked_base_url

_MAX_REFUSAL: Final = 64 << 10
_REFUSAL_SECONDS: Final = 10.0
_CONNECT_SECONDS: Final = 15.0
_LIST_SECONDS: Final = 30.0
_FAREWELL_SECONDS: Final = 2.0
"""How long the usage and `[DONE]` may take once the reply is finished."""
_CLOSE_SECONDS: Final = 0.02
"""How long the answer's end may take after `[DONE]`, so that the connection can be used again."""

_ADAPTATIONS: Final = (
    ("stream_options", "stream_options"),
    ("max_tokens", "max_completion_tokens"),
)
"""A field that some servers refuse, and the word in their answer that tells."""


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
            answer = Answer(request.model)
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
        return listed(body)

    async def aclose(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _asked(self, request: ReplyRequest) -> aiohttp.ClientResponse:
        """The answer once it begins, with status 200. Raises ProviderError for any other."""
        while True:
            unwanted = frozenset(self._unwanted)
            body = _body(request, unwanted)
            try:
                async with asyncio.timeout(self._first_token_seconds):
                    response = await self._sent("POST", "chat/completions", body)
                    if response.status == 200:
                        return response
                    try:
                        said = await _said(response)
                    finally:
                        response.close()
            except TimeoutError as error:
                raise fell_silent() from error
            if not self._learned(response.status, said, unwanted):
                raise self._failure(response, said, model=request.model)

    def _learned(self, status: int, said: str, unwanted: frozenset[str]) -> bool:
        """Whether asking in another way will help. What was learned holds from then on.

        `unwanted` is what was left out already: a reply beside this one may have learned since.
        """
        if status not in (400, 422):
            return False
        for field, hint in _ADAPTATIONS:
            if hint in said and field not in unwanted:
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
                    # As a file it is sent piece by piece: a long history does not hold the loop.
                    data=None if body is None else io.BytesIO(body),
                    headers=headers,
                    allow_redirects=False,
                    trace_request_ctx=trip,
                )
            except aiohttp.ClientResponseError as error:
                raise not_the_protocol() from error
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
                raise self._unreachable(error) from error
            except aiohttp.InvalidURL as error:
                raise ProviderRejected(
                    "The provider's address cannot be read. Enter it again in the settings."
                ) from error
            except (aiohttp.ClientError, OSError) as error:
                if not trip.is_reused:
                    raise broken_off() from error

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
        self, response: aiohttp.ClientResponse, answer: Answer, patience: "_Patience"
    ) -> None:
        """Take in what has arrived. After the reply's own end, every fault is only the end."""
        try:
            async with asyncio.timeout_at(patience.until):
                chunk = await response.content.readany()
        except TimeoutError as error:
            if not answer.is_finished:
                raise fell_silent() from error
            chunk = b""
        except (aiohttp.ClientError, OSError) as error:
            if not answer.is_finished:
                raise broken_off() from error
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


def _body(request: ReplyRequest, unwanted: frozenset[str]) -> bytes:
    body: dict[str, object] = {
        "model": request.model,
        "messages": [{"role": turn.role, "content": turn.content} for turn in request.turns],
        "stream": True,
    }
    if "stream_options" not in unwanted:
        body["stream_options"] = {"include_usage": True}
    if request.max_tokens is not None:
        field = "max_completion_tokens" if "max_tokens" in unwanted else "max_tokens"
        body[field] = request.max_tokens
    if request.temperature is not None:
        body["temperature"] = request.temperature
    return msgspec.json.encode(body)


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
                raise not_the_protocol()
    except (aiohttp.ClientError, ConnectionError) as error:
        raise broken_off() from error
    return bytes(body)


async def _let_end(response: aiohttp.ClientResponse) -> None:
    """Read the few bytes that close a tidy answer: only then can the connection be used again."""
    with contextlib.suppress(aiohttp.ClientError, OSError):
        async with asyncio.timeout(_CLOSE_SECONDS):
            await response.content.readany()
