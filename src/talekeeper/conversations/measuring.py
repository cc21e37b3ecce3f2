"""Measuring: how much an account keeps, and where."""

from talekeeper.database import Store
from talekeeper.domain.conversations import Holdings
from talekeeper.ids import AccountId
from talekeeper.store.holdings import holdings


async def measure_holdings(store: Store, *, owner_id: AccountId, most: int) -> Holdings:
    """The account's totals by list, its largest conversations and its longest untouched ones."""
    return await store.read(lambda tx: holdings(tx, owner_id=owner_id, most=most))
