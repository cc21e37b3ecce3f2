"""No answer names a path of the server's machine, with a login or without one (S8, S9).

Where the data lies is for the command line and the person before it. What a running server raises may
become an answer, a reason on `/api/health` or a line of `/readyz`.
"""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from api.asking import ask
from servers import Client, Server, served
from talekeeper.api.app import create_app
from talekeeper.database import file_systems
from talekeeper.database.sqlite import Sqlite
from talekeeper.errors import ModelMissing
from talekeeper.providers.weights import SMOLLM2, find_weights
from talekeeper.settings import load_settings

CODES = sorted(
    value
    for name, value in vars(sqlite3).items()
    if name.startswith("SQLITE_") and isinstance(value, int) and 0 < value < 10_000
)


@pytest.mark.req("S8")
@pytest.mark.parametrize("is_there", [True, False])
def test_no_error_of_the_running_store_names_its_file(tmp_path: Path, is_there: bool):
    if is_there:
        (tmp_path / "talekeeper.db").touch()
    seam = Sqlite(tmp_path / "talekeeper.db")
    told: list[str] = []
    for code in CODES:
        error = sqlite3.OperationalError("unable to open database file")
        error.sqlite_errorcode = code
        typed = seam.store_error(error)
        if typed is not None:
            told.append(typed.message)
    assert len(told) > 5
    assert [each for each in told if str(tmp_path) in each] == []


@pytest.mark.req("S8")
def test_damaged_weights_are_told_without_their_path(tmp_path: Path):
    (tmp_path / SMOLLM2.file_name).write_bytes(b"half of it")
    with pytest.raises(ModelMissing) as raised:
        find_weights(tmp_path)
    assert str(tmp_path) not in raised.value.message
    assert raised.value.place == tmp_path / SMOLLM2.file_name


async def _bodies(server: Server, client: Client) -> list[bytes]:
    """What everybody may ask, and what a stranger's token is answered, on many threads at once."""
    stranger = {"Authorization": "Bearer tk_unknown"}
    asked = ["/readyz", "/healthz", "/login?token=x", "/api/me", "/api/events", "/metrics"]
    answers = await asyncio.gather(
        *(client.ask("GET", path, headers=stranger) for path in asked for _ in range(4))
    )
    return [answer.body for answer in answers]


@pytest.mark.req("S8", "R16")
async def test_a_database_that_is_damaged_while_it_serves_keeps_its_place_to_itself(tmp_path: Path):
    with served(tmp_path, verifies=False) as server:
        async with server.client(None) as nobody:
            for file in server.data_dir.glob("talekeeper.db*"):
                if not file.name.endswith("-shm"):
                    file.write_bytes(b"\xff" * file.stat().st_size)
            bodies = b"\n".join(await _bodies(server, nobody))
            assert b"database_damaged" in bodies, "it was not noticed"
            assert str(tmp_path).encode() not in bodies


@pytest.mark.req("S8", "R16")
async def test_a_folder_on_a_share_is_warned_of_without_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"36 35 98:0 / {tmp_path} rw shared:1 - nfs4 server:/tales rw\n")
    monkeypatch.setattr(file_systems, "MOUNTS", mounts)
    settings = load_settings(
        data_dir=tmp_path / "data",
        key_file=tmp_path / "config" / "master.key",
        allow_network_folder=True,
        provider="scripted",
    )
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        answer = await ask(app, "GET", "/readyz")
    assert "nfs4" in " ".join(answer.json()["warnings"])
    assert str(tmp_path) not in answer.body.decode()
