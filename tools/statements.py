"""Write src/talekeeper/store/statements/*.json: what SQLAlchemy makes of every prepared statement."""

import json
import pkgutil
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import talekeeper.store
from talekeeper.store.prepared import Engine, Prepared
from talekeeper.store.statements import FOLDER, in_short, tables_in_short

ENGINES: Final[tuple[Engine, ...]] = ("sqlite", "postgresql")


def statements() -> dict[str, Prepared]:
    """Every prepared statement that is a module's constant, by its name."""
    found: dict[str, Prepared] = {}
    for module in pkgutil.iter_modules(talekeeper.store.__path__):
        if module.ispkg:
            continue
        for name, value in vars(import_module(f"talekeeper.store.{module.name}")).items():
            if isinstance(value, Prepared) and value not in found.values():
                found[f"{module.name}.{name}"] = value
    return found


def written(engine: Engine) -> str:
    """The file for one engine."""
    lines: list[dict[str, Any]] = []
    for name, statement in sorted(statements().items()):
        says = in_short(statement.statement)
        if says is None:
            continue
        sql, constants = statement.written(engine)
        lines.append({"name": name, "says": says, "sql": sql, "constants": constants})
    return json.dumps({"tables": tables_in_short(), "lines": lines}, indent=1) + "\n"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for engine in ENGINES:
        path = FOLDER / f"{engine}.json"
        path.write_text(written(engine), encoding="utf-8")
        print(f"{path.relative_to(Path.cwd())}: {len(statements())} statements")


if __name__ == "__main__":
    sys.exit(main())
