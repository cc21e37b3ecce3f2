"""`talekeeper serve`: from settings to a server that answers, and back to nothing within seconds.

The order matters. The port is taken first, without listening: a second server is told so before it
touches the data. Then the application opens the store and recovers what a dead process left. Only
then does the port begin to listen, so whoever is answered is answered by a server that is ready.

At the end the streams are told first (uvicorn would wait for them), then connections have two
seconds, then the keeper closes the store.
"""

import asyncio
import contextlib
import os
import signal
import ssl
import sys
import threading
import webbrowser
from collections.abc import Awaitable, Callable, Generator
from socket import socket
from types import FrameType
from typing import Any

import structlog
from uvicorn.config import Config
from uvicorn.server import Server

from talekeeper.cli.binding import bound_sockets, check_binding, not_bound
from talekeeper.cli.folder import prepare_data_dir
from talekeeper.cli.logs import configure_logs
from talekeeper.cli.memory import give_back_memory
from talekeeper.cli.running import (
    RunningServer,
    announce_server,
    local_url,
    public_address,
    withdraw_server,
)
from talekeeper.cli.starting import import_the_rest, importing
from talekeeper.cli.wire import BoundedProtocol
from talekeeper.errors import ConfigurationError
from talekeeper.settings import Settings

STOPPING_SECONDS = 2

log = structlog.stdlib.get_logger("talekeeper.serve")


def run_server(settings: Settings) -> None:
    """Serve until a signal says to stop. Raises TalekeeperError when it cannot be started."""
    check_binding(settings)
    prepare_data_dir(settings.data_dir)
    configure_logs(settings.log_level)
    sockets = bound_sockets(settings)
    try:
        settings = settings.model_copy(update={"port": sockets[0].getsockname()[1]})
        config = _uvicorn_config(settings)
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(_serve(settings, config, sockets))
    finally:
        for each in sockets:
            each.close()


def _uvicorn_config(settings: Settings) -> Config:
    with importing():  # it takes longer than refusing a bad start
        from talekeeper.api.app import create_app

        app = create_app(settings)
    config = Config(
        app,
        http=BoundedProtocol,
        ws="none",
        lifespan="off",  # entered in `_serve`, where what goes wrong is an error and not a log line
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=settings.behind_proxy,
        forwarded_allow_ips=list(settings.proxy_addresses),
        timeout_keep_alive=60,
        timeout_graceful_shutdown=STOPPING_SECONDS,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"The certificate {settings.tls_cert} and the key {settings.tls_key} cannot be used "
            f"({error.strerror or 'not PEM files that belong together'}). Check both paths."
        ) from error
    return config


async def _serve(settings: Settings, config: Config, sockets: list[socket]) -> None:
    from talekeeper.accounts.entering import (
        forget_ended,
        issue_token,
        keep_forgetting_ended,
        login_path,
    )

    app: Any = config.app
    async with app.router.lifespan_context(app):
        keeper = app.state.keeper
        await forget_ended(keeper.store)
        owner_id = keeper.identities.owner.id
        control = await issue_token(keeper.store, owner_id, "control", run=keeper.boot_id)
        login = await issue_token(keeper.store, owner_id, "login", run=keeper.boot_id)
        running = RunningServer(
            url=local_url(settings),
            address=public_address(settings),
            pid=os.getpid(),
            boot_id=str(keeper.boot_id),
            token=control,
        )

        async def tell() -> None:
            try:
                announce_server(settings.data_dir, running)
            except OSError as error:
                log.warning("serve.not_announced", error=error.strerror)
            link = running.address + login_path(login)
            print(_greeting(settings, running.address, link), flush=True)
            import_the_rest()
            if opens_browser(settings):
                threading.Thread(target=webbrowser.open, args=(link,), daemon=True).start()

        beside = [asyncio.create_task(give_back_memory(lambda: keeper.hub.followers))]
        if keeper.store.engine != "sqlite":  # there a process is alone with its database
            beside.append(asyncio.create_task(keep_forgetting_ended(keeper.store)))
        try:
            await _Server(config, on_ready=tell, begin_closing=keeper.begin_closing).serve(sockets)
        except OSError as error:
            raise not_bound(settings, error) from error
        finally:
            for task in beside:
                task.cancel()
            withdraw_server(settings.data_dir, running)


class _Server(Server):
    """uvicorn's server, which says when it listens and ends the streams before it waits for them.

    A signal ends the process by itself only after everything was closed, and with exit code 0.
    """

    def __init__(
        self,
        config: Config,
        *,
        on_ready: Callable[[], Awaitable[None]],
        begin_closing: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._begin_closing = begin_closing
        self._loop = asyncio.get_running_loop()

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        await self._on_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._loop.call_soon_threadsafe(self._begin_closing)
        super().handle_exit(sig, frame)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        signals = (signal.SIGINT, signal.SIGTERM)
        before = {each: signal.signal(each, self.handle_exit) for each in signals}
        try:
            yield
        finally:
            # Ignored, not given back: a second Ctrl-C must not tear the closing of the store.
            for each in before:
                signal.signal(each, signal.SIG_IGN)


def opens_browser(settings: Settings) -> bool:
    """A browser is to be opened: it was asked for, or somebody sits before a screen."""
    if settings.open_browser is not None:
        return settings.open_browser
    if not sys.stdout.isatty():
        return False
    has_display = bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return has_display or sys.platform in ("darwin", "win32")


def _greeting(settings: Settings, address: str, link: str) -> str:
    lines = [
        "",
        f"Talekeeper is ready at {address}",
        "Open this link to log in (it works once; for another: talekeeper login-link):",
        "",
        f"    {link}",
        "",
        *_about_names(settings),
        f"Your tales are kept in {_kept_in(settings)}",
        "Stop with Ctrl-C. Nothing is lost by it, not even an answer that is being written.",
        "",
    ]
    return "\n".join(lines)


def _about_names(settings: Settings) -> list[str]:
    if settings.is_loopback or settings.public_url or settings.allowed_hosts:
        return []
    return [
        "To reach it from elsewhere, name it in TALEKEEPER_ALLOWED_HOSTS; other names are refused.",
    ]


def _kept_in(settings: Settings) -> str:
    if settings.database_url is not None:
        return "your PostgreSQL database."
    return str(settings.data_dir)
