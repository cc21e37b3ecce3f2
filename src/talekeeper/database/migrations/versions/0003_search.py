"""The search index and the place up to which it has read each log."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def Whole() -> sa.types.TypeEngine[int]:  # noqa: N802
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


INDEX = {
    "sqlite": (
        (
            "CREATE VIRTUAL TABLE search_index USING fts5("
            "tokens, content='', columnsize=0, detail=none, tokenize='ascii')"
        ),
    ),
    "postgresql": (
        (
            "CREATE TABLE search_index (message_key bigint PRIMARY KEY"
            " REFERENCES messages (key) ON DELETE CASCADE, tokens integer[] NOT NULL)"
        ),
        "CREATE INDEX ix_search_index_tokens ON search_index USING gin (tokens)",
    ),
}


def upgrade() -> None:
    op.create_table(
        "search_places",
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("seq", Whole(), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name="fk_search_places_conversation_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("conversation_id", name="pk_search_places"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "search_state",
        sa.Column("id", Whole(), autoincrement=False, nullable=False),
        sa.Column("format", Whole(), nullable=False),
        sa.Column("is_caught_up", Whole(), nullable=False),
        sa.CheckConstraint("id = 1", name="ck_search_state_one_row"),
        sa.CheckConstraint("is_caught_up IN (0, 1)", name="ck_search_state_is_caught_up"),
        sa.PrimaryKeyConstraint("id", name="pk_search_state"),
        sqlite_strict=True,
    )
    # Format 0 is nobody's: whatever was said before is read when the server starts.
    op.execute("INSERT INTO search_state (id, format, is_caught_up) VALUES (1, 0, 0)")
    for statement in INDEX[op.get_bind().dialect.name]:
        op.execute(statement)
