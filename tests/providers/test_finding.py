"""Model servers on this machine are found where they usually listen, and nothing else is."""

import asyncio
import socket
import time
from typing import Any

import pytest
from tests.providers.hosts import Host

from talekeeper.domain.replies import Model
from talekeeper.providers.catalogue import FoundServer
from talekeeper.providers.finding import found_servers

NOBODY = "http://127.0.0.1:9/v1"
ONE_MODEL: Any = {"object": "list", "data": [{"id": "bard", "object": "model"}]}


@pytest.mark.parametrize(
    ("owner", "title", "preset"),
    [
        ("llamacpp", "llama.cpp", "llama_cpp"),
        ("vllm", "vLLM", "vllm"),
        ("koboldcpp", "KoboldCpp", "koboldcpp"),
        ("organization_owner", "LM Studio", "lm_studio"),
        ("user", "The usual one", None),
    ],
)
async def test_a_server_is_called_what_its_list_says_else_by_its_port(
    owner: str, title: str, preset: str | None
) -> None:
    listing = {"object": "list", "data": [{"id": "bard", "owned_by": owner}]}
    async with Host(models=listing) as host:
        found = await found_servers(ollama_url=NOBODY, places=((host.port, "The usual one"),))
        assert found == (FoundServer("openai", preset, title, host.url, (Model("bard", "bard"),)),)
        assert host.listed == 1


async def test_ollama_is_found_with_its_version_and_its_models() -> None:
    tags = {"models": [{"name": "llama3.2:3b", "model": "llama3.2:3b"}]}
    async with Host(models=tags, version="0.12.6") as host:
        (found,) = await found_servers(ollama_url=host.url, places=())
    assert (found.kind, found.title, found.base_url) == ("ollama", "Ollama 0.12.6", host.url)
    assert [model.id for model in found.models] == ["llama3.2:3b"]


async def test_what_is_no_model_server_is_not_found() -> None:
    async with Host() as page, Host(models={"users": []}) as another, Host(models=[1]) as odd:
        places = tuple((host.port, "x") for host in (page, another, odd))
        assert await found_servers(ollama_url=page.url, places=places) == ()
        assert [host.listed for host in (page, another, odd)] == [1, 1, 1]


async def test_a_port_that_never_answers_holds_nobody_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        begun = time.monotonic()
        async with Host(models=ONE_MODEL) as host, asyncio.timeout(5):
            found = await found_servers(
                ollama_url=f"http://127.0.0.1:{port}/v1",
                places=((port, "silent"), (host.port, "here")),
            )
        assert time.monotonic() - begun < 2
    assert [server.title for server in found] == ["here"]


async def test_a_server_without_a_model_is_found_all_the_same() -> None:
    async with Host(models={"object": "list", "data": []}) as host:
        (found,) = await found_servers(ollama_url=NOBODY, places=((host.port, "LM Studio"),))
    assert found.models == ()
