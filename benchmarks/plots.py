"""Pictures in SVG, written by hand: bars against the gate, and curves over the length of a tale."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

WIDTH = 720
_INKS = ("#b5713f", "#3f8f97", "#c4515c", "#7d8a3a", "#8a6cc0", "#c98a14")
_STYLE = (
    "<style>text{font:13px system-ui,sans-serif;fill:#333}.small{font-size:11px}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}}</style>"
)


def bars(figures: Sequence[Mapping[str, Any]]) -> str:
    """How much of its gate each figure takes; the line is the gate, and less is better."""
    rows: list[tuple[str, float, float | None]] = []
    for figure in figures:
        for bound in figure["bounds"]:
            if not bound["gate"]:
                continue
            more = bound["better"] == "more"
            value, gate, goal = bound["value"] or 1e-9, bound["gate"], bound["goal"]
            share = gate / value if more else value / gate
            aim = None if not goal else (gate / goal if more else goal / gate)
            rows.append((f"{figure['id']} {bound['name']}", share, aim))
    left, right, line = 270, WIDTH - 60, 24
    scale = (right - left) / 1.2
    height = 40 + line * len(rows)
    parts = [_open(height), _STYLE]
    for place, (name, share, aim) in enumerate(rows):
        y = 30 + place * line
        width = max(2.0, min(share, 1.2) * scale)
        ink = "#2f7d4f" if share <= 1 else "#b3261e"
        parts.append(f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{escape(name)}</text>')
        parts.append(f'<rect x="{left}" y="{y}" width="{width:.1f}" height="16" fill="{ink}"/>')
        if aim is not None:
            at = left + min(aim, 1.2) * scale
            parts.append(_line(at, y - 2, at, y + 18, "#888"))
        parts.append(f'<text x="{right + 10}" y="{y + 13}">{share:.2f}</text>')
    gate = left + scale
    parts.append(_line(gate, 22, gate, height - 6, "#b3261e"))
    parts.append(f'<text x="{gate:.0f}" y="16" text-anchor="middle" class="small">gate</text>')
    parts.append(
        f'<text x="{left}" y="16" class="small">share of the gate; the short line is the goal</text>'
    )
    return "\n".join([*parts, "</svg>\n"])


def curves(lines: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Milliseconds over messages, both on logarithmic axes."""
    points = [point for line in lines.values() for point in line]
    low_x, high_x = _decades(x for x, _ in points)
    low_y, high_y = _decades(y for _, y in points)
    left, right, top, bottom = 70, WIDTH - 190, 20, 300

    def at(x: float, y: float) -> tuple[float, float]:
        across = (math.log10(x) - low_x) / (high_x - low_x)
        up = (math.log10(y) - low_y) / (high_y - low_y)
        return left + across * (right - left), bottom - up * (bottom - top)

    parts = [_open(350), _STYLE]
    for power in range(low_x, high_x + 1):
        x, _ = at(10.0**power, 10.0**low_y)
        parts.append(_line(x, top, x, bottom, "#bbb"))
        parts.append(
            f'<text x="{x:.0f}" y="{bottom + 16}" text-anchor="middle" class="small">'
            f"{10**power:,}</text>"
        )
    for power in range(low_y, high_y + 1):
        _, y = at(10.0**low_x, 10.0**power)
        parts.append(_line(left, y, right, y, "#bbb"))
        parts.append(
            f'<text x="{left - 6}" y="{y + 4:.0f}" text-anchor="end" class="small">'
            f"{10.0**power:g} ms</text>"
        )
    for place, (name, line) in enumerate(lines.items()):
        ink = _INKS[place % len(_INKS)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in sorted(line)))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{ink}" stroke-width="2.5"/>')
        x, y = at(*max(line))
        parts.append(f'<text x="{x + 8:.0f}" y="{y + 4:.0f}">{escape(name)}</text>')
    parts.append(f'<text x="{(left + right) / 2:.0f}" y="340" text-anchor="middle">messages</text>')
    return "\n".join([*parts, "</svg>\n"])


def _decades(values: Iterable[float]) -> tuple[int, int]:
    known = [math.log10(value) for value in values if value > 0]
    low = math.floor(min(known))
    return low, max(math.ceil(max(known)), low + 1)


def _open(height: int) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}">'
    )


def _line(x: float, y: float, x2: float, y2: float, ink: str) -> str:
    return (
        f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{ink}" '
        'stroke-width="1.5"/>'
    )
