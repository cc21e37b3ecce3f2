"""What was measured, beside what must hold (the gate), where we are going (the goal), and the limit."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Better = Literal["less", "more"]


@dataclass(frozen=True, slots=True)
class Bound:
    """One condition: `value` against gate and goal, all in `unit`. None: nothing is demanded."""

    name: str
    value: float
    unit: str
    gate: float | None = None
    goal: float | None = None
    limit: float | None = None
    better: Better = "less"

    @property
    def holds(self) -> bool:
        return _reached(self.value, self.gate, self.better)

    @property
    def reaches_goal(self) -> bool:
        return self.goal is not None and _reached(self.value, self.goal, self.better)


@dataclass(slots=True)
class Figure:
    """One line of the table."""

    id: str
    what: str
    bounds: list[Bound] = field(default_factory=list[Bound])
    facts: dict[str, float] = field(default_factory=dict[str, float])
    """What else was seen, in plain units that the names say."""
    curves: dict[str, list[tuple[float, float]]] = field(
        default_factory=dict[str, list[tuple[float, float]]]
    )
    """Lines for the plot: points of (x, milliseconds)."""
    note: str = ""

    @property
    def holds(self) -> bool:
        return all(bound.holds for bound in self.bounds)

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "what": self.what,
            "holds": self.holds,
            "bounds": [
                {
                    "name": each.name,
                    "value": each.value,
                    "unit": each.unit,
                    "gate": each.gate,
                    "goal": each.goal,
                    "limit": each.limit,
                    "better": each.better,
                    "holds": each.holds,
                    "reaches_goal": each.reaches_goal,
                }
                for each in self.bounds
            ],
            "facts": self.facts,
            "curves": self.curves,
            "note": self.note,
        }


def _reached(value: float, bound: float | None, better: Better) -> bool:
    if bound is None:
        return True
    return value <= bound if better == "less" else value >= bound


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share of all lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
