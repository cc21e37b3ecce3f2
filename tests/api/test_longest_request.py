"""How much of the talk one request takes is the server's setting, a connection's, or a conversation's
(C-S5).
"""

import json
from pathlib import Path
from typing import Any

import pytest

from api.asking import JSON, TOKEN, ask, bearing, post
from servers import on_both_engines
from talekeeper.api.app import create_app
from talekeeper.domain.connections import server_connection_id
from talekeeper.settings import load_settings
from tales import new_id

SCRIPTED = f"/api/connections/{server_connection_id('scripted')}"


@on_both_engines
@pytest.mark.req("C-S5")
async def test_the_longest_request_is_the_conversations_else_the_connections_else_the_servers(
    tmp_path: Path, database_url: str | None
) -> None:
    settings = load_settings(
        data_dir=tmp_path / "data",
        key_file=tmp_path / "key",
        provider="scripted",
        token=TOKEN,
        database_url=database_url,
        longest_request=5_000,
    )
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        owner = bearing(TOKEN)
        conversation = (await post(app, "/api/conversations", {}, owner)).json()["id"]
        messages = f"/api/conversations/{conversation}/messages"

        async def limits() -> Any:
            said = {"id": new_id(), "content": "[[say Aye.]]"}
            sent = (await post(app, messages, said, owner)).json()
            await app.state.keeper.generations.wait(sent["generation_id"])
            path = f"/api/generations/{sent['generation_id']}"
            return (await ask(app, "GET", path, owner)).json()["receipt"]["window"]

        async def change(method: str, path: str, what: Any) -> Any:
            body = json.dumps(what).encode()
            return await ask(app, method, path, JSON, owner, body=body)

        assert (await limits())["longest_request"] == 5_000
        changed = await change("PATCH", SCRIPTED, {"longest_request": 4_000})
        assert changed.json()["longest_request"] == 4_000
        assert (await limits())["longest_request"] == 4_000
        own = f"/api/conversations/{conversation}"
        changed = await change("PATCH", own, {"sampling": {"longest_request": 3_000}})
        assert changed.json()["sampling"]["longest_request"] == 3_000
        assert (await limits())["longest_request"] == 3_000
        assert (await change("PATCH", own, {"sampling": {"longest_request": 255}})).status == 422
        copied = await post(app, f"{own}/copy", {"id": new_id()}, owner)
        assert copied.json()["sampling"]["longest_request"] == 3_000
        await change("PATCH", own, {"sampling": {"longest_request": None}})
        await change("PATCH", SCRIPTED, {"longest_request": None})
        assert (await limits())["longest_request"] == 5_000
