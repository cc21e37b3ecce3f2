"""Syncing: what was written is on the disk itself, not in the memory of the drive.

`fsync` means that everywhere but on macOS, where it leaves the data in the drive's own cache;
there `F_FULLFSYNC` empties that cache as well. A file system that does not know it gets an `fsync`.
"""

import fcntl
import os
from pathlib import Path


def sync_file(descriptor: int) -> None:
    """What was written to the file is on its disk. Raises OSError."""
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is not None:
        try:
            fcntl.fcntl(descriptor, full)
        except OSError:
            pass
        else:
            return
    os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """The names in `folder` are on its disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        sync_file(descriptor)
    finally:
        os.close(descriptor)
