"""Running: a generation is a task of the server's, from its first token to its last write.

    begin ─> compose ─> stream ─> fold ─┬─> hub      at once, for whoever follows
                                        └─> store    every 150 ms or 1,024 characters
             end: one write with the final text, the status and the counts; then 'finished'

- Nobody who follows is known here: a page that closes changes nothing.
- All growing replies are checkpointed by one unit of work a tick, so many streams cost one commit.
- Every write is made under the generation's epoch while it is still the running one. A process
  that froze and woke after another took over writes nothing, and its task ends.
- The end is written again and again until it is stored: a full disk does not lose the reply, whose
  text waits here and, as far as it got, in the checkpoints.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Literal

import msgspec
import structlog

from talekeeper.clock import Clock
from talekeeper.domain.conversations import Generation, Message, MessageStatus, ReplyError
from talekeeper.domain.replies import Finished, Provider, ReasoningDelta, TextDelta, Usage
from talekeeper.errors import NotFound, ProviderError, ProviderStreamCut, StoreError, trail
from talekeeper.generation.beginning import Begun
from talekeeper.generation.checkpointing import INTERVAL, SIZE
from talekeeper.generation.folding import folded, joined, needs_more_for_seam, settled
from talekeeper.ids import GenerationId
from talekeeper.live import Delta, Hub
from talekeeper.prompts import Composed, composed
from talekeeper.prompts.composing import HISTORY_LIMIT
from talekeeper.store import Reader, Store, Writer
from talekeeper.store.conversations import get_conversation, hold_conversation
from talekeeper.store.generations import (
    Measures,
    add_chunk,
    end_generation,
    find_generation,
    keep_receipt,
)
from talekeeper.store.messages import (
    begin_streaming,
    close_message,
    message_at,
    path_to,
    restore_reply,
)

log = structlog.get_logger(__name__)

_UNCOUNTED: Final = Usage(None, None)
_RETRY_FIRST: Final = 0.1
_RETRY_LAST: Final = 5.0

Ending = Literal["finished", "stopped", "interrupted", "failed"]
_MESSAGE_STATUS: Final[dict[Ending, MessageStatus]] = {
    "finished": "complete",
    "stopped": "stopped",
    "interrupted": "interrupted",
    "failed": "failed",
}


@dataclass(frozen=True, slots=True)
class Reached:
    """A provider that is ready to be asked, the model to name, and how much that model holds."""

    provider: Provider
    model: str
    window: int | None


Reach = Callable[[Generation], Awaitable[Reached]]


@dataclass(eq=False, slots=True)
class _Growing:
    """A reply while it grows: all its text, and how much of it is on disk."""

    begun: Begun
    started: float
    model: str
    text: list[str] = field(default_factory=list[str])
    end: int = 0
    saved: int = 0
    unsaved: list[str] = field(default_factory=list[str])
    held: str = ""
    seam: str | None = None
    receipt: str | None = None
    """What the model was told, until it is on disk: it goes with the first write there is."""
    first_token: float | None = None
    usage: Usage = _UNCOUNTED
    ending: Ending | None = None
    has_lost_lock: bool = False
    task: "asyncio.Task[None] | None" = None
    reader: "asyncio.Task[None] | None" = None

    @property
    def generation(self) -> Generation:
        return self.begun.generation

    @property
    def unsaved_length(self) -> int:
        return self.end - self.saved


class Generations:
    """Every generation that this process runs."""

    def __init__(self, store: Store, hub: Hub, *, reach: Reach, clock: Clock) -> None:
        self._store = store
        self._hub = hub
        self._reach = reach
        self._clock = clock
        self._growing: dict[GenerationId, _Growing] = {}
        self._is_dirty = asyncio.Event()
        self._is_large = asyncio.Event()
        self._is_closing = False
        self._ticker = asyncio.create_task(self._checkpoint_forever(), name="checkpoints")

    @property
    def running(self) -> int:
        return len(self._growing)

    @property
    def is_serving(self) -> bool:
        return not self._ticker.done()

    def begin(self, begun: Begun) -> None:
        """The generation runs until it ends by itself, is stopped, or the process goes."""
        growing = _Growing(begun, self._clock.monotonic(), begun.generation.model)
        growing.text.append(begun.message.content)
        growing.end = growing.saved = len(begun.message.content)
        self._growing[begun.generation.id] = growing
        growing.task = asyncio.create_task(self._run(growing), name=f"reply {begun.message.id}")
        if self._is_closing:
            self._interrupt(growing, "interrupted")

    async def stop(self, generation: Generation) -> None:
        """The generation has ended and what it said is kept, when this returns."""
        growing = self._growing.get(generation.id)
        if growing is None or growing.task is None:
            return
        self._interrupt(growing, "stopped")
        await asyncio.shield(growing.task)

    async def wait(self, generation_id: GenerationId) -> None:
        """The generation has ended, however, when this returns."""
        growing = self._growing.get(generation_id)
        if growing is not None and growing.task is not None:
            await asyncio.shield(growing.task)

    async def close(self, *, patience: float = 2.0) -> None:
        """Every reply is closed as interrupted, its text kept; within `patience` seconds."""
        self._is_closing = True
        tasks = [growing.task for growing in self._growing.values() if growing.task]
        for growing in list(self._growing.values()):
            self._interrupt(growing, "interrupted")
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=patience)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._ticker.cancel()
        await asyncio.gather(self._ticker, return_exceptions=True)

    def _interrupt(self, growing: _Growing, ending: Ending) -> None:
        if growing.ending is None:
            growing.ending = ending
        if growing.reader is not None:
            growing.reader.cancel()

    async def _run(self, growing: _Growing) -> None:
        generation = growing.generation
        ids = {
            "generation_id": generation.id,
            "conversation_id": generation.conversation_id,
            "provider": generation.provider,
        }
        log.info("generation.started", kind=generation.kind, **ids)
        error: ReplyError | None = None
        ending: Ending = "interrupted"
        try:
            if growing.ending is None:
                growing.reader = asyncio.create_task(self._read(growing))
                await growing.reader
            ending = growing.ending or "finished"
        except asyncio.CancelledError:
            ending = growing.ending or "interrupted"
        except ProviderError as failure:
            ending, error = "failed", _told(failure)
            log.warning("generation.failed", code=failure.code, **ids)
        except StoreError as failure:
            ending, error = "failed", _told(failure)
            log.warning("generation.failed", code=failure.code, **ids)
        except Exception as failure:  # noqa: BLE001 - a reply must end, whatever broke
            ending = "failed"
            error = ReplyError("internal", "Something went wrong in Talekeeper. Try again.", True)
            # No traceback: it may quote what somebody wrote.
            log.error("generation.broke", error=type(failure).__name__, at=trail(failure), **ids)  # noqa: TRY400
        growing.ending = ending
        try:
            self._settle_text(growing)
            await self._write_end(growing, ending, error)
        finally:
            self._growing.pop(generation.id, None)
            self._hub.forget(generation.id)
        log.info(
            "generation.ended",
            ending="lost" if growing.has_lost_lock else ending,
            first_token_ms=_millis(growing.first_token),
            duration_ms=_millis(self._clock.monotonic() - growing.started),
            output_tokens=growing.usage.output_tokens,
            **ids,
        )

    async def _read(self, growing: _Growing) -> None:
        """Ask the model and take in all it says. Raises ProviderError."""
        reached = await self._reach(growing.generation)
        growing.model = reached.model
        asked = await self._composed(growing, reached)
        is_continuing = growing.generation.kind == "continue"
        if is_continuing and not reached.provider.continues_text and growing.end:
            growing.seam = ""
        is_finished = False
        stream = reached.provider.stream(asked.request)
        try:
            async for part in stream:
                match part:
                    case TextDelta(text):
                        self._take(growing, text)
                    case Usage():
                        growing.usage = part
                    case Finished():
                        is_finished = True
                    case ReasoningDelta():
                        pass
        finally:
            await stream.aclose()
        if not is_finished:
            raise ProviderStreamCut("The model's answer broke off. Continue it, or try again.")

    async def _composed(self, growing: _Growing, reached: Reached) -> Composed:
        generation = growing.generation
        begun = growing.begun
        is_continuing = generation.kind == "continue"

        def unit(tx: Reader) -> Composed:
            conversation = get_conversation(
                tx, generation.conversation_id, owner_id=generation.owner_id
            )
            history = list(path_to(tx, begun.message_key, limit=HISTORY_LIMIT))
            if not is_continuing:
                history.pop()
            return composed(
                history,
                purpose=conversation.purpose,
                model=reached.model,
                window=reached.window,
                continues=is_continuing and bool(begun.message.content),
                continues_text=reached.provider.continues_text,
            )

        asked = await self._store.read(unit)
        growing.receipt = msgspec.json.encode(asked.receipt()).decode()
        return asked

    def _take(self, growing: _Growing, piece: str) -> None:
        text, growing.held = folded(growing.held, piece)
        if growing.seam is not None:
            growing.seam += text
            if needs_more_for_seam(growing.seam):
                return
            text, growing.seam = joined(growing.begun.message.content, growing.seam), None
        if text:
            self._grow(growing, text)

    def _settle_text(self, growing: _Growing) -> None:
        """What was held back for the next piece is told: there is none."""
        rest = settled(growing.held)
        growing.held = ""
        if growing.seam is not None:
            rest = joined(growing.begun.message.content, growing.seam) + rest
            growing.seam = None
        if rest and not growing.has_lost_lock:
            self._grow(growing, rest)

    def _grow(self, growing: _Growing, text: str) -> None:
        if growing.first_token is None:
            growing.first_token = self._clock.monotonic() - growing.started
        generation = growing.generation
        self._hub.grow(
            Delta(
                generation.conversation_id,
                generation.message_id,
                generation.id,
                growing.end,
                text,
            )
        )
        growing.text.append(text)
        growing.unsaved.append(text)
        growing.end += len(text)
        self._is_dirty.set()
        if growing.unsaved_length >= SIZE:
            self._is_large.set()

    async def _checkpoint_forever(self) -> None:
        while True:
            await self._is_dirty.wait()
            self._is_dirty.clear()
            try:
                async with asyncio.timeout(INTERVAL):
                    await self._is_large.wait()
            except TimeoutError:
                pass
            self._is_large.clear()
            await self._checkpoint()

    async def _checkpoint(self) -> None:
        """What every growing reply grew by is on disk; who lost its lock is ended."""
        due = [
            (growing, growing.saved, "".join(growing.unsaved), growing.receipt)
            for growing in self._growing.values()
            if growing.unsaved
        ]
        if not due:
            return
        for growing, *_ in due:
            growing.unsaved = []

        def unit(tx: Writer) -> list[bool]:
            kept: list[bool] = []
            for growing, offset, text, receipt in due:
                is_mine = add_chunk(tx, growing.generation, offset=offset, text=text)
                if is_mine and receipt is not None:
                    begin_streaming(tx, growing.begun.message_key)
                    keep_receipt(tx, growing.generation, receipt)
                kept.append(is_mine)
            return kept

        try:
            kept = await self._store.write(unit)
        except StoreError as error:
            # The text is still here: it goes with the next checkpoint, or with the end.
            log.warning("generation.checkpoint_failed", code=error.code, replies=len(due))
            for growing, _, text, _ in due:
                growing.unsaved.insert(0, text)
            await asyncio.sleep(_RETRY_FIRST)
            self._is_dirty.set()
            return
        for (growing, offset, text, _), is_mine in zip(due, kept, strict=True):
            growing.saved = offset + len(text)
            growing.receipt = None
            if not is_mine and growing.generation.id in self._growing:
                self._lose(growing)

    def _lose(self, growing: _Growing) -> None:
        """Another process took the conversation over: this one writes nothing more there."""
        if growing.ending is None:
            growing.has_lost_lock = True
        self._interrupt(growing, "interrupted")

    async def _write_end(self, growing: _Growing, ending: Ending, error: ReplyError | None) -> None:
        if growing.has_lost_lock:
            return
        generation = growing.generation
        content = "".join(growing.text)
        measures = Measures(
            first_token_ms=_millis(growing.first_token),
            duration_ms=_millis(self._clock.monotonic() - growing.started),
            input_tokens=growing.usage.input_tokens,
            output_tokens=growing.usage.output_tokens,
        )

        def unit(tx: Writer) -> bool:
            if growing.receipt is not None:
                keep_receipt(tx, generation, growing.receipt)
            if not end_generation(
                tx,
                generation,
                ending,
                model=growing.model,
                measures=measures,
                error_code=error.code if error else None,
            ):
                return False
            held = hold_conversation(tx, generation.conversation_id, owner_id=None)
            close = partial(
                close_message,
                tx,
                held,
                content=content,
                status=_MESSAGE_STATUS[ending],
                model=growing.model or None,
                input_tokens=measures.input_tokens,
                output_tokens=measures.output_tokens,
                error=error,
            )
            try:
                close(growing.begun.message_key)
            except NotFound:
                close(restore_reply(tx, held, growing.begun.message))
            held.save(tx)
            return True

        pause = _RETRY_FIRST
        while True:
            try:
                is_mine = await self._store.write(unit, conversation_id=generation.conversation_id)
                break
            except StoreError as failure:
                log.warning("generation.end_not_stored", code=failure.code, again_in=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _RETRY_LAST)
        if not is_mine:
            growing.has_lost_lock = True


async def final_message(store: Store, generation: Generation) -> Message:
    """The message of a generation as it is now."""

    def unit(tx: Reader) -> Message:
        found = find_generation(tx, generation.id)
        if found is None:
            raise NotFound("There is no such generation.")
        return message_at(tx, found.message_key).message

    return await store.read(unit)


def _told(error: ProviderError | StoreError) -> ReplyError:
    return ReplyError(error.code, error.message, error.retryable, error.retry_after)


def _millis(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
