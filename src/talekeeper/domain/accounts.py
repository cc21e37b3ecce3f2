"""Accounts own everything; tokens say who is asking."""

from dataclasses import dataclass
from typing import Final, Literal, get_args

from talekeeper.clock import Millis
from talekeeper.ids import AccountId

TokenKind = Literal["bearer", "session", "login", "control"]
TOKEN_KINDS: Final[frozenset[TokenKind]] = frozenset(get_args(TokenKind))


@dataclass(frozen=True, slots=True)
class Account:
    """`is_admin` may add accounts and connect providers on this machine's own network."""

    id: AccountId
    name: str
    is_admin: bool
    created_at: Millis
