"""What a message is beside its text, over the wire: manner, marks, reasoning, receipt (FR-005, U25)."""

import json
from pathlib import Path
from typing import Any

import pytest

from api.asking import JSON, TOKEN, ask, bearing, post
from talekeeper.api.app import create_app
from talekeeper.settings import load_settings
from tales import new_id


@pytest.mark.req("U25")
async def test_manner_marks_reasoning_and_receipt_are_on_the_wire(tmp_path: Path) -> None:
    settings = load_settings(
        data_dir=tmp_path / "data", key_file=tmp_path / "key", provider="scripted", token=TOKEN
    )
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        owner = bearing(TOKEN)
        conversation = (await post(app, "/api/conversations", {}, owner)).json()["id"]
        messages = f"/api/conversations/{conversation}/messages"
        tam = new_id()
        said: dict[str, Any] = {
            "id": new_id(),
            "content": "[[think Hm 🐉.]] [[say Aye.]] [[pace 0ms]]",
            "speaker": {"name": "Old Tam", "id": tam},
            "mode": "speak",
            "audience": {"to": "characters", "character_ids": [tam]},
        }
        sent = (await post(app, messages, said, owner)).json()
        await app.state.keeper.generations.wait(sent["generation_id"])
        assert {name: sent["message"][name] for name in ("speaker", "mode", "audience")} == {
            name: said[name] for name in ("speaker", "mode", "audience")
        }
        assert (await post(app, messages, said, owner)).status == 200
        for other in ({"mode": "about"}, {"speaker": None}, {"audience": {"to": "everybody"}}):
            again = await post(app, messages, said | other, owner)
            assert (again.status, again.json()["code"]) == (422, "id_reused")
        nobody = said | {"id": new_id(), "audience": {"to": "characters"}}
        assert (await post(app, messages, nobody, owner)).status == 422

        reply = (await ask(app, "GET", messages, owner)).json()["items"][-1]
        assert (reply["content"], reply["mode"], reply["speaker"]) == ("Aye.", "speak", None)
        (part,) = reply["parts"]
        assert (part["kind"], part["characters"]) == ("reasoning", 5)
        own = f"/api/messages/{reply['id']}"
        thought = await ask(app, "GET", f"{own}/reasoning/0?after=3", owner)
        assert thought.json() == {"offset": 3, "text": "🐉.", "is_growing": False}
        assert (await ask(app, "GET", f"{own}/reasoning/1", owner)).status == 404
        assert (await ask(app, "GET", f"{own}/reasoning/0", bearing("b" * 43))).status == 401

        async def change(what: Any) -> Any:
            return await ask(app, "PATCH", own, JSON, owner, body=json.dumps(what).encode())

        assert (await change({"hidden_from_ai": True})).json()["hidden_from_ai"] is True
        marked = (await change({"bookmark": "here"})).json()
        assert (marked["bookmark"], marked["hidden_from_ai"]) == ("here", True)
        assert (await change({})).status == 422
        assert (await change({"hidden_from_ai": None})).status == 422

        generation = f"/api/generations/{sent['generation_id']}"
        receipt = (await ask(app, "GET", generation, owner)).json()["receipt"]
        assert receipt["version"] == 2
        assert [section["name"] for section in receipt["sections"]] == ["purpose", "message"]
        assert receipt["turns"][-1] == {"role": "user", "content": said["content"]}
        assert receipt["sections"][1]["texts"][0]["message_id"] == said["id"]
