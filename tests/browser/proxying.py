"""A reverse proxy that serves a Talekeeper under a path of its own, as nginx or Caddy would.

async with a_proxy("/tales", strips=True) as proxy:
    with served(folder, env=proxy.env) as server:
        proxy.upstream = server.url
        ... open proxy.url
"""

import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

_OF_THE_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})


@dataclass
class Proxy:
    """`strips`: the path is taken off before the request goes on. `keeps_host`: its Host is not."""

    port: int
    path: str
    strips: bool
    keeps_host: bool
    upstream: str = ""
    strayed: list[str] = field(default_factory=list[str])
    """What was asked for outside of the path."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.path}"

    @property
    def env(self) -> dict[str, str]:
        return {"TALEKEEPER_PUBLIC_URL": f"{self.url}/"}


@asynccontextmanager
async def a_proxy(path: str, *, strips: bool, keeps_host: bool = True) -> AsyncGenerator[Proxy]:
    """A proxy that passes on what is asked under `path`, and answers 404 to everything else."""
    listening = socket.create_server(("127.0.0.1", 0))
    proxy = Proxy(listening.getsockname()[1], path, strips, keeps_host)

    async def pass_on(request: web.Request) -> web.StreamResponse:
        asked = request.raw_path
        if not (asked.startswith(f"{path}/") or asked.partition("?")[0] == path):
            proxy.strayed.append(asked)
            return web.Response(status=404, text="Another program's.")
        target = asked.removeprefix(path) or "/" if strips else asked
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in _OF_THE_HOP
        }
        if not keeps_host:
            headers["Host"] = urlsplit(proxy.upstream).netloc
        async with session.request(
            request.method,
            proxy.upstream + target,
            headers=headers,
            data=await request.read() or None,
            allow_redirects=False,
        ) as answer:
            passed = web.StreamResponse(status=answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in _OF_THE_HOP:
                    passed.headers.add(name, value)
            await passed.prepare(request)
            async for piece in answer.content.iter_any():
                await passed.write(piece)
            return passed

    app = web.Application(client_max_size=1 << 24)
    app.router.add_route("*", "/{anything:.*}", pass_on)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(auto_decompress=False, timeout=timeout) as session:
        await runner.setup()
        await web.SockSite(runner, listening).start()
        try:
            yield proxy
        finally:
            await runner.cleanup()
