"""Entering and leaving: login links, sessions, and the tokens that last one run of the server."""

from dataclasses import dataclass

from talekeeper.accounts.identifying import Identities
from talekeeper.accounts.naming import account_name, name_key
from talekeeper.accounts.tokens import SESSION_LASTS, expiry, fresh_token, token_hash
from talekeeper.clock import Clock
from talekeeper.domain.accounts import Account, TokenKind
from talekeeper.errors import NotFound, Unauthenticated
from talekeeper.ids import AccountId, TokenId, fresh_id
from talekeeper.store import Store, Writer
from talekeeper.store.accounts import (
    account_of_key,
    add_account,
    add_token,
    owner,
    revoke_token,
    revoke_tokens_of_a_run,
    spend_token,
    token_of_hash,
)

OWNER_NAME = "Game Master"
"""The name of the local owner until somebody gives another."""

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


async def forget_earlier_runs(store: Store) -> None:
    """Startup links and control tokens of servers that are gone are good for nothing."""
    await store.write(revoke_tokens_of_a_run)


async def issue_token(
    store: Store, account_id: AccountId, kind: TokenKind, *, until_stopped: bool = False
) -> str:
    """A fresh token of the account. It is kept as a hash only: this is the one time it is seen.

    `until_stopped` lets it last until it is used or the next server starts.
    """
    token = fresh_token()

    def issue(tx: Writer) -> None:
        add_token(
            tx,
            token_id=TokenId(fresh_id()),
            account_id=account_id,
            kind=kind,
            hash=token_hash(token),
            expires_at=None if until_stopped else expiry(kind, tx.now()),
        )

    await store.write(issue)
    return token


async def issue_login(store: Store, *, name: str | None = None, until_stopped: bool = False) -> str:
    """A login token for the account of that name, or for the owner. Raises NotFound."""
    if name is None:
        account = await ensure_owner(store)
    else:
        key = name_key(account_name(name))
        found = await store.read(lambda tx: account_of_key(tx, key))
        if found is None:
            raise NotFound(f"There is no account named {account_name(name)}.")
        account = found
    return await issue_token(store, account.id, "login", until_stopped=until_stopped)


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
