"""Whether the server can store replies is told, its own tasks included (R20, NFR-014)."""

import asyncio
import json
from pathlib import Path

import pytest

from api.asking import TOKEN, ask, bearing
from servers import on_both_engines, until
from talekeeper.api.app import create_app
from talekeeper.settings import load_settings

VITAL = ("checkpoints", "lease")
OTHERS = ("reconciler", "jobs (titles)", "old jobs", "indexing", "trash", "health")


@on_both_engines
@pytest.mark.req("NFR-014")
@pytest.mark.parametrize("name", [*VITAL, *OTHERS])
async def test_a_task_of_the_servers_own_that_dies_is_told_by_its_name(
    tmp_path: Path, database_url: str | None, name: str
) -> None:
    settings = load_settings(
        data_dir=tmp_path / "data",
        key_file=tmp_path / "key",
        provider="scripted",
        token=TOKEN,
        database_url=database_url,
    )
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        tasks = [task for task in asyncio.all_tasks() if task.get_name() == name]
        if name == "lease" and database_url is None:
            assert tasks == [], "on SQLite the folder's lock is the lease"
            return
        (task,) = tasks
        well = await ask(app, "GET", "/readyz")
        assert (well.status, json.loads(well.body)["status"]) == (200, "ready")
        task.cancel()
        await until(task.done)
        ready = await ask(app, "GET", "/readyz")
        assert ready.status == (503 if name in VITAL else 200)
        assert any(f"“{name}”" in warning for warning in json.loads(ready.body)["warnings"])
        health = json.loads((await ask(app, "GET", "/api/health", bearing(TOKEN))).body)
        assert health["state"] == ("unavailable" if name in VITAL else "degraded")
        codes = [reason["code"] for reason in health["reasons"]]
        assert ("replies_stopped" if name in VITAL else "task_ended") in codes


@on_both_engines
@pytest.mark.req("NFR-014")
async def test_a_writer_that_died_is_told(tmp_path: Path, database_url: str | None) -> None:
    settings = load_settings(
        data_dir=tmp_path / "data",
        key_file=tmp_path / "key",
        provider="scripted",
        database_url=database_url,
    )
    app = create_app(settings)
    async with app.router.lifespan_context(app):

        def deadly(_tx: object) -> None:
            raise SystemExit

        store = app.state.keeper.store
        with pytest.raises(Exception, match="does not write any more"):
            await store.write(deadly)
        ready = await ask(app, "GET", "/readyz")
        assert ready.status == 503
        assert any("write" in warning for warning in json.loads(ready.body)["warnings"])
