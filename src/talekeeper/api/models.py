"""Routes of the models on the server's own machine: the admin's to see, to add and to remove."""

import asyncio
from dataclasses import dataclass
from typing import Annotated

from fastapi import Path, Response
from pydantic import Field

from talekeeper.api.bodies import Body, Nothing, Text
from talekeeper.api.identity import CurrentAdmin
from talekeeper.api.resources import TheKeeper, resource
from talekeeper.errors import NotFound
from talekeeper.keeper import Keeper
from talekeeper.providers.gguf.adding import wanted_model
from talekeeper.providers.gguf.keeping import remove_model
from talekeeper.providers.gguf.shelf import ShelvedModel, shelf_of

router = resource("models")

_Name = Annotated[str, Path(max_length=80)]


class ModelIn(Body):
    """`source`: a name of the list, an address, or the path of a .gguf file on the server's machine.

    `sha256` is what the file is compared with, where the list does not say it.
    """

    source: Annotated[Text, Field(min_length=1, max_length=2_000)]
    sha256: Annotated[Text, Field(min_length=64, max_length=64)] | None = None


@dataclass(frozen=True, slots=True)
class LocalModelsOut:
    """Bytes of memory and disk, null where they are not known, and every model that is here, being
    fetched, or offered.
    """

    memory: int
    free_memory: int | None
    free_disk: int | None
    items: list[ShelvedModel]


@router.get("/models")
async def show_local_models(keeper: TheKeeper, _admin: CurrentAdmin) -> LocalModelsOut:
    """The models of the server's machine. While one is fetched, ask again for its progress."""
    return await _shown(keeper)


@router.post("/models", status_code=202)
async def add_local_model(keeper: TheKeeper, _admin: CurrentAdmin, body: ModelIn) -> LocalModelsOut:
    """The server fetches the model by itself, from where an earlier attempt ended."""
    wanted = await asyncio.to_thread(wanted_model, body.source, sha256=body.sha256)
    await keeper.downloads.add(wanted)
    return await _shown(keeper)


@router.post("/models/{name}/stop")
async def stop_local_model(
    keeper: TheKeeper, _admin: CurrentAdmin, name: _Name, _body: Nothing | None = None
) -> LocalModelsOut:
    """The server does not fetch the model any more. What came of it is kept."""
    await keeper.downloads.stop(name)
    return await _shown(keeper)


@router.delete("/models/{name}", status_code=204)
async def remove_local_model(keeper: TheKeeper, _admin: CurrentAdmin, name: _Name) -> Response:
    """Neither the model nor a part of it is here any more."""
    was_part = await keeper.downloads.discard(name)
    try:
        await asyncio.to_thread(remove_model, keeper.models_folder, name)
    except NotFound:
        if not was_part:
            raise
    return Response(status_code=204)


async def _shown(keeper: Keeper) -> LocalModelsOut:
    shelf = await asyncio.to_thread(shelf_of, keeper.models_folder, keeper.downloads)
    return LocalModelsOut(
        memory=shelf.memory.total,
        free_memory=shelf.memory.free,
        free_disk=shelf.free_disk,
        items=list(shelf.models),
    )
