"""The route of storage: how much the account keeps, and how much room there is."""

import shutil
from dataclasses import dataclass
from typing import Final

from talekeeper.api.health import warnings_of
from talekeeper.api.resources import CurrentAccount, TheKeeper, resource
from talekeeper.conversations.measuring import measure_holdings
from talekeeper.domain.conversations import Conversation, Holding
from talekeeper.domain.health import Reason
from talekeeper.keeper import Keeper

router = resource("storage")

MOST: Final = 10
"""Conversations that are named in either list."""


@dataclass(frozen=True, slots=True)
class Storage:
    """`database_bytes` is null where the database is on another machine.

    The trash keeps what is in it for `trash_days`; 0: until somebody deletes it.
    """

    database_bytes: int | None
    free_bytes: int | None
    warnings: list[Reason]
    active: Holding
    archived: Holding
    trash: Holding
    trash_days: int
    largest: tuple[Conversation, ...]
    oldest: tuple[Conversation, ...]


@router.get("/storage")
async def show_storage(keeper: TheKeeper, account: CurrentAccount) -> Storage:
    """What there is in each list, and what could be put away first."""
    held = await measure_holdings(keeper.store, owner_id=account.id, most=MOST)
    return Storage(
        database_bytes=keeper.store.size(),
        free_bytes=_free(keeper),
        warnings=warnings_of(keeper),
        active=held.active,
        archived=held.archived,
        trash=held.trash,
        trash_days=keeper.settings.trash_days,
        largest=held.largest,
        oldest=held.oldest,
    )


def _free(keeper: Keeper) -> int | None:
    """Bytes free on the data folder's disk; None where it cannot be looked at."""
    try:
        return shutil.disk_usage(keeper.settings.data_dir).free
    except OSError:
        return None
