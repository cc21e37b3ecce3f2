"""A change of health reaches every listener, whichever of them looked first (NFR-013, NFR-014)."""

import asyncio
from pathlib import Path

import pytest

from talekeeper.api.health import Health, HealthWatch, health_watched
from talekeeper.errors import StoreFull
from talekeeper.keeper import open_keeper
from talekeeper.settings import load_settings


async def _told(watch: HealthWatch, known: Health) -> str:
    return (await watch.changed(known)).state


@pytest.mark.req("NFR-013", "NFR-014")
@pytest.mark.parametrize("who_looks_first", ["a listener that comes", "the watch"])
async def test_a_change_that_another_saw_first_is_told_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, who_looks_first: str
):
    settings = load_settings(
        data_dir=tmp_path / "data",
        key_file=tmp_path / "config" / "master.key",
        provider="scripted",
    )
    async with open_keeper(settings) as keeper, health_watched(keeper) as watch:
        known = watch.look()
        listeners = [asyncio.create_task(_told(watch, known)) for _ in range(3)]
        await asyncio.sleep(0)
        monkeypatch.setattr(type(keeper.store), "trouble", StoreFull("The disk is full."))
        if who_looks_first != "the watch":
            # Opening a stream and asking the route both look.
            assert watch.look().state == "unavailable"
        async with asyncio.timeout(5):
            assert await asyncio.gather(*listeners) == ["unavailable"] * 3
        back = [asyncio.create_task(_told(watch, watch.look())) for _ in range(3)]
        await asyncio.sleep(0)
        monkeypatch.setattr(type(keeper.store), "trouble", None)
        watch.look()
        async with asyncio.timeout(5):
            assert await asyncio.gather(*back) == [known.state] * 3
