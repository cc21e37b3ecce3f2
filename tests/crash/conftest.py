"""Which database the crash rig runs on."""

import pytest


@pytest.fixture
def database_url(engine: str, request: pytest.FixtureRequest) -> str | None:
    """An empty database of the test's own; None is SQLite in the data folder."""
    return request.getfixturevalue("postgres_database") if engine == "postgresql" else None
