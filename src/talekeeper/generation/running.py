"""Running: a generation is a task of the server's, from its first token to its last write.

    begin ─> compose ─> stream ─> fold ─┬─> hub      at once, for whoever follows
                                        └─> store    every 150 ms or 1,024 characters
             end: one write with the final text, the status and the counts; then 'finished'

- Nobody who follows is known here: a page that closes changes nothing.
- All growing replies are checkpointed by one unit of work a tick, so many streams cost one commit.
- Every write is made under the generation's epoch while it is still the running one. A process
  that froze and woke after another took over writes nothing, and its task ends.
- The end is written again and again until it is stored: a full disk does not lose the reply, whose
  text waits here and, as far as it got, in the checkpoints. What the database refuses for what it is
  (a count that is no count) is left out: the text and the lock never wait for the measures.
- A task is started by the commit that begins its generation (`tx.after_commit`). For a generation
  that runs here according to the store and has no task, `take_up` starts one; both run on the event
  loop in the order of their commits, so that it never has two.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Literal

import structlog

from talekeeper.clock import Clock
from talekeeper.database import Reader, Store, Writer
from talekeeper.domain.conversations import (
    Generation,
    Message,
    ReplyError,
)
from talekeeper.domain.replies import (
    Finished,
    ReasoningDelta,
    TakenBack,
    TextDelta,
    Unheeded,
    Usage,
    Wish,
    counted,
)
from talekeeper.errors import NotFound, ProviderError, ProviderStreamCut, StoreError, trail
from talekeeper.generation.beginning import Begun, Unended, unended
from talekeeper.generation.checkpointing import Checkpoints, receipt_of
from talekeeper.generation.growing import MESSAGE_STATUS, Ending, Growing
from talekeeper.generation.recovering import end_as_stored
from talekeeper.generation.requesting import Reach, request_for
from talekeeper.generation.stopping import stop_elsewhere
from talekeeper.ids import AccountId, BootId, ConnectionId, GenerationId
from talekeeper.live import Delta, Hub
from talekeeper.store.generations import (
    Measures,
    end_generation,
    find_generation,
    keep_receipt,
)
from talekeeper.store.holding import hold_conversation
from talekeeper.store.jobs import enqueue_job
from talekeeper.store.message_changes import close_message, restore_reply
from talekeeper.store.messages import message_at
from talekeeper.store.thoughts import keep_thought, reasoning_so_far
from talekeeper.tasks import OwnTasks

log = structlog.get_logger(__name__)

_RETRY_FIRST: Final = 0.1
_RETRY_LAST: Final = 1.0
_PLAIN_ATTEMPTS: Final = 6
"""How often the text is offered to a store that refuses it, before what is stored must do."""
_START_WITHIN_MS: Final = 60_000
"""The age at which a generation without a word is not started any more: its sender has given up."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a generation ended and what it took, in seconds; counts are the provider's."""

    owner_id: AccountId
    connection_id: ConnectionId | None
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
        boot_id: BootId,
        tasks: OwnTasks,
        keeps_reasoning: bool = True,
        on_ended: OnEnded | None = None,
        makes_titles: bool = False,
    ) -> None:
        """With `makes_titles` a first exchange is followed by a job that names the conversation.

        Without `keeps_reasoning` what models think is dropped as it comes.
        """
        self._store = store
        self._hub = hub
        self._reach = reach
        self._clock = clock
        self._boot_id = boot_id
        self._on_ended = on_ended
        self._makes_titles = makes_titles
        self._keeps_reasoning = keeps_reasoning
        self._growing: dict[GenerationId, Growing] = {}
        self._checkpoints = Checkpoints(
            store,
            self._growing.values,
            boot_id=boot_id,
            heed_stop=self.heed_stop,
            tasks=tasks,
        )
        self._is_closing = False

    @property
    def running(self) -> int:
        return len(self._growing)

    def fills(self, generation_id: GenerationId) -> bool:
        """A task of this process fills the generation."""
        return generation_id in self._growing

    def begin(self, begun: Begun) -> None:
        """The generation runs until it ends by itself, is stopped, or the process goes."""
        self._fill(Growing(begun, self._clock.monotonic(), begun.generation.model))

    def take_up(self, found: Unended, *, ending: Ending | None = None) -> None:
        """A task fills the generation. One that has none is started if it is young and without a
        word, else ended as interrupted; with `ending` it is ended so in any case.

        To be called after the commit of the transaction in which it was `found` running.
        """
        begun = found.begun
        if self.fills(begun.generation.id):
            return
        if ending is None and found.is_stop_asked:
            ending = "stopped"
        if ending is None and (found.grown or found.age_ms >= _START_WITHIN_MS):
            ending = "interrupted"
        log.warning("generation.taken_up", ending=ending, **_ids(begun.generation))
        growing = Growing(begun, self._clock.monotonic(), begun.generation.model)
        growing.resume(found.grown)
        growing.thought.resume(found.thought)
        growing.ending = ending
        self._fill(growing)

    async def take_up_unfilled(
        self, generation: Generation, *, ending: Ending | None = None
    ) -> None:
        """A task fills the generation as `take_up` says, or it runs here no more."""

        def look(tx: Writer) -> None:
            found = unended(tx, generation.id, boot_id=self._boot_id)
            if found is not None:
                tx.after_commit(partial(self.take_up, found, ending=ending))

        # A write, though it changes nothing: it comes after the commit that began the generation.
        await self._store.write(look, conversation_id=generation.conversation_id)

    def _fill(self, growing: Growing) -> None:
        begun = growing.begun
        if self._is_closing and growing.ending is None:
            growing.ending = "interrupted"
        self._growing[begun.generation.id] = growing
        growing.task = asyncio.create_task(self._run(growing), name=f"reply {begun.message.id}")

    async def stop(self, generation: Generation) -> None:
        """The generation has ended and what it said is kept, when this returns.

        Raises HolderSilent when another process fills it and has not ended it within seconds.
        """
        if not self.fills(generation.id) and generation.status == "running":
            await self.take_up_unfilled(generation, ending="stopped")
        growing = self._growing.get(generation.id)
        if growing is None or growing.task is None:
            if generation.status == "running":
                await stop_elsewhere(self._store, self._hub, generation)
            return
        growing.interrupt("stopped")
        await asyncio.shield(growing.task)

    def heed_stop(self, generation_id: GenerationId) -> None:
        """A stop was asked for through another process: the reply ends as stopped."""
        growing = self._growing.get(generation_id)
        if growing is not None:
            growing.interrupt("stopped")

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
        except Exception as failure:  # noqa: BLE001 - what cannot be told is stored all the same
            log.error("generation.untold", error=type(failure).__name__, at=trail(failure), **ids)
        try:
            await self._write_end(growing, ending, error)
        finally:
            self._growing.pop(generation.id, None)
            self._hub.forget(generation.id)
        ended = Ended(
            owner_id=generation.owner_id,
            connection_id=generation.connection_id,
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
            try:
                self._on_ended(ended)
            except Exception as failure:  # noqa: BLE001 - the reply has ended, counted or not
                log.error(
                    "generation.end_uncounted",
                    error=type(failure).__name__,
                    at=trail(failure),
                    **ids,
                )

    async def _read(self, growing: Growing) -> None:
        """Ask the model and take in all it says. Raises ProviderError."""
        # Both are read at once: a reply waits for every read.
        reached, asked = await self._store.read(
            lambda tx: request_for(
                tx, growing.begun, reach=self._reach, continues=growing.is_continuing
            )
        )
        growing.model = reached.model
        growing.receipt = asked.receipt
        growing.wants_title = (
            self._makes_titles
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
                        if growing.thought.end:
                            growing.thought.stop(self._clock.monotonic())
                        self._grow(growing, growing.taken(text))
                    case TakenBack():
                        thought = growing.take_back()
                        if self._keeps_reasoning:
                            since = growing.started + (growing.first_token or 0)
                            growing.thought.take_over(thought, self._clock.monotonic() - since)
                            self._checkpoints.grew(growing)
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
                    case ReasoningDelta(text) if self._keeps_reasoning:
                        growing.thought.grow(text, self._clock.monotonic())
                        self._checkpoints.grew(growing)
                    case ReasoningDelta():
                        pass
        finally:
            await stream.aclose()
        if not is_finished:
            raise ProviderStreamCut("The model's answer broke off. Continue it, or try again.")

    def _grow(self, growing: Growing, text: str) -> None:
        if not text or growing.has_lost_lock:
            return
        generation = growing.generation
        is_first = growing.first_token is None
        if is_first:
            growing.first_token = self._clock.monotonic() - growing.started
        delta = Delta(
            generation.conversation_id, generation.message_id, generation.id, growing.end, text
        )
        growing.add(text)
        self._checkpoints.grew(growing)
        self._hub.grow(delta)
        if is_first:
            log.info("generation.first_token", ms=_millis(growing.first_token), **_ids(generation))

    async def _write_end(self, growing: Growing, ending: Ending, error: ReplyError | None) -> None:
        if growing.has_lost_lock:
            return
        generation = growing.generation
        content = growing.text
        thought = growing.thought
        thought.stop(self._clock.monotonic())
        measures = Measures(
            first_token_ms=_millis(growing.first_token),
            duration_ms=_millis(self._clock.monotonic() - growing.started),
            input_tokens=growing.usage.input_tokens,
            output_tokens=growing.usage.output_tokens,
        )

        def end(tx: Writer, *, is_plain: bool = False) -> bool:
            """With `is_plain` no more than must be: the text, the state, the reason, the lock."""
            measured = Measures() if is_plain else measures
            reason = replace(error, retry_after=None) if error and is_plain else error
            receipt = None if is_plain else receipt_of(growing)
            if receipt is not None:
                keep_receipt(tx, generation, receipt.json, receipt.texts)
            key = growing.begun.message_key
            reasoning = reasoning_so_far(tx, key, growing.position) if is_plain else thought.part()
            if not end_generation(
                tx,
                generation,
                ending,
                model=generation.model if is_plain else growing.model,
                measures=measured,
                error_code=reason.code if reason else None,
            ):
                return False
            held = hold_conversation(tx, generation.conversation_id, owner_id=None)
            close = partial(
                close_message,
                tx,
                held,
                start_offset=len(growing.begun.message.content),
                content=content,
                status=MESSAGE_STATUS[ending],
                model=(generation.model if is_plain else growing.model) or None,
                input_tokens=measured.input_tokens,
                output_tokens=measured.output_tokens,
                finish_reason=None if is_plain or ending != "finished" else growing.finish_reason,
                error=reason,
                parts=(*growing.begun.message.parts, *reasoning),
            )
            try:
                close(key)
            except NotFound:
                key = restore_reply(tx, held, growing.begun.message)
                close(key)
            if thought.end and not is_plain:
                keep_thought(tx, key, growing.position, thought.text)
            held.save(tx)
            wants_title = growing.wants_title and not is_plain
            if ending == "finished" and wants_title and held.title_by == "first_words":
                enqueue_job(
                    tx,
                    "title",
                    unique_key=held.id,
                    conversation_id=held.id,
                    owner_id=held.owner_id,
                )
            return True

        def end_with_what_is_stored(tx: Writer) -> bool:
            found = find_generation(tx, generation.id)
            return found is not None and end_as_stored(tx, found, "failed", error=_REFUSED)

        unit: Callable[[Writer], bool] = end
        refusals = 0
        pause = _RETRY_FIRST
        while True:
            try:
                is_mine = await self._store.write(unit, conversation_id=generation.conversation_id)
                break
            except StoreError as failure:
                log.warning("generation.end_not_stored", code=failure.code, again_in=pause)
            except Exception as failure:  # noqa: BLE001 - the lock must be given back
                refusals += 1
                log.error(
                    "generation.end_refused",
                    error=type(failure).__name__,
                    at=trail(failure),
                    refusals=refusals,
                    **_ids(generation),
                )
                is_last = refusals > _PLAIN_ATTEMPTS
                unit = end_with_what_is_stored if is_last else partial(end, is_plain=True)
                if refusals == 1:
                    continue
            await asyncio.sleep(pause)
            pause = min(pause * 2, _RETRY_LAST)
        growing.has_lost_lock = not is_mine


_REFUSED: Final = ReplyError(
    "internal",
    "The end of this reply could not be stored. What had been stored before is kept. Continue the "
    "reply, or try again.",
    True,
)


async def final_message(store: Store, generation: Generation) -> Message:
    """The message of a generation as it is now."""

    def unit(tx: Reader) -> Message:
        found = find_generation(tx, generation.id)
        if found is None:
            raise NotFound("There is no such generation.")
        return message_at(tx, found.message_key).message

    return await store.read(unit)


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
