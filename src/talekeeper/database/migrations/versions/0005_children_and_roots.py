"""Children and roots in indexes of their own, each a fraction of the one they had together."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_index(
        "ix_messages_children",
        "messages",
        ["parent_key"],
        unique=False,
        sqlite_where=sa.text("parent_key IS NOT NULL"),
        postgresql_where=sa.text("parent_key IS NOT NULL"),
    )
    op.create_index(
        "ix_messages_roots",
        "messages",
        ["conversation_id"],
        unique=False,
        sqlite_where=sa.text("parent_key IS NULL"),
        postgresql_where=sa.text("parent_key IS NULL"),
    )
    op.drop_index("ix_messages_parent_key_conversation_id", table_name="messages")
