"""Accounts and the tokens that say who is asking. Only a token's hash is ever here."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from talekeeper.clock import Millis
from talekeeper.database.statements import Row, statement
from talekeeper.database.units import Reader, Writer
from talekeeper.domain.accounts import TOKEN_KINDS, Account, TokenKind
from talekeeper.domain.kinds import known
from talekeeper.ids import AccountId, BootId, TokenId


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


_COLUMNS_OF_ACCOUNT = "id, name, is_admin, created_at"
_COLUMNS_OF_ACCESS = "id, account_id, kind, created_at, expires_at, last_used_at, used_at"

_ADD_ACCOUNT = statement(
    """
    INSERT INTO accounts (id, name, name_key, is_admin, created_at)
    VALUES (:id, :name, :name_key, :is_admin, :created_at)
    """
)
_ACCOUNTS = statement(
    f"""
    SELECT {_COLUMNS_OF_ACCOUNT} FROM accounts
    ORDER BY is_admin DESC, created_at, id
    LIMIT :limit
    """
)
_ACCOUNT_OF_KEY = statement(f"SELECT {_COLUMNS_OF_ACCOUNT} FROM accounts WHERE name_key = :key")
_ACCOUNT_OF_ID = statement(f"SELECT {_COLUMNS_OF_ACCOUNT} FROM accounts WHERE id = :id")
_OWNER = statement(
    f"""
    SELECT {_COLUMNS_OF_ACCOUNT} FROM accounts
    WHERE is_admin = 1
    ORDER BY created_at, id
    LIMIT 1
    """
)

_ADD_TOKEN = statement(
    """
    INSERT INTO access_tokens (id, account_id, kind, hash, created_at, expires_at)
    VALUES (:id, :account_id, :kind, :hash, :created_at, :expires_at)
    """
)
_TOKEN_OF_HASH = statement(
    """
    SELECT
        t.id, t.account_id, t.kind, t.created_at, t.expires_at, t.last_used_at, t.used_at,
        a.name AS account_name, a.is_admin, a.created_at AS account_created_at
    FROM access_tokens AS t JOIN accounts AS a ON a.id = t.account_id
    WHERE t.hash = :wanted
    """
)
_SPEND = statement("UPDATE access_tokens SET used_at = :now WHERE id = :token AND used_at IS NULL")
_TOUCH = statement(
    "UPDATE access_tokens SET last_used_at = :now, expires_at = :until WHERE id = :token"
)
_REVOKE = statement("DELETE FROM access_tokens WHERE id = :token")
# A token of a server's run bears the run's boot id at the beginning of its own.
_FORGET_ENDED = statement(
    """
    DELETE FROM access_tokens
    WHERE expires_at < :now
       OR (
            (kind = 'control' OR (kind = 'login' AND expires_at IS NULL))
            AND NOT EXISTS (
                SELECT 1 FROM processes
                WHERE boot_id = substr(access_tokens.id, 1, 36) AND lease_until >= :alive_since
            )
       )
    """
)

_TOKENS = statement(
    f"""
    SELECT {_COLUMNS_OF_ACCESS} FROM access_tokens
    WHERE account_id = :account_id AND kind != 'control' AND used_at IS NULL
    ORDER BY created_at DESC, id DESC
    LIMIT :limit
    """
)
_REVOKE_OF = statement(
    """
    DELETE FROM access_tokens
    WHERE id = :token AND account_id = :account_id AND kind != 'control'
    """
)
# One statement for any number of tokens.
_EXPIRIES = statement(
    "SELECT id, expires_at FROM access_tokens WHERE id IN (SELECT value FROM json_each(:ids))",
    postgresql="""
    SELECT id, expires_at FROM access_tokens
    WHERE id IN (SELECT jsonb_array_elements_text(CAST(:ids AS jsonb)))
    """,
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
        kind=known(kind, TOKEN_KINDS, what="kind of token"),
        hash=hash,
        created_at=tx.now(),
        expires_at=expires_at,
    )


def token_of_hash(tx: Reader, wanted: str) -> tuple[Token, Account] | None:
    """The token with this hash, expired or used as it may be, and whom it stands for."""
    row = tx.first(_TOKEN_OF_HASH, wanted=wanted)
    if row is None:
        return None
    account = Account(
        id=AccountId(row.account_id),
        name=row.account_name,
        is_admin=bool(row.is_admin),
        created_at=Millis(row.account_created_at),
    )
    return _token(row), account


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
    rows = tx.all(_EXPIRIES, ids=json.dumps([*token_ids]))
    return {TokenId(row.id): _time(row.expires_at) for row in rows}


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
    return Account(
        id=AccountId(row.id),
        name=row.name,
        is_admin=bool(row.is_admin),
        created_at=Millis(row.created_at),
    )


def _token(row: Row) -> Token:
    return Token(
        id=TokenId(row.id),
        account_id=AccountId(row.account_id),
        kind=row.kind,
        created_at=Millis(row.created_at),
        expires_at=_time(row.expires_at),
        last_used_at=_time(row.last_used_at),
        used_at=_time(row.used_at),
    )


def _time(value: Any) -> Millis | None:
    return None if value is None else Millis(value)
