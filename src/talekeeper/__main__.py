"""The command `talekeeper`, which is `python -m talekeeper` as well.

A server begins anew before anything is imported, with an allocator that gives memory back: Python's
own gives back a megabyte when nothing in it lives any more, and thousands of followers leave
something behind in nearly all of theirs. glibc's gives back every free page (see `cli.memory`).
"""

import os
import sys
from contextlib import suppress
from typing import Final

_ALLOCATOR: Final = "PYTHONMALLOC"


def main() -> None:
    if sys.argv[1:2] == ["serve"]:
        _use_allocator_of_glibc()
    from talekeeper.cli import main as run

    run()


def _use_allocator_of_glibc() -> None:
    """Python allocates by glibc's `malloc`, where there is one, or as the environment says.

    The process stays the same, and what it starts itself is not told.
    """
    if os.environ.pop(_ALLOCATOR, None) is not None or not has_glibc():
        return
    with suppress(OSError):  # with Python's own allocator it works as well
        os.execve(  # noqa: S606
            sys.executable,
            [sys.executable, *sys.orig_argv[1:]],
            {**os.environ, _ALLOCATOR: "malloc"},
        )


def has_glibc() -> bool:
    """Whether the process allocates by glibc, once it is told to."""
    try:
        return sys.platform == "linux" and bool(os.confstr("CS_GNU_LIBC_VERSION"))
    except (OSError, ValueError):
        return False


if __name__ == "__main__":
    main()
