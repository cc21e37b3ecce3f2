"""Trying a model in a process of its own: llama.cpp ends its whole process at some damaged files.

    python -m talekeeper.providers.gguf.trying FILE WINDOW

ends with 0 when the model was loaded and said something.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from talekeeper.errors import InvalidInput

_SECONDS: Final = 900.0
"""A large model on a slow disk takes minutes to load."""
_LOOKS: Final = 0.05


def try_model(
    path: Path,
    *,
    window: int,
    is_given_up: Callable[[], bool] = lambda: False,
    seconds: float = _SECONDS,
) -> None:
    """The model in `path` can be loaded and speaks. Takes as long as loading it does.

    Raises InvalidInput when it cannot, or when `is_given_up` became true meanwhile.
    """
    # What llama.cpp leaves in the folder of temporary files when it ends the process goes with it.
    with tempfile.TemporaryDirectory(prefix="tk-") as temporary:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, os.fspath(path), str(window)],
            env={**os.environ, "TMPDIR": temporary},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        ends_at = time.monotonic() + seconds
        try:
            while process.poll() is None and not is_given_up() and time.monotonic() < ends_at:
                time.sleep(_LOOKS)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    if process.returncode != 0:
        raise InvalidInput(
            "llama.cpp cannot run this model: the file is damaged, the kind of model is not known "
            "to it, or there is too little memory."
        )


def main(arguments: list[str]) -> int:
    """Load the model and have it say one token. The exit code of the process."""
    from talekeeper.providers.llama import opened_engine

    path, window = Path(arguments[0]), int(arguments[1])
    said: list[bytes] = []

    def hear(piece: bytes) -> bool:
        said.append(piece)
        return False

    engine = opened_engine(path, window)
    request = (
        b'{"messages":[{"role":"user","content":"Hello."}],"stream":true,"max_tokens":1,'
        b'"reasoning_format":"none"}'
    )
    engine.handle_chat_completions(request, hear)
    is_well = bool(said) and not any(b'"error"' in piece[:200] for piece in said)
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
