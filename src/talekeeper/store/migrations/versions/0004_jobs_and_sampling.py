"""Durable jobs, and how a conversation's replies are sampled."""

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    pass
