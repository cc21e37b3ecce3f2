"""The kinds of provider there are, and how one is built for an endpoint."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from talekeeper.domain.connections import Kind
from talekeeper.domain.replies import Model, Provider
from talekeeper.errors import ModelMissing
from talekeeper.providers.reach import Reach


@dataclass(frozen=True, slots=True)
class ProviderKind:
    """One kind of provider, as the settings show it.

    `is_remote` says that words leave this machine, or may; where there is an address, it decides.
    `unavailable` is the reason why this build cannot use it, None where it can.
    """

    name: Kind
    title: str
    is_remote: bool
    base_url: str | None = None
    needs_key: bool = False
    takes_base_url: bool = False
    default_model: str | None = None
    unavailable: str | None = None


KINDS: Final = (
    ProviderKind(
        "local",
        "Built-in model",
        is_remote=False,
        default_model="smollm2-135m-instruct",
    ),
    ProviderKind(
        "ollama",
        "Ollama",
        is_remote=False,
        base_url="http://127.0.0.1:11434/v1",
        takes_base_url=True,
    ),
    ProviderKind(
        "openai",
        "OpenAI",
        is_remote=True,
        base_url="https://api.openai.com/v1",
        needs_key=True,
        takes_base_url=True,
    ),
    ProviderKind(
        "anthropic",
        "Anthropic",
        is_remote=True,
        base_url="https://api.anthropic.com/v1",
        needs_key=True,
        takes_base_url=True,
    ),
    ProviderKind(
        "google",
        "Google Gemini",
        is_remote=True,
        base_url="https://generativelanguage.googleapis.com/v1beta",
        needs_key=True,
        takes_base_url=True,
    ),
    ProviderKind(
        "scripted",
        "Scripted demonstration",
        is_remote=False,
        default_model="scripted",
    ),
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a provider is built from: its kind, its address, the key, and the fields of a request
    that the server is known to refuse.

    `base_url` None means the kind's own. The key is never shown by `repr`.
    """

    kind: str
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    leaves_out: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class FoundServer:
    """A model server on this machine, the kind of provider that speaks with it, and the preset for
    such servers, None where there is none.
    """

    kind: Kind
    preset: str | None
    title: str
    base_url: str
    models: tuple[Model, ...]


def kind_named(name: str) -> ProviderKind | None:
    return next((kind for kind in KINDS if kind.name == name), None)


def kind_of(name: Kind) -> ProviderKind:
    return next(kind for kind in KINDS if kind.name == name)


def build_provider(
    endpoint: Endpoint,
    *,
    models_folder: Path,
    stall_seconds: float = 60.0,
    first_token_seconds: float = 300.0,
    scripted_pace: float = 0.0,
    local_idle_seconds: float = 600.0,
    reach: Reach = Reach.ANYWHERE,
) -> Provider:
    """The provider for `endpoint`. Connects to nothing and loads nothing yet.

    Raises ModelMissing when this build has no such provider.
    """
    kind = kind_named(endpoint.kind)
    if kind is None:
        raise ModelMissing(
            f"There is no provider “{endpoint.kind}”. Choose another in the settings."
        )
    if kind.unavailable is not None:
        raise ModelMissing(kind.unavailable)
    # Each module is imported when it is first used: the HTTP client alone costs a tenth of a
    # second at the start, and a table with only the built-in model never needs it.
    match kind.name:
        case "local":
            from talekeeper.providers.local import LocalModels

            return LocalModels(models_folder, idle_seconds=local_idle_seconds)
        case "scripted":
            from talekeeper.providers.scripted import Scripted

            return Scripted(pace=scripted_pace, stall_seconds=stall_seconds)
        case "anthropic":
            from talekeeper.providers.anthropic import Anthropic

            return Anthropic(
                endpoint.base_url or kind.base_url or "",
                api_key=endpoint.api_key,
                stall_seconds=stall_seconds,
                first_token_seconds=first_token_seconds,
                reach=reach,
            )
        case "google":
            from talekeeper.providers.google import Google

            return Google(
                endpoint.base_url or kind.base_url or "",
                api_key=endpoint.api_key,
                stall_seconds=stall_seconds,
                first_token_seconds=first_token_seconds,
                reach=reach,
            )
        case "ollama":
            from talekeeper.providers.ollama import Ollama

            return Ollama(
                endpoint.base_url or kind.base_url or "",
                api_key=endpoint.api_key,
                name=kind.name,
                stall_seconds=stall_seconds,
                first_token_seconds=first_token_seconds,
                reach=reach,
            )
        case _:
            from talekeeper.providers.openai_compatible import OpenAICompatible

            return OpenAICompatible(
                endpoint.base_url or kind.base_url or "",
                api_key=endpoint.api_key,
                name=kind.name,
                stall_seconds=stall_seconds,
                first_token_seconds=first_token_seconds,
                reach=reach,
                leaves_out=endpoint.leaves_out,
            )
