"""Names of accounts: what may be one, and when two are the same."""

import re
import unicodedata

from talekeeper.errors import InvalidInput

MAX_NAME = 80
"""Characters in an account's name."""

_DECEIVING = re.compile(
    "[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
"""Characters that turn the direction of text, or that nobody sees."""


def account_name(text: str) -> str:
    """`text` as a name is kept: NFC, without space around it. Raises InvalidInput."""
    name = unicodedata.normalize("NFC", text).strip()
    if not name:
        raise InvalidInput("A name must not be empty.")
    if len(name) > MAX_NAME:
        raise InvalidInput(
            f"A name is too long: it has {len(name)} characters and may have {MAX_NAME}."
        )
    if any(unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") for sign in name):
        raise InvalidInput("A name must be a single line without control characters.")
    if _DECEIVING.search(name) is not None:
        raise InvalidInput("A name must not hold invisible or direction-changing characters.")
    return name


def name_key(name: str) -> str:
    """What two names share exactly when they look alike: no two accounts have the same."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())
