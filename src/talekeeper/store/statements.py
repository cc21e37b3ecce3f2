"""What SQLAlchemy wrote for every statement of the store, so that a server starts without it.

`statements/ENGINE.json` is made from the modules (`make statements`) and checked in; a test compares
it with what would be made now. A statement is found by what it says, not by its name, so one that
was changed since is never taken for what it was; nor is any, once `tables.py` has changed.
"""

from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from talekeeper.store.sql import NotInWriting, in_writing

FOLDER: Final = Path(__file__).with_name("statements")

Engine = Literal["sqlite", "postgresql"]
Written = tuple[str, dict[str, Any]]
"""SQL, and the values of the parameters that are always the same."""


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One statement: which, what it says in short, and what SQLAlchemy wrote for it."""

    name: str
    says: str
    sql: str
    constants: dict[str, Any]


class Statements(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    tables: str
    lines: list[Line]


def written_before(statement: Any, engine: Engine) -> Written | None:
    """What SQLAlchemy wrote for it when it was last asked; None where it was not."""
    known = _known(engine)
    if not known:
        return None
    says = in_short(statement)
    return None if says is None else known.get(says)


def in_short(statement: Any) -> str | None:
    """A digest of what the statement says; None where it cannot be put in writing."""
    try:
        return sha256(in_writing(statement).encode()).hexdigest()[:32]
    except NotInWriting:
        return None


def tables_in_short() -> str:
    """A digest of the tables that the statements are about."""
    return sha256(Path(__file__).with_name("tables.py").read_bytes()).hexdigest()


@cache
def _known(engine: Engine) -> dict[str, Written]:
    try:
        found = msgspec.json.decode((FOLDER / f"{engine}.json").read_bytes(), type=Statements)
        if found.tables != tables_in_short():
            return {}
    except (OSError, msgspec.DecodeError):
        return {}
    return {line.says: (line.sql, line.constants) for line in found.lines}
