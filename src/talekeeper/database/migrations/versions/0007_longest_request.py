"""How much of the talk goes into one request: by conversation, and by an account's connection."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def Whole() -> sa.types.TypeEngine[int]:  # noqa: N802
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("conversations", sa.Column("longest_request", Whole(), nullable=True))
    op.add_column("provider_settings", sa.Column("longest_request", Whole(), nullable=True))
