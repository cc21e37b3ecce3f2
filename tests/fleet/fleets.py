"""A fleet: several servers on one PostgreSQL and one Valkey, each behind faulty proxies of its own.

async with a_fleet(tmp_path, 3, postgres, valkey) as fleet:
    async with fleet.client(0) as one, fleet.anyone() as client:
        ...
        fleet.members[1].redis.cut()
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from engines import Valkey
from faulty_proxy import FaultyProxy
from servers import SERVE, TOKEN, Client, Server, troubles_of
from talekeeper.torture.serving import beside


@dataclass
class Member:
    """One server, and the proxies through which it reaches PostgreSQL and Valkey."""

    server: Server
    database: FaultyProxy
    redis: FaultyProxy
    is_reached: bool = True
    """Whether clients of the whole fleet ask it."""


@dataclass
class Fleet:
    members: list[Member]
    database_url: str
    chance: random.Random = field(default_factory=lambda: random.Random(7))

    @property
    def url(self) -> str:
        """A server of the fleet, another one each time, as a balancing proxy would choose."""
        reached = [each.server.url for each in self.members if each.is_reached]
        return self.chance.choice(reached)

    @property
    def servers(self) -> list[Server]:
        return [each.server for each in self.members]

    @asynccontextmanager
    async def anyone(self) -> AsyncGenerator[Client]:
        """Somebody whose every request goes to any server."""
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=30)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            yield Client(self, session, TOKEN)


@asynccontextmanager
async def a_fleet(
    folder: Path,
    size: int,
    database_url: str,
    valkey: Valkey,
    *,
    verifies: bool = True,
    command: Sequence[str] = SERVE,
) -> AsyncGenerator[Fleet]:
    """A fleet of that size. Left without an error, its store holds all that must be true of it."""
    database = urlsplit(database_url)
    assert database.port is not None
    async with AsyncExitStack() as stack:
        members: list[Member] = []
        for number in range(size):
            to_database = stack.enter_context(FaultyProxy(database.port))
            to_redis = stack.enter_context(FaultyProxy(valkey.port))
            server = Server(
                folder / f"server-{number}",
                database_url=database_url.replace(f":{database.port}/", f":{to_database.port}/"),
                env={"TALEKEEPER_REDIS_URL": valkey.url_at(to_redis.port)},
                command=command,
            )
            stack.push_async_callback(beside, server.end)
            members.append(Member(server, to_database, to_redis))
        await beside(members[0].server.start)  # alone: it makes the installation
        await asyncio.gather(*(beside(each.server.start) for each in members[1:]))
        fleet = Fleet(members, database_url)
        try:
            yield fleet
        except BaseException:
            for each in members:
                print(troubles_of(each.server))
            raise
        for each in members:
            each.database.mend()
            each.redis.mend()
            await beside(each.server.end)
        if verifies:
            found = await beside(members[0].server.violations)
            assert found == [], "\n".join(found)
