"""The shim: a small library in C, compiled here, that makes a server's disk and clock misbehave."""

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Final

from talekeeper.errors import TalekeeperError

_ORDERS: Final = struct.Struct("<iiqq")


class Shim:
    """Faults to order for whatever is started in `environment`."""

    def __init__(self, folder: Path) -> None:
        self._orders = folder / "orders"
        self._orders.write_bytes(_ORDERS.pack(0, 0, 0, 0))
        library = folder / "shim.so"
        source = files("talekeeper.torture").joinpath("shim.c").read_text(encoding="utf-8")
        made = subprocess.run(
            ["cc", "-O2", "-shared", "-fPIC", "-x", "c", "-", "-o", str(library)],
            input=source,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            raise TalekeeperError(f"The shim cannot be compiled: {made.stderr.strip()[:500]}")
        self.environment = {"LD_PRELOAD": str(library), "TORTURE_ORDERS": str(self._orders)}

    def order(
        self, *, fail_sync: bool = False, no_space: bool = False, clock_seconds: int = 0
    ) -> None:
        """From now on, and nothing else."""
        descriptor = os.open(self._orders, os.O_WRONLY)
        try:
            os.pwrite(descriptor, struct.pack("<iiq", fail_sync, no_space, clock_seconds), 0)
        finally:
            os.close(descriptor)

    @contextmanager
    def ordered(self, *, fail_sync: bool = False, no_space: bool = False) -> Generator[None]:
        """So it is until the end of the block."""
        self.order(fail_sync=fail_sync, no_space=no_space)
        try:
            yield
        finally:
            self.order()

    @property
    def refused(self) -> int:
        """How many calls were refused so far."""
        return _ORDERS.unpack(self._orders.read_bytes()[: _ORDERS.size])[3]


def no_compiler() -> str | None:
    """Why there can be no shim on this machine."""
    if sys.platform != "linux":
        return "faults are preloaded on Linux only"
    if shutil.which("cc") is None:
        return "there is no C compiler (cc) to make the shim with"
    return None
