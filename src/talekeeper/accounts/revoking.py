"""Revoking: what lets somebody in as an account, seen in a list and ended one by one."""

from talekeeper.accounts.identifying import Identities
from talekeeper.clock import Clock
from talekeeper.database import Reader, Store, Writer
from talekeeper.errors import NotFound
from talekeeper.ids import AccountId, TokenId
from talekeeper.store.accounts import Token, account_of_id, revoke_token_of, tokens_of


async def list_tokens(store: Store, account_id: AccountId, *, clock: Clock) -> tuple[Token, ...]:
    """The account's sessions, bearer tokens and unused login links that are still good, newest
    first. A server's own control tokens are not among them. Raises NotFound.
    """

    def unit(tx: Reader) -> tuple[Token, ...]:
        if account_of_id(tx, account_id) is None:
            raise NotFound("There is no such account.")
        return tokens_of(tx, account_id)

    now = clock.now()
    found = await store.read(unit)
    return tuple(each for each in found if each.expires_at is None or each.expires_at > now)


async def revoke_token(
    store: Store, account_id: AccountId, token_id: TokenId, *, identities: Identities | None
) -> None:
    """The token lets nobody in any more, and what was opened with it ends. Raises NotFound.

    `identities` are those of the server that this runs in; None where none runs.
    """

    def unit(tx: Writer) -> None:
        if not revoke_token_of(tx, token_id, account_id=account_id):
            raise NotFound("There is no such login. It may have ended already.")

    await store.write(unit)
    if identities is not None:
        identities.forget(token_id)
