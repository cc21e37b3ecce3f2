"""The checked-in list of models that Talekeeper offers to download (`offers.json`).

Each address names a commit, so that the file behind it cannot change, and each entry has the size
and the SHA-256 of that file. `memory` is what the model takes while it answers: its weights, the
talk in a window of `bearing.MOST_TOKENS` tokens, and room to compute.
"""

import re
from functools import cache
from importlib import resources
from typing import Annotated, Final

import msgspec

_NAME: Final = r"[a-z0-9][a-z0-9._-]{0,79}"
_PINNED: Final = r"^https://huggingface\.co/[\w.-]+/[\w.-]+/resolve/[0-9a-f]{40}/[\w.-]+\.gguf$"


class Offer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A model of the list. Sizes are in bytes."""

    name: Annotated[str, msgspec.Meta(pattern=f"^{_NAME}$")]
    title: Annotated[str, msgspec.Meta(min_length=1)]
    parameters: Annotated[str, msgspec.Meta(min_length=1)]
    size: Annotated[int, msgspec.Meta(gt=0)]
    memory: Annotated[int, msgspec.Meta(gt=0)]
    licence: Annotated[str, msgspec.Meta(min_length=1)]
    address: Annotated[str, msgspec.Meta(pattern=_PINNED)]
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]


@cache
def offers() -> tuple[Offer, ...]:
    """Every model of the list, the smallest first."""
    text = resources.files("talekeeper.providers.gguf").joinpath("offers.json").read_bytes()
    return decoded_offers(text)


def decoded_offers(text: bytes) -> tuple[Offer, ...]:
    """The list in `text`. Raises msgspec.ValidationError where it does not keep to the schema."""
    return msgspec.json.decode(text, type=tuple[Offer, ...])


def offer_named(name: str) -> Offer | None:
    return next((offer for offer in offers() if offer.name == name), None)


def is_model_name(name: str) -> bool:
    """Whether `name` can be a model's: it is also the beginning of a file's name."""
    return re.fullmatch(_NAME, name) is not None and ".." not in name
