"""How a reply is to be made reaches every provider in its own words, or the reply says it did not.

A wish that a model refuses is left out and told; one that cannot be left out is named in the error.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from tests.providers.anthropic_server import AnthropicServer
from tests.providers.faulty_server import SECRET, TEXT, FaultyServer
from tests.providers.google_server import GoogleServer
from tests.providers.hearing import KEY, a_request, heard, text_of
from tests.providers.hosts import WORDS, Host

from talekeeper.domain.replies import Unheeded
from talekeeper.errors import ContextTooLong, ProviderRejected
from talekeeper.providers.anthropic import Anthropic
from talekeeper.providers.google import Google
from talekeeper.providers.ollama import Ollama
from talekeeper.providers.openai_compatible import OpenAICompatible

WISHING = replace(a_request(), temperature=0.7, top_p=0.9, max_tokens=300)

ADAPTERS: dict[str, tuple[type[FaultyServer], Callable[..., Any]]] = {
    "openai": (FaultyServer, OpenAICompatible),
    "ollama": (FaultyServer, Ollama),
    "anthropic": (AnthropicServer, Anthropic),
    "google": (GoogleServer, Google),
}


@asynccontextmanager
async def opened(adapter: Callable[..., Any], url: str) -> AsyncIterator[Any]:
    provider = adapter(url, api_key=KEY, stall_seconds=5, first_token_seconds=5)
    try:
        yield provider
    finally:
        await provider.aclose()


@pytest.mark.parametrize(
    ("name", "place", "words"),
    [
        ("openai", None, {"temperature": 0.7, "top_p": 0.9, "max_tokens": 300}),
        ("ollama", None, {"temperature": 0.7, "top_p": 0.9, "max_tokens": 300}),
        ("anthropic", None, {"temperature": 0.7, "top_p": 0.9, "max_tokens": 300}),
        (
            "google",
            "generationConfig",
            {"temperature": 0.7, "topP": 0.9, "maxOutputTokens": 300},
        ),
    ],
)
async def test_wishes_are_told_in_the_words_of_each_wire(
    name: str, place: str | None, words: dict[str, Any]
) -> None:
    server_kind, adapter = ADAPTERS[name]
    async with server_kind() as server, opened(adapter, server.base_url) as provider:
        parts, error = await heard(provider, WISHING)
        assert error is None
        assert text_of(parts) == TEXT
        assert not any(isinstance(part, Unheeded) for part in parts)
        body = server.requests[0].body
        told = body[place] if place else body
        assert {key: told[key] for key in words} == words


@pytest.mark.parametrize("name", ["openai", "ollama", "google"])
async def test_without_a_wish_nothing_is_said_of_it(name: str) -> None:
    server_kind, adapter = ADAPTERS[name]
    async with server_kind() as server, opened(adapter, server.base_url) as provider:
        await heard(provider)
        body = server.requests[0].body
    assert not body.keys() & {"temperature", "top_p", "max_tokens", "generationConfig"}
    assert "max_completion_tokens" not in body


def _refusing(*fields: str, status: int = 400, words: str = "Unsupported parameter: '{}'.") -> Any:
    """A refusal of the first of `fields` that a request holds, as OpenAI words it."""

    def refuse(body: dict[str, Any]) -> tuple[int, Any] | None:
        found = next((field for field in fields if field in body), None)
        if found is None:
            return None
        return status, {"error": {"message": f"{words.format(found)} {SECRET}", "param": found}}

    return refuse


_RENAMED = "'{}' is not supported with this model. Use 'max_completion_tokens' instead."


async def test_a_newer_model_is_told_its_longest_reply_under_the_newer_name() -> None:
    async with (
        Host(refuse=_refusing("max_tokens", words=_RENAMED)) as host,
        opened(OpenAICompatible, host.url) as provider,
    ):
        for _ in range(2):
            parts, error = await heard(provider, WISHING)
            assert error is None
            assert text_of(parts) == WORDS
            assert not any(isinstance(part, Unheeded) for part in parts)
    told = [{key: body[key] for key in body if key.startswith("max")} for body in host.asked]
    assert told == [
        {"max_tokens": 300},
        {"max_completion_tokens": 300},
        {"max_completion_tokens": 300},
    ]


async def test_a_wish_that_a_model_refuses_is_left_out_and_every_reply_says_so() -> None:
    async with (
        Host(refuse=_refusing("temperature", "top_p")) as host,
        opened(OpenAICompatible, host.url) as provider,
    ):
        answers = [await heard(provider, WISHING) for _ in range(2)]
        plain, _ = await heard(provider, replace(WISHING, temperature=None, top_p=None))
    for parts, error in answers:
        assert error is None
        assert parts[:2] == [Unheeded("temperature"), Unheeded("top_p")]
        assert text_of(parts) == WORDS
    assert not any(isinstance(part, Unheeded) for part in plain)
    assert [len(body.keys() & {"temperature", "top_p"}) for body in host.asked] == [2, 1, 0, 0, 0]


async def test_of_two_wishes_that_exclude_each_other_claude_keeps_the_temperature() -> None:
    said = "`temperature` and `top_p` cannot both be specified for this model."

    def refuse(body: dict[str, Any]) -> tuple[int, Any] | None:
        if "temperature" in body and "top_p" in body:
            return 400, {"type": "error", "error": {"type": "invalid_request", "message": said}}
        return None

    async with Host((), refuse=refuse) as host, opened(Anthropic, host.url) as provider:
        parts, _ = await heard(provider, WISHING)
    assert parts[0] == Unheeded("top_p")
    assert [sorted(body.keys() & {"temperature", "top_p"}) for body in host.asked] == [
        ["temperature", "top_p"],
        ["temperature"],
    ]


@pytest.mark.parametrize(
    ("adapter", "field", "word", "status"),
    [
        (OpenAICompatible, "max_completion_tokens", "the longest reply", 400),
        (OpenAICompatible, "max_completion_tokens", "the longest reply", 422),
        (Google, "generationConfig", "the longest reply", 400),
    ],
)
async def test_a_wish_that_cannot_be_left_out_is_named_in_the_error(
    adapter: Callable[..., Any], field: str, word: str, status: int
) -> None:
    words = "max_tokens is too large: 300. {} takes 128 (maxOutputTokens)."
    refuse = _refusing("max_tokens", field, status=status, words=words)
    async with Host(refuse=refuse) as host, opened(adapter, host.url) as provider:
        _, error = await heard(provider, replace(a_request(), max_tokens=300))
    assert isinstance(error, ProviderRejected)
    assert word in error.message
    assert "reply settings" in error.message
    assert SECRET not in error.message


async def test_a_talk_that_is_too_long_is_not_blamed_on_the_longest_reply() -> None:
    words = "maximum context length is 8192 tokens, you asked for 300 in max_tokens {}"
    refuse = _refusing("max_tokens", "max_completion_tokens", words=words)
    async with Host(refuse=refuse) as host, opened(OpenAICompatible, host.url) as provider:
        _, error = await heard(provider, WISHING)
    assert isinstance(error, ContextTooLong)


@pytest.mark.req("FR-007")
@pytest.mark.parametrize("adapter", [OpenAICompatible, Anthropic])
async def test_a_reply_that_is_left_at_an_unheeded_wish_leaves_no_response_open(
    adapter: Callable[..., Any],
) -> None:
    much = (b": no end is near\n\n" * 200_000,)
    refuse = _refusing("temperature") if adapter is OpenAICompatible else _refusing_as_claude
    async with Host(much, refuse=refuse) as host, opened(adapter, host.url) as provider:
        responses: list[Any] = []
        ask = provider._line.ask

        async def noting(*how: Any) -> Any:
            responses.append(await ask(*how))
            return responses[-1]

        provider._line.ask = noting
        stream = provider.stream(replace(WISHING, top_p=None))
        assert await anext(stream) == Unheeded("temperature")
        await stream.aclose()
        assert responses[-1].status == 200
        assert responses[-1].closed


def _refusing_as_claude(body: dict[str, Any]) -> tuple[int, Any] | None:
    if "temperature" not in body:
        return None
    said = "temperature is not supported by this model."
    return 400, {"type": "error", "error": {"type": "invalid_request_error", "message": said}}
