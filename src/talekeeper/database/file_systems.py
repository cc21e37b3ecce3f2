"""File systems: on which one a folder lies, and whether its locks and syncs can be relied on."""

import re
from pathlib import Path
from typing import Final

MOUNTS: Final = Path("/proc/self/mountinfo")
"""What is mounted where; only Linux has it."""

_NETWORK: Final = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "9p", "afs", "ceph", "coda"),
        *("glusterfs", "lustre", "ocfs2", "gfs2", "orangefs", "beegfs", "davfs"),
    }
)
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")


def file_system_of(folder: Path, mounts: Path | None = None) -> str | None:
    """The type of the file system that `folder` lies on; None where the system does not tell."""
    try:
        lines = (mounts or MOUNTS).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    place = folder.resolve()
    kind: str | None = None
    deepest = -1
    for line in lines:
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 5 or not after:
            continue
        point = Path(_ESCAPED.sub(lambda found: chr(int(found[1], 8)), fields[4]))
        # Of two mounts on one place the later one is seen.
        if len(point.parts) >= deepest and place.is_relative_to(point):
            kind, deepest = after.split(" ")[0], len(point.parts)
    return kind


def is_network(kind: str) -> bool:
    """Another machine, or a program, stands behind this type; `fuseblk` is a local disk."""
    return kind in _NETWORK or kind == "fuse" or kind.startswith("fuse.")
