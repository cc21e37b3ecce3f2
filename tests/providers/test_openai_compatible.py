"""Whatever an OpenAI-compatible server does, the reply is whole or the error says what happened.

R13: each provider fault becomes its own typed error; what came before it is not lost, and neither
the key nor the answer's body is ever repeated. Every test talks to a real server over TCP.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from tests.providers.faulty_server import (
    HOSTILE,
    REASONING,
    SECRET,
    TEXT,
    FaultyServer,
    refused_url,
)
from tests.providers.hearing import KEY, QUESTION, SOME, a_request, heard, reasoning_of, text_of

from talekeeper.domain.replies import (
    Finished,
    ReplyRequest,
    Turn,
    Usage,
)
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
from talekeeper.providers.openai_compatible import OpenAICompatible
from talekeeper.providers.reach import Reach


@pytest.fixture
async def server() -> AsyncIterator[FaultyServer]:
    async with FaultyServer() as running:
        yield running


@contextlib.asynccontextmanager
async def a_provider(base_url: str, **settings: Any) -> AsyncIterator[OpenAICompatible]:
    chosen: dict[str, Any] = {"stall_seconds": 5.0, "first_token_seconds": 5.0, **settings}
    provider = OpenAICompatible(base_url, api_key=KEY, **chosen)
    try:
        yield provider
    finally:
        await provider.aclose()


async def test_a_reply_arrives_whole_with_its_counts_and_ends_with_finished(
    server: FaultyServer,
) -> None:
    async with a_provider(server.base_url) as provider:
        parts, error = await heard(provider)
    assert error is None
    assert text_of(parts) == TEXT
    assert parts[-2:] == [Usage(17, 42), Finished("stop")]
    asked = server.requests[0]
    assert asked.body["messages"][1] == {"role": "user", "content": QUESTION}
    assert asked.body["stream_options"] == {"include_usage": True}
    assert "temperature" not in asked.body
    assert asked.headers["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("ending", ["/v1", "/v1/", "", "/"])
async def test_a_base_url_works_with_and_without_v1_and_slashes(
    server: FaultyServer, ending: str
) -> None:
    async with a_provider(server.root_url + ending) as provider:
        parts, error = await heard(provider)
    assert error is None
    assert text_of(parts) == TEXT
    assert server.requests[0].path == "/v1/chat/completions"


async def test_a_path_of_its_own_is_kept(server: FaultyServer) -> None:
    async with a_provider(server.root_url + "/api/openai/") as provider:
        await heard(provider)
    assert server.requests[0].path == "/api/openai/chat/completions"


@pytest.mark.parametrize(
    "mode",
    [
        "usage_missing",
        "no_done",
        "keep_alive",
        "split_utf8",
        "document",
        "no_stream_options",
        "garbage_after_the_end",
    ],
)
async def test_odd_but_whole_replies_are_taken(server: FaultyServer, mode: str) -> None:
    server.mode = mode
    async with a_provider(server.base_url) as provider:
        parts, error = await heard(provider)
    assert error is None
    assert text_of(parts) == TEXT
    assert parts[-1] == Finished("stop")


async def test_the_protocols_last_word_ends_a_reply_that_was_given_no_reason(
    server: FaultyServer,
) -> None:
    server.mode = "done_without_finish"
    async with a_provider(server.base_url) as provider:
        parts, error = await heard(provider)
    assert error is None
    assert text_of(parts) == SOME
    assert parts[-1] == Finished(None)


async def test_what_a_server_does_not_take_is_left_out_from_then_on(server: FaultyServer) -> None:
    server.mode = "no_stream_options"
    async with a_provider(server.base_url) as provider:
        await heard(provider)
        await heard(provider)
    assert ["stream_options" in asked.body for asked in server.requests] == [True, False, False]


async def test_what_one_model_does_not_take_another_is_still_asked_with(
    server: FaultyServer,
) -> None:
    server.mode = "no_temperature"
    async with a_provider(server.base_url) as provider:
        for model in ("thinker", "thinker", "storyteller"):
            _, error = await heard(provider, replace(a_request(model), temperature=0.7))
            assert error is None
    asked = [(each.body["model"], "temperature" in each.body) for each in server.requests]
    assert asked == [
        ("thinker", True),
        ("thinker", False),
        ("thinker", False),
        ("storyteller", True),
        ("storyteller", False),
    ]


async def test_replies_at_once_all_learn_what_a_server_does_not_take(server: FaultyServer) -> None:
    server.mode = "no_stream_options"
    async with a_provider(server.base_url) as provider:
        answers = await asyncio.gather(*(heard(provider) for _ in range(8)))
    assert [error for _, error in answers] == [None] * 8


async def test_a_finished_reply_does_not_wait_for_a_server_that_never_hangs_up(
    server: FaultyServer,
) -> None:
    server.mode = "no_done_stays_open"
    async with a_provider(server.base_url, stall_seconds=30.0) as provider:
        async with asyncio.timeout(20):
            parts, error = await heard(provider)
    assert error is None
    assert text_of(parts) == TEXT
    assert parts[-1] == Finished("length")


async def test_halves_of_an_emoji_in_two_deltas_are_both_handed_on(server: FaultyServer) -> None:
    server.mode = "split_surrogates"
    async with a_provider(server.base_url) as provider:
        parts, error = await heard(provider)
    assert error is None
    joined = text_of(parts).encode("utf-16", "surrogatepass").decode("utf-16")
    assert joined == TEXT


@pytest.mark.parametrize("mode", ["reasoning", "thinking"])
async def test_thinking_aloud_is_kept_apart_from_the_reply(server: FaultyServer, mode: str) -> None:
    server.mode = mode
    async with a_provider(server.base_url) as provider:
        parts, error = await heard(provider)
    assert error is None
    assert text_of(parts) == TEXT
    assert reasoning_of(parts) == REASONING


@pytest.mark.req("R13")
async def test_hostile_markup_is_text_like_any_other(server: FaultyServer) -> None:
    server.mode = "hostile"
    async with a_provider(server.base_url) as provider:
        parts, error = await heard(provider)
    assert error is None
    assert text_of(parts) == HOSTILE


FAULTS: list[tuple[str, type[ProviderError], str]] = [
    ("401", ProviderRefusedKey, ""),
    ("402", ProviderRejected, ""),
    ("403", ProviderRefusedKey, ""),
    ("404", ProviderRejected, ""),
    ("400", ProviderRejected, ""),
    ("429", ProviderRateLimited, ""),
    ("429_seconds", ProviderRateLimited, ""),
    ("429_date", ProviderRateLimited, ""),
    ("500", ProviderFailed, ""),
    ("503", ProviderFailed, ""),
    ("redirect", ProviderRejected, ""),
    ("context_too_long", ContextTooLong, ""),
    ("too_large", ContextTooLong, ""),
    ("error_in_document", ContextTooLong, ""),
    ("error_in_stream", ProviderFailed, SOME),
    ("rate_limit_in_stream", ProviderRateLimited, SOME),
    ("cut_mid_stream", ProviderStreamCut, SOME),
    ("cut_cleanly", ProviderStreamCut, SOME),
    ("cut_without_end", ProviderStreamCut, SOME),
    ("cut_in_an_event", ProviderStreamCut, SOME),
    ("cut_before_headers", ProviderStreamCut, ""),
    ("broken_framing", ProviderStreamCut, SOME),
    ("garbage", ProviderSentGarbage, ""),
    ("garbage_mid_stream", ProviderSentGarbage, SOME),
    ("not_http", ProviderSentGarbage, ""),
    ("html_page", ProviderSentGarbage, ""),
    ("huge_token", ProviderSentGarbage, SOME),
    ("garbage_in_a_burst", ProviderSentGarbage, SOME),
    ("empty", ProviderFailed, ""),
]


@pytest.mark.req("R13")
@pytest.mark.parametrize(("mode", "kind", "kept"), FAULTS, ids=[fault[0] for fault in FAULTS])
async def test_each_fault_is_an_error_of_its_own_and_keeps_what_came(
    server: FaultyServer, mode: str, kind: type[ProviderError], kept: str
) -> None:
    server.mode = mode
    async with a_provider(server.base_url) as provider:
        parts, error = await heard(provider)
    assert type(error) is kind
    assert text_of(parts) == kept
    assert not any(isinstance(part, Finished) for part in parts)


@pytest.mark.req("R13")
@pytest.mark.parametrize("mode", [fault[0] for fault in FAULTS])
async def test_an_error_repeats_neither_key_nor_body_nor_question(
    server: FaultyServer, mode: str
) -> None:
    server.mode = mode
    async with a_provider(server.base_url) as provider:
        _, error = await heard(provider)
    assert error is not None
    for hidden in (SECRET, KEY, QUESTION, "169.254"):
        assert hidden not in error.message
    assert error.message.endswith(".")


@pytest.mark.req("R13")
async def test_a_rate_limit_says_how_long_to_wait(server: FaultyServer) -> None:
    async with a_provider(server.base_url) as provider:
        server.mode = "429_seconds"
        _, seconds = await heard(provider)
        server.mode = "429_date"
        _, date = await heard(provider)
        server.mode = "429"
        _, neither = await heard(provider)
    assert seconds is not None
    assert seconds.retry_after == 7
    assert date is not None
    assert date.retry_after is not None
    assert 25 < date.retry_after <= 31
    assert neither is not None
    assert neither.retry_after is None


@pytest.mark.req("R13")
async def test_an_unknown_model_is_named(server: FaultyServer) -> None:
    server.mode = "404"
    async with a_provider(server.base_url) as provider:
        _, error = await heard(provider, a_request("no-such-bard"))
    assert error is not None
    assert "no-such-bard" in error.message


@pytest.mark.req("R13")
async def test_a_refused_connection_is_unreachable() -> None:
    async with refused_url() as url, a_provider(url) as provider:
        _, error = await heard(provider)
    assert type(error) is ProviderUnreachable
    assert error.retryable


@pytest.mark.req("R13")
async def test_a_name_that_nobody_knows_is_unreachable() -> None:
    async with a_provider("http://no-such-host.invalid/v1") as provider:
        _, error = await heard(provider)
    assert type(error) is ProviderUnreachable


@pytest.mark.req("R13")
async def test_a_connection_that_cannot_be_made_secret_is_unreachable(
    server: FaultyServer,
) -> None:
    async with a_provider(server.base_url.replace("http:", "https:")) as provider:
        _, error = await heard(provider)
    assert type(error) is ProviderUnreachable
    assert "https://" in error.message


async def test_a_conversation_of_3_mb_is_sent_whole(server: FaultyServer) -> None:
    long = "Brìd 🐉 " * 300_000
    async with a_provider(server.base_url) as provider:
        _, error = await heard(provider, ReplyRequest("storyteller", (Turn("user", long),)))
    assert error is None
    assert server.requests[0].body["messages"][0]["content"] == long


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
async def test_silence_past_the_setting_is_a_stall(
    server: FaultyServer, mode: str, kept: str
) -> None:
    server.mode = mode
    async with a_provider(server.base_url, stall_seconds=0.2, first_token_seconds=0.5) as provider:
        began = time.monotonic()
        parts, error = await heard(provider)
        waited = time.monotonic() - began
    assert type(error) is ProviderStalled
    assert text_of(parts) == kept
    assert 0.15 < waited < 2


async def test_the_first_token_may_take_longer_than_a_stall(server: FaultyServer) -> None:
    server.mode = "stall_first"
    async with a_provider(server.base_url, stall_seconds=0.05, first_token_seconds=0.6) as provider:
        began = time.monotonic()
        await heard(provider)
        waited = time.monotonic() - began
    assert waited > 0.5


async def test_closing_the_generator_ends_the_request_at_once(server: FaultyServer) -> None:
    server.mode = "stall_mid_stream"
    async with a_provider(server.base_url) as provider:
        stream = provider.stream(a_request())
        await anext(stream)
        await stream.aclose()
        async with asyncio.timeout(1):
            await server.disconnected.wait()


async def test_cancelling_the_reader_ends_the_request_at_once(server: FaultyServer) -> None:
    server.mode = "stall_first"
    async with a_provider(server.base_url) as provider:
        task = asyncio.create_task(heard(provider))
        while not server.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(1):
            await server.disconnected.wait()


async def test_a_server_that_was_restarted_between_two_replies_is_asked_again(
    server: FaultyServer,
) -> None:
    async with a_provider(server.base_url) as provider:
        await heard(provider)
        await server.refuse()
        await server.listen()
        parts, error = await heard(provider)
    assert error is None
    assert text_of(parts) == TEXT


async def test_two_replies_use_one_connection(server: FaultyServer) -> None:
    async with a_provider(server.base_url) as provider:
        await heard(provider)
        session = provider._line._session
        assert session is not None
        assert session.connector is not None
        assert len(session.connector._conns) == 1


async def test_many_replies_at_once_do_not_mix(server: FaultyServer) -> None:
    server.pace = 0.001
    async with a_provider(server.base_url) as provider:
        answers = await asyncio.gather(*(heard(provider) for _ in range(120)))
    assert all(error is None and text_of(parts) == TEXT for parts, error in answers)


async def test_models_are_listed_with_the_context_length_where_it_is_said(
    server: FaultyServer,
) -> None:
    async with a_provider(server.base_url) as provider:
        models = await provider.models()
    assert [(model.id, model.context_length) for model in models] == [
        ("storyteller-large", 128_000),
        ("storyteller-small", 8192),
        ("bard", 4096),
        ("unknown-length", None),
    ]


@pytest.mark.req("R13")
@pytest.mark.parametrize(
    ("mode", "kind"),
    [("401", ProviderRefusedKey), ("500", ProviderFailed), ("html_page", ProviderSentGarbage)],
)
async def test_a_list_of_models_that_cannot_be_had_is_an_error(
    server: FaultyServer, mode: str, kind: type[ProviderError]
) -> None:
    server.mode = mode
    async with a_provider(server.base_url) as provider:
        with pytest.raises(kind) as raised:
            await provider.models()
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("url", ["", "a host name", "ftp://x", "http://u:p@x/v1"])
async def test_a_base_url_that_is_none_is_a_provider_error(url: str) -> None:
    async with a_provider(url) as provider:
        _, error = await heard(provider)
    assert type(error) is ProviderRejected


async def test_a_private_address_is_refused_where_only_public_ones_are_allowed(
    server: FaultyServer,
) -> None:
    for url in (server.base_url, server.base_url.replace("127.0.0.1", "localhost")):
        async with a_provider(url, reach=Reach.PUBLIC_ONLY) as provider:
            _, error = await heard(provider)
        assert type(error) is ProviderRejected
    assert server.requests == []


async def test_a_key_that_would_break_the_header_is_refused_before_it_is_sent(
    server: FaultyServer,
) -> None:
    provider = OpenAICompatible(server.base_url, api_key="sk-a\r\nHost: evil")
    _, error = await heard(provider)
    await provider.aclose()
    assert type(error) is ProviderRefusedKey
    assert server.requests == []
