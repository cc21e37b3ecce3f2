"""A data folder that cannot be used ends every command with one sentence and no traceback (R16)."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

COMMANDS = [
    ["doctor"],
    ["doctor", "--json"],
    ["serve", "--no-open", "--port", "0"],
    ["model", "add"],
    ["model", "list"],
    ["model", "path"],
    ["search", "rebuild"],
    ["account", "list"],
    ["account", "add", "Bea"],
    ["login-link"],
]


def _file(folder: Path) -> Path:
    (folder / "data").write_text("a file")
    return folder / "data"


def _link_to_nothing(folder: Path) -> Path:
    (folder / "data").symlink_to(folder / "gone")
    return folder / "data"


def _under_a_link_to_nothing(folder: Path) -> Path:
    return _link_to_nothing(folder) / "data"


def _link_to_itself(folder: Path) -> Path:
    (folder / "data").symlink_to(folder / "data")
    return folder / "data"


def _under_a_file(folder: Path) -> Path:
    return _file(folder) / "data"


def _too_long(folder: Path) -> Path:
    return folder / ("x" * 300)


def _run(command: list[str], data_dir: Path, **how: str) -> subprocess.CompletedProcess[str]:
    """The command on that folder, with a master key outside of it."""
    return subprocess.run(
        [sys.executable, "-m", "talekeeper", *command, "--data-dir", str(data_dir)],
        env={**os.environ, "TALEKEEPER_PROVIDER": "scripted", **how},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.req("R16")
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    "make",
    [
        _file,
        _link_to_nothing,
        _under_a_link_to_nothing,
        _link_to_itself,
        _under_a_file,
        _too_long,
    ],
)
def test_a_folder_that_is_none_is_told_by_every_command(
    tmp_path: Path, make: Callable[[Path], Path], command: list[str]
) -> None:
    data_dir = make(tmp_path)
    done = _run(command, data_dir)
    assert "Traceback" not in done.stderr
    if command[0] == "doctor":
        assert done.returncode == 1
        told = done.stdout
        if "--json" in command:
            findings = {each["name"]: each for each in json.loads(told)["findings"]}
            assert findings["data folder"]["state"] == "ill"
            assert "database" not in findings
    else:
        assert done.returncode == 2
        told = done.stderr
        assert len(told.splitlines()) == 1
    assert str(data_dir) in told
    assert "--data-dir" in told
    assert not (tmp_path / "gone").exists()


@pytest.mark.req("R16")
@pytest.mark.parametrize("command", [["doctor"], ["serve", "--port", "0"], ["account", "list"]])
@pytest.mark.parametrize("name", ["talekeeper.db", "installation.json", "server.lock"])
def test_a_folder_in_a_files_place_is_told(
    used: Path, tmp_path: Path, name: str, command: list[str]
) -> None:
    data_dir = tmp_path / "data"
    shutil.copytree(used, data_dir)
    (data_dir / name).unlink()
    (data_dir / name).mkdir()
    done = _run(command, data_dir)
    assert "Traceback" not in done.stderr + done.stdout
    if (command, name) != (["doctor"], "server.lock"):
        assert done.returncode in (1, 4)
        assert str(data_dir / name) in done.stdout + done.stderr


@pytest.mark.req("R16")
def test_a_models_folder_that_is_a_file_is_told(used: Path, tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    shutil.copytree(used, data_dir)
    (data_dir / "models").write_text("")
    for command in (["doctor"], ["model", "list"], ["model", "path"], ["model", "add"]):
        done = _run(command, data_dir)
        assert "Traceback" not in done.stderr
        assert "models" in done.stdout + done.stderr


@pytest.mark.req("R16")
def test_a_database_newer_than_the_doctor_is_a_fault(used: Path, tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    shutil.copytree(used, data_dir)
    with closing(sqlite3.connect(data_dir / "talekeeper.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    refused = _run(["serve", "--port", "0"], data_dir)
    assert refused.returncode == 4
    done = _run(["doctor"], data_dir)
    assert done.returncode == 1, done.stdout
    assert "✗ database: This database was written by a newer Talekeeper" in done.stdout
    assert "All is well" not in done.stdout


@pytest.mark.req("R16")
def test_another_installations_database_is_told_by_the_doctor_too(
    used: Path, tmp_path: Path
) -> None:
    data_dir = tmp_path / "data"
    shutil.copytree(used, data_dir)
    with closing(sqlite3.connect(data_dir / "talekeeper.db")) as database:
        database.execute("UPDATE installation SET installation_id = 'another'")
        database.commit()
    assert _run(["serve", "--port", "0"], data_dir).returncode == 4
    assert "✗ database" in _run(["doctor"], data_dir).stdout


def test_a_report_into_a_file_s_place_is_refused_before_the_torture(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "talekeeper", "torture", "--list"),
            *("--report", str(tmp_path / "file" / "report.json")),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
