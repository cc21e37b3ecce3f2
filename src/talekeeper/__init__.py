"""Talekeeper: the game master's AI chat that never loses a word.

    from talekeeper import Settings, open_keeper

`docs/guide/python.md` shows it in use. Names are imported when they are first asked for, so that
`import talekeeper` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from talekeeper.errors import TalekeeperError
    from talekeeper.game_master import GameMaster
    from talekeeper.keeper import Keeper, open_keeper
    from talekeeper.settings import Settings

__version__ = "0.1.0"

__all__ = ["GameMaster", "Keeper", "Settings", "TalekeeperError", "__version__", "open_keeper"]

_HOMES = {
    "GameMaster": "talekeeper.game_master",
    "Keeper": "talekeeper.keeper",
    "Settings": "talekeeper.settings",
    "TalekeeperError": "talekeeper.errors",
    "open_keeper": "talekeeper.keeper",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'talekeeper' has no attribute {name!r}")
    found = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
