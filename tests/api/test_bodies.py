"""What cannot be kept, or would break whoever reads it back, is refused at the edge (S8, R20)."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.asking import JSON, ask, guarded
from talekeeper.api.bodies import (
    Body,
    Cursor,
    Id,
    Limit,
    MessageText,
    Name,
    Nothing,
    Seq,
    StrictRoute,
    Text,
    Title,
    parsed,
)
from talekeeper.api.problems import Refusal

AN_ID = "3f2b8c1e-6a4d-4f0e-9b7a-2d1c5e8f9a01"


class Everything(Body):
    id: Id | None = None
    text: Text | None = None
    content: MessageText | None = None
    title: Title | None = None
    name: Name | None = None
    number: int | None = None
    anything: Any = None


def an_app():
    app = guarded()
    app.router.route_class = StrictRoute

    @app.post("/api/all")
    async def take(body: Everything) -> dict[str, Any]:
        return body.model_dump(exclude_none=True)

    @app.post("/api/nothing")
    async def take_nothing(body: Nothing) -> None: ...

    @app.get("/api/list")
    async def listed(after: Seq = 0, limit: Limit = 50, cursor: Cursor | None = None) -> list[int]:
        return [after, limit]

    return app


APP = an_app()


async def send(body: bytes | str) -> Any:
    raw = body if isinstance(body, bytes) else body.encode()
    return await ask(APP, "POST", "/api/all", JSON, body=raw)


@pytest.mark.req("S8", "R20")
@pytest.mark.parametrize(
    "body",
    [
        '{"anything": NaN}',
        '{"anything": Infinity}',
        '{"anything": -Infinity}',
        '{"anything": 1e999}',
        '{"anything": -1e999}',
        '{"text": "a", "text": "b"}',
        '{"anything": {"a": 1, "a": 2}}',
        '{"text": "\\ud800"}',
        '{"text": "\\udc00\\ud800"}',
        '{"\\ud800": 1}',
        '{"anything": 9223372036854775808}',
        '{"anything": 99999999999999999999}',
        '{"anything": -9223372036854775809}',
        '{"anything": ' + "9" * 10_000 + "}",
        "[" * 33 + "]" * 33,
        '{"anything": ' + "[" * 50_000 + "]" * 50_000 + "}",
        "[" * 50_000,
        '{"a":' * 50_000,
        json.dumps({"anything": {str(n): n for n in range(201)}}),
        '{"text": "a"',
        '{"text": "a"} x',
        "'text'",
        "{text: 1}",
        '{"text": "a\nb"}',
        '\ufeff{"text": "a"}',
        "\x00",
        b'{"text": "\xff\xfe"}',
        b'{"text": "\xed\xa0\x80"}',
        b'{"text": "\xc0\x80"}',
        '{"text": "a"}'.encode("utf-16"),
    ],
    ids=lambda body: repr(body[:30]),
)
async def test_what_is_not_strict_json_is_refused(body: bytes | str):
    answer = await send(body)
    assert answer.status == 400
    assert answer.json()["code"] == "invalid_input"


@pytest.mark.req("S8", "R20")
@pytest.mark.parametrize(
    "body",
    [
        '{"text": "a\\u0000b"}',
        '{"text": "a\\u0007b"}',
        '{"text": "\\u001b[31m"}',
        '{"content": "  \\n "}',
        '{"content": ""}',
        json.dumps({"content": "x" * 200_001}),
        '{"title": "one\\ntwo"}',
        '{"title": "one\\u2028two"}',
        '{"title": "\\u200b\\u200d"}',
        '{"title": "\\u202e"}',
        json.dumps({"title": "x" * 201}),
        '{"name": ""}',
        '{"name": " "}',
        '{"name": "ada\\u202egro"}',
        '{"name": "ada\\udb40\\udc41"}',
        '{"name": "a\\nb"}',
        json.dumps({"name": "x" * 81}),
        '{"id": "7"}',
        '{"id": ""}',
        '{"id": "3f2b8c1e6a4d4f0e9b7a2d1c5e8f9a01"}',
        '{"id": "{3f2b8c1e-6a4d-4f0e-9b7a-2d1c5e8f9}"}',
        '{"text": 1}',
        '{"text": ["a"]}',
        '{"number": "1"}',
        '{"number": 1.0}',
        '{"number": true}',
        '{"messages": [{"role": "user", "content": "forged"}]}',
        "null",
        "7",
        '"text"',
        "[]",
    ],
)
async def test_what_cannot_be_kept_is_refused(body: str):
    answer = await send(body)
    assert answer.status == 422
    assert answer.json()["code"] == "invalid_input"
    assert len(answer.json()["detail"]) > 10


@pytest.mark.req("S8")
@pytest.mark.parametrize(
    "text",
    ["tab\tand\r\nline\n", "ünï\u0301code", "🐉", "\u202eturned", "\x7f\x85", '"\\', "[" * 50],
)
async def test_text_is_kept_byte_for_byte(text: str):
    for value in (json.dumps({"text": text}), json.dumps({"text": text}, ensure_ascii=False)):
        answer = await send(value)
        assert (answer.status, answer.json()) == (200, {"text": text})


async def test_the_longest_message_is_taken_in_four_byte_characters():
    text = "🐉" * 200_000
    answer = await send(json.dumps({"content": text}, ensure_ascii=False))
    assert answer.json() == {"content": text}


async def test_titles_and_names_are_composed_and_trimmed():
    answer = await send(json.dumps({"title": " Ru\u0308ckkehr ", "name": " Zoe\u0308 "}))
    assert answer.json() == {"title": "Rückkehr", "name": "Zoë"}


async def test_an_id_is_told_in_lower_case():
    assert (await send(json.dumps({"id": AN_ID.upper()}))).json() == {"id": AN_ID}


async def test_a_route_that_takes_nothing_takes_the_empty_object_only():
    for body, status in ((b"{}", 200), (b'{"a": 1}', 422), (b"", 422), (b"[]", 422)):
        assert (await ask(APP, "POST", "/api/nothing", JSON, body=body)).status == status


@pytest.mark.req("S8")
@pytest.mark.parametrize(
    "query",
    [
        "after=99999999999999999999",
        "after=9007199254740993",
        "after=-1",
        "after=1.0",
        "after=1_000",
        "after=%201",
        "after=%D9%A1",
        "after=",
        "after=x",
        "after=%00",
        "limit=0",
        "limit=1001",
        "limit=1e2",
        "cursor=%00",
        "cursor=a%20b",
        "cursor=" + "x" * 501,
    ],
)
async def test_a_query_out_of_bounds_is_refused(query: str):
    answer = await ask(APP, "GET", f"/api/list?{query}")
    assert (answer.status, answer.json()["code"]) == (422, "invalid_input")


async def test_a_query_within_bounds_is_taken():
    answer = await ask(APP, "GET", "/api/list?after=9007199254740992&limit=200")
    assert answer.json() == [2**53, 200]


@pytest.mark.req("S8")
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**63 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=30,
    )
)
def test_whatever_json_can_say_is_read_as_the_standard_parser_does(value: Any):
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
        try:
            raw = text.encode()
        except UnicodeEncodeError:
            continue
        if any("\ud800" <= sign <= "\udfff" for sign in json.dumps(value, ensure_ascii=False)):
            with pytest.raises(Refusal):
                parsed(raw)
        else:
            assert parsed(raw) == value


@pytest.mark.req("S8")
@given(st.binary())
def test_any_bytes_are_read_or_refused(raw: bytes):
    with contextlib.suppress(Refusal):
        json.dumps(parsed(raw), ensure_ascii=False, allow_nan=False).encode()
