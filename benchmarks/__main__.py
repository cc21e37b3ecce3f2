"""python -m benchmarks [--only G1,G3] [--quick]: measure, write the report, and fail below a gate."""

import argparse
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import uvloop

from benchmarks import (
    appending,
    crowds,
    following,
    pages,
    reading,
    report,
    searching,
    sending,
    starting,
    streaming,
)
from benchmarks.bench import Bench, Measure
from benchmarks.figures import Figure

MEASURES: Final[tuple[tuple[str, Measure], ...]] = (
    ("G1,G2", appending.one_sender),
    ("G3", sending.over_http),
    ("G4", appending.many_senders),
    ("G5", appending.long_tales),
    ("G7", reading.newest),
    ("G8,G14", reading.walking),
    ("G9", streaming.first_token),
    ("G10", streaming.relaying),
    ("G11", streaming.one_core),
    ("G12", following.memory),
    ("G13", streaming.killed),
    ("G15", starting.starts),
    ("R8", starting.restarts),
    ("R23", crowds.ten_writers),
    ("U21", searching.as_one_types),
    ("G18", pages.in_browser),
    ("U21-MILLION", searching.in_a_million),
)
ON_DEMAND: Final = {"U21-MILLION"}
"""What takes minutes by itself: measured when it is named."""
FOLDER: Final = Path(__file__).parent / "report"
DOCS: Final = Path(__file__).parents[1] / "docs" / "reference"


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--only", help="these lines of the table, separated by commas")
    parser.add_argument("--quick", action="store_true", help="small: for trying, not for judging")
    parser.add_argument("--docs", action="store_true", help="write docs/reference/figures.md, too")
    parser.add_argument("--folder", type=Path, help="where to work; its disk is what is measured")
    given = parser.parse_args(words)
    wanted = {each.strip().upper() for each in given.only.split(",")} if given.only else None
    known = [name for names, _ in MEASURES for name in names.split(",")]
    if wanted is not None and (unknown := wanted.difference(known)):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # leave no server behind
    began = time.monotonic()
    figures: list[Figure] = []
    broken: list[str] = []
    with tempfile.TemporaryDirectory(prefix="talekeeper-bench-", dir=given.folder) as folder:
        bench = Bench(Path(folder), given.quick)
        for names, measure in MEASURES:
            if names in ON_DEMAND if wanted is None else not wanted & set(names.split(",")):
                continue
            print(f"==> {names}", file=sys.stderr, flush=True)
            since = time.monotonic()
            try:
                found = uvloop.run(_measured(bench, measure))  # the loop that a server runs on
            except Exception as error:  # noqa: BLE001 - the others are still worth having
                broken.append(f"{names}: {type(error).__name__}: {error}")
                print(f"    broke: {broken[-1]}", file=sys.stderr, flush=True)
                continue
            for figure in found:
                figures.append(figure)
                print(report.in_a_line(figure), flush=True)
            print(f"    {time.monotonic() - since:.0f} s", file=sys.stderr, flush=True)
    run: dict[str, Any] = {
        "command": "make bench",
        "at": time.strftime("%Y-%m-%d"),
        "seconds": round(time.monotonic() - began),
        "quick": given.quick,
        "machine": machine(),
        "broken": broken,
        "figures": [each.as_json() for each in figures],
    }
    report.write(FOLDER, run)
    if given.docs:
        report.write_docs(DOCS, run)
    below = [each.id for each in figures if not each.holds]
    print(
        f"\n{len(figures)} figures in {run['seconds']} s; "
        + (f"below their gate: {', '.join(below)}" if below else "every gate holds")
        + (f"; not measured: {'; '.join(broken)}" if broken else "")
    )
    return 1 if below or broken else 0


async def _measured(bench: Bench, measure: Measure) -> list[Figure]:
    return await measure(bench)


def machine() -> str:
    """The machine, in words."""
    from importlib.metadata import version

    import psutil

    gigabytes = psutil.virtual_memory().total / (1 << 30)
    return (
        f"{os.cpu_count()} cores, {gigabytes:.0f} GB of memory, {platform.system()}"
        f" {platform.release().split('-')[0]}, Python {platform.python_version()},"
        f" uvicorn {version('uvicorn')}; load before the run {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    sys.exit(main())
