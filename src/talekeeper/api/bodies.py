"""What clients may send: strict JSON, and text that every part of the store can keep.

Python's parser, and FastAPI with it, takes NaN, 1e999, doubled keys and lone surrogates. The first
breaks the answer that repeats it, the last breaks the database. Here all of them are refused
before a value exists, with a message that says what to send instead.
"""

import json
import re
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Never
from uuid import UUID

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from talekeeper.accounts.naming import MAX_NAME, account_name
from talekeeper.api.problems import Refusal, too_long
from talekeeper.domain.conversations import MAX_CONTENT, MAX_TITLE
from talekeeper.domain.titles import checked_title
from talekeeper.errors import InvalidInput

MAX_MODEL = 300
"""Characters in a model's name."""
MAX_DEPTH = 32
MAX_KEYS = 200
MAX_BRACKETS = 20_000
"""Lists and objects in one body, so that no body takes long to look through."""
MAX_INTEGER = 2**63 - 1
MAX_SEQ = 2**53
"""The largest whole number that a browser counts exactly."""

_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parsed(body: bytes) -> Any:
    """The value that `body` says. Raises Refusal for what is not strict JSON."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        _refuse("The body is not valid UTF-8.")
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _check_nesting(text)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_constant,
        )
    except json.JSONDecodeError as error:
        raise Refusal(
            400,
            "invalid_input",
            f"The body is not valid JSON at line {error.lineno}, column {error.colno}.",
        ) from None
    except RecursionError:
        _refuse(f"The body is nested deeper than {MAX_DEPTH} levels.")
    if _ESCAPED_SURROGATE.search(text) is not None:
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError:
            _refuse("The body holds half of a surrogate pair, which is not a character.")
    return value


def _refuse(detail: str) -> Never:
    raise Refusal(400, "invalid_input", detail)


def _check_nesting(text: str) -> None:
    """Refuse what is nested too deep, or has too many lists and objects to look through."""
    depth = 0
    for count, bracket in enumerate(_BRACKET.finditer(_STRING.sub("", text))):
        depth += 1 if bracket.group() in "[{" else -1
        if depth > MAX_DEPTH:
            _refuse(f"The body is nested deeper than {MAX_DEPTH} levels.")
        if count > 2 * MAX_BRACKETS:
            _refuse(f"The body has more than {MAX_BRACKETS} lists and objects.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MAX_KEYS:
        _refuse(f"An object in the body has more than {MAX_KEYS} keys.")
    found = dict(pairs)
    if len(found) != len(pairs):
        _refuse("An object in the body has the same key twice.")
    return found


def _integer(text: str) -> int:
    if len(text) > 20 or not -MAX_INTEGER - 1 <= (number := int(text)) <= MAX_INTEGER:
        _refuse("A whole number in the body is larger than 63 bits.")
    return number


def _number(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        _refuse("A number in the body is too large.")
    return number


def _constant(text: str) -> Never:
    _refuse(f"The body says {text}, which is not JSON. Leave the field out or send null.")


class StrictRequest(Request):
    """A request whose body is strict JSON or refused."""

    async def json(self) -> Any:
        return parsed(await self.body())


class StrictRoute(APIRoute):
    """A route that reads its body strictly. Every router that takes one has it as route_class."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handle(StrictRequest(request.scope, request.receive))

        return strict


class Body(BaseModel):
    """What a client posts. A field that is not known is refused rather than silently ignored:
    a client that posts a history hears that nobody reads it.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Nothing(Body):
    """The empty object."""


def _told(reason: str) -> PydanticCustomError:
    """An error whose words reach the client as they are, behind the field's name."""
    return PydanticCustomError("told_reason", "{reason}", {"reason": reason})


_UNKEEPABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")


def _keepable(text: str) -> str:
    if (found := _UNKEEPABLE.search(text)) is not None:
        raise _told(
            f"holds the character U+{ord(found.group()):04X}, which cannot be kept; remove it"
        )
    return text


def _says_something(text: str) -> str:
    if len(text) > MAX_CONTENT:
        raise _told(too_long(len(text), MAX_CONTENT))
    if not text.strip():
        raise _told("is empty; write something")
    return text


def _title(text: str) -> str:
    try:
        return checked_title(text)
    except InvalidInput as error:
        raise _told(error.message.removeprefix("A title ").rstrip(".")) from None


def _name(text: str) -> str:
    try:
        return account_name(text)
    except InvalidInput as error:
        raise _told(error.message.removeprefix("A name ").rstrip(".")) from None


def _canonical(text: str) -> str:
    if len(text) == 36:
        try:
            return str(UUID(text))
        except ValueError:
            pass
    raise _told("must be a UUID, such as 3f2b8c1e-6a4d-4f0e-9b7a-2d1c5e8f9a01")


def _digits(value: object) -> object:
    if isinstance(value, str) and not (value.isascii() and value.isdigit() and len(value) <= 16):
        raise _told("must be a whole number, 0 or more")
    return value


def _visible(text: str) -> str:
    if not all("!" <= sign <= "~" for sign in text):
        raise _told("must be what an earlier answer gave as next")
    return text


Text = Annotated[str, AfterValidator(_keepable)]
"""Text that is kept byte for byte: no NUL, no control character but tab and line ends."""
MessageText = Annotated[
    Text, AfterValidator(_says_something), Field(json_schema_extra={"maxLength": MAX_CONTENT})
]
"""What somebody says: not blank, at most 200,000 characters."""
Title = Annotated[Text, AfterValidator(_title), Field(json_schema_extra={"maxLength": MAX_TITLE})]
"""One line of at most 200 characters in NFC; it may be empty."""
Name = Annotated[Text, AfterValidator(_name), Field(json_schema_extra={"maxLength": MAX_NAME})]
"""A person's name as it is shown."""
ModelName = Annotated[Text, Field(min_length=1, max_length=MAX_MODEL)]
"""The name of a language model, as its provider takes it."""
Id = Annotated[str, AfterValidator(_canonical), Field(json_schema_extra={"format": "uuid"})]
"""A UUID in lower case."""
Seq = Annotated[int, BeforeValidator(_digits), Field(ge=0, le=MAX_SEQ)]
"""A place in an order, in a query."""
Limit = Annotated[int, BeforeValidator(_digits), Field(ge=1, le=1000)]
"""How many at most, in a query."""
Cursor = Annotated[str, AfterValidator(_visible), Field(max_length=500)]
"""Where a page begins, as an earlier answer said it."""
