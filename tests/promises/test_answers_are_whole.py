"""Answers hold every field that openapi.json has for them, so that the page need not ask.

FastAPI describes a field with a default as one that may be missing; the contract says that no
answer leaves it out.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from servers import Server
from talekeeper.api.app import openapi_document
from talekeeper.domain.connections import server_connection_id

DOCUMENT = openapi_document()


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    return DOCUMENT["components"]["schemas"][name] if name else schema


def _missing(answer: Any, schema: dict[str, Any], place: str = "") -> Iterator[str]:
    """Where the answer lacks a field of the schema, or has one more."""
    schema = _resolved(schema)
    if isinstance(answer, list):
        for each in answer:
            yield from _missing(each, schema["items"], f"{place}[]")
    elif isinstance(answer, dict):
        properties = next(
            (
                found["properties"]
                for each in [schema, *schema.get("anyOf", [])]
                if "properties" in (found := _resolved(each))
            ),
            None,
        )
        if properties is None:
            return
        yield from (f"{place}.{name}" for name in answer.keys() ^ properties.keys())
        for name in answer.keys() & properties.keys():
            yield from _missing(answer[name], properties[name], f"{place}.{name}")


def _schema_of(path: str) -> dict[str, Any]:
    answer = DOCUMENT["paths"][path]["get"]["responses"]["200"]
    return answer["content"]["application/json"]["schema"]


PATHS = [
    path
    for path, operations in DOCUMENT["paths"].items()
    if "get" in operations
    and "application/json" in operations["get"]["responses"].get("200", {}).get("content", {})
    and not {"account_id", "name"} & {part.strip("{}") for part in path.split("/")}
]


@pytest.mark.req("R12")
async def test_an_answer_leaves_out_no_field_of_the_contract(shared_server: Server):
    async with shared_server.client() as client:
        conversation = await client.open()
        sent = await client.say(conversation, "[[think Hm.]] [[say Aye.]]")
        reply = await client.ended(sent)
        await client.ask("PATCH", f"/api/messages/{reply['id']}", {"bookmark": ""})
        for path in PATHS:
            address = path.format(
                conversation_id=conversation,
                generation_id=reply["generation_id"],
                message_id=reply["id"],
                position=0,
                connection_id=server_connection_id("scripted"),
            )
            query = "?q=Aye" if path == "/api/search" else ""
            answer = await client.ask("GET", address + query)
            assert answer.status == 200, (path, answer.body)
            assert list(_missing(answer.json, _schema_of(path))) == [], path
    assert len(PATHS) > 15


def test_every_field_of_an_answer_is_required_and_what_is_asked_may_leave_out_what_has_a_default():
    schemas = DOCUMENT["components"]["schemas"]
    assert set(schemas["Message"]["required"]) == set(schemas["Message"]["properties"])
    assert set(schemas["MessageIn"]["required"]) == {"id", "content"}
