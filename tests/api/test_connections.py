"""Who can answer, how well they do, and how their replies are to be made (C-S8, R13)."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from tests.providers.hosts import LM_STUDIO, WORDS, Host

from api.asking import JSON, TOKEN, ask, bearing, post
from servers import on_both_engines
from talekeeper.api.app import create_app
from talekeeper.domain.connections import server_connection_id
from talekeeper.providers.finding import found_servers
from talekeeper.settings import load_settings
from tales import new_id

OWNER = bearing(TOKEN)
SERVERS = server_connection_id("openai")
LISTING: Any = {"object": "list", "data": [{"id": "bard", "owned_by": "llamacpp"}]}


@asynccontextmanager
async def a_server(folder: Path, **settings: Any) -> AsyncIterator[FastAPI]:
    app = create_app(
        load_settings(data_dir=folder / "data", key_file=folder / "key", token=TOKEN, **settings)
    )
    async with app.router.lifespan_context(app):
        yield app


async def _item(app: FastAPI, connection_id: str, headers: Any = OWNER) -> Any:
    """The connection in the list, None where it is not."""
    answer = await ask(app, "GET", "/api/connections", headers)
    items = {item["id"]: item for item in answer.json()["items"]}
    return items.get(connection_id)


async def _health(app: FastAPI) -> Any:
    return (await _item(app, SERVERS))["health"]


async def _add(app: FastAPI, made: dict[str, Any], headers: Any = OWNER) -> Any:
    answer = await post(app, "/api/connections", made, headers)
    assert answer.status == 201, answer.json()
    return answer.json()


async def _choose(app: FastAPI, connection_id: str, model: str | None = None) -> Any:
    body = json.dumps({"connection_id": connection_id, "model": model}).encode()
    return await ask(app, "PUT", "/api/connections/chosen", JSON, OWNER, body=body)


async def _change(app: FastAPI, connection_id: str, change: dict[str, Any]) -> Any:
    path = f"/api/connections/{connection_id}"
    return await ask(app, "PATCH", path, JSON, OWNER, body=json.dumps(change).encode())


async def _remove(app: FastAPI, connection_id: str) -> Any:
    return await ask(app, "DELETE", f"/api/connections/{connection_id}", OWNER)


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
            checked = await post(app, f"/api/connections/{SERVERS}/test", {}, OWNER)
            assert checked.status == 200
            assert checked.json()["health"]["state"] == "answering"
            assert checked.json()["health"]["error"] is None
            assert (await _health(app))["state"] == "answering"
            listing, host.models = host.models, None
            checked = await post(app, f"/api/connections/{SERVERS}/test", {}, OWNER)
            assert checked.json()["health"]["error"]["code"] == "provider_sent_garbage"
            host.models = listing
            await _said(app, conversation_id)
            assert (await _health(app))["state"] == "answering"


async def test_a_connection_that_is_reached_another_way_is_not_known_yet(tmp_path: Path) -> None:
    async with Host() as host, a_server(tmp_path) as app:
        friend = (await _add(app, {"kind": "openai", "base_url": host.url}))["id"]
        await post(app, f"/api/connections/{friend}/test", {}, OWNER)
        assert (await _item(app, friend))["health"]["state"] == "failing"
        await _change(app, friend, {"context_length": 4096})
        assert (await _item(app, friend))["health"]["state"] == "failing"
        await _change(app, friend, {"api_key": "sk-another-key"})
        assert (await _item(app, friend))["health"]["state"] == "unknown"


async def test_one_accounts_trouble_is_not_anothers(tmp_path: Path) -> None:
    async with Host() as host, a_server(tmp_path, openai_base_url=host.url) as app:
        made = await post(app, "/api/accounts", {"name": "Brin"}, OWNER)
        brin = bearing(made.json()["token"])
        await post(app, f"/api/connections/{SERVERS}/test", {}, OWNER)
        assert (await _item(app, SERVERS, brin))["health"]["state"] == "unknown"


async def test_what_runs_on_this_machine_is_offered_once_and_used_in_one_step(
    tmp_path: Path,
) -> None:
    async with Host(models=LISTING) as host, a_server(tmp_path) as app:
        _look_at(app, host)
        answers = await asyncio.gather(
            *(ask(app, "GET", "/api/connections/found", OWNER) for _ in range(3))
        )
        assert host.listed == 1  # asked once for all three
        (found,) = answers[0].json()["items"]
        assert found == {
            "kind": "openai",
            "preset": "llama_cpp",
            "title": "llama.cpp",
            "base_url": host.url,
            "models": [{"id": "bard", "name": "bard", "context_length": None, "abilities": []}],
            "connected": False,
        }
        use = {key: found[key] for key in ("kind", "preset", "base_url")} | {"model": "bard"}
        added = await _add(app, use)
        assert (added["name"], added["remote"]) == ("llama.cpp", False)
        await _choose(app, added["id"])
        again = await ask(app, "GET", "/api/connections/found", OWNER)
        assert again.json()["items"][0]["connected"] is True
        conversation_id = await _opened(app)
        assert (await _said(app, conversation_id))["connection"] == "llama.cpp"
        path = await ask(app, "GET", f"/api/conversations/{conversation_id}/messages", OWNER)
        assert path.json()["items"][-1]["content"] == WORDS


@pytest.mark.req("NFR-012")
async def test_what_runs_on_the_servers_machine_is_the_admins_to_know(tmp_path: Path) -> None:
    async with Host(models=LISTING) as host, a_server(tmp_path) as app:
        _look_at(app, host)
        made = await post(app, "/api/accounts", {"name": "Brin"}, OWNER)
        answer = await ask(app, "GET", "/api/connections/found", bearing(made.json()["token"]))
        assert answer.status == 403
        assert (await ask(app, "GET", "/api/connections/found")).status == 401
        assert host.listed == 0


def _look_at(app: FastAPI, host: Host) -> None:
    """What runs on this machine is looked for at this host alone."""
    app.state.keeper.connections._find = partial(
        found_servers, ollama_url="http://127.0.0.1:9/v1", places=((host.port, "x"),)
    )


async def test_three_servers_of_one_kind_answer_side_by_side(tmp_path: Path) -> None:
    """A cloud, a local one and a friend's: each conversation is answered by the one it chose."""
    async with (
        Host(LM_STUDIO, models=LISTING) as cloud,
        Host(LM_STUDIO, models=LISTING) as local,
        Host(LM_STUDIO, models=LISTING) as friend,
        a_server(tmp_path, titles=False) as app,
    ):
        hosts = {"The cloud": cloud, "Under the desk": local, "Brin's": friend}
        ids = {
            name: (
                await _add(
                    app,
                    {
                        "kind": "openai",
                        "name": name,
                        "base_url": host.url,
                        "api_key": f"sk-the-key-of-{host.port}",
                        "model": f"model-of-{host.port}",
                    },
                )
            )["id"]
            for name, host in hosts.items()
        }
        for name, host in hosts.items():
            opened = await post(app, "/api/conversations", {"connection_id": ids[name]}, OWNER)
            assert opened.json()["connection_id"] == ids[name]
            receipt = await _said(app, opened.json()["id"])
            model = f"model-of-{host.port}"
            assert (receipt["connection"], receipt["model"]) == (name, model)
            assert [asked["model"] for asked in host.asked] == [model]
            assert host.keys == [f"Bearer sk-the-key-of-{host.port}"]
        another = await _opened(app)
        body = json.dumps({"connection_id": ids["Brin's"], "model": "grand"}).encode()
        assert (await _patched(app, another, body)).json()["model"] == "grand"
        await _said(app, another)
        assert friend.asked[-1]["model"] == "grand"


async def test_a_conversation_whose_connection_was_removed_says_so_and_asks_no_other(
    tmp_path: Path,
) -> None:
    async with (
        Host(LM_STUDIO, models=LISTING) as host,
        Host(LM_STUDIO, models=LISTING) as other,
        a_server(tmp_path, provider="openai", model="bard", openai_base_url=other.url) as app,
    ):
        made = {"kind": "openai", "base_url": host.url, "api_key": "sk-a-key-of-mine"}
        gone = (await _add(app, made | {"model": "bard"}))["id"]
        await _choose(app, gone)
        conversation_id = await _opened(app)
        own = (await post(app, "/api/conversations", {"connection_id": gone}, OWNER)).json()["id"]
        assert (await _remove(app, gone)).status == 204
        assert await _item(app, gone) is None
        assert (await _remove(app, gone)).status == 404
        for each in (conversation_id, own):
            assert await _said(app, each) is None
            path = await ask(app, "GET", f"/api/conversations/{each}/messages", OWNER)
            asked, reply = path.json()["items"]
            assert (asked["content"], asked["status"]) == ("Who is there?", "complete")
            assert (reply["status"], reply["provider"]) == ("failed", None)
            assert reply["error"]["code"] == "connection_missing"
        assert other.asked == host.asked == []
        shown = (await ask(app, "GET", "/api/connections", OWNER)).json()
        assert shown["chosen"] == {"connection_id": gone, "model": None}
        change = json.dumps({"connection_id": SERVERS}).encode()
        assert (await _patched(app, own, change)).status == 200
        again = await post(app, f"/api/messages/{reply['id']}/regenerate", {"id": new_id()}, OWNER)
        await app.state.keeper.generations.wait(again.json()["generation_id"])
        assert len(other.asked) == 1


@pytest.mark.req("S10", "NFR-012")
async def test_a_key_goes_to_no_address_but_its_own(tmp_path: Path) -> None:
    async with Host(models=LISTING) as first, Host(models=LISTING) as second:
        async with a_server(
            tmp_path, openai_base_url="http://127.0.0.1:9/v1", openai_api_key="sk-of-the-server"
        ) as app:
            key = "sk-of-the-first-address"
            made = {"kind": "openai", "base_url": first.url, "api_key": key}
            added = await _add(app, made)
            assert added["key_hint"] == "ress"
            await post(app, f"/api/connections/{added['id']}/test", {}, OWNER)
            moved = await _change(app, added["id"], {"base_url": second.url, "name": "Moved"})
            assert (moved.json()["name"], moved.json()["key_hint"]) == ("Moved", None)
            checked = await post(app, f"/api/connections/{added['id']}/test", {}, OWNER)
            assert checked.json()["health"]["state"] == "answering"
        assert first.keys == [f"Bearer {key}"]
        assert second.keys == [None]


async def test_the_servers_own_connection_keeps_its_address_and_its_key(tmp_path: Path) -> None:
    async with a_server(tmp_path, openai_api_key="sk-of-the-server-itself") as app:
        item = await _item(app, SERVERS)
        assert (item["name"], item["servers"], item["configured"]) == ("OpenAI", True, True)
        assert item["key_hint"] is None
        for change in ({"base_url": "https://example.com/v1"}, {"api_key": "sk-of-mine-instead"}):
            refused = await _change(app, SERVERS, change)
            assert (refused.status, refused.json()["code"]) == (422, "invalid_input")
        assert (await _remove(app, SERVERS)).status == 422
        own = {"name": "The house's", "model": "gpt", "context_length": 9_000}
        changed = (await _change(app, SERVERS, own)).json()
        assert {key: changed[key] for key in own} == own
        assert changed["servers"] is True
        made = await post(app, "/api/accounts", {"name": "Brin"}, OWNER)
        seen = await _item(app, SERVERS, bearing(made.json()["token"]))
        assert (seen["name"], seen["model"]) == ("OpenAI", None)
    async with a_server(tmp_path) as app:  # the key was taken out of the settings
        item = await _item(app, SERVERS)
        assert (item["servers"], item["configured"]) == (False, False)
        assert (await _remove(app, SERVERS)).status == 204
        assert await _item(app, SERVERS) is None


async def test_a_name_is_found_where_none_is_given_and_is_never_given_twice(
    tmp_path: Path,
) -> None:
    async with a_server(tmp_path) as app:
        groq = {"kind": "openai", "preset": "groq", "api_key": "sk-of-groq-itself"}
        names = [(await _add(app, groq))["name"] for _ in range(3)]
        assert names == ["Groq", "Groq 2", "Groq 3"]
        hosts = {"kind": "openai", "base_url": "https://models.example.org/v1"}
        assert (await _add(app, hosts))["name"] == "models.example.org"
        for taken in ("groq", "Ｇroq  2", "Ollama"):
            refused = await post(app, "/api/connections", {**hosts, "name": taken}, OWNER)
            assert (refused.status, refused.json()["code"]) == (422, "invalid_input")
        mine = await _add(app, {**hosts, "name": "Mine"})
        assert (await _change(app, mine["id"], {"name": "GROQ"})).status == 422
        assert (await _change(app, mine["id"], {"name": "MINE"})).json()["name"] == "MINE"
        assert (await _change(app, mine["id"], {"name": None})).status == 422
        assert (await _change(app, mine["id"], {})).status == 422


@on_both_engines
async def test_connections_that_are_added_at_once_get_names_of_their_own(
    tmp_path: Path, database_url: str | None
) -> None:
    async with a_server(tmp_path, database_url=database_url) as app:
        groq = {"kind": "openai", "preset": "groq"}
        added = await asyncio.gather(*(_add(app, groq) for _ in range(8)))
        assert len({each["name"] for each in added}) == 8


async def test_adding_again_under_the_same_id_adds_nothing(tmp_path: Path) -> None:
    async with a_server(tmp_path) as app:
        made = {"id": new_id(), "kind": "anthropic", "api_key": "sk-ant-of-mine"}
        first = await post(app, "/api/connections", made, OWNER)
        again = await post(app, "/api/connections", made, OWNER)
        assert (first.status, again.status) == (201, 200)
        assert first.json() == again.json()
        other = {**made, "kind": "google"}
        reused = await post(app, "/api/connections", other, OWNER)
        assert (reused.status, reused.json()["code"]) == (422, "id_reused")
        for refused in (
            {"kind": "local"},
            {"kind": "openai", "preset": "grog"},
            {"kind": "google", "preset": "groq"},
            {"kind": "openai", "id": SERVERS},
            {"kind": "openai", "base_url": "ftp://example.com"},
        ):
            answer = await post(app, "/api/connections", refused, OWNER)
            assert (answer.status, answer.json()["code"]) == (422, "invalid_input"), refused


@pytest.mark.req("NFR-012")
async def test_only_the_owner_connects_to_the_servers_own_network(tmp_path: Path) -> None:
    async with a_server(tmp_path) as app:
        made = await post(app, "/api/accounts", {"name": "Brin"}, OWNER)
        brin = bearing(made.json()["token"])
        local = {"kind": "openai", "preset": "lm_studio"}
        assert (await post(app, "/api/connections", local, brin)).status == 422
        await _add(app, local)
        named = {"kind": "openai", "base_url": "http://localhost:1/v1"}
        added = await _add(app, named, brin)
        checked = await post(app, f"/api/connections/{added['id']}/test", {}, brin)
        assert checked.json()["health"]["error"]["code"] == "provider_rejected"


async def test_a_presets_quirks_hold_from_the_first_request(tmp_path: Path) -> None:
    def refuse(body: dict[str, Any]) -> tuple[int, Any] | None:
        told = {"message": "Extra inputs are not permitted: stream_options.include_usage"}
        return (422, told) if "stream_options" in body else None

    async with (
        Host(LM_STUDIO, models=LISTING, refuse=refuse) as host,
        a_server(tmp_path, titles=False) as app,
    ):
        asked: list[int] = []
        for preset in ("mistral", None):
            made = {"kind": "openai", "preset": preset, "base_url": host.url, "model": "bard"}
            connection = await _add(app, made | {"api_key": "sk-of-mistral"})
            opened = {"connection_id": connection["id"]}
            conversation = (await post(app, "/api/conversations", opened, OWNER)).json()["id"]
            before = len(host.asked)
            assert (await _said(app, conversation))["model"] == "bard"
            asked.append(len(host.asked) - before)
        assert asked == [1, 2]


async def test_what_can_be_connected_to_has_an_address_that_may_be_connected_to(
    tmp_path: Path,
) -> None:
    async with a_server(tmp_path) as app:
        presets = (await ask(app, "GET", "/api/connections/presets", OWNER)).json()["items"]
        assert {each["title"] for each in presets} >= {
            *("OpenRouter", "DeepSeek", "Mistral", "xAI", "Groq"),
            *("LM Studio", "llama.cpp", "vLLM", "KoboldCpp", "OpenAI", "Anthropic", "Ollama"),
        }
        for each in presets:
            if each["base_url"] is not None:
                made = {key: each[key] for key in ("kind", "preset", "base_url")}
                added = await _add(app, made)
                assert added["base_url"] == each["base_url"]
                assert added["remote"] is each["remote"]
                assert added["configured"] is not each["needs_key"]
