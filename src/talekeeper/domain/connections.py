"""Connections: the ways by which an account reaches models, each with a name.

A connection belongs to an account, or it is the server's: what the server was started with makes
one connection for each kind of provider, which every account sees. The server's have ids that are
the same on every installation, so that a conversation can name one. An account's row under such an
id holds what the account set for itself, and what the server was started with holds for the rest.
"""

from dataclasses import dataclass
from typing import Final, Literal, get_args
from uuid import UUID, uuid5

from talekeeper.clock import Millis
from talekeeper.ids import ConnectionId

Kind = Literal["local", "openai", "anthropic", "google", "ollama", "scripted"]
"""The kinds of provider: which language a connection speaks."""
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
MAX_CONNECTIONS: Final = 100
"""Connections that one account may have."""

_NAMESPACE: Final = UUID("5b1d3f52-7d0a-4c1e-9a57-6f0c8e2b9d34")


@dataclass(frozen=True, slots=True)
class Connection:
    """One named way to reach models. `key_hint` is the key's last four characters, empty where the
    key is too short to show any of it, None without a key.

    `base_url` None is the address that the server was started with, else the kind's own.
    `context_length` is the model's window, and `longest_request` how much of it the talk may take,
    both in tokens; None where the account does not say. `created_at` is None for what has no row.
    """

    id: ConnectionId
    kind: Kind
    name: str
    base_url: str | None = None
    model: str | None = None
    key_hint: str | None = None
    context_length: int | None = None
    longest_request: int | None = None
    preset: str | None = None
    created_at: Millis | None = None


def server_connection_id(kind: Kind) -> ConnectionId:
    """The id of the server's own connection of that kind."""
    return _SERVERS[kind]


def kind_of_server_connection(connection_id: ConnectionId) -> Kind | None:
    """The kind of the server's own connection with that id; None for an account's."""
    return _KINDS_BY_ID.get(connection_id)


_SERVERS: Final[dict[Kind, ConnectionId]] = {
    kind: ConnectionId(str(uuid5(_NAMESPACE, kind))) for kind in KINDS
}
_KINDS_BY_ID: Final[dict[ConnectionId, Kind]] = {
    connection_id: kind for kind, connection_id in _SERVERS.items()
}
