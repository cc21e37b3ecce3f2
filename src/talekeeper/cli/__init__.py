"""The command line. What a command needs is imported when it runs, so that `--help` is quick."""

import importlib
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from talekeeper import __version__
from talekeeper.cli import exits
from talekeeper.errors import TalekeeperError

_LATE = ("doctor", "model", "search", "torture")


class _Commands(TyperGroup):
    """The commands, of which the late ones are imported only when they are asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), *_LATE]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in _LATE:
            module = importlib.import_module(f"talekeeper.cli.{cmd_name}")
            return typer.main.get_command(module.app)
        return super().get_command(ctx, cmd_name)


app = typer.Typer(
    name="talekeeper",
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The game master's AI chat that never loses a word.",
)
accounts = typer.Typer(no_args_is_help=True, help="Who may use this installation.")
app.add_typer(accounts, name="account")

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="The data folder. [default: the platform's own]"),
]
DatabaseUrl = Annotated[
    str | None,
    typer.Option("--database-url", help="postgresql://… [default: SQLite in the data folder]"),
]


def _version(asked: bool) -> None:
    if asked:
        print(f"talekeeper {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    del version


@app.command()
def serve(  # noqa: PLR0917
    host: Annotated[
        str | None, typer.Option(help="The address to listen on. [default: 127.0.0.1]")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="The port to listen on; 0 for any. [default: 8000]")
    ] = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    behind_proxy: Annotated[
        bool | None,
        typer.Option("--behind-proxy", help="A reverse proxy in front speaks TLS."),
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate chain, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key, PEM.")] = None,
    open_browser: Annotated[
        bool | None,
        typer.Option("--open/--no-open", help="Open a browser. [default: where there is one]"),
    ] = None,
) -> None:
    """Start the server and print a link that logs you in. Every setting has a variable, too."""
    from talekeeper.cli.starting import importing

    with importing():
        from talekeeper.cli.serve import run_server
        from talekeeper.settings import load_settings

    run_server(
        load_settings(
            host=host,
            port=port,
            data_dir=data_dir,
            database_url=database_url,
            behind_proxy=behind_proxy,
            tls_cert=tls_cert,
            tls_key=tls_key,
            open_browser=open_browser,
        )
    )


@accounts.command("add")
def add_account(
    name: Annotated[str, typer.Argument(help="The name that is shown.")],
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Add an account and print its token, which is shown this once."""
    from talekeeper.cli import account
    from talekeeper.settings import load_settings

    account.add(load_settings(data_dir=data_dir, database_url=database_url), name)


@accounts.command("list")
def list_accounts(data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """List the accounts, eldest first."""
    from talekeeper.cli import account
    from talekeeper.settings import load_settings

    account.list_all(load_settings(data_dir=data_dir, database_url=database_url))


@accounts.command("logins")
def list_logins(
    name: Annotated[str | None, typer.Argument(help="Whose. [default: the owner's]")] = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """List the browsers, tokens and login links that let somebody in as an account."""
    from talekeeper.cli import account
    from talekeeper.settings import load_settings

    account.list_tokens(load_settings(data_dir=data_dir, database_url=database_url), name)


@accounts.command("revoke")
def revoke_login(
    token_id: Annotated[
        str, typer.Argument(metavar="ID", help="Which, as `account logins` names it.")
    ],
    name: Annotated[str | None, typer.Argument(help="Whose. [default: the owner's]")] = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """End one of an account's logins for good. What was opened with it ends within two seconds."""
    from talekeeper.cli import account
    from talekeeper.settings import load_settings

    account.revoke(load_settings(data_dir=data_dir, database_url=database_url), token_id, name)


@app.command("login-link")
def login_link(
    name: Annotated[str | None, typer.Argument(help="Whose link. [default: the owner's]")] = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Print a link that logs one browser in. It works once, for 15 minutes."""
    from talekeeper.cli import account
    from talekeeper.settings import load_settings

    account.login_link(load_settings(data_dir=data_dir, database_url=database_url), name)


def main() -> None:
    """The command `talekeeper`: what it knows to be wrong it says in one sentence."""
    try:
        app()
    except TalekeeperError as error:
        exits.leave(error)
    except KeyboardInterrupt:
        sys.exit(exits.INTERRUPTED)
