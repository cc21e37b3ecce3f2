"""Rules of the house that no linter knows, each with what happened where it was not kept."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "talekeeper"

MAY_OPEN_FILES = {
    "accounts/secrets.py": "the master key, which lies outside the data folder",
    "api/page.py": "the built page, read once at the start",
    "providers/gguf/adding.py": "a model's file, to copy it and to read its header",
    "providers/gguf/bearing.py": "the kernel's word on memory",
    "providers/gguf/header.py": "a model's file, to read its header",
    "providers/gguf/keeping.py": "what is noted of the models",
    "providers/gguf/offers.py": "the list of models",
    "providers/gguf/partial.py": "a model's file while it is fetched, and what is noted of it",
    "providers/llama.py": "a model's file, read through before it is loaded",
    "providers/weights.py": "the built-in model's weights",
    "syncing.py": "folders of ours, to sync the names in them",
    "database/file_systems.py": "the kernel's list of mounts",
    "database/folder_lock.py": "the lock file of the data folder, which is not the database",
    "database/installing.py": "the installation's marker",
    "database/sqlite.py": "the database, before anything is connected to it",
}
"""Everything in these may, too: a command is not the serving process."""
NOT_SERVING = [SOURCES / "cli", SOURCES / "torture"]


def modules(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def test_statements_are_constants_made_of_constants() -> None:
    """A value reaches the database as a parameter, never as a part of the SQL."""
    wrong: list[str] = []
    for path in modules("src/talekeeper/store", "src/talekeeper/database"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        inside = {
            id(call)
            for function in ast.walk(tree)
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
            for call in ast.walk(function)
        }
        for call in ast.walk(tree):
            if not (isinstance(call, ast.Call) and ast.unparse(call.func) == "statement"):
                continue
            given = [*call.args, *(keyword.value for keyword in call.keywords)]
            parts = [part for text in given for part in ast.walk(text)]
            filled = [part.value for part in parts if isinstance(part, ast.FormattedValue)]
            is_constant = all(
                isinstance(each, ast.Name) and each.id == each.id.upper() for each in filled
            ) and all(isinstance(text, ast.Constant | ast.JoinedStr) for text in given)
            if id(call) in inside or not is_constant:
                wrong.append(f"{path.relative_to(ROOT).as_posix()}:{call.lineno}")
    assert wrong == []


def test_every_module_opens_with_a_sentence() -> None:
    silent = [
        path.relative_to(ROOT).as_posix()
        for path in modules("src", "tools", "tests")
        if not _first_sentence(path).endswith((".", ":", "!", "?"))
    ]
    assert silent == []


def _first_sentence(path: Path) -> str:
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return said.partition("\n\n")[0].strip()


@pytest.mark.req("R16")
def test_the_serving_process_opens_no_file_that_sqlite_holds() -> None:
    """Closing a file drops every lock that the process holds on it.

    POSIX locks belong to the process, not to the handle: copying the database or its -shm file
    inside the server let another process take the write lock that SQLite believed to hold. So
    modules that open files at all are named above, with what they open.
    """
    opening = {
        path.relative_to(SOURCES).as_posix()
        for path in modules("src")
        if not any(map(path.is_relative_to, NOT_SERVING)) and any(_openings(path))
    }
    assert opening - MAY_OPEN_FILES.keys() == set(), "opens files, and is not listed"
    assert {name for name in MAY_OPEN_FILES if not (SOURCES / name).exists()} == set()


@pytest.mark.parametrize(
    ("line", "opens"),
    [
        ("open('talekeeper.db')", True),
        ("path.open('rb')", True),
        ("path.read_bytes()", True),
        ("shutil.copy(a, b)", True),
        ("os.open(path, os.O_RDONLY)", True),
        ("settings.copy()", False),
        ("await Store.open(path)", False),
        ("webbrowser.open(url)", False),
    ],
)
def test_the_rule_sees_how_files_are_opened(tmp_path: Path, line: str, opens: bool) -> None:
    (tmp_path / "module.py").write_text(f"async def f():\n    {line}\n", encoding="utf-8")
    assert any(_openings(tmp_path / "module.py")) is opens


def _openings(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(func=ast.Name(id="open")):
                yield node
            case ast.Call(
                func=ast.Attribute(attr="read_bytes" | "read_text" | "write_bytes" | "write_text")
            ):
                yield node
            case ast.Call(func=ast.Attribute(value=ast.Name(id="shutil"), attr=name)) if (
                name.startswith(("copy", "move"))
            ):
                yield node
            case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr="open")) if (
                owner != "webbrowser" and not owner[0].isupper()
            ):
                yield node
            case _:
                pass


def test_requirements_are_traced_as_the_marks_say() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "traceability.py", "--check"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_unknown_requirement_is_refused(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("pytest_plugins = ['requirement_marks']\n")
    (tmp_path / "test_it.py").write_text(
        "import pytest\n@pytest.mark.req('FR-999')\ndef test_it(): pass\n"
    )
    asked = [sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", "--rootdir", tmp_path]
    done = subprocess.run(
        [*asked, "-o", f"pythonpath={ROOT / 'tests'}", tmp_path],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "FR-999" in done.stdout + done.stderr


def test_the_wire_contract_is_what_the_routes_say() -> None:
    import openapi

    written = json.loads((ROOT / "openapi.json").read_text(encoding="utf-8"))
    assert written == openapi.described(), "`make types` writes openapi.json anew"


def test_no_file_names_where_packages_are_fetched_from() -> None:
    """A lock that carries a registry's address works only where that registry is reached."""
    locks = [*(ROOT / "requirements").glob("*.txt"), ROOT / "web" / "package-lock.json"]
    for lock in locks:
        text = lock.read_text(encoding="utf-8")
        assert "--index-url" not in text, lock
        assert "--find-links" not in text, lock
        assert '"resolved"' not in text, lock
    assert not (ROOT / "uv.lock").exists()


@pytest.mark.req("S12")
def test_every_locked_package_has_its_hash() -> None:
    for lock in (ROOT / "requirements").glob("*.txt"):
        entries = lock.read_text(encoding="utf-8").replace("\\\n", "").splitlines()
        for entry in entries:
            if entry and not entry.startswith("#"):
                assert "==" in entry, f"{lock.name}: {entry[:60]}"
                assert "--hash=sha256:" in entry, f"{lock.name}: {entry[:60]}"
