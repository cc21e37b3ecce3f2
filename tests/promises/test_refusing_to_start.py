"""What lies in a data folder is served whole, or refused and left as it is (R16, U1, U19, R22).

A database that is missing, empty or damaged where something was acknowledged is never replaced by
a new one: the server ends with exit code 4 and a sentence that names the file and what to do. What
a crash leaves beside a whole database does no harm.
"""

import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from servers import DidNotStart, Server, apart, served

MEANT = 5


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in which something was acknowledged, as its server left it."""
    folder = tmp_path_factory.mktemp("used")
    with served(folder) as server:
        _fill(server)
        server.stop()
    return folder


def _fill(server: Server) -> None:
    async def fill() -> None:
        async with server.client() as client:
            conversation = await client.open(title="Meant to last")
            for number in range(MEANT):
                await client.say(conversation, f"line {number} " + "🐉" * 2_000, reply=False)

    apart(fill)


@pytest.fixture
def server(used: Path, tmp_path: Path) -> Iterator[Server]:
    """The server of a copy of that folder, not started."""
    shutil.copytree(used, tmp_path / "copy")
    with served(tmp_path / "copy", starts=False, verifies=False) as server:
        yield server


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _halved(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _cut_to_a_page(path: Path) -> None:
    os.truncate(path, 4096)


def _overwritten(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(path.stat().st_size))


def _overwritten_within(path: Path) -> None:
    """Every page but the first is garbage."""
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(random.Random(1).randbytes(path.stat().st_size - 4096))


def _text_instead(path: Path) -> None:
    path.write_text("this is my shopping list\n" * 400)


def _another_sqlite(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE shopping (item TEXT)")
    connection.close()


DAMAGES: list[Callable[[Path], None]] = [
    Path.unlink,
    _emptied,
    _halved,
    _cut_to_a_page,
    _overwritten,
    _overwritten_within,
    _text_instead,
    _another_sqlite,
]


@pytest.mark.req("R16", "U1", "U19", "NFR-004")
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__.strip("_"))
def test_a_damaged_database_is_refused_and_left_as_it_is(
    server: Server, damage: Callable[[Path], None]
):
    damage(server.database)
    before = _contents(server.data_dir)
    for _ in range(2 if damage in (Path.unlink, _emptied) else 1):  # nor is the next one a first
        with pytest.raises(DidNotStart) as refused:
            server.start()
        assert refused.value.code == 4
        said = refused.value.said
        assert str(server.data_dir) in said
        assert "backup" in said
        assert "Traceback" not in said
        assert _contents(server.data_dir) == before


def _contents(folder: Path) -> dict[str, bytes]:
    """What must not change: the database, its log, and the marker."""
    return {
        path.name: path.read_bytes()
        for path in sorted(folder.iterdir())
        if path.name.startswith(("talekeeper.db", "installation"))
        and not path.name.endswith("-shm")
    }


@pytest.mark.req("R16", "U1")
def test_the_database_of_another_installation_is_refused(server: Server, tmp_path: Path):
    with served(tmp_path / "other") as other:
        other.stop()
    server.database.write_bytes(other.database.read_bytes())
    with pytest.raises(DidNotStart) as refused:
        server.start()
    assert refused.value.code == 4
    assert "--data-dir" in refused.value.said


@pytest.mark.req("R16", "U1")
def test_a_marker_that_cannot_be_read_is_refused_and_the_database_kept(server: Server):
    marker = server.data_dir / "installation.json"
    marker.write_text("{")
    before = _contents(server.data_dir)
    with pytest.raises(DidNotStart) as refused:
        server.start()
    assert refused.value.code == 4
    assert str(marker) in refused.value.said
    assert _contents(server.data_dir) == before


@pytest.mark.req("R22", "U19")
def test_a_database_newer_than_the_program_is_refused_and_left_as_it_is(server: Server):
    connection = sqlite3.connect(server.database)
    assert connection.execute("UPDATE alembic_version SET version_num = '9999'").rowcount == 1
    connection.commit()
    connection.close()
    before = _contents(server.data_dir)
    with pytest.raises(DidNotStart) as refused:
        server.start()
    assert refused.value.code == 4
    assert "newer" in refused.value.said
    assert "9999" in refused.value.said
    assert _contents(server.data_dir) == before


@pytest.mark.req("R16")
def test_a_second_server_is_refused_and_the_first_goes_on(server: Server):
    server.start()
    done = server.run("serve")
    assert done.returncode == 5
    assert str(server.data_dir) in done.stderr
    assert "Traceback" not in done.stderr
    assert _lines(server) == MEANT


def _torn_log(server: Server) -> None:
    """Half a frame at the end of the log, as a power cut leaves it."""
    with server.database.with_name("talekeeper.db-wal").open("ab") as log:
        log.write(random.Random(2).randbytes(3_000))


def _garbage_index(server: Server) -> None:
    server.database.with_name("talekeeper.db-shm").write_bytes(random.Random(3).randbytes(32_768))


def _left_overs(server: Server) -> None:
    server.database.with_name("talekeeper.db-shm").unlink()
    (server.data_dir / "installation.json.new").write_text("{")
    (server.data_dir / "server.json").write_text('{"url": "http://127.0.0.1:1"')
    (server.data_dir / "server.json.new").write_text("")
    (server.data_dir / "server.lock").write_text("garbage")


@pytest.mark.req("R16", "R1", "NFR-004")
@pytest.mark.parametrize(
    "leave", [_torn_log, _garbage_index, _left_overs], ids=lambda each: each.__name__[1:]
)
def test_what_a_crash_leaves_beside_the_database_does_no_harm(
    server: Server, leave: Callable[[Server], None]
):
    server.start()
    _fill(server)
    server.kill()
    leave(server)
    assert server.database.with_name("talekeeper.db-wal").stat().st_size > 0
    server.start()
    assert _lines(server) == 2 * MEANT
    _fill(server)
    assert _lines(server) == 3 * MEANT
    server.kill()
    assert server.violations() == []


def _lines(server: Server) -> int:
    """How many messages there are in all conversations of that name."""

    async def count() -> int:
        async with server.client() as client:
            listed = await client.get("/api/conversations?limit=200")
            return sum([len(await client.tree(item["id"])) for item in listed["items"]])

    return apart(count)
