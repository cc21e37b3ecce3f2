"""Reaching: from an account's connection to the provider that is asked through it.

A key goes only where its owner sent it: the server's to the address that the server was started
with, an account's to the address that it was entered for.
"""

from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from talekeeper.accounts.secrets import MasterKey, key_record
from talekeeper.connections.health import UNKNOWN, ConnectionHealth
from talekeeper.connections.serving import ServerConnections
from talekeeper.database import Reader
from talekeeper.domain.accounts import Account
from talekeeper.domain.connections import Connection
from talekeeper.domain.replies import Provider
from talekeeper.errors import (
    ConnectionMissing,
    ModelMissing,
    NotFound,
    StoredKeyUnreadable,
)
from talekeeper.generation.requesting import Reached
from talekeeper.ids import AccountId, ConnectionId
from talekeeper.providers.catalogue import Endpoint, ProviderKind, kind_of
from talekeeper.providers.gguf.keeping import find_model, kept_models, window_here
from talekeeper.providers.presets import preset_named
from talekeeper.providers.sharing import Providers
from talekeeper.store.accounts import account_of_id
from talekeeper.store.connections import StoredConnection, find_connection


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection as its account sees it, with the address and the model that take effect.

    `is_servers`: its address and key are the server's. `is_configured`: it can be asked now; else
    `note` says what the account has to do before that, None where only the key is missing. `health`
    is how it answered when it was last asked.
    """

    connection: Connection
    kind: ProviderKind
    is_servers: bool
    is_configured: bool
    is_remote: bool
    needs_key: bool
    note: str | None
    health: ConnectionHealth = UNKNOWN


class Reaching:
    """Knows every way out: the server's connections, the accounts' keys, the shared providers."""

    def __init__(
        self,
        server: ServerConnections,
        *,
        public_only: Providers,
        anywhere: Providers,
        master_key: MasterKey,
        longest_request: int,
        models_folder: Path,
    ) -> None:
        self.server = server
        self._public_only = public_only
        self._anywhere = anywhere
        self._master_key = master_key
        self._longest_request = longest_request
        self._models_folder = models_folder

    def reach(
        self, tx: Reader, owner_id: AccountId, connection_id: ConnectionId, model: str
    ) -> Reached:
        """The provider ready to be asked, the model to name, and its window where it is known.

        Raises NotFound when the account is gone, ConnectionMissing when the connection is,
        StoredKeyUnreadable, and ModelMissing when no model is chosen and the provider has none of
        its own.
        """
        owner = account_of_id(tx, owner_id)
        if owner is None:
            raise NotFound("The account is gone.")
        stored = find_connection(tx, connection_id, owner_id=owner_id)
        provider = self.provider(owner, connection_id, stored)
        connection = self.in_effect(connection_id, stored)
        chosen = model or connection.model
        if not chosen:
            raise ModelMissing(
                f"No model is chosen for the connection “{connection.name}”. Choose one in the "
                "settings."
            )
        window = connection.context_length
        if connection.kind == "local":
            here = window_here(self._models_folder, chosen)
            window = min(here, window) if here and window else here or window
        return Reached(
            provider,
            chosen,
            window,
            connection.longest_request or self._longest_request,
            connection.name,
        )

    def provider(
        self, account: Account, connection_id: ConnectionId, stored: StoredConnection | None
    ) -> Provider:
        """Raises ConnectionMissing, StoredKeyUnreadable, ModelMissing."""
        endpoint = self._endpoint(account, connection_id, stored)
        is_servers = self._has_servers_address(connection_id, stored)
        pool = self._anywhere if account.is_admin or is_servers else self._public_only
        return pool.of(endpoint)

    def in_effect(self, connection_id: ConnectionId, stored: StoredConnection | None) -> Connection:
        """What the account set, and for the rest what the server was started with.

        Raises ConnectionMissing.
        """
        servers = self.server.find(connection_id)
        connection = servers if stored is None else stored.connection
        if connection is None:
            raise ConnectionMissing
        kind = kind_of(connection.kind)
        address, model = connection.base_url, connection.model
        if servers is not None:
            address, model = address or servers.base_url, model or servers.model
        return replace(
            connection, base_url=address or kind.base_url, model=model or kind.default_model
        )

    def connected(
        self,
        account: Account,
        connection_id: ConnectionId,
        stored: StoredConnection | None,
        *,
        model: str | None = None,
        health: ConnectionHealth = UNKNOWN,
    ) -> Connected:
        """The connection as its account sees it, which chose this model of it, if any.

        Raises ConnectionMissing.
        """
        connection = self.in_effect(connection_id, stored)
        kind = kind_of(connection.kind)
        preset = preset_named(connection.preset)
        address = connection.base_url
        is_servers = self.is_servers(connection_id, stored)
        has_key = connection.key_hint is not None or (
            self._has_servers_address(connection_id, stored)
            and self.server.endpoint(connection.kind).api_key is not None
        )
        needs_key = preset.needs_key if preset else kind.needs_key and address == kind.base_url
        note = self._note(account, model or connection.model, kind, stored)
        is_usable = note is None or (kind.name == "local" and self._has_local_model())
        return Connected(
            connection=connection,
            kind=kind,
            is_servers=is_servers,
            is_configured=is_usable and (has_key or not needs_key),
            is_remote=kind.is_remote if address is None else not _is_here(address),
            needs_key=needs_key,
            note=note,
            health=health,
        )

    def is_servers(self, connection_id: ConnectionId, stored: StoredConnection | None) -> bool:
        """Its address and key are the server's, whatever else the account set for itself."""
        if self.server.find(connection_id) is None:
            return False
        return stored is None or (stored.sealed_key or stored.connection.base_url) is None

    def sealed(self, account: Account, connection_id: ConnectionId, api_key: str) -> str:
        return self._master_key.seal(api_key, record_id=key_record(account.id, connection_id))

    def _endpoint(
        self, account: Account, connection_id: ConnectionId, stored: StoredConnection | None
    ) -> Endpoint:
        connection = self.in_effect(connection_id, stored)
        key = None
        if self._has_servers_address(connection_id, stored):
            key = self.server.endpoint(connection.kind).api_key
        if stored is not None and stored.sealed_key is not None:
            key = self._unsealed(account, connection_id, stored.sealed_key)
        preset = preset_named(connection.preset)
        leaves_out = preset.leaves_out if preset else frozenset[str]()
        return Endpoint(connection.kind, connection.base_url, key, leaves_out)

    def _has_servers_address(
        self, connection_id: ConnectionId, stored: StoredConnection | None
    ) -> bool:
        servers = self.server.find(connection_id)
        if servers is None:
            return False
        own = None if stored is None else stored.connection.base_url
        return own is None or own == self.server.endpoint(servers.kind).base_url

    def _unsealed(self, account: Account, connection_id: ConnectionId, sealed_key: str) -> str:
        return self._master_key.unseal(sealed_key, record_id=key_record(account.id, connection_id))

    def _has_local_model(self) -> bool:
        """Some model of this machine can be used, whichever is chosen."""
        return any(each.fault is None for each in kept_models(self._models_folder))

    def _note(
        self,
        account: Account,
        model: str | None,
        kind: ProviderKind,
        stored: StoredConnection | None,
    ) -> str | None:
        """What prevents the connection from being asked, other than a key that was never given."""
        if kind.unavailable is not None:
            return kind.unavailable
        try:
            if stored is not None and stored.sealed_key is not None:
                self._unsealed(account, stored.connection.id, stored.sealed_key)
            if kind.name == "local":
                find_model(self._models_folder, model or "")
        except (StoredKeyUnreadable, ModelMissing) as error:
            return error.message
        return None


def _is_here(address: str) -> bool:
    """`address` is this machine; a name other than localhost may lead anywhere."""
    host = urlsplit(address).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
