"""Statements: plain SQL with named parameters, and rows whose columns have names.

A statement of the store is a module constant `NAME = statement("SELECT …")`. Its parameters are
written `:name` and given by keyword. Where PostgreSQL needs another text than SQLite, it has a
second one. Rows are tuples with the names of the selected columns: `row.content`.

The driver's own cursor runs them: executing through SQLAlchemy costs more than the statement, and
importing it costs more than the rest of a start. A test prepares every statement on both engines.
"""

import re
from collections import namedtuple
from collections.abc import Callable, Iterable
from typing import Any, Final, Literal

Engine = Literal["sqlite", "postgresql"]
Row = Any
"""A named tuple: the statement gives it its fields."""

# Not a cast (`x::bigint`), which begins with two colons.
_PARAMETER: Final = re.compile(r"(?<![:\w]):([a-z_]\w*)")


class Statement:
    """One statement: its text for each engine, and the fields of its rows."""

    __slots__ = ("_make", "postgresql", "sqlite")

    def __init__(self, *, sqlite: str | None, postgresql: str | None) -> None:
        self.sqlite = sqlite
        self.postgresql = None if postgresql is None else _for_psycopg(postgresql)
        self._make: Callable[[Iterable[Any]], Row] | None = None

    def rows(self, cursor: Any) -> list[Row]:
        """Every row of the result that `cursor` holds."""
        make = self._make
        if make is None:
            if cursor.description is None:  # a statement without a result
                return []
            names = [column[0] for column in cursor.description]
            make = self._make = namedtuple("Row", names)._make  # noqa: PYI024  # pyright: ignore[reportUntypedNamedTuple]
        return list(map(make, cursor.fetchall()))

    def __repr__(self) -> str:
        return f"Statement({self.sqlite!r})"


def statement(
    sql: str | None = None, *, sqlite: str | None = None, postgresql: str | None = None
) -> Statement:
    """`sql` for both engines, or a text for each. Without `sql`, one engine can be left out."""
    return Statement(sqlite=sqlite or sql, postgresql=postgresql or sql)


def _for_psycopg(sql: str) -> str:
    return _PARAMETER.sub(r"%(\1)s", sql.replace("%", "%%"))
