"""The line to a provider's server, whichever language is spoken over it.

It is one pool of guarded connections, the headers that let one in, and the patience: before the
first token a model may think for `first_token_seconds`; after it, `stall_seconds` without a byte
are a stall. Signs of life that say nothing (comments, pings) count as bytes, but no longer than
`first_token_seconds` in a row.

Whatever of an answer has arrived is parsed in one go and given on as one part, so a fast model
costs a few parts a turn of the event loop and not one a token.

Nothing that a server sends is repeated in an error, and neither is the key.
"""

import asyncio
import contextlib
import io
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Final, Protocol, cast
from urllib.parse import urlsplit

import aiohttp
from aiohttp.http_exceptions import ContentEncodingError

from talekeeper.clock import Clock, SystemClock
from talekeeper.domain.replies import Finished, StreamPart, Unheeded, Wish
from talekeeper.errors import (
    InvalidInput,
    ProviderError,
    ProviderRefusedKey,
    ProviderRejected,
    ProviderStalled,
    ProviderUnreachable,
)
from talekeeper.providers.answers import MAX_DOCUMENT, Answer
from talekeeper.providers.failures import (
    broken_off,
    failure,
    fell_silent,
    not_the_protocol,
    packed,
    refused_wish,
    said_nothing,
    waiting_time,
)
from talekeeper.providers.guard import AddressRefused, guarded_connector
from talekeeper.providers.patience import Patience
from talekeeper.providers.reach import Reach, checked_base_url, mended_address

_MAX_REFUSAL: Final = 64 << 10
_AT_ONCE: Final = 64 << 10
"""Bytes of a body that are handed over as they are; from a file, each piece costs a thread's turn."""
_REFUSAL_SECONDS: Final = 10.0
_CONNECT_SECONDS: Final = 15.0
_LIST_SECONDS: Final = 30.0
_FAREWELL_SECONDS: Final = 5.0
"""How long a reply may pause after a reason for its end. Then it is whole, though neither the
stream's end nor the protocol's last word has come."""
_CLOSE_SECONDS: Final = 0.02
"""How long the answer's end may take after its last event, so that the connection can be used
again."""


_ENCODINGS: Final = frozenset(("", "identity", "gzip", "deflate", "br", "zstd"))
"""The compressions that aiohttp undoes by itself, or refuses. None is asked for: each holds tokens
back."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is no success. `said` is its beginning: for hints, never to be shown."""

    status: int
    said: str
    retry_after: float | None


class Failing(Protocol):
    """The error for a status that is no success. `failures.failure` knows what all have in common;
    an adapter whose provider words things otherwise has its own.
    """

    def __call__(
        self, status: int, *, said: str, model: str, retry_after: float | None
    ) -> ProviderError: ...


class Line:
    """The line to the server at `base_url`. Connects to nothing until it is first used.

    `key_header` and `key_prefix` say how the key is shown; `headers` go with every request.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None,
        key_header: str = "Authorization",
        key_prefix: str = "Bearer ",
        headers: Mapping[str, str] | None = None,
        stall_seconds: float,
        first_token_seconds: float,
        reach: Reach,
        clock: Clock | None,
        failing: Failing = failure,
    ) -> None:
        self._base_url = base_url
        self._api_key = (api_key or "").strip()
        self._key_header = key_header
        self._key_prefix = key_prefix
        self._headers = {
            "Accept": "text/event-stream, application/json",
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
            "User-Agent": "Talekeeper",
            **(headers or {}),
        }
        self._stall_seconds = stall_seconds
        self._first_token_seconds = max(first_token_seconds, stall_seconds)
        self._reach = reach
        self._clock = clock or SystemClock()
        self._failing = failing
        self._session: aiohttp.ClientSession | None = None
        self._unmarked: set[str] = set()
        """The models whose latest reply began in thought without an opening mark."""

    async def ask(self, path: str, body: bytes) -> aiohttp.ClientResponse | Refusal:
        """The answer to a POST once it begins, to be given to `heard`; or why there is none.

        Raises ProviderError when nothing that could be an answer comes in time.
        """
        try:
            async with asyncio.timeout(self._first_token_seconds):
                response = await self._sent("POST", path, body)
                if response.status == 200:
                    _refuse_packed(response)
                    return response
                return await self._refused(response)
        except TimeoutError as error:
            raise fell_silent() from error

    async def heard(
        self, response: aiohttp.ClientResponse, answer: Answer, *, unheeded: Sequence[Wish] = ()
    ) -> AsyncGenerator[StreamPart]:
        """The parts of a reply as they come, Finished last. Raises ProviderError.

        The wishes that are `unheeded` are told first. The response is closed when the generator is,
        which must be iterated without an await between the response and the first part.

        A reply in which nothing was said raises as well: an empty message helps nobody.
        """
        if answer.model in self._unmarked:
            answer.thinking.begins_in_thought = True
        patience = Patience(response.content, self._first_token_seconds, self._stall_seconds)
        try:
            for wish in unheeded:
                yield Unheeded(wish)
            fault: ProviderError | None = None
            with _ending_with_its_connection(response):
                while fault is None and not answer.is_over:
                    try:
                        await _hear(response, answer, patience)
                    except ProviderError as error:
                        # What came before the fault, in the same burst even, is the reply's.
                        answer.flush()
                        fault = error
                    for part in answer.parts():
                        yield part
            if fault is not None:
                raise fault
            await _let_end(response)
            if answer.usage is not None:
                yield answer.usage
            if not answer.has_spoken:
                raise said_nothing(answer.reason)
            self._note_thinking(answer)
            yield Finished(answer.reason)
        finally:
            patience.end()
            response.close()

    async def document(self, path: str, body: bytes | None = None) -> bytes:
        """A whole small answer: to a GET, or to a POST of `body`. Raises ProviderError."""
        try:
            async with asyncio.timeout(_LIST_SECONDS):
                response = await self._sent("GET" if body is None else "POST", path, body)
                try:
                    if response.status != 200:
                        raise self.failure(await self._refused(response), model="")
                    _refuse_packed(response)
                    return await _whole(response)
                finally:
                    response.close()
        except TimeoutError as error:
            raise ProviderStalled(
                "The provider did not list its models in time. Try again."
            ) from error

    def failure(
        self, refusal: Refusal, *, model: str, wishes: Sequence[Wish] = ()
    ) -> ProviderError:
        """The error that a refusal means. `wishes` are those of the request that was refused."""
        error = self._failing(
            refusal.status, said=refusal.said, model=model, retry_after=refusal.retry_after
        )
        if isinstance(error, ProviderRejected) and refusal.status in (400, 422):
            return refused_wish(refusal.said, wishes) or error
        return error

    async def aclose(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _note_thinking(self, answer: Answer) -> None:
        """Remember of a model whether its reply began in thought, with no mark to tell."""
        if answer.thinking.is_unmarked:
            self._unmarked.add(answer.model)
        elif answer.reason != "length":
            self._unmarked.discard(answer.model)

    async def _refused(self, response: aiohttp.ClientResponse) -> Refusal:
        """The refusal in `response`, which is closed."""
        try:
            said = await _said(response)
        finally:
            response.close()
        wait = waiting_time(response.headers.get("Retry-After"), self._clock)
        return Refusal(response.status, said, wait)

    async def _sent(self, method: str, path: str, body: bytes | None) -> aiohttp.ClientResponse:
        url = self._url(path)
        headers = self._shown_headers()
        # A server may close an idle connection at the moment when it is used again. Only then is
        # a question that got no answer asked twice: on a fresh connection that might cost twice.
        while True:
            trip = _Trip()
            try:
                return await self._opened().request(
                    method,
                    url,
                    # As a file it is sent piece by piece: a long history does not hold the loop.
                    data=io.BytesIO(body) if body and len(body) > _AT_ONCE else body,
                    headers=headers,
                    allow_redirects=False,
                    trace_request_ctx=trip,
                )
            except aiohttp.ClientResponseError as error:
                raise (packed() if _is_packed(error) else not_the_protocol()) from error
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
                raise self._unreachable(error) from error
            except aiohttp.InvalidURL as error:
                raise ProviderRejected(
                    "The provider's address cannot be read. Enter it again in the settings."
                ) from error
            except (aiohttp.ClientError, OSError) as error:
                if not trip.is_reused:
                    raise broken_off() from error

    def _url(self, path: str) -> str:
        """`path` below the base; one that begins with / stands beside the base's own /v1."""
        try:
            base = checked_base_url(self._base_url, self._reach)
        except InvalidInput as error:
            raise ProviderRejected(error.message) from error
        return base.removesuffix("/v1") + path if path.startswith("/") else f"{base}/{path}"

    def _shown_headers(self) -> dict[str, str]:
        if not self._api_key:
            return self._headers
        if not (self._api_key.isascii() and self._api_key.isprintable()):
            raise ProviderRefusedKey(
                "The API key contains characters that a key cannot contain. Enter it again."
            )
        return {**self._headers, self._key_header: f"{self._key_prefix}{self._api_key}"}

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

    def _unreachable(self, error: Exception) -> ProviderError:
        place = urlsplit(mended_address(self._base_url)).netloc
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


async def _hear(response: aiohttp.ClientResponse, answer: Answer, patience: Patience) -> None:
    """Take in what has arrived. After the reply's own end, every fault is only the end."""
    try:
        chunk = await _arrived(response)
    except TimeoutError as error:
        if not answer.is_finished:
            raise fell_silent() from error
        chunk = b""
    except (aiohttp.ClientError, OSError) as error:
        if not answer.is_settled:
            raise broken_off() from error
        chunk = b""
    if not chunk:
        answer.end()
        return
    has_said_something = answer.take(chunk)
    if answer.has_news or not answer.is_settled:
        patience.renew(has_said_something=has_said_something, has_begun=answer.has_begun)
    if answer.is_settled:
        patience.limit_to(_FAREWELL_SECONDS)


async def _arrived(response: aiohttp.ClientResponse) -> bytes:
    """What has come of a body, once something has; empty at its end. Raises aiohttp.ClientError or
    OSError, and no other error: aiohttp has a plain RuntimeError for a connection that was lost in
    the turn of the loop in which its reader was woken.
    """
    body = response.content
    try:
        return await body.readany()
    except RuntimeError as error:
        raise aiohttp.ClientPayloadError from error
    except (aiohttp.ClientError, OSError) as error:
        words = _left_in(body)
        if not (words and isinstance(error, TimeoutError)):
            body.set_exception(error)
        if not words:
            raise
        return words


def _left_in(body: aiohttp.StreamReader) -> bytes:
    """What arrived before an error and was not read: aiohttp gives out the error first."""
    body.set_exception(cast("BaseException", None))
    try:
        return body.read_nowait()
    except RuntimeError:
        return b""


@contextlib.contextmanager
def _ending_with_its_connection(response: aiohttp.ClientResponse) -> Generator[None]:
    """Within, a body that is not whole when its connection is closed has broken off.

    aiohttp says so itself but where the body's framing is wrong: it hangs up then, and tells only
    whoever waits for headers.
    """
    body = response.content
    protocol = response.connection.protocol if response.connection is not None else None
    closed = protocol.closed if protocol is not None else None
    if closed is None:
        yield
        return

    def tell(closed: "asyncio.Future[None]") -> None:
        if body.exception() is None and not body.is_eof():
            body.set_exception(_end_of(closed) or aiohttp.ClientPayloadError())

    closed.add_done_callback(tell)
    try:
        yield
    finally:
        closed.remove_done_callback(tell)
        # Seen, how it ends later is no news: nobody is reading then. Once is enough for all.
        closed.remove_done_callback(_end_of)
        closed.add_done_callback(_end_of)


def _end_of(closed: "asyncio.Future[None]") -> BaseException | None:
    """The error with which a connection was closed; None for none."""
    return None if closed.cancelled() else closed.exception()


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
            while len(body) < _MAX_REFUSAL and (chunk := await _arrived(response)):
                body += chunk
    except (aiohttp.ClientError, OSError):
        pass
    return body.decode(errors="replace")


def _is_packed(error: BaseException | None) -> bool:
    """Whether aiohttp failed since it cannot undo the answer's compression."""
    while error is not None and not isinstance(error, ContentEncodingError):
        error = error.__cause__
    return error is not None


def _refuse_packed(response: aiohttp.ClientResponse) -> None:
    """Raises ProviderSentGarbage for a body that is compressed in a way that is not read here."""
    encodings = response.headers.get("Content-Encoding", "")
    for encoding in encodings.lower().split(","):
        if encoding.strip() not in _ENCODINGS:
            response.close()
            raise packed()


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    try:
        while chunk := await _arrived(response):
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
            await _arrived(response)
