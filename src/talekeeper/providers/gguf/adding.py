"""Adding a model: its file is fetched or copied, checked and tried, and only then stands in its place.

Checked are the size, the SHA-256 where one is known, the header, and that llama.cpp can run it. A file
that is not what it should be is discarded. One that was cut off, or that is right and cannot be run at
the moment, stays as a part, so that the next attempt goes on from there.
"""

import asyncio
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import unquote, urlsplit

from talekeeper.errors import InvalidInput, ModelNotAdded, NoRoomForModel
from talekeeper.providers.gguf.bearing import fit_of, memory_here, memory_needed, window_of
from talekeeper.providers.gguf.header import Header, parsed_header
from talekeeper.providers.gguf.keeping import (
    SUFFIX,
    KeptModel,
    Record,
    find_model,
    kept_models,
    mark_of,
    note_record,
    path_of,
)
from talekeeper.providers.gguf.offers import is_model_name, offer_named
from talekeeper.providers.gguf.partial import RESERVE, Part, PartFacts
from talekeeper.providers.gguf.tries import USUAL_TRIES, Tries
from talekeeper.providers.gguf.trying import try_model
from talekeeper.providers.reach import Reach, checked_file_address
from talekeeper.providers.weights import SMOLLM2, Progress

DOWNLOADING: Final = "Downloading"
COPYING: Final = "Copying"
CHECKING: Final = "Checking"
TRYING: Final = "Trying"
_PIECE: Final = 4 << 20
_FILE: Final = "file:"
_PAGE_OF_A_FILE: Final = re.compile(r"(https://huggingface\.co/[^/]+/[^/]+)/blob/")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_T = TypeVar("_T")

GivenUp = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A model that is to be added, and where its file is."""

    name: str
    facts: PartFacts


def wanted_model(source: str, *, name: str | None = None, sha256: str | None = None) -> Wanted:
    """What `source` means: a name of the list, an address, or the path of a file on this machine.

    Raises InvalidInput.
    """
    source = source.strip()
    if sha256 is not None and not _SHA256.fullmatch(sha256 := sha256.strip().lower()):
        raise InvalidInput("A SHA-256 has 64 digits from 0 to 9 and a to f.")
    offer = offer_named(source)
    if offer is not None and name in (None, offer.name):
        facts = PartFacts(
            address=offer.address, size=offer.size, sha256=offer.sha256, checked="list"
        )
        return Wanted(offer.name, facts)
    checked = None if sha256 is None else "person"
    if re.match(r"https?:", source, re.IGNORECASE):
        address = checked_file_address(_PAGE_OF_A_FILE.sub(r"\1/resolve/", source))
        own = unquote(urlsplit(address).path.rpartition("/")[2])
    else:
        path = Path(source).expanduser().absolute()
        if path.suffix.lower() != SUFFIX:
            raise InvalidInput(
                f"“{source}” is neither a model of the list, nor an address that begins with "
                f"https://, nor a file that ends in {SUFFIX}."
            )
        if not path.is_file():
            raise InvalidInput("There is no such file on the machine of the server.", place=path)
        address, own = f"{_FILE}{path}", path.name
    return Wanted(
        _model_name(name or own), PartFacts(address=address, sha256=sha256, checked=checked)
    )


def known_already(folder: Path, wanted: Wanted) -> KeptModel | None:
    """The model, where it is here already; None where it is still to be added.

    Raises InvalidInput when another model has its name.
    """
    here = next((each for each in kept_models(folder) if each.name == wanted.name), None)
    if here is None and wanted.name != SMOLLM2.name:
        return None
    if here is not None and here.record.address == wanted.facts.address and here.fault is None:
        return here
    raise InvalidInput(
        f"There is a model named “{wanted.name}” already. Remove it first, or give this one another "
        "name."
    )


async def add_model(
    folder: Path,
    wanted: Wanted,
    *,
    reach: Reach = Reach.ANYWHERE,
    progress: Progress = lambda _doing, _done, _total: None,
    tries: Tries = USUAL_TRIES,
    reserve: int = RESERVE,
) -> KeptModel:
    """The model is here and can be used. Cancelled, what came of it is kept.

    Raises InvalidInput when the file is not what it should be, ModelNotAdded when it cannot be had,
    NoRoomForModel, ModelBeingAdded.
    """
    known = await asyncio.to_thread(known_already, folder, wanted)
    if known is not None:
        return known
    part = await asyncio.to_thread(_begun, folder, wanted, reserve)
    try:
        part.check_room()
        address = part.facts.address
        if address.startswith(_FILE):
            await _in_thread(lambda given_up: _copy(part, progress, given_up))
        elif part.done == 0 or part.done != part.facts.size:
            # Imported for the first download: the HTTP client would slow every start.
            from talekeeper.providers.gguf.fetching import fetch

            await fetch(
                part,
                reach=reach,
                done_so_far=lambda done, total: progress(DOWNLOADING, done, total),
                tries=tries,
            )
        await _in_thread(lambda given_up: _install(part, progress, given_up))
    except (InvalidInput, NoRoomForModel):
        part.discard()
        raise
    except ModelNotAdded:
        if not part.done:
            part.discard()
        raise
    finally:
        await asyncio.to_thread(part.close)
    return await asyncio.to_thread(find_model, folder, wanted.name)


def _begun(folder: Path, wanted: Wanted, reserve: int) -> Part:
    try:
        for each in (folder.parent, folder):  # no other user's to read
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Part(folder, wanted.name, wanted.facts, reserve=reserve)
    except OSError as error:
        raise ModelNotAdded(
            f"The folder of the models cannot be written to: {error.strerror or error}. Give "
            "Talekeeper access to it, then add the model again.",
            place=folder,
        ) from error


def _copy(part: Part, progress: Progress, is_given_up: GivenUp) -> None:
    part.begin_again()
    path = Path(part.facts.address.removeprefix(_FILE))
    try:
        size = path.stat().st_size
        part.note(size=size)
        part.check_room()
        with path.open("rb") as file:
            while not is_given_up() and (data := file.read(_PIECE)):
                part.write(data)
                progress(COPYING, part.done, size)
    except OSError as error:
        raise InvalidInput(
            f"The file cannot be read: {error.strerror}. Give Talekeeper access to it.", place=path
        ) from error


def _install(part: Part, progress: Progress, is_given_up: GivenUp) -> None:
    """The part is the model of its name from now on, unless it was given up meanwhile."""
    facts = part.facts
    total = part.done
    if facts.size is not None and total != facts.size:
        raise InvalidInput(
            f"The file has {total} bytes and should have {facts.size}. Nothing of it was kept: add "
            "it again."
        )
    digest = part.digest(lambda done: progress(CHECKING, done, total), is_given_up)
    if is_given_up():
        return
    if facts.sha256 is not None and digest != facts.sha256:
        raise InvalidInput(
            f"The file is not the one that it should be: its SHA-256 is {digest} instead of "
            f"{facts.sha256}. Nothing of it was kept: add it again, or from elsewhere."
        )
    with part.path.open("rb") as file:
        header = parsed_header(file, total)
    progress(TRYING, total, total)
    tried = _tried(part, header, is_given_up)
    if is_given_up():
        return
    part.sync()
    record = Record(
        address=facts.address,
        sha256=digest,
        checked=facts.checked,
        tried=mark_of(part.path) if tried else None,
    )
    note_record(part.folder, part.name, record)
    part.become(path_of(part.folder, part.name))


def _tried(part: Part, header: Header, is_given_up: GivenUp) -> bool:
    """Whether the model was tried; one that this machine cannot bear is not.

    Raises InvalidInput when it cannot be run, ModelNotAdded when its file is known to be right.
    """
    memory = memory_here()
    window = window_of(
        weights=part.done,
        bytes_per_token=header.bytes_per_token,
        trained_tokens=header.trained_tokens,
        memory=memory,
    )
    if fit_of(memory_needed(part.done, header.bytes_per_token, window), memory) == "too_large":
        return False
    try:
        try_model(part.path, window=window, is_given_up=is_given_up)
    except InvalidInput as error:
        if part.facts.checked is None or is_given_up():
            raise
        raise ModelNotAdded(
            f"{error.message} Its file is whole and was kept: close other programs, then add the "
            "model again."
        ) from error
    return True


def _model_name(text: str) -> str:
    name = re.sub(r"[^a-z0-9._-]+", "-", text.lower().removesuffix(SUFFIX)).strip("-.")
    name = re.sub(r"\.{2,}", ".", name)[:80]
    if not is_model_name(name):
        raise InvalidInput("The address names no file. Give the model a name.")
    return name


async def _in_thread(work: Callable[[GivenUp], _T]) -> _T:
    """What `work` returns. When the caller is cancelled, `work` is told to give up and awaited."""
    given_up = threading.Event()
    running = asyncio.ensure_future(asyncio.to_thread(work, given_up.is_set))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        given_up.set()
        await asyncio.gather(running, return_exceptions=True)
        raise
