"""A stored provider key that the master key does not open is said so everywhere, and another one
that is entered takes its place (S10).
"""

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from tests.providers.hosts import LM_STUDIO, WORDS, Host

from api.asking import JSON, TOKEN, ask, bearing, post
from api.test_connections import a_server
from tales import new_id

OWNER = bearing(TOKEN)
CODE = "provider_key_unreadable"
WORDS_OF_IT = "The stored key cannot be opened; enter it again."
LISTING: Any = {"object": "list", "data": [{"id": "bard"}]}


ID = new_id()
PATH = f"/api/connections/{ID}"


async def _add(app: FastAPI, address: str | None = None) -> None:
    made = {"id": ID, "kind": "openai", "base_url": address, "api_key": "sk-of-the-first-machine"}
    assert (await post(app, "/api/connections", made, OWNER)).status == 201
    chosen = json.dumps({"connection_id": ID, "model": "bard"}).encode()
    put = await ask(app, "PUT", "/api/connections/chosen", JSON, OWNER, body=chosen)
    assert put.status == 200


async def _change(app: FastAPI, change: dict[str, Any]) -> Any:
    return await ask(app, "PATCH", PATH, JSON, OWNER, body=json.dumps(change).encode())


async def _item(app: FastAPI) -> Any:
    answer = await ask(app, "GET", "/api/connections", OWNER)
    return next(item for item in answer.json()["items"] if item["id"] == ID)


async def _reply(app: FastAPI) -> Any:
    conversation = (await post(app, "/api/conversations", {}, OWNER)).json()["id"]
    path = f"/api/conversations/{conversation}/messages"
    sent = (await post(app, path, {"id": new_id(), "content": "Hello?"}, OWNER)).json()
    await app.state.keeper.generations.wait(sent["generation_id"])
    return (await ask(app, "GET", path, OWNER)).json()["items"][-1]


@pytest.mark.req("S10")
async def test_a_stored_key_under_another_master_key_is_told_everywhere_and_replaced(
    tmp_path: Path,
) -> None:
    async with Host(LM_STUDIO, models=LISTING) as host:
        async with a_server(tmp_path, titles=False) as app:
            await _add(app, host.url)
            assert (await _item(app))["note"] is None
        (tmp_path / "key").unlink()  # the data folder alone came to this machine
        async with a_server(tmp_path, titles=False) as app:
            item = await _item(app)
            assert (item["note"], item["configured"]) == (WORDS_OF_IT, False)

            reply = await _reply(app)
            assert reply["status"] == "failed"
            assert reply["error"] == {
                "code": CODE,
                "message": WORDS_OF_IT,
                "retryable": False,
                "retry_after": None,
            }

            checked = await post(app, f"{PATH}/test", {}, OWNER)
            assert checked.status == 200
            assert checked.json()["health"]["error"]["code"] == CODE
            listed = await ask(app, "GET", f"{PATH}/models", OWNER)
            problem = listed.json()
            assert (problem["code"], problem["detail"]) == (CODE, WORDS_OF_IT)
            assert problem["retryable"] is False

            mended = await _change(app, {"api_key": "sk-of-this-machine"})
            assert (mended.json()["note"], mended.json()["configured"]) == (None, True)
            assert (await _reply(app))["content"] == WORDS
            assert (await _item(app))["health"]["state"] == "answering"


@pytest.mark.req("S10")
async def test_an_unreadable_key_can_be_forgotten_and_other_settings_changed(
    tmp_path: Path,
) -> None:
    async with a_server(tmp_path) as app:
        await _add(app)
    (tmp_path / "key").unlink()
    async with a_server(tmp_path) as app:
        changed = await _change(app, {"model": "bard"})
        assert (changed.status, changed.json()["note"]) == (200, WORDS_OF_IT)
        forgotten = await _change(app, {"api_key": None})
        assert (forgotten.status, forgotten.json()["note"]) == (200, None)
