"""Entering and leaving: login links, sessions, and the tokens that last one run of the server."""

import asyncio
from dataclasses import dataclass
from typing import Final

import structlog

from talekeeper.accounts.identifying import Identities
from talekeeper.accounts.naming import account_name, name_key
from talekeeper.accounts.tokens import SESSION_LASTS, expiry, fresh_token, token_hash
from talekeeper.clock import Clock
from talekeeper.database import Store, Writer
from talekeeper.domain.accounts import Account, TokenKind
from talekeeper.errors import NotFound, StoreError, Unauthenticated
from talekeeper.ids import AccountId, BootId, TokenId, fresh_id
from talekeeper.store.accounts import (
    account_of_key,
    add_account,
    add_token,
    forget_ended_tokens,
    id_in_run,
    owner,
    revoke_token,
    spend_token,
    token_of_hash,
)
from talekeeper.store.processes import server_time

OWNER_NAME = "Game Master"
"""The name of the local owner until somebody gives another."""

_FORGET_SECONDS: Final = 60.0
_SILENT_MS: Final = 3_600_000

log = structlog.get_logger(__name__)

_SPENT = (
    "This login link was used before, has expired, or is not from this server. "
    "Get a new one with: talekeeper login-link"
)


@dataclass(frozen=True, slots=True)
class Session:
    """A login. `token` is shown to the browser once; it lasts `seconds` at the most."""

    account: Account
    token: str
    seconds: int = SESSION_LASTS // 1000


async def ensure_owner(store: Store) -> Account:
    """The account that this installation belongs to, made when there is none."""

    def ensure(tx: Writer) -> Account:
        found = owner(tx)
        if found is not None:
            return found
        return add_account(
            tx,
            account_id=AccountId(fresh_id()),
            name=OWNER_NAME,
            key=name_key(OWNER_NAME),
            is_admin=True,
        )

    return await store.write(ensure)


async def open_identities(
    store: Store, *, clock: Clock, owner_token: str | None = None
) -> Identities:
    """Whoever may come in is known: there is an owner. `owner_token` is a bearer token of theirs,
    which is compared and never stored.
    """
    account = await ensure_owner(store)
    return Identities(store, clock=clock, owner=account, owner_token=owner_token)


async def forget_ended(store: Store) -> None:
    """Startup links and control tokens of server processes that are gone are good for nothing.

    On PostgreSQL other processes may serve: a process that says nothing for an hour is gone.
    """

    def forget(tx: Writer) -> None:
        now = tx.now() if store.engine == "sqlite" else server_time(tx)
        forget_ended_tokens(tx, alive_since=now - _SILENT_MS)

    await store.write(forget)


async def keep_forgetting_ended(store: Store) -> None:
    """The same once a minute, for as long as it is not cancelled."""
    while True:
        await asyncio.sleep(_FORGET_SECONDS)
        try:
            await forget_ended(store)
        except StoreError as error:
            log.warning("tokens.not_forgotten", code=error.code)


async def issue_token(
    store: Store, account_id: AccountId, kind: TokenKind, *, run: BootId | None = None
) -> str:
    """A fresh token of the account. It is kept as a hash only: this is the one time it is seen.

    With `run` it is that server process's own of this kind, and lasts until it is used or the
    process is gone.
    """
    token = fresh_token()

    def issue(tx: Writer) -> None:
        add_token(
            tx,
            token_id=TokenId(fresh_id()) if run is None else id_in_run(run, kind),
            account_id=account_id,
            kind=kind,
            hash=token_hash(token),
            expires_at=expiry(kind, tx.now()) if run is None else None,
        )

    await store.write(issue)
    return token


async def account_named(store: Store, name: str | None) -> Account:
    """The account of that name, or the owner. Raises NotFound."""
    if name is None:
        return await ensure_owner(store)
    key = name_key(account_name(name))
    found = await store.read(lambda tx: account_of_key(tx, key))
    if found is None:
        raise NotFound(f"There is no account named {account_name(name)}.")
    return found


async def issue_login(store: Store, *, name: str | None = None) -> str:
    """A login token for the account of that name, or for the owner. Raises NotFound."""
    account = await account_named(store, name)
    return await issue_token(store, account.id, "login")


def login_path(token: str) -> str:
    """Where a login token is exchanged for a session."""
    return f"/login?token={token}"


async def log_in(store: Store, token: str) -> Session:
    """A session for the holder of a login token, which is used up. Raises Unauthenticated."""
    session_token = fresh_token()
    hashed = token_hash(token)

    def exchange(tx: Writer) -> Account:
        found = token_of_hash(tx, hashed)
        if found is None:
            raise Unauthenticated(_SPENT)
        login, account = found
        now = tx.now()
        is_over = login.expires_at is not None and login.expires_at <= now
        if login.kind != "login" or is_over or not spend_token(tx, login.id):
            raise Unauthenticated(_SPENT)
        add_token(
            tx,
            token_id=TokenId(fresh_id()),
            account_id=account.id,
            kind="session",
            hash=token_hash(session_token),
            expires_at=expiry("session", now),
        )
        return account

    account = await store.write(exchange)
    return Session(account=account, token=session_token)


async def log_out(store: Store, identities: Identities, token_id: TokenId) -> None:
    """The session is over, here and in every tab that shares it."""
    await store.write(lambda tx: revoke_token(tx, token_id))
    identities.forget(token_id)
