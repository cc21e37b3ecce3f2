"""One place says who asks: by cookie or by bearer token, never by both (S2, S3, S4)."""

from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from pathlib import Path

import pytest
from fastapi import FastAPI

from api.asking import JSON, TOKEN, Answer, ask, bearing, post, served
from talekeeper.accounts.entering import issue_login, issue_token
from talekeeper.ids import BootId, fresh_id


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[FastAPI]:
    async with served(tmp_path / "data") as app:
        yield app


async def a_link(app: FastAPI) -> str:
    return f"/login?token={await issue_login(app.state.keeper.store)}"


def cookie_of(answer: Answer) -> tuple[str, str]:
    """What the browser sends back."""
    name, _, rest = answer.headers["set-cookie"].partition("=")
    return ("cookie", f"{name}={rest.partition(';')[0]}")


@pytest.mark.req("S2", "S4")
async def test_a_login_link_gives_a_cookie_and_leaves_the_address(app: FastAPI):
    answer = await ask(app, "GET", await a_link(app), ("sec-fetch-dest", "document"))
    assert (answer.status, answer.headers["location"]) == (303, "/")
    cookie = SimpleCookie(answer.headers["set-cookie"])["tk_8000"]
    assert cookie["httponly"]
    assert cookie["samesite"].lower() == "strict"
    assert cookie["path"] == "/"
    assert not cookie["secure"]
    assert not cookie["domain"]
    assert answer.headers["cache-control"] == "no-store"
    me = await ask(app, "GET", "/api/me", cookie_of(answer))
    assert me.json()["name"] == "Game Master"
    assert me.json()["is_admin"] is True


@pytest.mark.req("S4")
async def test_on_tls_the_cookie_is_bound_to_host_and_tls(app: FastAPI):
    answer = await ask(app, "GET", await a_link(app), scheme="https")
    assert cookie_of(answer)[1].startswith("__Host-tk=")
    cookie = SimpleCookie(answer.headers["set-cookie"])["__Host-tk"]
    assert cookie["secure"]
    assert cookie["path"] == "/"
    me = await ask(app, "GET", "/api/me", cookie_of(answer), scheme="https")
    assert me.status == 200


@pytest.mark.req("S4")
async def test_the_list_of_logins_marks_the_one_that_asks(app: FastAPI):
    cookies = [cookie_of(await ask(app, "GET", await a_link(app))) for _ in range(2)]
    current: list[str] = []
    for cookie in cookies:
        listed = await ask(app, "GET", "/api/tokens", cookie)
        assert b"tk_" not in listed.body
        items = listed.json()["items"]
        assert [item["kind"] for item in items] == ["session", "session"]
        current += [item["id"] for item in items if item["is_current"]]
    first, second = current
    assert first != second
    gone = await ask(app, "DELETE", f"/api/tokens/{second}", cookies[0], JSON)
    assert gone.status == 204
    assert (await ask(app, "GET", "/api/me", cookies[1])).status == 401
    assert (await ask(app, "GET", "/api/me", cookies[0])).status == 200
    again = await ask(app, "DELETE", f"/api/tokens/{second}", cookies[0], JSON)
    assert again.json()["code"] == "not_found"


@pytest.mark.req("S3", "S4")
async def test_the_owner_ends_the_logins_of_an_account(app: FastAPI):
    added = (await post(app, "/api/accounts", {"name": "Bea"}, bearing(TOKEN))).json()
    path = f"/api/accounts/{added['id']}/tokens"
    (item,) = (await ask(app, "GET", path, bearing(TOKEN))).json()["items"]
    assert item["kind"] == "bearer"
    assert (await ask(app, "GET", path, bearing(added["token"]))).status == 403
    mine = f"/api/tokens/{item['id']}"
    assert (await ask(app, "DELETE", mine, bearing(TOKEN), JSON)).status == 404
    assert (await ask(app, "DELETE", f"{path}/{item['id']}", bearing(TOKEN), JSON)).status == 204
    assert (await ask(app, "GET", "/api/me", bearing(added["token"]))).status == 401


@pytest.mark.parametrize(("scheme", "name"), [("http", "tk_8000"), ("https", "__Secure-tk")])
async def test_under_a_path_the_cookie_is_that_paths_and_no_other(
    tmp_path: Path, scheme: str, name: str
):
    async with served(tmp_path / "data", public_url="http://tales.example/tales/") as app:
        answer = await ask(app, "GET", f"/tales{await a_link(app)}", scheme=scheme)
        assert (answer.status, answer.headers["location"]) == (303, "/tales/")
        cookie = SimpleCookie(answer.headers["set-cookie"])[name]
        assert cookie["path"] == "/tales"
        assert bool(cookie["secure"]) == (scheme == "https")
        me = await ask(app, "GET", "/tales/api/me", cookie_of(answer), scheme=scheme)
        assert me.status == 200
        out = await ask(
            app, "POST", "/api/logout", JSON, cookie_of(answer), body=b"{}", scheme=scheme
        )
        assert SimpleCookie(out.headers["set-cookie"])[name]["path"] == "/tales"


@pytest.mark.req("S2")
async def test_a_spent_link_says_how_to_get_another(app: FastAPI):
    link = await a_link(app)
    await ask(app, "GET", link)
    answer = await ask(app, "GET", link)
    assert answer.status == 401
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert b"talekeeper login-link" in answer.body
    assert "set-cookie" not in answer.headers


async def test_whoever_is_logged_in_is_let_through_by_a_spent_link(app: FastAPI):
    link = await a_link(app)
    cookie = cookie_of(await ask(app, "GET", link))
    answer = await ask(app, "GET", link, cookie)
    assert (answer.status, answer.headers["location"]) == (303, "/")


@pytest.mark.req("S1", "S2")
@pytest.mark.parametrize("dest", ["image", "iframe", "empty", "script"])
async def test_only_a_person_who_goes_there_uses_a_link_up(app: FastAPI, dest: str):
    link = await a_link(app)
    assert (await ask(app, "GET", link, ("sec-fetch-dest", dest))).status == 401
    assert (await ask(app, "HEAD", link)).status == 405
    assert (await ask(app, "GET", link)).status == 303


@pytest.mark.req("S3")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/me"),
        ("GET", "/api/accounts"),
        ("POST", "/api/accounts"),
        ("POST", "/api/login-links"),
        ("POST", "/api/logout"),
    ],
)
async def test_nothing_is_told_or_done_without_a_login(app: FastAPI, method: str, path: str):
    body = b'{"name": "Eve"}'
    for header in (
        ("x-nothing", ""),
        ("authorization", "Bearer"),
        ("authorization", "Bearer wrong"),
        ("authorization", f"Basic {TOKEN}"),
        ("authorization", TOKEN),
        ("x-api-key", TOKEN),
        ("cookie", f"tk_8000={TOKEN}"),
        ("cookie", f"tk={TOKEN}"),
    ):
        answer = await ask(
            app, method, path, ("content-type", "application/json"), header, body=body
        )
        assert (answer.status, answer.json()["code"]) == (401, "unauthenticated")
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.req("S3")
async def test_a_bearer_token_is_enough(app: FastAPI):
    assert (await ask(app, "GET", "/api/me", bearing(TOKEN))).status == 200
    assert (await ask(app, "GET", "/api/me", ("authorization", f"bearer  {TOKEN}"))).status == 200


@pytest.mark.req("S3")
async def test_two_different_credentials_are_refused(app: FastAPI):
    cookie = cookie_of(await ask(app, "GET", await a_link(app)))
    other = cookie_of(await ask(app, "GET", await a_link(app)))
    for pair in (
        (cookie, bearing(TOKEN)),
        (cookie, other),
        (bearing(TOKEN), bearing("another")),
        (("cookie", f"{cookie[1]}; {other[1]}"),),
    ):
        answer = await ask(app, "GET", "/api/me", *pair)
        assert answer.status == 401
    assert (await ask(app, "GET", "/api/me", cookie, cookie)).status == 200


@pytest.mark.req("S4")
async def test_a_session_is_no_bearer_token_and_a_bearer_token_no_session(app: FastAPI):
    cookie = cookie_of(await ask(app, "GET", await a_link(app)))
    session = cookie[1].partition("=")[2]
    assert (await ask(app, "GET", "/api/me", bearing(session))).status == 401


@pytest.mark.req("S4")
async def test_logging_out_ends_the_session_and_clears_the_cookie(app: FastAPI):
    cookie = cookie_of(await ask(app, "GET", await a_link(app)))
    answer = await post(app, "/api/logout", {}, cookie)
    assert answer.status == 204
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert (await ask(app, "GET", "/api/me", cookie)).status == 401


async def test_logging_out_leaves_a_bearer_token_alone(app: FastAPI):
    assert (await post(app, "/api/logout", {}, bearing(TOKEN))).status == 204
    assert (await ask(app, "GET", "/api/me", bearing(TOKEN))).status == 200


@pytest.mark.req("S3")
async def test_the_owner_adds_accounts_and_nobody_else_does(app: FastAPI):
    added = await post(app, "/api/accounts", {"name": "Ada"}, bearing(TOKEN))
    assert added.status == 201
    ada = bearing(added.json()["token"])
    assert (await ask(app, "GET", "/api/me", ada)).json() == {
        "id": added.json()["id"],
        "name": "Ada",
        "is_admin": False,
    }
    for answer in (
        await ask(app, "GET", "/api/accounts", ada),
        await post(app, "/api/accounts", {"name": "Eve"}, ada),
        await post(app, "/api/login-links", {"name": "Game Master"}, ada),
    ):
        assert (answer.status, answer.json()["code"]) == (403, "forbidden")
    listed = await ask(app, "GET", "/api/accounts", bearing(TOKEN))
    assert [each["name"] for each in listed.json()["items"]] == ["Game Master", "Ada"]
    assert "token" not in listed.json()["items"][1]


async def test_a_name_that_is_taken_is_refused_with_words(app: FastAPI):
    answer = await post(app, "/api/accounts", {"name": "GAME  master"}, bearing(TOKEN))
    assert answer.status == 422
    assert "Choose another name" in answer.json()["detail"]


@pytest.mark.req("S3", "S4")
async def test_the_control_token_does_what_commands_do_and_reads_no_tales(app: FastAPI):
    keeper = app.state.keeper
    owner_id = keeper.identities.owner.id
    control = bearing(await issue_token(keeper.store, owner_id, "control", run=BootId(fresh_id())))
    assert (await ask(app, "GET", "/api/me", control)).status == 401
    assert (await ask(app, "GET", "/api/accounts", control)).status == 200
    assert (await post(app, "/api/accounts", {"name": "Ada"}, control)).status == 201
    made = await post(app, "/api/login-links", {"name": "Ada"}, control)
    assert made.status == 201
    entered = await ask(app, "GET", made.json()["path"])
    me = await ask(app, "GET", "/api/me", cookie_of(entered))
    assert me.json()["name"] == "Ada"
