"""Every model that this machine has, fetches or could have, with what it takes and whether it fits."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from talekeeper.providers.gguf.bearing import Fit, Memory, fit_of, memory_here
from talekeeper.providers.gguf.downloads import Doing, Download, Downloads, stopped_downloads
from talekeeper.providers.gguf.keeping import Checked, KeptModel, kept_models
from talekeeper.providers.gguf.offers import Offer, offer_named, offers

State = Literal["offered", "kept", "broken"] | Doing


@dataclass(frozen=True, slots=True)
class ShelvedModel:
    """A model in one line. Sizes are in bytes, None where they are not known.

    `done` of `size` bytes are here. `trouble` says why it failed or cannot be used. `checked` says
    whose SHA-256 its file was compared with, None for none.
    """

    name: str
    title: str
    state: State
    parameters: str | None
    licence: str | None
    address: str | None
    size: int | None
    done: int
    memory: int | None
    window: int | None
    fit: Fit | None
    checked: Checked | None
    trouble: str | None
    is_listed: bool
    is_built_in: bool


@dataclass(frozen=True, slots=True)
class Shelf:
    """All models, and what this machine has of memory and disk, in bytes."""

    memory: Memory
    free_disk: int | None
    models: tuple[ShelvedModel, ...]


def shelf_of(folder: Path, downloads: Downloads | None = None) -> Shelf:
    """What is here, what is being fetched, and what the list offers beside that."""
    memory = memory_here()
    kept = {model.name: _kept(model, memory) for model in kept_models(folder)}
    fetched = {
        each.name: _fetched(each, memory)
        for each in (downloads.all() if downloads is not None else stopped_downloads(folder))
        if each.name not in kept
    }
    offered = [
        fetched.pop(offer.name, None) or _offered(offer, memory)
        for offer in offers()
        if offer.name not in kept
    ]
    return Shelf(memory, _free_disk(folder), (*kept.values(), *fetched.values(), *offered))


def _kept(model: KeptModel, memory: Memory) -> ShelvedModel:
    offer, header = offer_named(model.name), model.header
    return ShelvedModel(
        name=model.name,
        title=model.title,
        state="broken" if model.fault else "kept",
        parameters=offer.parameters if offer else header and header.parameters,
        licence=model.licence,
        address=model.record.address,
        size=model.size,
        done=model.size,
        memory=None if model.fault else model.memory,
        window=None if model.fault else model.window,
        fit=None if model.fault else fit_of(model.memory, memory),
        checked=model.record.checked,
        trouble=model.fault,
        is_listed=offer is not None,
        is_built_in=model.is_built_in,
    )


def _fetched(download: Download, memory: Memory) -> ShelvedModel:
    offer = offer_named(download.name)
    return ShelvedModel(
        name=download.name,
        title=offer.title if offer else download.name,
        state=download.doing,
        parameters=offer.parameters if offer else None,
        licence=offer.licence if offer else None,
        address=download.address,
        size=download.total,
        done=download.done,
        memory=offer.memory if offer else None,
        window=None,
        fit=fit_of(offer.memory, memory) if offer else None,
        checked=None,
        trouble=download.trouble,
        is_listed=offer is not None,
        is_built_in=False,
    )


def _offered(offer: Offer, memory: Memory) -> ShelvedModel:
    return ShelvedModel(
        name=offer.name,
        title=offer.title,
        state="offered",
        parameters=offer.parameters,
        licence=offer.licence,
        address=offer.address,
        size=offer.size,
        done=0,
        memory=offer.memory,
        window=None,
        fit=fit_of(offer.memory, memory),
        checked=None,
        trouble=None,
        is_listed=True,
        is_built_in=False,
    )


def _free_disk(folder: Path) -> int | None:
    for place in (folder, *folder.parents):
        try:
            return shutil.disk_usage(place).free
        except OSError:
            continue
    return None
