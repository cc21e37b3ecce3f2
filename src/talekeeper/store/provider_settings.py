"""How accounts reach providers, and which one they chose. Keys are here only as they were sealed."""

from dataclasses import dataclass

from talekeeper.domain.accounts import ProviderSettings
from talekeeper.ids import AccountId
from talekeeper.store.prepared import named, prepared
from talekeeper.store.sql import (
    accounts,
    bindparam,
    delete,
    func,
    insert,
    or_,
    provider_settings,
    select,
    update,
)
from talekeeper.store.units import Reader, Writer

_p = provider_settings.c
_COLUMNS = (
    _p.provider,
    _p.base_url,
    _p.model,
    _p.key_hint,
    _p.context_length,
    _p.longest_request,
    _p.sealed_key,
)
_is_its = (_p.account_id == bindparam("owner_id"), _p.provider == bindparam("of_provider"))

_OF_ACCOUNT = prepared(select(*_COLUMNS).where(_p.account_id == bindparam("owner_id")))
_ONE = prepared(select(*_COLUMNS).where(*_is_its))
_DELETE = prepared(delete(provider_settings).where(*_is_its))
_INSERT = prepared(
    insert(provider_settings).values(
        named(
            "account_id",
            "provider",
            "base_url",
            "model",
            "sealed_key",
            "key_hint",
            "context_length",
            "longest_request",
        )
    )
)
_CHOSEN = prepared(
    select(accounts.c.provider, accounts.c.model).where(accounts.c.id == bindparam("owner_id"))
)
_chosen = func.coalesce(accounts.c.provider, bindparam("usual"))
_ANSWERING = prepared(
    select(_chosen, _p.base_url)
    .select_from(
        accounts.outerjoin(
            provider_settings, (_p.account_id == accounts.c.id) & (_p.provider == _chosen)
        )
    )
    # What the server's owner runs goes nowhere that somebody else points to.
    .where(or_(accounts.c.is_admin == 1, _p.base_url.is_(None)))
    .distinct()
)
_SEALED = prepared(
    select(_p.account_id, _p.provider, _p.sealed_key)
    .where(_p.sealed_key.is_not(None))
    .order_by(_p.account_id, _p.provider)
)
_CHOOSE = prepared(
    update(accounts)
    .where(accounts.c.id == bindparam("owner_id"))
    .values(provider=bindparam("to_provider"), model=bindparam("to_model"))
)


@dataclass(frozen=True, slots=True)
class StoredProviderSettings:
    """Settings with the key as it was sealed, None where there is none."""

    settings: ProviderSettings
    sealed_key: str | None


@dataclass(frozen=True, slots=True)
class SealedKey:
    """An account's key for a provider, as it was sealed."""

    account_id: AccountId
    provider: str
    sealed: str


def sealed_keys(tx: Reader) -> list[SealedKey]:
    """Every stored key of every account."""
    return [SealedKey(AccountId(row[0]), row[1], row[2]) for row in tx.all(_SEALED)]


def provider_settings_of(tx: Reader, owner_id: AccountId) -> dict[str, StoredProviderSettings]:
    """The account's settings, by provider."""
    rows = tx.all(_OF_ACCOUNT, owner_id=owner_id)
    return {row[0]: StoredProviderSettings(ProviderSettings(*row[:6]), row[6]) for row in rows}


def find_provider_settings(
    tx: Reader, owner_id: AccountId, provider: str
) -> StoredProviderSettings | None:
    row = tx.first(_ONE, owner_id=owner_id, of_provider=provider)
    return None if row is None else StoredProviderSettings(ProviderSettings(*row[:6]), row[6])


def put_provider_settings(tx: Writer, owner_id: AccountId, kept: StoredProviderSettings) -> None:
    """The account's settings for that provider are these."""
    settings = kept.settings
    tx.run(_DELETE, owner_id=owner_id, of_provider=settings.provider)
    tx.run(
        _INSERT,
        account_id=owner_id,
        provider=settings.provider,
        base_url=settings.base_url,
        model=settings.model,
        sealed_key=kept.sealed_key,
        key_hint=settings.key_hint,
        context_length=settings.context_length,
        longest_request=settings.longest_request,
    )


def chosen_provider(tx: Reader, owner_id: AccountId) -> tuple[str | None, str | None]:
    """The provider and model that the account chose; None where it left the choice to the server."""
    row = tx.first(_CHOSEN, owner_id=owner_id)
    return (None, None) if row is None else (row[0], row[1])


def answering_providers(tx: Reader, *, usual: str) -> list[tuple[str, str | None]]:
    """Which providers answer any account, `usual` where it chose none, and the address it gave.

    Those at an address that anybody but an admin gave are not among them.
    """
    return [(row[0], row[1]) for row in tx.all(_ANSWERING, usual=usual)]


def choose_provider(
    tx: Writer, owner_id: AccountId, *, provider: str | None, model: str | None
) -> None:
    tx.run(_CHOOSE, owner_id=owner_id, to_provider=provider, to_model=model)
