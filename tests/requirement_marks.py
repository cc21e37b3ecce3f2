"""The marks `req`: only identifiers that are known, and the list of who bears which.

With `--marks-to FILE` the tests are not run: FILE gets one JSON object, identifier to test names,
from which tools/traceability.py makes docs/traceability.md.
"""

import json
from collections import defaultdict
from pathlib import Path

import pytest

KNOWN = Path(__file__).parents[1] / "docs" / "reference" / "requirements.txt"


def known_identifiers() -> dict[str, str]:
    """Identifier to hint, in the list's order."""
    lines = KNOWN.read_text(encoding="utf-8").splitlines()
    pairs = (line.partition(" ") for line in lines if line and not line.startswith("#"))
    return {identifier: hint for identifier, _, hint in pairs}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--marks-to", metavar="FILE", help="write who bears which req mark; run nothing"
    )


@pytest.hookimpl(trylast=True)
def pytest_itemcollected(item: pytest.Item) -> None:
    unknown = set(_borne_by(item)) - known_identifiers().keys()
    if unknown:
        raise pytest.UsageError(
            f"{item.nodeid} bears {', '.join(sorted(unknown))}, which {KNOWN.name} does not name."
        )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    target = config.getoption("--marks-to")
    if target:
        borne: defaultdict[str, set[str]] = defaultdict(set)
        for item in items:
            for identifier in _borne_by(item):
                borne[identifier].add(item.nodeid.partition("[")[0])
        text = json.dumps({key: sorted(tests) for key, tests in sorted(borne.items())})
        Path(str(target)).write_text(text, encoding="utf-8")
        items.clear()


def _borne_by(item: pytest.Item) -> list[str]:
    return [str(name) for mark in item.iter_markers("req") for name in mark.args]
