"""A store on either engine under a clock that stands, and who is known to it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from accounts.arranging import StoodClock
from talekeeper.accounts.entering import open_identities
from talekeeper.accounts.identifying import Identities
from talekeeper.database import Store


@pytest.fixture
def clock() -> StoodClock:
    return StoodClock()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
async def store(
    tmp_path: Path, clock: StoodClock, request: pytest.FixtureRequest
) -> AsyncIterator[Store]:
    url = request.getfixturevalue("postgres_database") if request.param == "postgresql" else None
    store = await Store.open(tmp_path / "data", clock=clock, database_url=url)
    yield store
    await store.close()


@pytest.fixture
async def identities(store: Store, clock: StoodClock) -> Identities:
    return await open_identities(store, clock=clock, owner_token="from-the-settings")
