"""Walking: the path from a leaf to the root, what stands beside it, and the whole tree in order.

Every walk is a recursive query over integer keys: 50 steps in a tree of a million cost about as
much as reading 50 neighbouring rows twice.
"""

from talekeeper.domain.audiences import audience_in
from talekeeper.domain.conversations import Line, Message, PathPage, TreePage
from talekeeper.errors import NotFound
from talekeeper.ids import ConversationId, MessageId
from talekeeper.store.messages import (
    MESSAGE_COLUMNS,
    MESSAGES_WITH_PARENT,
    StoredMessage,
    message_at,
    path_message,
    stored_message,
    whole_content,
)
from talekeeper.store.prepared import prepared
from talekeeper.store.sql import (
    CTE,
    ClauseElement,
    bindparam,
    events,
    func,
    literal,
    messages,
    select,
)
from talekeeper.store.units import Reader

_m = messages.c


def _walk() -> CTE:
    """The last `limit` messages of the path from the message `leaf_key` towards the root, `depth` counted from 1."""
    path = (
        select(_m.key, _m.parent_key, literal(1).label("depth"))
        .where(_m.key == bindparam("leaf_key"))
        .cte("path", recursive=True)
    )
    step = (
        select(_m.key, _m.parent_key, path.c.depth + 1)
        .join(path, _m.key == path.c.parent_key)
        .where(path.c.depth < bindparam("limit"))
    )
    return path.union_all(step)


def _path_statement() -> ClauseElement:
    path = _walk()
    return (
        select(*MESSAGE_COLUMNS)
        .select_from(path.join(MESSAGES_WITH_PARENT, _m.key == path.c.key))
        .order_by(path.c.depth.desc())
    )


def _lines_statement() -> ClauseElement:
    path = _walk()
    return (
        select(
            _m.parent_key,
            _m.id,
            _m.role,
            _m.content,
            _m.status,
            _m.generation_id,
            _m.mode,
            _m.hidden_from_ai,
            _m.audience,
        )
        .select_from(path.join(messages, _m.key == path.c.key))
        .order_by(path.c.depth.desc())
    )


def _siblings_statement() -> ClauseElement:
    path = _walk()
    return (
        select(_m.parent_key, _m.id)
        .select_from(path.join(messages, _m.parent_key == path.c.parent_key))
        .where(_m.conversation_id == bindparam("conversation_id"), _m.deleted_by.is_(None))
        .order_by(_m.key)
    )


def _newest_under_statement() -> ClauseElement:
    tree = select(_m.key).where(_m.key == bindparam("top")).cte("subtree", recursive=True)
    tree = tree.union_all(
        select(_m.key).join(tree, _m.parent_key == tree.c.key).where(_m.deleted_by.is_(None))
    )
    return select(func.max(tree.c.key))


def _way_down() -> CTE:
    """From the message `leaf_key` up to the one below `after_key`, which stands above it, or not."""
    path = select(_m.key, _m.parent_key).where(_m.key == bindparam("leaf_key"))
    way = path.cte("way", recursive=True)
    # A parent's key is smaller: past it there is nothing to look for.
    step = (
        select(_m.key, _m.parent_key)
        .join(way, _m.key == way.c.parent_key)
        .where(way.c.parent_key > bindparam("after_key"))
    )
    return way.union_all(step)


def _next_statement() -> ClauseElement:
    way = _way_down()
    return select(way.c.key, way.c.parent_key).order_by(way.c.key).limit(bindparam("limit"))


_NEXT = prepared(_next_statement())
_PATH = prepared(_path_statement())
_LINES = prepared(_lines_statement())
_SIBLINGS = prepared(_siblings_statement())
_ROOTS = prepared(
    select(_m.id)
    .where(
        _m.parent_key.is_(None),
        _m.conversation_id == bindparam("conversation_id"),
        _m.deleted_by.is_(None),
    )
    .order_by(_m.key)
)
_NEWEST_UNDER = prepared(_newest_under_statement())
_TREE = prepared(
    select(*MESSAGE_COLUMNS)
    .select_from(events.join(MESSAGES_WITH_PARENT, _m.key == events.c.message_key))
    .where(
        events.c.conversation_id == bindparam("conversation_id"),
        events.c.seq > bindparam("after"),
        events.c.kind == "message_added",
        _m.deleted_by.is_(None),
    )
    .order_by(events.c.seq)
    .limit(bindparam("limit"))
)


def newest_leaf_under(tx: Reader, key: int) -> StoredMessage:
    """The newest message of the subtree, which is a leaf: a child would be newer.

    What was taken back is not there.
    """
    row = tx.first(_NEWEST_UNDER, top=key)
    assert row is not None
    return message_at(tx, row[0])


def path_to(tx: Reader, key: int, *, limit: int) -> tuple[Message, ...]:
    """The last `limit` messages of the path that ends in `key`, eldest first."""
    rows = tx.all(_PATH, leaf_key=key, limit=limit)
    return tuple(stored_message(tx, row).message for row in rows)


def lines_to(tx: Reader, key: int, *, limit: int) -> tuple[list[Line], int | None]:
    """What the last `limit` messages of that path say, eldest first, and the key of the message
    above them; None where the path begins with them.
    """
    rows = tx.all(_LINES, leaf_key=key, limit=limit)
    lines = [
        Line(
            row[1],
            row[2],
            whole_content(tx, row[3], row[4], row[5]),
            row[6],
            bool(row[7]),
            audience_in(row[8]),
        )
        for row in rows
    ]
    return lines, rows[0][0]


def path_page(
    tx: Reader, conversation_id: ConversationId, *, leaf_key: int | None, limit: int
) -> PathPage:
    """The last `limit` messages of the path that ends in `leaf_key`, with their siblings."""
    if leaf_key is None:
        return PathPage((), None)
    rows = tx.all(_PATH, leaf_key=leaf_key, limit=limit)
    siblings: dict[int | None, list[MessageId]] = {}
    for parent_key, message_id in tx.all(
        _SIBLINGS, leaf_key=leaf_key, limit=limit, conversation_id=conversation_id
    ):
        siblings.setdefault(parent_key, []).append(message_id)
    reaches_root = rows[0][1] is None
    if reaches_root:
        siblings[None] = [row[0] for row in tx.all(_ROOTS, conversation_id=conversation_id)]
    items = tuple(
        path_message(tx, row, sibling_ids=tuple(siblings.get(row[1], ()))) for row in rows
    )
    return PathPage(items, None if reaches_root else items[0].id)


def path_page_after(
    tx: Reader,
    conversation_id: ConversationId,
    *,
    leaf_key: int,
    after_key: int,
    limit: int,
) -> PathPage:
    """Up to `limit` messages of the path to `leaf_key` that come right after `after_key`.

    Raises NotFound when that one does not stand on the path.
    """
    if leaf_key == after_key:
        return PathPage((), None)
    steps = tx.all(_NEXT, leaf_key=leaf_key, after_key=after_key, limit=limit + 1)
    if steps[0][1] != after_key:
        raise NotFound("That message is not on the path to this leaf.")
    stretch = steps[:limit]
    page = path_page(tx, conversation_id, leaf_key=stretch[-1][0], limit=len(stretch))
    return PathPage(page.items, page.items[-1].id if len(steps) > limit else None)


def tree_page(tx: Reader, conversation_id: ConversationId, *, after: int, limit: int) -> TreePage:
    """Up to `limit` messages of every branch whose `seq` is larger than `after`, by `seq`."""
    rows = tx.all(_TREE, conversation_id=conversation_id, after=after, limit=limit + 1)
    items = tuple(stored_message(tx, row).message for row in rows[:limit])
    return TreePage(items, items[-1].seq if len(rows) > limit else None)
