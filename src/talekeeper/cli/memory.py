"""Memory that nothing uses any more goes back to the machine, where the allocator can do that."""

import asyncio
import gc
from collections.abc import Callable
from typing import Final

EVERY_SECONDS: Final = 10
_CROWD: Final = 100


async def give_back_memory(followers: Callable[[], int]) -> None:
    """Until cancelled, give back every free page now and then.

    It takes half a millisecond where there is little to give back, and 28 ms after 10,000
    followers. When most of a crowd has left, garbage is looked for once: Python keeps what it
    freed last, and that lies everywhere. Ends by itself where glibc is not the C library.
    """
    give_back = await asyncio.to_thread(_giving_back)
    most = 0
    while give_back is not None:
        for _ in range(EVERY_SECONDS):
            await asyncio.sleep(1)
            most = max(most, followers())
        if most > _CROWD + 4 * followers():
            gc.collect()
            most = 0
        await asyncio.to_thread(give_back, 0)


def _giving_back() -> Callable[[int], int] | None:
    import ctypes

    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, TypeError, AttributeError):  # Windows, macOS, musl
        return None
