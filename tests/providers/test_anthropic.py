"""What is Anthropic's own: what it is told, what it refuses, and why it stops."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from tests.providers.anthropic_server import LONGEST, AnthropicServer
from tests.providers.faulty_server import TEXT
from tests.providers.hearing import KEY, QUESTION, SOME, a_request, heard, text_of

from talekeeper.domain.replies import Finished, Model
from talekeeper.errors import (
    ContextTooLong,
    ProviderError,
    ProviderFailed,
    ProviderRejected,
    ProviderStalled,
)
from talekeeper.providers.anthropic import Anthropic


@pytest.fixture
async def server() -> AsyncIterator[AnthropicServer]:
    async with AnthropicServer() as running:
        yield running


@pytest.fixture
async def claude(server: AnthropicServer) -> AsyncIterator[Anthropic]:
    provider = Anthropic(server.base_url, api_key=KEY, stall_seconds=5, first_token_seconds=5)
    yield provider
    await provider.aclose()


async def test_instructions_stand_beside_the_talk(
    server: AnthropicServer, claude: Anthropic
) -> None:
    await heard(claude)
    body: dict[str, Any] = server.requests[0].body
    assert body["system"] == "Be brief."
    assert body["messages"] == [{"role": "user", "content": QUESTION}]
    assert body["stream"] is True
    assert "temperature" not in body


async def test_the_longest_reply_and_the_temperature_are_passed_on_as_far_as_they_go(
    server: AnthropicServer, claude: Anthropic
) -> None:
    await heard(claude, replace(a_request(), max_tokens=300, temperature=1.4))
    assert server.requests[0].body["max_tokens"] == 300
    assert server.requests[0].body["temperature"] == 1.0


async def test_a_model_that_gives_shorter_replies_is_asked_for_as_many_as_it_gives(
    server: AnthropicServer, claude: Anthropic
) -> None:
    server.mode = "small_replies"
    answers = [await heard(claude), await heard(claude)]
    assert all(error is None and text_of(parts) == TEXT for parts, error in answers)
    lengths = [asked.body["max_tokens"] for asked in server.requests]
    assert lengths[0] > LONGEST
    assert lengths[1:] == [LONGEST, LONGEST]


async def test_a_model_without_temperature_is_asked_without_from_then_on(
    server: AnthropicServer, claude: Anthropic
) -> None:
    server.mode = "no_temperature"
    request = replace(a_request(), temperature=0.7)
    answers = [await heard(claude, request), await heard(claude, request)]
    assert all(error is None for _, error in answers)
    assert ["temperature" in asked.body for asked in server.requests] == [True, False, False]


async def test_pings_and_events_of_kinds_to_come_are_passed_over(
    server: AnthropicServer, claude: Anthropic
) -> None:
    server.mode = "pings"
    parts, error = await heard(claude)
    assert error is None
    assert text_of(parts) == TEXT


@pytest.mark.req("R13")
async def test_a_model_that_only_pings_stalls_in_the_end(server: AnthropicServer) -> None:
    server.mode = "stall_with_pings"
    claude = Anthropic(server.base_url, api_key=KEY, stall_seconds=0.2, first_token_seconds=0.5)
    parts, error = await heard(claude)
    await claude.aclose()
    assert type(error) is ProviderStalled
    assert text_of(parts) == SOME


@pytest.mark.parametrize(
    ("mode", "reason"),
    [("length", "length"), ("context_full", "length"), ("refusal", "refused")],
)
async def test_why_it_stopped_is_told_and_what_was_said_is_kept(
    server: AnthropicServer, claude: Anthropic, mode: str, reason: Any
) -> None:
    server.mode = mode
    parts, error = await heard(claude)
    assert error is None
    assert text_of(parts) == SOME
    assert parts[-1] == Finished(reason)


@pytest.mark.req("R13")
@pytest.mark.parametrize(
    ("mode", "kind", "word"),
    [
        ("402", ProviderRejected, "credit"),
        ("no_credit", ProviderRejected, "credit"),
        ("529", ProviderFailed, "overloaded"),
        ("overloaded_in_stream", ProviderFailed, "overloaded"),
        ("context_and_reply_too_long", ContextTooLong, "too long"),
        ("too_long_in_stream", ContextTooLong, "too long"),
        ("refusal_at_once", ProviderRejected, "refused"),
    ],
)
async def test_its_own_faults_are_told_in_plain_words(
    server: AnthropicServer, claude: Anthropic, mode: str, kind: type[ProviderError], word: str
) -> None:
    server.mode = mode
    _, error = await heard(claude)
    assert error is not None
    assert type(error) is kind
    assert word in error.message


async def test_the_protocols_last_word_ends_a_reply_that_was_given_no_reason(
    server: AnthropicServer, claude: Anthropic
) -> None:
    server.mode = "stop_without_reason"
    parts, error = await heard(claude)
    assert error is None
    assert text_of(parts) == SOME
    assert parts[-1] == Finished(None)


@pytest.mark.req("R13")
async def test_how_long_to_wait_is_told(server: AnthropicServer, claude: Anthropic) -> None:
    waits: list[float | None] = []
    for mode in ("429_seconds", "429", "529"):
        server.mode = mode
        _, error = await heard(claude)
        assert error is not None
        assert error.retryable
        waits.append(error.retry_after)
    assert waits == [7, None, 3]


async def test_all_pages_of_models_are_listed_with_their_context_length(
    claude: Anthropic,
) -> None:
    assert await claude.models() == (
        Model("claude-bard-5", "Claude Bard 5", 1_000_000),
        Model("claude-bard-4", "Claude Bard 4", 200_000),
        Model("claude-old", "claude-old", None),
    )


def test_it_is_asked_to_go_on_in_words() -> None:
    assert Anthropic.continues_text is False
