"""Write docs/reference/settings.md from the settings themselves."""

import types
import typing
from pathlib import Path
from typing import cast

from pydantic.fields import FieldInfo

from talekeeper.settings import PREFIX, Settings

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "settings.md"

HEAD = """# Settings

Every setting is a variable of the environment; `make run` and every command obey it. Where a command has a flag of the same name, the flag stands above the variable. Made by `make docs` from `settings.py`.

| variable | default | what it does |
| --- | --- | --- |
"""


def rendered() -> str:
    """The page as it should be."""
    rows = [
        f"| `{PREFIX}{name.upper()}` | {_default(field)} | {_said(field)} |"
        for name, field in Settings.model_fields.items()
    ]
    return HEAD + "\n".join(rows) + "\n"


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "the platform's own"
    default: object = field.default
    if default in (None, ()):
        return "unset"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, tuple):
        return f"`{','.join(map(str, cast('tuple[object, ...]', default)))}`"
    return f"`{default}`"


def _said(field: FieldInfo) -> str:
    choices = [repr(word).strip("'") for word in _choices(field.annotation)]
    listed = f" One of {', '.join(f'`{word}`' for word in choices)}." if choices else ""
    return f"{field.description or ''}{listed}"


def _choices(annotation: object) -> tuple[object, ...]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return tuple(c for part in typing.get_args(annotation) for c in _choices(part))
    return typing.get_args(annotation) if typing.get_origin(annotation) is typing.Literal else ()


if __name__ == "__main__":
    PAGE.write_text(rendered(), encoding="utf-8")
