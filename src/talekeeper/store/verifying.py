"""Verifying: every invariant derived again from the rows. An empty list says that all of them hold.

Each rule is a query for what breaks it, so a violation names the row. Constraints of the schema
are not repeated here, except where one engine could have been written to without them.
"""

from typing import Final

from talekeeper.store.indexing import misindexed
from talekeeper.store.statements import Engine, Statement, statement
from talekeeper.store.store import Store
from talekeeper.store.units import Reader

_RULES: Final[tuple[tuple[str, Statement], ...]] = (
    (
        "conversation {}: its log does not run from 1 to its seq without a gap",
        statement(
            """
            SELECT c.id FROM conversations AS c
            LEFT JOIN (
                SELECT conversation_id, count(*) AS events, min(seq) AS first, max(seq) AS last
                FROM events
                GROUP BY conversation_id
            ) AS log ON log.conversation_id = c.id
            WHERE coalesce(log.events, 0) != c.seq
               OR coalesce(log.last, 0) != c.seq
               OR coalesce(log.first, 1) != 1
            """
        ),
    ),
    (
        "message {}: not exactly one event of its conversation, at its seq, tells that it was added",
        statement(
            """
            SELECT m.id FROM messages AS m
            LEFT JOIN (
                SELECT message_key, count(*) AS events FROM events
                WHERE kind = 'message_added'
                GROUP BY message_key
            ) AS added ON added.message_key = m.key
            WHERE coalesce(added.events, 0) != 1
            """
        ),
    ),
    (
        "message {}: the event at its seq tells of something else",
        statement(
            """
            SELECT m.id FROM messages AS m
            WHERE NOT EXISTS (
                SELECT 1 FROM events AS e
                WHERE e.conversation_id = m.conversation_id
                  AND e.seq = m.seq
                  AND e.kind = 'message_added'
                  AND e.message_key = m.key
            )
            """
        ),
    ),
    (
        "message {}: its parent is in another conversation, or is not elder",
        statement(
            """
            SELECT m.id FROM messages AS m JOIN messages AS parent ON parent.key = m.parent_key
            WHERE parent.conversation_id != m.conversation_id
               OR parent.seq >= m.seq
               OR parent.key >= m.key
            """
        ),
    ),
    (
        "message {}: its parent is missing",
        statement(
            """
            SELECT m.id FROM messages AS m LEFT JOIN messages AS parent ON parent.key = m.parent_key
            WHERE m.parent_key IS NOT NULL AND parent.key IS NULL
            """
        ),
    ),
    (
        "conversation {}: its active leaf is missing, deleted, of another conversation, or no leaf",
        statement(
            """
            SELECT c.id FROM conversations AS c LEFT JOIN messages AS leaf ON leaf.key = c.leaf_key
            WHERE c.leaf_key IS NOT NULL
              AND (
                    leaf.key IS NULL
                    OR leaf.conversation_id != c.id
                    OR leaf.deleted_by IS NOT NULL
                    OR EXISTS (
                        SELECT 1 FROM messages AS child
                        WHERE child.parent_key = leaf.key
                          AND child.conversation_id = c.id
                          AND child.deleted_by IS NULL
                    )
              )
            """
        ),
    ),
    (
        "conversation {}: it has messages and no active leaf",
        statement(
            """
            SELECT id FROM conversations
            WHERE leaf_key IS NULL AND message_count > 0 AND removed_at IS NULL
            """
        ),
    ),
    (
        "conversation {}: it does not hold as many messages or characters as it says",
        statement(
            """
            SELECT c.id FROM conversations AS c
            LEFT JOIN (
                SELECT conversation_id, count(*) AS messages, sum(length(content)) AS characters
                FROM messages
                WHERE deleted_by IS NULL
                GROUP BY conversation_id
            ) AS held ON held.conversation_id = c.id
            WHERE c.removed_at IS NULL
              AND (
                    coalesce(held.messages, 0) != c.message_count
                    OR coalesce(held.characters, 0) != c.characters
              )
            """
        ),
    ),
    (
        "message {}: what it stands under was deleted, and it was not",
        statement(
            """
            SELECT m.id FROM messages AS m JOIN messages AS parent ON parent.key = m.parent_key
            WHERE m.deleted_by IS NULL AND parent.deleted_by IS NOT NULL
            """
        ),
    ),
    (
        "message {}: it was deleted with one that does not stand above it, or that was not deleted",
        statement(
            """
            SELECT m.id FROM messages AS m
            LEFT JOIN messages AS parent ON parent.key = m.parent_key
            LEFT JOIN messages AS top ON top.key = m.deleted_by
            WHERE m.deleted_by IS NOT NULL
              AND (
                    top.deleted_at IS NULL
                    OR top.deleted_by != top.key
                    OR (m.deleted_by != m.key AND coalesce(parent.deleted_by, 0) != m.deleted_by)
                    OR (m.deleted_by != m.key AND m.deleted_at IS NOT NULL)
              )
            """
        ),
    ),
    (
        "message {}: it grows, and was deleted",
        statement(
            """
            SELECT id FROM messages WHERE status IN ('pending', 'streaming') AND deleted_by IS NOT NULL
            """
        ),
    ),
    (
        "generation {}: it runs in the trash",
        statement(
            """
            SELECT g.id FROM generations AS g JOIN conversations AS c ON c.id = g.conversation_id
            WHERE g.status = 'running' AND c.deleted_at IS NOT NULL
            """
        ),
    ),
    (
        "message {}: it grows, but no running generation fills it",
        statement(
            """
            SELECT m.id FROM messages AS m
            WHERE m.status IN ('pending', 'streaming')
              AND NOT EXISTS (
                    SELECT 1 FROM generations AS g
                    WHERE g.id = m.generation_id AND g.status = 'running' AND g.message_key = m.key
              )
            """
        ),
    ),
    (
        "generation {}: it runs, but its message does not grow by it",
        statement(
            """
            SELECT g.id FROM generations AS g JOIN messages AS m ON m.key = g.message_key
            WHERE g.status = 'running'
              AND (
                    m.status NOT IN ('pending', 'streaming')
                    OR m.generation_id != g.id
                    OR m.conversation_id != g.conversation_id
              )
            """
        ),
    ),
    (
        "generation {}: its epoch is not its own in its conversation",
        statement(
            """
            SELECT g.id FROM generations AS g JOIN conversations AS c ON c.id = g.conversation_id
            WHERE g.epoch > c.epoch
               OR EXISTS (
                    SELECT 1 FROM generations AS other
                    WHERE other.conversation_id = g.conversation_id
                      AND other.epoch = g.epoch
                      AND other.id != g.id
               )
            """
        ),
    ),
    (
        "generation {}: another one ran after it, yet it is running",
        statement(
            """
            SELECT g.id FROM generations AS g JOIN conversations AS c ON c.id = g.conversation_id
            WHERE g.status = 'running' AND g.epoch != c.epoch
            """
        ),
    ),
    (
        "message {}: it says why it was ended, and did not come to its end",
        statement(
            """
            SELECT id FROM messages
            WHERE finish_reason IS NOT NULL AND (role != 'assistant' OR status != 'complete')
            """
        ),
    ),
    (
        "message {}: its state is not how its latest generation ended",
        statement(
            """
            SELECT m.id FROM messages AS m JOIN generations AS g ON g.id = m.generation_id
            WHERE g.status != 'running'
              AND (
                    (g.status = 'finished' AND m.status != 'complete')
                    OR (g.status != 'finished' AND m.status != g.status)
              )
            """
        ),
    ),
    (
        "job {}: it is another account's than its conversation",
        statement(
            """
            SELECT j.id FROM jobs AS j JOIN conversations AS c ON c.id = j.conversation_id
            WHERE j.owner_id != c.owner_id
            """
        ),
    ),
    (
        "generation {}: it has ended, but its chunks were not folded",
        statement(
            """
            SELECT g.id FROM generations AS g
            WHERE g.status != 'running'
              AND EXISTS (SELECT 1 FROM chunks WHERE chunks.generation_id = g.id)
            """
        ),
    ),
    (
        "generation {}: its chunks do not go on from where its message stops, without gap or double",
        statement(
            """
            SELECT g.id FROM generations AS g
            JOIN (
                SELECT
                    generation_id,
                    sum(length(text)) AS characters,
                    min(start_offset) AS first,
                    max(start_offset + length(text)) AS reached
                FROM chunks
                GROUP BY generation_id
            ) AS grown ON grown.generation_id = g.id
            JOIN messages AS m ON m.key = g.message_key
            WHERE grown.first != g.start_offset
               OR grown.first != length(m.content)
               OR grown.reached - grown.first != grown.characters
            """
        ),
    ),
)

_FOREIGN_KEYS: Final = statement(sqlite="PRAGMA foreign_key_check")
_INTEGRITY: Final = statement(sqlite="PRAGMA integrity_check")


async def verify(store: Store) -> list[str]:
    """Every violation found, in words that name the row. Reads everything: not for everyday."""
    return await store.read(lambda tx: violations(tx, store.engine))


def violations(tx: Reader, engine: Engine) -> list[str]:
    """What `verify` finds, within a snapshot that stands."""
    found = [sentence.format(row.id) for sentence, rule in _RULES for row in tx.all(rule)]
    found += misindexed(tx)
    if engine == "sqlite":
        found += [f"table {row.table}: a row refers to nothing" for row in tx.all(_FOREIGN_KEYS)]
        found += [f"database: {fault}" for (fault,) in tx.all(_INTEGRITY) if fault != "ok"]
    return found
