"""Searching: candidates from the index, newest first, and a look into each text.

The index says which messages hold every piece of what is wanted (see `indexing`); the text says
whether they are what was asked for. So both engines give the same findings. Deleted messages, the
trash and the filters are read from the messages' and conversations' own rows, which are always as
they are now.

What it costs:

- SQLite goes through the index's lists from their ends and stops at the limit, so a word that is
  everywhere costs no more than one that is rare.
- PostgreSQL's inverted index knows no order. So the newest messages are tried first, which is
  where a common word is found at once; what is rarer has few enough candidates to be sorted.
- Terms too short to have pieces (one or two narrow letters) are sought in the texts themselves, of
  one owner or one conversation, newest first, as long as the time lasts.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from talekeeper.clock import Millis
from talekeeper.database.statements import Row, statement
from talekeeper.database.units import Reader
from talekeeper.domain.folding import composed, tokens
from talekeeper.domain.searching import FoundMessage, Query, SnippetPart, Sought, snippet
from talekeeper.errors import InvalidInput
from talekeeper.ids import AccountId, ConversationId, MessageId
from talekeeper.store.indexing import (
    conversation_token,
    is_caught_up,
    is_made,
    numbers,
    owner_token,
    words,
)

SECONDS: Final = 0.4
"""After so long a search is broken off: what is typed next should not wait for it."""
MAX_WALK: Final = 100_000
"""Messages of a path that are walked for one page at the most."""
_FIRST_BATCH: Final = 64
_LARGEST_BATCH: Final = 512
_NEWEST: Final = 1_000
"""Messages that PostgreSQL tries before it asks its inverted index."""
_RECENT: Final = 50
"""Conversations that are looked at for news which is not in the index."""
_EVER: Final = 1 << 62

_COLUMNS = """
    m.key, m.id, m.conversation_id, m.role, m.created_at, m.seq, m.provider, m.model, m.content
"""
_FILTERS = """
    c.owner_id = :owner_id
    AND m.deleted_by IS NULL
    AND c.deleted_at IS NULL
    AND m.created_at >= :since
    AND m.created_at < :until
    AND (:any_archive = 1 OR c.archived_at IS NULL)
    AND (:any_purpose = 1 OR c.purpose = :purpose)
    AND (:any_role = 1 OR m.role = :role)
    AND (:any_conversation = 1 OR m.conversation_id = :conversation_id)
"""
_FIND = statement(
    f"""
    -- CROSS JOIN: SQLite takes the tables in this order, the index first and from its end.
    SELECT {_COLUMNS}
    FROM search_index CROSS JOIN messages AS m CROSS JOIN conversations AS c
    WHERE search_index MATCH :words
      AND search_index.rowid < :before
      AND m.key = search_index.rowid
      AND c.id = m.conversation_id
      AND {_FILTERS}
    ORDER BY search_index.rowid DESC
    LIMIT :limit
    """,
    postgresql=f"""
    -- OFFSET 0: each message by its key. Left to itself, PostgreSQL goes through all of them.
    WITH s AS MATERIALIZED (
        SELECT message_key FROM search_index
        WHERE tokens @> CAST(:numbers AS integer[]) AND message_key < :before
    )
    SELECT {_COLUMNS}
    FROM (SELECT message_key FROM s ORDER BY message_key DESC) AS s
    CROSS JOIN LATERAL (SELECT * FROM messages WHERE key = s.message_key OFFSET 0) AS m
    JOIN conversations AS c ON c.id = m.conversation_id
    WHERE {_FILTERS}
    ORDER BY s.message_key DESC
    LIMIT :limit
    """,
)
_AMONG_THE_NEWEST = statement(
    postgresql=f"""
    SELECT {_COLUMNS}
    FROM (
        SELECT message_key, tokens FROM search_index
        WHERE message_key < :before
        ORDER BY message_key DESC
        LIMIT :newest
    ) AS s
    JOIN messages AS m ON m.key = s.message_key
    JOIN conversations AS c ON c.id = m.conversation_id
    WHERE s.tokens @> CAST(:numbers AS integer[]) AND {_FILTERS}
    ORDER BY s.message_key DESC
    LIMIT :limit
    """
)
_KEY = statement(
    """
    SELECT m.key FROM messages AS m JOIN conversations AS c ON c.id = m.conversation_id
    WHERE m.id = :id AND c.owner_id = :owner_id
    """
)
_RECENT_PLACES = statement(
    """
    SELECT c.seq, coalesce(p.seq, 0) AS place
    FROM conversations AS c
    LEFT JOIN places AS p
        ON p.follower = 'search' AND p.log_kind = 'conversation' AND p.log_id = c.id
    WHERE c.owner_id = :owner_id AND c.removed_at IS NULL
    ORDER BY c.activity DESC
    LIMIT :limit
    """
)
# From the active leaf upwards, as far as the eldest message that is asked for.
_ACTIVE_PATH = statement(
    """
    WITH RECURSIVE path (key, parent_key, depth) AS (
        SELECT m.key, m.parent_key, 1
        FROM conversations AS c JOIN messages AS m ON m.key = c.leaf_key
        WHERE c.id = :conversation_id
        UNION ALL
        SELECT m.key, m.parent_key, path.depth + 1
        FROM path JOIN messages AS m ON m.key = path.parent_key
        WHERE path.parent_key >= :eldest AND path.depth < :limit
    )
    SELECT key FROM path
    """
)


@dataclass(frozen=True, slots=True)
class Found:
    """A message that was found, where it is and the stretch that is shown of it."""

    key: int
    conversation_id: ConversationId
    message: FoundMessage
    snippet: tuple[SnippetPart, ...]


@dataclass(frozen=True, slots=True)
class FoundPage:
    """Newest first. `next` goes on from there, and is null when everything was looked at."""

    items: tuple[Found, ...]
    next: MessageId | None
    is_partial: bool


def search_texts(
    tx: Reader,
    query: Query,
    *,
    owner_id: AccountId,
    sought: Sought,
    after: MessageId | None,
    limit: int,
    seconds: float = SECONDS,
) -> FoundPage:
    """Up to `limit` of the account's messages that `query` finds, older than the message `after`.

    Raises InvalidInput for an `after` that is not the account's.
    """
    if not is_made(tx):
        return FoundPage((), None, is_partial=False)
    found: list[Found] = []
    before = _EVER if after is None else _key_of(tx, after, owner_id=owner_id)
    entered = _entered(query, owner_id=owner_id, sought=sought)
    patience = time.monotonic() + seconds
    batch = _FIRST_BATCH
    seen: Row | None = None
    while True:
        rows = _candidates(
            tx, entered, owner_id=owner_id, sought=sought, before=before, limit=batch
        )
        for row in rows:
            content = composed(row.content)
            if query.finds(content):
                if len(found) == limit:
                    return FoundPage(tuple(found), found[-1].message.id, is_partial=False)
                found.append(_found(row, snippet(content, query)))
            seen = row
        if len(rows) < batch:
            return FoundPage(tuple(found), None, is_partial=False)
        assert seen is not None
        if time.monotonic() > patience:
            return FoundPage(tuple(found), MessageId(seen.id), is_partial=True)
        before = seen.key
        batch = min(2 * batch, _LARGEST_BATCH)


def _entered(query: Query, *, owner_id: AccountId, sought: Sought) -> frozenset[int]:
    """What a message must be entered under to come into question."""
    scopes = [owner_token(owner_id)]
    if sought.conversation_id is not None:
        scopes.append(conversation_token(sought.conversation_id))
    return frozenset(scopes).union(*map(tokens, query.wanted))


def _candidates(
    tx: Reader,
    entered: frozenset[int],
    *,
    owner_id: AccountId,
    sought: Sought,
    before: int,
    limit: int,
) -> list[Row]:
    """Messages before a key that the index and the filters let through, newest first."""
    asked: dict[str, object] = {
        "owner_id": owner_id,
        "before": before,
        "limit": limit,
        "since": sought.since or 0,
        "until": _EVER if sought.until is None else sought.until,
        "any_archive": int(sought.with_archived),
        "any_purpose": int(sought.purpose is None),
        "purpose": sought.purpose or "",
        "any_role": int(sought.role is None),
        "role": sought.role or "",
        "any_conversation": int(sought.conversation_id is None),
        "conversation_id": sought.conversation_id or "",
    }
    if tx.engine == "sqlite":
        # Numbers without signs are words to the full-text parser: nothing typed ever reaches it.
        return tx.all(_FIND, words=words(entered), **asked)
    asked["numbers"] = numbers(entered)
    rows = tx.all(_AMONG_THE_NEWEST, newest=_NEWEST, **asked)
    return rows if len(rows) == limit else tx.all(_FIND, **asked)


def _key_of(tx: Reader, message_id: MessageId, *, owner_id: AccountId) -> int:
    row = tx.first(_KEY, id=message_id, owner_id=owner_id)
    if row is None:
        raise InvalidInput("The page to go on from is gone. Search again.")
    return row.key


def _found(row: Row, shown: tuple[SnippetPart, ...]) -> Found:
    message = FoundMessage(
        id=MessageId(row.id),
        role=row.role,
        created_at=Millis(row.created_at),
        seq=row.seq,
        provider=row.provider,
        model=row.model,
    )
    return Found(row.key, ConversationId(row.conversation_id), message, shown)


def on_active_paths(tx: Reader, found: Sequence[Found]) -> set[int]:
    """The keys of those that stand on the active path of their conversation.

    One walk a conversation, from its leaf to the eldest that was found there. Of paths longer than
    MAX_WALK together, what lies beyond is not among them.
    """
    by_conversation: dict[ConversationId, list[int]] = {}
    for each in found:
        by_conversation.setdefault(each.conversation_id, []).append(each.key)
    left, active = MAX_WALK, set[int]()
    for conversation_id, keys in by_conversation.items():
        if left <= 0:
            break
        walked = tx.all(_ACTIVE_PATH, conversation_id=conversation_id, eldest=min(keys), limit=left)
        left -= len(walked)
        active |= {row.key for row in walked}.intersection(keys)
    return active


def is_behind(tx: Reader, *, owner_id: AccountId) -> bool:
    """Something of the account's is not in the index yet.

    What is news happened in a conversation of the newest activity, unless much is behind, which
    the index knows of itself.
    """
    if not is_made(tx) or not is_caught_up(tx):
        return True
    places = tx.all(_RECENT_PLACES, owner_id=owner_id, limit=_RECENT)
    return any(row.seq > row.place for row in places)
