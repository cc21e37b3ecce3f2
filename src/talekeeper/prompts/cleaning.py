"""Cleaning: a field of a record as one line that a prompt can quote.

What is stored is never changed. What goes into a prompt has no characters that are not seen, and
nothing that a model could take for the prompt's own structure: headings, rules, fences, emphasis.
"""

import re
import unicodedata
from typing import Final

from talekeeper.domain.graphemes import cut

LONGEST_LINE: Final = 500
"""Characters of one cleaned line."""
_UNSEEN: Final = frozenset(("Cc", "Cf", "Co", "Cs", "Cn"))
"""Control and format characters (zero-width, bidirectional, tags), private ones, surrogates."""
_JOINERS: Final = frozenset("\u200c\u200d")
"""They shape letters and emoji, and stay between two characters that are seen."""
_FENCE: Final = re.compile(r"`{3,}|~{3,}")
_RULE: Final = re.compile(r"^[ \t]*([-*_=])(?:[ \t]*\1){2,}[ \t]*$", re.MULTILINE)
_HEADING: Final = re.compile(r"^[ \t>]*#{1,6}(?=[ \t]|$)[ \t]*", re.MULTILINE)
_EMPHASIS: Final = re.compile(r"\*+|(?<!\w)_+(?=\w)|(?<=\w)_+(?!\w)|`+|~~")


def cleaned(text: str, limit: int = LONGEST_LINE) -> str:
    """`text` as one line of at most `limit` characters, never cut inside one that a person sees.

    Cleaning what is clean changes nothing.
    """
    while (once := _cleaned_once(text, limit)) != text:
        # What was taken out may have kept apart two halves of what is taken out next.
        text = once
    return text


def _cleaned_once(text: str, limit: int) -> str:
    seen = "".join(map(_seen, unicodedata.normalize("NFC", text)))
    plain = _EMPHASIS.sub("", _HEADING.sub("", _RULE.sub("", _FENCE.sub("", _joined(seen)))))
    return cut(" ".join(plain.split()), limit).rstrip()


def _seen(character: str) -> str:
    if character.isspace():
        return "\n" if character in "\n\r\u2028\u2029\x0b\x0c\x85" else " "
    if character in _JOINERS:
        return character
    return "" if unicodedata.category(character) in _UNSEEN else character


def _joined(text: str) -> str:
    """The text without joiners that join nothing."""
    return "".join(
        character
        for at, character in enumerate(text)
        if character not in _JOINERS
        or (0 < at < len(text) - 1 and _is_joined(text[at - 1]) and _is_joined(text[at + 1]))
    )


def _is_joined(character: str) -> bool:
    return not character.isspace() and not character.isascii() and character not in _JOINERS
