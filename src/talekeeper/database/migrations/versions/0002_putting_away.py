"""Conversations put away: pinned, archived, in the trash; bookmarks, branches taken back, counters."""

from alembic import op

revision = "0002"
down_revision = "0001"

# Spelled out: SQLite adds a column together with its constraints, or not at all.
_COLUMNS = (
    (
        "conversations",
        (
            "title_by TEXT DEFAULT 'first_words' NOT NULL CONSTRAINT ck_conversations_title_by"
            " CHECK (title_by IN ('first_words', 'model', 'person'))"
        ),
    ),
    ("conversations", "message_count BIGINT DEFAULT 0 NOT NULL"),
    ("conversations", "characters BIGINT DEFAULT 0 NOT NULL"),
    (
        "conversations",
        (
            "pinned BIGINT DEFAULT 0 NOT NULL CONSTRAINT ck_conversations_pinned"
            " CHECK (pinned IN (0, 1))"
        ),
    ),
    ("conversations", "archived_at BIGINT"),
    ("conversations", "deleted_at BIGINT"),
    (
        "conversations",
        (
            "removed_at BIGINT CONSTRAINT ck_conversations_removed_from_trash"
            " CHECK (removed_at IS NULL OR deleted_at IS NOT NULL)"
        ),
    ),
    ("messages", "bookmark TEXT"),
    ("messages", "deleted_at BIGINT"),
    (
        "messages",
        (
            "deleted_by BIGINT CONSTRAINT ck_messages_deleted_with_itself"
            " CHECK (deleted_at IS NULL OR deleted_by IS NOT NULL)"
        ),
    ),
    (
        "messages",
        (
            "emptied_at BIGINT CONSTRAINT ck_messages_emptied"
            " CHECK (emptied_at IS NULL OR (deleted_by IS NOT NULL AND content = ''))"
        ),
    ),
)

_STATEMENTS = (
    "DROP INDEX uq_conversations_current",
    (
        "CREATE UNIQUE INDEX uq_conversations_current ON conversations (owner_id)"
        " WHERE role = 'current_global' AND archived_at IS NULL AND deleted_at IS NULL"
    ),
    (
        "CREATE INDEX ix_conversations_active ON conversations (owner_id, pinned, activity, id)"
        " WHERE archived_at IS NULL AND deleted_at IS NULL"
    ),
    (
        "CREATE INDEX ix_conversations_archived ON conversations (owner_id, activity, id)"
        " WHERE archived_at IS NOT NULL AND deleted_at IS NULL"
    ),
    (
        "CREATE INDEX ix_conversations_trash ON conversations (owner_id, activity, id)"
        " WHERE deleted_at IS NOT NULL"
    ),
    (
        "CREATE INDEX ix_conversations_deleted_at ON conversations (deleted_at)"
        " WHERE deleted_at IS NOT NULL"
    ),
    (
        "CREATE INDEX ix_messages_bookmarked ON messages (conversation_id, seq)"
        " WHERE bookmark IS NOT NULL"
    ),
    "CREATE INDEX ix_messages_deleted_by ON messages (deleted_by) WHERE deleted_by IS NOT NULL",
    (
        "CREATE INDEX ix_messages_to_be_emptied ON messages (deleted_at)"
        " WHERE deleted_at IS NOT NULL AND emptied_at IS NULL"
    ),
    # Nobody wrote down who gave the titles there are: none of them may be replaced.
    "UPDATE conversations SET title_by = 'person' WHERE title <> ''",
    (
        "UPDATE conversations SET message_count = counted.messages, characters = counted.characters"
        " FROM (SELECT conversation_id, count(*) AS messages,"
        " CAST(sum(length(content)) AS BIGINT) AS characters"
        " FROM messages GROUP BY conversation_id) AS counted"
        " WHERE counted.conversation_id = conversations.id"
    ),
)


def upgrade() -> None:
    whole = "INTEGER" if op.get_context().dialect.name == "sqlite" else "BIGINT"
    for table, column in _COLUMNS:
        op.execute(f"ALTER TABLE {table} ADD COLUMN {column.replace('BIGINT', whole)}")
    for statement in _STATEMENTS:
        op.execute(statement.replace("BIGINT", whole))
