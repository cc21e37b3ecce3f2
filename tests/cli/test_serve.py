"""Starting, stopping, and asking a running server from the command line (S2, R14).

Each test starts the real command as a process of its own.
"""

import datetime
import http.client
import json
import os
import re
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from email.message import Message
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from talekeeper.__main__ import has_glibc

LINK = re.compile(r"(https?)://(\S+?):(\d+)(/login\?token=\S+)")


Command = Callable[..., "subprocess.CompletedProcess[str]"]
Serve = Callable[..., "Served"]


@dataclass
class Answer:
    status: int
    headers: Message
    body: bytes


class Served:
    """A running `talekeeper serve`, and what it printed."""

    def __init__(self, process: "subprocess.Popen[str]", greeting: str) -> None:
        self.process = process
        self.greeting = greeting
        found = LINK.search(greeting)
        assert found is not None, greeting
        self.scheme, self.host, port, self.link = found.groups()
        self.port = int(port)

    def connection(self) -> http.client.HTTPConnection:
        if self.scheme == "https":
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=10, context=context)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def get(self, path: str, **headers: str) -> Answer:
        connection = self.connection()
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        found = Answer(answer.status, answer.headers, answer.read())
        connection.close()
        return found

    def stop(self, how: signal.Signals = signal.SIGTERM) -> float:
        """Seconds that it took to be gone."""
        began = time.monotonic()
        self.process.send_signal(how)
        self.process.wait(15)
        return time.monotonic() - began


def variables(folder: Path) -> dict[str, str]:
    """The environment of a server that keeps everything in `folder`."""
    outside = {name: v for name, v in os.environ.items() if not name.startswith("TALEKEEPER_")}
    return {
        **outside,
        "TALEKEEPER_DATA_DIR": str(folder / "data"),
        "TALEKEEPER_KEY_FILE": str(folder / "config" / "master.key"),
        "TALEKEEPER_PORT": "0",
        "TALEKEEPER_PROVIDER": "scripted",
        "TALEKEEPER_TOKEN": "from-the-settings",
        "TALEKEEPER_OPEN_BROWSER": "false",
    }


def run(environment: dict[str, str], *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "talekeeper", *words],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


@contextmanager
def serving(environment: dict[str, str], log: Path, *flags: str) -> Generator[Served]:
    with log.open("a") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "talekeeper", "serve", *flags],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
        )
    try:
        assert process.stdout is not None
        greeting = ""
        for line in process.stdout:
            greeting += line
            if "Ctrl-C" in line:
                break
        else:
            raise AssertionError(log.read_text())
        yield Served(process, greeting)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return variables(tmp_path)


@pytest.fixture
def command(environment: dict[str, str]) -> Command:
    return partial(run, environment)


@pytest.fixture
def serve(environment: dict[str, str], tmp_path: Path) -> Iterator[Serve]:
    """Starts servers that are gone at the test's end."""
    with ExitStack() as stack:
        yield lambda *flags: stack.enter_context(
            serving(environment, tmp_path / "server.err", *flags)
        )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("standing")


@pytest.fixture(scope="module")
def standing(folder: Path) -> Iterator[Served]:
    """One server for all tests that leave it standing; starting one takes seconds."""
    with serving(variables(folder), folder / "server.err") as served:
        yield served


@pytest.fixture(scope="module")
def told(standing: Served, folder: Path) -> Command:
    """Runs a command on the data folder of the standing server."""
    return partial(run, variables(folder))


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    """A certificate of this machine's own, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    paths = tmp_path / "cert.pem", tmp_path / "key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return str(paths[0]), str(paths[1])


@pytest.mark.req("S2")
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "tales.lan"])
def test_without_encryption_it_does_not_listen_beyond_this_machine(command: Command, host: str):
    done = command("serve", "--host", host)
    assert done.returncode == 2
    assert "--tls-cert" in done.stderr
    assert "--behind-proxy" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.req("S2")
@pytest.mark.parametrize(
    "flags",
    [
        ["--tls-cert", "CERT"],
        ["--tls-key", "KEY"],
        ["--tls-cert", "/nowhere.pem", "--tls-key", "/nowhere.pem"],
        ["--tls-cert", "KEY", "--tls-key", "CERT"],
        ["--port", "70000"],
        ["--host", "no.such.host.invalid", "--behind-proxy"],
        ["--database-url", "mysql://x"],
        ["--data-dir", "/dev/null/data"],
    ],
)
def test_what_cannot_be_started_is_said_in_one_sentence(
    command: Command, certificate: tuple[str, str], flags: list[str]
):
    given = {"CERT": certificate[0], "KEY": certificate[1]}
    done = command("serve", *(given.get(flag, flag) for flag in flags))
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("talekeeper: ")
    assert "Traceback" not in done.stderr


@pytest.mark.req("S2")
@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])
def test_with_a_certificate_it_listens_anywhere_and_speaks_tls(
    serve: Serve, command: Command, certificate: tuple[str, str], host: str
):
    served = serve("--host", host, "--tls-cert", certificate[0], "--tls-key", certificate[1])
    assert served.scheme == "https"
    answer = served.get(served.link)
    assert answer.status == 303
    assert answer.headers["Set-Cookie"].startswith("__Host-tk=")
    assert "Secure" in answer.headers["Set-Cookie"]
    assert "max-age" in answer.headers["Strict-Transport-Security"]
    assert "Game Master" in command("account", "list").stdout


@pytest.mark.req("S2")
def test_behind_a_proxy_it_listens_anywhere_and_its_links_are_the_proxys(
    serve: Serve, environment: dict[str, str]
):
    environment["TALEKEEPER_PUBLIC_URL"] = "https://tales.example:443"
    served = serve("--host", "0.0.0.0", "--behind-proxy")
    assert served.greeting.count("https://tales.example:443/login?token=tk_") == 1


@pytest.mark.req("S2")
def test_the_first_start_prints_a_link_that_logs_in_once(standing: Served):
    served = standing
    assert served.scheme == "http"
    first = served.get(served.link)
    assert (first.status, first.headers["Location"]) == (303, "/")
    cookie = first.headers["Set-Cookie"].partition(";")[0]
    me = served.get("/api/me", Cookie=cookie)
    assert json.loads(me.body)["is_admin"] is True
    assert served.get(served.link).status == 401


@pytest.mark.req("S1")
def test_a_request_for_another_host_is_refused_on_the_wire(standing: Served):
    served = standing
    assert served.get("/api/me", Host="evil.example").status == 421
    assert served.get("/api/me", Authorization="Bearer from-the-settings").status == 200


@pytest.mark.req("S2")
def test_nobody_else_can_read_what_is_kept(standing: Served, folder: Path):
    data = folder / "data"
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    for path in data.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


@pytest.mark.req("S2", "S13")
def test_no_token_is_ever_logged(serve: Serve, environment: dict[str, str], tmp_path: Path):
    environment["TALEKEEPER_LOG_LEVEL"] = "debug"
    served = serve()
    served.get(served.link)
    served.get(served.link)
    served.get("/api/me?token=tk_CANARY", Authorization="Bearer tk_CANARY")
    served.stop()
    log = (tmp_path / "server.err").read_text()
    assert '"/login"' in log
    assert "tk_" not in log


@pytest.mark.req("G12")
@pytest.mark.skipif(not has_glibc(), reason="only glibc gives pages back")
@pytest.mark.parametrize(("told", "found"), [(None, "malloc"), ("pymalloc", "pymalloc")])
def test_it_allocates_by_glibc_unless_told_otherwise(
    serve: Serve, environment: dict[str, str], told: str | None, found: str
):
    environment.pop("PYTHONMALLOC", None)
    if told:
        environment["PYTHONMALLOC"] = told
    served = serve()
    began_with = Path(f"/proc/{served.process.pid}/environ").read_text().split("\0")
    assert f"PYTHONMALLOC={found}" in began_with


@pytest.mark.req("R14")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_soon_and_in_order(serve: Serve, tmp_path: Path, how: signal.Signals):
    served = serve()
    assert (tmp_path / "data" / "server.json").exists()
    assert served.stop(how) < 5
    assert served.process.returncode == 0
    assert not (tmp_path / "data" / "server.json").exists()


@pytest.mark.req("R14")
def test_open_streams_do_not_hold_it_back(serve: Serve):
    served = serve()
    streams: list[http.client.HTTPConnection] = []
    for _ in range(3):
        connection = served.connection()
        connection.request(
            "GET", "/api/events", headers={"Authorization": "Bearer from-the-settings"}
        )
        assert connection.getresponse().status == 200
        streams.append(connection)
    assert served.stop() < 5
    for connection in streams:
        connection.close()


def test_a_port_in_use_is_said(standing: Served, command: Command):
    served = standing
    done = command("serve", "--port", str(served.port))
    assert done.returncode == 2
    assert f"127.0.0.1:{served.port}" in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_second_server_on_one_data_folder_is_refused(told: Command):
    done = told("serve")
    assert done.returncode == 5
    assert "Traceback" not in done.stderr


@pytest.mark.req("S8")
def test_an_endless_head_is_cut_off(standing: Served):
    served = standing
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: ")
        sent = 0
        try:
            while sent < 5_000_000:
                connection.sendall(b"x" * 65536)
                sent += 65536
        except OSError:
            pass
        assert sent < 5_000_000


def test_an_account_is_added_through_the_running_server(standing: Served, told: Command):
    served = standing
    done = told("account", "add", "Ada")
    assert done.returncode == 0, done.stderr
    token = re.search(r"tk_\S+", done.stdout)
    assert token is not None
    me = served.get("/api/me", Authorization=f"Bearer {token.group()}")
    assert json.loads(me.body)["name"] == "Ada"
    assert told("account", "list").stdout == "Game Master (owner)\nAda\n"
    again = told("account", "add", "ADA")
    assert again.returncode == 2
    assert "Choose another name" in again.stderr


def test_an_account_is_added_without_a_server(serve: Serve, command: Command):
    done = command("account", "add", "Ada")
    assert done.returncode == 0, done.stderr
    token = re.search(r"tk_\S+", done.stdout)
    assert token is not None
    assert command("account", "list").stdout == "Game Master (owner)\nAda\n"
    served = serve()
    me = served.get("/api/me", Authorization=f"Bearer {token.group()}")
    assert me.status == 200


def test_a_server_that_was_killed_is_not_taken_to_be_running(
    serve: Serve, command: Command, tmp_path: Path
):
    serve().stop(signal.SIGKILL)
    assert (tmp_path / "data" / "server.json").exists()
    assert command("account", "list").stdout == "Game Master (owner)\n"


def test_a_login_link_is_made_while_it_serves(standing: Served, told: Command):
    served = standing
    done = told("login-link")
    found = LINK.search(done.stdout)
    assert found is not None, done.stderr
    assert int(found.group(3)) == served.port
    assert served.get(found.group(4)).status == 303


def test_a_login_link_for_nobody_is_refused(standing: Served, told: Command):
    done = told("login-link", "Eve")
    assert done.returncode == 1
    assert "Eve" in done.stderr


def test_the_command_says_its_version_and_its_commands(command: Command):
    assert re.fullmatch(r"talekeeper \d+\.\d+\.\d+\n", command("--version").stdout)
    shown = command("--help").stdout
    for name in ("serve", "account", "login-link", "model"):
        assert name in shown
