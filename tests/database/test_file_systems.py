"""A data folder on a network share is refused, or warned of where that is allowed."""

from pathlib import Path

import pytest

from talekeeper.database import Store, file_systems
from talekeeper.database.file_systems import file_system_of, is_network
from talekeeper.errors import FolderOnNetwork
from tales import opened

LINE = "36 35 98:0 / {point} rw,noatime shared:1 master:2 - {kind} /dev/root rw\n"


def _mounts(folder: Path, **kinds: str) -> Path:
    listed = folder / "mountinfo"
    lines = [LINE.format(point=point or "/", kind=kind) for point, kind in kinds.items()]
    listed.write_text("".join(lines) + "a line that is none\n")
    return listed


def test_a_folder_is_of_the_deepest_mount_above_it(tmp_path: Path) -> None:
    far, near = tmp_path / "far away", tmp_path / "near"
    point = str(far).replace(" ", "\\040")
    mounts = _mounts(tmp_path, **{"/": "ext4", point: "nfs4", str(near): "xfs"})
    assert file_system_of(far / "deep" / "down", mounts) == "nfs4"
    assert file_system_of(near, mounts) == "xfs"
    assert file_system_of(tmp_path / "nearby", mounts) == "ext4"
    assert file_system_of(tmp_path, tmp_path / "no list") is None


def test_of_two_mounts_on_one_place_the_later_is_seen(tmp_path: Path) -> None:
    listed = _mounts(tmp_path, **{"/": "ext4"})
    listed.write_text(listed.read_text() + LINE.format(point="/", kind="9p"))
    assert file_system_of(tmp_path, listed) == "9p"


def test_this_machine_tells_where_a_folder_lies(tmp_path: Path) -> None:
    if not file_systems.MOUNTS.exists():
        pytest.skip("this system has no list of mounts")
    assert file_system_of(tmp_path)


@pytest.mark.parametrize(
    ("kind", "is_other"),
    [
        ("nfs", True), ("nfs4", True), ("cifs", True), ("9p", True), ("fuse.sshfs", True),
        ("ext4", False), ("xfs", False), ("btrfs", False), ("overlay", False), ("fuseblk", False),
    ],
)  # fmt: skip
def test_network_file_systems_are_known(kind: str, is_other: bool) -> None:
    assert is_network(kind) is is_other


@pytest.mark.req("R16")
async def test_a_database_on_a_share_is_refused_unless_that_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "share"
    monkeypatch.setattr(
        file_systems, "MOUNTS", _mounts(tmp_path, **{"/": "ext4", str(folder): "nfs4"})
    )
    with pytest.raises(FolderOnNetwork, match="ALLOW_NETWORK_FOLDER"):
        await Store.open(folder)
    assert not (folder / "talekeeper.db").exists()
    store = await Store.open(folder, allows_network_folder=True)
    try:
        assert "nfs4" in store.installation.warnings[0]
    finally:
        await store.close()
    async with opened(tmp_path / "local") as local:
        assert local.installation.warnings == ()
