"""The search index and the place up to which it has read each log."""

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    pass
