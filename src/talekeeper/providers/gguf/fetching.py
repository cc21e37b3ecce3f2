"""Fetching a model's file over HTTP, on from where an earlier attempt ended.

A request for the rest names the file that the part is from (`If-Range`), so a file that changed
meanwhile, or a server that knows no ranges, sends the whole and the part begins again. Where the
server gives nothing to name the file by, the rest is asked for only when a SHA-256 tells in the end
whether the pieces belong together.

Redirects are followed here, each only to an address that may be connected to, and never from https
to http. Hugging Face states the SHA-256 and the size of a file with its redirect.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, Callable
from typing import Final
from urllib.parse import urljoin, urlsplit

import aiohttp
from yarl import URL

from talekeeper.errors import InvalidInput, ModelNotAdded
from talekeeper.providers.gguf.header import MAGIC
from talekeeper.providers.gguf.partial import Part
from talekeeper.providers.gguf.tries import Tries
from talekeeper.providers.guard import AddressRefused, guarded_connector
from talekeeper.providers.reach import Reach, checked_file_address

_REDIRECTS: Final = 8
_CONNECT_SECONDS: Final = 15.0
_PIECE: Final = 1 << 20
_HEX: Final = re.compile(r"[0-9a-f]{64}")
_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_PASSING: Final = frozenset((408, 425, 429, 500, 502, 503, 504))


class _BrokenOff(Exception):
    """The attempt ended before the file did; the next one may go on."""


async def fetch(
    part: Part,
    *,
    reach: Reach,
    done_so_far: Callable[[int, int], None],
    tries: Tries,
) -> None:
    """All of the file is in `part`, as far as the server's size tells.

    Raises ModelNotAdded when the server cannot be reached or breaks off too often, InvalidInput when
    the address leads to something else, NoRoomForModel.
    """
    async with aiohttp.ClientSession(
        connector=guarded_connector(reach),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(
            total=None, connect=_CONNECT_SECONDS, sock_read=tries.stall_seconds
        ),
        headers={"Accept-Encoding": "identity", "User-Agent": "Talekeeper"},
        trust_env=False,
    ) as session:
        failed = 0
        while True:
            before = part.done
            try:
                await _attempt(session, part, reach=reach, done_so_far=done_so_far)
                return
            except _BrokenOff as error:
                failed = 1 if part.done > before else failed + 1
                if failed >= tries.at_most:
                    again = "What came is kept: add the model again to go on from there."
                    raise ModelNotAdded(
                        f"{error} {again if part.done else 'Then add the model again.'}"
                    ) from error
                await asyncio.sleep(tries.pause_seconds * 2 ** (failed - 1))


async def _attempt(
    session: aiohttp.ClientSession,
    part: Part,
    *,
    reach: Reach,
    done_so_far: Callable[[int, int], None],
) -> None:
    goes_on = part.done > 0 and (part.facts.validator or part.facts.sha256) is not None
    if not goes_on and part.done:
        await asyncio.to_thread(part.begin_again)
    headers: dict[str, str] = {}
    if goes_on:
        headers["Range"] = f"bytes={part.done}-"
        if part.facts.validator is not None:
            headers["If-Range"] = part.facts.validator
    async with _answer(session, part, headers, reach) as response:
        if response.status == 416 and part.done:
            if part.done == part.facts.size:
                return
            await asyncio.to_thread(part.begin_again)
            raise _BrokenOff("The server has another file than before.")
        _check_answer(response)
        begins, size = _extent(response)
        if begins != part.done:
            if begins:
                raise _BrokenOff("The server sent another part of the file than was asked for.")
            await asyncio.to_thread(part.begin_again)
        _check_size(part, size)
        await asyncio.to_thread(
            part.note, size=size or part.facts.size, validator=_validator(response)
        )
        part.check_room()
        await _take(response, part, done_so_far)


@contextlib.asynccontextmanager
async def _answer(
    session: aiohttp.ClientSession, part: Part, headers: dict[str, str], reach: Reach
) -> AsyncGenerator[aiohttp.ClientResponse]:
    """The answer at the end of all redirects. What goes wrong on the way is _BrokenOff."""
    address = part.facts.address
    try:
        for _ in range(_REDIRECTS):
            checked_file_address(address, reach)
            response = await session.get(
                URL(address, encoded=True), headers=headers, allow_redirects=False
            )
            try:
                await _note_stated(part, response)
                if response.status not in (301, 302, 303, 307, 308):
                    yield response
                    return
                address = _redirected(address, response.headers.get("Location", ""))
            finally:
                response.close()
    except aiohttp.InvalidURL as error:
        raise InvalidInput("The address cannot be read. Copy it again.") from error
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise _unreached(error, address) from error
    raise InvalidInput("The address leads from one address to the next without end.")


def _unreached(error: Exception, address: str) -> Exception:
    place = urlsplit(address).netloc
    reason = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(reason, AddressRefused):
        return InvalidInput(str(reason))
    if isinstance(error, aiohttp.ClientSSLError):
        return InvalidInput(f"The connection to {place} is not safe: its certificate was refused.")
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return _BrokenOff(f"{place} cannot be reached. Check the connection to the internet.")
    return _BrokenOff(f"The download from {place} broke off.")


async def _note_stated(part: Part, response: aiohttp.ClientResponse) -> None:
    """Keep the SHA-256 that the server states, where no better one is known."""
    stated = response.headers.get("X-Linked-ETag", "").strip('"').lower()
    known = part.facts
    if not _HEX.fullmatch(stated) or known.checked in ("list", "person") or known.sha256 == stated:
        return
    if known.sha256 is not None:
        await asyncio.to_thread(part.begin_again)
    await asyncio.to_thread(part.note, sha256=stated, checked="server")


def _redirected(address: str, location: str) -> str:
    target = urljoin(address, location)
    if not location or (address.startswith("https:") and not target.startswith("https:")):
        raise InvalidInput(
            "The address leads to one that is not safe. Nothing was fetched from it."
        )
    return target


def _check_answer(response: aiohttp.ClientResponse) -> None:
    status, place = response.status, response.url.host
    if status in _PASSING:
        raise _BrokenOff(f"{place} has no answer at the moment (HTTP {status}).")
    if status in (401, 403):
        raise InvalidInput(
            f"{place} does not give this file to everybody (HTTP {status}). Download it in a browser "
            "and add the file."
        )
    if status not in (200, 206):
        raise InvalidInput(f"{place} has no file at this address (HTTP {status}). Check it.")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise InvalidInput(f"{place} sends this file compressed, which a model's file never is.")


def _extent(response: aiohttp.ClientResponse) -> tuple[int, int | None]:
    """Where the answer's bytes begin in the file, and the file's size where it is stated."""
    if response.status == 200:
        return 0, response.content_length
    found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if found is None:
        raise _BrokenOff("The server did not say which part of the file it sent.")
    return int(found[1]), None if found[2] == "*" else int(found[2])


def _check_size(part: Part, size: int | None) -> None:
    expected = part.facts.size if part.facts.checked == "list" else None
    if expected is not None and size is not None and size != expected:
        raise InvalidInput(
            f"The file at this address has {size} bytes and should have {expected}: it is another "
            "one. Nothing of it was kept."
        )


def _validator(response: aiohttp.ClientResponse) -> str | None:
    """What names the file for `If-Range`: a strong ETag, else the time of its last change."""
    tag = response.headers.get("ETag", "")
    if tag.startswith('"'):
        return tag
    return response.headers.get("Last-Modified")


async def _take(
    response: aiohttp.ClientResponse, part: Part, done_so_far: Callable[[int, int], None]
) -> None:
    """Write what comes, in pieces that are worth a thread's turn."""
    waiting = bytearray()
    total = part.facts.size or 0
    try:
        async for data in response.content.iter_any():
            waiting += data
            if part.done == 0 and len(waiting) >= len(MAGIC) and not waiting.startswith(MAGIC):
                raise InvalidInput(
                    "What is at this address is no GGUF model. Copy the address of the file itself, "
                    "which ends in .gguf."
                )
            if len(waiting) >= _PIECE:
                # Taken out first: when this task is cancelled, the thread writes it all the same.
                piece = bytes(waiting)
                waiting.clear()
                await asyncio.to_thread(part.write, piece)
                done_so_far(part.done, total)
                if total and part.done > total:
                    break
    finally:
        if waiting:
            part.write(bytes(waiting))
            done_so_far(part.done, total)
    if total and part.done < total:
        raise _BrokenOff("The download broke off.")
