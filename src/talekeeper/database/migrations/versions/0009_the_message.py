"""What a message is beside its text, and the texts that receipts name."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def Whole() -> sa.types.TypeEngine[int]:  # noqa: N802
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


# Constant defaults and columns that may be NULL: neither engine writes the rows of before again.
# SQLite takes a constraint only with its column.
_COLUMNS = """
speaker_name TEXT
speaker_id TEXT CONSTRAINT ck_messages_speaker_has_name CHECK (speaker_id IS NULL OR speaker_name IS NOT NULL)
mode TEXT DEFAULT 'about' NOT NULL CONSTRAINT ck_messages_mode CHECK (mode IN ('about', 'speak'))
audience TEXT
hidden_from_ai {whole} DEFAULT 0 NOT NULL CONSTRAINT ck_messages_hidden_from_ai CHECK (hidden_from_ai IN (0, 1))
parts TEXT
"""


def upgrade() -> None:
    whole = "INTEGER" if op.get_bind().dialect.name == "sqlite" else "BIGINT"
    for column in _COLUMNS.strip().splitlines():
        op.execute(f"ALTER TABLE messages ADD COLUMN {column.format(whole=whole)}")
    op.create_table(
        "thoughts",
        sa.Column("message_key", Whole(), nullable=False),
        sa.Column("position", Whole(), nullable=False),
        sa.Column("start_offset", Whole(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_key"], ["messages.key"], name="fk_thoughts_message_key", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("message_key", "position", "start_offset", name="pk_thoughts"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "told_texts",
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name="fk_told_texts_conversation_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("conversation_id", "hash", name="pk_told_texts"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
