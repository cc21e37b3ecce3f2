"""Limits over HTTP: what was typed is stored, all else waits its turn and is told how long (S9)."""

from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from accounts.arranging import StoodClock
from api.asking import TOKEN, Answer, ask, bearing, post, served
from api.test_connections import a_server
from talekeeper.accounts.entering import issue_login
from talekeeper.api.limits import address_of
from tales import new_id

pytestmark = pytest.mark.req("S9")

OWNER = bearing(TOKEN)


async def said(app: FastAPI, content: str = "Who is there?", **wish: Any) -> Answer:
    """It is said in a conversation of its own, and its reply, if it has one, has ended."""
    opened = await post(app, "/api/conversations", {}, OWNER)
    path = f"/api/conversations/{opened.json()['id']}/messages"
    answer = await post(app, path, {"id": new_id(), "content": content, **wish}, OWNER)
    generation_id = answer.json().get("generation_id")
    if generation_id is not None:
        await app.state.keeper.generations.wait(generation_id)
    return answer


async def refused(asking: Awaitable[Answer], code: str = "too_often") -> int:
    """The seconds that it is told to wait."""
    answer = await asking
    assert answer.status == 429
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["code"], problem["retryable"], problem["status"]) == (code, True, 429)
    assert str(problem["retry_after"]) == answer.headers["retry-after"]
    return int(answer.headers["retry-after"])


@pytest.mark.req("C-S9")
async def test_a_send_over_the_limit_is_stored_and_what_has_no_words_is_told_to_wait(
    tmp_path: Path,
) -> None:
    async with a_server(tmp_path, provider="scripted", generations_per_minute=1) as app:
        first = await said(app)
        assert (first.status, first.json()["limited"]) == (201, None)
        second = await said(app, "Remember me.")
        assert second.status == 201
        assert (second.json()["reply"], second.json()["generation_id"]) == (None, None)
        limited = second.json()["limited"]
        assert limited["code"] == "too_often"
        assert 50 < limited["retry_after"] <= 60
        message = second.json()["message"]
        path = f"/api/conversations/{message['conversation_id']}/messages"
        found = (await ask(app, "GET", path, OWNER)).json()["items"]
        assert [each["content"] for each in found] == ["Remember me."]
        reply = first.json()["reply"]["id"]
        for asked in (f"{message['id']}/regenerate", f"{reply}/regenerate", f"{reply}/continue"):
            answer = post(app, f"/api/messages/{asked}", {"id": new_id()}, OWNER)
            assert 50 < await refused(answer) <= 60
        assert (await said(app, "A note.", reply=False)).json()["limited"] is None
        for _ in range(40):
            assert (await said(app, "And on.")).status == 201


async def test_searches_over_the_limit_are_told_to_wait_and_zero_switches_it_off(
    tmp_path: Path,
) -> None:
    async with a_server(tmp_path / "a", searches_per_minute=2) as app:
        for _ in range(2):
            assert (await ask(app, "GET", "/api/search?q=mill", OWNER)).status == 200
        assert 50 < await refused(ask(app, "GET", "/api/search?q=mill", OWNER)) <= 60
        assert (await ask(app, "GET", "/api/me", OWNER)).status == 200
    async with a_server(tmp_path / "b", searches_per_minute=0) as app:
        for _ in range(100):
            assert (await ask(app, "GET", "/api/search?q=mill", OWNER)).status == 200


async def a_link(app: FastAPI) -> str:
    return f"/login?token={await issue_login(app.state.keeper.store)}"


async def test_a_login_link_that_comes_too_often_is_not_used_up(tmp_path: Path) -> None:
    clock = StoodClock()
    async with served(tmp_path, clock=clock, logins_per_minute=3) as app:
        link = await a_link(app)
        for _ in range(3):
            assert (await ask(app, "GET", "/login?token=guessed")).status == 401
        clock.go(15_000)
        answer = await ask(app, "GET", link)
        assert (answer.status, answer.headers["retry-after"]) == (429, "45")
        assert b"not used up. Open it again in 45 seconds" in answer.body
        assert answer.headers["cache-control"] == "no-store"
        clock.go(45_000)
        assert (await ask(app, "GET", link)).status == 303


async def test_links_that_let_somebody_in_are_not_limited(tmp_path: Path) -> None:
    """A whole table logs in from one house."""
    async with served(tmp_path, clock=StoodClock(), logins_per_minute=2) as app:
        for _ in range(8):
            assert (await ask(app, "GET", await a_link(app))).status == 303
        assert (await ask(app, "GET", "/login?token=guessed")).status == 401


async def test_each_address_has_its_own_limit_and_a_house_of_ipv6_one(tmp_path: Path) -> None:
    async with served(tmp_path, clock=StoodClock(), logins_per_minute=1) as app:

        async def guessed(client: str) -> int:
            return (await ask(app, "GET", "/login?token=guessed", client=client)).status

        assert await guessed("192.0.2.1") == 401
        assert await guessed("192.0.2.1") == 429
        assert await guessed("::ffff:192.0.2.1") == 429
        assert await guessed("192.0.2.2") == 401
        assert await guessed("2001:db8:0:1::1") == 401
        assert await guessed("2001:db8:0:1:ffff::2") == 429
        assert await guessed("2001:db8:0:2::1") == 401


@pytest.mark.parametrize(
    ("client", "address"),
    [
        (("192.0.2.1", 1), "192.0.2.1"),
        (("fe80::1%eth0", 1), "fe80::"),
        (("x" * 10_000, 0), "x" * 45),
        (None, "local"),
    ],
)
def test_whatever_stands_in_place_of_an_address_is_counted(client: Any, address: str) -> None:
    assert address_of({"type": "http", "client": client}) == address
