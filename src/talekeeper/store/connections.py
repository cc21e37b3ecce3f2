"""Connections in the store, and which of them an account chose. Keys are here only as sealed."""

from dataclasses import dataclass

from talekeeper.database.statements import Row, statement
from talekeeper.database.units import Reader, Writer
from talekeeper.domain.connections import Connection, Kind, kind_of_server_connection
from talekeeper.errors import InvalidInput
from talekeeper.ids import AccountId, ConnectionId

_COLUMNS = """
    id, kind, name, base_url, model, key_hint, context_length, longest_request, preset, created_at,
    sealed_key
"""
_OF_ACCOUNT = statement(
    f"""
    SELECT {_COLUMNS} FROM connections
    WHERE account_id = :owner_id
    ORDER BY created_at, id
    """
)
_ONE = statement(
    f"""
    SELECT {_COLUMNS} FROM connections
    WHERE account_id = :owner_id AND id = :id
    """
)
_PUT = statement(
    """
    INSERT INTO connections (
        account_id, id, kind, name, name_key, preset, base_url, sealed_key, key_hint, model,
        context_length, longest_request, created_at
    )
    VALUES (
        :owner_id, :id, :kind, :name, :name_key, :preset, :base_url, :sealed_key, :key_hint,
        :model, :context_length, :longest_request, :created_at
    )
    ON CONFLICT (account_id, id) DO UPDATE SET
        name = excluded.name, name_key = excluded.name_key, base_url = excluded.base_url,
        sealed_key = excluded.sealed_key, key_hint = excluded.key_hint, model = excluded.model,
        context_length = excluded.context_length, longest_request = excluded.longest_request
    """
)
_REMOVE = statement("DELETE FROM connections WHERE account_id = :owner_id AND id = :id")
_CHOSEN = statement("SELECT connection_id, model FROM accounts WHERE id = :owner_id")
_CHOOSE = statement(
    "UPDATE accounts SET connection_id = :to_connection, model = :to_model WHERE id = :owner_id"
)
_ANSWERING = statement(
    """
    SELECT DISTINCT COALESCE(a.connection_id, :usual) AS id, c.kind, c.base_url
    FROM accounts a
    LEFT JOIN connections c
        ON c.account_id = a.id AND c.id = COALESCE(a.connection_id, :usual)
    WHERE a.is_admin = 1 OR c.base_url IS NULL
    """
)
_SEALED = statement(
    """
    SELECT account_id, id, name, sealed_key FROM connections
    WHERE sealed_key IS NOT NULL
    ORDER BY account_id, id
    """
)


@dataclass(frozen=True, slots=True)
class StoredConnection:
    """A connection with its key as it was sealed, None where there is none."""

    connection: Connection
    sealed_key: str | None


@dataclass(frozen=True, slots=True)
class SealedKey:
    """The key of an account's connection, as it was sealed."""

    account_id: AccountId
    connection_id: ConnectionId
    name: str
    sealed: str


@dataclass(frozen=True, slots=True)
class Answering:
    """A connection that some account lets answer by default. `kind` is None where there is no row:
    the server's own, or one that was removed.
    """

    id: ConnectionId
    kind: Kind | None
    base_url: str | None


def connections_of(tx: Reader, owner_id: AccountId) -> list[StoredConnection]:
    """The account's connections, in the order in which they were made."""
    return [_stored(row) for row in tx.all(_OF_ACCOUNT, owner_id=owner_id)]


def find_connection(
    tx: Reader, connection_id: ConnectionId, *, owner_id: AccountId
) -> StoredConnection | None:
    row = tx.first(_ONE, owner_id=owner_id, id=connection_id)
    return None if row is None else _stored(row)


def check_connection(tx: Reader, connection_id: ConnectionId, *, owner_id: AccountId) -> None:
    """Raises InvalidInput when the account has no such connection and it is not the server's."""
    if kind_of_server_connection(connection_id) is None and (
        find_connection(tx, connection_id, owner_id=owner_id) is None
    ):
        raise InvalidInput("There is no such connection. Choose one from the list.")


def put_connection(
    tx: Writer, stored: StoredConnection, *, owner_id: AccountId, name_key: str
) -> None:
    """The account has this connection. Its kind and its preset stay what they were."""
    connection = stored.connection
    tx.run(
        _PUT,
        owner_id=owner_id,
        id=connection.id,
        kind=connection.kind,
        name=connection.name,
        name_key=name_key,
        preset=connection.preset,
        base_url=connection.base_url,
        sealed_key=stored.sealed_key,
        key_hint=connection.key_hint,
        model=connection.model,
        context_length=connection.context_length,
        longest_request=connection.longest_request,
        created_at=connection.created_at,
    )


def remove_connection(tx: Writer, connection_id: ConnectionId, *, owner_id: AccountId) -> None:
    tx.run(_REMOVE, owner_id=owner_id, id=connection_id)


def chosen_connection(tx: Reader, owner_id: AccountId) -> tuple[ConnectionId | None, str | None]:
    """The connection and model that the account chose; None where the choice is the server's."""
    row = tx.first(_CHOSEN, owner_id=owner_id)
    return (None, None) if row is None else (row.connection_id, row.model)


def choose_connection(
    tx: Writer, connection_id: ConnectionId, *, owner_id: AccountId, model: str | None
) -> None:
    tx.run(_CHOOSE, owner_id=owner_id, to_connection=connection_id, to_model=model)


def answering_connections(tx: Reader, *, usual: ConnectionId) -> list[Answering]:
    """Which connections answer any account, `usual` where it chose none.

    Those at an address that anybody but an admin gave are not among them: what the server's owner
    runs goes nowhere that somebody else points to.
    """
    return [Answering(row.id, row.kind, row.base_url) for row in tx.all(_ANSWERING, usual=usual)]


def sealed_keys(tx: Reader) -> list[SealedKey]:
    """Every stored key of every account."""
    return [SealedKey(row.account_id, row.id, row.name, row.sealed_key) for row in tx.all(_SEALED)]


def _stored(row: Row) -> StoredConnection:
    connection = Connection(
        id=row.id,
        kind=row.kind,
        name=row.name,
        base_url=row.base_url,
        model=row.model,
        key_hint=row.key_hint,
        context_length=row.context_length,
        longest_request=row.longest_request,
        preset=row.preset,
        created_at=row.created_at,
    )
    return StoredConnection(connection, row.sealed_key)
