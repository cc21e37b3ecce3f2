"""Metrics: counts and timings for the admin, never contents (C-S10, S13)."""

import asyncio
import json
from pathlib import Path

import pytest

from api.asking import JSON, TOKEN, ask, bearing, post
from talekeeper.api.app import create_app
from talekeeper.settings import load_settings
from tales import new_id


@pytest.mark.req("C-S10", "S13")
async def test_what_was_said_shows_in_the_counts_and_nowhere_in_the_text(tmp_path: Path) -> None:
    app = create_app(load_settings(data_dir=tmp_path / "data", provider="scripted", token=TOKEN))
    async with app.router.lifespan_context(app):
        owner = bearing(TOKEN)
        opened = await post(app, "/api/conversations", {"title": "The sunken crypt"}, owner)
        conversation_id = opened.json()["id"]
        said = {"id": new_id(), "content": "Who is buried there? [[say Nobody.]]"}
        sent = await post(app, f"/api/conversations/{conversation_id}/messages", said, owner)
        await app.state.keeper.generations.wait(sent.json()["generation_id"])
        assert (await ask(app, "GET", "/metrics")).status == 401
        answer = await ask(app, "GET", "/metrics", owner)
        told = answer.body.decode()
        assert 'talekeeper_generations_total{ending="finished",provider="scripted"} 1.0' in told
        assert 'talekeeper_first_token_seconds_count{provider="scripted"} 1.0' in told
        for name in ("commits_total", "units_total", "waiting_writes", "followers"):
            assert f"talekeeper_{name} " in told
        for word in ("crypt", "buried", "Nobody", conversation_id):
            assert word not in told


@pytest.mark.req("C-S10", "S13")
async def test_the_log_tells_of_a_generation_by_ids_and_timings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = create_app(load_settings(data_dir=tmp_path / "data", provider="scripted", token=TOKEN))
    async with app.router.lifespan_context(app):
        opened = await post(app, "/api/conversations", {}, bearing(TOKEN))
        path = f"/api/conversations/{opened.json()['id']}/messages"
        content = "A secret [[tokens 5]] [[fail 500 after 2]]"
        body = json.dumps({"id": new_id(), "content": content}).encode()
        sent = await ask(app, "POST", path, JSON, bearing(TOKEN), body=body)
        async with asyncio.timeout(5):
            await app.state.keeper.generations.wait(sent.json()["generation_id"])
    told = capsys.readouterr().out
    of_it = [line for line in told.splitlines() if sent.json()["generation_id"] in line]
    events = ("started", "first_token", "failed", "ended")
    assert all(f"generation.{each}" in line for each, line in zip(events, of_it, strict=True))
    assert "A secret" not in told
    assert "lantern" not in told
