"""Walking: the path from a leaf to the root, what stands beside it, and the whole tree in order.

Every walk is a recursive query over integer keys: 50 steps in a tree of a million cost about as
much as reading 50 neighbouring rows twice.
"""

from talekeeper.database.statements import statement
from talekeeper.database.units import Reader
from talekeeper.domain.audiences import audience_in
from talekeeper.domain.conversations import Line, Message, PathPage, TreePage
from talekeeper.errors import NotFound
from talekeeper.ids import ConversationId, MessageId
from talekeeper.store.messages import (
    MESSAGE_COLUMNS,
    StoredMessage,
    message_at,
    path_message,
    stored_message,
    whole_content,
)

# The last `limit` messages of the path from `leaf_key` towards the root; `depth` counts from 1.
_WALK = """
    path (key, parent_key, depth) AS (
        SELECT key, parent_key, 1 FROM messages WHERE key = :leaf_key
        UNION ALL
        SELECT m.key, m.parent_key, path.depth + 1
        FROM messages AS m JOIN path ON m.key = path.parent_key
        WHERE path.depth < :limit
    )
"""


_NEXT = statement(
    """
    WITH RECURSIVE way (key, parent_key) AS (
        SELECT key, parent_key FROM messages WHERE key = :leaf_key
        UNION ALL
        SELECT m.key, m.parent_key FROM messages AS m JOIN way ON m.key = way.parent_key
        -- A parent's key is smaller: past it there is nothing to look for.
        WHERE way.parent_key > :after_key
    )
    SELECT key, parent_key FROM way ORDER BY key LIMIT :limit
    """
)
_PATH = statement(
    f"""
    WITH RECURSIVE {_WALK}
    SELECT {MESSAGE_COLUMNS}
    FROM path
    JOIN messages AS m ON m.key = path.key
    LEFT JOIN messages AS parent ON parent.key = m.parent_key
    ORDER BY path.depth DESC
    """
)
_LINES = statement(
    f"""
    WITH RECURSIVE {_WALK}
    SELECT
        m.parent_key, m.id, m.role, m.content, m.status, m.generation_id, m.mode, m.hidden_from_ai,
        m.audience
    FROM path JOIN messages AS m ON m.key = path.key
    ORDER BY path.depth DESC
    """
)
_SIBLINGS = statement(
    f"""
    WITH RECURSIVE {_WALK}
    SELECT m.parent_key, m.id
    FROM path JOIN messages AS m ON m.parent_key = path.parent_key
    WHERE m.conversation_id = :conversation_id AND m.deleted_by IS NULL
    ORDER BY m.key
    """
)
_ROOTS = statement(
    """
    SELECT id FROM messages
    WHERE parent_key IS NULL AND conversation_id = :conversation_id AND deleted_by IS NULL
    ORDER BY key
    """
)
_NEWEST_UNDER = statement(
    """
    WITH RECURSIVE subtree (key) AS (
        SELECT key FROM messages WHERE key = :top
        UNION ALL
        SELECT m.key FROM messages AS m JOIN subtree ON m.parent_key = subtree.key
        WHERE m.deleted_by IS NULL
    )
    SELECT max(key) AS key FROM subtree
    """
)
_TREE = statement(
    f"""
    SELECT {MESSAGE_COLUMNS}
    FROM events AS e
    JOIN messages AS m ON m.key = e.message_key
    LEFT JOIN messages AS parent ON parent.key = m.parent_key
    WHERE e.log_kind = 'conversation'
      AND e.log_id = :conversation_id
      AND e.seq > :after
      AND e.kind = 'message_added'
      AND m.deleted_by IS NULL
    ORDER BY e.seq
    LIMIT :limit
    """
)


def newest_leaf_under(tx: Reader, key: int) -> StoredMessage:
    """The newest message of the subtree, which is a leaf: a child would be newer.

    What was taken back is not there.
    """
    row = tx.first(_NEWEST_UNDER, top=key)
    assert row is not None
    return message_at(tx, row.key)


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
            row.id,
            row.role,
            whole_content(tx, row.content, row.status, row.generation_id),
            row.mode,
            row.hidden_from_ai != 0,
            audience_in(row.audience),
        )
        for row in rows
    ]
    return lines, rows[0].parent_key


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
    reaches_root = rows[0].parent_key is None
    if reaches_root:
        siblings[None] = [row.id for row in tx.all(_ROOTS, conversation_id=conversation_id)]
    items = tuple(
        path_message(tx, row, sibling_ids=tuple(siblings.get(row.parent_key, ()))) for row in rows
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
    if steps[0].parent_key != after_key:
        raise NotFound("That message is not on the path to this leaf.")
    stretch = steps[:limit]
    page = path_page(tx, conversation_id, leaf_key=stretch[-1].key, limit=len(stretch))
    return PathPage(page.items, page.items[-1].id if len(steps) > limit else None)


def tree_page(tx: Reader, conversation_id: ConversationId, *, after: int, limit: int) -> TreePage:
    """Up to `limit` messages of every branch whose `seq` is larger than `after`, by `seq`."""
    rows = tx.all(_TREE, conversation_id=conversation_id, after=after, limit=limit + 1)
    items = tuple(stored_message(tx, row).message for row in rows[:limit])
    return TreePage(items, items[-1].seq if len(rows) > limit else None)
