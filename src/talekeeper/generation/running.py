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
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

import structlog

from talekeeper.clock import Clock
from talekeeper.domain.conversations import Generation, Line, Message, MessageStatus, ReplyError
from talekeeper.domain.replies import (
    Finished,
    Provider,
    ReasoningDelta,
    TakenBack,
    TextDelta,
    Unheeded,
    Usage,
    Wish,
    counted,
)
from talekeeper.errors import NotFound, ProviderError, ProviderStreamCut, StoreError, trail
from talekeeper.generation.beginning import Begun
from talekeeper.generation.checkpointing import Checkpoints
from talekeeper.generation.growing import Ending, Growing
from talekeeper.ids import AccountId, GenerationId
from talekeeper.live import Delta, Hub
from talekeeper.prompts import Composed, composed
from talekeeper.prompts.composing import HISTORY_LIMIT, HISTORY_STEP, room_in
from talekeeper.prompts.fitting import cost_of_all
from talekeeper.store import Reader, Store, Writer
from talekeeper.store.conversations import get_conversation, hold_conversation
from talekeeper.store.generations import (
    Measures,
    end_generation,
    find_generation,
    keep_receipt,
)
from talekeeper.store.jobs import enqueue_job
from talekeeper.store.messages import close_message, message_at, restore_reply
from talekeeper.store.walking import lines_to

log = structlog.get_logger(__name__)

_RETRY_FIRST: Final = 0.1
_RETRY_LAST: Final = 1.0

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


Reach = Callable[[Reader, AccountId, str, str], Reached]
"""From an account, a provider's name and a model's to who is asked. Raises ProviderError."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a generation ended and what it took, in seconds; counts are the provider's."""

    owner_id: AccountId
    provider: str
    ending: Ending | Literal["lost"]
    seconds: float
    first_token_seconds: float | None
    output_tokens: int | None
    error: ReplyError | None


OnEnded = Callable[[Ended], None]


class Generations:
    """Every generation that this process runs."""

    def __init__(
        self,
        store: Store,
        hub: Hub,
        *,
        reach: Reach,
        clock: Clock,
        on_ended: OnEnded | None = None,
        on_job: Callable[[], None] | None = None,
    ) -> None:
        """`on_job` is called when a job is on disk; where it is None, titles are not asked for."""
        self._store = store
        self._hub = hub
        self._reach = reach
        self._clock = clock
        self._on_ended = on_ended
        self._on_job = on_job
        self._growing: dict[GenerationId, Growing] = {}
        self._checkpoints = Checkpoints(store, self._growing.values)
        self._is_closing = False

    @property
    def running(self) -> int:
        return len(self._growing)

    @property
    def is_serving(self) -> bool:
        return self._checkpoints.is_serving

    def begin(self, begun: Begun) -> None:
        """The generation runs until it ends by itself, is stopped, or the process goes."""
        growing = Growing(begun, self._clock.monotonic(), begun.generation.model)
        self._growing[begun.generation.id] = growing
        growing.task = asyncio.create_task(self._run(growing), name=f"reply {begun.message.id}")
        if self._is_closing:
            growing.interrupt("interrupted")

    async def stop(self, generation: Generation) -> None:
        """The generation has ended and what it said is kept, when this returns."""
        growing = self._growing.get(generation.id)
        if growing is None or growing.task is None:
            return
        growing.interrupt("stopped")
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
            growing.interrupt("interrupted")
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=patience)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._checkpoints.close()

    async def _run(self, growing: Growing) -> None:
        generation = growing.generation
        ids = _ids(generation)
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
            log.error("generation.broke", error=type(failure).__name__, at=trail(failure), **ids)
        growing.ending = ending
        try:
            self._grow(growing, growing.rest())
            await self._write_end(growing, ending, error)
        except Exception as failure:  # noqa: BLE001
            # It stays in flight, with its checkpoints, until a later start marks it interrupted.
            log.error(
                "generation.end_broke", error=type(failure).__name__, at=trail(failure), **ids
            )
            return
        finally:
            self._growing.pop(generation.id, None)
            self._hub.forget(generation.id)
        ended = Ended(
            owner_id=generation.owner_id,
            provider=generation.provider,
            ending="lost" if growing.has_lost_lock else ending,
            seconds=self._clock.monotonic() - growing.started,
            first_token_seconds=growing.first_token,
            output_tokens=growing.usage.output_tokens,
            error=error,
        )
        log.info(
            "generation.ended",
            ending=ended.ending,
            first_token_ms=_millis(ended.first_token_seconds),
            duration_ms=_millis(ended.seconds),
            output_tokens=ended.output_tokens,
            **ids,
        )
        if self._on_ended is not None:
            self._on_ended(ended)

    async def _read(self, growing: Growing) -> None:
        """Ask the model and take in all it says. Raises ProviderError."""
        reached, asked = await self._store.read(lambda tx: self._prepared(tx, growing))
        growing.model = reached.model
        growing.receipt = asked.receipt
        growing.wants_title = (
            self._on_job is not None
            and asked.is_first_exchange
            and reached.provider.can_title(asked.request)
        )
        if growing.is_continuing and not reached.provider.continues_text:
            growing.look_for_seam()
        is_finished = False
        unheeded: list[Wish] = []
        stream = reached.provider.stream(asked.request)
        try:
            async for part in stream:
                match part:
                    case TextDelta(text):
                        self._grow(growing, growing.taken(text))
                    case TakenBack():
                        growing.take_back()
                    case Usage():
                        growing.usage = Usage(
                            counted(part.input_tokens), counted(part.output_tokens)
                        )
                    case Finished(reason):
                        is_finished = True
                        growing.finish_reason = reason
                    case Unheeded(wish):
                        unheeded.append(wish)
                        growing.receipt = partial(asked.receipt, unheeded=tuple(unheeded))
                    case ReasoningDelta():
                        pass
        finally:
            await stream.aclose()
        if not is_finished:
            raise ProviderStreamCut("The model's answer broke off. Continue it, or try again.")

    def _prepared(self, tx: Reader, growing: Growing) -> tuple[Reached, Composed]:
        """Who is asked, and what. Both are read at once: a reply waits for every read."""
        generation = growing.generation
        begun = growing.begun
        reached = self._reach(tx, generation.owner_id, generation.provider, generation.model)
        conversation = get_conversation(
            tx, generation.conversation_id, owner_id=generation.owner_id
        )
        room = room_in(reached.window, conversation.sampling)
        history, is_whole = history_to(tx, begun.message_key, room=room)
        if not growing.is_continuing:
            history.pop()
        asked = composed(
            history,
            purpose=conversation.purpose,
            model=reached.model,
            window=reached.window,
            continues=growing.is_continuing,
            continues_text=reached.provider.continues_text,
            sampling=conversation.sampling,
            is_whole=is_whole,
        )
        return reached, asked

    def _grow(self, growing: Growing, text: str) -> None:
        if not text or growing.has_lost_lock:
            return
        generation = growing.generation
        is_first = growing.first_token is None
        if is_first:
            growing.first_token = self._clock.monotonic() - growing.started
        self._hub.grow(
            Delta(
                generation.conversation_id,
                generation.message_id,
                generation.id,
                growing.end,
                text,
            )
        )
        growing.add(text)
        self._checkpoints.grew(growing)
        if is_first:
            log.info("generation.first_token", ms=_millis(growing.first_token), **_ids(generation))

    async def _write_end(self, growing: Growing, ending: Ending, error: ReplyError | None) -> None:
        if growing.has_lost_lock:
            return
        generation = growing.generation
        content = growing.text
        measures = Measures(
            first_token_ms=_millis(growing.first_token),
            duration_ms=_millis(self._clock.monotonic() - growing.started),
            input_tokens=growing.usage.input_tokens,
            output_tokens=growing.usage.output_tokens,
        )

        def end(tx: Writer) -> bool:
            if growing.receipt is not None:
                keep_receipt(tx, generation, growing.receipt())
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
                start_offset=len(growing.begun.message.content),
                content=content,
                status=_MESSAGE_STATUS[ending],
                model=growing.model or None,
                input_tokens=measures.input_tokens,
                output_tokens=measures.output_tokens,
                finish_reason=growing.finish_reason if ending == "finished" else None,
                error=error,
            )
            try:
                close(growing.begun.message_key)
            except NotFound:
                close(restore_reply(tx, held, growing.begun.message))
            held.save(tx)
            if ending == "finished" and growing.wants_title and held.title_by == "first_words":
                enqueue_job(
                    tx,
                    "title",
                    unique_key=held.id,
                    conversation_id=held.id,
                    owner_id=held.owner_id,
                )
            return True

        pause = _RETRY_FIRST
        while True:
            try:
                is_mine = await self._store.write(end, conversation_id=generation.conversation_id)
                break
            except StoreError as failure:
                log.warning("generation.end_not_stored", code=failure.code, again_in=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _RETRY_LAST)
        if not is_mine:
            growing.has_lost_lock = True
        elif growing.wants_title and self._on_job is not None:
            self._on_job()


async def final_message(store: Store, generation: Generation) -> Message:
    """The message of a generation as it is now."""

    def unit(tx: Reader) -> Message:
        found = find_generation(tx, generation.id)
        if found is None:
            raise NotFound("There is no such generation.")
        return message_at(tx, found.message_key).message

    return await store.read(unit)


def history_to(tx: Reader, key: int, *, room: int) -> tuple[list[Line], bool]:
    """The newest of the path that ends in `key`, eldest first, and whether that is all of it.

    No more is read than what is sure not to fit, so a long tale costs what a model holds.
    """
    history: list[Line] = []
    tokens = 0
    limit = HISTORY_STEP
    above: int | None = key
    while above is not None and limit > 0:
        step, above = lines_to(tx, above, limit=limit)
        history[:0] = step
        tokens += cost_of_all([line for line in step if line.content.strip()])
        if tokens > room:
            break
        # As many more as would fill it, were they like these, and never many more than these.
        more = 1 + (room - tokens) * len(history) // max(1, tokens)
        limit = min(more, 2 * len(history), HISTORY_LIMIT - len(history))
    return history, above is None


def _ids(generation: Generation) -> dict[str, str]:
    """What every line of the log says of a generation, and all that it says of its content."""
    return {
        "generation_id": generation.id,
        "conversation_id": generation.conversation_id,
        "provider": generation.provider,
    }


def _told(error: ProviderError | StoreError) -> ReplyError:
    return ReplyError(error.code, error.message, error.retryable, error.retry_after)


def _millis(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
