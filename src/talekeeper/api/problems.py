"""Errors on the wire: one table from classes to statuses, one shape for every refusal."""

import json
import secrets
from dataclasses import dataclass
from http import HTTPStatus
from math import ceil
from typing import Any, cast

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from talekeeper import errors
from talekeeper.errors import GenerationRunning, TalekeeperError

STATUSES: dict[type[TalekeeperError], int] = {
    TalekeeperError: 500,
    errors.InvalidInput: 422,
    errors.TooLarge: 413,
    errors.NotFound: 404,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.GenerationRunning: 409,
    errors.NotInTrash: 409,
    errors.LimitReached: 429,
    errors.StoreError: 503,
    errors.ConfigurationError: 500,
    errors.ModelNotAdded: 502,
    errors.NoRoomForModel: 507,
    errors.ModelBeingAdded: 409,
    errors.ProviderError: 502,
    errors.ProviderStalled: 504,
}
"""A class that is not named here has the status of its nearest ancestor."""

PROBLEM_JSON = "application/problem+json"

_ROUTING: dict[int, tuple[str, str]] = {
    400: ("invalid_input", "The request could not be read. Send valid JSON."),
    404: ("not_found", "There is nothing at this address."),
    405: ("invalid_input", "This address does not take that method. See openapi.json."),
    413: ("too_large", "The request is too large."),
    415: ("invalid_input", "Send the body as application/json."),
}

_LOST = (
    "Something went wrong in the server that nobody foresaw. Nothing that was confirmed is lost. "
    "Try again; if it stays, look for the reference in the server's log."
)

log = structlog.stdlib.get_logger("talekeeper.api")


class Refusal(HTTPException):
    """A request is refused while its body is read.

    FastAPI turns every other exception there into a bare 400; this one keeps what it says.
    """

    def __init__(
        self, status: int, code: str, detail: str, *, retryable: bool = False, closes: bool = False
    ) -> None:
        super().__init__(status, detail)
        self.problem = Problem(status, code, detail, retryable=retryable, closes=closes)


@dataclass(frozen=True, slots=True)
class Problem:
    """What a client is told. `closes` ends the connection, for requests that never end."""

    status: int
    code: str
    detail: str
    retryable: bool = False
    retry_after: float | None = None
    generation_id: str | None = None
    closes: bool = False

    def response(self, scope: Scope) -> Response:
        """The answer, told to the log under the reference it bears."""
        reference = secrets.token_hex(8)
        level = log.warning if self.status >= 500 else log.info
        level(
            "api.refused",
            status=self.status,
            code=self.code,
            reference=reference,
            **_asked(scope),
        )
        return self.bearing(reference)

    def bearing(self, reference: str) -> Response:
        """The answer that names the log line `reference`."""
        body: dict[str, Any] = {
            "status": self.status,
            "code": self.code,
            "title": HTTPStatus(self.status).phrase,
            "detail": self.detail,
            "retryable": self.retryable,
            "retry_after": self.retry_after,
            "reference": reference,
        }
        if self.generation_id is not None:
            body["generation_id"] = self.generation_id
        headers: dict[str, str] = {"Cache-Control": "no-store"}
        if self.retry_after is not None:
            headers["Retry-After"] = str(max(1, ceil(self.retry_after)))
        if self.status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = "Bearer"
        if self.closes:
            headers["Connection"] = "close"
        return Response(
            json.dumps(body, ensure_ascii=False).encode(),
            status_code=self.status,
            headers=headers,
            media_type=PROBLEM_JSON,
        )


def problem_of(error: TalekeeperError) -> Problem:
    """What a client is told of `error`; of one that no class foresees, only that it happened."""
    status = next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
    if type(error) is TalekeeperError:
        return Problem(status, "internal", _LOST, retryable=True)
    return Problem(
        status,
        error.code,
        error.message,
        retryable=error.retryable,
        retry_after=error.retry_after,
        generation_id=error.generation_id if isinstance(error, GenerationRunning) else None,
    )


def lost(error: BaseException, scope: Scope) -> Response:
    """The last resort: a 500 that says nothing of `error`, whose place the log names.

    Only the class and the lines of code are logged: a message may quote what somebody wrote.
    """
    reference = secrets.token_hex(8)
    log.error(
        "api.unexpected",
        status=500,
        error=type(error).__qualname__,
        at=errors.trail(error),
        reference=reference,
        **_asked(scope),
    )
    return Problem(500, "internal", _LOST, retryable=True).bearing(reference)


def _asked(scope: Scope) -> dict[str, str]:
    """Which request it was, without its query: a login link's token stands there."""
    return {"method": str(scope.get("method", "")), "path": str(scope.get("path", ""))[:200]}


_LENGTHS = frozenset({"string_too_long", "too_long", "string_too_short", "too_short"})
_REASONS: dict[str, str] = {
    "missing": "is missing",
    "extra_forbidden": "is not known here; leave it out",
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dict_type": "must be an object",
    "greater_than_equal": "must be {ge} or more",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be {le} or less",
    "less_than": "must be less than {lt}",
    "literal_error": "must be one of {expected}",
    "json_invalid": "is not valid JSON",
}


def too_long(length: int, maximum: int, *, unit: str = "characters") -> str:
    """What a client is told of a value with more than `maximum` characters, items or bytes."""
    return f"is too long: it has {length:,} {unit} and may have {maximum:,}"


def _of_length(kind: str, value: Any, context: dict[str, Any]) -> str:
    """`kind` is one of pydantic's four errors of length, of a text or of a list."""
    unit = "characters" if isinstance(value, str) else "items"
    length = len(cast("str | list[object]", value)) if isinstance(value, str | list) else 0
    if kind.endswith("too_long"):
        return too_long(length, int(context["max_length"]), unit=unit)
    least = int(context["min_length"])
    if length == 0:
        return "must not be empty"
    return f"is too short: it has {length:,} {unit} and must have {least:,} or more"


def described(error: RequestValidationError) -> str:
    """The first things that are wrong, each field by its name, without what was sent."""
    sentences: list[str] = []
    for each in cast("list[dict[str, Any]]", list(error.errors()))[:3]:
        kind = str(each.get("type", ""))
        loc = [str(step) for step in cast("tuple[Any, ...]", each.get("loc", ()))]
        field = ".".join(loc[1:]) or "The body"
        field = "".join(sign if sign.isprintable() else "?" for sign in field[:80])
        if kind.startswith("told_"):
            reason = str(each.get("msg", ""))
        else:
            context = cast("dict[str, Any]", each.get("ctx") or {})
            if kind in _LENGTHS:
                reason = _of_length(kind, each.get("input"), context)
            else:
                reason = _REASONS.get(kind, "is not valid").format_map(_Known(context))
        sentences.append(f"{field} {reason}.")
    return " ".join(sentences) or "The request is not valid."


class _Known(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "the allowed"


async def _talekeeper_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, TalekeeperError)
    return problem_of(error).response(request.scope)


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return Problem(422, "invalid_input", described(error)).response(request.scope)


async def _http_exception(request: Request, error: Exception) -> Response:
    if isinstance(error, Refusal):
        return error.problem.response(request.scope)
    assert isinstance(error, HTTPException)
    status = error.status_code
    code, detail = _ROUTING.get(status, ("invalid_input", HTTPStatus(status).phrase + "."))
    answer = Problem(status, code, detail).response(request.scope)
    if status == HTTPStatus.METHOD_NOT_ALLOWED and error.headers and "Allow" in error.headers:
        answer.headers["Allow"] = error.headers["Allow"]
    return answer


def mount_problems(app: FastAPI) -> None:
    """From here on every error that `app` foresees is answered with a problem.

    What it does not foresee, `access.py` catches at the outermost and answers with `lost`.
    """
    app.add_exception_handler(TalekeeperError, _talekeeper_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_exception)
