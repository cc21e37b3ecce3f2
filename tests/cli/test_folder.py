"""The data folder is its user's alone, and other people's folders are left as they are (S2)."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from talekeeper.cli.folder import prepare_data_dir
from talekeeper.errors import ConfigurationError


@pytest.fixture(autouse=True)
def same_umask_afterwards() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o1777


@pytest.mark.req("S2")
def test_a_missing_folder_is_made_for_this_user_alone(tmp_path: Path):
    folder = tmp_path / "a" / "data"
    prepare_data_dir(folder)
    assert mode(folder) == 0o700
    (folder / "file").touch()
    assert mode(folder / "file") == 0o600


@pytest.mark.req("S2")
@pytest.mark.parametrize("content", [[], ["installation.json", "talekeeper.db"]])
def test_an_open_folder_of_ours_is_closed(tmp_path: Path, content: list[str]):
    tmp_path.chmod(0o755)
    for name in content:
        (tmp_path / name).touch()
    prepare_data_dir(tmp_path)
    assert mode(tmp_path) == 0o700


def test_a_folder_of_other_things_keeps_its_mode(tmp_path: Path):
    tmp_path.chmod(0o755)
    (tmp_path / "somebody-elses").touch()
    prepare_data_dir(tmp_path)
    assert mode(tmp_path) == 0o755


def test_a_folder_that_all_share_keeps_its_mode(tmp_path: Path):
    tmp_path.chmod(0o1777)
    (tmp_path / "installation.json").touch()
    prepare_data_dir(tmp_path)
    assert mode(tmp_path) == 0o1777


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path):
    (tmp_path / "data").touch()
    with pytest.raises(ConfigurationError, match="--data-dir"):
        prepare_data_dir(tmp_path / "data")
