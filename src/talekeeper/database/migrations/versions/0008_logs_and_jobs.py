"""Logs of accounts, times of events, places of followers, jobs with results, growing enumerations.

On SQLite a constraint goes only with its table, so tables are written again; foreign keys are not
enforced while migrations run. The messages' table stays as it is.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def Whole() -> sa.types.TypeEngine[int]:  # noqa: N802
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def Real() -> sa.types.TypeEngine[float]:  # noqa: N802
    return sa.Double[float]().with_variant(sa.REAL(), "sqlite")


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _write_tokens_again()
        _write_conversations_again()
    else:
        op.drop_constraint("ck_access_tokens_kind", "access_tokens")
        op.drop_constraint("ck_conversations_purpose", "conversations")
        op.drop_constraint("ck_conversations_role", "conversations")
    op.add_column(
        "accounts", sa.Column("seq", Whole(), nullable=False, server_default=sa.text("0"))
    )
    _write_jobs_again()
    _write_events_again()
    _add_tombstones()
    _add_places()


def _write_tokens_again() -> None:
    op.create_table(
        "new_access_tokens",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("created_at", Whole(), nullable=False),
        sa.Column("expires_at", Whole(), nullable=True),
        sa.Column("last_used_at", Whole(), nullable=True),
        sa.Column("used_at", Whole(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_access_tokens_account_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_access_tokens"),
        sa.UniqueConstraint("hash", name="uq_access_tokens_hash"),
        sqlite_strict=True,
    )
    _replace(
        "access_tokens",
        "id, account_id, kind, hash, created_at, expires_at, last_used_at, used_at",
    )
    op.create_index("ix_access_tokens_account_id", "access_tokens", ["account_id"])


def _write_conversations_again() -> None:
    op.create_table(
        "new_conversations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("title_by", sa.Text(), nullable=False, server_default="first_words"),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("activity", Whole(), nullable=False),
        sa.Column("seq", Whole(), nullable=False),
        sa.Column("epoch", Whole(), nullable=False),
        sa.Column("leaf_key", Whole(), nullable=True),
        sa.Column("message_count", Whole(), nullable=False, server_default=sa.text("0")),
        sa.Column("characters", Whole(), nullable=False, server_default=sa.text("0")),
        sa.Column("pinned", Whole(), nullable=False, server_default=sa.text("0")),
        sa.Column("archived_at", Whole(), nullable=True),
        sa.Column("deleted_at", Whole(), nullable=True),
        sa.Column("removed_at", Whole(), nullable=True),
        sa.Column("provider", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("created_at", Whole(), nullable=False),
        sa.Column("updated_at", Whole(), nullable=False),
        sa.Column("temperature", Real(), nullable=True),
        sa.Column("top_p", Real(), nullable=True),
        sa.Column("max_tokens", Whole(), nullable=True),
        sa.Column("longest_request", Whole(), nullable=True),
        sa.CheckConstraint(
            "title_by IN ('first_words', 'model', 'person')", name="ck_conversations_title_by"
        ),
        sa.CheckConstraint("pinned IN (0, 1)", name="ck_conversations_pinned"),
        sa.CheckConstraint(
            "removed_at IS NULL OR deleted_at IS NOT NULL",
            name="ck_conversations_removed_from_trash",
        ),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["accounts.id"], name="fk_conversations_owner_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_conversations"),
        sqlite_strict=True,
    )
    _replace(
        "conversations",
        "id, owner_id, title, title_by, purpose, role, activity, seq, epoch, leaf_key,"
        " message_count, characters, pinned, archived_at, deleted_at, removed_at, provider, model,"
        " created_at, updated_at, temperature, top_p, max_tokens, longest_request",
    )
    op.create_index(
        "ix_conversations_owner_id_activity_id", "conversations", ["owner_id", "activity", "id"]
    )
    for name, columns, is_unique, where in (
        (
            "ix_conversations_active",
            ["owner_id", "pinned", "activity", "id"],
            False,
            "archived_at IS NULL AND deleted_at IS NULL",
        ),
        (
            "ix_conversations_archived",
            ["owner_id", "activity", "id"],
            False,
            "archived_at IS NOT NULL AND deleted_at IS NULL",
        ),
        (
            "ix_conversations_trash",
            ["owner_id", "activity", "id"],
            False,
            "deleted_at IS NOT NULL",
        ),
        ("ix_conversations_deleted_at", ["deleted_at"], False, "deleted_at IS NOT NULL"),
        (
            "uq_conversations_current",
            ["owner_id"],
            True,
            "role = 'current_global' AND archived_at IS NULL AND deleted_at IS NULL",
        ),
    ):
        op.create_index(
            name, "conversations", columns, unique=is_unique, sqlite_where=sa.text(where)
        )


def _replace(table: str, columns: str) -> None:
    """The rows of `table` move into `new_…`, which takes its name: references are by name."""
    op.execute(f"INSERT INTO new_{table} ({columns}) SELECT {columns} FROM {table}")
    op.execute(f"DROP TABLE {table}")
    op.execute(f"ALTER TABLE new_{table} RENAME TO {table}")


def _set_aside(table: str, *, constraints: tuple[str, ...], indexes: tuple[str, ...]) -> None:
    """`table` is called `old_…`, and the names of its constraints and indexes are free."""
    for index in indexes:
        op.drop_index(index, table_name=table)
    if op.get_bind().dialect.name == "postgresql":  # on SQLite only indexes need names of their own
        for constraint in constraints:
            op.drop_constraint(constraint, table)
    op.execute(f"ALTER TABLE {table} RENAME TO old_{table}")


def _write_jobs_again() -> None:
    _set_aside(
        "jobs",
        constraints=("pk_jobs", "uq_jobs_kind_unique_key"),
        indexes=("ix_jobs_due", "ix_jobs_conversation_id"),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=True),
        sa.Column("unique_key", sa.Text(), nullable=True),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("progress", Whole(), nullable=False),
        sa.Column("progress_of", Whole(), nullable=True),
        sa.Column("attempts", Whole(), nullable=False),
        sa.Column("run_at", Whole(), nullable=False),
        sa.Column("lease_until", Whole(), nullable=True),
        sa.Column("boot_id", sa.Text(), nullable=True),
        sa.Column("cancel_asked_at", Whole(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("created_at", Whole(), nullable=False),
        sa.Column("updated_at", Whole(), nullable=False),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'done', 'failed', 'cancelled')", name="ck_jobs_state"
        ),
        sa.CheckConstraint("progress >= 0 AND progress <= progress_of", name="ck_jobs_progress"),
        sa.CheckConstraint(
            "(state = 'running') = (lease_until IS NOT NULL)"
            " AND (state = 'running') = (boot_id IS NOT NULL)",
            name="ck_jobs_running_has_lease",
        ),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["accounts.id"], name="fk_jobs_owner_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name="fk_jobs_conversation_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sqlite_strict=True,
    )
    op.execute(
        "INSERT INTO jobs (id, kind, owner_id, conversation_id, unique_key, payload, state,"
        " progress, attempts, run_at, lease_until, boot_id, error_code, created_at, updated_at)"
        " SELECT id, kind, owner_id, conversation_id, unique_key, '{}', state,"
        " 0, attempts, run_at, lease_until, boot_id, error_code, created_at, updated_at"
        " FROM old_jobs"
    )
    op.execute("DROP TABLE old_jobs")
    for name, columns, is_unique, where in (
        ("ix_jobs_due", ["run_at"], False, "state IN ('queued', 'running')"),
        ("uq_jobs_pending", ["kind", "unique_key"], True, "state IN ('queued', 'running')"),
        ("ix_jobs_ended", ["updated_at"], False, "state NOT IN ('queued', 'running')"),
    ):
        op.create_index(
            name,
            "jobs",
            columns,
            unique=is_unique,
            sqlite_where=sa.text(where),
            postgresql_where=sa.text(where),
        )
    op.create_index("ix_jobs_conversation_id", "jobs", ["conversation_id"])


def _write_events_again() -> None:
    _set_aside("events", constraints=("pk_events",), indexes=())
    op.create_table(
        "events",
        sa.Column("log_kind", sa.Text(), nullable=False),
        sa.Column("log_id", sa.Text(), nullable=False),
        sa.Column("seq", Whole(), nullable=False),
        sa.Column("at", Whole(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("message_key", Whole(), nullable=True),
        sa.Column("subject_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("log_kind", "log_id", "seq", name="pk_events"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    # No event had a time: it gets the nearest that its message, or its conversation, has.
    op.execute(
        "INSERT INTO events (log_kind, log_id, seq, at, kind, message_key)"
        " SELECT 'conversation', e.conversation_id, e.seq,"
        " CASE WHEN e.kind = 'message_added' AND m.key IS NOT NULL THEN m.created_at"
        " WHEN m.key IS NOT NULL THEN m.updated_at"
        " WHEN e.seq = 1 THEN c.created_at ELSE c.updated_at END,"
        " e.kind, e.message_key"
        " FROM old_events AS e JOIN conversations AS c ON c.id = e.conversation_id"
        " LEFT JOIN messages AS m ON m.key = e.message_key"
        " ORDER BY e.conversation_id, e.seq"
    )
    op.execute("DROP TABLE old_events")
    where = sa.text("kind = 'conversation_gone'")
    op.create_index(
        "ix_events_gone", "events", ["subject_id"], sqlite_where=where, postgresql_where=where
    )


def _add_tombstones() -> None:
    """What was removed and is still going, and what was emptied, has an event that says so."""
    # A copy in the making bears the time 0: it was never shown, so its end is not told.
    going = "removed_at IS NOT NULL AND deleted_at > 0"
    op.execute(
        "INSERT INTO events (log_kind, log_id, seq, at, kind, subject_id)"
        " SELECT 'account', owner_id, row_number() OVER (PARTITION BY owner_id"
        " ORDER BY removed_at, id), removed_at, 'conversation_gone', id"
        f" FROM conversations WHERE {going}"
    )
    op.execute(
        "UPDATE accounts SET seq = (SELECT count(*) FROM conversations"
        f" WHERE owner_id = accounts.id AND {going})"
    )
    op.execute(
        "INSERT INTO events (log_kind, log_id, seq, at, kind, message_key)"
        " SELECT 'conversation', c.id, c.seq + row_number() OVER (PARTITION BY c.id"
        " ORDER BY m.key), m.emptied_at, 'message_emptied', m.key"
        " FROM messages AS m JOIN conversations AS c ON c.id = m.conversation_id"
        " WHERE m.emptied_at IS NOT NULL AND c.removed_at IS NULL"
    )
    op.execute(
        "UPDATE conversations SET seq = seq + emptied.messages"
        " FROM (SELECT log_id, count(*) AS messages FROM events"
        " WHERE kind = 'message_emptied' GROUP BY log_id) AS emptied"
        " WHERE emptied.log_id = conversations.id"
    )


def _add_places() -> None:
    op.create_table(
        "places",
        sa.Column("follower", sa.Text(), nullable=False),
        sa.Column("log_kind", sa.Text(), nullable=False),
        sa.Column("log_id", sa.Text(), nullable=False),
        sa.Column("seq", Whole(), nullable=False),
        sa.PrimaryKeyConstraint("follower", "log_kind", "log_id", name="pk_places"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO places (follower, log_kind, log_id, seq)"
        " SELECT 'search', 'conversation', p.conversation_id, p.seq FROM search_places AS p"
        " JOIN conversations AS c ON c.id = p.conversation_id WHERE c.removed_at IS NULL"
    )
    op.drop_table("search_places")
