"""A start imports what serving needs (G15, R8)."""

import re
from pathlib import Path

import pytest

from servers import served

NOT_FOR_A_START = (
    "sqlalchemy",
    "alembic",
    "psycopg",
    "aiohttp",
    "xllamacpp",
    "cryptography",
    "prometheus_client",
    "pydantic_settings",
)


@pytest.mark.req("R8", "G15")
def test_a_start_imports_nothing_that_serving_does_not_need(tmp_path: Path):
    with served(tmp_path) as server:
        server.stop()
    with served(tmp_path, env={"PYTHONPROFILEIMPORTTIME": "1"}) as server:
        imported = re.findall(r"^import time:.*\| +(\S+)$", server.log, re.MULTILINE)
    assert "talekeeper.api.app" in imported
    packages = {".".join(name.split(".")[:depth]) for name in imported for depth in (1, 2, 3)}
    assert packages & set(NOT_FOR_A_START) == set()
