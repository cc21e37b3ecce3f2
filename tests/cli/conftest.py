"""A data folder that was used, for commands that look at one."""

from pathlib import Path

import pytest

from servers import apart, served


@pytest.fixture(scope="session")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that its server left in order. No test changes it."""
    folder = tmp_path_factory.mktemp("used")
    with served(folder) as server:

        async def say() -> None:
            async with server.client() as client:
                await client.say(await client.open(), "Something.", reply=False)

        apart(say)
        server.stop()
    return folder / "data"
