"""`talekeeper search rebuild`, beside a running server and without one (U21)."""

from pathlib import Path

import pytest

from servers import Server, served, until
from talekeeper.database import Store
from talekeeper.store.indexing import empty_index, is_current


async def _found(server: Server, typed: str) -> int:
    async with server.client() as client:
        page = (await client.get(f"/api/search?q={typed}")).json
        return -1 if page["behind"] else len(page["items"])


@pytest.mark.req("U21")
async def test_the_index_is_made_anew_with_and_without_a_server(tmp_path: Path):
    with served(tmp_path) as server:
        async with server.client() as client:
            conversation = await client.open()
            await client.ended(await client.say(conversation, "[[say a pomegranate tree]]"))

            async def is_found() -> bool:
                return await _found(server, "pomegranate") == 2

            await until(is_found)
            done = server.run("search", "rebuild")
            assert done.returncode == 0, done.stderr
            assert "made anew" in done.stdout
            assert await is_found()
        server.stop()

        async def lose(store: Store) -> None:
            await store.write(empty_index)

        server.with_store(lose)
        done = server.run("search", "rebuild")
        assert done.returncode == 0, done.stderr

        async def is_whole(store: Store) -> bool:
            return await store.read(is_current)

        assert server.with_store(is_whole)
        server.start()
        assert await _found(server, "pomegranate") == 2


@pytest.mark.req("U21", "NFR-012")
async def test_the_index_is_the_owners_to_look_at_and_to_make(tmp_path: Path):
    with served(tmp_path) as server:
        stranger = server.add_account("Bea")
        async with server.client() as ada, server.client(stranger) as bea:
            assert (await ada.get("/api/search/index"))["is_current"] in (True, False)
            assert (await ada.post("/api/search/index", {})).status == 202
            assert (await bea.ask("GET", "/api/search/index")).problem == (403, "forbidden")
            assert (await bea.ask("POST", "/api/search/index", {})).problem == (403, "forbidden")


@pytest.mark.req("U21")
@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("q=", "at least one word"),
        ("q=" + "x" * 501, "q is too long: it has 501 characters and may have 500."),
        ("q=dragon&role=villain", "role"),
        ("q=dragon&from=yesterday", "from"),
        ("q=dragon&cursor=nowhere", "Search again"),
        ("purpose=general", "q"),
    ],
)
async def test_what_cannot_be_searched_for_is_refused_in_words(
    shared_search_server: Server, query: str, said: str
):
    async with shared_search_server.client() as client:
        answer = await client.ask("GET", f"/api/search?{query}")
        assert answer.problem == (422, "invalid_input")
        assert said in answer.json["detail"]


@pytest.fixture(scope="module")
def shared_search_server(tmp_path_factory: pytest.TempPathFactory):
    with served(tmp_path_factory.mktemp("search")) as server:
        yield server
