"""Connections by name: what an account had set for a kind of provider becomes its connection.

It gets the id of the server's own connection of that kind, so what named the kind names it now, and
an account that had set nothing still names the server's. A stored key stays sealed as it was: it is
opened for its account and its kind.
"""

from urllib.parse import urlsplit

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_IDS = {
    "local": "d16411b4-9c69-5c7d-9413-ee3c14abc23a",
    "openai": "fbb63b48-4460-5496-9533-855acbb9ac08",
    "anthropic": "20735a04-ec12-58c4-ac77-e8cab2c108e9",
    "google": "710faedf-f6bb-5d40-b65c-3728b3ec9f9d",
    "ollama": "b41eca95-321f-5e99-a49b-269fd545dbfa",
    "scripted": "b8929298-7b4d-56a2-9df8-645f21fc4175",
}
_NAMES = {
    "local": "Built-in model",
    "openai": "OpenAI",
    "anthropic": "Anthropic",
    "google": "Google Gemini",
    "ollama": "Ollama",
    "scripted": "Scripted demonstration",
}

_HOSTS = {
    "openai": "api.openai.com",
    "anthropic": "api.anthropic.com",
    "google": "generativelanguage.googleapis.com",
    "ollama": "127.0.0.1",
}


def Whole() -> sa.types.TypeEngine[int]:  # noqa: N802
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    connections = op.create_table(
        "connections",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("preset", sa.Text(), nullable=True),
        sa.Column("base_url", sa.Text(), nullable=True),
        sa.Column("sealed_key", sa.Text(), nullable=True),
        sa.Column("key_hint", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("context_length", Whole(), nullable=True),
        sa.Column("longest_request", Whole(), nullable=True),
        sa.Column("created_at", Whole(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name="fk_connections_account_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("account_id", "id", name="pk_connections"),
        sa.UniqueConstraint("account_id", "name_key", name="uq_connections_name"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    connection = op.get_bind()
    rows = connection.execute(
        sa.text(
            """
            SELECT
                p.account_id, p.provider, p.base_url, p.sealed_key, p.key_hint, p.model,
                p.context_length, p.longest_request, a.created_at
            FROM provider_settings p JOIN accounts a ON a.id = p.account_id
            ORDER BY p.account_id, p.provider
            """
        )
    )
    taken: set[tuple[str, str]] = set()
    for row in rows.mappings().all():
        kind = row["provider"]
        if kind not in _IDS:
            continue
        name = own = _name(kind, row["base_url"])
        number = 1
        # Several languages may be spoken at one host: an account's names are its own, each once.
        while (row["account_id"], name) in taken:
            number += 1
            name = f"{own} {number}"
        taken.add((row["account_id"], name))
        values = {key: value for key, value in row.items() if key != "provider"}
        values |= {"id": _IDS[kind], "kind": kind, "name": name, "name_key": name.casefold()}
        op.bulk_insert(connections, [values])
    op.drop_table("provider_settings")
    for name in ("accounts", "conversations"):
        op.execute(f"ALTER TABLE {name} RENAME COLUMN provider TO connection_id")
        table = sa.table(name, sa.column("connection_id", sa.Text()))
        for kind, connection_id in _IDS.items():
            op.execute(
                table.update()
                .where(table.c.connection_id == kind)
                .values(connection_id=connection_id)
            )
    op.add_column("generations", sa.Column("connection_id", sa.Text(), nullable=True))


def _name(kind: str, base_url: str | None) -> str:
    """A server elsewhere that speaks a provider's language is called by its host."""
    host = urlsplit(base_url or "").hostname
    return _NAMES[kind] if host in (None, _HOSTS.get(kind)) else host[:80]
