"""Statements noted with SQLAlchemy's words, written out once for each engine, run on the driver.

Executing through Core costs more than the statement (10 flushes a send against 4 to 5, see
`docs/reference/figures.md`), and a session of the ORM more again. Every statement of the store is
therefore a module constant `NAME = prepared(...)`: Core writes the SQL, the driver's own cursor
runs it, and rows come back as plain tuples in the order of the selected columns.

Core has written them before the server starts: `statements.py` holds what it wrote. A statement
that is not there, because it has just been changed, is written out when it is first run.
"""

import re
from functools import cache, cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, cast

from talekeeper.store.sql import bindparam, real
from talekeeper.store.statements import Engine, Written, written_before

if TYPE_CHECKING:
    from sqlalchemy import BindParameter, Dialect
    from sqlalchemy.sql.compiler import SQLCompiler

    from talekeeper.store.sql import ClauseElement

Row = tuple[Any, ...]

_one_at_a_time = Lock()
_WORD: Final = re.compile(r"[\w -]*", re.ASCII)


class Prepared:
    """One statement for either engine: its SQL, and the constants that Core made parameters of."""

    def __init__(self, statement: "ClauseElement") -> None:
        self.statement = statement

    @cached_property
    def sqlite(self) -> Written:
        return written_before(self.statement, "sqlite") or self.written("sqlite")

    @cached_property
    def postgresql(self) -> Written:
        return written_before(self.statement, "postgresql") or self.written("postgresql")

    def written(self, engine: Engine) -> Written:
        """What SQLAlchemy writes for it now."""
        with _one_at_a_time:  # an alias that two threads made would be two aliases
            return _compiled(real(self.statement), _dialect(engine))

    def __repr__(self) -> str:
        return f"Prepared({self.sqlite[0]!r})"


def prepared(statement: "ClauseElement") -> Prepared:
    """`statement`, to be run by a unit of work. Parameters are given by name."""
    return Prepared(statement)


def named(*names: str) -> "dict[str, BindParameter[Any]]":
    """Values for an insert: each column takes the parameter of its own name."""
    return {name: bindparam(name) for name in names}


@cache
def _dialect(engine: Engine) -> "Dialect":
    if engine == "sqlite":
        from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

        return SQLiteDialect_pysqlite(paramstyle="named")
    from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

    return PGDialect_psycopg(paramstyle="pyformat")


def _compiled(statement: "ClauseElement", dialect: "Dialect") -> Written:
    compiled = cast("SQLCompiler", statement.compile(dialect=dialect))
    given_later = {compiled.bind_names[bind] for bind in compiled.bind_names if bind.required}
    constants = {name: value for name, value in compiled.params.items() if name not in given_later}
    return _with_plain_constants(str(compiled), constants, dialect)


def _with_plain_constants(sql: str, constants: dict[str, Any], dialect: "Dialect") -> Written:
    """Constants that are words or numbers stand in the SQL itself.

    A partial index is only used for what is known when a statement is planned; SQLite would plan
    it anew each time that such a parameter is bound, which costs more than running it.
    """
    mark = r":{}\b" if dialect.paramstyle == "named" else r"%\({}\)s"
    left: dict[str, Any] = {}
    for name, value in constants.items():
        if type(value) is int and value >= 0:
            plain = str(value)
        elif type(value) is str and _WORD.fullmatch(value):
            plain = f"'{value}'"
        else:
            left[name] = value
            continue
        sql = re.sub(mark.format(re.escape(name)), plain, sql)
    return sql, left
