"""Serving the built page: files that were read once at the start, found by name and never by path.

A request's path is a key in a dictionary, so no path can name a file that the build did not make.
Every address that is neither a file nor the API's is the page itself: the page's own router knows
what it shows there.
"""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fastapi import FastAPI
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from talekeeper.api.problems import Problem

NONCE_MARK = b"__TK_NONCE__"
"""Stands in the built index.html wherever the answer's nonce belongs."""

_FOREVER = "public, max-age=31536000, immutable"
_ASK_FIRST = "no-cache"
_SMALLEST_ZIPPED = 512
_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
    ".png": "image/png",
    ".webp": "image/webp",
    ".ico": "image/x-icon",
    ".txt": "text/plain; charset=utf-8",
    ".map": "application/json",
    ".wasm": "application/wasm",
}
_ZIPPED = (".js", ".mjs", ".css", ".html", ".svg", ".json", ".webmanifest", ".txt", ".map")


@dataclass(frozen=True)
class File:
    """A file of the page, read once."""

    body: bytes
    may_be_zipped: bool
    media_type: str
    caching: str
    etag: str

    @cached_property
    def zipped(self) -> bytes | None:
        """The body for whom takes gzip; None where that is not less. Made when it is first asked."""
        if not self.may_be_zipped:
            return None
        zipped = gzip.compress(self.body, 9, mtime=0)
        return zipped if len(zipped) < len(self.body) else None


def page_folder() -> Path | None:
    """Where the built page lies: in the package, or in the checkout; None when it was not built."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "page", package.parents[1] / "web" / "dist"):
        if (folder / "index.html").is_file():
            return folder
    return None


def read_page(folder: Path) -> dict[str, File]:
    """Every file under `folder`, by the path under which it is asked for."""
    return {
        f"/{path.relative_to(folder).as_posix()}": _file(path, folder)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def _file(path: Path, folder: Path) -> File:
    body = path.read_bytes()
    suffix = path.suffix.lower()
    is_hashed = path.relative_to(folder).parts[0] == "assets"
    return File(
        body=body,
        may_be_zipped=suffix in _ZIPPED and len(body) >= _SMALLEST_ZIPPED,
        media_type=_TYPES.get(suffix) or _guessed(path.name),
        caching=_FOREVER if is_hashed else _ASK_FIRST,
        etag=f'"{hashlib.sha256(body).hexdigest()[:32]}"',
    )


def _guessed(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


class Page:
    """The ASGI application for everything that no route takes."""

    def __init__(self, folder: Path | None, *, base_path: str = "") -> None:
        self._files = {} if folder is None else read_page(folder)
        index = self._files.pop("/index.html", None)
        if index is not None:
            # The build's own references are relative, and a deep link is several steps below.
            body = index.body.replace(b'="./', b'="' + base_path.encode() + b"/")
            self._index = body.split(NONCE_MARK)
        else:
            self._index = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        await self.answer(scope)(scope, receive, send)

    def answer(self, scope: Scope) -> Response:
        """The file or the page, or a problem where there is neither."""
        path: str = scope["path"]
        is_ours = path == "/api" or path.startswith(("/api/", "/assets/"))
        file = self._files.get(path)
        if scope["method"] not in ("GET", "HEAD"):
            return _NO_METHOD.response(scope) if not is_ours else _NOTHING.response(scope)
        if file is not None:
            return _sent(file, scope)
        if is_ours:
            return _NOTHING.response(scope)
        headers = {"Cache-Control": _ASK_FIRST}
        if self._index is None:
            return Response(_NOT_BUILT, status_code=503, headers=headers, media_type="text/html")
        nonce: str = scope["state"]["nonce"]
        return Response(nonce.encode().join(self._index), headers=headers, media_type="text/html")


def _sent(file: File, scope: Scope) -> Response:
    asked: dict[bytes, bytes] = dict(scope["headers"])
    headers = {"Cache-Control": file.caching, "ETag": file.etag}
    if file.may_be_zipped:
        headers["Vary"] = "Accept-Encoding"
    if file.etag.encode() in asked.get(b"if-none-match", b""):
        return Response(status_code=304, headers=headers)
    body = file.body
    if b"gzip" in asked.get(b"accept-encoding", b"") and file.zipped is not None:
        body = file.zipped
        headers["Content-Encoding"] = "gzip"
    return Response(body, headers=headers, media_type=file.media_type)


_NOTHING = Problem(404, "not_found", "There is nothing at this address.")
_NO_METHOD = Problem(405, "invalid_input", "Only GET is taken at this address.")

_NOT_BUILT = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Talekeeper</title>
<meta name="viewport" content="width=device-width"></head><body>
<h1>The page is not built</h1>
<p>The server runs, but its page has not been built in this checkout. Stop it and start it with</p>
<pre>make run</pre>
<p>which builds the page first. An installed Talekeeper brings it along.</p>
</body></html>
"""


def mount_page(app: FastAPI, folder: Path | None = None, *, base_path: str = "") -> None:
    """Whatever no route of `app` takes is answered by the page of `folder`, or of the build.

    Browsers ask for everything under `base_path`.
    """
    app.router.default = Page(folder or page_folder(), base_path=base_path)
