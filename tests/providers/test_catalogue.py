"""Every kind of provider is listed, only what works can be built, and keys are never shown."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.providers.hearing import a_request

from servers import until
from talekeeper.domain.replies import Model, Provider, ReplyRequest, StreamPart, TextDelta
from talekeeper.errors import ModelMissing
from talekeeper.providers.catalogue import (
    KINDS,
    Endpoint,
    build_provider,
    kind_named,
)
from talekeeper.providers.reach import Reach, checked_base_url
from talekeeper.providers.sharing import Providers

KEY = "sk-the-players-own-key"


def test_the_kinds_are_those_that_the_settings_name() -> None:
    names = {kind.name for kind in KINDS}
    assert names == {"local", "openai", "anthropic", "google", "ollama", "scripted"}


def test_every_default_address_is_one_that_may_be_connected_to() -> None:
    for kind in KINDS:
        if kind.base_url is not None:
            assert checked_base_url(kind.base_url, Reach.ANYWHERE) == kind.base_url


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
async def test_a_kind_can_be_built_or_says_why_not(kind, tmp_path: Path) -> None:
    endpoint = Endpoint(kind.name, api_key=KEY)
    if kind.unavailable is None:
        provider = build_provider(endpoint, models_folder=tmp_path)
        assert provider.name == kind.name
        await provider.aclose()
    else:
        with pytest.raises(ModelMissing) as raised:
            build_provider(endpoint, models_folder=tmp_path)
        assert raised.value.message == kind.unavailable


def test_every_kind_works_in_this_build() -> None:
    assert [kind.name for kind in KINDS if kind.unavailable is not None] == []


def test_a_kind_that_is_far_away_takes_a_key_and_an_address_of_its_own() -> None:
    for kind in KINDS:
        if kind.is_remote:
            assert kind.needs_key
            assert kind.takes_base_url
            assert kind.default_model is None


def test_an_unknown_kind_is_an_error(tmp_path: Path) -> None:
    assert kind_named("oracle") is None
    with pytest.raises(ModelMissing, match="oracle"):
        build_provider(Endpoint("oracle"), models_folder=tmp_path)


def test_an_endpoint_never_shows_its_key() -> None:
    endpoint = Endpoint("openai", "https://api.openai.com/v1", KEY)
    assert KEY not in repr(endpoint)
    assert KEY not in f"{endpoint}"


class Closing:
    """A provider that only counts how often it was closed."""

    name = "closing"
    continues_text = False

    def __init__(self, *, fails: bool) -> None:
        self.closed = 0
        self.fails = fails

    async def stream(self, request: ReplyRequest) -> AsyncGenerator[StreamPart]:
        raise AssertionError("nobody asks")
        yield

    def can_title(self, request: ReplyRequest) -> bool:
        return False

    async def models(self) -> tuple[Model, ...]:
        return ()

    async def aclose(self) -> None:
        self.closed += 1
        if self.fails:
            raise OSError("stuck")


async def test_one_provider_serves_all_models_of_one_endpoint() -> None:
    built: list[Closing] = []

    def build(endpoint: Endpoint) -> Closing:
        built.append(Closing(fails=endpoint.kind == "stuck"))
        return built[-1]

    providers = Providers(build, loop=asyncio.get_running_loop())
    first = providers.of(Endpoint("openai", "http://a", KEY))
    assert providers.of(Endpoint("openai", "http://a", KEY)) is first
    quirky = Endpoint("openai", "http://a", KEY, frozenset({"stream_options"}))
    assert providers.of(quirky) is not first
    assert providers.of(Endpoint("openai", "http://a", "another-key")) is not first
    assert providers.of(Endpoint("openai", "http://b", KEY)) is not first
    providers.of(Endpoint("stuck"))
    providers.of(Endpoint("last"))
    with pytest.raises(ExceptionGroup):
        await providers.aclose()
    assert [each.closed for each in built] == [1] * len(built)
    await providers.aclose()
    assert [each.closed for each in built] == [1] * len(built)


async def test_threads_that_ask_at_once_get_the_one_provider() -> None:
    together = threading.Barrier(4)
    built: list[Closing] = []

    def build(_endpoint: Endpoint) -> Closing:
        time.sleep(0.05)  # as long as importing its module takes
        built.append(Closing(fails=False))
        return built[-1]

    providers = Providers(build, loop=asyncio.get_running_loop())

    def asked() -> Provider:
        together.wait(5)
        return providers.of(Endpoint("openai"))

    with ThreadPoolExecutor(4) as threads:
        got = [each.result() for each in [threads.submit(asked) for _ in range(4)]]
    assert len(built) == 1
    assert len(set(map(id, got))) == 1


class Speaking(Closing):
    """Says a word at a time, each when it is let out."""

    def __init__(self) -> None:
        super().__init__(fails=False)
        self.gate = asyncio.Semaphore(0)

    async def stream(self, request: ReplyRequest) -> AsyncGenerator[StreamPart]:
        for word in ("Well ", "met"):
            await self.gate.acquire()
            assert self.closed == 0
            yield TextDelta(word)


async def test_of_many_connections_those_used_last_stay_built_and_the_others_are_closed() -> None:
    built: list[Closing] = []

    def build(_endpoint: Endpoint) -> Closing:
        built.append(Closing(fails=len(built) == 1))
        return built[-1]

    providers = Providers(build, loop=asyncio.get_running_loop(), at_most=3)
    for number in range(100):
        providers.of(Endpoint("openai", api_key=f"key {number}"))
        providers.of(Endpoint("openai", api_key="key 0"))
    await until(lambda: sum(each.closed for each in built) == 97)
    assert built[0].closed == 0
    assert len(built) == 100
    await providers.aclose()
    assert [each.closed for each in built] == [1] * 100


async def test_a_provider_that_is_not_kept_any_more_is_closed_once_its_reply_has_ended() -> None:
    built: list[Speaking] = []

    def build(_endpoint: Endpoint) -> Speaking:
        built.append(Speaking())
        return built[-1]

    providers = Providers(build, loop=asyncio.get_running_loop(), at_most=1)
    reply = providers.of(Endpoint("openai", api_key="first")).stream(a_request())
    heard = [asyncio.ensure_future(anext(reply))]
    first = built[0]
    first.gate.release()
    assert await heard[0] == TextDelta("Well ")
    late = providers.of(Endpoint("openai", api_key="first"))
    providers.of(Endpoint("openai", api_key="second"))
    await asyncio.sleep(0)
    assert first.closed == 0
    first.gate.release()
    assert [part async for part in reply] == [TextDelta("met")]
    await until(lambda: first.closed == 1)
    # It was handed out before it was retired, and is used only now.
    first.closed = 0
    first.gate.release()
    later = late.stream(a_request())
    assert await anext(later) == TextDelta("Well ")
    await later.aclose()
    await until(lambda: first.closed == 1)
    await providers.aclose()


def test_the_catalogue_loads_neither_the_http_client_nor_a_model() -> None:
    program = (
        "import sys, talekeeper.providers.catalogue, talekeeper.providers.reach;"
        "print([name for name in ('aiohttp', 'xllamacpp') if name in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"
