"""Whatever a model's server sends beside or around the words, the words are the reply (R13, FR-006).

The table is in `quirks.py`, which can print it. All rows of a provider go through one whole server,
at the same time.
"""

from pathlib import Path

import pytest
from tests.providers.quirks import WIRES, came_of_all, printed, table

ROWS = table()


def test_every_row_has_a_name_of_its_own() -> None:
    assert len({row.id for row in ROWS}) == len(ROWS)


@pytest.mark.req("R13", "FR-006")
@pytest.mark.parametrize("provider", WIRES)
def test_what_comes_of_each_quirk_is_what_was_said(tmp_path: Path, provider: str) -> None:
    rows = [row for row in ROWS if row.provider == provider]
    came = came_of_all(tmp_path, rows)
    print(printed(rows, came))
    assert came == {row.id: row.expected for row in rows}
