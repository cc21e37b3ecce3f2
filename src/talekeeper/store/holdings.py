"""What an account holds: totals by list, the largest conversations and the longest untouched."""

from talekeeper.domain.conversations import Holding, Holdings
from talekeeper.ids import AccountId
from talekeeper.store.conversations import CONVERSATIONS, conversation_in
from talekeeper.store.prepared import prepared
from talekeeper.store.sql import (
    bindparam,
    case,
    conversations,
    func,
    select,
)
from talekeeper.store.units import Reader

_c = conversations.c
_owned = _c.owner_id == bindparam("owner_id")
_state = case(
    (_c.deleted_at.is_not(None), "trash"),
    (_c.archived_at.is_not(None), "archived"),
    else_="active",
).label("state")
_TOTALS = prepared(
    select(_state, func.count(), func.sum(_c.message_count), func.sum(_c.characters))
    .where(_owned, _c.removed_at.is_(None))
    .group_by(_state)
)
_LARGEST = prepared(
    CONVERSATIONS.where(_owned).order_by(_c.characters.desc(), _c.id).limit(bindparam("limit"))
)
_OLDEST = prepared(
    CONVERSATIONS.where(_owned, _c.archived_at.is_(None), _c.deleted_at.is_(None))
    .order_by(_c.updated_at, _c.id)
    .limit(bindparam("limit"))
)


def holdings(tx: Reader, *, owner_id: AccountId, most: int) -> Holdings:
    """Of one account; `most` conversations are named in either list."""
    totals = {row[0]: Holding(*map(int, row[1:])) for row in tx.all(_TOTALS, owner_id=owner_id)}
    nothing = Holding(0, 0, 0)
    return Holdings(
        active=totals.get("active", nothing),
        archived=totals.get("archived", nothing),
        trash=totals.get("trash", nothing),
        largest=tuple(map(conversation_in, tx.all(_LARGEST, owner_id=owner_id, limit=most))),
        oldest=tuple(map(conversation_in, tx.all(_OLDEST, owner_id=owner_id, limit=most))),
    )
