"""Listing: an account's conversations, by activity and from page to page."""

from dataclasses import dataclass

from talekeeper.clock import Millis
from talekeeper.database.statements import Statement, statement
from talekeeper.database.units import Reader
from talekeeper.domain.conversations import (
    Conversation,
    ConversationPage,
    ConversationState,
)
from talekeeper.ids import AccountId, ConversationId
from talekeeper.store.conversations import CONVERSATIONS, NEWEST_ACTIVITY, conversation_in

_LISTED = f"{CONVERSATIONS} AND c.owner_id = :owner_id"

_CHANGED_LATELY = statement(
    f"""
    {_LISTED} AND c.activity >= :since
    ORDER BY c.activity
    LIMIT 500
    """
)

_IS_ACTIVE = "c.archived_at IS NULL AND c.deleted_at IS NULL"

_PINNED_FIRST = "ORDER BY c.pinned DESC, c.activity DESC, c.id DESC LIMIT :limit"

_NEWEST_FIRST = "ORDER BY c.activity DESC, c.id DESC LIMIT :limit"

_IS_AFTER = "(c.activity, c.id) < (:activity, :id)"

_IS_ARCHIVED = "c.archived_at IS NOT NULL AND c.deleted_at IS NULL"

_IS_IN_TRASH = "c.deleted_at IS NOT NULL"

_UNTOUCHED = statement(
    """
    SELECT id FROM conversations
    WHERE owner_id = :owner_id
      AND archived_at IS NULL
      AND deleted_at IS NULL
      AND pinned = 0
      AND role IS NULL
      AND updated_at < :before
    ORDER BY activity
    LIMIT :limit
    """
)

_ACTIVE = statement(f"{_LISTED} AND {_IS_ACTIVE} {_PINNED_FIRST}")

_ACTIVE_AFTER = statement(
    f"""
    {_LISTED} AND {_IS_ACTIVE} AND (c.pinned, c.activity, c.id) < (:pinned, :activity, :id)
    {_PINNED_FIRST}
    """
)

_ARCHIVED = statement(f"{_LISTED} AND {_IS_ARCHIVED} {_NEWEST_FIRST}")

_ARCHIVED_AFTER = statement(f"{_LISTED} AND {_IS_ARCHIVED} AND {_IS_AFTER} {_NEWEST_FIRST}")

_TRASH = statement(f"{_LISTED} AND {_IS_IN_TRASH} {_NEWEST_FIRST}")

_TRASH_AFTER = statement(f"{_LISTED} AND {_IS_IN_TRASH} AND {_IS_AFTER} {_NEWEST_FIRST}")

_PAGES: dict[ConversationState, tuple[Statement, Statement]] = {
    "active": (_ACTIVE, _ACTIVE_AFTER),
    "archived": (_ARCHIVED, _ARCHIVED_AFTER),
    "trash": (_TRASH, _TRASH_AFTER),
}


def changed_lately(tx: Reader, *, owner_id: AccountId, activity: int | None) -> list[Conversation]:
    """The account's conversations in which something happened since that `activity`, and some more.

    None: since the newest. A conversation that is the newest already keeps its activity when it
    changes, and transactions of several processes may be committed in another order than they
    counted: so the last sixteen before are among them, and `seq` says what is new.
    """
    if activity is None:
        newest = tx.first(NEWEST_ACTIVITY, owner_id=owner_id)
        assert newest is not None
        activity = int(newest.activity)
    rows = tx.all(_CHANGED_LATELY, owner_id=owner_id, since=activity - 16)
    return [conversation_in(row) for row in rows]


@dataclass(frozen=True, slots=True)
class ListPlace:
    """A place in one of an account's lists: behind the conversation of these values."""

    pinned: int
    activity: int
    id: str

    def __str__(self) -> str:
        return f"{self.pinned}.{self.activity}.{self.id}"


def conversation_page(
    tx: Reader,
    *,
    owner_id: AccountId,
    state: ConversationState = "active",
    after: ListPlace | None,
    limit: int,
) -> ConversationPage:
    """Up to `limit` conversations of one of the account's lists that stand behind `after`."""
    first, following = _PAGES[state]
    if after is None:
        rows = tx.all(first, owner_id=owner_id, limit=limit + 1)
    else:
        place = {"activity": after.activity, "id": after.id}
        if state == "active":
            place["pinned"] = after.pinned
        rows = tx.all(following, owner_id=owner_id, limit=limit + 1, **place)
    items = tuple(conversation_in(row) for row in rows[:limit])
    if len(rows) <= limit:
        return ConversationPage(items, None)
    last = items[-1]
    # A pin does not count in the archive and in the trash.
    pinned = int(last.pinned) if state == "active" else 0
    return ConversationPage(items, str(ListPlace(pinned, last.activity, last.id)))


def long_untouched(
    tx: Reader, *, owner_id: AccountId, before: Millis, limit: int
) -> list[ConversationId]:
    """Active ones in which nothing happened since then, the least active first.

    Neither pinned ones, nor the current one.
    """
    rows = tx.all(_UNTOUCHED, owner_id=owner_id, before=before, limit=limit)
    return [ConversationId(row.id) for row in rows]
