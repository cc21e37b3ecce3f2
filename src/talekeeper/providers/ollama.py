"""Ollama: asked over the OpenAI wire it speaks too, known by its own.

Its own wire says which models are on the disk and how many tokens of a talk it keeps. That is
seldom what a model was made for: unless told otherwise Ollama keeps 4,096 and forgets the rest in
silence. So the length shown is what it is sure to keep: of a loaded model what it was loaded with
(`/api/ps`), else what its file says (`num_ctx`), else 4,096, and never more than the model was
made for (`/api/show`).

Taken from https://docs.ollama.com/api and /context-length.
"""

import asyncio
import re
from typing import Final, cast

import msgspec

from talekeeper.domain.replies import Ability, Model
from talekeeper.errors import ProviderError, ProviderRejected, ProviderSentGarbage
from talekeeper.providers.abilities import abilities_in
from talekeeper.providers.answers import count_in, entries_of, text_in
from talekeeper.providers.http import Line
from talekeeper.providers.openai_compatible import OpenAICompatible
from talekeeper.providers.reach import Reach

HERE: Final = "http://127.0.0.1:11434/v1"
SURE_LENGTH: Final = 4_096
_AT_ONCE: Final = 8
_NUM_CTX: Final = re.compile(r"^\s*num_ctx\s+(\d+)\s*$", re.MULTILINE)


class Ollama(OpenAICompatible):
    """An Ollama at one base URL, which ends in /v1."""

    async def models(self) -> tuple[Model, ...]:
        try:
            entries, _ = entries_of(await self._line.document("/api/tags"), "models")
        except (ProviderRejected, ProviderSentGarbage):
            return await super().models()  # something else that answers at this address
        loaded = await self._loaded_lengths()
        places = asyncio.Semaphore(_AT_ONCE)

        async def described(entry: dict[str, object]) -> Model | None:
            name = text_in(entry, "model", "name")
            if not name:
                return None
            if text_in(entry, "remote_host"):
                return Model(name, f"{name} (not on this machine: in Ollama's cloud)")
            async with places:
                length, abilities = await self._described(name)
            title = text_in(entry, "name") or name
            return Model(name, title, loaded.get(name) or length, abilities)

        models = await asyncio.gather(*(described(entry) for entry in entries))
        return tuple(model for model in models if model is not None)

    async def _loaded_lengths(self) -> dict[str, int]:
        """What the models in memory keep. An elder Ollama does not say it."""
        try:
            entries, _ = entries_of(await self._line.document("/api/ps"), "models")
        except ProviderError:
            return {}
        lengths = {text_in(e, "model", "name"): count_in(e, "context_length") for e in entries}
        return {name: length for name, length in lengths.items() if length is not None}

    async def _described(self, name: str) -> tuple[int | None, tuple[Ability, ...]]:
        """What a model that is not loaded will keep, None where Ollama does not describe it, and
        what it can do.
        """
        try:
            body = msgspec.json.encode({"model": name})
            described = msgspec.json.decode(await self._line.document("/api/show", body))
        except (ProviderError, msgspec.DecodeError):
            return None, ()
        if not isinstance(described, dict):
            return None, ()
        fields = cast("dict[str, object]", described)
        found = _NUM_CTX.search(text_in(fields, "parameters"))
        kept = int(found[1]) if found else SURE_LENGTH
        info = fields.get("model_info")
        made_for = None
        if isinstance(info, dict):
            facts = cast("dict[str, object]", info)
            made_for = count_in(facts, *(key for key in facts if key.endswith(".context_length")))
        return min(kept, made_for) if made_for else kept, abilities_in(fields)


async def discover(base_url: str = HERE, *, seconds: float = 0.3) -> str | None:
    """The version of the Ollama that answers at `base_url` within `seconds`; None where none does.

    For the settings page to offer it. Raises nothing, and knows no key.
    """
    line = Line(
        base_url,
        api_key=None,
        stall_seconds=seconds,
        first_token_seconds=seconds,
        reach=Reach.ANYWHERE,
        clock=None,
    )
    try:
        async with asyncio.timeout(seconds):
            told = msgspec.json.decode(await line.document("/api/version"))
    except (ProviderError, TimeoutError, msgspec.DecodeError):
        return None
    finally:
        await line.aclose()
    if not isinstance(told, dict):
        return None
    return text_in(cast("dict[str, object]", told), "version") or None
