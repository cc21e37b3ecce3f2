"""Verifying: every invariant derived again from the rows. An empty list says that all of them hold.

Each rule is a query for what breaks it, so a violation names the row. Constraints of the schema
are not repeated here, except where one engine could have been written to without them.
"""

from typing import Final

from talekeeper.database.statements import Engine, Statement, statement
from talekeeper.database.store import Store
from talekeeper.database.units import Reader
from talekeeper.domain.accounts import TOKEN_KINDS
from talekeeper.domain.connections import KINDS
from talekeeper.domain.conversations import CONVERSATION_ROLES, PURPOSES
from talekeeper.domain.events import EVENT_KINDS, LOG_KINDS, OF_MESSAGES
from talekeeper.domain.jobs import JOB_KINDS
from talekeeper.store.indexing import misindexed
from talekeeper.store.places import FOLLOWERS
from talekeeper.store.thoughts import misparted

_LOGS: Final = """
    SELECT log_kind, log_id, count(*) AS events, min(seq) AS first, max(seq) AS last
    FROM events
    GROUP BY log_kind, log_id
"""
_RULES: Final[tuple[tuple[str, Statement], ...]] = (
    (
        "conversation {}: its log does not run from 1 to its seq without a gap",
        # The log of one that is going, or is being copied, goes or grows from its end.
        statement(
            f"""
            SELECT c.id FROM conversations AS c
            LEFT JOIN ({_LOGS}) AS log ON log.log_kind = 'conversation' AND log.log_id = c.id
            WHERE coalesce(log.last, 0) > c.seq
               OR coalesce(log.last, 0) != coalesce(log.events, 0)
               OR coalesce(log.first, 1) != 1
               OR (c.removed_at IS NULL AND coalesce(log.last, 0) != c.seq)
            """
        ),
    ),
    (
        "account {}: its log does not run from 1 to its seq without a gap",
        statement(
            f"""
            SELECT a.id FROM accounts AS a
            LEFT JOIN ({_LOGS}) AS log ON log.log_kind = 'account' AND log.log_id = a.id
            WHERE coalesce(log.last, 0) != a.seq
               OR coalesce(log.events, 0) != a.seq
               OR coalesce(log.first, 1) != 1
            """
        ),
    ),
    (
        "log {}: it is of nothing that there is",
        statement(
            f"""
            SELECT log.log_id AS id FROM ({_LOGS}) AS log
            WHERE NOT EXISTS (
                SELECT 1 FROM conversations AS c
                WHERE log.log_kind = 'conversation' AND c.id = log.log_id
            )
            AND NOT EXISTS (
                SELECT 1 FROM accounts AS a WHERE log.log_kind = 'account' AND a.id = log.log_id
            )
            """
        ),
    ),
    (
        "conversation {}: a log tells that it was removed, and it was not",
        statement(
            """
            SELECT c.id FROM conversations AS c
            JOIN events AS e ON e.kind = 'conversation_gone' AND e.subject_id = c.id
            WHERE c.removed_at IS NULL
            """
        ),
    ),
    (
        "place in {}: it is ahead of its log",
        statement(
            """
            SELECT p.log_id AS id FROM places AS p
            LEFT JOIN conversations AS c ON p.log_kind = 'conversation' AND c.id = p.log_id
            LEFT JOIN accounts AS a ON p.log_kind = 'account' AND a.id = p.log_id
            WHERE p.seq > coalesce(c.seq, a.seq)
            """
        ),
    ),
    (
        "message {}: it was emptied, and not exactly one event tells so",
        statement(
            """
            SELECT m.id FROM messages AS m
            JOIN conversations AS c ON c.id = m.conversation_id AND c.removed_at IS NULL
            LEFT JOIN (
                SELECT message_key, count(*) AS events FROM events
                WHERE kind = 'message_emptied'
                GROUP BY message_key
            ) AS emptied ON emptied.message_key = m.key
            WHERE coalesce(emptied.events, 0) != CASE WHEN m.emptied_at IS NULL THEN 0 ELSE 1 END
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
                WHERE e.log_kind = 'conversation'
                  AND e.log_id = m.conversation_id
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
        "job {}: it has a result, and was not done",
        statement("SELECT id FROM jobs WHERE result IS NOT NULL AND state != 'done'"),
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
    (
        "message {}: the pieces of a thought do not go on from its beginning, without gap or double",
        statement(
            """
            SELECT m.id FROM messages AS m
            JOIN (
                SELECT
                    message_key,
                    sum(length(text)) AS characters,
                    min(start_offset) AS first,
                    max(start_offset + length(text)) AS reached
                FROM thoughts
                GROUP BY message_key, position
            ) AS thought ON thought.message_key = m.key
            WHERE thought.first != 0 OR thought.reached != thought.characters
            """
        ),
    ),
    (
        "message {}: it was emptied, and what was thought for it was not",
        statement(
            """
            SELECT m.id FROM messages AS m
            WHERE m.emptied_at IS NOT NULL
              AND (
                    m.parts IS NOT NULL
                    OR EXISTS (SELECT 1 FROM thoughts AS t WHERE t.message_key = m.key)
              )
            """
        ),
    ),
)

# Enumerations that grow, of which the database knows no list: every value that is stored.
_VALUES: Final = statement(
    """
    SELECT 'purpose' AS what, purpose AS value FROM conversations
    UNION SELECT 'role of a conversation', role FROM conversations WHERE role IS NOT NULL
    UNION SELECT 'kind of token', kind FROM access_tokens
    UNION SELECT 'kind of job', kind FROM jobs
    UNION SELECT 'kind of connection', kind FROM connections
    UNION SELECT 'kind of log', log_kind FROM events
    UNION SELECT 'kind of event', kind FROM events
    UNION SELECT 'follower', follower FROM places
    """
)


def _known_values() -> dict[str, frozenset[str]]:
    return {
        "purpose": PURPOSES,
        "role of a conversation": CONVERSATION_ROLES,
        "kind of token": TOKEN_KINDS,
        "kind of job": JOB_KINDS,
        "kind of connection": frozenset(KINDS),
        "kind of log": LOG_KINDS,
        "kind of event": EVENT_KINDS,
        "follower": FOLLOWERS,
    }


# An event names a message of its conversation, or the id of something else, or the conversation.
_EVENTS: Final = statement(
    """
    SELECT DISTINCT
        log_kind, kind, message_key IS NOT NULL AS has_message, subject_id IS NOT NULL AS has_subject
    FROM events
    """
)
_FOREIGN_KEYS: Final = statement(sqlite="PRAGMA foreign_key_check")
_INTEGRITY: Final = statement(sqlite="PRAGMA integrity_check")


async def verify(store: Store) -> list[str]:
    """Every violation found, in words that name the row. Reads everything: not for everyday."""
    return await store.read(lambda tx: violations(tx, store.engine))


def violations(tx: Reader, engine: Engine) -> list[str]:
    """What `verify` finds, within a snapshot that stands."""
    found = [sentence.format(row.id) for sentence, rule in _RULES for row in tx.all(rule)]
    known = _known_values()
    found += [
        f"{row.what} “{row.value}”: this version knows none of that name"
        for row in tx.all(_VALUES)
        if row.value not in known[row.what]
    ]
    found += [
        f"events “{row.kind}”: some do not name what they are about, or stand in another's log"
        for row in tx.all(_EVENTS)
        if (row.log_kind == "account", bool(row.has_message), bool(row.has_subject))
        != (
            row.kind == "conversation_gone",
            row.kind in OF_MESSAGES,
            row.kind == "conversation_gone",
        )
    ]
    found += misindexed(tx)
    found += misparted(tx)
    if engine == "sqlite":
        found += [f"table {row.table}: a row refers to nothing" for row in tx.all(_FOREIGN_KEYS)]
        found += [f"database: {fault}" for (fault,) in tx.all(_INTEGRITY) if fault != "ok"]
    return found
