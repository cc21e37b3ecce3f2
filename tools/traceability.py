"""Write docs/traceability.md: every requirement, and the tests that bear its mark.

With --check nothing is written: the exit code says whether the page is what it would be.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "traceability.md"
sys.path.insert(0, str(ROOT / "tests"))

from requirement_marks import known_identifiers  # noqa: E402

HEAD = """# Requirements and the tests that prove them

Made by `make trace` from the marks `@pytest.mark.req(...)`. {proved} of {all} have a test.

| | requirement | tests |
| --- | --- | --- |
"""


def rendered() -> str:
    """The page as it should be."""
    known = known_identifiers()
    borne = _marks()
    rows = [
        f"| {identifier} | {hint} | {'<br>'.join(_short(borne.get(identifier, []))) or '**none**'} |"
        for identifier, hint in known.items()
    ]
    return HEAD.format(proved=len(borne), all=len(known)) + "\n".join(rows) + "\n"


def _marks() -> dict[str, list[str]]:
    """Who bears which mark, as the tests' own collection sees it."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "marks.json")
        asked = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        done = subprocess.run(
            [*asked, "-p", "no:xdist", "--marks-to", str(target)],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if not target.exists():
            sys.exit(f"The tests cannot be collected:\n{done.stdout}{done.stderr}")
        found: dict[str, list[str]] = json.loads(target.read_text(encoding="utf-8"))
        return found


def _short(tests: list[str]) -> list[str]:
    return [f"`{test.removeprefix('tests/')}`" for test in tests]


def main() -> int:
    page = rendered()
    if "--check" not in sys.argv:
        PAGE.write_text(page, encoding="utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == page:
        return 0
    print("docs/traceability.md is not what the tests' marks say. `make trace` writes it anew.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
