"""The page's vectors are what the server tells and answers now.

The page replays them (`web/src/conversation/contract.test.ts`): events applied to a stale state equal
the state fetched afresh (R12, U5, U6, U7). Here they are played again, on a real server.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.scenarios import SCENARIOS, VECTORS, recorded
from servers import Server, served


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("contract")) as server:
        yield server


@pytest.mark.req("R12", "U5", "U6", "U7")
@pytest.mark.parametrize("name", SCENARIOS)
async def test_the_page_s_vector_is_what_the_server_tells(server: Server, name: str) -> None:
    written = Path(VECTORS / f"{name}.json").read_text(encoding="utf-8")
    assert await recorded(server, name) == written, (
        "python tests/contract/scenarios.py writes it anew"
    )


def test_there_is_no_vector_without_a_scenario() -> None:
    assert {path.stem for path in VECTORS.iterdir()} == set(SCENARIOS)
