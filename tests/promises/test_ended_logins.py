"""What is open ends with the login that it was opened with, within two seconds (S4).

Whoever follows is told why, and cannot come back by the same login: not by logout, by a token that was
revoked or has expired, nor by an account that was removed; and on PostgreSQL not where another
process did it.
"""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from pathlib import Path

import aiohttp
import psycopg
import pytest

from servers import Client, Event, Server, on_both_engines, served
from talekeeper.accounts.tokens import token_hash

PATHS = ["/api/events", "/api/conversations/{id}/events"]
PROMISED = 2.0


def _run(server: Server, sql: str) -> None:
    """Another process changes the database."""
    if server.database_url is None:
        with closing(sqlite3.connect(server.database, timeout=10)) as database, database:
            database.execute("PRAGMA foreign_keys = 1")
            database.execute(sql)
        return
    with psycopg.connect(server.database_url) as database:
        database.execute(sql)  # pyright: ignore[reportCallIssue, reportArgumentType]


def _expire(server: Server, token: str) -> None:
    _run(server, f"UPDATE access_tokens SET expires_at = 1 WHERE hash = '{token_hash(token)}'")


def _revoke(server: Server, token: str) -> None:
    _run(server, f"DELETE FROM access_tokens WHERE hash = '{token_hash(token)}'")


def _remove_account(server: Server, token: str) -> None:
    owner = f"(SELECT account_id FROM access_tokens WHERE hash = '{token_hash(token)}')"
    logs = f"log_id = {owner} OR log_id IN (SELECT id FROM conversations WHERE owner_id = {owner})"
    for table in ("events", "places"):
        _run(server, f"DELETE FROM {table} WHERE {logs}")
    _run(server, f"DELETE FROM accounts WHERE id = {owner}")


async def _all_of(client: Client, path: str, begun: asyncio.Event) -> list[Event]:
    """Every event of a stream, once it has ended."""
    events: list[Event] = []
    async with client.listening(path) as stream:
        while (some := await stream.some()) is not None:
            events += some
            begun.set()
    return events


async def _ended_by(
    client: Client, paths: Sequence[str], end: Callable[[], Awaitable[None]]
) -> list[Event]:
    """The last event of each stream. All of them stand before the `end`, and end in time after it."""
    begun = [asyncio.Event() for _ in paths]
    following = [
        asyncio.create_task(_all_of(client, path, each))
        for path, each in zip(paths, begun, strict=True)
    ]
    async with asyncio.timeout(30):
        for each in begun:
            await each.wait()
    await end()
    began = time.monotonic()
    async with asyncio.timeout(10):
        told = await asyncio.gather(*following)
    took = time.monotonic() - began
    print(f"{paths} ended after {took:.2f} s")
    assert took < PROMISED
    assert {events[0].name for events in told} == {"ready"}
    return [events[-1] for events in told]


def _is_why(last: Event) -> None:
    assert last.name == "end"
    assert last.data["code"] == "unauthenticated"
    assert "Log in again" in last.data["detail"]


@pytest.mark.req("S4")
@on_both_engines
@pytest.mark.parametrize("how", [_revoke, _expire, _remove_account])
async def test_a_stream_ends_when_its_token_does(
    either_server: Server, how: Callable[[Server, str], None]
):
    token = either_server.add_account(f"Bea, {how.__name__}")
    async with either_server.client(token) as bea:
        conversation = await bea.open()

        async def end() -> None:
            await asyncio.to_thread(how, either_server, token)

        paths = [path.format(id=conversation) for path in PATHS]
        for last in await _ended_by(bea, paths, end):
            _is_why(last)
        for path in [*paths, "/api/me"]:
            assert (await bea.ask("GET", path)).problem == (401, "unauthenticated")


async def _logged_in(server: Server) -> str:
    """The session cookie of a browser that opened a login link."""
    async with server.client() as owner:
        made = await owner.post("/api/login-links", {})
    async with aiohttp.ClientSession() as browser:
        answer = await browser.get(server.url + made["path"], allow_redirects=False)
        return f"tk_{server.port}={answer.cookies[f'tk_{server.port}'].value}"


class Browser(Client):
    """Asks with a session's cookie."""

    cookie: str

    def headers(self) -> dict[str, str]:
        return {"Cookie": self.cookie}


@pytest.mark.req("S4")
@pytest.mark.parametrize("path", PATHS)
async def test_logging_out_ends_the_streams_of_every_tab_and_of_no_other_browser(
    shared_server: Server, path: str
):
    async with shared_server.client(None) as nobody:
        mine, other = (Browser(shared_server, nobody.session, None) for _ in range(2))
        mine.cookie, other.cookie = [await _logged_in(shared_server) for _ in range(2)]
        path = path.format(id=await mine.open())
        begun = asyncio.Event()
        elsewhere = asyncio.create_task(_all_of(other, path, begun))
        await begun.wait()
        tab = asyncio.create_task(_all_of(mine, path, asyncio.Event()))

        async def end() -> None:
            answer = await mine.ask("POST", "/api/logout", {})
            assert answer.status == 204, answer.body

        _is_why((await _ended_by(mine, [path], end))[0])
        _is_why((await tab)[-1])
        assert not elsewhere.done()
        elsewhere.cancel()
        await asyncio.gather(elsewhere, return_exceptions=True)


@pytest.mark.req("S4")
@pytest.mark.postgres
async def test_a_login_that_another_process_ended_is_over_in_this_one(
    tmp_path: Path, postgres_database: str
):
    with (
        served(tmp_path / "one", database_url=postgres_database) as one,
        served(tmp_path / "two", database_url=postgres_database) as two,
    ):
        token = one.add_account("Bea")
        async with one.client(token) as here, two.client(token) as there:
            assert (await there.get("/api/me")).status == 200
            name = (await here.get("/api/tokens"))["items"][0]["id"]

            async def end() -> None:
                assert (await here.ask("DELETE", f"/api/tokens/{name}")).status == 204

            _is_why((await _ended_by(there, ["/api/events"], end))[0])
            assert (await there.ask("GET", "/api/me")).status == 401
            assert (await there.ask("GET", "/api/events")).status == 401


@pytest.mark.req("S4")
async def test_a_client_that_does_not_read_does_not_keep_its_stream(shared_server: Server):
    """What was sent before may wait in the sockets; the server gives the connection up."""
    token = shared_server.add_account("Deaf")
    async with shared_server.client(token) as deaf, shared_server.client() as owner:
        conversation = await deaf.open()
        reader, writer = await asyncio.open_connection("127.0.0.1", shared_server.port, limit=1)
        writer.write(
            f"GET /api/conversations/{conversation}/events HTTP/1.1\r\n"
            f"Host: 127.0.0.1:{shared_server.port}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        )
        assert await reader.readexactly(12) == b"HTTP/1.1 200"
        for _ in range(60):  # 12 MB are more than the sockets between the two take
            await deaf.say(conversation, "x" * 199_000, reply=False)
        before = await _followers(owner)
        _revoke(shared_server, token)
        began = time.monotonic()
        async with asyncio.timeout(10):
            while await _followers(owner) >= before:
                await asyncio.sleep(0.02)
        assert time.monotonic() - began < PROMISED
        writer.close()


@pytest.mark.req("S4")
async def test_a_provider_that_is_still_asked_is_given_up_when_the_login_ends(
    shared_server: Server,
):
    was_asked = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        was_asked.set()
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    async with silent, shared_server.client() as owner, shared_server.client(None) as nobody:
        browser = Browser(shared_server, nobody.session, None)
        browser.cookie = await _logged_in(shared_server)
        added = {"kind": "ollama", "base_url": f"http://127.0.0.1:{port}"}
        connection = (await owner.post("/api/connections", added))["id"]
        models = f"/api/connections/{connection}/models"
        asked = asyncio.create_task(browser.ask("GET", models))
        async with asyncio.timeout(10):
            await was_asked.wait()
        newest = (await owner.get("/api/tokens"))["items"][0]
        assert newest["kind"] == "session"
        began = time.monotonic()
        assert (await owner.ask("DELETE", f"/api/tokens/{newest['id']}")).status == 204
        assert (await asked).problem == (401, "unauthenticated")
        assert time.monotonic() - began < PROMISED
        await owner.ask("DELETE", f"/api/connections/{connection}")


async def _followers(owner: Client) -> int:
    shown = (await owner.ask("GET", "/metrics")).body.decode()
    line = next(each for each in shown.splitlines() if each.startswith("talekeeper_followers "))
    return int(float(line.split()[1]))
