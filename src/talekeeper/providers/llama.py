"""llama.cpp in this process: one model, loaded until its engine is let go.

It brings an HTTP server that cannot be switched off and answers every web page. It listens on a Unix
socket whose name is removed as soon as it stands, and wants a key that is told to no one: requests go
in by a call, never by that door.
"""

import contextlib
import os
import secrets
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol, cast

from talekeeper.errors import ModelMissing, ProviderFailed

_BATCH: Final = 64
_LONGEST_SOCKET_NAME: Final = 100


class Engine(Protocol):
    """The one call of llama.cpp that is used: JSON in, JSON pieces out, true from `hear` ends it."""

    def handle_chat_completions(
        self, request: bytes, hear: Callable[[bytes], bool], /
    ) -> object: ...


def opened_engine(weights: Path, window: int) -> Engine:
    """llama.cpp with the weights loaded, for talks of `window` tokens. Takes a while: for the
    model's own thread only.

    Raises ProviderFailed when it cannot start, ModelMissing where llama.cpp cannot run at all.
    """
    try:
        import xllamacpp
    except (ImportError, OSError) as error:
        raise ModelMissing(
            "No model can run in Talekeeper itself on this machine. Connect another in the settings."
        ) from error
    _read_through(weights)
    # xllamacpp carries no types.
    made = cast("Any", xllamacpp)
    parameters = made.CommonParams()
    parameters.model.path = str(weights)
    parameters.verbosity = -1
    parameters.n_ctx = window
    parameters.fit_params = False
    parameters.n_parallel = 1
    parameters.n_batch = parameters.n_ubatch = _BATCH
    # With every core taken, the threads of llama.cpp wait for each other and it collapses.
    threads = max(1, _cores() - 1)
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
    parameters.warmup = False
    parameters.no_extra_bufts = True  # no second copy of the weights in memory
    parameters.cache_ram_mib = 0  # it would keep up to 8 GB of old prompts
    parameters.n_threads_http = 1
    parameters.ui = parameters.endpoint_slots = False
    parameters.api_keys = [secrets.token_urlsafe(32)]
    with tempfile.TemporaryDirectory(prefix="talekeeper-") as folder:
        name = str(Path(folder, "m.sock"))
        if len(name.encode()) < _LONGEST_SOCKET_NAME:
            parameters.hostnames = [name]
        try:
            return cast("Engine", made.Server(parameters))
        except RuntimeError as error:
            raise ProviderFailed(
                "The model did not start. There may be too little memory, or its file is damaged: "
                "close other programs, or remove the model and add it again."
            ) from error


def _cores() -> int:
    """The cores that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _read_through(path: Path) -> None:
    """Bring the file into memory without Python's lock, so that loading waits for no disk."""
    buffer = bytearray(1 << 20)
    with contextlib.suppress(OSError), path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass
