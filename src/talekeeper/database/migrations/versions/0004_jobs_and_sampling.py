"""Durable jobs, and how a conversation's replies are sampled."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def Whole() -> sa.types.TypeEngine[int]:  # noqa: N802
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def Real() -> sa.types.TypeEngine[float]:  # noqa: N802
    return sa.Double[float]().with_variant(sa.REAL(), "sqlite")


def upgrade() -> None:
    op.add_column("conversations", sa.Column("temperature", Real(), nullable=True))
    op.add_column("conversations", sa.Column("top_p", Real(), nullable=True))
    op.add_column("conversations", sa.Column("max_tokens", Whole(), nullable=True))
    op.create_table(
        "jobs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("unique_key", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", Whole(), nullable=False),
        sa.Column("run_at", Whole(), nullable=False),
        sa.Column("lease_until", Whole(), nullable=True),
        sa.Column("boot_id", sa.Text(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("created_at", Whole(), nullable=False),
        sa.Column("updated_at", Whole(), nullable=False),
        sa.CheckConstraint("kind IN ('title')", name="ck_jobs_kind"),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'done', 'failed')", name="ck_jobs_state"
        ),
        sa.CheckConstraint(
            "(state = 'running') = (lease_until IS NOT NULL)"
            " AND (state = 'running') = (boot_id IS NOT NULL)",
            name="ck_jobs_running_has_lease",
        ),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name="fk_jobs_conversation_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["accounts.id"], name="fk_jobs_owner_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sa.UniqueConstraint("kind", "unique_key", name="uq_jobs_kind_unique_key"),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_jobs_due",
        "jobs",
        ["run_at"],
        unique=False,
        sqlite_where=sa.text("state IN ('queued', 'running')"),
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    )
    op.create_index("ix_jobs_conversation_id", "jobs", ["conversation_id"], unique=False)
