"""What is Google's own: what Gemini is told, what it blocks, and how its limits are worded."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from tests.providers.faulty_server import TEXT
from tests.providers.google_server import GoogleServer
from tests.providers.hearing import KEY, QUESTION, SOME, a_request, heard, text_of

from talekeeper.domain.replies import Finished, Model, ReplyRequest, Turn, Usage
from talekeeper.errors import (
    ProviderError,
    ProviderFailed,
    ProviderRateLimited,
    ProviderRefusedKey,
    ProviderRejected,
    ProviderStreamCut,
)
from talekeeper.providers.google import Google


@pytest.fixture
async def server() -> AsyncIterator[GoogleServer]:
    async with GoogleServer() as running:
        yield running


@pytest.fixture
async def gemini(server: GoogleServer) -> AsyncIterator[Google]:
    provider = Google(server.base_url, api_key=KEY, stall_seconds=5, first_token_seconds=5)
    yield provider
    await provider.aclose()


async def test_the_talk_is_told_in_its_own_words(server: GoogleServer, gemini: Google) -> None:
    turns = (
        Turn("system", "Be brief."),
        Turn("user", "Hello."),
        Turn("assistant", "Well met."),
        Turn("user", QUESTION),
    )
    await heard(gemini, ReplyRequest("gemini-bard", turns, max_tokens=300, temperature=1.4))
    asked = server.requests[0]
    assert asked.path == "/v1beta/models/gemini-bard:streamGenerateContent"
    assert asked.body == {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Hello."}]},
            {"role": "model", "parts": [{"text": "Well met."}]},
            {"role": "user", "parts": [{"text": QUESTION}]},
        ],
        "generationConfig": {"maxOutputTokens": 300, "temperature": 1.4},
    }


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("models/gemini-bard", "/v1beta/models/gemini-bard"),
        ("tunedModels/my-bard", "/v1beta/tunedModels/my-bard"),
        ("../../x?alt=json#", "/v1beta/models/../../x?alt=json#"),
    ],
)
async def test_a_models_name_leads_nowhere_but_to_the_model(
    server: GoogleServer, gemini: Google, model: str, path: str
) -> None:
    _, error = await heard(gemini, a_request(model))
    assert error is None
    assert server.requests[0].path == f"{path}:streamGenerateContent"


@pytest.mark.parametrize("mode", ["document", "odd_parts"])
async def test_odd_but_whole_replies_are_taken(
    server: GoogleServer, gemini: Google, mode: str
) -> None:
    server.mode = mode
    parts, error = await heard(gemini)
    assert error is None
    assert text_of(parts) == TEXT
    assert parts[-2:] == [Usage(17, 42), Finished("stop")]


@pytest.mark.parametrize(
    ("mode", "reason"),
    [("length", "length"), ("safety", "filtered"), ("recitation", "filtered")],
)
async def test_why_it_stopped_is_told_and_what_was_said_is_kept(
    server: GoogleServer, gemini: Google, mode: str, reason: Any
) -> None:
    server.mode = mode
    parts, error = await heard(gemini)
    assert error is None
    assert text_of(parts) == SOME
    assert parts[-1] == Finished(reason)


@pytest.mark.req("R13")
@pytest.mark.parametrize(
    ("mode", "kind", "word"),
    [
        ("wrong_key", ProviderRefusedKey, "key"),
        ("blocked", ProviderRejected, "safety filter"),
        ("safety_at_once", ProviderRejected, "safety filter"),
        ("503", ProviderFailed, "overloaded"),
        ("bare_error", ProviderFailed, "overloaded"),
        ("malformed_call", ProviderFailed, "fault"),
        ("of_a_kind_to_come", ProviderFailed, "fault"),
        ("unspecified", ProviderStreamCut, "broke off"),
        ("location", ProviderRejected, "did not accept"),
        ("429", ProviderRateLimited, "no more requests"),
        ("rate_limit_in_stream", ProviderRateLimited, "no more requests"),
    ],
)
async def test_its_own_faults_are_told_in_plain_words(
    server: GoogleServer, gemini: Google, mode: str, kind: type[ProviderError], word: str
) -> None:
    server.mode = mode
    _, error = await heard(gemini)
    assert error is not None
    assert type(error) is kind
    assert word in error.message


@pytest.mark.req("R13")
async def test_an_error_that_is_bare_json_does_not_take_what_came_with_it(
    server: GoogleServer, gemini: Google
) -> None:
    server.mode = "bare_error"
    parts, _ = await heard(gemini)
    assert text_of(parts) == SOME


@pytest.mark.req("R13")
async def test_how_long_to_wait_is_told(server: GoogleServer, gemini: Google) -> None:
    waits: list[float | None] = []
    for mode in ("429_seconds", "429_header", "429"):
        server.mode = mode
        _, error = await heard(gemini)
        assert error is not None
        waits.append(error.retry_after)
    assert waits == [37.5, 7, None]


async def test_all_pages_of_models_that_talk_are_listed_with_their_context_length(
    gemini: Google,
) -> None:
    assert await gemini.models() == (
        Model("gemini-bard", "Gemini Bard", 1_048_576),
        Model("gemini-plain", "gemini-plain", None),
    )


@pytest.mark.req("R13")
async def test_a_wrong_key_shows_in_the_list_of_models(
    server: GoogleServer, gemini: Google
) -> None:
    server.mode = "wrong_key"
    with pytest.raises(ProviderRefusedKey):
        await gemini.models()


async def test_wishes_that_were_not_made_are_not_sent(server: GoogleServer, gemini: Google) -> None:
    await heard(gemini, replace(a_request(), max_tokens=None))
    assert "generationConfig" not in server.requests[0].body
