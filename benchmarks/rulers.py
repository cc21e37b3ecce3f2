"""What is measured against: one flush of the disk, and an empty server on the same HTTP stack."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

PAGE: Final = 4096


class Flush:
    """Overwrites 4 KiB in place and waits for the disk: what any durable write costs at least."""

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / "flush", os.O_CREAT | os.O_RDWR)
        os.pwrite(self._file, bytes(PAGE * 16), 0)
        os.fsync(self._file)
        self._turn = 0

    def seconds(self) -> float:
        self._turn += 1
        page = bytes([self._turn % 251]) * PAGE
        began = time.perf_counter()
        os.pwrite(self._file, page, PAGE * (self._turn % 16))
        os.fdatasync(self._file)
        return time.perf_counter() - began

    def close(self) -> None:
        os.close(self._file)


class Wire:
    """A kept-alive connection that asks and waits, with as little of its own as can be."""

    def __init__(self, port: int, token: str = "") -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        login = f"Authorization: Bearer {token}\r\n" if token else ""
        self._head = f"Host: 127.0.0.1:{port}\r\n{login}Content-Type: application/json\r\n"

    def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """The status and the body."""
        head = f"{method} {path} HTTP/1.1\r\n{self._head}Content-Length: {len(body)}\r\n\r\n"
        self._socket.sendall(head.encode() + body)
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._received()
        top, _, rest = data.partition(b"\r\n\r\n")
        lines = top.lower().split(b"\r\n")
        status = int(lines[0].split()[1])
        length = next((int(x[15:]) for x in lines if x.startswith(b"content-length:")), 0)
        parts = [rest]
        missing = length - len(rest)
        while missing > 0:
            parts.append(self._received())
            missing -= len(parts[-1])
        return status, b"".join(parts)

    def seconds(self, method: str, path: str, body: bytes = b"", *, status: int = 200) -> float:
        """How long the answer took. The answer must be that one."""
        began = time.perf_counter()
        found, said = self.ask(method, path, body)
        took = time.perf_counter() - began
        if found != status:
            raise RuntimeError(f"{method} {path}: {found} {said[:200]!r}")
        return took

    def _received(self) -> bytes:
        data = self._socket.recv(1 << 18)
        if not data:
            raise ConnectionError("the server hung up")
        return data

    def close(self) -> None:
        self._socket.close()


_ECHO: Final = """
import sys, uvicorn

async def app(scope, receive, send):
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    size = int(scope["query_string"] or b"0")
    if size:
        body = b"x" * size
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})

config = uvicorn.Config(app, port=0, log_level="warning", lifespan="off", access_log=False,
                        http="httptools", loop="uvloop", server_header=False)
server = uvicorn.Server(config)
started = server.startup
async def startup(sockets=None):
    await started(sockets)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)
server.startup = startup
server.run()
"""


@contextmanager
def echo_server() -> Generator[int]:
    """The port of a server that gives back what it is sent, or as many bytes as it is asked for."""
    process = subprocess.Popen(
        [sys.executable, "-c", _ECHO], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


@contextmanager
def compiled(source: Path, folder: Path) -> Generator[Path | None]:
    """The program that a C file becomes; None where there is no compiler."""
    program = folder / source.stem
    with suppress(FileNotFoundError, subprocess.CalledProcessError):
        subprocess.run(
            ["cc", "-O2", "-o", program, source], check=True, capture_output=True, timeout=60
        )
        yield program
        return
    yield None
