"""The only way out: connections that go to allowed addresses and nowhere else.

`guarded_connector` asks for a name once, refuses it when any of its addresses is refused, and
hands exactly these addresses to the connection. Literal addresses never pass a resolver, so the
socket itself is refused as well: nothing is connected to that was not checked here.

The name stays in the request for TLS and the Host header. Redirects are not followed and no
proxy is taken from the environment; the caller sees to both.
"""

import socket
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from talekeeper.providers.reach import Reach, is_allowed, refusal


class AddressRefused(OSError):
    """The address is outside the reach. An OSError, so that it travels through the connector."""


def guarded_connector(
    reach: Reach, *, resolver: AbstractResolver | None = None
) -> aiohttp.TCPConnector:
    """A connector that only ever opens sockets to allowed addresses."""

    def open_socket(info: tuple[int, int, int, str, tuple[Any, ...]]) -> socket.socket:
        family, kind, protocol, _, place = info
        if not is_allowed(place[0], reach):
            raise AddressRefused(refusal(place[0]))
        return socket.socket(family=family, type=kind, proto=protocol)

    return aiohttp.TCPConnector(
        resolver=GuardedResolver(reach, inner=resolver),
        use_dns_cache=False,
        limit=0,  # a reply in waiting must not look like a server that cannot be reached
        socket_factory=open_socket,
    )


class GuardedResolver(AbstractResolver):
    """Resolves a name once for a connection and refuses it if any of its addresses is refused."""

    def __init__(self, reach: Reach, *, inner: AbstractResolver | None = None) -> None:
        self._reach = reach
        self._inner = inner or aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        answers = await self._inner.resolve(host, port, family)
        if not all(is_allowed(answer["host"], self._reach) for answer in answers):
            raise AddressRefused(refusal(host))
        return answers

    async def close(self) -> None:
        await self._inner.close()
