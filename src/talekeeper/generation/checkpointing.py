"""Checkpointing: what replies grew by is put on disk, all of them in one commit a tick.

Where processes share the database, a checkpoint also reads which replies of this process another one
was asked to stop.

A tick comes 150 ms after something new, or as soon as one reply has 1,024 new characters. So what a
follower saw is on disk a quarter of a second later, however many replies stream at once. What came
while a slow disk was still at the checkpoint before has waited already: it goes at once.

A checkpoint that fails is repeated, and may have been stored all the same: the repeat replaces what
it finds from its offset on. When the store refuses the content of one reply, each is written by
itself, so that only that one is refused. It is tried apart from the others from then on; its text
waits in memory for its end, which is written with less and less until the store takes it.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from talekeeper.database import Store, Writer
from talekeeper.errors import StoreError, trail
from talekeeper.generation.growing import Growing
from talekeeper.ids import BootId, GenerationId
from talekeeper.prompts.receipts import WrittenReceipt
from talekeeper.store.generations import add_chunk, keep_receipt, stops_asked
from talekeeper.store.holding import hold_conversation
from talekeeper.store.message_changes import begin_streaming, report_change
from talekeeper.store.thoughts import add_thought
from talekeeper.tasks import Duty, OwnTasks

INTERVAL: Final = 0.15
"""Seconds after which anything new is checkpointed."""
SIZE: Final = 1_024
"""Characters that are checkpointed at once, without waiting for the interval."""
_AGAIN: Final = 0.1
_DUTY: Final = Duty(
    "checkpoints", "No reply is stored before its end, and a crash would lose it.", is_vital=True
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Piece:
    """What one reply and its reasoning grew by since the last checkpoint."""

    growing: Growing
    offset: int
    text: str
    thought_offset: int
    thought: str

    @classmethod
    def taken(cls, growing: Growing) -> "_Piece":
        thought = growing.thought
        piece = cls(
            growing,
            growing.saved,
            "".join(growing.unsaved),
            thought.saved,
            "".join(thought.unsaved),
        )
        growing.unsaved, thought.unsaved = [], []
        return piece

    def keep(self, tx: Writer) -> bool:
        """Whether the generation still holds the lock; if not, nothing is written."""
        growing = self.growing
        is_mine = True
        if self.thought:
            is_mine = add_thought(
                tx,
                growing.generation,
                message_key=growing.begun.message_key,
                position=growing.position,
                offset=self.thought_offset,
                text=self.thought,
                may_be_stored=growing.may_be_stored,
            )
        if is_mine and self.text:
            is_mine = add_chunk(
                tx,
                growing.generation,
                offset=self.offset,
                text=self.text,
                may_be_stored=growing.may_be_stored,
            )
        if is_mine and growing.receipt is not None:
            begin_streaming(tx, growing.begun.message_key)
            receipt = receipt_of(growing)
            if receipt is not None:
                keep_receipt(tx, growing.generation, receipt.json, receipt.texts)
        if is_mine and self.thought and not growing.thought.is_told:
            # Words are told by the hub. That a model thinks is in the message, and told with it.
            held = hold_conversation(tx, growing.generation.conversation_id, owner_id=None)
            report_change(tx, held, growing.begun.message_key)
            held.save(tx)
        return is_mine

    def note_kept(self, *, is_mine: bool) -> None:
        growing, thought = self.growing, self.growing.thought
        growing.saved = self.offset + len(self.text)
        thought.saved = self.thought_offset + len(self.thought)
        thought.is_told = thought.is_told or bool(self.thought)
        growing.receipt = None
        growing.may_be_stored = growing.is_refused = False
        if not is_mine and growing.ending is None:
            growing.lose_lock()

    def put_back(self) -> None:
        """The text goes with the next checkpoint, or with the end."""
        if self.text:
            self.growing.unsaved.insert(0, self.text)
        if self.thought:
            self.growing.thought.unsaved.insert(0, self.thought)


def receipt_of(growing: Growing) -> WrittenReceipt | None:
    """What the model was told, as it is stored; None when that is on disk, or cannot be written."""
    if growing.receipt is None:
        return None
    try:
        return growing.receipt()
    except Exception as error:  # noqa: BLE001 - the reply must not be lost with its receipt
        log.error(
            "receipt.broke",
            error=type(error).__name__,
            at=trail(error),
            generation_id=growing.generation.id,
        )
        return None


class Checkpoints:
    """The one task that checkpoints every growing reply of this process."""

    def __init__(
        self,
        store: Store,
        growing: Callable[[], Iterable[Growing]],
        *,
        boot_id: BootId,
        heed_stop: Callable[[GenerationId], None],
        tasks: OwnTasks,
    ) -> None:
        self._store = store
        self._growing = growing
        self._boot_id = boot_id
        self._heed_stop = heed_stop
        self._is_shared = store.engine != "sqlite"
        self._tasks = tasks
        self._is_due = asyncio.Event()
        self._due_since = 0.0
        self._is_urgent = asyncio.Event()
        self._ticker = tasks.start(_DUTY, self._tick_forever())

    def grew(self, growing: Growing) -> None:
        """A reply has text that is not on disk: it will be within the interval."""
        if not self._is_due.is_set():
            self._due_since = asyncio.get_running_loop().time()
            self._is_due.set()
        unsaved = growing.end - growing.saved + growing.thought.end - growing.thought.saved
        if unsaved >= SIZE and not growing.is_refused:
            self._is_urgent.set()

    async def close(self) -> None:
        await self._tasks.stop(self._ticker)

    async def _tick_forever(self) -> None:
        while True:
            await self._is_due.wait()
            try:
                async with asyncio.timeout_at(self._due_since + INTERVAL):
                    await self._is_urgent.wait()
            except TimeoutError:
                pass
            self._is_due.clear()
            self._is_urgent.clear()
            await self._checkpoint()

    async def _checkpoint(self) -> None:
        due = [each for each in self._growing() if each.unsaved or each.thought.unsaved]
        together = [_Piece.taken(each) for each in due if not each.is_refused]
        alone = [_Piece.taken(each) for each in due if each.is_refused]
        is_kept = await self._keep(together)
        if not is_kept and len(together) > 1:
            alone += together
        elif not is_kept:
            self._note_refused(together)
        for piece in alone:
            if not await self._keep([piece]):
                self._note_refused([piece])

    async def _keep(self, pieces: Sequence[_Piece]) -> bool:
        """False: the store refuses something in them. In a store that cannot write, they wait."""
        if not pieces:
            return True

        def checkpoint(tx: Writer) -> tuple[list[bool], list[GenerationId]]:
            kept = [piece.keep(tx) for piece in pieces]
            return kept, stops_asked(tx, self._boot_id) if self._is_shared else []

        try:
            kept, to_stop = await self._store.write(checkpoint)
        except StoreError as error:
            log.warning("checkpoint.failed", code=error.code, replies=len(pieces))
            for piece in pieces:
                piece.growing.may_be_stored = True
                piece.put_back()
            await asyncio.sleep(_AGAIN)
            self._is_due.set()
            return True
        except Exception as error:  # noqa: BLE001 - the others' checkpoints go on
            if not all(piece.growing.is_refused for piece in pieces):
                log.error(
                    "checkpoint.refused",
                    error=type(error).__name__,
                    at=trail(error),
                    generation_ids=[piece.growing.generation.id for piece in pieces],
                )
            for piece in pieces:
                piece.growing.may_be_stored = True
            return False
        for piece, is_mine in zip(pieces, kept, strict=True):
            piece.note_kept(is_mine=is_mine)
        for generation_id in to_stop:
            self._heed_stop(generation_id)
        return True

    def _note_refused(self, pieces: Sequence[_Piece]) -> None:
        for piece in pieces:
            piece.put_back()
            piece.growing.is_refused = True
