"""No web page but our own can make a browser act here, whatever name it gives this machine (S1).

Also: bounded URLs, headers and bodies (S8), and the security headers on every answer (S5).
"""

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse

from api.asking import HOST, JSON, ask, bearing, guarded
from talekeeper.api import access
from talekeeper.api.access import MAX_BODY

ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def an_app(**settings: Any) -> FastAPI:
    app = guarded(**settings)

    @app.get("/api/read")
    async def read() -> dict[str, bool]:
        return {"read": True}

    @app.post("/api/act")
    async def act(request: Request) -> dict[str, int]:
        return {"size": len(await request.body())}

    @app.get("/api/lost")
    async def lose() -> None:
        raise ValueError("the ring is in the volcano")

    return app


@pytest.mark.req("S1")
@pytest.mark.parametrize(
    "host", ["127.0.0.1:8000", "localhost:8000", "[::1]:8000", "LocalHost:8000"]
)
async def test_the_machine_itself_is_answered_under_each_of_its_names(host: str):
    assert (await ask(an_app(), "GET", "/api/read", host=host.encode())).status == 200


@pytest.mark.req("S1")
@pytest.mark.parametrize(
    "host",
    [
        b"evil.example",
        b"evil.example:8000",
        b"localhost",
        b"localhost:8001",
        b"localhost.evil.example:8000",
        b"127.0.0.1:8000.evil.example",
        b"evil@localhost:8000",
        b"0.0.0.0:8000",
        b"",
        None,
    ],
)
async def test_a_request_for_another_host_is_refused(host: bytes | None):
    answer = await ask(an_app(), "GET", "/api/read", host=host)
    assert answer.status == 421
    assert answer.json()["code"] == "unknown_host"


@pytest.mark.req("S1")
@pytest.mark.parametrize(
    "host", [b"localhost.:8000", b"LocalHost:8000", b"LOCALHOST.:8000", b"tales.lan.:8000"]
)
async def test_the_dot_of_a_full_name_and_its_case_are_no_matter(host: bytes):
    app = an_app(allowed_hosts="Tales.LAN.")
    assert (await ask(app, "GET", "/api/read", host=host)).status == 200
    origin = ("origin", f"http://{host.decode().lower()}")
    assert (await ask(app, "POST", "/api/act", JSON, origin, host=host)).status == 200
    foreign = ("origin", "http://evil.example.:8000")
    assert (await ask(app, "POST", "/api/act", JSON, foreign, host=host)).status == 403


@pytest.mark.req("S1")
@pytest.mark.parametrize(
    "host", [b"localhost..:8000", b".localhost:8000", b".:8000", b"localhost:8000.", b"[::1].:8000"]
)
async def test_other_dots_make_another_host(host: bytes):
    assert (await ask(an_app(), "GET", "/api/read", host=host)).status == 421


@pytest.mark.req("S1")
async def test_a_path_of_the_public_address_may_be_stripped_or_left():
    app = an_app(behind_proxy=True, public_url="https://tales.example/tales/")
    origin = ("origin", "https://tales.example")
    for path in ("/api/act", "/tales/api/act"):
        for host in (b"tales.example", HOST):
            answer = await ask(app, "POST", path, JSON, origin, host=host)
            assert answer.status == 200, (path, host)
            refused = await ask(app, "POST", path, JSON, ("origin", "https://evil.example"))
            assert refused.status == 403
        assert "no-store" in (await ask(app, "GET", "/tales/api/read")).headers["cache-control"]
    assert (await ask(app, "GET", "/talesapi/read")).status == 404
    assert (await ask(app, "GET", "/tales/tales/api/read")).status == 404


@pytest.mark.req("S1")
async def test_a_doubled_host_is_refused():
    answer = await ask(an_app(), "GET", "/api/read", ("host", HOST.decode()))
    assert answer.status == 421


@pytest.mark.req("S1")
async def test_a_foreign_host_is_refused_before_routing():
    answer = await ask(an_app(), "GET", "/api/nothing-here", host=b"evil.example")
    assert answer.status == 421


@pytest.mark.req("S1")
async def test_a_configured_name_is_answered_with_its_port():
    app = an_app(allowed_hosts="tales.lan, tales.example:9000")
    assert (await ask(app, "GET", "/api/read", host=b"tales.lan:8000")).status == 200
    assert (await ask(app, "GET", "/api/read", host=b"tales.example:9000")).status == 200
    assert (await ask(app, "GET", "/api/read", host=b"tales.example:8000")).status == 421


@pytest.mark.req("S1")
async def test_the_default_port_may_be_left_out():
    app = an_app(port=80, allowed_hosts="tales.lan")
    assert (await ask(app, "GET", "/api/read", host=b"tales.lan")).status == 200
    assert (await ask(app, "GET", "/api/read", host=b"localhost:80")).status == 200


@pytest.mark.req("S1")
async def test_behind_a_proxy_the_public_address_is_our_own():
    app = an_app(behind_proxy=True, public_url="https://tales.example")
    origin = ("origin", "https://tales.example")
    direct = await ask(app, "POST", "/api/act", JSON, origin, host=b"tales.example")
    renamed = await ask(app, "POST", "/api/act", JSON, origin)
    foreign = await ask(
        app, "POST", "/api/act", JSON, ("origin", "https://evil.example"), host=b"tales.example"
    )
    assert (direct.status, renamed.status, foreign.status) == (200, 200, 403)


@pytest.mark.req("S4")
async def test_a_public_address_on_tls_is_on_tls_even_if_the_proxy_does_not_say_so():
    app = an_app(behind_proxy=True, public_url="https://tales.example")
    public = await ask(app, "GET", "/api/read", host=b"tales.example")
    local = await ask(app, "GET", "/api/read")
    assert "strict-transport-security" in public.headers
    assert "strict-transport-security" not in local.headers


@pytest.mark.req("S1")
async def test_our_own_page_may_act():
    headers = [JSON, ("origin", "http://127.0.0.1:8000"), ("sec-fetch-site", "same-origin")]
    assert (await ask(an_app(), "POST", "/api/act", *headers, body=b"{}")).status == 200


@pytest.mark.req("S1")
async def test_a_script_without_a_page_may_act():
    assert (await ask(an_app(), "POST", "/api/act", JSON, body=b"{}")).status == 200


@pytest.mark.req("S1")
@pytest.mark.parametrize(
    "header",
    [
        ("origin", "https://evil.example"),
        ("origin", "http://127.0.0.1:8001"),
        ("origin", "https://127.0.0.1:8000"),
        ("origin", "http://localhost:8000"),
        ("origin", "null"),
        ("origin", ""),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", ""),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "GET"])
async def test_a_page_of_another_origin_can_neither_act_nor_listen(
    method: str, header: tuple[str, str]
):
    path = "/api/read" if method == "GET" else "/api/act"
    answer = await ask(an_app(), method, path, JSON, header, body=b"{}")
    assert answer.status == 403
    assert answer.json()["code"] == "forbidden"


@pytest.mark.req("S1")
async def test_one_foreign_origin_among_two_is_enough_to_refuse():
    own = ("origin", "http://127.0.0.1:8000")
    answer = await ask(an_app(), "POST", "/api/act", JSON, own, ("origin", "https://evil.example"))
    assert answer.status == 403


@pytest.mark.req("S1")
@pytest.mark.parametrize(
    "kind",
    [
        None,
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain; application/json",
        "application/json-patch+json",
        "application/json; charset=utf-16",
        "",
    ],
)
async def test_what_a_form_could_send_never_acts_even_without_a_body(kind: str | None):
    headers = [] if kind is None else [("content-type", kind)]
    for body in (b"", b"{}"):
        answer = await ask(an_app(), "POST", "/api/act", *headers, body=body)
        assert answer.status == 415


@pytest.mark.req("S1")
async def test_a_script_with_a_bearer_token_may_ask_without_a_body():
    token = bearing("tk_x")
    assert (await ask(an_app(), "POST", "/api/act", token)).status == 200
    chunked = ("transfer-encoding", "chunked")
    assert (await ask(an_app(), "POST", "/api/act", token, chunked)).status == 415
    assert (await ask(an_app(), "POST", "/api/act", token, ("content-length", "2"))).status == 415
    typed = ("content-type", "text/plain")
    assert (await ask(an_app(), "POST", "/api/act", token, typed)).status == 415


@pytest.mark.req("S1")
@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", 'APPLICATION/JSON;charset="UTF-8"']
)
async def test_json_may_name_its_encoding(kind: str):
    assert (await ask(an_app(), "POST", "/api/act", ("content-type", kind))).status == 200


@pytest.mark.req("S1")
async def test_no_answer_opens_the_server_to_other_origins():
    preflight = [("origin", "https://evil.example"), ("access-control-request-method", "POST")]
    answer = await ask(an_app(), "OPTIONS", "/api/act", *preflight)
    assert answer.status >= 400
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.req("S8")
async def test_the_largest_body_is_taken_and_a_byte_more_is_refused():
    pieces = [b"x" * (MAX_BODY // 4)] * 4
    assert (await ask(an_app(), "POST", "/api/act", JSON, body=pieces)).status == 200
    answer = await ask(an_app(), "POST", "/api/act", JSON, body=[*pieces, b"x"])
    assert (answer.status, answer.json()["code"]) == (413, "too_large")


@pytest.mark.req("S8")
async def test_the_bytes_count_and_not_what_the_length_says():
    lie = ("content-length", "2")
    answer = await ask(an_app(), "POST", "/api/act", JSON, lie, body=[b"x" * MAX_BODY] * 2)
    assert answer.status == 413


@pytest.mark.req("S8")
async def test_a_body_that_announces_too_much_is_refused_unread():
    answer = await ask(an_app(), "POST", "/api/act", JSON, ("content-length", "3000000"))
    assert answer.status == 413


@pytest.mark.req("S8")
async def test_a_long_url_and_large_headers_are_refused():
    assert (await ask(an_app(), "GET", "/api/read?q=" + "x" * 4096)).status == 414
    assert (await ask(an_app(), "GET", "/api/read", ("x-a", "x" * 16384))).status == 431
    assert (await ask(an_app(), "GET", "/api/read?q=" + "x" * 3000)).status == 200


@pytest.mark.req("S8", "S9")
async def test_a_body_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(access, "BODY_SECONDS", 0.05)
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(30)
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "scheme": "http",
        "path": "/api/act",
        "raw_path": b"/api/act",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", HOST), (b"content-type", b"application/json")],
    }
    await an_app()(scope, receive, send)
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]


@pytest.mark.req("S5")
@pytest.mark.parametrize(
    ("method", "path", "host", "status"),
    [
        ("GET", "/api/read", HOST, 200),
        ("GET", "/api/nothing", HOST, 404),
        ("GET", "/api/act", HOST, 405),
        ("POST", "/api/act", HOST, 415),
        ("GET", "/api/read", b"evil.example", 421),
        ("GET", "/api/lost", HOST, 500),
    ],
)
async def test_every_answer_bears_the_security_headers(
    method: str, path: str, host: bytes, status: int
):
    answer = await ask(an_app(), method, path, host=host)
    assert answer.status == status
    assert answer.headers.items() >= ALWAYS.items()
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self' 'nonce-")
    assert policy.endswith(
        "'; img-src 'self' blob:; connect-src 'self'; font-src 'self'; base-uri 'none'; "
        "object-src 'none'; form-action 'self'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'"
    )
    assert "camera=()" in answer.headers["permissions-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert "strict-transport-security" not in answer.headers


@pytest.mark.req("S5")
async def test_a_nonce_is_never_used_twice():
    app = an_app()
    policies = {
        (await ask(app, "GET", "/api/read")).headers["content-security-policy"] for _ in range(20)
    }
    assert len(policies) == 20


@pytest.mark.req("S5")
async def test_on_tls_the_browser_is_told_to_stay_there():
    app = an_app(allowed_hosts="tales.lan")
    answer = await ask(app, "GET", "/api/read", host=b"tales.lan:8000", scheme="https")
    assert "max-age=" in answer.headers["strict-transport-security"]


async def test_a_stream_passes_piece_by_piece():
    app = guarded()
    gate = asyncio.Event()
    seen = asyncio.Event()

    @app.get("/api/stream")
    async def stream() -> StreamingResponse:
        async def pieces():
            yield b"first"
            await gate.wait()
            yield b"second"

        return StreamingResponse(pieces())

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(30)
        raise AssertionError

    async def send(message: Any) -> None:
        if message.get("body") == b"first":
            seen.set()

    scope = {
        "type": "http",
        "asgi": {"spec_version": "2.3"},
        "method": "GET",
        "scheme": "http",
        "path": "/api/stream",
        "raw_path": b"/api/stream",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", HOST)],
    }
    asking = asyncio.create_task(app(scope, receive, send))
    await asyncio.wait_for(seen.wait(), 5)
    gate.set()
    await asyncio.wait_for(asking, 5)


async def test_a_policy_of_the_answers_own_is_kept():
    app = guarded()

    @app.get("/media/map.svg")
    async def media() -> PlainTextResponse:
        return PlainTextResponse("x", headers={"Content-Security-Policy": "sandbox"})

    answer = await ask(app, "GET", "/media/map.svg")
    assert answer.headers["content-security-policy"] == "sandbox"


async def test_a_websocket_is_closed():
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await an_app()({"type": "websocket", "path": "/api/read", "headers": []}, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]
