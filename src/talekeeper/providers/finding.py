"""Finding: which model servers run on this machine, at the ports where they usually listen.

Only 127.0.0.1 is asked, at ports that are written down here, with a GET that changes nothing and
bears no key; no redirect is followed. What does not answer at once with a list of models is not
there. Any of these ports may belong to something else: then its answer is no list, and is dropped.
"""

import asyncio
from typing import Final
from urllib.parse import urlsplit

from talekeeper.errors import ProviderError
from talekeeper.providers.answers import entries_of, text_in
from talekeeper.providers.catalogue import FoundServer
from talekeeper.providers.http import Line
from talekeeper.providers.ollama import HERE, Ollama, discover
from talekeeper.providers.openai_answers import listed
from talekeeper.providers.presets import PRESETS
from talekeeper.providers.reach import Reach

_ANSWER_SECONDS: Final = 0.5
_LIST_SECONDS: Final = 3.0
_LOCAL: Final = {preset.title: preset for preset in PRESETS if not preset.is_remote}
_PLACES: Final = (
    *((urlsplit(preset.base_url).port or 80, preset.title) for preset in _LOCAL.values()),
    (5000, "text-generation-webui"),
)
_OWNERS: Final = {
    "llamacpp": "llama.cpp",
    "vllm": "vLLM",
    "koboldcpp": "KoboldCpp",
    "organization_owner": "LM Studio",
    "organization-owner": "LM Studio",
}
"""How servers sign their lists, which says more than the port they listen at."""


async def found_servers(
    *,
    ollama_url: str = HERE,
    places: tuple[tuple[int, str], ...] = _PLACES,
) -> tuple[FoundServer, ...]:
    """Every model server that answers at its usual place, within about half a second.

    Raises nothing.
    """
    found = await asyncio.gather(
        _found_ollama(ollama_url), *(_found_at(port, title) for port, title in places)
    )
    return tuple(server for server in found if server is not None)


async def _found_ollama(base_url: str) -> FoundServer | None:
    version = await discover(base_url, seconds=_ANSWER_SECONDS)
    if version is None:
        return None
    ollama = Ollama(base_url, name="ollama", reach=Reach.ANYWHERE)
    try:
        async with asyncio.timeout(_LIST_SECONDS):
            models = await ollama.models()
    except (ProviderError, TimeoutError):
        models = ()
    finally:
        await ollama.aclose()
    return FoundServer("ollama", None, f"Ollama {version}", base_url, models)


async def _found_at(port: int, title: str) -> FoundServer | None:
    base_url = f"http://127.0.0.1:{port}/v1"
    line = Line(
        base_url,
        api_key=None,
        stall_seconds=_ANSWER_SECONDS,
        first_token_seconds=_ANSWER_SECONDS,
        reach=Reach.ANYWHERE,
        clock=None,
    )
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            document = await line.document("models")
        entries, _ = entries_of(document, "data")
        models = listed(document)
    except (ProviderError, TimeoutError):
        return None
    finally:
        await line.aclose()
    signed = text_in(entries[0], "owned_by").casefold() if entries else ""
    title = _OWNERS.get(signed, title)
    preset = _LOCAL.get(title)
    return FoundServer("openai", preset.name if preset else None, title, base_url, models)
