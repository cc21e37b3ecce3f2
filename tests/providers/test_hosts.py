"""Every server that calls itself OpenAI-compatible is understood in its own way of being so (U4)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.providers import hosts
from tests.providers.hearing import heard, reasoning_of, text_of
from tests.providers.hosts import THOUGHT, WORDS, Host

from talekeeper.domain.replies import Finished, Model, Usage
from talekeeper.errors import ProviderFailed, ProviderRejected
from talekeeper.providers.openai_compatible import OpenAICompatible


@asynccontextmanager
async def a_provider(url: str) -> AsyncIterator[OpenAICompatible]:
    provider = OpenAICompatible(url, stall_seconds=5.0, first_token_seconds=5.0)
    try:
        yield provider
    finally:
        await provider.aclose()


@pytest.mark.parametrize(
    ("stream", "thought", "usage", "reason"),
    [
        pytest.param(hosts.OPENROUTER, THOUGHT, Usage(17, 42), "stop", id="OpenRouter"),
        pytest.param(hosts.LM_STUDIO, THOUGHT, Usage(17, 42), "stop", id="LM Studio"),
        pytest.param(hosts.LLAMA_CPP, THOUGHT, Usage(17, 42), "stop", id="llama.cpp"),
        pytest.param(hosts.KOBOLDCPP, "", None, "stop", id="KoboldCpp"),
        pytest.param(hosts.VLLM, THOUGHT, Usage(17, 42), "stop", id="vLLM"),
        pytest.param(hosts.WEBUI, THOUGHT, Usage(17, 42), "stop", id="text-generation-webui"),
        pytest.param(hosts.TABBY, "", None, "length", id="TabbyAPI"),
    ],
)
async def test_a_reply_arrives_whole_and_its_thinking_apart(
    stream: tuple[bytes, ...], thought: str, usage: Usage | None, reason: Any
) -> None:
    async with Host(stream) as host, a_provider(host.url) as provider:
        parts, error = await heard(provider)
    assert error is None
    assert text_of(parts) == WORDS
    assert reasoning_of(parts) == thought
    assert [part for part in parts if isinstance(part, Usage)] == ([usage] if usage else [])
    assert parts[-1] == Finished(reason)


@pytest.mark.req("R13")
@pytest.mark.parametrize(
    "stream",
    [
        pytest.param(hosts.OPENROUTER_FAULT, id="OpenRouter"),
        pytest.param(hosts.VLLM_FAULT, id="vLLM"),
    ],
)
async def test_an_error_in_the_stream_is_an_error_and_what_came_is_kept(
    stream: tuple[bytes, ...],
) -> None:
    async with Host(stream) as host, a_provider(host.url) as provider:
        parts, error = await heard(provider)
    assert text_of(parts) == WORDS[:10]
    assert isinstance(error, ProviderFailed)
    assert "EngineDead" not in str(error)
    assert "disconnected" not in str(error)


async def test_a_stream_that_says_done_is_whole_though_it_never_gives_a_reason() -> None:
    stream = (hosts.chunk({"content": WORDS}), hosts.chunk({"content": ""}), hosts.DONE)
    async with Host(stream) as host, a_provider(host.url) as provider:
        parts, error = await heard(provider)
    assert error is None
    assert text_of(parts) == WORDS
    assert parts[-1] == Finished(None)


async def test_a_list_of_models_at_a_wrong_address_is_no_try_again() -> None:
    told = {"error": "Unexpected endpoint or method. (GET /api/v0/v1/models). Returning 200 anyway"}
    async with Host(models=told) as host, a_provider(host.url) as provider:
        with pytest.raises(ProviderRejected, match="not to requests of this kind") as raised:
            await provider.models()
    assert not raised.value.retryable


@pytest.mark.parametrize("ending", ["", "/", "/v1", "/v1/", "/api/v1", "/api/v1/"])
async def test_an_address_is_taken_as_people_copy_it(ending: str) -> None:
    async with Host() as host, a_provider(f"http://127.0.0.1:{host.port}{ending}") as provider:
        parts, error = await heard(provider)
    assert error is None
    assert text_of(parts) == WORDS


@pytest.mark.parametrize(
    ("listing", "expected"),
    [
        pytest.param(
            {
                "data": [
                    {
                        "id": "mill/storyteller",
                        "name": "Mill: Storyteller",
                        "context_length": 131_072,
                        "architecture": {
                            "input_modalities": ["text", "image"],
                            "output_modalities": ["text"],
                        },
                        "supported_parameters": [
                            "max_tokens",
                            "tools",
                            "structured_outputs",
                            "reasoning",
                        ],
                    },
                    {
                        "id": "mill/plain",
                        "name": "Mill: Plain",
                        "context_length": 8_192,
                        "architecture": {"input_modalities": ["text"]},
                        "supported_parameters": ["temperature"],
                    },
                ]
            },
            (
                Model(
                    "mill/storyteller",
                    "Mill: Storyteller",
                    131_072,
                    ("images", "tools", "json", "reasoning"),
                ),
                Model("mill/plain", "Mill: Plain", 8_192, ()),
            ),
            id="OpenRouter",
        ),
        pytest.param(
            {
                "models": [
                    {"name": "bard.gguf", "capabilities": ["completion", "multimodal"]},
                ],
                "object": "list",
                "data": [{"id": "bard.gguf", "owned_by": "llamacpp", "meta": {"n_ctx": 4096}}],
            },
            (Model("bard.gguf", "bard.gguf", 4_096, ("images",)),),
            id="llama.cpp",
        ),
        pytest.param(
            {
                "object": "list",
                "data": [{"id": "bard", "object": "model", "max_model_len": 32_768}],
            },
            (Model("bard", "bard", 32_768),),
            id="vLLM",
        ),
        pytest.param(
            {
                "data": [
                    {
                        "id": "bard",
                        "type": "vlm",
                        "max_context_length": 32_768,
                        "loaded_context_length": 4_096,
                        "capabilities": ["tool_use"],
                    }
                ]
            },
            (Model("bard", "bard", 4_096, ("images", "tools")),),
            id="LM Studio",
        ),
        pytest.param(
            {"object": "list", "data": [{"id": "koboldcpp/bard", "owned_by": "koboldcpp"}]},
            (Model("koboldcpp/bard", "koboldcpp/bard"),),
            id="KoboldCpp",
        ),
    ],
)
async def test_what_a_model_can_do_is_told_as_far_as_the_server_tells(
    listing: Any, expected: tuple[Model, ...]
) -> None:
    async with Host(models=listing) as host, a_provider(host.url) as provider:
        assert await provider.models() == expected
