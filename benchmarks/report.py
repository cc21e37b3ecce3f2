"""The report: JSON and pictures into benchmarks/report/, the table into docs/reference/figures.md."""

import json
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure
from benchmarks.plots import bars, curves


def in_a_line(figure: Figure) -> str:
    """One figure for the terminal."""
    said = "; ".join(
        f"{each.name} {number(each.value)} {each.unit}".rstrip()
        + (f" (gate {number(each.gate)})" if each.gate is not None else "")
        for each in figure.bounds
    )
    return f"{'ok ' if figure.holds else 'BELOW'} {figure.id:4} {figure.what}: {said}"


def number(value: float | None) -> str:
    """Three digits that mean something."""
    if value is None:
        return ""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def write(folder: Path, run: dict[str, Any]) -> None:
    """`folder` holds the run: run.json, table.md and the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
    (folder / "table.md").write_text(table(run), encoding="utf-8")
    _pictures(folder, run)


def write_docs(folder: Path, run: dict[str, Any], *, section: str = "measured") -> None:
    """`figures.md` shows the run, between the section's marks; the prose around them stays."""
    path = folder / "figures.md"
    text = path.read_text(encoding="utf-8")
    begin, end = f"<!-- {section} -->", f"<!-- /{section} -->"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    path.write_text(f"{before}{begin}\n{table(run)}{end}{after}", encoding="utf-8")
    _pictures(folder / "figures" / section, run)


def _pictures(folder: Path, run: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gates.svg").write_text(bars(run["figures"]), encoding="utf-8")
    lines = {
        name: points
        for figure in run["figures"]
        for name, points in figure["curves"].items()
        if len(points) > 1
    }
    if lines:
        (folder / "length.svg").write_text(curves(lines), encoding="utf-8")


def table(run: dict[str, Any]) -> str:
    """The figures, a line each, and what else was seen."""
    size = " The quick form, which is for trying and not for judging." if run["quick"] else ""
    rows = [
        f"`{run['command']}` on {run['at']}, {run['seconds']} s. {run['machine']}.{size}",
        "",
        "| | what | ours | gate | goal | limit | |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for figure in run["figures"]:
        for place, bound in enumerate(figure["bounds"]):
            held = "" if bound["gate"] is None else ("goal" if bound["reaches_goal"] else "holds")
            rows.append(
                f"| {figure['id'] if place == 0 else ''} | "
                f"{figure['what'] + ': ' if place == 0 else ''}{bound['name']} | "
                f"**{number(bound['value'])}** {bound['unit']} | {number(bound['gate'])} | "
                f"{number(bound['goal'])} | {number(bound['limit'])} | "
                f"{held if bound['holds'] else '**below**'} |"
            )
    rows += ["", "| | seen besides |", "| --- | --- |"]
    for figure in run["figures"]:
        facts = ", ".join(f"{name}: {number(value)}" for name, value in figure["facts"].items())
        note = f" {figure['note']}" if figure["note"] else ""
        if facts or note:
            rows.append(f"| {figure['id']} | {facts}.{note} |")
    if run["broken"]:
        rows += ["", f"Not measured: {'; '.join(run['broken'])}."]
    return "\n".join(rows) + "\n"
