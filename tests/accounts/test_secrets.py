"""Providers' keys are sealed under a master key that no copy of the data holds (S10)."""

import base64
import os
from pathlib import Path

import pytest

from talekeeper.accounts.secrets import open_master_key
from talekeeper.errors import ConfigurationError, StoredKeyUnreadable

CANARY = "sk-canary-0123456789"


@pytest.mark.req("S10")
def test_a_missing_master_key_is_made_for_this_user_alone(tmp_path: Path):
    path = tmp_path / "config" / "master.key"
    open_master_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [each.name for each in path.parent.iterdir()] == ["master.key"]


@pytest.mark.req("S10")
def test_what_was_sealed_opens_after_a_restart_and_does_not_show_the_text(tmp_path: Path):
    path = tmp_path / "master.key"
    sealed = open_master_key(path).seal(CANARY, record_id="ada/openai")
    assert CANARY not in sealed
    assert CANARY.encode() not in base64.b64decode(sealed)
    assert open_master_key(path).unseal(sealed, record_id="ada/openai") == CANARY


@pytest.mark.req("S10")
def test_the_same_text_is_never_sealed_to_the_same(tmp_path: Path):
    key = open_master_key(tmp_path / "master.key")
    assert len({key.seal(CANARY, record_id="r") for _ in range(10)}) == 10


@pytest.mark.req("S10")
def test_a_key_sealed_for_one_record_does_not_open_in_another(tmp_path: Path):
    key = open_master_key(tmp_path / "master.key")
    sealed = key.seal(CANARY, record_id="ada/openai")
    with pytest.raises(StoredKeyUnreadable):
        key.unseal(sealed, record_id="eve/openai")


@pytest.mark.req("S10")
@pytest.mark.parametrize(
    "change", [lambda s: s[:-4], lambda s: "B" + s[1:], lambda _: "", lambda _: "?"]
)
def test_a_damaged_seal_is_an_error_that_says_what_to_do(tmp_path: Path, change):
    key = open_master_key(tmp_path / "master.key")
    with pytest.raises(StoredKeyUnreadable, match="enter it again"):
        key.unseal(change(key.seal(CANARY, record_id="r")), record_id="r")


@pytest.mark.req("S10")
def test_another_master_key_opens_nothing(tmp_path: Path):
    sealed = open_master_key(tmp_path / "one.key").seal(CANARY, record_id="r")
    with pytest.raises(StoredKeyUnreadable) as caught:
        open_master_key(tmp_path / "two.key").unseal(sealed, record_id="r")
    assert CANARY not in str(caught.value)


@pytest.mark.req("S10")
@pytest.mark.parametrize("content", [b"", b"short", base64.b64encode(b"x" * 31), b"\xff" * 44])
def test_a_file_that_is_no_key_is_refused_and_left_alone(tmp_path: Path, content: bytes):
    path = tmp_path / "master.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match=r"master\.key"):
        open_master_key(path)
    assert path.read_bytes() == content


@pytest.mark.req("S10")
def test_a_key_that_everybody_can_read_is_refused(tmp_path: Path):
    path = tmp_path / "master.key"
    open_master_key(path)
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        open_master_key(path)


@pytest.mark.req("S10")
def test_a_folder_in_place_of_the_key_is_refused(tmp_path: Path):
    (tmp_path / "master.key").mkdir()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        open_master_key(tmp_path / "master.key")


def test_a_key_is_not_shown_by_accident(tmp_path: Path):
    path = tmp_path / "master.key"
    key = open_master_key(path)
    assert path.read_text().strip() not in repr(key)
    assert repr(key) == f"MasterKey('{path}')"
    assert os.fspath(path) in repr(key)
