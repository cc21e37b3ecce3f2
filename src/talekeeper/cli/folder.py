"""The data folder: this user's alone."""

import contextlib
import os
import stat
from pathlib import Path

from talekeeper.errors import ConfigurationError


def prepare_data_dir(folder: Path) -> None:
    """The data folder is there and, as far as it is ours, open to nobody else; so is every file
    that this process makes from now on. Raises ConfigurationError.
    """
    os.umask(0o077)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = folder.stat().st_mode
        is_shared = bool(mode & 0o077) and not mode & stat.S_ISVTX
        is_ours = (folder / "installation.json").exists() or not any(folder.iterdir())
    except OSError as error:
        raise ConfigurationError(
            f"The data folder {folder} cannot be used ({error.strerror}). Give another one with "
            "--data-dir, or make it writable for this user."
        ) from error
    if is_shared and is_ours:
        # Where it is refused, as on some mounted volumes, the files' own modes still hold.
        with contextlib.suppress(OSError):
            folder.chmod(0o700)
