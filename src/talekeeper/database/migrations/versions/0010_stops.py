"""A stop is asked for on the generation's row: any process may be asked, another one fills it."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def Whole() -> sa.types.TypeEngine[int]:  # noqa: N802
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("generations", sa.Column("stop_asked_at", Whole(), nullable=True))
