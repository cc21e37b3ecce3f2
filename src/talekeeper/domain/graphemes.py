"""Graphemes: where a text can be cut without dividing what a person sees as one character.

An approximation of Unicode's grapheme clusters (UAX 29) from the properties that the standard
library has: marks, joined emoji, skin tones, flags, tags, Hangul letters and Indic conjuncts stay
whole. It may keep two characters together that could be divided, never the other way round for
these.
"""

import unicodedata
from typing import Final

_JOINERS: Final = "\u200c\u200d"


def hangs_together(text: str, at: int) -> bool:
    """Whether the characters on both sides of `at` are seen as one."""
    after, before = text[at], text[at - 1]
    if before == "\u200d" or after in _JOINERS or before + after == "\r\n":
        return True
    if "\U0001f3fb" <= after <= "\U0001f3ff" or "\U000e0020" <= after <= "\U000e007f":
        return True
    if unicodedata.category(after) in ("Mn", "Mc", "Me"):
        return True
    if _joins_hangul(before, after):
        return True
    if unicodedata.combining(before) == 9 and after.isalpha():
        return True  # a virama joins the consonant after it
    if not _is_flag(after):
        return False
    flags = 0
    while at - flags > 0 and _is_flag(text[at - flags - 1]):
        flags += 1
    return flags % 2 == 1


def cut(text: str, most: int) -> str:
    """The beginning of `text`: `most` code points or fewer, cut between graphemes.

    A first grapheme that is longer than that is cut all the same.
    """
    if len(text) <= most:
        return text
    at = most
    while at > 0 and hangs_together(text, at):
        at -= 1
    return text[: at or most]


def _joins_hangul(before: str, after: str) -> bool:
    """Whether two letters, or a syllable and a letter, are parts of one syllable."""
    is_syllable = "\uac00" <= before <= "\ud7a3"
    if "\u1100" <= before <= "\u115f":
        return "\u1100" <= after <= "\u11ff" or "\uac00" <= after <= "\ud7a3"
    return (is_syllable or "\u1160" <= before <= "\u11ff") and "\u1160" <= after <= "\u11ff"


def _is_flag(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"
