"""What every test can lean on: real engines, the marks, and the switches for the long ones."""

import asyncio
import functools
import inspect
import os
import shutil
import sys
from collections.abc import Awaitable, Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

import engines
from servers import Server, troubles_of
from talekeeper.providers.weights import add_weights

ROOT = Path(__file__).parents[1]

pytest_plugins = ["requirement_marks"]

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the tests marked long, too")


def pytest_configure(config: pytest.Config) -> None:
    engines.mark_the_run()
    # The developer's own settings stay out, from before the first test module is read.
    for name in [name for name in os.environ if name.startswith("TALEKEEPER_")]:
        del os.environ[name]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            own = item.get_closest_marker("timeout")
            limit = float(own.args[0] if own else config.getini("timeout"))
            item.obj = _bounded(item.obj, seconds=limit - 10)
    if not config.getoption("--long"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="long: run with --long"))


def _bounded(test: Callable[..., Awaitable[None]], *, seconds: float) -> Callable[..., Any]:
    """`test`, ended by a TimeoutError where it hangs.

    The signal that ends other tests after that time is lost in the event loop while it waits.
    """

    @functools.wraps(test)
    async def bounded(*args: Any, **kwargs: Any) -> None:
        async with asyncio.timeout(seconds):
            await test(*args, **kwargs)

    return bounded


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test tells of its servers' troubles, too."""
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        for name, value in item.funcargs.items():
            if isinstance(value, Server):
                report.sections.append((f"Log of {name}", troubles_of(value)))
    return report


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Coroutine tests run on the loop that the server runs on."""
    return "asyncio", {"use_uvloop": sys.platform != "win32"}


@pytest.fixture(scope="session")
def postgres() -> engines.Postgres:
    """The run's PostgreSQL, shared by all workers."""
    return engines.running_postgres()


@pytest.fixture(scope="session")
def postgres_url(postgres: engines.Postgres) -> str:
    """Where the run's PostgreSQL listens. A test that writes takes `postgres_database`."""
    return postgres.url()


@pytest.fixture
def postgres_database(postgres: engines.Postgres) -> Iterator[str]:
    """The URL of an empty database of the test's own."""
    url = postgres.fresh_database()
    yield url
    postgres.drop(url)


@pytest.fixture
def own_postgres() -> Iterator[engines.Postgres]:
    """An empty PostgreSQL of the test's own, for a test that freezes it."""
    with engines.a_postgres() as server:
        yield server


@pytest.fixture
def valkey() -> Iterator[engines.Valkey]:
    """An empty Valkey of the test's own."""
    server = engines.Valkey()
    server.start()
    yield server
    server.kill()


@pytest.fixture
def database_url(engine: str, request: pytest.FixtureRequest) -> str | None:
    """An empty database of the test's own; None is SQLite in the data folder."""
    return request.getfixturevalue("postgres_database") if engine == "postgresql" else None


@pytest.fixture(scope="session")
def models_folder() -> Path:
    """A folder that holds the built-in model's weights, which are fetched where they are not."""
    folder = ROOT / ".venv" / "test-data" / "models"
    add_weights(folder)
    return folder


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """The machine's Chromium where it has one, else the one that Playwright fetched."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    args = [*browser_type_launch_args.get("args", []), *CHROMIUM_FLAGS]
    own = {"executable_path": found} if found else {}
    return {**browser_type_launch_args, "args": args, **own}


@pytest.fixture(scope="session", autouse=True)
def a_home_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The developer's own data and keys stay out of the tests."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(home / "data"))
        patch.setenv("XDG_CONFIG_HOME", str(home / "config"))
        yield
