"""Recovering: a reply that no task fills any more is ended with the text that the store has of it."""

import structlog

from talekeeper.database import Store, Writer
from talekeeper.domain.conversations import ReplyError
from talekeeper.generation.growing import MESSAGE_STATUS, Ending
from talekeeper.ids import BootId
from talekeeper.store.generations import (
    Measures,
    StoredGeneration,
    abandoned_generations,
    end_generation,
)
from talekeeper.store.holding import hold_conversation
from talekeeper.store.message_changes import close_message
from talekeeper.store.messages import message_at
from talekeeper.store.processes import leave, server_time

log = structlog.get_logger(__name__)


async def recover_replies(
    store: Store, *, boot_id: BootId, predecessor: BootId | None = None
) -> int:
    """Every running generation of a dead process is ended as interrupted, or as stopped where a stop
    was asked for; how many there were.

    On SQLite whoever holds the data folder is alone, so every other process is dead. On PostgreSQL
    a process is dead once its lease has run out by the database's own clock; `predecessor`, the last
    holder of a data folder that is ours now, is dead already.
    """

    def unit(tx: Writer) -> int:
        is_alone = store.engine == "sqlite"
        if predecessor is not None:
            leave(tx, predecessor)
        found = abandoned_generations(
            tx,
            boot_id=boot_id,
            now=0 if is_alone else server_time(tx),
            all_others_are_dead=is_alone,
        )
        for abandoned in found:
            end_as_stored(tx, abandoned, "stopped" if abandoned.is_stop_asked else "interrupted")
        return len(found)

    count = await store.write(unit)
    if count:
        log.info("generation.recovered", replies=count)
    return count


def end_as_stored(
    tx: Writer, stored: StoredGeneration, ending: Ending, *, error: ReplyError | None = None
) -> bool:
    """The generation has ended, and its message says what the store has of it. `error` says why
    where it failed. False, and nothing written, when it had ended before.
    """
    generation = stored.generation
    held = hold_conversation(tx, generation.conversation_id, owner_id=None)
    # Read before the chunks are folded away: the text so far is content and chunks.
    so_far = message_at(tx, stored.message_key).message
    is_ended = end_generation(
        tx,
        generation,
        ending,
        model=generation.model,
        measures=Measures(),
        error_code=error.code if error else None,
    )
    if not is_ended:
        return False
    held.change(generation_id=None)
    close_message(
        tx,
        held,
        stored.message_key,
        start_offset=stored.start_offset,
        content=so_far.content,
        status=MESSAGE_STATUS[ending],
        model=generation.model or None,
        error=error,
        parts=so_far.parts,
    )
    held.save(tx)
    return True
