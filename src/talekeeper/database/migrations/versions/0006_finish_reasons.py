"""Why a model ended a reply."""

from alembic import op

revision = "0006"
down_revision = "0005"

_KNOWN = "finish_reason IN ('stop', 'length', 'filtered', 'refused')"
_CHECK = "ck_messages_finish_reason"


def upgrade() -> None:
    # SQLite takes a constraint only with its column, and adds both without writing the table anew.
    op.execute(
        f"ALTER TABLE messages ADD COLUMN finish_reason TEXT CONSTRAINT {_CHECK} CHECK ({_KNOWN})"
    )
