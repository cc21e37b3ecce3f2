"""The header of a GGUF file: what a model says of itself, read without loading it.

The format: the magic, a version, two counts, typed key-value pairs, then the tensors' names, shapes
and offsets (github.com/ggml-org/ggml, docs/gguf.md). Every length is checked against the file's size
before it is believed, so a damaged or hostile header is refused and takes no memory.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from talekeeper.errors import InvalidInput

MAGIC: Final = b"GGUF"
_VERSIONS: Final = (2, 3)
_MOST_ENTRIES: Final = 1 << 20
_MOST_ITEMS: Final = 1 << 24
_USUAL_ALIGNMENT: Final = 32
_STRING: Final = 8
_ARRAY: Final = 9
_FORMATS: Final = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?",
    10: "<Q", 11: "<q", 12: "<d",
}  # fmt: skip
_VOCABULARY: Final = "tokenizer.ggml.tokens"
_KINDS: Final = "tokenizer.ggml.token_type"
_CONTROL: Final = 3
"""The type of tokens that steer a model: the ends of turns, the names of roles."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a model says of itself. `bytes_per_token` is what a token of the talk takes in memory.

    `control_marks` are the texts that steer the model wherever they stand.
    """

    architecture: str
    licence: str | None
    parameters: str | None
    trained_tokens: int | None
    bytes_per_token: int
    chat_template: str
    control_marks: frozenset[str]


def read_header(path: Path) -> Header:
    """The header of the model in `path`, remembered until the file changes.

    Raises InvalidInput when it is not the whole file of a model that can hold a conversation, and
    OSError when it cannot be read.
    """
    status = path.stat()
    return _read(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _read(path: Path, size: int, _changed_at: int) -> Header:
    with path.open("rb") as file:
        return parsed_header(file, size)


def parsed_header(file: BinaryIO, size: int) -> Header:
    """The header of the model of `size` bytes in `file`. Raises InvalidInput."""
    reader = _Reader(file, size)
    try:
        return _parsed(reader)
    except (struct.error, UnicodeDecodeError, OverflowError) as error:
        raise _damaged() from error


def _parsed(reader: "_Reader") -> Header:
    if reader.taken(4) != MAGIC:
        raise InvalidInput(
            "This is no GGUF model: its first bytes are other ones. Choose a file that ends in "
            ".gguf."
        )
    version = reader.number("<I")
    if version not in _VERSIONS:
        raise InvalidInput(
            f"This GGUF file has the version {version}, and only 2 and 3 can be read."
        )
    tensors, pairs = reader.number("<Q"), reader.number("<Q")
    if tensors > _MOST_ENTRIES or pairs > _MOST_ENTRIES:
        raise _damaged()
    values = dict(_pair(reader) for _ in range(pairs))
    offsets = [_tensor_offset(reader) for _ in range(tensors)]
    alignment = _whole(values, "general.alignment") or _USUAL_ALIGNMENT
    data_begins = -(-reader.place // alignment) * alignment
    if not offsets or data_begins + max(offsets) >= reader.size:
        raise InvalidInput(
            "The model's file is not whole: what it describes lies beyond its end. Get it again."
        )
    return _described(values)


def _described(values: dict[str, Any]) -> Header:
    architecture = _text(values, "general.architecture") or ""
    if (_whole(values, "split.count") or 1) > 1:
        raise InvalidInput(
            "This is one part of a model that is split into several files, which cannot be run. "
            "Choose one that is a single file."
        )
    template = _text(values, "tokenizer.chat_template")
    if not architecture or not template:
        raise InvalidInput(
            "This model has no chat template: it is not made for conversations. Choose one whose "
            "name says “instruct” or “chat”."
        )
    return Header(
        architecture=architecture,
        licence=_text(values, "general.license"),
        parameters=_text(values, "general.size_label"),
        trained_tokens=_whole(values, f"{architecture}.context_length"),
        bytes_per_token=_bytes_per_token(values, architecture),
        chat_template=template,
        control_marks=_control_marks(values),
    )


def _bytes_per_token(values: dict[str, Any], architecture: str) -> int:
    """Keys and values of one token in all layers, two bytes each."""

    def of(key: str) -> Any:
        return values.get(f"{architecture}.{key}")

    layers = _number(of("block_count"))
    heads = _number(of("attention.head_count"))
    with_keys = of("attention.head_count_kv")
    # Some models have another number of heads in each layer.
    all_heads = sum(map(_number, _list(with_keys))) or layers * _number(with_keys)
    all_heads = all_heads or layers * heads
    usual = _number(of("embedding_length")) // max(1, heads)
    key = _number(of("attention.key_length")) or usual
    value = _number(of("attention.value_length")) or usual
    return all_heads * (key + value) * 2


def _control_marks(values: dict[str, Any]) -> frozenset[str]:
    named = zip(_list(values.get(_VOCABULARY)), _list(values.get(_KINDS)), strict=False)
    return frozenset(
        token
        for token, kind in named
        if kind == _CONTROL and isinstance(token, str) and len(token) > 1
    )


def _pair(reader: "_Reader") -> tuple[str, Any]:
    key = reader.text()
    return key, reader.value(reader.number("<I"))


def _tensor_offset(reader: "_Reader") -> int:
    reader.text()
    dimensions = reader.number("<I")
    reader.taken(8 * dimensions + 4)
    return reader.number("<Q")


class _Reader:
    """Reads the values of a header in their order, and never past the file's end."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.size = size
        self.place = 0
        self._file = file

    def taken(self, count: int) -> bytes:
        if count > self.size - self.place:
            raise _damaged()
        data = self._file.read(count)
        if len(data) != count:
            raise _damaged()
        self.place += count
        return data

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.taken(struct.calcsize(form)))[0]

    def text(self) -> str:
        return self.taken(self.number("<Q")).decode(errors="replace")

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.text()
        if kind == _ARRAY:
            return list(self._items())
        return self.number(_form(kind))

    def _items(self) -> Iterator[Any]:
        kind, count = self.number("<I"), self.number("<Q")
        if kind == _ARRAY or count > _MOST_ITEMS:
            raise _damaged()
        if kind == _STRING:
            for _ in range(count):
                yield self.text()
        else:
            form = _form(kind)
            yield from (
                value
                for (value,) in struct.iter_unpack(form, self.taken(count * struct.calcsize(form)))
            )


def _form(kind: int) -> str:
    form = _FORMATS.get(kind)
    if form is None:
        raise _damaged()
    return form


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def _whole(values: dict[str, Any], key: str) -> int | None:
    return _number(values.get(key)) or None


def _text(values: dict[str, Any], key: str) -> str | None:
    value = values.get(key)
    return value.strip() or None if isinstance(value, str) else None


def _damaged() -> InvalidInput:
    return InvalidInput("The model's file is damaged: its header cannot be read. Get it again.")
