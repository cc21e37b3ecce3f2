"""Accounts, conversations, messages, generations and the event log."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def Whole() -> sa.types.TypeEngine[int]:  # noqa: N802
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("is_admin", Whole(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("created_at", Whole(), nullable=False),
        sa.CheckConstraint("is_admin IN (0, 1)", name="ck_accounts_is_admin"),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
        sa.UniqueConstraint("name_key", name="uq_accounts_name_key"),
        sqlite_strict=True,
    )
    op.create_table(
        "installation",
        sa.Column("id", Whole(), autoincrement=False, nullable=False),
        sa.Column("installation_id", sa.Text(), nullable=False),
        sa.Column("created_at", Whole(), nullable=False),
        sa.CheckConstraint("id = 1", name="ck_installation_one_row"),
        sa.PrimaryKeyConstraint("id", name="pk_installation"),
        sqlite_strict=True,
    )
    op.create_table(
        "processes",
        sa.Column("boot_id", sa.Text(), nullable=False),
        sa.Column("started_at", Whole(), nullable=False),
        sa.Column("lease_until", Whole(), nullable=False),
        sa.PrimaryKeyConstraint("boot_id", name="pk_processes"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "access_tokens",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("created_at", Whole(), nullable=False),
        sa.Column("expires_at", Whole(), nullable=True),
        sa.Column("last_used_at", Whole(), nullable=True),
        sa.Column("used_at", Whole(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('bearer', 'session', 'login', 'control')", name="ck_access_tokens_kind"
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_access_tokens_account_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_access_tokens"),
        sa.UniqueConstraint("hash", name="uq_access_tokens_hash"),
        sqlite_strict=True,
    )
    op.create_index("ix_access_tokens_account_id", "access_tokens", ["account_id"], unique=False)
    op.create_table(
        "conversations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("activity", Whole(), nullable=False),
        sa.Column("seq", Whole(), nullable=False),
        sa.Column("epoch", Whole(), nullable=False),
        sa.Column("leaf_key", Whole(), nullable=True),
        sa.Column("provider", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("created_at", Whole(), nullable=False),
        sa.Column("updated_at", Whole(), nullable=False),
        sa.CheckConstraint(
            "purpose IN ('general', 'campaign_creation', 'session_planning', 'npc_generation', 'world_building', 'character_background')",
            name="ck_conversations_purpose",
        ),
        sa.CheckConstraint("role IN ('current_global')", name="ck_conversations_role"),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["accounts.id"], name="fk_conversations_owner_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_conversations"),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_conversations_owner_id_activity_id",
        "conversations",
        ["owner_id", "activity", "id"],
        unique=False,
    )
    op.create_index(
        "uq_conversations_current",
        "conversations",
        ["owner_id"],
        unique=True,
        sqlite_where=sa.text("role = 'current_global'"),
        postgresql_where=sa.text("role = 'current_global'"),
    )
    op.create_table(
        "provider_settings",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("base_url", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("sealed_key", sa.Text(), nullable=True),
        sa.Column("key_hint", sa.Text(), nullable=True),
        sa.Column("context_length", Whole(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name="fk_provider_settings_account_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("account_id", "provider", name="pk_provider_settings"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "events",
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("seq", Whole(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("message_key", Whole(), nullable=True),
        sa.CheckConstraint(
            "(kind = 'conversation') = (message_key IS NULL)", name="ck_events_kind_names_message"
        ),
        sa.CheckConstraint(
            "kind IN ('conversation', 'message_added', 'message_changed')", name="ck_events_kind"
        ),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name="fk_events_conversation_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("conversation_id", "seq", name="pk_events"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "messages",
        sa.Column("key", Whole(), sa.Identity(always=True), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("parent_key", Whole(), nullable=True),
        sa.Column("seq", Whole(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("revision", Whole(), nullable=False),
        sa.Column("created_at", Whole(), nullable=False),
        sa.Column("updated_at", Whole(), nullable=False),
        sa.Column("generation_id", sa.Text(), nullable=True),
        sa.Column("provider", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("input_tokens", Whole(), nullable=True),
        sa.Column("output_tokens", Whole(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("error_retryable", Whole(), nullable=True),
        sa.Column("error_retry_after", Whole(), nullable=True),
        sa.Column("content", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "(status = 'failed') = (error_code IS NOT NULL)", name="ck_messages_failed_has_error"
        ),
        sa.CheckConstraint(
            "role = 'assistant' OR status = 'complete'", name="ck_messages_only_replies_grow"
        ),
        sa.CheckConstraint("role IN ('user', 'assistant', 'system')", name="ck_messages_role"),
        sa.CheckConstraint(
            "status IN ('pending', 'streaming', 'complete', 'stopped', 'interrupted', 'failed')",
            name="ck_messages_status",
        ),
        sa.CheckConstraint("error_retryable IN (0, 1)", name="ck_messages_error_retryable"),
        sa.CheckConstraint("parent_key < key", name="ck_messages_parent_is_elder"),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name="fk_messages_conversation_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["parent_key"], ["messages.key"], name="fk_messages_parent_key", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key", name="pk_messages"),
        sa.UniqueConstraint("id", name="uq_messages_id"),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_messages_parent_key_conversation_id",
        "messages",
        ["parent_key", "conversation_id"],
        unique=False,
    )
    op.create_table(
        "generations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("message_key", Whole(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("epoch", Whole(), nullable=False),
        sa.Column("boot_id", sa.Text(), nullable=False),
        sa.Column("start_offset", Whole(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("created_at", Whole(), nullable=False),
        sa.Column("first_token_ms", Whole(), nullable=True),
        sa.Column("duration_ms", Whole(), nullable=True),
        sa.Column("input_tokens", Whole(), nullable=True),
        sa.Column("output_tokens", Whole(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("receipt", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('send', 'regenerate', 'continue')", name="ck_generations_kind"
        ),
        sa.CheckConstraint(
            "status IN ('running', 'finished', 'stopped', 'interrupted', 'failed')",
            name="ck_generations_status",
        ),
        sa.ForeignKeyConstraint(
            ["message_key"], ["messages.key"], name="fk_generations_message_key", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_generations"),
        sqlite_strict=True,
    )
    op.create_index("ix_generations_message_key", "generations", ["message_key"], unique=False)
    op.create_index(
        "uq_generations_running",
        "generations",
        ["conversation_id"],
        unique=True,
        sqlite_where=sa.text("status = 'running'"),
        postgresql_where=sa.text("status = 'running'"),
    )
    op.create_table(
        "chunks",
        sa.Column("generation_id", sa.Text(), nullable=False),
        sa.Column("start_offset", Whole(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["generation_id"],
            ["generations.id"],
            name="fk_chunks_generation_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("generation_id", "start_offset", name="pk_chunks"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
