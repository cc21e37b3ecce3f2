"""Accounts and the tokens that say who is asking. Only a token's hash is ever here."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, cast

from talekeeper.clock import Millis
from talekeeper.domain.accounts import Account, TokenKind
from talekeeper.ids import AccountId, BootId, TokenId
from talekeeper.store.prepared import Row, named, prepared
from talekeeper.store.sql import (
    access_tokens,
    accounts,
    bindparam,
    delete,
    insert,
    select,
    text,
    update,
)
from talekeeper.store.units import Reader, Writer


@dataclass(frozen=True, slots=True)
class Token:
    """What is kept of a token. `expires_at` is None for one that lasts until it is revoked."""

    id: TokenId
    account_id: AccountId
    kind: TokenKind
    created_at: Millis
    expires_at: Millis | None
    last_used_at: Millis | None
    used_at: Millis | None


_ACCOUNT = (accounts.c.id, accounts.c.name, accounts.c.is_admin, accounts.c.created_at)
_TOKEN = (
    access_tokens.c.id,
    access_tokens.c.account_id,
    access_tokens.c.kind,
    access_tokens.c.created_at,
    access_tokens.c.expires_at,
    access_tokens.c.last_used_at,
    access_tokens.c.used_at,
)

_ADD_ACCOUNT = prepared(
    insert(accounts).values(named("id", "name", "name_key", "is_admin", "created_at"))
)
_ACCOUNTS = prepared(
    select(*_ACCOUNT)
    .order_by(accounts.c.is_admin.desc(), accounts.c.created_at, accounts.c.id)
    .limit(bindparam("limit"))
)
_ACCOUNT_OF_KEY = prepared(select(*_ACCOUNT).where(accounts.c.name_key == bindparam("key")))
_ACCOUNT_OF_ID = prepared(select(*_ACCOUNT).where(accounts.c.id == bindparam("id")))
_OWNER = prepared(
    select(*_ACCOUNT)
    .where(accounts.c.is_admin == 1)
    .order_by(accounts.c.created_at, accounts.c.id)
    .limit(1)
)

_ADD_TOKEN = prepared(
    insert(access_tokens).values(
        named("id", "account_id", "kind", "hash", "created_at", "expires_at")
    )
)
_TOKEN_OF_HASH = prepared(
    select(*_TOKEN, *_ACCOUNT)
    .join_from(access_tokens, accounts, accounts.c.id == access_tokens.c.account_id)
    .where(access_tokens.c.hash == bindparam("wanted"))
)
_SPEND = prepared(
    update(access_tokens)
    .where(access_tokens.c.id == bindparam("token"), access_tokens.c.used_at.is_(None))
    .values(used_at=bindparam("now"))
)
_TOUCH = prepared(
    update(access_tokens)
    .where(access_tokens.c.id == bindparam("token"))
    .values(last_used_at=bindparam("now"), expires_at=bindparam("until"))
)
_REVOKE = prepared(delete(access_tokens).where(access_tokens.c.id == bindparam("token")))
# A token of a server's run bears the run's boot id at the beginning of its own.
_FORGET_ENDED = prepared(
    text(
        "DELETE FROM access_tokens WHERE expires_at < :now"
        " OR ((kind = 'control' OR (kind = 'login' AND expires_at IS NULL)) AND NOT EXISTS"
        " (SELECT 1 FROM processes WHERE boot_id = substr(access_tokens.id, 1, 36)"
        " AND lease_until >= :alive_since))"
    )
)

_TOKENS = prepared(
    select(*_TOKEN)
    .where(
        access_tokens.c.account_id == bindparam("account_id"),
        access_tokens.c.kind != "control",
        access_tokens.c.used_at.is_(None),
    )
    .order_by(access_tokens.c.created_at.desc(), access_tokens.c.id.desc())
    .limit(bindparam("limit"))
)
_REVOKE_OF = prepared(
    delete(access_tokens).where(
        access_tokens.c.id == bindparam("token"),
        access_tokens.c.account_id == bindparam("account_id"),
        access_tokens.c.kind != "control",
    )
)
# One statement for any number of tokens.
_EXPIRIES_ON_SQLITE = prepared(
    text("SELECT id, expires_at FROM access_tokens WHERE id IN (SELECT value FROM json_each(:ids))")
)
_EXPIRIES_ON_POSTGRESQL = prepared(
    text("SELECT id, expires_at FROM access_tokens WHERE id = ANY(:ids)")
)

MOST_ACCOUNTS = 10_000
"""Accounts in one list."""
MOST_TOKENS = 1_000
"""Tokens in one list."""


def add_account(
    tx: Writer, *, account_id: AccountId, name: str, key: str, is_admin: bool
) -> Account:
    """An account stands under a name whose key nobody else has; see `account_of_key`."""
    now = tx.now()
    tx.run(
        _ADD_ACCOUNT,
        id=account_id,
        name=name,
        name_key=key,
        is_admin=int(is_admin),
        created_at=now,
    )
    return Account(id=account_id, name=name, is_admin=is_admin, created_at=now)


def all_accounts(tx: Reader) -> tuple[Account, ...]:
    """Every account: the owner, then the others, eldest first."""
    return tuple(_account(row) for row in tx.all(_ACCOUNTS, limit=MOST_ACCOUNTS))


def account_of_key(tx: Reader, key: str) -> Account | None:
    """The account whose name has this key."""
    row = tx.first(_ACCOUNT_OF_KEY, key=key)
    return None if row is None else _account(row)


def account_of_id(tx: Reader, account_id: AccountId) -> Account | None:
    row = tx.first(_ACCOUNT_OF_ID, id=account_id)
    return None if row is None else _account(row)


def owner(tx: Reader) -> Account | None:
    """The eldest admin: the one whom this installation belongs to."""
    row = tx.first(_OWNER)
    return None if row is None else _account(row)


def add_token(
    tx: Writer,
    *,
    token_id: TokenId,
    account_id: AccountId,
    kind: TokenKind,
    hash: str,  # noqa: A002
    expires_at: Millis | None,
) -> None:
    """A token with this hash stands for the account until `expires_at`."""
    tx.run(
        _ADD_TOKEN,
        id=token_id,
        account_id=account_id,
        kind=kind,
        hash=hash,
        created_at=tx.now(),
        expires_at=expires_at,
    )


def token_of_hash(tx: Reader, wanted: str) -> tuple[Token, Account] | None:
    """The token with this hash, expired or used as it may be, and whom it stands for."""
    row = tx.first(_TOKEN_OF_HASH, wanted=wanted)
    if row is None:
        return None
    return _token(row[: len(_TOKEN)]), _account(row[len(_TOKEN) :])


def spend_token(tx: Writer, token_id: TokenId) -> bool:
    """The token is used up. False when it was before: of two at once only one hears True."""
    return tx.run(_SPEND, token=token_id, now=tx.now()) == 1


def touch_token(tx: Writer, token_id: TokenId, *, expires_at: Millis | None) -> None:
    """The token was used just now and lasts until `expires_at`."""
    tx.run(_TOUCH, token=token_id, now=tx.now(), until=expires_at)


def tokens_of(tx: Reader, account_id: AccountId) -> tuple[Token, ...]:
    """The account's tokens but for those of servers and those used up, newest first."""
    return tuple(_token(row) for row in tx.all(_TOKENS, account_id=account_id, limit=MOST_TOKENS))


def revoke_token_of(tx: Writer, token_id: TokenId, *, account_id: AccountId) -> bool:
    """The token is good for nothing. False when it is not there, another account's or a server's."""
    return tx.run(_REVOKE_OF, token=token_id, account_id=account_id) == 1


def expiries_of(tx: Reader, token_ids: Collection[TokenId]) -> dict[TokenId, Millis | None]:
    """When each of these tokens expires; those that are not there any more are not in it."""
    if tx.engine == "sqlite":
        rows = tx.all(_EXPIRIES_ON_SQLITE, ids=json.dumps([*token_ids]))
    else:
        rows = tx.all(_EXPIRIES_ON_POSTGRESQL, ids=[*token_ids])
    return {TokenId(token_id): _time(expires_at) for token_id, expires_at in rows}


def revoke_token(tx: Writer, token_id: TokenId) -> None:
    """The token is good for nothing."""
    tx.run(_REVOKE, token=token_id)


def id_in_run(boot_id: BootId, kind: TokenKind) -> TokenId:
    """The id of the one token of that kind that lasts as long as the run of a server process."""
    return TokenId(f"{boot_id}.{kind}")


def forget_ended_tokens(tx: Writer, *, alive_since: int) -> None:
    """What has expired is gone, and so are the tokens of every run whose process has left, or
    whose lease ended before `alive_since`.
    """
    tx.run(_FORGET_ENDED, now=tx.now(), alive_since=alive_since)


def _account(row: Row) -> Account:
    account_id, name, is_admin, created_at = row
    return Account(
        id=AccountId(account_id),
        name=name,
        is_admin=bool(is_admin),
        created_at=Millis(created_at),
    )


def _token(row: Row) -> Token:
    token_id, account_id, kind, created_at, expires_at, last_used_at, used_at = row
    return Token(
        id=TokenId(token_id),
        account_id=AccountId(account_id),
        kind=cast("TokenKind", kind),
        created_at=Millis(created_at),
        expires_at=_time(expires_at),
        last_used_at=_time(last_used_at),
        used_at=_time(used_at),
    )


def _time(value: Any) -> Millis | None:
    return None if value is None else Millis(value)
