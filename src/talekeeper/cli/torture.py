"""`talekeeper torture`: servers of its own killed, starved and corrupted, and what was lost counted."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from talekeeper.torture.rigs import Rig
    from talekeeper.torture.running import Report, Verdict

app = typer.Typer(name="torture")


def _in_a_folder(report: Path | None) -> Path | None:
    """Known before hours of torture, and not after them."""
    if report is not None and not (report.parent.is_dir() and os.access(report.parent, os.W_OK)):
        raise typer.BadParameter(f"Nothing can be written to the folder '{report.parent}'.")
    return report


@app.command("torture")
def run_torture(  # noqa: PLR0917
    long: Annotated[bool, typer.Option("--long", help="Hours instead of a minute.")] = False,
    only: Annotated[list[str] | None, typer.Option(help="A rig's name; may be repeated.")] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="Rounds of each rig.")] = None,
    seed: Annotated[int | None, typer.Option(help="For the same chances again.")] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Write what was counted as JSON.", dir_okay=False, callback=_in_a_folder),
    ] = None,
    work_dir: Annotated[
        Path | None,
        typer.Option(
            help="Where to work. [default: /tmp]", exists=True, file_okay=False, writable=True
        ),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Rigs at a time. [default: 3; long: 1]")
    ] = None,
    rigs: Annotated[bool, typer.Option("--list", help="Say which rigs there are.")] = False,
) -> None:
    """Kill, starve, freeze and corrupt servers of its own, and count what was lost: nothing.

    It works in a temporary folder and touches nobody's data. Each rig has a control, which is wrong
    on purpose and must be caught. Ends with 1 when anything was lost or a control was not.
    """
    from talekeeper.torture.running import chosen

    asked = chosen(only or [])
    if rigs:
        for rig in asked:
            print(f"{rig.name:<15} {', '.join(rig.proves):<24} {rig.does}")
        return
    for name in [name for name in os.environ if name.startswith("TALEKEEPER_")]:
        del os.environ[name]  # a user's own settings stay out
    counted = asyncio.run(
        _until_told(
            asked,
            is_long=long,
            rounds=rounds,
            seed=seed,
            work_dir=work_dir,
            jobs=jobs or (1 if long else 3),
        )
    )
    Console(width=None if sys.stdout.isatty() else 118).print(_table(counted))
    for verdict in counted.verdicts:
        _explain(verdict)
    print("The servers limited no account and no address: their limits were switched off.")
    print(f"{counted.seconds:g} s, seed {counted.seed}: {_in_words(counted)}")
    if report is not None:
        report.write_text(json.dumps(counted.as_json(), indent=1) + "\n", encoding="utf-8")
    if not counted.is_good:
        raise typer.Exit(1)


async def _until_told(rigs: list["Rig"], **how: Any) -> "Report":
    """The report; a signal that ends the command lets everything be cleaned up first."""
    from talekeeper.torture.running import torture

    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(each, task.cancel)
    try:
        return await torture(rigs, told=_tell, **how)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def _tell(verdict: "Verdict") -> None:
    state = "skipped" if verdict.skipped else "good" if verdict.is_good else "NOT GOOD"
    print(f"{verdict.rig}: {state}, {verdict.seconds:g} s", file=sys.stderr, flush=True)


def _table(report: "Report") -> Table:
    table = Table(box=None, pad_edge=False)
    counts = ("rounds", "acknowledged", "lost", "doubled", "forgotten", "wrong")
    for name in ("rig", *counts, "control", "time"):
        table.add_column(name, justify="left" if name in ("rig", "control") else "right")
    for each in report.verdicts:
        if each.skipped is not None:
            table.add_row(each.rig, *("-" for _ in counts), "skipped", "-")
            continue
        control = each.control
        assert control is not None
        caught = f"lost {control.lost}, doubled {control.doubled}, wrong {control.wrong}"
        table.add_row(
            each.rig,
            *(str(getattr(each, name)) for name in counts),
            caught if control.is_caught else "NOT CAUGHT",
            f"{each.seconds:.1f} s",
        )
    return table


def _explain(verdict: "Verdict") -> None:
    if verdict.skipped is not None:
        print(f"{verdict.rig} was skipped: {verdict.skipped}.")
    for what in verdict.found:
        print(f"{verdict.rig}: {what}")
    if verdict.control is not None and not verdict.control.is_caught:
        print(f"{verdict.rig}: its control was not caught, so it does not count.")


def _in_words(report: "Report") -> str:
    ran = [each for each in report.verdicts if each.skipped is None]
    good = sum(each.is_good for each in ran)
    skipped = len(report.verdicts) - len(ran)
    return f"{good} of {len(ran)} rigs good, {skipped} skipped"
