"""Who can answer, how well they do, and how their replies are to be made (C-S8, R13)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from tests.providers.hosts import LM_STUDIO, WORDS, Host

from api.asking import JSON, TOKEN, ask, bearing, post
from talekeeper.api.app import create_app
from talekeeper.providers.finding import found_servers
from talekeeper.settings import load_settings
from tales import new_id

OWNER = bearing(TOKEN)
LISTING: Any = {"object": "list", "data": [{"id": "bard", "owned_by": "llamacpp"}]}


@asynccontextmanager
async def a_server(folder: Path, **settings: Any) -> AsyncIterator[FastAPI]:
    app = create_app(
        load_settings(data_dir=folder / "data", key_file=folder / "key", token=TOKEN, **settings)
    )
    async with app.router.lifespan_context(app):
        yield app


async def _health(app: FastAPI, name: str = "openai") -> Any:
    answer = await ask(app, "GET", "/api/providers", OWNER)
    return next(item for item in answer.json()["items"] if item["name"] == name)["health"]


async def _patched(app: FastAPI, conversation_id: str, change: bytes) -> Any:
    path = f"/api/conversations/{conversation_id}"
    return await ask(app, "PATCH", path, JSON, OWNER, body=change)


async def _opened(app: FastAPI) -> str:
    return (await post(app, "/api/conversations", {}, OWNER)).json()["id"]


async def _said(app: FastAPI, conversation_id: str, content: str = "Who is there?") -> Any:
    """The receipt of the reply to it, once that has ended."""
    said = {"id": new_id(), "content": content}
    sent = await post(app, f"/api/conversations/{conversation_id}/messages", said, OWNER)
    generation_id = sent.json()["generation_id"]
    await app.state.keeper.generations.wait(generation_id)
    answer = await ask(app, "GET", f"/api/generations/{generation_id}", OWNER)
    return answer.json()["receipt"]


async def test_how_replies_are_made_is_kept_sent_and_written_into_the_receipt(
    tmp_path: Path,
) -> None:
    async with (
        Host(LM_STUDIO, models=LISTING) as host,
        a_server(
            tmp_path, provider="openai", model="bard", openai_base_url=host.url, titles=False
        ) as app,
    ):
        conversation_id = await _opened(app)
        plain = (await ask(app, "GET", f"/api/conversations/{conversation_id}", OWNER)).json()
        assert plain["sampling"] == {
            "temperature": None,
            "top_p": None,
            "max_tokens": None,
            "longest_request": None,
        }
        receipt = await _said(app, conversation_id)
        assert receipt["sampling"] == {**_wishes(plain["sampling"]), "unheeded": []}
        wished = b'{"sampling": {"temperature": 1, "top_p": 0.85, "max_tokens": 400}}'
        changed = (await _patched(app, conversation_id, wished)).json()
        asked_for = {"temperature": 1.0, "top_p": 0.85, "max_tokens": 400}
        assert changed["sampling"] == {**asked_for, "longest_request": None}
        receipt = await _said(app, conversation_id)
        assert receipt["sampling"] == {**_wishes(changed["sampling"]), "unheeded": []}
        part = b'{"sampling": {"top_p": null, "temperature": 0.1}}'
        assert (await _patched(app, conversation_id, part)).json()["sampling"] == {
            "temperature": 0.1,
            "top_p": None,
            "max_tokens": 400,
            "longest_request": None,
        }
        cleared = await _patched(app, conversation_id, b'{"sampling": null}')
        assert cleared.json()["sampling"] == plain["sampling"]
    wishes = {"temperature", "top_p", "max_tokens"}
    assert [{key: body[key] for key in wishes & body.keys()} for body in host.asked] == [
        {},
        {"temperature": 1.0, "top_p": 0.85, "max_tokens": 400},
    ]


def _wishes(sampling: dict[str, Any]) -> dict[str, Any]:
    """What is asked of the provider: how much of the talk it gets is the server's own affair."""
    return {name: value for name, value in sampling.items() if name != "longest_request"}


async def test_a_wish_that_was_not_heeded_stands_in_the_receipt(tmp_path: Path) -> None:
    def refuse(body: dict[str, Any]) -> tuple[int, Any] | None:
        told = {"error": {"message": "Unsupported value: 'temperature'"}}
        return (400, told) if "temperature" in body else None

    async with (
        Host(refuse=refuse) as host,
        a_server(
            tmp_path, provider="openai", model="bard", openai_base_url=host.url, titles=False
        ) as app,
    ):
        conversation_id = await _opened(app)
        await _patched(app, conversation_id, b'{"sampling": {"temperature": 0.5}}')
        receipt = await _said(app, conversation_id)
    assert receipt["sampling"]["unheeded"] == ["temperature"]
    assert receipt["sampling"]["temperature"] == 0.5


@pytest.mark.parametrize(
    ("sampling", "field"),
    [
        (b'{"temperature": 2.1}', "temperature"),
        (b'{"temperature": -0.1}', "temperature"),
        (b'{"temperature": "0.5"}', "temperature"),
        (b'{"temperature": true}', "temperature"),
        (b'{"top_p": 0}', "top_p"),
        (b'{"top_p": 1.01}', "top_p"),
        (b'{"max_tokens": 0}', "max_tokens"),
        (b'{"max_tokens": 1.5}', "max_tokens"),
        (b'{"max_tokens": 1000001}', "max_tokens"),
        (b'{"heat": 1}', "heat"),
    ],
)
async def test_what_no_reply_can_be_made_with_is_refused_by_name(
    tmp_path: Path, sampling: bytes, field: str
) -> None:
    async with a_server(tmp_path, provider="scripted") as app:
        conversation_id = await _opened(app)
        answer = await _patched(app, conversation_id, b'{"sampling": ' + sampling + b"}")
        assert answer.status == 422
        assert answer.json()["code"] == "invalid_input"
        assert field in answer.json()["detail"]
        kept = await ask(app, "GET", f"/api/conversations/{conversation_id}", OWNER)
        assert set(kept.json()["sampling"].values()) == {None}


@pytest.mark.req("R13")
async def test_a_provider_that_failed_says_so_until_it_answers_again(tmp_path: Path) -> None:
    async with Host(models=LISTING) as host:
        faults = [(503, {"error": {"message": "overloaded"}})]
        host.refuse = lambda _body: faults[-1] if faults else None
        async with a_server(
            tmp_path, provider="openai", model="bard", openai_base_url=host.url, titles=False
        ) as app:
            assert await _health(app) == {"state": "unknown", "at": None, "error": None}
            conversation_id = await _opened(app)
            await _said(app, conversation_id)
            failing = await _health(app)
            assert failing["state"] == "failing"
            assert failing["error"]["code"] == "provider_failed"
            assert failing["error"]["retryable"] is True
            assert failing["at"] > 1_600_000_000_000
            faults.clear()
            checked = await post(app, "/api/providers/openai/check", {}, OWNER)
            assert checked.status == 200
            assert checked.json()["health"]["state"] == "answering"
            assert checked.json()["health"]["error"] is None
            assert (await _health(app))["state"] == "answering"
            listing, host.models = host.models, None
            checked = await post(app, "/api/providers/openai/check", {}, OWNER)
            assert checked.json()["health"]["error"]["code"] == "provider_sent_garbage"
            host.models = listing
            await _said(app, conversation_id)
            assert (await _health(app))["state"] == "answering"


async def test_a_provider_that_is_reached_another_way_is_not_known_yet(tmp_path: Path) -> None:
    async with Host() as host, a_server(tmp_path, openai_base_url=host.url) as app:
        await post(app, "/api/providers/openai/check", {}, OWNER)
        assert (await _health(app))["state"] == "failing"
        path = "/api/providers/openai"
        await ask(app, "PUT", path, JSON, OWNER, body=b'{"context_length": 4096}')
        assert (await _health(app))["state"] == "failing"
        await ask(app, "PUT", path, JSON, OWNER, body=b'{"api_key": "sk-another-key"}')
        assert (await _health(app))["state"] == "unknown"


async def test_one_accounts_trouble_is_not_anothers(tmp_path: Path) -> None:
    async with Host() as host, a_server(tmp_path, openai_base_url=host.url) as app:
        made = await post(app, "/api/accounts", {"name": "Brin"}, OWNER)
        brin = bearing(made.json()["token"])
        await post(app, "/api/providers/openai/check", {}, OWNER)
        answer = await ask(app, "GET", "/api/providers", brin)
        items = {item["name"]: item for item in answer.json()["items"]}
        assert items["openai"]["health"]["state"] == "unknown"


async def test_what_runs_on_this_machine_is_offered_once_and_used_in_one_step(
    tmp_path: Path,
) -> None:
    async with Host(models=LISTING) as host, a_server(tmp_path) as app:
        connections = app.state.keeper.connections
        connections._find = partial(
            found_servers, ollama_url="http://127.0.0.1:9/v1", places=((host.port, "x"),)
        )
        answers = await asyncio.gather(
            *(ask(app, "GET", "/api/providers/found", OWNER) for _ in range(3))
        )
        assert host.listed == 1  # asked once for all three
        (found,) = answers[0].json()["items"]
        assert found == {
            "provider": "openai",
            "title": "llama.cpp",
            "base_url": host.url,
            "models": [{"id": "bard", "name": "bard", "context_length": None, "abilities": []}],
            "connected": False,
            "replaces": None,
        }
        use = f'{{"base_url": "{found["base_url"]}", "model": "bard"}}'.encode()
        put = await ask(app, "PUT", "/api/providers/openai", JSON, OWNER, body=use)
        assert put.json()["remote"] is False
        chosen = b'{"provider": "openai", "model": "bard"}'
        await ask(app, "PUT", "/api/providers/chosen", JSON, OWNER, body=chosen)
        again = await ask(app, "GET", "/api/providers/found", OWNER)
        assert again.json()["items"][0]["connected"] is True
        conversation_id = await _opened(app)
        await _said(app, conversation_id)
        path = await ask(app, "GET", f"/api/conversations/{conversation_id}/messages", OWNER)
        assert path.json()["items"][-1]["content"] == WORDS


async def test_an_address_that_would_be_given_up_is_named(tmp_path: Path) -> None:
    async with Host(models=LISTING) as host, a_server(tmp_path) as app:
        connections = app.state.keeper.connections
        connections._find = partial(
            found_servers, ollama_url="http://127.0.0.1:9/v1", places=((host.port, "x"),)
        )
        key = b'{"api_key": "sk-a-key-of-mine"}'
        await ask(app, "PUT", "/api/providers/openai", JSON, OWNER, body=key)
        (found,) = (await ask(app, "GET", "/api/providers/found", OWNER)).json()["items"]
        assert found["replaces"] == "https://api.openai.com/v1"


@pytest.mark.req("NFR-012")
async def test_what_runs_on_the_servers_machine_is_the_admins_to_know(tmp_path: Path) -> None:
    async with Host(models=LISTING) as host, a_server(tmp_path) as app:
        connections = app.state.keeper.connections
        connections._find = partial(
            found_servers, ollama_url="http://127.0.0.1:9/v1", places=((host.port, "x"),)
        )
        made = await post(app, "/api/accounts", {"name": "Brin"}, OWNER)
        answer = await ask(app, "GET", "/api/providers/found", bearing(made.json()["token"]))
        assert answer.status == 403
        assert (await ask(app, "GET", "/api/providers/found")).status == 401
        assert host.listed == 0
