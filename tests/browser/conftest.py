"""A Chromium, a server that no test stops, and readers who are seen off with their complaints."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
from contextlib import AsyncExitStack
from typing import Any, Final

import pytest
from playwright.async_api import Browser, BrowserContext, Error, async_playwright

from browser.reading import Reader, a_browser_of_ones_own
from servers import Server, served

Readers = Callable[..., Awaitable[Reader]]

_HAS_FAILED: Final = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call":
        item.stash[_HAS_FAILED] = report.failed
    return report


@pytest.fixture(scope="package")
async def browser(browser_type_launch_args: dict[str, Any]) -> AsyncGenerator[Browser]:
    """Playwright's asynchronous half: its other half would leave its own event loop running."""
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(**browser_type_launch_args)
        yield launched
        await launched.close()


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the scripted provider. Each test makes conversations of its own."""
    with served(tmp_path_factory.mktemp("browser")) as server:
        yield server


async def _tell(reader: Reader) -> None:
    """Print what a reader of a failed test had before them."""
    print(f"At {reader.page.url} ({', '.join(reader.complaints) or 'no complaints'}):")
    try:
        async with asyncio.timeout(10):
            print(await reader.page.locator("body").aria_snapshot())
    except (Error, TimeoutError) as error:
        print(f"The page does not say what it shows: {error!r}")


@pytest.fixture
async def readers(browser: Browser, request: pytest.FixtureRequest) -> AsyncGenerator[Readers]:
    """Makes a reader at a server's page: in a context of their own, or in the one given."""
    made: list[Reader] = []
    async with AsyncExitStack() as contexts:

        async def reader(
            server: Server,
            conversation_id: str | None = None,
            *,
            context: BrowserContext | None = None,
            **settings: Any,
        ) -> Reader:
            own = context or await contexts.enter_async_context(
                a_browser_of_ones_own(browser, server, **settings)
            )
            one = Reader(await own.new_page(), server)
            made.append(one)
            if conversation_id is not None:
                await one.open(conversation_id)
            return one

        yield reader
        if request.node.stash.get(_HAS_FAILED, False):
            for each in made:
                await _tell(each)
    for each in made:
        assert each.complaints == []
        assert each.dialogs == []
        assert each.strayed == []
