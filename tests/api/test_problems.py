"""Every error is a problem of one shape, and none says more than it should (S5, S8)."""

import re
from typing import Any

import pytest
import structlog

from api.asking import ask, guarded, post
from talekeeper import errors
from talekeeper.api.bodies import Body, Limit, StrictRoute, Title
from talekeeper.api.problems import STATUSES, problem_of

FIELDS = {"status", "code", "title", "detail", "retryable", "retry_after", "reference"}


def every_error() -> list[type[errors.TalekeeperError]]:
    found = [errors.TalekeeperError]
    for kind in found:
        found.extend(kind.__subclasses__())
    return found


def an_app(error: Exception):
    app = guarded()
    app.router.route_class = StrictRoute

    @app.get("/api/fail")
    async def fail() -> None:
        raise error

    return app


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_every_class_of_error_has_a_status(kind: type[errors.TalekeeperError]):
    given: dict[str, Any] = {"generation_id": "g"} if kind is errors.GenerationRunning else {}
    if issubclass(kind, errors.LimitReached):
        given["seconds"] = 7
    problem = problem_of(kind("It is so.", **given))
    assert 400 <= problem.status < 600
    assert problem.code
    assert any(parent in STATUSES for parent in kind.__mro__)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.InvalidInput("x"), 422, "invalid_input"),
        (errors.UnknownParent("x"), 422, "unknown_parent"),
        (errors.IdReused("x"), 422, "id_reused"),
        (errors.TooLarge("x"), 413, "too_large"),
        (errors.NotFound("x"), 404, "not_found"),
        (errors.Unauthenticated("x"), 401, "unauthenticated"),
        (errors.Forbidden("x"), 403, "forbidden"),
        (errors.GenerationRunning("x", generation_id="g1"), 409, "generation_running"),
        (errors.StoreBusy("x"), 503, "store_busy"),
        (errors.StoreFull("x"), 503, "store_full"),
        (errors.ProviderRefusedKey("x"), 502, "provider_refused_key"),
        (errors.ProviderStalled("x"), 504, "provider_stalled"),
    ],
    ids=lambda value: value.code if isinstance(value, errors.TalekeeperError) else "",
)
async def test_an_error_is_answered_with_its_status_and_code(
    error: errors.TalekeeperError, status: int, code: str
):
    answer = await ask(an_app(error), "GET", "/api/fail")
    problem = answer.json()
    assert answer.status == problem["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["code"] == code
    assert problem["detail"] == "x"
    assert problem.keys() >= FIELDS
    assert problem["retryable"] == error.retryable


async def test_the_running_generation_is_named():
    error = errors.GenerationRunning("Wait.", generation_id="g1")
    answer = await ask(an_app(error), "GET", "/api/fail")
    assert answer.json()["generation_id"] == "g1"


@pytest.mark.req("R3", "R4")
async def test_a_problem_that_passes_says_when_to_try_again():
    answer = await ask(an_app(errors.StoreFull("Full.")), "GET", "/api/fail")
    assert answer.headers["retry-after"] == "5"
    assert (answer.json()["retryable"], answer.json()["retry_after"]) == (True, 5.0)


async def test_a_fraction_of_a_second_is_rounded_up():
    error = errors.ProviderRateLimited("Slow down.", retry_after=0.2)
    assert (await ask(an_app(error), "GET", "/api/fail")).headers["retry-after"] == "1"


@pytest.mark.req("S5", "S13")
async def test_an_unforeseen_error_tells_the_client_nothing_and_the_log_no_contents():
    with structlog.testing.capture_logs() as lines:
        answer = await ask(an_app(ValueError("the ring is in the volcano")), "GET", "/api/fail?x=y")
    problem = answer.json()
    assert (answer.status, problem["code"]) == (500, "internal")
    assert re.fullmatch(r"[0-9a-f]{16}", problem["reference"])
    assert b"volcano" not in answer.body
    assert [line["reference"] for line in lines] == [problem["reference"]]
    assert "volcano" not in repr(lines)
    assert lines[0]["error"] == "ValueError"
    assert lines[0]["path"] == "/api/fail"
    assert any("fail" in place for place in lines[0]["at"])


@pytest.mark.req("S13")
async def test_a_refusal_is_logged_once_under_its_reference():
    with structlog.testing.capture_logs() as lines:
        answer = await ask(an_app(errors.NotFound("No.")), "GET", "/api/fail")
    assert [line["reference"] for line in lines] == [answer.json()["reference"]]


async def test_what_is_not_there_and_what_does_not_take_the_method_are_problems():
    app = an_app(errors.NotFound("x"))
    missing = await ask(app, "GET", "/api/other")
    wrong = await post(app, "/api/fail", {})
    assert (missing.status, missing.json()["code"]) == (404, "not_found")
    assert (wrong.status, wrong.headers["allow"]) == (405, "GET")


async def test_a_wrong_field_is_named_and_what_was_sent_is_not_repeated():
    app = guarded()
    app.router.route_class = StrictRoute

    class Named(Body):
        title: Title

    @app.post("/api/named")
    async def name(body: Named, limit: Limit = 5) -> None: ...

    cases = {
        '{"title": "a", "messages": []}': "messages is not known here; leave it out.",
        "{}": "title is missing.",
        '{"title": 7}': "title must be text.",
        '{"title": "sec\\nret"}': "title must be a single line without control characters.",
        "[]": "The body must be an object.",
        "": "The body is missing.",
    }
    for sent, said in cases.items():
        answer = await ask(
            app, "POST", "/api/named", ("content-type", "application/json"), body=sent.encode()
        )
        assert (answer.status, answer.json()["detail"]) == (422, said)
        assert "ret" not in answer.json()["detail"].replace("characters", "")
    answer = await post(app, "/api/named?limit=0", {"title": ""})
    assert answer.json()["detail"] == "limit must be 1 or more."
