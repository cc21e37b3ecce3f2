"""What a machine of this memory can bear: how large a model, and how long a talk with it.

A model's weights are mapped from its file, the talk and the room to compute are allocated. On Linux
a container's limit counts as the machine's memory.
"""

import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

Fit = Literal["well", "tight", "too_large"]

MOST_TOKENS: Final = 8_192
"""The largest window that is opened: a processor takes minutes to read more."""
LEAST_TOKENS: Final = 2_048
_STEP: Final = 1_024
COMPUTING: Final = 300_000_000
"""Bytes that a model takes beside its weights and the talk."""
_WELL_SHARE: Final = 0.6
_TIGHT_SHARE: Final = 0.9
_CGROUP: Final = Path("/sys/fs/cgroup")
_MEMINFO: Final = Path("/proc/meminfo")


@dataclass(frozen=True, slots=True)
class Memory:
    """A machine's memory in bytes. `free` is what could be used now; None where it is not known."""

    total: int
    free: int | None


def memory_here() -> Memory:
    """The memory of this machine, or of the container that this process runs in."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    free = None
    if sys.platform == "linux":
        free = _meminfo("MemAvailable")
        limit, used = _cgroup("memory.max"), _cgroup("memory.current")
        if limit is not None and limit < total:
            total = limit
            if free is not None and used is not None:
                free = min(free, max(0, limit - used))
    return Memory(total, free)


def memory_needed(weights: int, bytes_per_token: int, window: int) -> int:
    """What a model takes while it answers, in bytes."""
    return weights + bytes_per_token * window + COMPUTING


def fit_of(needed: int, memory: Memory) -> Fit:
    """How a model that needs so much fits the machine, with what is free at this moment."""
    if needed > memory.total * _TIGHT_SHARE:
        return "too_large"
    has_room_now = memory.free is None or needed <= memory.free
    return "well" if needed <= memory.total * _WELL_SHARE and has_room_now else "tight"


def window_of(
    *, weights: int, bytes_per_token: int, trained_tokens: int | None, memory: Memory
) -> int:
    """The tokens that a model can hold here.

    What the machine has in all decides, and not what is free: a window must not change between two
    replies. At least `LEAST_TOKENS`, unless the model was trained for fewer.
    """
    spare = int(memory.total * _WELL_SHARE) - weights - COMPUTING
    borne = spare // bytes_per_token // _STEP * _STEP if bytes_per_token else MOST_TOKENS
    window = max(LEAST_TOKENS, min(MOST_TOKENS, borne))
    return min(window, trained_tokens or window)


def _meminfo(name: str) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        for line in _MEMINFO.read_text(encoding="ascii").splitlines():
            key, _, rest = line.partition(":")
            if key == name:
                return int(rest.split()[0]) * 1024
    return None


def _cgroup(name: str) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        return int((_CGROUP / name).read_text(encoding="ascii"))
    return None
