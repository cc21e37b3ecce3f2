"""Starting: a server imports what serving needs, and nothing that a library merely looks for.

A start is little else than imports, and half of them are made for uses that do not occur here: a
console renderer, a development reloader, models of an older kind. What is kept out counts as not
installed while the server starts; most of those libraries ask whether it is, and do without.
"""

import gc
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.abc import MetaPathFinder
from types import ModuleType
from typing import Any, Final

_NOT_NOW: Final = "rich"
"""structlog would draw tracebacks with it; the log has none."""
_NEVER: Final = "pydantic.v1"
"""FastAPI asks of each model whether it is one of the old kind; none is."""
_RUNNER: Final = "uvicorn.main"
_SOON: Final = ("talekeeper.providers.openai_compatible", "talekeeper.api.measures")
"""What the first reply needs and no start does: the way out to providers, and the counters."""
SOON_SECONDS: Final = 2.0
_BREATH: Final = 0.003


@contextmanager
def lean_imports() -> Iterator[None]:
    """Within the block, imports leave out what a server does not use, and no garbage is looked for.

    What was imported lives as long as the process: it is never looked through for garbage again.
    """
    modules: dict[str, Any] = sys.modules
    known = set(modules)
    modules.setdefault(_NOT_NOW, None)  # Python's own way to say: not to be imported
    modules.setdefault(_NEVER, None)
    modules.setdefault(_RUNNER, _without_its_command_line())
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        for name in {_NOT_NOW, _RUNNER} - known:
            modules.pop(name, None)
        gc.freeze()
        if was_enabled:
            gc.enable()


def import_the_rest() -> None:
    """Begin to import what the first reply will need, on a thread that holds nothing up."""

    def import_all() -> None:
        with _breathing():
            for name in _SOON:
                with suppress(ImportError):  # whoever needs it will say so
                    import_module(name)

    timer = threading.Timer(SOON_SECONDS, import_all)
    timer.daemon = True
    timer.start()


@contextmanager
def _breathing() -> Iterator[None]:
    """Before each module that this thread imports, the others have a moment for themselves."""
    me = threading.get_ident()

    class Breath(MetaPathFinder):
        def find_spec(self, *_: Any) -> None:
            if threading.get_ident() == me:
                time.sleep(_BREATH)

    breath = Breath()
    sys.meta_path.insert(0, breath)
    try:
        yield
    finally:
        sys.meta_path.remove(breath)


def _without_its_command_line() -> ModuleType:
    """In place of uvicorn's command line, which is imported along with it and needs more yet."""
    module = ModuleType(_RUNNER)
    vars(module).update(Server=None, main=None, run=None)
    return module
