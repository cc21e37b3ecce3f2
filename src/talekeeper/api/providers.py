"""Routes of providers: who can answer, how they are reached, and who is chosen.

A key goes in and never comes out: what is shown of it is its last four characters.
"""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from talekeeper.accounts.connecting import Connected, Overview
from talekeeper.accounts.health import ProviderHealth
from talekeeper.api.bodies import Body, ModelName, Nothing, Text
from talekeeper.api.identity import Asking
from talekeeper.api.resources import CurrentAccount, TheKeeper, resource
from talekeeper.domain.changes import KEPT
from talekeeper.domain.conversations import MAX_LONGEST_REQUEST, MIN_LONGEST_REQUEST
from talekeeper.domain.replies import Model
from talekeeper.errors import InvalidInput, ModelMissing
from talekeeper.keeper import MODELS
from talekeeper.providers.weights import find_weights
from talekeeper.settings import ProviderName

router = resource("providers")

Key = Annotated[Text, Field(min_length=1, max_length=4_000)]
Address = Annotated[Text, Field(min_length=1, max_length=2_000)]


@dataclass(frozen=True, slots=True)
class ProviderOut:
    """A provider as this account has it. `note` says what is to be done before it can be used.

    `remote`: what is said is sent to another machine. `chosen`: it answers by default. `health`
    is how it answered when it was last asked for anything.
    """

    name: str
    title: str
    chosen: bool
    configured: bool
    remote: bool
    takes_base_url: bool
    needs_key: bool
    base_url: str | None
    model: str | None
    key_hint: str | None
    context_length: int | None
    longest_request: int | None
    note: str | None
    health: ProviderHealth


@dataclass(frozen=True, slots=True)
class ChosenOut:
    provider: str
    model: str | None


@dataclass(frozen=True, slots=True)
class ProvidersOut:
    chosen: ChosenOut
    items: list[ProviderOut]


@dataclass(frozen=True, slots=True)
class ModelsOut:
    items: list[Model]


@dataclass(frozen=True, slots=True)
class FoundOut:
    """A model server that runs on the server's own machine.

    `provider` is the entry through which it is used, `connected` says that this account does so.
    `replaces` is the address that the entry leads to now and would lose.
    """

    provider: str
    title: str
    base_url: str
    models: list[Model]
    connected: bool
    replaces: str | None


@dataclass(frozen=True, slots=True)
class FoundListOut:
    items: list[FoundOut]


class ProviderChange(Body):
    """What is left out stays; null clears. A new address without a key drops the old key."""

    base_url: Address | None = None
    api_key: Key | None = None
    model: ModelName | None = None
    context_length: Annotated[int, Field(ge=256, le=100_000_000)] | None = None
    longest_request: (
        Annotated[int, Field(ge=MIN_LONGEST_REQUEST, le=MAX_LONGEST_REQUEST)] | None
    ) = None


class ChosenIn(Body):
    provider: ProviderName
    model: ModelName | None = None


@router.get("/providers")
async def show_providers(keeper: TheKeeper, account: CurrentAccount) -> ProvidersOut:
    """Every provider, and which one answers where a conversation chooses none."""
    return _shown(keeper, await keeper.connections.overview(account))


@router.get("/providers/found")
async def show_found(keeper: TheKeeper, asking: Asking) -> FoundListOut:
    """The model servers that answer on the server's own machine: the admin's to see."""
    found_here = await keeper.identities.held.during(
        asking.token_id, keeper.connections.found(asking.account)
    )
    return FoundListOut(
        [
            FoundOut(
                provider=found.server.provider,
                title=found.server.title,
                base_url=found.server.base_url,
                models=list(found.server.models),
                connected=found.is_connected,
                replaces=found.replaces,
            )
            for found in found_here
        ]
    )


@router.put("/providers/chosen")
async def choose(keeper: TheKeeper, account: CurrentAccount, body: ChosenIn) -> ProvidersOut:
    """That provider and model answer from now on."""
    return _shown(keeper, await keeper.connections.choose(account, body.provider, model=body.model))


@router.put("/providers/{name}")
async def change(
    keeper: TheKeeper, account: CurrentAccount, name: ProviderName, body: ProviderChange
) -> ProviderOut:
    """The account's own way to reach this provider."""
    given = body.model_fields_set
    if not given:
        raise InvalidInput("Nothing was given to change.")
    connected = await keeper.connections.change(
        account,
        name,
        base_url=body.base_url if "base_url" in given else KEPT,
        api_key=body.api_key if "api_key" in given else KEPT,
        model=body.model if "model" in given else KEPT,
        context_length=body.context_length if "context_length" in given else KEPT,
        longest_request=body.longest_request if "longest_request" in given else KEPT,
    )
    overview = await keeper.connections.overview(account)
    return _one(keeper, connected, overview)


@router.post("/providers/{name}/check")
async def check(
    keeper: TheKeeper, asking: Asking, name: ProviderName, _body: Nothing | None = None
) -> ProviderOut:
    """Ask the provider now; its health says how that went."""
    connected = await keeper.identities.held.during(
        asking.token_id, keeper.connections.check(asking.account, name)
    )
    return _one(keeper, connected, await keeper.connections.overview(asking.account))


@router.get("/providers/{name}/models")
async def show_models(keeper: TheKeeper, asking: Asking, name: ProviderName) -> ModelsOut:
    """The models on offer, asked of the provider now: so this also tests the connection."""
    models = await keeper.identities.held.during(
        asking.token_id, keeper.connections.models(asking.account, name)
    )
    return ModelsOut(list(models))


def _shown(keeper: TheKeeper, overview: Overview) -> ProvidersOut:
    return ProvidersOut(
        chosen=ChosenOut(overview.provider, overview.model),
        items=[_one(keeper, item, overview) for item in overview.items],
    )


def _one(keeper: TheKeeper, item: Connected, overview: Overview) -> ProviderOut:
    note = item.note
    is_configured = item.is_configured
    if item.kind.name == "local":
        try:
            find_weights(keeper.settings.data_dir / MODELS)
        except ModelMissing as missing:
            note, is_configured = missing.message, False
    return ProviderOut(
        name=item.kind.name,
        title=item.kind.title,
        chosen=item.kind.name == overview.provider,
        configured=is_configured,
        remote=item.is_remote,
        takes_base_url=item.kind.takes_base_url,
        needs_key=item.kind.needs_key,
        base_url=item.settings.base_url,
        model=item.settings.model,
        key_hint=item.settings.key_hint,
        context_length=item.settings.context_length,
        longest_request=item.settings.longest_request,
        note=note,
        health=item.health,
    )
