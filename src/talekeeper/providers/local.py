"""The models on this machine: llama.cpp in this process, so that there is a reply without a key.

One thread of its own takes the requests in turn, loads the model that a request names and keeps it
until another one is asked for or none was for `idle_seconds`. A request that waits can be cancelled at
any time. The event loop is only ever handed finished pieces. Python's lock is held while the model
loads (about a quarter of a second for the small one; its file is read before, without the lock), not
while it speaks.

A model that was never tried is tried in a process of its own first: llama.cpp ends the process at some
damaged files. One that needs more memory than the machine has is not loaded.

Closing the generator returns at once. The thread looks for that after every token, and after every
batch of tokens while it still reads the prompt; the next request begins then.

An unfinished reply as the last turn is left open by the model's own template, so the model goes on
with its very next character.
"""

import asyncio
import contextlib
import queue
import threading
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Final

import msgspec

from talekeeper.domain.replies import (
    Finished,
    Model,
    ReplyRequest,
    StreamPart,
)
from talekeeper.errors import (
    ContextTooLong,
    InvalidInput,
    ModelMissing,
    ProviderError,
    ProviderFailed,
)
from talekeeper.providers.answers import events_in
from talekeeper.providers.gguf.bearing import fit_of, memory_here
from talekeeper.providers.gguf.keeping import KeptModel, find_model, kept_models, note_record
from talekeeper.providers.gguf.trying import try_model
from talekeeper.providers.llama import Engine, opened_engine
from talekeeper.providers.openai_answers import OpenAIAnswer
from talekeeper.providers.weights import SMOLLM2, find_weights

_MAX_TOKENS: Final = 1024
_SMALL_TEMPERATURE: Final = 0.2
_SMALL_REPEAT_PENALTY: Final = 1.1
"""So small a model falls into a rut without it."""
_CLOSE_SECONDS: Final = 3.0
IDLE_SECONDS: Final = 600.0
"""How long a model that is not asked stays in memory."""


class LocalModels:
    """The models of one folder. `open_engine` is given a model's file and window, on their thread."""

    name = "local"
    continues_text = True

    def __init__(
        self,
        models_folder: Path,
        *,
        open_engine: Callable[[Path, int], Engine] | None = None,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._models_folder = models_folder
        self._open_engine = open_engine or opened_engine
        self._idle_seconds = idle_seconds
        self._engine: Engine | None = None
        self._loaded: KeptModel | None = None
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._current: _Request | None = None

    async def stream(self, request: ReplyRequest) -> AsyncGenerator[StreamPart]:
        asked = _Request(request)
        self._ensure_thread()
        self._requests.put(asked)
        try:
            while True:
                part = await asked.parts.get()
                if isinstance(part, ProviderError):
                    raise part
                yield part
                if isinstance(part, Finished):
                    return
        finally:
            asked.is_given_up = True

    def can_title(self, request: ReplyRequest) -> bool:
        # So small a model names nothing better than the first words do.
        return request.model != SMOLLM2.name

    async def models(self) -> tuple[Model, ...]:
        """The models that can be used. Raises ModelMissing when there is none."""
        kept = await asyncio.to_thread(kept_models, self._models_folder)
        usable = [each for each in kept if each.fault is None]
        if not usable:
            await asyncio.to_thread(find_weights, self._models_folder)
        return tuple(Model(each.name, each.title, each.window) for each in usable)

    async def aclose(self) -> None:
        """End the reply under way and unload the model. It is loaded again if asked again."""
        thread, self._thread = self._thread, None
        if thread is not None:
            if self._current is not None:
                self._current.is_given_up = True
            self._requests.put(None)
            await asyncio.to_thread(thread.join, _CLOSE_SECONDS)

    def _ensure_thread(self) -> None:
        if self._thread is None:
            # A daemon: a process that was not closed in order must not hang on its last reply.
            self._thread = threading.Thread(target=self._work, name="local-model", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        """The thread: one request after another until None comes."""
        try:
            while (asked := self._next()) is not None:
                if asked.is_given_up:
                    continue
                self._current = asked
                try:
                    model = find_model(self._models_folder, asked.request.model)
                    asked.answer(self._engine_of(model, asked), model)
                except ProviderError as error:
                    asked.tell(error)
                except Exception as error:  # noqa: BLE001 - whatever it is, the thread lives on
                    asked.tell(_failed(error))
                finally:
                    self._current = None
        finally:
            self._unload()

    def _next(self) -> "_Request | None":
        """The next request. The model is unloaded when none comes for long."""
        if self._engine is not None:
            try:
                return self._requests.get(timeout=self._idle_seconds)
            except queue.Empty:
                self._unload()
        return self._requests.get()

    def _engine_of(self, model: KeptModel, asked: "_Request") -> Engine:
        loaded = self._loaded
        if self._engine is None or loaded is None or _file_of(loaded) != _file_of(model):
            self._unload()
            self._ensure_it_can_load(model, asked)
            self._engine = self._open_engine(model.path, model.window)
            self._loaded = model
        return self._engine

    def _unload(self) -> None:
        self._engine = self._loaded = None

    def _ensure_it_can_load(self, model: KeptModel, asked: "_Request") -> None:
        """Raises ModelMissing when loading the model would fail, or end this process."""
        if model.is_built_in:
            return
        memory = memory_here()
        if fit_of(model.memory, memory) == "too_large":
            raise ModelMissing(
                f"The model “{model.name}” needs {model.memory / 1e9:.1f} GB of memory, and this "
                f"machine has {memory.total / 1e9:.1f}. Choose a smaller one."
            )
        if model.is_tried:
            return
        try:
            try_model(model.path, window=model.window, is_given_up=lambda: asked.is_given_up)
        except InvalidInput as error:
            raise ModelMissing(
                f"The model “{model.name}” cannot be used. {error.message} Remove it and add it "
                "again, or choose another."
            ) from error
        with contextlib.suppress(OSError):  # then it is tried again the next time
            record = msgspec.structs.replace(model.record, tried=model.mark)
            note_record(self._models_folder, model.name, record)


def _file_of(model: KeptModel) -> tuple[Path, str, int]:
    return model.path, model.mark, model.window


class _Request:
    """A request on its way through the thread. `parts` belongs to the loop that asked."""

    def __init__(self, request: ReplyRequest) -> None:
        self.request = request
        self.parts: asyncio.Queue[StreamPart | ProviderError] = asyncio.Queue()
        self.is_given_up = False
        self._loop = asyncio.get_running_loop()
        self._answer = OpenAIAnswer(request.model)
        self._fault: ProviderError | None = None

    def tell(self, part: StreamPart | ProviderError) -> None:
        """Hand `part` to the loop. Where the loop is gone, so is whoever asked."""
        try:
            self._loop.call_soon_threadsafe(self.parts.put_nowait, part)
        except RuntimeError:
            self.is_given_up = True

    def answer(self, engine: Engine, model: KeptModel) -> None:
        """Run the request on the model's thread, to its end or until it is given up."""
        engine.handle_chat_completions(_body(self.request, model), self._hear)
        if self.is_given_up:
            return
        if self._fault is not None:
            raise self._fault
        answer = self._answer
        if answer.reason is None:
            raise _failed(None)
        answer.close()
        self._tell_parts()
        if answer.usage is not None:
            self.tell(answer.usage)
        self.tell(Finished(answer.reason))

    def _hear(self, chunk: bytes) -> bool:
        # llama.cpp swallows what a callback raises, so it is kept and raised afterwards.
        try:
            for event in events_in(chunk):
                self._answer.hear(event)
            self._tell_parts()
        except ContextTooLong as error:
            self._fault = _too_long(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends the reply
            self._fault = _failed(error)
        return self.is_given_up or self._fault is not None

    def _tell_parts(self) -> None:
        for part in self._answer.parts():
            self.tell(part)


def _body(request: ReplyRequest, model: KeptModel) -> bytes:
    turns = list(request.turns)
    if turns and turns[-1].role == "assistant" and not turns[-1].content.strip():
        # The template takes an empty reply for a finished one.
        turns.pop()
    marks = model.header.control_marks if model.header is not None else frozenset[str]()
    messages = [{"role": turn.role, "content": _plain(turn.content, marks)} for turn in turns]
    most = _MAX_TOKENS if model.is_built_in else model.window // 2
    body: dict[str, object] = {
        "messages": messages,
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_progress": True,
        "reasoning_format": "none",
        "max_tokens": min(request.max_tokens or most, model.window),
    }
    if model.is_built_in:
        body |= {"temperature": _SMALL_TEMPERATURE, "repeat_penalty": _SMALL_REPEAT_PENALTY}
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.top_p is not None:
        body["top_p"] = request.top_p
    return msgspec.json.encode(body)


def _plain(text: str, marks: frozenset[str]) -> str:
    """`text` without the model's control marks: what somebody typed must not end a turn."""
    text = text.replace("<|", "< |")
    for mark in marks:
        if mark in text:
            text = text.replace(mark, f"{mark[0]} {mark[1:]}")
    return text


def _too_long(error: ContextTooLong) -> ContextTooLong:
    failure = ContextTooLong(
        "The conversation is too long for this model. Go on in a new conversation, or choose a "
        "larger model in the settings."
    )
    failure.__cause__ = error
    return failure


def _failed(error: Exception | None) -> ProviderFailed:
    failure = ProviderFailed(
        "The model on this machine had a fault. Try again, or choose another in the settings."
    )
    failure.__cause__ = error
    return failure
