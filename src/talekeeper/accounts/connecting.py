"""Connecting: how an account reaches a provider, and which model answers it.

What the account entered stands above what the server was started with. A key that the server was
given goes only where the server was told to send it: an account that names an address of its own
must bring a key of its own.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from talekeeper.accounts.health import UNKNOWN, HealthBook, ProviderHealth
from talekeeper.accounts.secrets import MasterKey, key_record
from talekeeper.clock import Clock
from talekeeper.domain.accounts import Account, ProviderSettings
from talekeeper.domain.changes import KEPT, Kept
from talekeeper.domain.conversations import ReplyError
from talekeeper.domain.replies import Model, Provider
from talekeeper.errors import (
    Forbidden,
    InvalidInput,
    ModelMissing,
    NotFound,
    ProviderError,
    StoredKeyUnreadable,
)
from talekeeper.generation.beginning import ServerChoice
from talekeeper.generation.requesting import Reached
from talekeeper.generation.running import Ended
from talekeeper.ids import AccountId
from talekeeper.providers.catalogue import (
    KINDS,
    Connection,
    FoundServer,
    ProviderKind,
    kind_named,
)
from talekeeper.providers.reach import Reach, checked_base_url
from talekeeper.providers.sharing import Providers
from talekeeper.store import Reader, Store, Writer
from talekeeper.store.accounts import account_of_id
from talekeeper.store.provider_settings import (
    StoredProviderSettings,
    choose_provider,
    chosen_provider,
    find_provider_settings,
    provider_settings_of,
    put_provider_settings,
)

_HINT: Final = 4
_FOUND_SECONDS: Final = 10.0
"""How long it is remembered which servers run here."""


Find = Callable[[], Awaitable[tuple[FoundServer, ...]]]


@dataclass(frozen=True, slots=True)
class Connected:
    """A provider as its account sees it. `is_configured`: it can be asked now.

    `note` says what the account has to do before that, None where there is nothing to do.
    `health` is how it answered when it was last asked.
    """

    kind: ProviderKind
    settings: ProviderSettings
    is_configured: bool
    is_remote: bool
    note: str | None
    health: ProviderHealth = UNKNOWN


@dataclass(frozen=True, slots=True)
class Found:
    """A model server on this machine. `is_connected`: the account uses it already.

    `replaces` is the address that the account would give up by using it; None where there is none.
    """

    server: FoundServer
    is_connected: bool
    replaces: str | None


@dataclass(frozen=True, slots=True)
class Overview:
    """All providers, and which one answers where a conversation chooses none."""

    provider: str
    model: str | None
    items: tuple[Connected, ...]


class Connections:
    """Knows how each account reaches its providers."""

    def __init__(
        self,
        store: Store,
        *,
        defaults: Mapping[str, Connection],
        choice: ServerChoice,
        public_only: Providers,
        anywhere: Providers,
        master_key: MasterKey,
        clock: Clock,
        longest_request: int,
        find: Find | None = None,
        local_window: Callable[[str], int | None] | None = None,
    ) -> None:
        self._store = store
        self._defaults = defaults
        self._choice = choice
        self._public_only = public_only
        self._anywhere = anywhere
        self._master_key = master_key
        self._clock = clock
        self._longest_request = longest_request
        self._find = find or _find_here
        self._local_window = local_window
        self._finding = asyncio.Lock()
        self._found: tuple[float, tuple[FoundServer, ...]] | None = None
        self.health = HealthBook(clock)

    async def overview(self, account: Account) -> Overview:
        """Every provider as the account has it."""

        def unit(
            tx: Reader,
        ) -> tuple[dict[str, StoredProviderSettings], tuple[str | None, str | None]]:
            return provider_settings_of(tx, account.id), chosen_provider(tx, account.id)

        kept, (provider, model) = await self._store.read(unit)
        items = tuple(self._connected(account, kind, kept.get(kind.name)) for kind in KINDS)
        name = provider or self._choice.provider
        if model is None and name == self._choice.provider:
            model = self._choice.model
        if model is None:
            chosen = next((item for item in items if item.kind.name == name), None)
            model = chosen.settings.model if chosen else None
        return Overview(name, model, items)

    async def change(
        self,
        account: Account,
        provider: str,
        *,
        base_url: str | Kept | None = KEPT,
        api_key: str | Kept | None = KEPT,
        model: str | Kept | None = KEPT,
        context_length: int | Kept | None = KEPT,
        longest_request: int | Kept | None = KEPT,
    ) -> Connected:
        """What is given is changed; the key is sealed before it is stored.

        A new address drops the key that was for the old one. Raises NotFound, InvalidInput.
        """
        kind = _known(provider)
        if isinstance(base_url, str):
            if not kind.takes_base_url:
                raise InvalidInput(f"{kind.title} has no address to set.")
            base_url = checked_base_url(base_url, _reach(account))
        sealed: str | None = None
        if isinstance(api_key, str):
            sealed = self._master_key.seal(api_key, record_id=key_record(account.id, provider))

        def unit(tx: Writer) -> StoredProviderSettings:
            before = find_provider_settings(tx, account.id, provider) or _nothing(provider)
            settings, key = before.settings, before.sealed_key
            if not isinstance(base_url, Kept):
                if base_url != settings.base_url and isinstance(api_key, Kept):
                    settings, key = replace(settings, key_hint=None), None
                settings = replace(settings, base_url=base_url)
            if not isinstance(api_key, Kept):
                hint = api_key[-_HINT:] if api_key and len(api_key) > 2 * _HINT else ""
                settings = replace(settings, key_hint=None if api_key is None else hint)
                key = sealed
            if not isinstance(model, Kept):
                settings = replace(settings, model=model)
            if not isinstance(context_length, Kept):
                settings = replace(settings, context_length=context_length)
            if not isinstance(longest_request, Kept):
                settings = replace(settings, longest_request=longest_request)
            after = StoredProviderSettings(settings, key)
            put_provider_settings(tx, account.id, after)
            if any(not isinstance(each, Kept) for each in (base_url, api_key, model)):
                tx.after_commit(partial(self.health.forget, account.id, provider))
            return after

        stored = await self._store.write(unit)
        return self._connected(account, kind, stored)

    async def choose(self, account: Account, provider: str, *, model: str | None) -> Overview:
        """That provider and model answer wherever a conversation chooses none."""
        kind = _known(provider)
        if kind.unavailable is not None:
            raise InvalidInput(kind.unavailable)
        await self._store.write(
            lambda tx: choose_provider(tx, account.id, provider=provider, model=model)
        )
        return await self.overview(account)

    async def models(self, account: Account, provider: str) -> tuple[Model, ...]:
        """What the provider offers, asked of it now. Raises ProviderError."""
        _known(provider)
        kept = await self._store.read(lambda tx: find_provider_settings(tx, account.id, provider))
        try:
            connection = self._connection(account, provider, kept)
            models = await self._provider(account, connection).models()
        except ProviderError as error:
            told = ReplyError(error.code, error.message, error.retryable, error.retry_after)
            self.health.failed(account.id, provider, told)
            raise
        self.health.answered(account.id, provider)
        return models

    def note_end(self, ended: Ended) -> None:
        """A reply has ended: that says how the provider is."""
        if ended.ending == "failed" and ended.error is not None:
            self.health.failed(ended.owner_id, ended.provider, ended.error)
        elif ended.first_token_seconds is not None:
            self.health.answered(ended.owner_id, ended.provider)

    async def check(self, account: Account, provider: str) -> Connected:
        """The provider with its health of this moment: it was asked for its models."""
        kind = _known(provider)
        with contextlib.suppress(ProviderError):
            await self.models(account, provider)
        kept = await self._store.read(lambda tx: find_provider_settings(tx, account.id, provider))
        return self._connected(account, kind, kept)

    async def found(self, account: Account) -> tuple[Found, ...]:
        """The model servers that run on this machine, as far as they were looked for lately.

        Raises Forbidden for anybody but an administrator: what listens on the server's own machine
        is nobody else's to know.
        """
        if not account.is_admin:
            raise Forbidden("Only the server's owner can look for models on its machine.")
        async with self._finding:
            now = self._clock.monotonic()
            if self._found is None or now - self._found[0] >= _FOUND_SECONDS:
                self._found = now, await self._find()
            servers = self._found[1]
        kept = await self._store.read(lambda tx: provider_settings_of(tx, account.id))
        found: list[Found] = []
        for server in servers:
            kind = _known(server.provider)
            connected = self._connected(account, kind, kept.get(kind.name))
            address = connected.settings.base_url
            own = kept.get(kind.name)
            is_used = own is not None and (own.sealed_key or own.settings.base_url) is not None
            is_same = address == server.base_url
            found.append(Found(server, is_same, address if is_used and not is_same else None))
        return tuple(found)

    def reach(self, tx: Reader, owner_id: AccountId, provider: str, model: str) -> Reached:
        """The provider ready to be asked, the model to name, and its window where it is known.

        Raises NotFound when the account is gone, StoredKeyUnreadable, and ModelMissing when no
        model is chosen and the provider has none of its own.
        """
        owner = account_of_id(tx, owner_id)
        if owner is None:
            raise NotFound("The account is gone.")
        kept = find_provider_settings(tx, owner_id, provider)
        kind = kind_named(provider)
        connection = self._connection(owner, provider, kept)
        built = self._provider(owner, connection)
        chosen = model or connection.model or (kind.default_model if kind else None)
        if not chosen:
            raise ModelMissing("No model is chosen for this provider. Choose one in the settings.")
        own = (kept or _nothing(provider)).settings
        window = own.context_length
        if provider == "local" and self._local_window is not None:
            here = self._local_window(chosen)
            window = min(here, window) if here and window else here or window
        longest = own.longest_request or self._longest_request
        return Reached(built, chosen, window, longest)

    def _provider(self, account: Account, connection: Connection) -> Provider:
        is_ours = connection.base_url == self._default(connection.provider).base_url
        pool = self._anywhere if account.is_admin or is_ours else self._public_only
        return pool.of(connection)

    def _connection(
        self, account: Account, provider: str, kept: StoredProviderSettings | None
    ) -> Connection:
        default = self._default(provider)
        if kept is None:
            return default
        settings = kept.settings
        key = default.api_key
        if settings.base_url is not None and settings.base_url != default.base_url:
            key = None
        if kept.sealed_key is not None:
            key = self._unsealed(account, provider, kept.sealed_key)
        return Connection(
            provider=provider,
            base_url=settings.base_url or default.base_url,
            api_key=key,
            model=settings.model or default.model,
        )

    def _unsealed(self, account: Account, provider: str, sealed_key: str) -> str:
        return self._master_key.unseal(sealed_key, record_id=key_record(account.id, provider))

    def _note(
        self, account: Account, kind: ProviderKind, kept: StoredProviderSettings | None
    ) -> str | None:
        """What stands in the way of asking this provider, other than a key that was never given."""
        if kind.unavailable is None and kept is not None and kept.sealed_key is not None:
            try:
                self._unsealed(account, kind.name, kept.sealed_key)
            except StoredKeyUnreadable as error:
                return error.message
        return kind.unavailable

    def _connected(
        self, account: Account, kind: ProviderKind, kept: StoredProviderSettings | None
    ) -> Connected:
        default = self._default(kind.name)
        settings = (kept or _nothing(kind.name)).settings
        is_own_address = settings.base_url not in (None, default.base_url)
        has_key = settings.key_hint is not None or (
            default.api_key is not None and not is_own_address
        )
        address = settings.base_url or default.base_url or kind.base_url
        shown = replace(
            settings, base_url=address, model=settings.model or default.model or kind.default_model
        )
        needs_key = kind.needs_key and address == kind.base_url
        note = self._note(account, kind, kept)
        return Connected(
            kind=kind,
            settings=shown,
            is_configured=note is None and (has_key or not needs_key),
            is_remote=kind.is_remote if address is None else not _is_here(address),
            note=note,
            health=self.health.of(account.id, kind.name),
        )

    def _default(self, provider: str) -> Connection:
        return self._defaults.get(provider) or Connection(provider)


async def _find_here() -> tuple[FoundServer, ...]:
    # Imported when somebody looks: the HTTP client would slow every start.
    from talekeeper.providers.finding import found_servers

    return await found_servers()


def _known(provider: str) -> ProviderKind:
    kind = kind_named(provider)
    if kind is None:
        raise NotFound("There is no such provider.")
    return kind


def _reach(account: Account) -> Reach:
    return Reach.ANYWHERE if account.is_admin else Reach.PUBLIC_ONLY


def _is_here(address: str) -> bool:
    """`address` is this machine; a name other than localhost may lead anywhere."""
    host = urlsplit(address).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _nothing(provider: str) -> StoredProviderSettings:
    return StoredProviderSettings(ProviderSettings(provider, None, None, None, None), None)
