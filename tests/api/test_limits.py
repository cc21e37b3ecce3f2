"""Everything that a client may send has a limit, and an error of length says which it is (S8)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from api.asking import JSON, TOKEN, ask, bearing, post
from api.test_bodies import APP, send
from api.test_connections import a_server
from servers import served
from talekeeper.api.access import MAX_BODY, MAX_URL
from talekeeper.api.app import openapi_document
from talekeeper.domain.conversations import MAX_CONTENT
from tales import new_id

OWNER = bearing(TOKEN)
DOCUMENT = openapi_document()
AN_ID = "3f2b8c1e-6a4d-4f0e-9b7a-2d1c5e8f9a01"


class Place(NamedTuple):
    """Where a request takes a string: its operation, the part of the request, the field."""

    method: str
    path: str
    part: str
    field: str


def _strings(schema: dict[str, Any], field: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema of a string within `schema`, with the name of the field that takes it."""
    if "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    outer = {key: schema[key] for key in ("maxLength", "format") if key in schema}
    for each in schema.get("anyOf", ()):
        yield from _strings({**each, **outer}, field)
    for name, each in schema.get("properties", {}).items():
        yield from _strings(each, f"{field}.{name}" if field else name)
    if "items" in schema:
        yield from _strings(schema["items"], f"{field}.0")
    if schema.get("type") == "string":
        yield field, schema


def _taken() -> Iterator[tuple[Place, dict[str, Any]]]:
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            for each in operation.get("parameters", ()):
                for field, schema in _strings(each["schema"], each["name"]):
                    yield Place(method, path, each["in"], field), schema
            body = operation.get("requestBody", {}).get("content", {})
            for kind in body.values():
                for field, schema in _strings(kind["schema"], ""):
                    yield Place(method, path, "body", field), schema


TAKEN = list(_taken())


@pytest.mark.req("S8")
def test_no_string_of_a_request_is_unlimited() -> None:
    assert len(TAKEN) > 40
    unlimited = [
        place
        for place, schema in TAKEN
        if not {"maxLength", "enum", "const"} & schema.keys() and schema.get("format") != "uuid"
    ]
    assert unlimited == []


LONGER = [
    (place, schema["maxLength"])
    for place, schema in TAKEN
    if "maxLength" in schema and place.part in ("body", "query")
]


@pytest.mark.req("S8")
@pytest.mark.parametrize(
    ("place", "most"),
    LONGER,
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, tuple) else "",
)
async def test_a_text_that_is_too_long_is_told_with_its_length_and_its_limit(
    tmp_path: Path, place: Place, most: int
) -> None:
    path = place.path
    for name in ("conversation_id", "message_id", "generation_id", "stream_id"):
        path = path.replace(f"{{{name}}}", AN_ID)
    path = path.replace("{name}", "openai")
    field = place.field.removesuffix(".0")
    text = "x" * (most + 1)
    async with a_server(tmp_path) as app:
        if place.part == "query":
            answer = await ask(app, "GET", f"{path}?{field}={text}", OWNER)
        else:
            value: Any = [text] if place.field.endswith(".0") else text
            for name in reversed(field.split(".")):
                value = {name: value}
            body = json.dumps(value).encode()
            answer = await ask(app, place.method.upper(), path, JSON, OWNER, body=body)
    assert answer.status == 422
    told = f"{place.field} is too long: it has {most + 1:,} characters and may have {most:,}."
    assert told in answer.json()["detail"]


@pytest.mark.req("S8")
@pytest.mark.parametrize("model", ["x" * 900_000, ""])
async def test_a_conversation_s_model_is_limited_as_the_account_s_is(
    tmp_path: Path, model: str
) -> None:
    async with a_server(tmp_path) as app:
        made = (await post(app, "/api/conversations", {}, OWNER)).json()
        body = json.dumps({"model": model}).encode()
        path = f"/api/conversations/{made['id']}"
        answers = [
            await ask(app, "PATCH", path, JSON, OWNER, body=body),
            await post(app, "/api/conversations", {"model": model}, OWNER),
        ]
    told = "must not be empty" if not model else "it has 900,000 characters and may have 300"
    for answer in answers:
        assert answer.status == 422
        assert told in answer.json()["detail"]


@pytest.mark.req("S8")
async def test_too_many_items_are_told_as_items(tmp_path: Path) -> None:
    query = "&".join(f"follow={new_id()}" for _ in range(33))
    async with a_server(tmp_path) as app:
        answer = await ask(app, "GET", f"/api/events?{query}", OWNER)
    assert answer.json()["detail"] == "follow is too long: it has 33 items and may have 32."


@pytest.mark.req("S8")
@pytest.mark.parametrize("sign", ["a", "ж", "龍", "🐉"])
@pytest.mark.parametrize("is_escaped", [False, True])
async def test_the_longest_message_is_taken_in_every_spelling_of_json(
    sign: str, is_escaped: bool
) -> None:
    text = sign * MAX_CONTENT
    body = json.dumps({"content": text}, ensure_ascii=is_escaped)
    if is_escaped and sign == "a":
        body = '{"content": "' + "\\u0061" * MAX_CONTENT + '"}'
    answer = await send(body)
    assert answer.status == 200, answer.json()
    assert answer.json() == {"content": text}


@pytest.mark.req("S8")
async def test_bytes_beyond_a_limit_are_counted_for_the_client() -> None:
    body = b"{" + b" " * MAX_BODY + b"}"
    length = ("content-length", str(len(body)))
    answer = await ask(APP, "POST", "/api/all", JSON, length, body=body)
    assert answer.status == 413
    assert f"it has {MAX_BODY + 2:,} bytes and may have {MAX_BODY:,}." in answer.json()["detail"]
    answer = await send(body)  # without its length
    assert answer.status == 413
    assert f"it may have {MAX_BODY:,} bytes." in answer.json()["detail"]
    answer = await ask(APP, "GET", "/api/list?cursor=" + "x" * MAX_URL)
    assert answer.status == 414
    assert f"and may have {MAX_URL:,}." in answer.json()["detail"]


async def test_health_is_told_right_after_ready_and_before_what_was_missed(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        async with server.client() as client:
            conversation = await client.open()
            await client.say(conversation, "Hello.", reply=False)
            async with client.listening(f"/api/events?follow={conversation}@0") as stream:
                names: list[str] = []
                while "message.changed" not in names:
                    names += [event.name for event in await stream.some() or ()]
    assert names[:2] == ["ready", "health"]
    assert names.count("health") == 1
