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


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """How an account reaches a provider. `key_hint` is the key's last four characters.

    `context_length` is the model's window, and `longest_request` how much of it the talk may take,
    both in tokens; None where the account does not say.
    """

    provider: str
    base_url: str | None
    model: str | None
    key_hint: str | None
    context_length: int | None
    longest_request: int | None = None
