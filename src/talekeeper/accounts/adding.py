"""Adding accounts, and telling who there is."""

from dataclasses import dataclass

from talekeeper.accounts.naming import account_name, name_key
from talekeeper.accounts.tokens import fresh_token, token_hash
from talekeeper.database import Store, Writer
from talekeeper.domain.accounts import Account
from talekeeper.errors import InvalidInput
from talekeeper.ids import AccountId, TokenId, fresh_id
from talekeeper.store.accounts import account_of_key, add_token, all_accounts
from talekeeper.store.accounts import add_account as add_account_row


@dataclass(frozen=True, slots=True)
class Added:
    """An account that was just made; `token` is its bearer token, seen this once."""

    account: Account
    token: str


async def add_account(store: Store, name: str) -> Added:
    """An account of that name, with a bearer token. Raises InvalidInput when the name cannot be
    one, or looks like one that is there.
    """
    shown = account_name(name)
    key = name_key(shown)
    token = fresh_token()

    def add(tx: Writer) -> Account:
        if account_of_key(tx, key) is not None:
            raise InvalidInput(f"There is an account named like {shown}. Choose another name.")
        account = add_account_row(
            tx, account_id=AccountId(fresh_id()), name=shown, key=key, is_admin=False
        )
        add_token(
            tx,
            token_id=TokenId(fresh_id()),
            account_id=account.id,
            kind="bearer",
            hash=token_hash(token),
            expires_at=None,
        )
        return account

    return Added(await store.write(add), token)


async def list_accounts(store: Store) -> tuple[Account, ...]:
    """Every account: the owner, then the others, eldest first."""
    return await store.read(all_accounts)
