"""The built-in small model: llama.cpp in this process, so that there is a reply without a key.

One thread of its own loads the model at the first request and then takes the requests in turn;
whoever waits can leave the queue at any time. The event loop is only ever handed finished pieces.
Python's lock is held while the model loads (about a quarter of a second, once; its file is read
before, without the lock), not while it speaks.

Closing the generator returns at once. The thread looks for that after every token, and after every
`_BATCH` tokens while it still reads the prompt; the next request begins then.

llama.cpp brings an HTTP server that cannot be switched off and answers every web page. It listens
on a Unix socket whose name is removed as soon as it stands, and wants a key that nobody knows:
requests go in by a call, never by that door.

An unfinished reply as the last turn is left open by the model's own template, so the model goes on
with its very next character.
"""

import asyncio
import contextlib
import os
import queue
import secrets
import sys
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any, Final, Protocol, cast

import msgspec

from talekeeper.domain.replies import (
    Finished,
    Model,
    ReplyRequest,
    StreamPart,
)
from talekeeper.errors import ContextTooLong, ModelMissing, ProviderError, ProviderFailed
from talekeeper.providers.answers import events_in
from talekeeper.providers.openai_answers import OpenAIAnswer
from talekeeper.providers.weights import SMOLLM2, find_weights

CONTEXT_TOKENS: Final = 2048
"""What the request and the reply may have together. The model was made for no more."""
_MAX_TOKENS: Final = 1024
_TEMPERATURE: Final = 0.2
_BATCH: Final = 64
_CLOSE_SECONDS: Final = 3.0
_LONGEST_SOCKET_NAME: Final = 100


class Engine(Protocol):
    """The one call of llama.cpp that is used: JSON in, JSON pieces out, true from `hear` ends it."""

    def handle_chat_completions(
        self, request: bytes, hear: Callable[[bytes], bool], /
    ) -> object: ...


class LocalModel:
    """The small model. `open_engine` is given the weights' file, on the model's own thread."""

    name = "local"
    continues_text = True

    def __init__(
        self, models_folder: Path, *, open_engine: Callable[[Path], Engine] | None = None
    ) -> None:
        self._models_folder = models_folder
        self._open_engine = open_engine or opened_engine
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._current: _Request | None = None

    async def stream(self, request: ReplyRequest) -> AsyncGenerator[StreamPart]:
        asked = _Request(_body(request), request.model)
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

    def can_title(self, request: ReplyRequest) -> bool:  # noqa: ARG002
        return False  # so small a model names nothing better than the first words do

    async def models(self) -> tuple[Model, ...]:
        await asyncio.to_thread(find_weights, self._models_folder)
        return (Model(SMOLLM2.name, "SmolLM2 135M (built in)", CONTEXT_TOKENS),)

    async def aclose(self) -> None:
        """End the reply under way and let the model go. It is loaded again if asked again."""
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
        engine: Engine | None = None
        while (asked := self._requests.get()) is not None:
            if asked.is_given_up:
                continue
            self._current = asked
            try:
                engine = engine or self._open_engine(find_weights(self._models_folder))
                asked.answer(engine)
            except ProviderError as error:
                asked.tell(error)
            except Exception as error:  # noqa: BLE001 - whatever it is, the thread lives on
                asked.tell(_failed(error))
            finally:
                self._current = None


class _Request:
    """A request on its way through the thread. `parts` belongs to the loop that asked."""

    def __init__(self, body: bytes, model: str) -> None:
        self.parts: asyncio.Queue[StreamPart | ProviderError] = asyncio.Queue()
        self.is_given_up = False
        self._loop = asyncio.get_running_loop()
        self._body = body
        self._answer = OpenAIAnswer(model)
        self._fault: ProviderError | None = None

    def tell(self, part: StreamPart | ProviderError) -> None:
        """Hand `part` to the loop. Where the loop is gone, so is whoever asked."""
        try:
            self._loop.call_soon_threadsafe(self.parts.put_nowait, part)
        except RuntimeError:
            self.is_given_up = True

    def answer(self, engine: Engine) -> None:
        """Run the request on the model's thread, to its end or until nobody wants it."""
        engine.handle_chat_completions(self._body, self._hear)
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


def opened_engine(weights: Path) -> Engine:
    """llama.cpp with the weights loaded. Takes a while: for the model's own thread only.

    Raises ProviderFailed when it cannot start, ModelMissing where llama.cpp cannot run at all.
    """
    try:
        import xllamacpp
    except (ImportError, OSError) as error:
        raise ModelMissing(
            "The built-in model cannot run on this machine. Connect another in the settings."
        ) from error
    _read_through(weights)
    # xllamacpp carries no types.
    made = cast("Any", xllamacpp)
    parameters = made.CommonParams()
    parameters.model.path = str(weights)
    parameters.verbosity = -1
    parameters.n_ctx = CONTEXT_TOKENS
    parameters.fit_params = False
    parameters.n_parallel = 1
    parameters.n_batch = parameters.n_ubatch = _BATCH
    # With every core taken, the threads of llama.cpp wait for each other and it collapses.
    threads = max(1, _cores() - 1)
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
    parameters.warmup = False
    parameters.no_extra_bufts = True  # no second copy of the weights in memory
    parameters.cache_ram_mib = 0  # it would keep up to 8 GB of old prompts
    parameters.n_threads_http = 1
    parameters.ui = parameters.endpoint_slots = False
    parameters.api_keys = [secrets.token_urlsafe(32)]
    with tempfile.TemporaryDirectory(prefix="talekeeper-") as folder:
        name = str(Path(folder, "m.sock"))
        if len(name.encode()) < _LONGEST_SOCKET_NAME:
            parameters.hostnames = [name]
        try:
            return cast("Engine", made.Server(parameters))
        except RuntimeError as error:
            raise ProviderFailed(
                "The built-in model did not start. There may be too little memory; "
                "`talekeeper model add` checks its file."
            ) from error


def _cores() -> int:
    """The cores that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _read_through(path: Path) -> None:
    """Bring the file into memory without Python's lock, so that loading waits for no disk."""
    buffer = bytearray(1 << 20)
    with contextlib.suppress(OSError), path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def _body(request: ReplyRequest) -> bytes:
    turns = list(request.turns)
    if turns and turns[-1].role == "assistant" and not turns[-1].content.strip():
        # The template takes an empty reply for a finished one.
        turns.pop()
    messages = [{"role": turn.role, "content": _plain(turn.content)} for turn in turns]
    body: dict[str, object] = {
        "messages": messages,
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_progress": True,
        "reasoning_format": "none",
        "max_tokens": min(request.max_tokens or _MAX_TOKENS, CONTEXT_TOKENS),
        "repeat_penalty": 1.1,  # so small a model falls into a rut without it
        "temperature": _TEMPERATURE if request.temperature is None else request.temperature,
    }
    if request.top_p is not None:
        body["top_p"] = request.top_p
    return msgspec.json.encode(body)


def _plain(text: str) -> str:
    """`text` without the model's control marks: what somebody typed must not end a turn."""
    return text.replace("<|", "< |")


def _too_long(error: ContextTooLong) -> ContextTooLong:
    failure = ContextTooLong(
        "The conversation is too long for the built-in model. Go on in a new conversation, or "
        "connect a larger model in the settings."
    )
    failure.__cause__ = error
    return failure


def _failed(error: Exception | None) -> ProviderFailed:
    failure = ProviderFailed(
        "The built-in model had a fault. Try again, or connect another model in the settings."
    )
    failure.__cause__ = error
    return failure
