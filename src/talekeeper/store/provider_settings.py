"""How accounts reach providers, and which one they chose. Keys are here only as they were sealed."""

from dataclasses import dataclass

from talekeeper.domain.accounts import ProviderSettings
from talekeeper.ids import AccountId
from talekeeper.store.statements import Row, statement
from talekeeper.store.units import Reader, Writer

_COLUMNS = "provider, base_url, model, key_hint, context_length, longest_request, sealed_key"

_OF_ACCOUNT = statement(f"SELECT {_COLUMNS} FROM provider_settings WHERE account_id = :owner_id")
_ONE = statement(
    f"""
    SELECT {_COLUMNS} FROM provider_settings
    WHERE account_id = :owner_id AND provider = :of_provider
    """
)
_DELETE = statement(
    "DELETE FROM provider_settings WHERE account_id = :owner_id AND provider = :of_provider"
)
_INSERT = statement(
    """
    INSERT INTO provider_settings (
        account_id, provider, base_url, model, sealed_key, key_hint, context_length, longest_request
    )
    VALUES (
        :account_id, :provider, :base_url, :model, :sealed_key, :key_hint, :context_length,
        :longest_request
    )
    """
)
_CHOSEN = statement("SELECT provider, model FROM accounts WHERE id = :owner_id")
_ANSWERING = statement(
    """
    SELECT DISTINCT coalesce(a.provider, :usual) AS provider, p.base_url
    FROM accounts AS a
    LEFT JOIN provider_settings AS p
        ON p.account_id = a.id AND p.provider = coalesce(a.provider, :usual)
    WHERE a.is_admin = 1 OR p.base_url IS NULL
    """
)
_SEALED = statement(
    """
    SELECT account_id, provider, sealed_key FROM provider_settings
    WHERE sealed_key IS NOT NULL
    ORDER BY account_id, provider
    """
)
_CHOOSE = statement(
    "UPDATE accounts SET provider = :to_provider, model = :to_model WHERE id = :owner_id"
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
    return [
        SealedKey(AccountId(row.account_id), row.provider, row.sealed_key)
        for row in tx.all(_SEALED)
    ]


def provider_settings_of(tx: Reader, owner_id: AccountId) -> dict[str, StoredProviderSettings]:
    """The account's settings, by provider."""
    rows = tx.all(_OF_ACCOUNT, owner_id=owner_id)
    return {row.provider: _stored(row) for row in rows}


def find_provider_settings(
    tx: Reader, owner_id: AccountId, provider: str
) -> StoredProviderSettings | None:
    row = tx.first(_ONE, owner_id=owner_id, of_provider=provider)
    return None if row is None else _stored(row)


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
    return (None, None) if row is None else (row.provider, row.model)


def answering_providers(tx: Reader, *, usual: str) -> list[tuple[str, str | None]]:
    """Which providers answer any account, `usual` where it chose none, and the address it gave.

    Those at an address that anybody but an admin gave are not among them.
    """
    return [(row.provider, row.base_url) for row in tx.all(_ANSWERING, usual=usual)]


def choose_provider(
    tx: Writer, owner_id: AccountId, *, provider: str | None, model: str | None
) -> None:
    tx.run(_CHOOSE, owner_id=owner_id, to_provider=provider, to_model=model)


def _stored(row: Row) -> StoredProviderSettings:
    settings = ProviderSettings(
        row.provider,
        row.base_url,
        row.model,
        row.key_hint,
        row.context_length,
        row.longest_request,
    )
    return StoredProviderSettings(settings, row.sealed_key)
