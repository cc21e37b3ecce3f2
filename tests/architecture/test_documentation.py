"""The documentation names what there is, and nothing that there is not."""

import re
from collections.abc import Iterator
from pathlib import Path

import settings_reference
from talekeeper.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
SETTINGS = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
PLACEHOLDER = f"{PREFIX}NAME"


def test_the_settings_page_says_what_the_settings_are() -> None:
    page = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    assert page == settings_reference.rendered(), "`make docs` writes it anew"


def test_every_setting_has_a_description() -> None:
    silent = [name for name, field in Settings.model_fields.items() if not field.description]
    assert silent == []


def test_no_text_names_a_setting_that_is_not_there() -> None:
    unknown = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in _texts()
        for name in re.findall(rf"{PREFIX}[A-Z][A-Z_]*[A-Z]", path.read_text(encoding="utf-8"))
        if name not in SETTINGS | {PLACEHOLDER}
    }
    assert unknown == set()


def test_links_between_documents_lead_somewhere() -> None:
    broken = [
        (path.relative_to(ROOT).as_posix(), target)
        for path in _documents()
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
        if not (path.parent / target).exists()
    ]
    assert broken == []


def _documents() -> Iterator[Path]:
    yield from ROOT.glob("*.md")
    yield from (ROOT / "docs").rglob("*.md")
    yield from (ROOT / "changes").glob("*.md")


def _texts() -> Iterator[Path]:
    yield from _documents()
    yield from (ROOT / "src").rglob("*.py")
    yield ROOT / "Makefile"
    yield from (ROOT / "tools").glob("*.*")
