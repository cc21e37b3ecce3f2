"""The data folder: this user's alone."""

import contextlib
import os
import stat
from pathlib import Path
from typing import Final

from talekeeper.errors import ConfigurationError

ACCESS: Final = "Give this user access to it, or name another folder with --data-dir."


def fault_of(folder: Path) -> str | None:
    """Why `folder` cannot be the data folder, as the end of a sentence that begins with its name.

    None when it can be, and when it is not there yet.
    """
    try:
        about = folder.stat()
    except FileNotFoundError:
        link = next((each for each in (folder, *folder.parents) if each.is_symlink()), None)
        if link is not None and not link.exists():
            return f"leads nowhere: {link} is a link to {link.readlink()}, which is not there"
        return None
    except NotADirectoryError:
        return "lies under a file, not under a folder"
    except OSError as error:
        return f"cannot be looked at ({error.strerror})"
    if not stat.S_ISDIR(about.st_mode):
        return "is not a folder"
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return "is not this user's to read and write in"
    return None


def check_data_dir(folder: Path) -> None:
    """`folder` is a data folder or can become one. Raises ConfigurationError."""
    if (fault := fault_of(folder)) is not None:
        raise ConfigurationError(f"The data folder {folder} {fault}. {ACCESS}")


def prepare_data_dir(folder: Path) -> None:
    """The data folder is there and, as far as it is ours, open to nobody else; so is every file
    that this process makes from now on. Raises ConfigurationError.
    """
    os.umask(0o077)
    check_data_dir(folder)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = folder.stat().st_mode
        is_shared = bool(mode & 0o077) and not mode & stat.S_ISVTX
        is_ours = (folder / "installation.json").exists() or not any(folder.iterdir())
    except OSError as error:
        raise ConfigurationError(
            f"The data folder {folder} cannot be used ({error.strerror}). {ACCESS}"
        ) from error
    if is_shared and is_ours:
        # Where it is refused, as on some mounted volumes, the files' own modes still hold.
        with contextlib.suppress(OSError):
            folder.chmod(0o700)
