"""The wheel, in an empty environment, is a working Talekeeper: server, page and all."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.xdist_group("packaging")


def run(*command: str | Path, cwd: Path = ROOT, **environment: str) -> str:
    """What `command` printed. It fails the test, with that, when it fails."""
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env={**os.environ, **environment},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def install(environment: Path, *what: str | Path) -> None:
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    python = environment / "bin" / "python"
    if uv:
        run(uv, "pip", "install", "--quiet", "--python", python, *what)
    else:
        run(python, "-m", "pip", "install", "--quiet", *what)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder)
    (built,) = folder.glob("talekeeper-*.whl")
    return built


@pytest.fixture(scope="module")
def empty_environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with nothing in it but what the lock names, and the wheel."""
    environment = tmp_path_factory.mktemp("empty") / "environment"
    run(sys.executable, "-m", "venv", environment)
    install(environment, "--require-hashes", "-r", ROOT / "requirements" / "run.txt")
    install(environment, "--no-deps", wheel)
    return environment


def test_the_wheel_carries_the_page_and_the_licence_and_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "talekeeper/page/index.html" in names
    assert any(re.match(r"talekeeper/page/assets/.*\.js$", name) for name in names)
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"talekeeper"}


def test_the_sdist_carries_the_page_s_sources_and_nothing_that_was_made(tmp_path: Path) -> None:
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path)
    (built,) = tmp_path.glob("talekeeper-*.tar.gz")
    with tarfile.open(built) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"hatch_build.py", "tools/page.py", "web/package-lock.json", "LICENSE"} <= names
    made = ("node_modules/", "web/dist/", ".venv/", "src/talekeeper/page/")
    assert [name for name in names if any(part in name for part in made)] == []


def test_the_installed_wheel_serves_the_page(empty_environment: Path, tmp_path: Path) -> None:
    with served(empty_environment, tmp_path) as (address, log):
        assert fetched(f"{address}/healthz")
        page = fetched(f"{address}/").decode()
        assets = re.findall(r'(?:src|href)="(/assets/[^"]+)"', page)
        assert assets, page
        for asset in assets:
            assert fetched(address + asset)
        assert re.search(rf"{re.escape(address)}/login\S+", log.read_text()), log.read_text()


@pytest.mark.long
def test_pip_builds_the_page_on_a_machine_without_node(tmp_path: Path) -> None:
    """From the sources alone: what pip fetches to build with includes a Node."""
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path)
    environment = tmp_path / "environment"
    run(sys.executable, "-m", "venv", environment)
    (sources,) = tmp_path.glob("talekeeper-*.tar.gz")
    without_node = tmp_path / "bin"
    without_node.mkdir()
    for name in ("sh", "env", "uname"):
        (without_node / name).symlink_to(shutil.which(name) or f"/bin/{name}")
    pip = [environment / "bin" / "python", "-m", "pip", "install", "--quiet"]
    run(*pip, sources, PATH=str(without_node))
    with served(environment, tmp_path) as (address, _):
        assert b"/assets/" in fetched(f"{address}/")


def fetched(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=10) as answer:
        body: bytes = answer.read()
        return body


@contextlib.contextmanager
def served(environment: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """`talekeeper serve` of that environment: its address and its log. It goes at SIGTERM."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address, log = f"http://127.0.0.1:{port}", folder / "log"
    own = {
        "HOME": str(folder),
        "PATH": os.defpath,
        "TALEKEEPER_PROVIDER": "scripted",
        "TALEKEEPER_OPEN_BROWSER": "false",
    }
    command = [environment / "bin" / "talekeeper", "serve", "--port", str(port)]
    with log.open("wb") as said:
        server = subprocess.Popen(
            [*command, "--data-dir", folder / "data"],
            cwd=folder, env=own, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
        )  # fmt: skip
    try:
        patience = time.monotonic() + 30
        while True:
            try:
                fetched(f"{address}/healthz")
                break
            except OSError:
                assert server.poll() is None, log.read_text()
                assert time.monotonic() < patience, log.read_text()
                time.sleep(0.05)
        yield address, log
    finally:
        server.terminate()
        assert server.wait(timeout=5) == 0, log.read_text()
