"""Whatever happens on Anthropic's wire or on Google's, the reply is whole or the error says it.

R13: each provider fault becomes its own typed error; what came before it is not lost, and neither
the key nor the answer's body is ever repeated. What is promised of both alike stands here; every
test talks over TCP to a server that speaks the wire as its documentation says.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from tests.providers.anthropic_server import AnthropicServer
from tests.providers.faulty_server import (
    HOSTILE,
    REASONING,
    SECRET,
    TEXT,
    FaultyServer,
    refused_url,
)
from tests.providers.google_server import GoogleServer
from tests.providers.hearing import KEY, QUESTION, SOME, a_request, heard, reasoning_of, text_of

from talekeeper.domain.replies import Finished, Usage
from talekeeper.errors import (
    ContextTooLong,
    ProviderError,
    ProviderFailed,
    ProviderRateLimited,
    ProviderRefusedKey,
    ProviderRejected,
    ProviderSentGarbage,
    ProviderStalled,
    ProviderStreamCut,
    ProviderUnreachable,
)
from talekeeper.providers.anthropic import Anthropic
from talekeeper.providers.google import Google
from talekeeper.providers.reach import Reach


@dataclass(frozen=True)
class Wire:
    """A server of a wire, and the adapter that speaks it."""

    server: FaultyServer
    adapter: Callable[..., Anthropic | Google]

    def provider(self, **settings: Any) -> AbstractAsyncContextManager[Anthropic | Google]:
        return self.provider_at(self.server.base_url, **settings)

    @asynccontextmanager
    async def provider_at(self, url: str, **settings: Any) -> AsyncIterator[Anthropic | Google]:
        chosen: dict[str, Any] = {"stall_seconds": 5.0, "first_token_seconds": 5.0, **settings}
        provider = self.adapter(url, **{"api_key": KEY, **chosen})
        try:
            yield provider
        finally:
            await provider.aclose()


@pytest.fixture(params=["anthropic", "google"])
async def wire(request: pytest.FixtureRequest) -> AsyncIterator[Wire]:
    if request.param == "anthropic":
        async with AnthropicServer() as server:
            yield Wire(server, Anthropic)
    else:
        async with GoogleServer() as server:
            yield Wire(server, Google)


async def test_a_reply_arrives_whole_with_its_counts_and_ends_with_finished(wire: Wire) -> None:
    async with wire.provider() as provider:
        parts, error = await heard(provider)
    assert error is None
    assert text_of(parts) == TEXT
    assert parts[-2:] == [Usage(17, 42), Finished("stop")]


async def test_the_key_goes_in_a_header_of_its_own_and_never_in_the_address(wire: Wire) -> None:
    async with wire.provider() as provider:
        await heard(provider)
        await provider.models()
    header = "x-api-key" if wire.adapter is Anthropic else "x-goog-api-key"
    for asked in wire.server.requests:
        headers = {name.lower(): value for name, value in asked.headers.items()}
        assert headers[header] == KEY
        assert "authorization" not in headers
        assert KEY not in asked.path


@pytest.mark.parametrize("mode", ["split_utf8", "stays_open", "garbage_after_the_end"])
async def test_odd_but_whole_replies_are_taken(wire: Wire, mode: str) -> None:
    wire.server.mode = mode
    async with wire.provider(stall_seconds=30.0) as provider, asyncio.timeout(20):
        parts, error = await heard(provider)
    assert error is None
    assert text_of(parts) == TEXT
    assert parts[-1] == Finished("stop")


async def test_thinking_aloud_is_kept_apart_from_the_reply(wire: Wire) -> None:
    wire.server.mode = "reasoning"
    async with wire.provider() as provider:
        parts, error = await heard(provider)
    assert error is None
    assert text_of(parts) == TEXT
    assert reasoning_of(parts) == REASONING


@pytest.mark.req("R13")
async def test_hostile_markup_is_text_like_any_other(wire: Wire) -> None:
    wire.server.mode = "hostile"
    async with wire.provider() as provider:
        parts, error = await heard(provider)
    assert error is None
    assert text_of(parts) == HOSTILE


FAULTS: list[tuple[str, type[ProviderError], str]] = [
    ("401", ProviderRefusedKey, ""),
    ("403", ProviderRefusedKey, ""),
    ("404", ProviderRejected, ""),
    ("400", ProviderRejected, ""),
    ("429", ProviderRateLimited, ""),
    ("429_seconds", ProviderRateLimited, ""),
    ("500", ProviderFailed, ""),
    ("redirect", ProviderRejected, ""),
    ("context_too_long", ContextTooLong, ""),
    ("too_large", ContextTooLong, ""),
    ("error_in_document", ProviderFailed, ""),
    ("error_in_stream", ProviderFailed, SOME),
    ("overloaded_in_stream", ProviderFailed, SOME),
    ("rate_limit_in_stream", ProviderRateLimited, SOME),
    ("cut_mid_stream", ProviderStreamCut, SOME),
    ("cut_cleanly", ProviderStreamCut, SOME),
    ("cut_without_end", ProviderStreamCut, SOME),
    ("cut_in_an_event", ProviderStreamCut, SOME),
    ("cut_before_headers", ProviderStreamCut, ""),
    ("broken_framing", ProviderStreamCut, SOME),
    ("garbage", ProviderSentGarbage, ""),
    ("garbage_mid_stream", ProviderSentGarbage, SOME),
    ("garbage_in_a_burst", ProviderSentGarbage, SOME),
    ("not_http", ProviderSentGarbage, ""),
    ("html_page", ProviderSentGarbage, ""),
    ("huge_token", ProviderSentGarbage, SOME),
    ("empty", ProviderFailed, ""),
    ("length_at_once", ProviderRejected, ""),
]


@pytest.mark.req("R13")
@pytest.mark.parametrize(("mode", "kind", "kept"), FAULTS, ids=[fault[0] for fault in FAULTS])
async def test_each_fault_is_an_error_of_its_own_keeps_what_came_and_repeats_nothing(
    wire: Wire, mode: str, kind: type[ProviderError], kept: str
) -> None:
    wire.server.mode = mode
    async with wire.provider() as provider:
        parts, error = await heard(provider)
    assert error is not None
    assert type(error) is kind
    assert text_of(parts) == kept
    assert not any(isinstance(part, Finished) for part in parts)
    for hidden in (SECRET, KEY, QUESTION, "169.254"):
        assert hidden not in error.message
    assert error.message.endswith(".")


@pytest.mark.req("R13")
async def test_an_unknown_model_is_named(wire: Wire) -> None:
    wire.server.mode = "404"
    async with wire.provider() as provider:
        _, error = await heard(provider, a_request("no-such-bard"))
    assert error is not None
    assert "no-such-bard" in error.message


@pytest.mark.req("R13")
async def test_a_refused_connection_is_unreachable(wire: Wire) -> None:
    async with refused_url() as url, wire.provider_at(url) as provider:
        _, error = await heard(provider)
    assert type(error) is ProviderUnreachable
    assert error.retryable


@pytest.mark.req("R13")
@pytest.mark.parametrize(
    ("mode", "kept"),
    [
        ("stall_before_headers", ""),
        ("stall_first", ""),
        ("stall_mid_stream", SOME),
        ("stall_with_comments", SOME),
    ],
)
async def test_silence_past_the_setting_is_a_stall(wire: Wire, mode: str, kept: str) -> None:
    wire.server.mode = mode
    async with wire.provider(stall_seconds=0.2, first_token_seconds=0.5) as provider:
        began = time.monotonic()
        parts, error = await heard(provider)
        waited = time.monotonic() - began
    assert type(error) is ProviderStalled
    assert text_of(parts) == kept
    assert 0.15 < waited < 2


async def test_closing_the_generator_ends_the_request_at_once(wire: Wire) -> None:
    wire.server.mode = "stall_mid_stream"
    async with wire.provider() as provider:
        stream = provider.stream(a_request())
        await anext(stream)
        await stream.aclose()
        async with asyncio.timeout(1):
            await wire.server.disconnected.wait()


async def test_cancelling_the_reader_ends_the_request_at_once(wire: Wire) -> None:
    wire.server.mode = "stall_first"
    async with wire.provider() as provider:
        task = asyncio.create_task(heard(provider))
        while not wire.server.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(1):
            await wire.server.disconnected.wait()


async def test_two_replies_use_one_connection(wire: Wire) -> None:
    async with wire.provider() as provider:
        await heard(provider)
        await heard(provider)
        session = provider._line._session
        assert session is not None
        assert session.connector is not None
        assert len(session.connector._conns) == 1


async def test_many_replies_at_once_do_not_mix(wire: Wire) -> None:
    wire.server.pace = 0.001
    async with wire.provider() as provider:
        answers = await asyncio.gather(*(heard(provider) for _ in range(40)))
    assert all(error is None and text_of(parts) == TEXT for parts, error in answers)


@pytest.mark.req("R13")
@pytest.mark.parametrize(
    ("mode", "kind"),
    [("401", ProviderRefusedKey), ("500", ProviderFailed), ("html_page", ProviderSentGarbage)],
)
async def test_a_list_of_models_that_cannot_be_had_is_an_error(
    wire: Wire, mode: str, kind: type[ProviderError]
) -> None:
    wire.server.mode = mode
    async with wire.provider() as provider:
        with pytest.raises(kind) as raised:
            await provider.models()
    assert SECRET not in str(raised.value)


async def test_a_private_address_is_refused_where_only_public_ones_are_allowed(wire: Wire) -> None:
    for url in (wire.server.base_url, wire.server.base_url.replace("127.0.0.1", "localhost")):
        async with wire.provider_at(url, reach=Reach.PUBLIC_ONLY) as provider:
            _, error = await heard(provider)
        assert type(error) is ProviderRejected
    assert wire.server.requests == []


async def test_a_key_that_would_break_the_header_is_refused_before_it_is_sent(wire: Wire) -> None:
    async with wire.provider(api_key="sk-a\r\nHost: evil") as provider:
        _, error = await heard(provider)
    assert type(error) is ProviderRefusedKey
    assert wire.server.requests == []


@pytest.mark.parametrize("ending", ["", "/", "/v1", "/v1/"])
async def test_an_address_that_names_a_server_only_is_enough(wire: Wire, ending: str) -> None:
    async with wire.provider_at(wire.server.root_url + ending) as provider:
        _, error = await heard(provider)
    assert error is None
    version = "/v1/" if wire.adapter is Anthropic else "/v1beta/"
    assert wire.server.requests[0].path.startswith(version)
