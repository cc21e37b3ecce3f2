"""Routes of connections: how models are reached, and which connection answers by default.

A key goes in and never comes out: what is shown of it is its last four characters.
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Response
from pydantic import Field

from talekeeper.api.bodies import Body, Id, ModelName, Name, Nothing, Text
from talekeeper.api.identity import Asking
from talekeeper.api.resources import CurrentAccount, TheKeeper, resource
from talekeeper.connections.connecting import Overview
from talekeeper.connections.health import ConnectionHealth
from talekeeper.connections.reaching import Connected
from talekeeper.domain.changes import KEPT
from talekeeper.domain.connections import Kind
from talekeeper.domain.conversations import MAX_LONGEST_REQUEST, MIN_LONGEST_REQUEST
from talekeeper.domain.replies import Model
from talekeeper.errors import InvalidInput
from talekeeper.ids import ConnectionId, fresh_id
from talekeeper.providers.catalogue import KINDS
from talekeeper.providers.presets import PRESETS

router = resource("connections")

Key = Annotated[Text, Field(min_length=1, max_length=4_000)]
Address = Annotated[Text, Field(min_length=1, max_length=2_000)]
Window = Annotated[int, Field(ge=256, le=100_000_000)]
LongestRequest = Annotated[int, Field(ge=MIN_LONGEST_REQUEST, le=MAX_LONGEST_REQUEST)]


@dataclass(frozen=True, slots=True)
class ConnectionOut:
    """A connection as this account has it. `note` says what is to be done before it can be used.

    `servers`: its address and key come from the server's settings, so neither can be changed and it
    cannot be removed. `remote`: what is said is sent to another machine. `chosen`: it answers by
    default. `health` is how it answered when it was last asked for anything.
    """

    id: str
    name: str
    kind: Kind
    preset: str | None
    servers: bool
    chosen: bool
    configured: bool
    remote: bool
    needs_key: bool
    base_url: str | None
    model: str | None
    key_hint: str | None
    context_length: int | None
    longest_request: int | None
    note: str | None
    health: ConnectionHealth


@dataclass(frozen=True, slots=True)
class ChosenOut:
    """What answers by default. A connection that was removed is still named, and is in no list."""

    connection_id: str
    model: str | None


@dataclass(frozen=True, slots=True)
class ConnectionsOut:
    chosen: ChosenOut
    items: list[ConnectionOut]


@dataclass(frozen=True, slots=True)
class PresetOut:
    """A server to connect to; `preset` is null for a kind of provider itself, and for any other
    server at an address of one's own, whose `base_url` is null.
    """

    title: str
    kind: Kind
    preset: str | None
    base_url: str | None
    needs_key: bool
    remote: bool


@dataclass(frozen=True, slots=True)
class PresetsOut:
    items: list[PresetOut]


@dataclass(frozen=True, slots=True)
class ModelsOut:
    items: list[Model]


@dataclass(frozen=True, slots=True)
class FoundOut:
    """A model server that runs on the server's own machine, and how to connect to it.

    `connected` says that this account has a connection to it.
    """

    kind: Kind
    preset: str | None
    title: str
    base_url: str
    models: list[Model]
    connected: bool


@dataclass(frozen=True, slots=True)
class FoundListOut:
    items: list[FoundOut]


class ConnectionIn(Body):
    """`id` is a UUID made by the client: asking again with it never adds a second one."""

    id: Id | None = None
    kind: Kind
    preset: Annotated[Text, Field(max_length=100)] | None = None
    name: Name | None = None
    base_url: Address | None = None
    api_key: Key | None = None
    model: ModelName | None = None
    context_length: Window | None = None
    longest_request: LongestRequest | None = None


class ConnectionChange(Body):
    """What is left out stays; null clears. A new address without a key drops the old key."""

    name: Name | None = None
    base_url: Address | None = None
    api_key: Key | None = None
    model: ModelName | None = None
    context_length: Window | None = None
    longest_request: LongestRequest | None = None


class ChosenIn(Body):
    connection_id: Id
    model: ModelName | None = None


@router.get("/connections")
async def show_connections(keeper: TheKeeper, account: CurrentAccount) -> ConnectionsOut:
    """Every connection, and which one answers where a conversation chooses none."""
    return _shown(await keeper.connections.overview(account))


@router.post(
    "/connections",
    status_code=201,
    responses={200: {"model": ConnectionOut, "description": "It had been added before."}},
)
async def add(
    keeper: TheKeeper, account: CurrentAccount, response: Response, body: ConnectionIn
) -> ConnectionOut:
    """One more connection of the account's."""
    connected, is_repeated = await keeper.connections.add(
        account,
        ConnectionId(body.id or fresh_id()),
        kind=body.kind,
        preset=body.preset,
        name=body.name,
        base_url=body.base_url,
        api_key=body.api_key,
        model=body.model,
        context_length=body.context_length,
        longest_request=body.longest_request,
    )
    response.status_code = 200 if is_repeated else 201
    return _one(connected, await keeper.connections.overview(account))


@router.get("/connections/presets")
async def show_presets(_account: CurrentAccount) -> PresetsOut:
    """What can be connected to, with the address to begin with."""
    presets = [
        PresetOut(each.title, each.kind, each.name, each.base_url, each.needs_key, each.is_remote)
        for each in PRESETS
    ]
    kinds = [
        PresetOut(kind.title, kind.name, None, kind.base_url, kind.needs_key, kind.is_remote)
        for kind in KINDS
        if kind.takes_base_url
    ]
    other = PresetOut("Another server", "openai", None, None, needs_key=False, remote=True)
    return PresetsOut([*kinds, *presets, other])


@router.get("/connections/found")
async def show_found(keeper: TheKeeper, asking: Asking) -> FoundListOut:
    """The model servers that answer on the server's own machine: the admin's to see."""
    found_here = await keeper.identities.held.during(
        asking.token_id, keeper.connections.found(asking.account)
    )
    return FoundListOut(
        [
            FoundOut(
                kind=found.server.kind,
                preset=found.server.preset,
                title=found.server.title,
                base_url=found.server.base_url,
                models=list(found.server.models),
                connected=found.is_connected,
            )
            for found in found_here
        ]
    )


@router.put("/connections/chosen")
async def choose(keeper: TheKeeper, account: CurrentAccount, body: ChosenIn) -> ConnectionsOut:
    """That connection and model answer from now on where a conversation chooses none."""
    chosen = ConnectionId(body.connection_id)
    return _shown(await keeper.connections.choose(account, chosen, model=body.model))


@router.patch("/connections/{connection_id}")
async def change(
    keeper: TheKeeper, account: CurrentAccount, connection_id: Id, body: ConnectionChange
) -> ConnectionOut:
    """Name it, or say how it is reached and how much it is told."""
    given = body.model_fields_set
    if not given:
        raise InvalidInput("Nothing was given to change.")
    if "name" in given and body.name is None:
        raise InvalidInput("A connection needs a name.")
    connected = await keeper.connections.change(
        account,
        ConnectionId(connection_id),
        name=body.name if body.name is not None else KEPT,
        base_url=body.base_url if "base_url" in given else KEPT,
        api_key=body.api_key if "api_key" in given else KEPT,
        model=body.model if "model" in given else KEPT,
        context_length=body.context_length if "context_length" in given else KEPT,
        longest_request=body.longest_request if "longest_request" in given else KEPT,
    )
    return _one(connected, await keeper.connections.overview(account))


@router.delete("/connections/{connection_id}", status_code=204)
async def remove(keeper: TheKeeper, account: CurrentAccount, connection_id: Id) -> None:
    """The connection and its key are gone. Conversations that chose it ask for another."""
    await keeper.connections.remove(account, ConnectionId(connection_id))


@router.post("/connections/{connection_id}/test")
async def ask_now(
    keeper: TheKeeper, asking: Asking, connection_id: Id, _body: Nothing | None = None
) -> ConnectionOut:
    """Ask it now for its models; its health says how that went."""
    connected = await keeper.identities.held.during(
        asking.token_id, keeper.connections.test(asking.account, ConnectionId(connection_id))
    )
    return _one(connected, await keeper.connections.overview(asking.account))


@router.get("/connections/{connection_id}/models")
async def show_models(keeper: TheKeeper, asking: Asking, connection_id: Id) -> ModelsOut:
    """The models on offer, asked for now: so this also tests the connection."""
    models = await keeper.identities.held.during(
        asking.token_id, keeper.connections.models(asking.account, ConnectionId(connection_id))
    )
    return ModelsOut(list(models))


def _shown(overview: Overview) -> ConnectionsOut:
    return ConnectionsOut(
        chosen=ChosenOut(overview.chosen, overview.model),
        items=[_one(item, overview) for item in overview.items],
    )


def _one(item: Connected, overview: Overview) -> ConnectionOut:
    connection = item.connection
    return ConnectionOut(
        id=connection.id,
        name=connection.name,
        kind=connection.kind,
        preset=connection.preset,
        servers=item.is_servers,
        chosen=connection.id == overview.chosen,
        configured=item.is_configured,
        remote=item.is_remote,
        needs_key=item.needs_key,
        base_url=connection.base_url,
        model=connection.model,
        key_hint=connection.key_hint,
        context_length=connection.context_length,
        longest_request=connection.longest_request,
        note=item.note,
        health=item.health,
    )
