# ruff: noqa: PLC0414 - these words are to be imported from here
"""SQLAlchemy's words and our tables, for writing statements down without importing SQLAlchemy.

Importing it costs more than all the rest of a start together with its dialects, and a server whose
statements are already written out (`statements.py`) never needs it. So the words given out here
only note what is said with them: a `Noted` is a word, an attribute, a call or an operator applied
to others. Whoever needs the real expression takes `real(noted)`, which says it all again to
SQLAlchemy. `in_writing(noted)` is the same as a text: equal texts mean equal statements, as long
as `tables.py` is the same.

What is noted has no value of its own, so it can be neither true nor false nor gone through; a list
of columns is a plain tuple. To a type checker the words are SQLAlchemy's own.
"""

import operator
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from sqlalchemy import CTE as CTE
    from sqlalchemy import BigInteger as BigInteger
    from sqlalchemy import BindParameter as BindParameter
    from sqlalchemy import ClauseElement as ClauseElement
    from sqlalchemy import ColumnElement as ColumnElement
    from sqlalchemy import FromClause as FromClause
    from sqlalchemy import Select as Select
    from sqlalchemy import and_ as and_
    from sqlalchemy import bindparam as bindparam
    from sqlalchemy import case as case
    from sqlalchemy import cast as cast
    from sqlalchemy import delete as delete
    from sqlalchemy import desc as desc
    from sqlalchemy import exists as exists
    from sqlalchemy import false as false
    from sqlalchemy import func as func
    from sqlalchemy import insert as insert
    from sqlalchemy import literal as literal
    from sqlalchemy import literal_column as literal_column
    from sqlalchemy import not_ as not_
    from sqlalchemy import null as null
    from sqlalchemy import or_ as or_
    from sqlalchemy import select as select
    from sqlalchemy import text as text
    from sqlalchemy import true as true
    from sqlalchemy import tuple_ as tuple_
    from sqlalchemy import union as union
    from sqlalchemy import union_all as union_all
    from sqlalchemy import update as update
    from sqlalchemy import values as values

    from talekeeper.store.tables import *  # noqa: F403 - whichever there are

_CORE: Final = frozenset(
    (
        "CTE",
        "BigInteger",
        "BindParameter",
        "ClauseElement",
        "ColumnElement",
        "FromClause",
        "Select",
        "and_",
        "bindparam",
        "case",
        "cast",
        "delete",
        "desc",
        "exists",
        "false",
        "func",
        "insert",
        "literal",
        "literal_column",
        "not_",
        "null",
        "or_",
        "select",
        "text",
        "true",
        "tuple_",
        "union",
        "union_all",
        "update",
        "values",
    )
)


class Noted:
    """Something said with SQLAlchemy's words, not yet to SQLAlchemy."""

    __slots__ = ("noted_args", "noted_kwargs", "noted_made", "noted_what")
    __hash__ = object.__hash__

    def __init__(self, what: str, *args: Any, **kwargs: Any) -> None:
        self.noted_what = what
        self.noted_args = args
        self.noted_kwargs = kwargs
        self.noted_made: list[Any] = []

    def __getattr__(self, name: str) -> "Noted":
        if name.startswith("__"):
            raise AttributeError(name)
        return Noted("get", self, name)

    def __call__(self, *args: Any, **kwargs: Any) -> "Noted":
        return Noted("call", self, *args, **kwargs)

    def __getitem__(self, key: Any) -> "Noted":
        return Noted("getitem", self, key)

    def __bool__(self) -> bool:
        raise TypeError("What is noted is neither true nor false: use and_(), or_() and not_().")

    def __iter__(self) -> Any:
        raise TypeError("What is noted cannot be gone through: name its parts.")

    def __clause_element__(self) -> Any:
        """For SQLAlchemy, where this is used in an expression of its own."""
        return real(self)

    def __eq__(self, other: object) -> "Noted":  # type: ignore[override]
        return Noted("eq", self, other)

    def __ne__(self, other: object) -> "Noted":  # type: ignore[override]
        return Noted("ne", self, other)


def _operator(name: str) -> Callable[[Noted, Any], Noted]:
    return lambda self, other: Noted(name, self, other)


def _reflected(name: str) -> Callable[[Noted, Any], Noted]:
    return lambda self, other: Noted(name, other, self)


def _prefix(name: str) -> Callable[[Noted], Noted]:
    return lambda self: Noted(name, self)


for _name in ("lt", "le", "gt", "ge"):
    setattr(Noted, f"__{_name}__", _operator(_name))
for _name in ("and_", "or_", "add", "sub", "mul", "truediv", "floordiv", "mod"):
    setattr(Noted, f"__{_name.strip('_')}__", _operator(_name))
    setattr(Noted, f"__r{_name.strip('_')}__", _reflected(_name))
for _name in ("invert", "neg"):
    setattr(Noted, f"__{_name}__", _prefix(_name))


class NotInWriting(Exception):
    """Something in the statement has no text of its own."""


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(name)
    where = "sqlalchemy" if name in _CORE else "talekeeper.store.tables"
    word = Noted("word", where, name)
    globals()[name] = word  # one word, one thing: the same table everywhere
    return word


def real(thing: Any) -> Any:
    """The expression itself, made by SQLAlchemy; what is not noted is given back as it is."""
    if isinstance(thing, Noted):
        # Made once: an alias or a bound value that is used twice is the same both times.
        made = thing.noted_made
        if not made:
            made.append(_made(thing))
        return made[0]
    kind: Any = type(thing)  # pyright: ignore[reportUnknownVariableType]
    if kind in (list, tuple):
        return kind(real(each) for each in thing)  # pyright: ignore[reportUnknownVariableType]
    if kind is dict:
        return {real(key): real(value) for key, value in thing.items()}
    return thing


def _made(noted: Noted) -> Any:
    what, args, kwargs = noted.noted_what, noted.noted_args, noted.noted_kwargs
    match what:
        case "word":
            return getattr(import_module(args[0]), args[1])
        case "get":
            return getattr(real(args[0]), args[1])
        case "call":
            said = [real(each) for each in args[1:]]
            return real(args[0])(*said, **{key: real(each) for key, each in kwargs.items()})
        case _:
            apply: Callable[..., Any] = getattr(operator, what)
            return apply(*(real(each) for each in args))


def in_writing(thing: Any) -> str:
    """What is noted, as a text. Raises NotInWriting where it holds something without one."""
    words: list[str] = []
    _write(thing, {}, words)
    return " ".join(words)


def _write(thing: Any, seen: dict[int, int], words: list[str]) -> None:
    if isinstance(thing, Noted):
        known = seen.get(id(thing))
        if known is not None:  # the same one, which another of the same text would not be
            words.append(f"#{known}")
            return
        seen[id(thing)] = len(seen)
        words.append(f"({thing.noted_what}")
        for each in thing.noted_args:
            _write(each, seen, words)
        for key, each in thing.noted_kwargs.items():
            words.append(f"{key}=")
            _write(each, seen, words)
        words.append(")")
        return
    kind: Any = type(thing)  # pyright: ignore[reportUnknownVariableType]
    if thing is None or kind in (str, int, float, bool):
        words.append(repr(thing))
    elif kind in (list, tuple):
        words.append("[")
        for each in thing:
            _write(each, seen, words)
        words.append("]")
    elif kind is dict:
        words.append("{")
        for key, each in thing.items():
            _write(key, seen, words)
            _write(each, seen, words)
        words.append("}")
    elif kind is frozenset:
        words.append(repr(sorted(thing)))
    else:
        raise NotInWriting(kind.__name__)
