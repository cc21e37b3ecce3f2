"""Titles: what a person or a model may give as one."""

import re
import unicodedata
from typing import Final

from talekeeper.domain.conversations import MAX_TITLE
from talekeeper.errors import InvalidInput

_LINE_ENDS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_TURNING: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""Characters that override, embed or isolate a direction: they turn what stands after the title."""
_BLANK: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0000-\U000e0fff]"
)
"""Characters that show nothing although their category does not say so."""


def checked_title(text: str) -> str:
    """`text` as it is kept as a title: NFC, without blanks around it or characters that turn the
    direction. It may be empty.

    Raises InvalidInput for what is no single line, too long, or cannot be seen.
    """
    if _LINE_ENDS.search(text) is not None:
        raise InvalidInput("A title must be a single line without control characters.")
    title = without_turning(unicodedata.normalize("NFC", text)).strip()
    if len(title) > MAX_TITLE:
        raise InvalidInput(
            f"A title is too long: it has {len(title):,} characters and may have {MAX_TITLE:,}."
        )
    if text.strip() and not is_visible(title):
        raise InvalidInput(
            "A title holds only characters that cannot be seen; write something, or leave it empty."
        )
    return title


def without_turning(text: str) -> str:
    """`text` without the characters that turn the direction of what stands after them."""
    return _TURNING.sub("", text)


def is_visible(text: str) -> bool:
    """Whether something of `text` is seen."""
    return any(
        unicodedata.category(sign)[0] not in "ZM"
        and unicodedata.category(sign) not in ("Cc", "Cf", "Cs")
        for sign in _BLANK.sub("", text)
    )
