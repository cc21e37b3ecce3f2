"""Ollama is found on this machine, talks over the OpenAI wire, and says how much it keeps."""

import socket
import time
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from tests.providers.faulty_server import TEXT, FaultyServer, refused_url
from tests.providers.hearing import a_request, heard, text_of

from talekeeper.domain.replies import Model
from talekeeper.errors import ProviderFailed, ProviderUnreachable
from talekeeper.providers.ollama import Ollama, discover

SHOWN: dict[str, dict[str, object]] = {
    "bard:8b": {"model_info": {"general.architecture": "llama", "llama.context_length": 131_072}},
    "tuned:8b": {
        "parameters": 'num_keep  24\nnum_ctx                        16384\nstop "<|end|>"',
        "model_info": {"llama.context_length": 131_072},
    },
    "small:1b": {"parameters": "num_ctx 65536", "model_info": {"qwen3.context_length": 2048}},
    "loaded:8b": {"model_info": {"llama.context_length": 131_072}},
}


class OllamaServer(FaultyServer):
    """Ollama's own wire beside the one it shares with OpenAI."""

    says_what_is_loaded = True

    def add_routes(self, app: web.Application) -> None:
        super().add_routes(app)
        app.router.add_get("/api/version", self._version)
        app.router.add_get("/api/tags", self._tags)
        app.router.add_get("/api/ps", self._ps)
        app.router.add_post("/api/show", self._show)

    async def _version(self, request: web.Request) -> web.Response:
        return web.json_response({"version": "0.40.12"})

    async def _tags(self, request: web.Request) -> web.Response:
        if self.mode in self.statuses:
            return self.refusal(self.mode)
        models: list[dict[str, object]] = [{"name": name, "model": name} for name in SHOWN]
        models.append({"name": "lost:7b"})
        cloud = {"name": "vast:cloud", "model": "vast:cloud", "remote_host": "https://ollama.com"}
        return web.json_response({"models": [*models, cloud, {"size": 1}]})

    async def _ps(self, request: web.Request) -> web.Response:
        if not self.says_what_is_loaded:
            return web.Response(status=404)
        loaded = {"name": "loaded:8b", "model": "loaded:8b", "context_length": 32_768}
        return web.json_response({"models": [loaded]})

    async def _show(self, request: web.Request) -> web.Response:
        name = (await request.json())["model"]
        if name not in SHOWN:
            return web.json_response({"error": f"model '{name}' not found"}, status=404)
        return web.json_response(SHOWN[name])


@pytest.fixture
async def server() -> AsyncIterator[OllamaServer]:
    async with OllamaServer() as running:
        yield running


@pytest.fixture
async def ollama(server: OllamaServer) -> AsyncIterator[Ollama]:
    provider = Ollama(server.base_url, name="ollama", stall_seconds=5, first_token_seconds=5)
    yield provider
    await provider.aclose()


async def test_it_talks_over_the_openai_wire(server: OllamaServer, ollama: Ollama) -> None:
    parts, error = await heard(ollama, a_request("bard:8b"))
    assert error is None
    assert text_of(parts) == TEXT
    assert server.requests[0].path == "/v1/chat/completions"
    assert "Authorization" not in server.requests[0].headers


async def test_models_are_listed_with_the_length_that_is_sure_to_be_kept(ollama: Ollama) -> None:
    models = await ollama.models()
    assert {model.id: model.context_length for model in models} == {
        "bard:8b": 4096,
        "tuned:8b": 16_384,
        "small:1b": 2048,
        "loaded:8b": 32_768,
        "lost:7b": None,
        "vast:cloud": None,
    }


async def test_a_model_that_would_send_words_away_says_so(ollama: Ollama) -> None:
    names = {model.id: model.name for model in await ollama.models()}
    assert "not on this machine" in names["vast:cloud"]
    assert names["bard:8b"] == "bard:8b"


async def test_an_elder_ollama_that_does_not_say_what_is_loaded_is_asked_all_the_same(
    server: OllamaServer, ollama: Ollama
) -> None:
    server.says_what_is_loaded = False
    lengths = {model.id: model.context_length for model in await ollama.models()}
    assert lengths["loaded:8b"] == 4096


async def test_something_else_at_the_address_lists_its_models_as_it_can() -> None:
    async with FaultyServer() as other:
        ollama = Ollama(other.base_url, name="ollama")
        models = await ollama.models()
        await ollama.aclose()
    assert Model("storyteller-large", "storyteller-large", 128_000) in models


@pytest.mark.req("R13")
async def test_a_list_that_cannot_be_had_is_an_error(server: OllamaServer, ollama: Ollama) -> None:
    server.mode = "500"
    with pytest.raises(ProviderFailed):
        await ollama.models()
    await server.refuse()
    with pytest.raises(ProviderUnreachable):
        await ollama.models()


async def test_it_is_discovered_where_it_listens(server: OllamaServer) -> None:
    assert await discover(server.base_url, seconds=5) == "0.40.12"


async def test_nothing_is_discovered_where_it_does_not_listen() -> None:
    async with refused_url() as url:
        assert await discover(url) is None
    async with FaultyServer() as other:
        assert await discover(other.base_url, seconds=5) is None


async def test_a_silent_port_does_not_hold_the_page_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        assert await discover(f"http://127.0.0.1:{silent.getsockname()[1]}/v1") is None
        assert time.monotonic() - began < 3
