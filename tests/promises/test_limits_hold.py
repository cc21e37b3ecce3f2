"""Limits on real servers: over processes, behind proxies, with a Redis that goes (S9)."""

import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from engines import Valkey
from servers import Client, new_id, served, until

pytestmark = pytest.mark.req("S9")

GROWING = "[[tokens 3]] [[pace 60s]]"


async def limits_of(client: Client, times: int, content: str = "Hail") -> list[str | None]:
    """What it is said that many times, each in a conversation of its own: the limits that held."""
    found: list[str | None] = []
    for _ in range(times):
        sent = await client.say(await client.open(), content)
        assert (sent["reply"] is None) == (sent["limited"] is not None)
        found.append(sent["limited"] and sent["limited"]["code"])
    return found


@pytest.fixture
def two_servers(tmp_path: Path, postgres_database: str) -> Callable[..., Any]:
    """Two server processes on one PostgreSQL."""

    async def opened(stack: AsyncExitStack, **settings: str) -> list[Client]:
        env = {f"TALEKEEPER_{name.upper()}": value for name, value in settings.items()}
        clients = []
        for name in ("one", "other"):
            server = stack.enter_context(
                served(tmp_path / name, database_url=postgres_database, env=env)
            )
            clients.append(await stack.enter_async_context(server.client()))
        return clients

    return opened


@pytest.mark.postgres
async def test_replies_at_once_are_counted_over_all_processes(
    two_servers: Callable[..., Awaitable[list[Client]]],
) -> None:
    async with AsyncExitStack() as stack:
        one, other = await two_servers(stack, generations_at_once="3")
        assert await limits_of(one, 2, GROWING) == [None, None]
        sent = await other.say(await other.open(), GROWING)
        assert sent["limited"] is None
        assert await limits_of(one, 1) == ["too_many_at_once"]
        assert await limits_of(other, 1) == ["too_many_at_once"]
        await other.post(f"/api/generations/{sent['generation_id']}/stop")
        assert await limits_of(one, 1) == [None]


@pytest.mark.postgres
async def test_replies_a_minute_are_counted_together_in_redis_and_never_unlimited(
    two_servers: Callable[..., Awaitable[list[Client]]], valkey: Valkey
) -> None:
    """On a busy machine Redis may answer too late, and a process then counts half for itself."""
    async with AsyncExitStack() as stack:
        one, other = await two_servers(stack, generations_per_minute="6", redis_url=valkey.url)
        passed = (await limits_of(one, 8) + await limits_of(other, 8)).count(None)
        assert 3 <= passed <= 9
        valkey.kill()
        began = time.monotonic()
        passed = (await limits_of(one, 10) + await limits_of(other, 10)).count(None)
        assert passed <= 6
        assert time.monotonic() - began < 20


async def test_more_streams_than_an_account_may_have_are_told_to_wait(tmp_path: Path) -> None:
    env = {"TALEKEEPER_STREAMS_AT_ONCE": "2"}
    with served(tmp_path, env=env) as server:
        async with server.client() as client:
            path = f"/api/conversations/{await client.open()}/events"
            for _ in range(3):  # what cannot be opened takes no place
                missing = await client.get(f"/api/conversations/{new_id()}/events")
                assert missing.problem == (404, "not_found")
            async with client.listening("/api/events"):
                async with client.listening(path):
                    for each in ("/api/events", path):
                        answer = await client.get(each)
                        assert answer.problem == (429, "too_many_at_once")
                        assert answer.headers["Retry-After"] == "5"

                async def opens() -> bool:
                    try:
                        async with client.listening(path):
                            return True
                    except AssertionError:
                        return False

                await until(opens)


@pytest.mark.parametrize(
    ("trusted", "statuses"),
    [("127.0.0.1", [401, 401, 401]), ("192.0.2.99", [401, 429, 429])],
    ids=["a proxy of ours", "anybody"],
)
async def test_an_address_is_taken_from_a_header_only_where_the_proxy_is_ours(
    tmp_path: Path, trusted: str, statuses: list[int]
) -> None:
    env = {
        "TALEKEEPER_LOGINS_PER_MINUTE": "1",
        "TALEKEEPER_BEHIND_PROXY": "true",
        "TALEKEEPER_PROXY_ADDRESSES": trusted,
    }
    with served(tmp_path, env=env) as server:
        async with server.client(token=None) as client:
            found = []
            for number in range(3):
                said = {"X-Forwarded-For": f"198.51.100.7, 203.0.113.{number}"}
                answer = await client.ask("GET", "/login?token=guessed", headers=said)
                found.append(answer.status)
            assert found == statuses


async def test_without_a_proxy_no_header_says_where_a_request_comes_from(tmp_path: Path) -> None:
    with served(tmp_path, env={"TALEKEEPER_LOGINS_PER_MINUTE": "1"}) as server:
        async with server.client(token=None) as client:
            for number, status in enumerate((401, 429, 429)):
                said = {
                    "X-Forwarded-For": f"203.0.113.{number}",
                    "X-Real-IP": f"203.0.113.{number}",
                }
                answer = await client.ask("GET", "/login?token=guessed", headers=said)
                assert answer.status == status
