"""Connecting: the connections that an account has, how they are changed, and which one answers."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from talekeeper.accounts.naming import MAX_NAME, account_name, name_key
from talekeeper.clock import Clock
from talekeeper.connections.health import ConnectionHealth, HealthBook
from talekeeper.connections.reaching import Connected, Reaching
from talekeeper.database import Reader, Store, Writer
from talekeeper.domain.accounts import Account
from talekeeper.domain.changes import KEPT, Kept
from talekeeper.domain.connections import (
    MAX_CONNECTIONS,
    Connection,
    Kind,
    kind_of_server_connection,
)
from talekeeper.domain.conversations import ReplyError
from talekeeper.domain.replies import Model
from talekeeper.errors import (
    Forbidden,
    IdReused,
    InvalidInput,
    NotFound,
    ProviderError,
)
from talekeeper.generation.running import Ended
from talekeeper.ids import ConnectionId
from talekeeper.providers.catalogue import FoundServer, ProviderKind, kind_of
from talekeeper.providers.presets import Preset, preset_named
from talekeeper.providers.reach import Reach, checked_base_url
from talekeeper.store.connections import (
    StoredConnection,
    choose_connection,
    chosen_connection,
    connections_of,
    find_connection,
    put_connection,
    remove_connection,
)

_HINT: Final = 4
_FOUND_SECONDS: Final = 10.0
"""How long it is remembered which servers run here."""


Find = Callable[[], Awaitable[tuple[FoundServer, ...]]]


@dataclass(frozen=True, slots=True)
class Found:
    """A model server on this machine. `is_connected`: the account has a connection to it."""

    server: FoundServer
    is_connected: bool


@dataclass(frozen=True, slots=True)
class Overview:
    """All connections of an account, and which one answers where a conversation chooses none.

    The chosen one is not among them when it has been removed.
    """

    chosen: ConnectionId
    model: str | None
    items: tuple[Connected, ...]


class Connections:
    """What an account does with its connections."""

    def __init__(
        self, store: Store, reaching: Reaching, *, clock: Clock, find: Find | None = None
    ) -> None:
        self._store = store
        self._reaching = reaching
        self._server = reaching.server
        self._clock = clock
        self._find = find or _find_here
        self._finding = asyncio.Lock()
        self._found: tuple[float, tuple[FoundServer, ...]] | None = None
        self.health = HealthBook(clock)

    async def overview(self, account: Account) -> Overview:
        """Every connection as the account has it: its own, then the server's."""

        def unit(tx: Reader) -> tuple[list[StoredConnection], ConnectionId | None, str | None]:
            return connections_of(tx, account.id), *chosen_connection(tx, account.id)

        stored, connection_id, model = await self._store.read(unit)
        choice = self._server.choice
        chosen = connection_id or choice.connection_id
        if model is None and chosen == choice.connection_id:
            model = choice.model
        items = self._all(account, stored, chosen=chosen, model=model)
        if model is None:
            found = next((item for item in items if item.connection.id == chosen), None)
            model = found.connection.model if found else None
        return Overview(chosen, model, items)

    async def add(
        self,
        account: Account,
        connection_id: ConnectionId,
        *,
        kind: Kind,
        preset: str | None = None,
        name: str | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        model: str | None = None,
        context_length: int | None = None,
        longest_request: int | None = None,
    ) -> tuple[Connected, bool]:
        """One more connection, and whether it had been added before under the same id.

        Without a name it takes its preset's or its server's, and a number where that is taken.
        Raises InvalidInput, IdReused.
        """
        made = preset_named(preset)
        if preset is not None and (made is None or made.kind != kind):
            raise InvalidInput("There is no such preset for this kind of connection.")
        provider = kind_of(kind)
        if not provider.takes_base_url:
            raise InvalidInput(
                f"“{provider.title}” is a part of the server and needs no connection."
            )
        if kind_of_server_connection(connection_id) is not None:
            raise InvalidInput("This id is the server's own connection's. Take a new one.")
        address = checked_base_url(
            base_url or (made.base_url if made else provider.base_url or ""), _reach(account)
        )
        wished = account_name(name) if name is not None else None
        new = Connection(
            id=connection_id,
            kind=kind,
            name=wished or _named(provider, made, address),
            base_url=address,
            model=model,
            key_hint=None if api_key is None else _hint(api_key),
            context_length=context_length,
            longest_request=longest_request,
            preset=preset,
        )
        sealed = api_key and self._reaching.sealed(account, connection_id, api_key)

        def unit(tx: Writer) -> tuple[StoredConnection, bool]:
            known = find_connection(tx, connection_id, owner_id=account.id)
            if known is not None:
                asked = (kind, preset, address)
                had = known.connection
                if (had.kind, had.preset, had.base_url) != asked:
                    raise IdReused("This id was used before for something else. Take a new one.")
                return known, True
            others = connections_of(tx, account.id)
            if len(others) >= MAX_CONNECTIONS:
                raise InvalidInput(
                    f"An account may have {MAX_CONNECTIONS} connections. Remove one first."
                )
            taken = self._names(account, others)
            free = _free(new.name, taken) if wished is None else new.name
            stored = StoredConnection(
                replace(new, name=_checked(free, taken), created_at=tx.now()), sealed
            )
            put_connection(tx, stored, owner_id=account.id, name_key=name_key(free))
            return stored, False

        stored, is_repeated = await self._store.write(unit)
        return self._connected(account, connection_id, stored), is_repeated

    async def change(
        self,
        account: Account,
        connection_id: ConnectionId,
        *,
        name: str | Kept = KEPT,
        base_url: str | Kept | None = KEPT,
        api_key: str | Kept | None = KEPT,
        model: str | Kept | None = KEPT,
        context_length: int | Kept | None = KEPT,
        longest_request: int | Kept | None = KEPT,
    ) -> Connected:
        """What is given is changed; the key is sealed before it is stored.

        A new address drops the key that was for the old one. Raises NotFound, InvalidInput.
        """
        if isinstance(base_url, str):
            base_url = checked_base_url(base_url, _reach(account))
        if isinstance(name, str):
            name = account_name(name)
        sealed: str | None = None
        if isinstance(api_key, str):
            sealed = self._reaching.sealed(account, connection_id, api_key)

        def unit(tx: Writer) -> StoredConnection:
            before = find_connection(tx, connection_id, owner_id=account.id)
            servers = self._server.find(connection_id)
            if before is None and servers is None:
                raise _absent()
            if self._reaching.is_servers(connection_id, before) and (
                isinstance(base_url, str) or isinstance(api_key, str)
            ):
                raise InvalidInput(
                    "The address and the key of this connection come from the server's settings. "
                    "Add a connection of your own for another."
                )
            others = connections_of(tx, account.id)
            taken = self._names(account, others, but=connection_id)
            if before is not None:
                connection, key = before.connection, before.sealed_key
            else:
                assert servers is not None
                own = _free(servers.name, taken)
                connection = replace(
                    servers, name=own, base_url=None, model=None, created_at=tx.now()
                )
                key = None
            if not isinstance(base_url, Kept):
                if base_url is None and servers is None:
                    raise InvalidInput("A connection needs an address.")
                if base_url != connection.base_url and isinstance(api_key, Kept):
                    connection, key = replace(connection, key_hint=None), None
                connection = replace(connection, base_url=base_url)
            if not isinstance(api_key, Kept):
                hint = None if api_key is None else _hint(api_key)
                connection, key = replace(connection, key_hint=hint), sealed
            given = {
                "name": name,
                "model": model,
                "context_length": context_length,
                "longest_request": longest_request,
            }
            changes = {key: value for key, value in given.items() if not isinstance(value, Kept)}
            connection = replace(connection, **changes)
            if not isinstance(name, Kept):
                _checked(name, taken)
            after = StoredConnection(connection, key)
            put_connection(tx, after, owner_id=account.id, name_key=name_key(connection.name))
            if any(not isinstance(each, Kept) for each in (base_url, api_key, model)):
                tx.after_commit(partial(self.health.forget, account.id, connection_id))
            return after

        stored = await self._store.write(unit)
        return self._connected(account, connection_id, stored)

    async def remove(self, account: Account, connection_id: ConnectionId) -> None:
        """The connection and its key are gone. What names it still does, and is answered by none.

        Raises NotFound, and InvalidInput for a connection of the server's.
        """

        def unit(tx: Writer) -> None:
            stored = find_connection(tx, connection_id, owner_id=account.id)
            if self._reaching.is_servers(connection_id, stored):
                raise InvalidInput(
                    "This connection comes from the server's settings and cannot be removed here."
                )
            if stored is None:
                raise _absent()
            remove_connection(tx, connection_id, owner_id=account.id)
            tx.after_commit(partial(self.health.forget, account.id, connection_id))

        await self._store.write(unit)

    async def choose(
        self, account: Account, connection_id: ConnectionId, *, model: str | None
    ) -> Overview:
        """That connection and model answer wherever a conversation chooses none.

        Raises NotFound.
        """

        def unit(tx: Writer) -> None:
            if self._server.find(connection_id) is None and (
                find_connection(tx, connection_id, owner_id=account.id) is None
            ):
                raise _absent()
            choose_connection(tx, connection_id, owner_id=account.id, model=model)

        await self._store.write(unit)
        return await self.overview(account)

    async def models(self, account: Account, connection_id: ConnectionId) -> tuple[Model, ...]:
        """What is offered there, asked of it now. Raises NotFound, ProviderError."""
        stored = await self._stored(account, connection_id)
        try:
            models = await self._reaching.provider(account, connection_id, stored).models()
        except ProviderError as error:
            told = ReplyError(error.code, error.message, error.retryable, error.retry_after)
            self.health.failed(account.id, connection_id, told)
            raise
        self.health.answered(account.id, connection_id)
        return models

    async def test(self, account: Account, connection_id: ConnectionId) -> Connected:
        """The connection with its health of this moment: it was asked for its models.

        Raises NotFound.
        """
        with contextlib.suppress(ProviderError):
            await self.models(account, connection_id)
        stored = await self._stored(account, connection_id)
        return self._connected(account, connection_id, stored)

    def note_end(self, ended: Ended) -> None:
        """A reply has ended: that says how its connection is."""
        if ended.connection_id is None:
            return
        if ended.ending == "failed" and ended.error is not None:
            self.health.failed(ended.owner_id, ended.connection_id, ended.error)
        elif ended.first_token_seconds is not None:
            self.health.answered(ended.owner_id, ended.connection_id)

    async def found(self, account: Account) -> tuple[Found, ...]:
        """The model servers that run on this machine, as far as they were looked for lately.

        Raises Forbidden for anybody but an administrator: what listens on the server's own machine
        concerns its owner alone.
        """
        if not account.is_admin:
            raise Forbidden("Only the server's owner can look for models on its machine.")
        async with self._finding:
            now = self._clock.monotonic()
            if self._found is None or now - self._found[0] >= _FOUND_SECONDS:
                self._found = now, await self._find()
            servers = self._found[1]
        stored = await self._store.read(lambda tx: connections_of(tx, account.id))
        known = {item.connection.base_url for item in self._all(account, stored)}
        return tuple(Found(server, server.base_url in known) for server in servers)

    async def _stored(
        self, account: Account, connection_id: ConnectionId
    ) -> StoredConnection | None:
        """The account's row; None for a connection that is the server's alone. Raises NotFound."""
        stored = await self._store.read(
            lambda tx: find_connection(tx, connection_id, owner_id=account.id)
        )
        if stored is None and self._server.find(connection_id) is None:
            raise _absent()
        return stored

    def _all(
        self,
        account: Account,
        stored: list[StoredConnection],
        *,
        chosen: ConnectionId | None = None,
        model: str | None = None,
    ) -> tuple[Connected, ...]:
        """`model` is what the account chose of the connection `chosen`, if it chose one."""
        rows = {each.connection.id: each for each in stored}
        servers = [each.id for each in self._server.all()]
        own = [each for each in rows if each not in servers]
        return tuple(
            self._connected(account, each, rows.get(each), model=model if each == chosen else None)
            for each in (*own, *servers)
        )

    def _connected(
        self,
        account: Account,
        connection_id: ConnectionId,
        stored: StoredConnection | None,
        *,
        model: str | None = None,
    ) -> Connected:
        health: ConnectionHealth = self.health.of(account.id, connection_id)
        return self._reaching.connected(account, connection_id, stored, model=model, health=health)

    def _names(
        self,
        account: Account,
        stored: list[StoredConnection],
        *,
        but: ConnectionId | None = None,
    ) -> frozenset[str]:
        """The keys of the names that are taken, the server's among them."""
        items = self._all(account, stored)
        return frozenset(
            name_key(item.connection.name) for item in items if item.connection.id != but
        )


async def _find_here() -> tuple[FoundServer, ...]:
    # Imported when somebody looks: the HTTP client would slow every start.
    from talekeeper.providers.finding import found_servers

    return await found_servers()


def _reach(account: Account) -> Reach:
    return Reach.ANYWHERE if account.is_admin else Reach.PUBLIC_ONLY


def _hint(api_key: str) -> str:
    return api_key[-_HINT:] if len(api_key) > 2 * _HINT else ""


def _named(kind: ProviderKind, preset: Preset | None, address: str) -> str:
    """What a connection is called that got no name."""
    if preset is not None:
        return preset.title
    return kind.title if address == kind.base_url else urlsplit(address).netloc[:MAX_NAME]


def _free(name: str, taken: frozenset[str]) -> str:
    """`name`, with the first number that makes it free where it is taken."""
    number, free = 1, name
    while name_key(free) in taken:
        number += 1
        free = f"{name[: MAX_NAME - 4]} {number}"
    return free


def _checked(name: str, taken: frozenset[str]) -> str:
    if name_key(name) in taken:
        raise InvalidInput(f"You have a connection “{name}” already. Choose another name.")
    return name


def _absent() -> NotFound:
    return NotFound("There is no such connection.")
