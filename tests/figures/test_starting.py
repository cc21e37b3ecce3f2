"""A start imports what serving needs, and the statements are written out beforehand (G15, R8)."""

import re
import sys
import time
from pathlib import Path

import pytest

import statements as tool
from servers import served
from talekeeper.cli import starting
from talekeeper.store.prepared import Engine
from talekeeper.store.sql import in_writing, real
from talekeeper.store.sql import messages as noted_messages
from talekeeper.store.statements import FOLDER
from talekeeper.store.tables import messages

NOT_FOR_A_START = (
    "sqlalchemy",
    "alembic",
    "psycopg",
    "aiohttp",
    "xllamacpp",
    "cryptography",
    "prometheus_client",
    "rich.console",
    "click",
    "pydantic.v1.main",
    "pydantic_settings",
)


@pytest.mark.parametrize("engine", tool.ENGINES)
def test_the_statements_that_are_checked_in_are_those_that_would_be_made_now(engine: Engine):
    found = (FOLDER / f"{engine}.json").read_text(encoding="utf-8")
    assert found == tool.written(engine), "run `make statements`"


def test_every_statement_is_found_by_what_it_says():
    for name, statement in tool.statements().items():
        for engine in tool.ENGINES:
            before = statement.sqlite if engine == "sqlite" else statement.postgresql
            assert before == statement.written(engine), name


def test_two_aliases_of_one_name_are_not_taken_for_one():
    alias = noted_messages.alias("other")
    once = noted_messages.join(alias, alias.c.key == noted_messages.c.parent_key)
    twice = noted_messages.join(
        noted_messages.alias("other"),
        noted_messages.alias("other").c.key == noted_messages.c.parent_key,
    )
    assert in_writing(once) != in_writing(twice)


def test_what_is_noted_becomes_what_sqlalchemy_would_have_made():
    noted = noted_messages.c.key + 1 > noted_messages.c.parent_key
    assert str(real(noted)) == str(messages.c.key + 1 > messages.c.parent_key)


@pytest.mark.req("R8", "G15")
def test_a_start_imports_nothing_that_serving_does_not_need(tmp_path: Path):
    with served(tmp_path) as server:
        server.stop()
    with served(tmp_path, env={"PYTHONPROFILEIMPORTTIME": "1"}) as server:
        imported = re.findall(r"^import time:.*\| +(\S+)$", server.log, re.MULTILINE)
    assert "talekeeper.api.app" in imported
    packages = {".".join(name.split(".")[:depth]) for name in imported for depth in (1, 2, 3)}
    assert packages & set(NOT_FOR_A_START) == set()


@pytest.mark.req("R23")
def test_what_is_imported_after_a_start_leaves_the_others_their_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        (tmp_path / f"late_{number}.py").write_text("x = sum(range(1_000))\n", encoding="utf-8")
    every = "".join(f"import late_{number}\n" for number in range(40))
    (tmp_path / "late.py").write_text(every, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(starting, "_SOON", ("late",))
    monkeypatch.setattr(starting, "SOON_SECONDS", 0.0)
    finders = list(sys.meta_path)
    breaths: list[float] = []
    monkeypatch.setattr(starting.time, "sleep", breaths.append)
    starting.import_the_rest()
    until = time.monotonic() + 10
    while "late" not in sys.modules or sys.meta_path != finders:
        assert time.monotonic() < until
    assert sys.modules["late_39"].x > 0
    assert len(breaths) == 41
