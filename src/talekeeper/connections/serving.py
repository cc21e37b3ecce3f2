"""Serving: the connections that the server itself has, by what it was started with.

Every account sees them. An account may give one another name, model, window or longest request for
itself; the address and the key are the server's, and its key goes only to its address.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from talekeeper.domain.connections import (
    KINDS,
    Connection,
    Kind,
    kind_of_server_connection,
    server_connection_id,
)
from talekeeper.generation.beginning import ServerChoice
from talekeeper.ids import ConnectionId
from talekeeper.providers.catalogue import Endpoint, kind_of


class ServerConnections:
    """One for each kind that needs no key, and for each that the settings speak of."""

    def __init__(self, endpoints: Mapping[Kind, Endpoint], *, choice: ServerChoice) -> None:
        self._endpoints = endpoints
        self.choice = choice

    def all(self) -> tuple[Connection, ...]:
        found = (self.find(server_connection_id(kind)) for kind in KINDS)
        return tuple(connection for connection in found if connection is not None)

    def find(self, connection_id: ConnectionId) -> Connection | None:
        """The server's connection with that id; None where the server has none of that kind."""
        kind = kind_of_server_connection(connection_id)
        if kind is None or not self._has(kind):
            return None
        made, endpoint = kind_of(kind), self.endpoint(kind)
        host = urlsplit(endpoint.base_url or "").hostname
        usual = urlsplit(made.base_url or "").hostname
        return Connection(
            connection_id,
            kind,
            made.title if host in (None, usual) else host,
            endpoint.base_url or made.base_url,
            self.choice.model if kind == self.choice.kind else None,
        )

    def endpoint(self, kind: Kind) -> Endpoint:
        return self._endpoints.get(kind) or Endpoint(kind)

    def _has(self, kind: Kind) -> bool:
        endpoint = self.endpoint(kind)
        is_set = kind == self.choice.kind or endpoint.base_url is not None
        return is_set or endpoint.api_key is not None or not kind_of(kind).needs_key
