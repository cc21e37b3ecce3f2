"""Every statement, by its module and the name of the constant that holds it."""

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import talekeeper.database
import talekeeper.store
from talekeeper.database.statements import Statement


def statements() -> Iterator[tuple[str, Statement]]:
    """Each statement once, in the order of modules and of constants."""
    known: set[int] = set()
    for package in (talekeeper.database, talekeeper.store):
        for module in pkgutil.iter_modules(package.__path__):
            if module.ispkg:
                continue
            for name, value in vars(import_module(f"{package.__name__}.{module.name}")).items():
                for statement in _held_by(value):
                    if id(statement) not in known:
                        known.add(id(statement))
                        yield f"{module.name}.{name}", statement


def _held_by(value: Any) -> Iterator[Statement]:
    if isinstance(value, Statement):
        yield value
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _held_by(each)
