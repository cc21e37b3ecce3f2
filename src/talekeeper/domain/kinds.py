"""Enumerations that grow: their values are checked here, not by the database.

A CHECK of the database could be changed only by writing its whole table again. So a value is checked
when it is written, and `verify` looks at what is stored.
"""

from typing import TypeVar

from talekeeper.errors import InvalidInput

T = TypeVar("T", bound=str)


def known(value: T, values: frozenset[T], *, what: str) -> T:
    """`value`, which is one of `values`. Raises InvalidInput."""
    if value not in values:
        raise InvalidInput(f"There is no {what} “{value}”. Known are: {', '.join(sorted(values))}.")
    return value
