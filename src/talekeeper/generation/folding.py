"""Folding: pieces as a model sends them become text that can be stored, sent and counted.

Models stream pieces of tokens. A piece may end in the middle of a surrogate pair, and a broken one
may hold half a pair or a NUL, which neither database takes. Offsets count what comes out of here.
"""

import re
from typing import Final

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_UNWANTED: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LOOK: Final = 240
"""Characters of a continued reply that are looked at for an echo of what was there."""


def folded(held: str, piece: str) -> tuple[str, str]:
    """What can be told now, and what must be held until the next piece.

    `held` is what the call before gave back. Halves of a pair are joined, a lone half becomes
    U+FFFD, control characters but tab and line feeds are dropped.
    """
    text = _UNWANTED.sub("", held + piece)
    if not _SURROGATE.search(text):
        return text, ""
    rest = ""
    if "\ud800" <= text[-1] <= "\udbff":
        text, rest = text[:-1], text[-1]
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"), rest


def settled(held: str) -> str:
    """What is left of `held` when nothing more comes."""
    return "\ufffd" if held else ""


def needs_more_for_seam(text: str) -> bool:
    """Whether more of a continued reply must come before its seam can be found."""
    return len(text) < _LOOK


def joined(before: str, text: str) -> str:
    """`text` as it goes on after `before`: without an echo of its end, and with a space between
    words where there was no echo to show how they join.
    """
    if not before or not text:
        return text
    end = before.rstrip()
    start = text.lstrip(" \n\t…«\"'“")
    for length in range(min(len(end), len(start), _LOOK), 3, -1):
        if end.endswith(start[:length]):
            rest = start[length:].removeprefix("»")
            return rest if end == before else rest.lstrip(" ")
    ends_a_word = before[-1].isalnum() or before[-1] in ".,;:!?"
    return f" {text}" if ends_a_word and text[0].isalnum() else text
