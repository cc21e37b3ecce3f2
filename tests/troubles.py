"""Trouble for a store: a lock that another process holds, a disk that is full."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from talekeeper.torture.trouble import fill_up, write_lock_held

__all__ = ["fill_up", "small_disk", "write_lock_held"]


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """A file system of its own, as small as that."""
    with tempfile.TemporaryDirectory(prefix="talekeeper-disk-") as place:
        options = f"size={megabytes}m,mode=0700"
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", place],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            pytest.skip(f"this machine mounts nothing here: {made.stderr.strip()}")
        try:
            yield Path(place)
        finally:
            subprocess.run(["umount", "--lazy", place], check=True)
