"""Tokens: 256 random bits that are shown once and kept as a hash.

A hash without salt is enough for what nobody can guess, and it is what the database looks up, so
that looking up takes the same time whoever asks.
"""

import hashlib
import secrets
from typing import Final

from talekeeper.clock import Millis
from talekeeper.domain.accounts import TokenKind

PREFIX: Final = "tk_"
"""What every token begins with, so that a leaked one is recognised by whoever finds it."""

_MINUTE = 60_000
_DAY = 24 * 60 * _MINUTE

LOGIN_LASTS: Final = 15 * _MINUTE
SESSION_IDLES: Final = 30 * _DAY
SESSION_LASTS: Final = 180 * _DAY
TOUCH_EVERY: Final = 60 * _MINUTE
"""How often a session's use is written down: seldom, since every write is a flush."""


def fresh_token() -> str:
    """A token that nobody can guess."""
    return PREFIX + secrets.token_urlsafe(32)


def token_hash(token: str) -> str:
    """What is kept of `token`: its SHA-256 in hexadecimal."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def expiry(kind: TokenKind, now: Millis) -> Millis | None:
    """When a token of this kind made now ends by itself; None when it does not."""
    match kind:
        case "login":
            return Millis(now + LOGIN_LASTS)
        case "session":
            return Millis(now + SESSION_IDLES)
        case "bearer" | "control":
            return None


def slid_expiry(*, created_at: Millis, now: Millis) -> Millis:
    """When a session that is used now ends: 30 days on, 180 days after its login at the latest."""
    return Millis(min(now + SESSION_IDLES, created_at + SESSION_LASTS))
