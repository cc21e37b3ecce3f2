"""A real HTTP server on this machine that serves one file, as well or as badly as a test says."""

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

PIECE = 1 << 16


@dataclass
class Asked:
    path: str
    range: str | None
    if_range: str | None


@dataclass
class ModelServer:
    """Serves `data` below every path but `/moved/…`, which leads to the rest of that path.

    `cut_after`: the connection is cut when so many bytes of an answer were sent, once for each
    number. `holds_at`: an answer pauses there until `let_go` is set. `statuses` are answered first.
    """

    data: bytes
    knows_ranges: bool = True
    tells_size: bool = True
    etag: str | None = '"one"'
    linked_hash: str | None = None
    cut_after: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    holds_at: int | None = None
    let_go: threading.Event = field(default_factory=threading.Event)
    reached: threading.Event = field(default_factory=threading.Event)
    asked: list[Asked] = field(default_factory=list)
    sent: int = 0

    def __post_init__(self) -> None:
        handler = type("Handler", (_Handler,), {"site": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True

    @classmethod
    def of(cls, path: Path, **manners: Any) -> Self:
        return cls(path.read_bytes(), **manners)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go.set()
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    site: ModelServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        site = self.site
        asked = self.headers.get("Range")
        site.asked.append(Asked(self.path, asked, self.headers.get("If-Range")))
        if self.path.startswith("/moved/"):
            self._answer(302, {"Location": self.path.removeprefix("/moved"), "Content-Length": "0"})
            return
        if site.statuses:
            self._answer(site.statuses.pop(0), {"Content-Length": "0"})
            return
        begins = 0
        if asked and site.knows_ranges and self.headers.get("If-Range") in (None, site.etag):
            begins = int(asked.removeprefix("bytes=").rstrip("-"))
        rest = site.data[begins:]
        headers: dict[str, str] = {}
        if begins:
            headers["Content-Range"] = f"bytes {begins}-{len(site.data) - 1}/{len(site.data)}"
        if site.tells_size:
            headers["Content-Length"] = str(len(rest))
        else:
            headers["Connection"] = "close"
        if site.etag is not None:
            headers["ETag"] = site.etag
        if site.linked_hash is not None:
            headers["X-Linked-ETag"] = f'"{site.linked_hash}"'
        self._answer(206 if begins else 200, headers)
        self._send(rest, begins)

    def _send(self, rest: bytes, begins: int) -> None:
        site = self.site
        cut = site.cut_after.pop(0) if site.cut_after else None
        for place in range(0, len(rest), PIECE):
            if cut is not None and place >= cut:
                self.close_connection = True
                return
            if site.holds_at is not None and begins + place >= site.holds_at:
                site.reached.set()
                site.let_go.wait(60)
            try:
                self.wfile.write(rest[place : place + PIECE])
            except OSError:
                self.close_connection = True
                return
            site.sent += len(rest[place : place + PIECE])

    def _answer(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass
