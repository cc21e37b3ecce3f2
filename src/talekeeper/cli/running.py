"""The server that runs on a data folder, as commands on the same machine find it.

While it serves there is a file in the data folder, readable by its user alone, that says where the
server listens and holds a token of this run. Commands that change something go through it, so that
one process writes; without it they open the store themselves.
"""

import json
import os
import ssl
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, cast

from talekeeper.errors import Forbidden, InvalidInput, NotFound, StoreUnavailable, TalekeeperError
from talekeeper.settings import Settings

FILE: Final = "server.json"
PATIENCE: Final = 15.0
"""Seconds that a command waits for the server's answer."""


@dataclass(frozen=True, slots=True)
class RunningServer:
    """`url` is where commands reach it, `address` what people type, `token` its control token."""

    url: str
    address: str
    pid: int
    boot_id: str
    token: str

    def __repr__(self) -> str:
        return f"RunningServer({self.url!r}, pid={self.pid})"

    def get(self, path: str) -> dict[str, Any]:
        """The answer to a GET. Raises ConnectionError when nobody listens."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to a POST. Raises ConnectionError when nobody listens, else as the server."""
        return self._ask("POST", path, json.dumps(body).encode())

    def delete(self, path: str) -> dict[str, Any]:
        """The answer to a DELETE. Raises ConnectionError when nobody listens, else as the server."""
        return self._ask("DELETE", path, None)

    def _ask(self, method: str, path: str, body: bytes | None) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310
            self.url + path,
            data=body,
            method=method,
            headers={
                "Authorization": f"Bearer {self.token}",
                "Content-Type": "application/json",
                "Connection": "close",
            },
        )
        try:
            with _opener().open(request, timeout=PATIENCE) as answer:
                return cast("dict[str, Any]", json.loads(answer.read() or b"{}"))
        except urllib.error.HTTPError as error:
            with error:
                raise _told(error.code, error.read()) from None
        except urllib.error.URLError as error:
            if isinstance(error.reason, ConnectionError):
                raise error.reason from None
            raise _silent(self) from None
        except TimeoutError:
            raise _silent(self) from None


def _silent(server: RunningServer) -> StoreUnavailable:
    return StoreUnavailable(
        f"The server at {server.url} (process {server.pid}) does not answer. Stop it, or try again."
    )


def _told(status: int, body: bytes) -> TalekeeperError:
    """The error that the server answered with."""
    try:
        detail = str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        detail = f"The running server answered {status}."
    match status:
        case 401:
            return Forbidden(
                "The running server does not know this data folder's control token. Start it anew."
            )
        case 403:
            return Forbidden(detail)
        case 404:
            return NotFound(detail)
        case 400 | 413 | 422:
            return InvalidInput(detail)
        case 503:
            return StoreUnavailable(detail)
        case _:
            return TalekeeperError(detail)


def _opener() -> urllib.request.OpenerDirector:
    """Straight to this machine: no proxy, and a certificate made for another name will do."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )


def find_server(data_dir: Path) -> RunningServer | None:
    """The server that serves `data_dir`; None where none does, as far as its file says."""
    found = _said(data_dir)
    if found is None:
        return None
    try:
        os.kill(found.pid, 0)
    except ProcessLookupError:
        return None  # killed: another program may have its port by now
    except PermissionError:
        pass
    return found


def _said(data_dir: Path) -> RunningServer | None:
    try:
        found: Any = json.loads((data_dir / FILE).read_bytes())
        return RunningServer(
            url=str(found["url"]),
            address=str(found["address"]),
            pid=int(found["pid"]),
            boot_id=str(found["boot_id"]),
            token=str(found["token"]),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        # Written whole or not at all, so it is not the server's doing; the folder's lock still
        # keeps two processes from writing.
        return None


def announce_server(data_dir: Path, server: RunningServer) -> None:
    """Commands find the server from here on."""
    temporary = data_dir / f"{FILE}.new"
    temporary.unlink(missing_ok=True)
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
    with os.fdopen(os.open(temporary, flags, 0o600), "w") as file:
        json.dump(asdict(server), file)
    temporary.replace(data_dir / FILE)


def withdraw_server(data_dir: Path, server: RunningServer) -> None:
    """Commands no longer find it; another server's file is left alone."""
    found = _said(data_dir)
    if found is not None and found.boot_id == server.boot_id:
        (data_dir / FILE).unlink(missing_ok=True)


def local_url(settings: Settings) -> str:
    """Where a command on this machine reaches the server."""
    host = settings.host.strip("[]")
    if host in ("0.0.0.0", "localhost"):  # noqa: S104
        host = "127.0.0.1"
    elif host == "::":
        host = "::1"
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if settings.is_tls else 'http'}://{shown}:{settings.port}"


def public_address(settings: Settings) -> str:
    """What a person types to get here."""
    return settings.public_url or local_url(settings)
