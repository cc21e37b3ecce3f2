"""Exit codes: one table from errors to what a shell is told, and one sentence on the way out."""

import sys
from typing import NoReturn

from talekeeper import errors
from talekeeper.errors import TalekeeperError

CODES: dict[type[TalekeeperError], int] = {
    TalekeeperError: 1,
    errors.ConfigurationError: 2,
    errors.InvalidInput: 2,
    errors.StoreError: 3,
    errors.InstallationRefused: 4,
    errors.DataFolderInUse: 5,
}
"""A class that is not named here has the code of its nearest ancestor."""

INTERRUPTED = 130


def exit_code(error: TalekeeperError) -> int:
    """What the shell is told of `error`."""
    return next(CODES[kind] for kind in type(error).__mro__ if kind in CODES)


def in_words(error: TalekeeperError) -> str:
    """What went wrong, and where on this machine."""
    return error.message if error.place is None else f"{error.message} ({error.place})"


def leave(error: TalekeeperError) -> NoReturn:
    """The command ends with one sentence and no traceback."""
    print(f"talekeeper: {in_words(error)}", file=sys.stderr)
    sys.exit(exit_code(error))
