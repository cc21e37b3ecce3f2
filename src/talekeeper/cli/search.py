"""`talekeeper search rebuild`: the search index made anew, by the running server or without one.

Only what opens the store itself imports it: asking a server is quick.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from talekeeper.cli.folder import prepare_data_dir
from talekeeper.cli.running import RunningServer, find_server
from talekeeper.settings import Settings, load_settings

app = typer.Typer(
    name="search", help="The index that searches are answered from.", no_args_is_help=True
)

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="The data folder. [default: the platform's own]"),
]
DatabaseUrl = Annotated[
    str | None,
    typer.Option("--database-url", help="postgresql://… [default: SQLite in the data folder]"),
]

_LOOK: Final = 0.2
Told = Callable[[int, int], None]


@app.callback()
def _search() -> None:
    """The index that searches are answered from."""


@app.command()
def rebuild(data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Make the search index anew from the messages. Conversations are only read."""
    settings = load_settings(data_dir=data_dir, database_url=database_url)
    server = find_server(settings.data_dir)
    with _shown() as told:
        if server is None or not _through(server, told):
            asyncio.run(_directly(settings, told))
    print("The search index is made anew: everything that was said can be found.")


def _through(server: RunningServer, told: Told) -> bool:
    """The server has made it. False: it died and left its file; the folder's lock says if so."""
    try:
        state = server.post("/api/search/index", {})
    except ConnectionError:
        return False
    while not state["is_current"]:
        told(state["read"], state["events"])
        time.sleep(_LOOK)
        state = server.get("/api/search/index")
    return True


async def _directly(settings: Settings, told: Told) -> None:
    from talekeeper.conversations.indexing import rebuild_index
    from talekeeper.keeper import opened_store

    prepare_data_dir(settings.data_dir)
    async with opened_store(settings) as store:
        await rebuild_index(store, told=told)


@contextmanager
def _shown() -> Iterator[Told]:
    """A bar where somebody watches, a line now and then where the output goes into a file."""
    if not sys.stderr.isatty():
        last = time.monotonic()

        def say(read: int, every: int) -> None:
            nonlocal last
            if time.monotonic() - last >= 5:
                last = time.monotonic()
                print(f"{read} of {every} events read", flush=True)

        yield say
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Reading", total=None)
        yield lambda read, every: bar.update(task, completed=read, total=every)
