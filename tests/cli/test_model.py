"""`talekeeper model`: the models on this machine, by hand."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from models.model_server import ModelServer
from talekeeper.providers.weights import SMOLLM2, find_weights

pytestmark = pytest.mark.model
TALEKEEPER = [sys.executable, "-m", "talekeeper", "model"]


@pytest.fixture
def small_model(models_folder: Path) -> Path:
    return find_weights(models_folder)


def run(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """What the command says on a screen that is wide enough."""
    return subprocess.run(
        [*TALEKEEPER, *map(str, arguments), "--data-dir", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "160"},
    )


def test_a_model_is_added_by_address_listed_found_and_removed(
    tmp_path: Path, small_model: Path
) -> None:
    with ModelServer.of(small_model) as source:
        address = f"{source.address}/Bard.gguf"
        added = run(tmp_path, "add", address, "--sha256", SMOLLM2.sha256)
        again = run(tmp_path, "add", address, "--sha256", SMOLLM2.sha256)
    path = tmp_path / "models" / "bard.gguf"
    assert added.returncode == 0, added.stderr
    assert f"The model bard stands in {path}" in added.stdout
    assert "Its SHA-256 is the one that you gave." in added.stdout
    assert f"The model bard is there: {path}" in again.stdout
    assert len(source.asked) == 1
    assert run(tmp_path, "path", "bard").stdout.strip() == str(path)

    listed = run(tmp_path, "list").stdout.splitlines()
    assert next(line for line in listed if line.startswith("bard")).split()[-1] == "yes"
    offered = next(line for line in listed if line.startswith("mistral-7b"))
    assert "4.4 GB" in offered
    assert "Apache-2.0" in offered
    assert "runs well" in offered or "tight" in offered or "too large" in offered

    assert run(tmp_path, "remove", "bard").returncode == 0
    assert not path.exists()
    gone = run(tmp_path, "remove", "bard")
    assert (gone.returncode, "no such model" in gone.stderr) == (1, True)


def test_a_model_from_a_file_of_another_hash_is_refused(tmp_path: Path, small_model: Path) -> None:
    refused = run(tmp_path, "add", small_model, "--name", "bard", "--sha256", "0" * 64)
    assert refused.returncode == 2
    assert "its SHA-256 is" in refused.stderr
    assert not (tmp_path / "models" / "bard.gguf").exists()


def test_what_came_of_a_model_is_listed_and_can_be_removed(
    tmp_path: Path, small_model: Path
) -> None:
    with ModelServer.of(small_model, cut_after=[40 << 20] + [0] * 9, statuses=[]) as source:
        process = subprocess.Popen(
            [*TALEKEEPER, "add", f"{source.address}/bard.gguf", "--data-dir", str(tmp_path)]
        )
        while not any(each.range for each in source.asked):
            assert process.poll() is None
        process.terminate()
        process.wait()
    listed = run(tmp_path, "list").stdout
    assert "% of it" in next(line for line in listed.splitlines() if line.startswith("bard"))
    assert run(tmp_path, "remove", "bard").returncode == 0
    assert "bard" not in run(tmp_path, "list").stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["add", "nothing"], "neither a model of the list"),
        (["add", "--sha256", "0" * 64], "for other models than the built-in one"),
        (["remove", SMOLLM2.name], "The built-in model stays"),
    ],
)
def test_what_cannot_be_done_is_told_in_words(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    refused = run(tmp_path, *arguments)
    assert refused.returncode == 2
    assert words in refused.stderr
