"""One server a data folder: a lock that dies with its process, however that ends."""

import fcntl
import json
import os
from pathlib import Path
from typing import Any, Final

from talekeeper.database.installing import unusable_files_refused
from talekeeper.errors import DataFolderInUse
from talekeeper.ids import BootId

LOCK: Final = "server.lock"
LOCKS: Final = Path("/proc/locks")
"""Every lock and its holder; only Linux has it."""


class FolderLock:
    """Held from `take` until `release`, or until the process is gone.

    The lock is `flock`'s; the pid and the boot id in the file only inform.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, data_dir: Path, *, boot_id: BootId) -> "FolderLock":
        """Raises DataFolderInUse, naming the process that holds it, or InstallationRefused."""
        with unusable_files_refused():
            data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(data_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 200, 0).decode("utf-8", "replace").strip()
            os.close(descriptor)
            raise DataFolderInUse(
                f"{data_dir} is in use by another Talekeeper ({holder or 'just starting'}). Use "
                "that one, stop it, or give another folder with --data-dir."
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "boot_id": boot_id}).encode(), 0)
        return cls(descriptor)

    @staticmethod
    def last_holder(data_dir: Path) -> BootId | None:
        """Who held the folder last, as far as the file tells. Once `take` succeeds it is dead."""
        try:
            found: Any = json.loads((data_dir / LOCK).read_bytes())
            return BootId(str(found["boot_id"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @staticmethod
    def holder_of(data_dir: Path) -> int | None:
        """The process that holds the folder now; None where nobody does, or the system is silent.

        Asked of the kernel's list: trying to take the lock could get in a starting server's way.
        """
        try:
            lock = (data_dir / LOCK).stat()
            lines = LOCKS.read_text(encoding="ascii").splitlines()
        except OSError:
            return None
        place = f"{os.major(lock.st_dev):02x}:{os.minor(lock.st_dev):02x}:{lock.st_ino}"
        for line in lines:
            fields = line.split()
            if len(fields) > 5 and fields[1] == "FLOCK" and fields[5] == place:
                return int(fields[4])
        return None

    def release(self) -> None:
        os.close(self._descriptor)
