"""Branches in the store: taken back with all that stands under them, and given back.

Every row that goes bears the key of the message that was taken back, so who reads needs to look at
one column only. Of two branches one above the other each keeps its own rows: what was taken back
before stays so when the larger one is given back.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from talekeeper.clock import Millis
from talekeeper.ids import ConversationId
from talekeeper.store.indexing import Entry, entries_of, forget_entries
from talekeeper.store.prepared import prepared
from talekeeper.store.removing import STEP, within_step
from talekeeper.store.sql import (
    CTE,
    bindparam,
    case,
    chunks,
    delete,
    func,
    generations,
    messages,
    null,
    or_,
    select,
    update,
)
from talekeeper.store.thoughts import forget_thoughts
from talekeeper.store.units import Reader, Writer

_m = messages.c


def _subtree() -> CTE:
    """The message `top` and all under it that is still there."""
    tree = (
        select(_m.key)
        .where(_m.key == bindparam("top"), _m.deleted_by.is_(None))
        .cte("subtree", recursive=True)
    )
    return tree.union_all(
        select(_m.key).join(tree, _m.parent_key == tree.c.key).where(_m.deleted_by.is_(None))
    )


_tree = _subtree()
_weight = (
    func.count(),
    func.coalesce(func.sum(func.length(_m.content)), 0),
    func.count(case((or_(_m.status == "pending", _m.status == "streaming"), 1))),
    func.count(_m.emptied_at),
)
_WEIGH = prepared(select(*_weight).select_from(_tree.join(messages, _m.key == _tree.c.key)))
_HIDE = prepared(
    update(messages)
    .where(_m.key.in_(select(_tree.c.key)))
    .values(
        deleted_by=bindparam("top"),
        deleted_at=case(
            (_m.key == bindparam("top"), bindparam("now", type_=_m.deleted_at.type)), else_=null()
        ),
        revision=_m.revision + case((_m.key == bindparam("top"), 1), else_=0),
    )
)
_above = select(_m.key, _m.parent_key, _m.deleted_by).where(_m.key == bindparam("key"))
_path = _above.cte("path", recursive=True)
_path = _path.union_all(
    select(_m.key, _m.parent_key, _m.deleted_by).join(_path, _m.key == _path.c.parent_key)
)
_HIDING = prepared(
    select(_path.c.deleted_by)
    .where(_path.c.deleted_by.is_not(None))
    .group_by(_path.c.deleted_by)
    .order_by(_path.c.deleted_by)
)
_WEIGH_HIDDEN = prepared(select(*_weight).where(_m.deleted_by == bindparam("top")))
_REVEAL = prepared(
    update(messages)
    .where(_m.deleted_by == bindparam("top"))
    .values(
        deleted_by=null(),
        deleted_at=null(),
        revision=_m.revision + case((_m.key == bindparam("top"), 1), else_=0),
    )
)
_roots = (
    select(_m.key)
    .where(
        _m.parent_key.is_(None),
        _m.conversation_id == bindparam("conversation_id"),
        _m.deleted_by.is_(None),
    )
    .cte("forest", recursive=True)
)
_forest = _roots.union_all(
    select(_m.key).join(_roots, _m.parent_key == _roots.c.key).where(_m.deleted_by.is_(None))
)
_NEWEST = prepared(select(func.max(_forest.c.key)))

_TO_BE_EMPTIED = prepared(
    select(_m.key, _m.conversation_id)
    .where(_m.deleted_at < bindparam("before"), _m.emptied_at.is_(None))
    .order_by(_m.deleted_at)
    .limit(1)
)
# The message that was taken back comes last: while it is not emptied, there is still something to do.
_EMPTIED_NEXT = prepared(
    select(_m.key, func.length(_m.content))
    .where(
        _m.deleted_by == bindparam("top"),
        _m.emptied_at.is_(None),
    )
    .order_by(_m.key.desc())
    .limit(bindparam("limit"))
)
_STILL_DELETED = prepared(
    select(_m.key).where(
        _m.deleted_by == bindparam("top"),
        _m.key >= bindparam("first"),
        _m.key <= bindparam("last"),
    )
)
_EMPTY = prepared(
    update(messages)
    .where(_m.key == bindparam("at"))
    .values(
        content="",
        bookmark=null(),
        speaker_id=null(),
        speaker_name=null(),
        parts=null(),
        emptied_at=bindparam("now"),
        revision=_m.revision + 1,
    )
)
_FORGET_RECEIPTS = prepared(
    update(generations).where(generations.c.message_key == bindparam("at")).values(receipt=null())
)
_FORGET_CHUNKS = prepared(
    delete(chunks).where(
        chunks.c.generation_id.in_(
            select(generations.c.id).where(generations.c.message_key == bindparam("at"))
        )
    )
)


@dataclass(frozen=True, slots=True)
class Weight:
    """What a branch holds, what of it grows, and what of it was emptied."""

    messages: int
    characters: int
    growing: int
    emptied: int


def weigh_branch(tx: Reader, key: int) -> Weight:
    """Of the message and all under it that is still there."""
    row = tx.first(_WEIGH, top=key)
    assert row is not None
    return Weight(*map(int, row))


def hide_branch(tx: Writer, key: int) -> None:
    """The message and all under it are taken back."""
    tx.run(_HIDE, top=key, now=tx.now())


def hiding_keys(tx: Reader, key: int) -> list[int]:
    """The messages whose being taken back hides this one, topmost first."""
    return [row[0] for row in tx.all(_HIDING, key=key)]


def weigh_hidden(tx: Reader, key: int) -> Weight:
    """Of all that went when this message was taken back."""
    row = tx.first(_WEIGH_HIDDEN, top=key)
    assert row is not None
    return Weight(*map(int, row))


def reveal_branch(tx: Writer, key: int) -> None:
    """What went when this message was taken back is there again."""
    tx.run(_REVEAL, top=key)


def newest_message_key(tx: Reader, conversation_id: ConversationId) -> int | None:
    """The newest message of the conversation that is there, which is a leaf; None without any."""
    row = tx.first(_NEWEST, conversation_id=conversation_id)
    return None if row is None else row[0]


@dataclass(frozen=True, slots=True)
class OldBranch:
    """A branch that was taken back, and the conversation that it is of."""

    key: int
    conversation_id: ConversationId


def next_to_be_emptied(tx: Reader, *, before: Millis) -> OldBranch | None:
    """A branch taken back before then that still holds what it said; None without any."""
    row = tx.first(_TO_BE_EMPTIED, before=before)
    return None if row is None else OldBranch(row[0], ConversationId(row[1]))


def next_to_be_emptied_of(tx: Reader, key: int, *, limit: int = STEP) -> dict[int, Entry]:
    """Messages of the deleted branch that still say something, youngest first, with their entries.

    They are as many as one transaction may empty.
    """
    taken = within_step(tx.all(_EMPTIED_NEXT, top=key, limit=limit))
    entries = entries_of(tx, [row[0] for row in taken])
    return {row[0]: entries.get(row[0], Entry(row[0], frozenset())) for row in taken}


def empty_rows(tx: Writer, branch: OldBranch, entries: Mapping[int, Entry]) -> None:
    """These messages say nothing any more, except those that were restored since they were read."""
    found = tx.all(_STILL_DELETED, top=branch.key, first=min(entries), last=max(entries))
    keys = [row[0] for row in found if row[0] in entries]
    if not keys:
        return
    forget_entries(
        tx, branch.conversation_id, [entries[key] for key in keys if entries[key].tokens]
    )
    places = [{"at": key} for key in keys]
    tx.run_many(_FORGET_CHUNKS, places)
    tx.run_many(_FORGET_RECEIPTS, places)
    forget_thoughts(tx, keys)
    now = tx.now()
    tx.run_many(_EMPTY, [{**place, "now": now} for place in places])
