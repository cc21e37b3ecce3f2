"""Folding: what two texts have in common that a person would call the same words.

Search compares folded texts, on both engines by this one function, so that a word is found on each
under the same spellings:

- case is no matter, by Unicode's full folding: `STRASSE` is `straße`, `Σ` and `ς` are `σ`. The
  dotted and the dotless i of Turkish are one letter, since `DIŞARI` must find `dışarı`;
- marks on letters are no matter: accents (`café` is `cafe`, `ё` is `е`), the points of Hebrew, the
  vowel marks and the tatweel of Arabic, nuktas and tones. They are told by their combining class.
  Marks that make another letter stay: the voicing of kana, and the vowels, tones and viramas of
  the scripts of India, Tibet, Thailand and Laos;
- Latin letters with strokes, hooks and bars are the plain letter, and ligatures are their letters:
  `Łódź` is `lodz`, `Ørsted` is `orsted`, `cœur` is `coeur`, `þ` is `th`;
- wide and narrow forms, hiragana and katakana, curly quotes and the several dashes are one;
- every space and line end is a space, and what cannot be seen (joiners, soft hyphens) is nothing.

`folded` works letter by letter on composed text, so a place in the folded text can be followed
back into the text itself.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final
from zlib import crc32

_PLAIN: Final = {
    **dict.fromkeys("‘’‚‛′ʼʻ´", "'"),
    **dict.fromkeys("“”„‟″«»", '"'),
    **dict.fromkeys("‐‑‒–—―−", "-"),
    "æ": "ae",
    "œ": "oe",
    "ð": "d",
    "þ": "th",
    "ŋ": "n",
    "ı": "i",
    "ȷ": "j",
    "\u0640": "",  # the tatweel only draws a word out
    "\u034f": "",  # the combining grapheme joiner, whose class is 0
    **{chr(hiragana): chr(hiragana + 0x60) for hiragana in range(0x3041, 0x3097)},
}
_WITH: Final = re.compile(r"LATIN (?:SMALL|CAPITAL) LETTER ([A-Z]{1,2}) WITH ")
_MARKS_THAT_COUNT: Final = frozenset({0, 8, 9, 84, 91, 103, 107, 118, 122, 129, 130, 132})
"""Combining classes of what belongs to its letter: 8 voices kana, 9 are viramas, 84 and 91 are
Telugu's, 103 and 107 Thai's, 118 and 122 Lao's, 129 to 132 Tibetan's vowels and tones.
"""
_NARROW_KANA: Final = re.compile("[\uff66-\uff9f]+")
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
    if character.isspace():
        return " "
    parts = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold())
    return unicodedata.normalize("NFC", "".join(map(_plain, parts)))


def _plain(part: str) -> str:
    """`part` is a character that does not decompose, in lower case."""
    if part in _PLAIN:
        return _PLAIN[part]
    if unicodedata.combining(part) not in _MARKS_THAT_COUNT or _is_unseen(part):
        return ""
    named = _WITH.match(unicodedata.name(part, ""))
    return part if named is None else named[1].lower()


def _is_unseen(part: str) -> bool:
    return unicodedata.category(part) in ("Cf", "Me") or "\ufe00" <= part <= "\ufe0f"


_folds: Final = _Folds()


def composed(text: str) -> str:
    """`text` with every letter and its marks as one character, where there is such a one.

    Narrow katakana are made wide: in their narrow form the marks are letters of their own.
    """
    if _NARROW_KANA.search(text) is not None:
        text = _NARROW_KANA.sub(lambda kana: unicodedata.normalize("NFKC", kana[0]), text)
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
