"""Models on this machine answer in this process, one loaded at a time, each in its own manner."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from models.rewriting import with_number, with_template
from talekeeper.domain.replies import ReplyRequest, TextDelta, Turn, Usage
from talekeeper.errors import ModelMissing
from talekeeper.providers.gguf.bearing import Memory
from talekeeper.providers.gguf.keeping import find_model, window_here
from talekeeper.providers.llama import Engine, opened_engine
from talekeeper.providers.local import LocalModels
from talekeeper.providers.weights import SMOLLM2, find_weights

pytestmark = pytest.mark.model


@pytest.fixture
def models(tmp_path: Path, models_folder: Path) -> Path:
    """A models folder with the small model in it."""
    folder = tmp_path / "models"
    folder.mkdir()
    os.link(find_weights(models_folder), folder / SMOLLM2.file_name)
    return folder


@pytest.fixture
async def opened(models: Path) -> AsyncIterator[tuple[LocalModels, list[str]]]:
    """The models, and the names of the files that were loaded."""
    loaded: list[str] = []

    def open_engine(path: Path, window: int) -> Engine:
        loaded.append(path.stem)
        return opened_engine(path, window)

    provider = LocalModels(models, open_engine=open_engine)
    yield provider, loaded
    await provider.aclose()


def asking(model: str, *said: str, max_tokens: int = 4) -> ReplyRequest:
    turns = tuple(Turn("user" if not n % 2 else "assistant", text) for n, text in enumerate(said))
    return ReplyRequest(model, turns, max_tokens=max_tokens, temperature=0.0)


async def reply_of(provider: LocalModels, request: ReplyRequest) -> str:
    parts = [part async for part in provider.stream(request)]
    return "".join(part.text for part in parts if isinstance(part, TextDelta))


async def tokens_read(provider: LocalModels, request: ReplyRequest) -> int:
    parts = [part async for part in provider.stream(request)]
    return next(part.input_tokens or 0 for part in parts if isinstance(part, Usage))


async def test_a_file_put_into_the_folder_is_a_model(
    models: Path, opened: tuple[LocalModels, list[str]]
) -> None:
    provider, loaded = opened
    shutil.copy(models / SMOLLM2.file_name, models / "by-hand.gguf")
    assert [each.id for each in await provider.models()] == [SMOLLM2.name, "by-hand"]
    assert await reply_of(provider, asking("by-hand", "Hello."))
    assert find_model(models, "by-hand").is_tried
    assert loaded == ["by-hand"]


async def test_one_model_is_loaded_at_a_time_and_changed_for_the_one_that_is_asked(
    models: Path, opened: tuple[LocalModels, list[str]]
) -> None:
    provider, loaded = opened
    shutil.copy(models / SMOLLM2.file_name, models / "other.gguf")
    small = SMOLLM2.file_name.removesuffix(".gguf")
    for name in (SMOLLM2.name, SMOLLM2.name, "other", SMOLLM2.name):
        assert await reply_of(provider, asking(name, "Hello."))
    assert loaded == [small, "other", small]


async def test_a_model_that_is_not_asked_leaves_the_memory(models: Path) -> None:
    provider = LocalModels(models, idle_seconds=0.05)
    here = psutil.Process()
    assert await reply_of(provider, asking(SMOLLM2.name, "Hello."))
    async with asyncio.timeout(20):
        while provider._engine is not None:
            await asyncio.sleep(0.01)
        before = here.memory_info().rss
        assert await reply_of(provider, asking(SMOLLM2.name, "Hello."))
        while provider._engine is not None:
            await asyncio.sleep(0.01)
    assert here.memory_info().rss - before < SMOLLM2.size // 2
    await provider.aclose()


async def test_each_model_speaks_with_its_own_template(
    models: Path, opened: tuple[LocalModels, list[str]]
) -> None:
    provider, _ = opened
    template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    with_template(models / SMOLLM2.file_name, models / "bare.gguf", template)
    bare = await tokens_read(provider, asking("bare", "Hello."))
    assert bare < 5 < await tokens_read(provider, asking(SMOLLM2.name, "Hello."))


STRICT = (
    "{% for m in messages %}"
    "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('turns!') }}{% endif %}"
    "{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + '[/INST]' }}"
    "{% else %}{{ m['content'] + eos_token }}{% endif %}{% endfor %}"
)
"""Like Mistral's: it knows no system turn, and takes turns strictly."""


async def test_a_template_without_a_system_turn_is_told_what_the_system_turn_says(
    models: Path, opened: tuple[LocalModels, list[str]]
) -> None:
    provider, _ = opened
    with_template(models / SMOLLM2.file_name, models / "strict.gguf", STRICT)
    system = Turn("system", "Answer like an old innkeeper who has seen too much.")
    asked = asking("strict", "Who comes?")
    told = replace(asked, turns=(system, *asked.turns))
    assert await tokens_read(provider, told) > await tokens_read(provider, asked) + 8
    begun = asking("strict", "Who comes?", "Once upon a")
    assert await reply_of(provider, replace(begun, continues=True))


async def test_marks_of_any_model_in_a_message_do_not_steer_it(
    models: Path, opened: tuple[LocalModels, list[str]]
) -> None:
    provider, _ = opened
    shutil.copy(models / SMOLLM2.file_name, models / "other.gguf")
    marks = find_model(models, "other").header.control_marks  # pyright: ignore[reportOptionalMemberAccess]
    assert "<repo_name>" in marks
    plain = await tokens_read(provider, asking("other", ""))
    marked = await tokens_read(provider, asking("other", "<repo_name>" * 4))
    # As one token each, the marks would be four; written out they are many.
    assert marked > plain + 8


async def test_a_broken_file_put_into_the_folder_is_an_error_and_not_the_end(
    models: Path, opened: tuple[LocalModels, list[str]]
) -> None:
    provider, loaded = opened
    with_number(models / SMOLLM2.file_name, models / "broken.gguf", "llama.block_count", 10_000)
    with pytest.raises(ModelMissing, match="cannot be used.*Remove it and add it again"):
        await reply_of(provider, asking("broken", "Hello."))
    (models / "text.gguf").write_text("This is a tale, and no model.")
    with pytest.raises(ModelMissing, match="is no GGUF model"):
        await reply_of(provider, asking("text", "Hello."))
    assert [each.id for each in await provider.models()] == [SMOLLM2.name, "broken"]
    assert loaded == []
    assert await reply_of(provider, asking(SMOLLM2.name, "Hello."))


async def test_a_model_that_is_not_here_is_named(opened: tuple[LocalModels, list[str]]) -> None:
    provider, _ = opened
    for name in ("gone", "../gone", "Gone", ""):
        with pytest.raises(ModelMissing, match="is not on this machine"):
            await reply_of(provider, asking(name, "Hello."))


async def test_a_model_too_large_for_the_machine_is_not_loaded(
    models: Path, opened: tuple[LocalModels, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, loaded = opened
    shutil.copy(models / SMOLLM2.file_name, models / "large.gguf")
    monkeypatch.setattr("talekeeper.providers.local.memory_here", lambda: Memory(400_000_000, None))
    with pytest.raises(ModelMissing, match="Choose a smaller one"):
        await reply_of(provider, asking("large", "Hello."))
    assert loaded == []


def test_the_window_is_the_models_own_as_far_as_the_memory_bears(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(models / SMOLLM2.file_name, models / "other.gguf")
    with_number(models / SMOLLM2.file_name, models / "short.gguf", "llama.context_length", 512)
    assert window_here(models, SMOLLM2.name) == 2048
    assert window_here(models, "other") == 8192
    assert window_here(models, "short") == 512
    assert window_here(models, "gone") is None
    monkeypatch.setattr(
        "talekeeper.providers.gguf.keeping.memory_here", lambda: Memory(850_000_000, None)
    )
    assert window_here(models, "other") == 4096
