"""A server for tests that leave theirs running."""

from collections.abc import Iterator

import pytest

import engines
from servers import Server, served


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the scripted provider that no test stops. Each makes conversations of its own."""
    with served(tmp_path_factory.mktemp("shared")) as server:
        yield server


@pytest.fixture(scope="session")
def shared_server_on_postgresql(
    postgres: engines.Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    url = postgres.fresh_database()
    with served(tmp_path_factory.mktemp("shared"), database_url=url) as server:
        yield server
    postgres.drop(url)


@pytest.fixture
def either_server(engine: str, request: pytest.FixtureRequest) -> Server:
    """A server that no test stops, on the engine of the test's parameter."""
    return request.getfixturevalue(
        "shared_server_on_postgresql" if engine == "postgresql" else "shared_server"
    )
