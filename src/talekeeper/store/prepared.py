"""Statements written in SQLAlchemy Core, compiled once for each engine, run on the driver itself.

Executing through Core costs more than the statement (10 flushes a send against 4 to 5, see
`performance` in the documentation), and a session of the ORM more again. Every statement of the
store is therefore a module constant `NAME = prepared(...)`: Core writes the SQL, the driver's own
cursor runs it, and rows come back as plain tuples in the order of the selected columns.
"""

from functools import cache, cached_property
from typing import Any, Literal, cast

from sqlalchemy import BindParameter, Dialect, bindparam
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ClauseElement

Engine = Literal["sqlite", "postgresql"]
Row = tuple[Any, ...]

_SQLITE = SQLiteDialect_pysqlite(paramstyle="named")


class Prepared:
    """One statement for either engine: its SQL, and the constants that Core made parameters of."""

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement

    @cached_property
    def sqlite(self) -> tuple[str, dict[str, Any]]:
        return _compiled(self._statement, _SQLITE)

    @cached_property
    def postgresql(self) -> tuple[str, dict[str, Any]]:
        return _compiled(self._statement, _postgresql())

    def __repr__(self) -> str:
        return f"Prepared({self.sqlite[0]!r})"


def prepared(statement: ClauseElement) -> Prepared:
    """`statement`, to be compiled when an engine first runs it. Parameters are given by name."""
    return Prepared(statement)


def named(*names: str) -> dict[str, BindParameter[Any]]:
    """Values for an insert: each column takes the parameter of its own name."""
    return {name: bindparam(name) for name in names}


@cache
def _postgresql() -> Dialect:
    # Slow to import, and a laptop never needs it.
    from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

    return PGDialect_psycopg(paramstyle="pyformat")


def _compiled(statement: ClauseElement, dialect: Dialect) -> tuple[str, dict[str, Any]]:
    compiled = cast("SQLCompiler", statement.compile(dialect=dialect))
    given_later = {compiled.bind_names[bind] for bind in compiled.bind_names if bind.required}
    constants = {name: value for name, value in compiled.params.items() if name not in given_later}
    return str(compiled), constants
