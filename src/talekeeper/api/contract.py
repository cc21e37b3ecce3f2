"""The wire contract, openapi.json: what FastAPI reads off the routes, and two facts that it cannot.

Answers leave no field out, so every field of an answer is required there, whether or not its class
has a default for it. And the streams write events, which are described one by one.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final, cast

from fastapi import FastAPI
from fastapi.encoders import jsonable_encoder
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from talekeeper.api.stream_contract import AccountEvent, ConversationEvent

_REFS: Final = "#/components/schemas/"
_STREAMS: Final[dict[str, tuple[str, Any]]] = {
    "/api/events": ("AccountEvent", AccountEvent),
    "/api/conversations/{conversation_id}/events": ("ConversationEvent", ConversationEvent),
}


def contract_of(app: FastAPI) -> dict[str, Any]:
    """The contract of the application's routes."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version=app.openapi_version,
        summary=app.summary,
        routes=app.routes,
        separate_input_output_schemas=app.separate_input_output_schemas,
    )
    schemas: dict[str, Any] = document["components"]["schemas"]
    for path, (name, events) in _STREAMS.items():
        adapter = TypeAdapter[Any](events)
        schema = jsonable_encoder(
            adapter.json_schema(ref_template=f"{_REFS}{{model}}"), exclude_none=True
        )
        for each, definition in (schema.pop("$defs") | {name: schema}).items():
            if schemas.setdefault(each, definition) != definition:
                raise ValueError(f"Two classes of the contract are called {each}.")
        stream = document["paths"][path]["get"]["responses"]["200"]["content"]["text/event-stream"]
        stream["itemSchema"] = {"$ref": f"{_REFS}{name}"}
    document["components"]["schemas"] = dict(sorted(schemas.items()))
    _require_all(document)
    return document


def _require_all(document: dict[str, Any]) -> None:
    """Every property of what only answers hold is required."""
    schemas: dict[str, Any] = document["components"]["schemas"]
    operations = [each for path in document["paths"].values() for each in path.values()]
    answers = _reached(
        schemas,
        (
            answer
            for each in operations
            for status, answer in each["responses"].items()
            if status.startswith("2")
        ),
    )
    asked = _reached(schemas, (each.get("requestBody") for each in operations))
    for name in answers - asked:
        if properties := schemas[name].get("properties"):
            schemas[name]["required"] = list(properties)


def _reached(schemas: dict[str, Any], beginnings: Iterable[Any]) -> set[str]:
    """The names of all schemas that the beginnings lead to."""
    found: set[str] = set()
    ahead = [name for each in beginnings for name in _named(each)]
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead += _named(schemas[name])
    return found


def _named(node: Any) -> Iterator[str]:
    """The schemas that are referred to anywhere in this part of the document."""
    if isinstance(node, list):
        for each in cast("list[Any]", node):
            yield from _named(each)
    elif isinstance(node, dict):
        inner = cast("dict[str, Any]", node)
        if isinstance(ref := inner.get("$ref"), str):
            yield ref.removeprefix(_REFS)
        for each in inner.values():
            yield from _named(each)
