"""Conversations put away: pinned, archived, in the trash; bookmarks, branches taken back, counters."""

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    pass
