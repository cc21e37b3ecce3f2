"""Trashing: a conversation goes out of every list, can be taken back, and goes for good.

Nothing runs in the trash: a reply that grows is stopped there first, with what it has said.
"""

from functools import partial
from typing import Final, Protocol, TypeVar

from talekeeper.clock import Millis
from talekeeper.domain.conversations import Conversation
from talekeeper.errors import GenerationRunning, HolderSilent, InvalidInput, NotInTrash
from talekeeper.generation.running import Generations
from talekeeper.ids import AccountId, ConversationId
from talekeeper.store import Reader, Store, Writer
from talekeeper.store.conversations import HeldConversation, get_conversation, hold_conversation
from talekeeper.store.generations import (
    Measures,
    StoredGeneration,
    end_generation,
    running_generation,
)
from talekeeper.store.messages import close_message, message_at
from talekeeper.store.removing import (
    Removal,
    next_removal,
    remove_conversation,
    remove_last_row,
    remove_rows,
)

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_TRIES: Final = 3
"""How often somebody else may begin a reply between our stopping one and our writing."""


async def delete_conversation(
    store: Store,
    generations: Generations,
    conversation_id: ConversationId,
    *,
    owner_id: AccountId,
) -> Conversation:
    """It is in the trash, and its running reply has ended with what it said.

    Doing it again changes nothing. Raises NotFound.
    """

    def unit(tx: Writer, *, may_wait: bool) -> Conversation:
        held = hold_conversation(tx, conversation_id, owner_id=owner_id)
        if held.conversation.deleted_at is not None:
            return held.conversation
        quiet(tx, held, may_wait=may_wait)
        held.change(deleted_at=tx.now())
        held.changed()
        return held.save(tx)

    return await when_quiet(store, generations, conversation_id, owner_id=owner_id, unit=unit)


async def restore_conversation(
    store: Store,
    generations: Generations,
    conversation_id: ConversationId,
    *,
    owner_id: AccountId,
    replaces: ConversationId | None = None,
) -> Conversation:
    """It is in the list again, out of the trash or the archive.

    With `replaces`, that one goes to the trash, and gives it its part and its pin. Where nothing
    was put away nothing changes. Raises NotFound, InvalidInput.
    """
    if replaces is None:
        return await store.write(
            lambda tx: _restored(tx, hold_conversation(tx, conversation_id, owner_id=owner_id)),
            conversation_id=conversation_id,
        )
    if replaces == conversation_id:
        raise InvalidInput("A conversation cannot replace itself.")

    def unit(tx: Writer, *, may_wait: bool) -> Conversation:
        both = sorted((conversation_id, replaces))
        locked = {each: hold_conversation(tx, each, owner_id=owner_id) for each in both}
        held, other = locked[conversation_id], locked[replaces]
        if not held.is_put_away:
            return held.conversation
        quiet(tx, other, may_wait=may_wait)
        role = other.role if other.conversation.is_current else None
        held.change(pinned=other.conversation.pinned)
        if role is not None:
            other.role = None
        if other.conversation.deleted_at is None:
            other.change(deleted_at=tx.now())
            other.changed()
            other.save(tx)
        if role is not None:
            held.role = role
        return _restored(tx, held)

    return await when_quiet(store, generations, replaces, owner_id=owner_id, unit=unit)


def _restored(tx: Writer, held: HeldConversation) -> Conversation:
    if not held.is_put_away:
        return held.conversation
    held.take_out(tx)
    held.changed()
    return held.save(tx)


async def delete_for_good(
    store: Store,
    conversation_id: ConversationId,
    *,
    owner_id: AccountId,
    before: Millis | None = None,
) -> None:
    """Nothing of it is left. Raises NotFound.

    Raises NotInTrash when it was not put there first, or, where that is given, not `before` then.
    """

    def unit(tx: Writer) -> None:
        held = hold_conversation(tx, conversation_id, owner_id=owner_id)
        deleted_at = held.conversation.deleted_at
        if deleted_at is None or (before is not None and deleted_at >= before):
            raise NotInTrash("Only what is in the trash can be deleted for good. Delete it first.")
        remove_conversation(tx, held)

    await store.write(unit, conversation_id=conversation_id)
    await remove_what_is_left(store, conversation_id)


async def remove_what_is_left(store: Store, conversation_id: ConversationId) -> None:
    """The rows of a conversation that is gone are gone, too."""
    while (removal := await store.read(lambda tx: next_removal(tx, conversation_id))) is not None:
        await store.write(partial(_remove, removal=removal), conversation_id=conversation_id)
    await store.write(
        lambda tx: remove_last_row(tx, conversation_id), conversation_id=conversation_id
    )


def _remove(tx: Writer, *, removal: Removal) -> None:
    remove_rows(tx, removal)


class QuietUnit(Protocol[T_co]):
    """A unit that ends with GenerationRunning while a reply grows, if it may wait for its end."""

    def __call__(self, tx: Writer, *, may_wait: bool) -> T_co: ...


async def when_quiet(
    store: Store,
    generations: Generations,
    conversation_id: ConversationId,
    *,
    owner_id: AccountId,
    unit: QuietUnit[T],
) -> T:
    """What `unit` made, once no reply grows in the conversation. Raises NotFound."""

    def running(tx: Reader) -> StoredGeneration | None:
        get_conversation(tx, conversation_id, owner_id=owner_id)
        return running_generation(tx, conversation_id)

    for tries_left in reversed(range(_TRIES)):
        may_wait = tries_left > 0
        found = await store.read(running)
        if found is not None:
            try:
                await generations.stop(found.generation)
            except HolderSilent:
                may_wait = False  # the reply ends with what is stored
        try:
            return await store.write(
                partial(unit, may_wait=may_wait), conversation_id=conversation_id
            )
        except GenerationRunning:
            if not may_wait:
                raise
    raise AssertionError("unreachable")


def quiet(tx: Writer, held: HeldConversation, *, may_wait: bool) -> None:
    """No reply grows in the conversation.

    One that another process runs, or that began just now, is ended here with what of it is on disk:
    whoever runs it finds its lock gone. Raises GenerationRunning instead if it may be waited for.
    """
    running = running_generation(tx, held.id)
    if running is None:
        return
    if may_wait:
        raise GenerationRunning(
            "The AI is answering here. Wait for it or stop it.",
            generation_id=running.generation.id,
        )
    said = message_at(tx, running.message_key).message
    model = running.generation.model
    if end_generation(tx, running.generation, "stopped", model=model, measures=Measures()):
        close_message(
            tx,
            held,
            running.message_key,
            start_offset=running.start_offset,
            content=said.content,
            status="stopped",
            model=model or None,
            parts=said.parts,
        )
    held.change(generation_id=None)
