"""What stands before every route: which requests come in at all, and what every answer bears.

A page on another site can make a browser send requests here, and by rebinding a name of its own
to this machine it can even read the answers. So, before routing and before anybody is known:

1. The `Host` is one of ours, port included; missing or doubled ones are refused (421). Case is no
   matter, nor is the dot that ends a fully qualified name.
2. The URL is at most 4 KiB and the headers at most 16 KiB.
3. What is under /api, and whatever changes something, comes from our own page or from no page:
   `Origin`, where there is one, is the origin that the request came to, and `Sec-Fetch-Site`,
   where there is one, is same-origin or none.
4. What changes something is `application/json`, which no page of another site can send unasked,
   even when its body is empty.
5. A body is at most `MAX_BODY` bytes, counted as it comes, and is here within 30 seconds.

Where the public address has a path, everything stands under it. A proxy may strip that path or
leave it: it is stripped here where it was left, so that nothing inside knows of it.

Every answer bears the security headers, errors and files too. Nothing is buffered: answers pass
through piece by piece. There are no CORS headers.
"""

import asyncio
import secrets
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import structlog
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from talekeeper.api.problems import Problem, Refusal, lost
from talekeeper.domain.conversations import MAX_CONTENT
from talekeeper.settings import Settings

MAX_URL = 4 * 1024
MAX_HEADERS = 16 * 1024
MAX_BODY = 12 * MAX_CONTENT + 64 * 1024
"""Bytes. The longest message in JSON's longest spelling, `\\uXXXX\\uXXXX` a character, and the rest."""
BODY_SECONDS = 30.0

READING = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing; every other one is taken to change something."""

_OWN_PAGE = (b"same-origin", b"none")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self' 'nonce-",
    (
        b"'; img-src 'self' blob:; connect-src 'self'; font-src 'self'; base-uri 'none'; "
        b"object-src 'none'; form-action 'self'; frame-ancestors 'none'; "
        b"require-trusted-types-for 'script'"
    ),
)
_POWERS = (
    "accelerometer",
    "browsing-topics",
    "camera",
    "display-capture",
    "geolocation",
    "gyroscope",
    "hid",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "serial",
    "usb",
    "xr-spatial-tracking",
)
_ALWAYS: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", ", ".join(f"{power}=()" for power in _POWERS).encode()),
)
_NO_STORE = (b"cache-control", b"no-store")
_HSTS = (b"strict-transport-security", b"max-age=31536000")

log = structlog.stdlib.get_logger("talekeeper.access")


@dataclass(frozen=True, slots=True)
class Doors:
    """Under which names the server may be reached, and from which page."""

    hosts: frozenset[bytes]
    public_origin: bytes | None = None
    tls_host: bytes | None = None
    """The host that a proxy serves over TLS, whether or not it says so in its headers."""
    base_path: str = ""
    """The path of the public address, without a slash at its end."""
    logs_all: bool = False

    @classmethod
    def of(cls, settings: Settings) -> "Doors":
        """The doors of a server with these settings."""
        names = ["127.0.0.1", "localhost", "[::1]", *settings.allowed_hosts]
        if settings.host not in ("0.0.0.0", "::"):  # noqa: S104
            bare = settings.host.strip("[]")
            names.append(f"[{bare}]" if ":" in bare else bare)
        scheme = "https" if settings.is_tls else "http"
        hosts = {host for name in names for host in _spellings(name, settings.port, scheme)}
        if settings.behind_proxy:
            hosts.update(name for name in settings.allowed_hosts if not _has_port(name))
        origin = tls_host = None
        if settings.public_url is not None:
            parts = urlsplit(settings.public_url)
            hosts.update(_spellings(parts.netloc, _default_port(parts.scheme), parts.scheme))
            origin = _origin(parts.scheme, _host(parts.netloc.encode()))
            if settings.behind_proxy and parts.scheme == "https":
                tls_host = origin.removeprefix(b"https://")
        return cls(
            frozenset(_host(host.encode()) for host in hosts),
            origin,
            tls_host,
            settings.base_path,
            settings.log_level == "debug",
        )


def _has_port(name: str) -> bool:
    return ":" in name.rpartition("]")[2]


def _default_port(scheme: str) -> int:
    return int(_DEFAULT_PORTS[scheme][1:])


def _spellings(name: str, port: int, scheme: str) -> set[str]:
    """How a browser may write the host `name`: the scheme's default port is left out."""
    full = name if _has_port(name) else f"{name}:{port}"
    default = _DEFAULT_PORTS[scheme]
    return {full, full.removesuffix(default)} if full.endswith(default) else {full}


def _host(written: bytes) -> bytes:
    """A host and its port as they are compared."""
    name, colon, port = written.strip().lower().partition(b":")
    return name.removesuffix(b".") + colon + port


def _same_host(origin: bytes) -> bytes:
    """A page's origin as it is compared."""
    scheme, slashes, host = origin.partition(b"://")
    return scheme + slashes + _host(host)


def _origin(scheme: str, host: bytes) -> bytes:
    """The origin of a page at `host`, as browsers write it."""
    return scheme.encode() + b"://" + host.removesuffix(_DEFAULT_PORTS[scheme].encode())


class Access:
    """The ASGI application inside, behind the rules of this module."""

    def __init__(self, app: ASGIApp, doors: Doors) -> None:
        self.app = app
        self.doors = doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
                return
            await self.app(scope, receive, send)
            return

        nonce = secrets.token_urlsafe(16)
        state = scope.setdefault("state", {})
        state["nonce"] = nonce
        state["base_path"] = self.doors.base_path
        self._strip_base(scope)
        path: str = scope["path"]
        is_api = path.startswith("/api")
        if self.doors.tls_host is not None and any(
            name == b"host" and _host(value) == self.doors.tls_host
            for name, value in scope["headers"]
        ):
            scope["scheme"] = "https"
        is_tls = scope.get("scheme") == "https"
        status = 0

        async def dressed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers: list[tuple[bytes, bytes]] = list(message.get("headers", ()))
                names = {name for name, _ in headers}
                headers.extend(_ALWAYS)
                if b"content-security-policy" not in names:
                    headers.append((b"content-security-policy", nonce.encode().join(_POLICY)))
                if is_api and b"cache-control" not in names:
                    headers.append(_NO_STORE)
                if is_tls:
                    headers.append(_HSTS)
                message["headers"] = headers
            await send(message)

        began = time.perf_counter() if self.doors.logs_all else 0.0
        refused = refusal(scope, self.doors)
        try:
            if refused is not None:
                await refused.response(scope)(scope, receive, dressed)
            elif scope["method"] in READING:
                await self.app(scope, receive, dressed)
            else:
                await self.app(scope, _bounded(receive), dressed)
        except Exception as error:  # noqa: BLE001
            # Nothing may reach the server's own handler: it would log the message, which may
            # quote what somebody wrote, and answer without the headers. An answer that has begun
            # is left unfinished, which ends the connection.
            answer = lost(error, scope)
            if not status:
                await answer(scope, receive, dressed)
        if self.doors.logs_all:
            took = round((time.perf_counter() - began) * 1000, 2)
            log.debug(
                "api.answered", method=scope["method"], path=path[:200], status=status, ms=took
            )

    def _strip_base(self, scope: Scope) -> None:
        base, path = self.doors.base_path, scope["path"]
        if base and (path == base or path.startswith(f"{base}/")):
            scope["path"] = path[len(base) :] or "/"
            scope["raw_path"] = scope["path"].encode()


def refusal(scope: Scope, doors: Doors) -> Problem | None:
    """Why a request does not come in, or None when it does."""
    host: bytes | None = None
    hosts = 0
    content_types: list[bytes] = []
    origins: list[bytes] = []
    sites: list[bytes] = []
    length = 0
    size = 0
    is_bodiless = True
    has_bearer = False
    for name, value in scope["headers"]:
        size += len(name) + len(value) + 4
        if name == b"host":
            host = value
            hosts += 1
        elif name == b"origin":
            origins.append(value)
        elif name == b"sec-fetch-site":
            sites.append(value)
        elif name == b"content-type":
            content_types.append(value)
        elif name == b"content-length":
            length = int(value) if value.isdigit() and len(value) < 20 else 10**19
            is_bodiless = is_bodiless and length == 0
        elif name == b"transfer-encoding":
            is_bodiless = False
        elif name == b"authorization":
            has_bearer = True

    host = None if host is None or hosts != 1 else _host(host)
    if host is None or host not in doors.hosts:
        return _UNKNOWN_HOST
    raw_path: bytes = scope.get("raw_path") or b""
    address = len(raw_path) + len(scope["query_string"])
    if address > MAX_URL:
        return _too_large(414, "The address is too long", address, MAX_URL)
    if size > MAX_HEADERS:
        return _too_large(431, "The header is too large", size, MAX_HEADERS)

    changes = scope["method"] not in READING
    if changes or scope["path"].startswith("/api"):
        own = _origin(scope.get("scheme", "http"), host)
        if any(_same_host(origin) not in (own, doors.public_origin) for origin in origins):
            return _OTHER_ORIGIN
        if any(site not in _OWN_PAGE for site in sites):
            return _OTHER_ORIGIN
    if changes:
        # A script that says nothing needs no type: no foreign page can send its Authorization.
        needs_no_type = is_bodiless and has_bearer and not content_types
        if not needs_no_type and (len(content_types) != 1 or not _is_json(content_types[0])):
            return _NOT_JSON
        if length > MAX_BODY:
            return _too_large(413, "The body is too large", length, MAX_BODY)
    return None


def _too_large(status: int, what: str, size: int, most: int) -> Problem:
    return Problem(status, "too_large", f"{what}: it has {size:,} bytes and may have {most:,}.")


def _is_json(content_type: bytes) -> bool:
    kind, _, parameters = content_type.partition(b";")
    if kind.strip().lower() != b"application/json":
        return False
    return parameters.strip().lower().replace(b'"', b"") in (b"", b"charset=utf-8")


def _bounded(receive: Receive) -> Receive:
    """`receive`, for as long as the body comes within its size and its time."""
    size = 0
    is_whole = False
    deadline = asyncio.get_running_loop().time() + BODY_SECONDS

    async def bounded() -> Message:
        nonlocal size, is_whole
        if is_whole:
            return await receive()
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise Refusal(
                408,
                "invalid_input",
                f"The body did not come within {BODY_SECONDS:g} seconds. Send it again.",
                retryable=True,
                closes=True,
            ) from None
        if message["type"] == "http.request":
            size += len(message.get("body", b""))
            if size > MAX_BODY:
                raise Refusal(
                    413, "too_large", f"The body is too large: it may have {MAX_BODY:,} bytes."
                )
            is_whole = not message.get("more_body", False)
        return message

    return bounded


_UNKNOWN_HOST = Problem(
    421,
    "unknown_host",
    "This server does not answer under that host name. Use the address that it printed at its "
    "start, or add the name to TALEKEEPER_ALLOWED_HOSTS.",
)
_NOT_JSON = Problem(
    415, "invalid_input", "Send the body as JSON, with the header Content-Type: application/json."
)
_OTHER_ORIGIN = Problem(
    403,
    "forbidden",
    "This request was made by a page of another site. Open Talekeeper itself; behind a proxy set "
    "TALEKEEPER_PUBLIC_URL to the address that people type.",
)


def mount_access(app: FastAPI, settings: Settings) -> None:
    """Put the rules before everything that `app` has. Add no other middleware after this."""
    app.add_middleware(Access, doors=Doors.of(settings))
