"""The small model's file with another value in its header."""

import struct
from pathlib import Path


def with_number(source: Path, target: Path, key: str, value: int) -> None:
    """Another 32-bit number behind `key`."""
    data = bytearray(source.read_bytes())
    place = _after(data, key) + 4
    data[place : place + 4] = struct.pack("<I", value)
    target.write_bytes(data)


def with_template(source: Path, target: Path, value: str) -> None:
    """Another chat template, filled up with a comment of the templates' language.

    Everything behind it moves by a multiple of the alignment, so the tensors' offsets stay true.
    """
    data = source.read_bytes()
    place = _after(bytearray(data), "tokenizer.chat_template") + 4
    (length,) = struct.unpack_from("<Q", data, place)
    text = value.encode() + b"{#"
    text += b" " * ((length - len(text) - 2) % 32) + b"#}"
    head = data[:place] + struct.pack("<Q", len(text)) + text
    target.write_bytes(head + data[place + 8 + length :])


def a_header(**values: str | int | list[str]) -> bytes:
    """A GGUF file of one tensor with these values; `__` in a key stands for a dot."""
    pairs = b"".join(_text(key.replace("__", ".")) + _typed(value) for key, value in values.items())
    tensor = _text("token_embd.weight") + struct.pack("<IQIQ", 1, 8, 0, 0)
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, len(values)) + pairs + tensor
    return head + bytes(-len(head) % 32 + 32)


def _typed(value: str | int | list[str]) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", 8) + _text(value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(_text, value))


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _after(data: bytearray, key: str) -> int:
    name = key.encode()
    return data.index(struct.pack("<Q", len(name)) + name) + 8 + len(name)
