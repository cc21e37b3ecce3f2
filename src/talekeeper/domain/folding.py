"""Folding: what two texts have in common that a person would call the same words.

Search compares folded texts, on both engines by this one function, so that a word is found on each
under the same spellings:

- case is no matter, by Unicode's full folding: `STRASSE` is `straße`, `İ` and `I` are `i`, `Σ` and
  `ς` are `σ`. The Turkish `ı` stays a letter of its own;
- marks on letters are no matter (`café` is `cafe`, `ё` is `е`, `ö` is `o`), but for those that make
  another letter of a kana or a Hangul syllable;
- wide and narrow forms, ligatures, curly quotes and the several dashes are their plain selves;
- every space and line end is a space, and what cannot be seen (joiners, soft hyphens) is nothing.

`folded` works letter by letter on composed text (NFC), so a place in the folded text can be
followed back into the text itself.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final
from zlib import crc32

_MARKS: Final = re.compile("[\u0300-\u036f]")
_PLAIN: Final = {
    **dict.fromkeys("‘’‚‛′ʼ", "'"),
    **dict.fromkeys("“”„‟″«»", '"'),
    **dict.fromkeys("‐‑‒–—―−", "-"),
}
_WIDE: Final = "\u2e80"
"""From here on a single character is a word's worth: Han, kana, Hangul, and pictures."""

_LONG: Final = 32
"""Characters from which on a word is not met often enough to be remembered."""


class _Folds(dict[int, str]):
    """What each character becomes, worked out when it is first met."""

    def __missing__(self, code: int) -> str:
        found = self[code] = _fold(chr(code))
        return found


def _fold(character: str) -> str:
    if character in _PLAIN:
        return _PLAIN[character]
    if character.isspace():
        return " "
    if unicodedata.category(character) == "Cf" or "\ufe00" <= character <= "\ufe0f":
        return ""
    plain = _MARKS.sub("", unicodedata.normalize("NFKD", character)).casefold()
    plain = _MARKS.sub("", unicodedata.normalize("NFKD", plain))
    return unicodedata.normalize("NFC", plain)


_folds: Final = _Folds()


def composed(text: str) -> str:
    """`text` with every letter and its marks as one character, where there is such a one."""
    return unicodedata.normalize("NFC", text)


def folded(text: str) -> str:
    """What `text`, which is composed, is compared by."""
    return text.translate(_folds)


def tokens(text: str) -> set[int]:
    """The pieces of a folded text that it is indexed by, as numbers of 32 bits.

    Whatever stands in a text, its pieces are among the text's: three narrow characters side by
    side within a word, a wide one, and two wide ones side by side. What is shorter has none. Two
    pieces may share a number: whoever finds a text by them looks into it.
    """
    found: set[int] = set()
    for word in set(text.split()):
        found.update(_tokens_met_before(word) if len(word) < _LONG else _tokens_of(word))
    return found


def token(piece: str) -> int:
    """The number of a piece."""
    return crc32(piece.encode())


def _tokens_of(word: str) -> frozenset[int]:
    end = len(word)
    if word.isascii():
        return frozenset(token(word[at : at + 3]) for at in range(end - 2))
    found: set[int] = set()
    for at, sign in enumerate(word):
        if sign >= _WIDE:
            found.add(token(sign))
            if at + 1 < end and word[at + 1] >= _WIDE:
                found.add(token(word[at : at + 2]))
        elif at + 2 < end and word[at + 1] < _WIDE and word[at + 2] < _WIDE:
            found.add(token(word[at : at + 3]))
    return frozenset(found)


_tokens_met_before: Final = lru_cache(maxsize=1 << 15)(_tokens_of)
