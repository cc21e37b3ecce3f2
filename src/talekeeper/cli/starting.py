"""Starting: what a start imports, and what it leaves for the moment after."""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Final

_SOON: Final = ("talekeeper.providers.openai_compatible", "talekeeper.api.measures")
"""What the first reply needs and no start does: the way out to providers, and the counters."""
SOON_SECONDS: Final = 2.0


@contextmanager
def importing() -> Iterator[None]:
    """Within the block, no garbage is collected; what was imported is never looked through again.

    Imported modules live as long as the process.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


def import_the_rest() -> None:
    """Import what the first reply needs on a thread of its own, `SOON_SECONDS` from now."""

    def import_all() -> None:
        for name in _SOON:
            with suppress(ImportError):  # the reply that needs the module reports what is missing
                import_module(name)

    timer = threading.Timer(SOON_SECONDS, import_all)
    timer.daemon = True
    timer.start()
