"""`talekeeper doctor` finds what is wrong, says what to do next, and changes nothing (R16, NFR-010)."""

import json
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from servers import Server, apart, served
from talekeeper.accounts.secrets import open_master_key
from talekeeper.cli import doctor
from talekeeper.database import file_systems, folder_lock
from talekeeper.database.folder_lock import FolderLock
from talekeeper.settings import load_settings


def _found(data_dir: Path, **settings: Any) -> dict[str, doctor.Finding]:
    settings = {"provider": "scripted", "port": 0, **settings}
    key_file = data_dir.parent / "master.key"
    return {
        each.name: each
        for each in doctor.examined(load_settings(data_dir=data_dir, key_file=key_file, **settings))
    }


def _copied(used: Path, folder: Path) -> Path:
    data_dir = folder / "data"
    data_dir.mkdir(mode=0o700)
    for each in used.iterdir():
        (data_dir / each.name).write_bytes(each.read_bytes())
    return data_dir


def test_a_folder_in_order_is_well_and_left_as_it_is(used: Path) -> None:
    before = {each.name: each.read_bytes() for each in used.glob("talekeeper.db")}
    found = _found(used)
    for name in ("versions", "data folder", "file system", "database", "log", "port"):
        assert found[name].state == "well", found[name]
    assert "ms for 4 KiB" in found["sync"].text
    assert found["server"].state == "note"
    assert {each.name: each.read_bytes() for each in used.glob("talekeeper.db")} == before


def test_nothing_there_yet_is_no_fault(tmp_path: Path) -> None:
    found = _found(tmp_path / "data")
    assert found["data folder"].state == "note"
    assert found["database"].state == "note"
    assert not (tmp_path / "data").exists(), "looking made something"


def test_a_folder_that_others_may_read_is_told(used: Path, tmp_path: Path) -> None:
    data_dir = _copied(used, tmp_path)
    data_dir.chmod(0o755)
    folder = _found(data_dir)["data folder"]
    assert folder.state == "ill"
    assert "chmod 700" in (folder.next or "")


@pytest.mark.req("R16")
def test_a_damaged_database_is_told_and_left_as_it_is(used: Path, tmp_path: Path) -> None:
    data_dir = _copied(used, tmp_path)
    database = data_dir / "talekeeper.db"
    whole = database.read_bytes()
    database.write_bytes(whole[:4096] + b"\xa5" * (len(whole) - 4096))
    finding = _found(data_dir)["database"]
    assert finding.state == "ill"
    assert "damaged" in finding.text
    assert "copy" in (finding.next or "")
    assert database.read_bytes() == whole[:4096] + b"\xa5" * (len(whole) - 4096)


@pytest.mark.req("R16")
def test_a_missing_database_is_told_and_none_is_made(used: Path, tmp_path: Path) -> None:
    data_dir = _copied(used, tmp_path)
    (data_dir / "talekeeper.db").unlink()
    finding = _found(data_dir)["database"]
    assert finding.state == "ill"
    assert "missing" in finding.text
    assert not (data_dir / "talekeeper.db").exists()


@pytest.mark.req("NFR-004")
def test_a_broken_rule_is_told(used: Path, tmp_path: Path) -> None:
    data_dir = _copied(used, tmp_path)
    connection = sqlite3.connect(data_dir / "talekeeper.db")
    connection.execute("UPDATE conversations SET seq = seq + 1")
    connection.commit()
    connection.close()
    finding = _found(data_dir)["database"]
    assert finding.state == "ill"
    assert "without a gap" in finding.text


def test_another_schema_is_told_and_is_no_fault(used: Path, tmp_path: Path) -> None:
    data_dir = _copied(used, tmp_path)
    connection = sqlite3.connect(data_dir / "talekeeper.db")
    connection.execute("UPDATE alembic_version SET version_num = '0001'")
    connection.commit()
    connection.close()
    finding = _found(data_dir)["database"]
    assert (finding.state, "0001" in finding.text) == ("note", True)


@pytest.mark.req("NFR-010")
def test_little_room_is_told(used: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: _Usage(100 << 30, 4 << 30))
    assert _found(used)["disk"].state == "ill", "less than a twentieth is free"
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: _Usage(10 << 30, 2 << 30))
    assert _found(used)["disk"].state == "well"


class _Usage:
    def __init__(self, total: int, free: int) -> None:
        self.total = total
        self.free = free


def test_a_network_share_is_told(used: Path, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    listed = tmp_path / "mountinfo"
    listed.write_text("1 2 0:1 / / rw - cifs //there/share rw\n")
    monkeypatch.setattr(file_systems, "MOUNTS", listed)
    assert _found(used)["file system"].state == "ill"
    assert _found(used, allow_network_folder=True)["file system"].state == "note"


@pytest.mark.parametrize(
    ("took", "state"), [(0.001, "note"), (0.5, "well"), (12.0, "well"), (200.0, "note")]
)
def test_a_sync_too_fast_to_be_true_or_too_slow_is_noted(
    used: Path, monkeypatch: pytest.MonkeyPatch, took: float, state: str
) -> None:
    monkeypatch.setattr(doctor, "sync_ms", lambda _folder: took)
    monkeypatch.setattr(file_systems, "file_system_of", lambda *_: "ext4")
    assert _found(used)["sync"].state == state


def test_the_program_that_has_the_port_is_named(used: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = _found(used, port=other.getsockname()[1])["port"]
    assert port.state == "ill"
    if sys.platform == "linux":
        assert "process" in port.text


def test_a_provider_that_does_not_listen_is_told(used: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        found = _found(used, provider="ollama", ollama_base_url=address)
        assert found["provider"].state == "ill"
        silent.listen()
        found = _found(used, provider="ollama", ollama_base_url=address)
        assert found["provider"].state == "well"


def test_a_provider_that_somebody_connected_on_the_page_is_looked_at(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        with served(tmp_path) as server:

            async def connect() -> None:
                async with server.client() as client:
                    ollama = {"kind": "ollama", "base_url": address}
                    added = await client.post("/api/connections", ollama)
                    chosen = {"connection_id": added["id"]}
                    put = await client.ask("PUT", "/api/connections/chosen", chosen)
                    assert put.status == 200

            apart(connect)
            server.stop()
        found = _found(server.data_dir, provider="local")
        assert (found["provider"].state, found["built-in model"].state) == ("ill", "note")
        assert f"ollama at {address} cannot be reached" in found["provider"].text
        silent.listen()
        assert _found(server.data_dir, provider="local")["provider"].state == "well"
        # An address that somebody else gave is not gone to.
        with closing(sqlite3.connect(server.database)) as database:
            database.execute("UPDATE accounts SET is_admin = 0")
            database.commit()
        assert "provider" not in _found(server.data_dir, provider="local")


def test_missing_weights_are_a_fault_only_where_they_would_answer(used: Path) -> None:
    assert _found(used)["built-in model"].state == "note"
    model = _found(used, provider="local")["built-in model"]
    assert model.state == "ill"
    assert "talekeeper model add" in model.text


def test_who_holds_the_folder_without_serving_is_named(used: Path, tmp_path: Path) -> None:
    if not folder_lock.LOCKS.exists():
        pytest.skip("this system does not list locks")
    data_dir = _copied(used, tmp_path)
    assert FolderLock.holder_of(data_dir) is None
    holding = (
        "import sys, pathlib; from talekeeper.database.folder_lock import FolderLock; "
        "FolderLock.take(pathlib.Path(sys.argv[1]), boot_id='x'); print('held', flush=True); "
        "sys.stdin.readline()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holding, str(data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert f"process {holder.pid} holds" in _found(data_dir)["server"].text
        holder.communicate("\n")


def test_it_looks_while_the_server_serves_and_ends_with_what_it_found(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        done = _doctor(server, "--json")
        assert done["is_well"] is True, done
        by_name = {each["name"]: each for each in done["findings"]}
        assert by_name["server"]["state"] == "well"
        assert str(server.port) in by_name["server"]["text"]
        assert by_name["database"]["state"] == "well"
        server.kill()
        server.database.write_bytes(b"")
        for each in server.data_dir.glob("talekeeper.db-*"):
            each.unlink()
        told = server.run("doctor")
        assert told.returncode == 1
        assert "✗ database" in told.stdout
        assert "Something is wrong" in told.stdout
        server.database.unlink()
        (server.data_dir / "installation.json").unlink()


def _doctor(server: Server, *words: str) -> dict[str, Any]:
    done = server.run("doctor", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data folder that holds a sealed key, and the master key beside it."""
    folder = tmp_path_factory.mktemp("keyed")
    with served(folder) as server:

        async def connect() -> None:
            async with server.client() as client:
                key = {"kind": "openai", "name": "My cloud", "api_key": "sk-of-the-first-machine"}
                assert (await client.post("/api/connections", key)).status == 201

        apart(connect)
        server.stop()
    (server.key_file).rename(folder / "the.key")
    return folder


@pytest.mark.req("S10")
def test_a_stored_key_that_the_master_key_does_not_open_is_told(
    keyed: Path, tmp_path: Path
) -> None:
    data_dir = _copied(keyed / "data", tmp_path)
    master = tmp_path / "master.key"
    missing = _found(data_dir)["stored keys"]
    assert missing.state == "ill"
    assert "My cloud" in missing.text
    assert "The stored key cannot be opened; enter it again" in missing.text
    assert not master.exists(), "looking made a key"
    open_master_key(master)
    assert _found(data_dir)["stored keys"].state == "ill", "another machine's key"
    master.write_bytes((keyed / "the.key").read_bytes())
    assert _found(data_dir)["stored keys"].state == "well"
    master.chmod(0o644)
    assert _found(data_dir)["stored keys"].state == "ill"
    assert "chmod 600" in _found(data_dir)["stored keys"].text
