"""The models on this machine: GGUF files in the models folder, the built-in small one among them.

`NAME.gguf` is a model as soon as it stands there, also when a person put it there by hand. Beside
it, `NAME.json` says where it came from, what it was checked against, and of which file it is known
that llama.cpp can run it: a file that was never tried is tried in a process of its own first.
"""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec

from talekeeper.errors import InvalidInput, ModelMissing, NotFound
from talekeeper.providers.gguf.bearing import Memory, memory_here, memory_needed, window_of
from talekeeper.providers.gguf.header import Header, read_header
from talekeeper.providers.gguf.offers import is_model_name, offer_named
from talekeeper.providers.weights import SMOLLM2, find_weights
from talekeeper.syncing import sync_file, sync_folder

Checked = Literal["list", "person", "server"]
"""Whose SHA-256 a file was compared with: the checked-in list's, the one that a person gave, or the
one that the server of the download stated, which shows only that the file came whole."""

BUILT_IN_TITLE: Final = "SmolLM2 135M (built in)"
BUILT_IN_MEMORY: Final = 350_000_000
BUILT_IN_TOKENS: Final = 2048
"""The window of the built-in model, which was made for no more."""
SUFFIX: Final = ".gguf"


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What `NAME.json` says. `tried` is the mark of the file that was tried and could be run."""

    address: str | None = None
    sha256: str | None = None
    checked: Checked | None = None
    tried: str | None = None


@dataclass(frozen=True, slots=True)
class KeptModel:
    """A model whose file is here. `fault` says why it cannot be used, None where it can."""

    name: str
    title: str
    path: Path
    size: int
    mark: str
    header: Header | None
    window: int
    memory: int
    record: Record
    fault: str | None = None
    is_built_in: bool = False

    @property
    def licence(self) -> str | None:
        if self.is_built_in:
            return "Apache-2.0"
        offer = offer_named(self.name)
        return offer.licence if offer else self.header and self.header.licence

    @property
    def is_tried(self) -> bool:
        return self.is_built_in or self.record.tried == self.mark


def kept_models(folder: Path) -> tuple[KeptModel, ...]:
    """Every model whose file is in `folder`, the built-in one first, then by name."""
    memory = memory_here()
    found: list[KeptModel] = []
    with contextlib.suppress(ModelMissing):
        found.append(_built_in(find_weights(folder)))
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        if path.name != SMOLLM2.file_name and is_model_name(path.stem):
            with contextlib.suppress(FileNotFoundError):
                found.append(_kept(path, memory))
    return tuple(found)


def find_model(folder: Path, name: str) -> KeptModel:
    """The model of that name. Raises ModelMissing when it is not here or cannot be used."""
    if name == SMOLLM2.name:
        return _built_in(find_weights(folder))
    try:
        if not is_model_name(name):
            raise FileNotFoundError
        model = _kept(path_of(folder, name), memory_here())
    except FileNotFoundError:
        raise ModelMissing(
            f"The model “{name}” is not on this machine. Add it in the settings, or choose another."
        ) from None
    except OSError as error:
        raise ModelMissing(
            f"The file of the model “{name}” cannot be read ({error.strerror}). Give Talekeeper "
            "access to it, or choose another model.",
            place=path_of(folder, name),
        ) from error
    if model.fault is not None:
        raise ModelMissing(f"The model “{name}” cannot be used. {model.fault}")
    return model


def window_here(folder: Path, name: str) -> int | None:
    """The window of the model of that name, None where there is no such model to be used."""
    try:
        return find_model(folder, name).window
    except ModelMissing:
        return None


def remove_model(folder: Path, name: str) -> None:
    """The model of that name is not here any more. Raises NotFound, InvalidInput."""
    if name == SMOLLM2.name:
        raise InvalidInput("The built-in model stays: it answers where nothing else is chosen.")
    if not is_model_name(name) or not path_of(folder, name).exists():
        raise NotFound("There is no such model on this machine.")
    path_of(folder, name).unlink(missing_ok=True)
    record_path(folder, name).unlink(missing_ok=True)
    sync_folder(folder)


def note_record(folder: Path, name: str, record: Record) -> None:
    """`NAME.json` says this from now on."""
    write_whole(record_path(folder, name), msgspec.json.encode(record))


def path_of(folder: Path, name: str) -> Path:
    return folder / f"{name}{SUFFIX}"


def record_path(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"


def mark_of(path: Path) -> str:
    """What changes when the file does."""
    status = path.stat()
    return f"{status.st_size}-{status.st_mtime_ns}"


def write_whole(path: Path, data: bytes) -> None:
    """The file holds `data`, or what it held before: never a part of it."""
    beside = path.with_name(f".{path.name}.new")
    with beside.open("wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(data)
        file.flush()
        sync_file(file.fileno())
    beside.replace(path)


def _built_in(path: Path) -> KeptModel:
    return KeptModel(
        name=SMOLLM2.name,
        title=BUILT_IN_TITLE,
        path=path,
        size=SMOLLM2.size,
        mark=mark_of(path),
        header=None,
        window=BUILT_IN_TOKENS,
        memory=BUILT_IN_MEMORY,
        record=Record(sha256=SMOLLM2.sha256, checked="list"),
        is_built_in=True,
    )


def _kept(path: Path, memory: Memory) -> KeptModel:
    size, mark, name = path.stat().st_size, mark_of(path), path.stem
    header, fault = None, None
    try:
        header = read_header(path)
    except InvalidInput as error:
        fault = error.message
    offer = offer_named(name)
    per_token = header.bytes_per_token if header else 0
    window = window_of(
        weights=size,
        bytes_per_token=per_token,
        trained_tokens=header.trained_tokens if header else None,
        memory=memory,
    )
    return KeptModel(
        name=name,
        title=offer.title if offer else name,
        path=path,
        size=size,
        mark=mark,
        header=header,
        window=window,
        memory=memory_needed(size, per_token, window),
        record=_record(path.with_name(f"{name}.json")),
        fault=fault,
    )


def _record(path: Path) -> Record:
    """What was noted; nothing where it cannot be read: then the model is tried again."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except (OSError, msgspec.MsgspecError):
        return Record()
