"""Copying: a branch, or the whole tree, as a conversation of its own.

A copied message's id is made of the new conversation's and its own, so that copying again with the
same id finds what was copied. A long copy is written in steps, between which other writers come
through, and is shown when the last one is on disk (`store/copies.py`). A copy that its process did
not finish is never shown; its rows are removed with what the trash empties, or when the same copy is
asked for again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID, uuid5

from talekeeper.clock import Millis
from talekeeper.conversations.succeeding import open_successor
from talekeeper.conversations.trashing import remove_what_is_left
from talekeeper.database import Reader, Store, Writer
from talekeeper.domain.conversations import Conversation, Message, TitleBy
from talekeeper.domain.parts import Reasoning
from talekeeper.errors import IdReused, NotFound, StoreBusy, TalekeeperError
from talekeeper.ids import AccountId, ConversationId, MessageId
from talekeeper.store.conversations import (
    find_conversation,
    get_conversation,
    is_known,
    title_giver,
)
from talekeeper.store.copies import (
    Promise,
    abandon_all_copies,
    abandon_copy,
    first_to_copy,
    has_promised_copies,
    hide_copy,
    is_promised,
    keys_to_copy,
    next_to_copy,
    promise_of,
    show_copy,
)
from talekeeper.store.holding import hold_conversation
from talekeeper.store.message_changes import add_copies
from talekeeper.store.messages import find_message
from talekeeper.store.thoughts import copy_thoughts


@dataclass(frozen=True, slots=True)
class CopyOutcome:
    """The copy, and whether it had been made before."""

    conversation: Conversation
    is_repeated: bool


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be copied: the keys of the messages, parents first, and the copy's active leaf."""

    source: Conversation
    title_by: TitleBy
    keys: list[int]
    leaf_id: MessageId | None


@dataclass(frozen=True, slots=True)
class _Step:
    """Messages that one transaction copies. `so_far` were copied before; `is_last`: none are left."""

    originals: Sequence[Message]
    so_far: int
    is_last: bool


async def copy_conversation(
    store: Store,
    conversation_id: ConversationId,
    new_id: ConversationId,
    *,
    owner_id: AccountId,
    leaf_id: MessageId | None = None,
) -> CopyOutcome:
    """A conversation with the path to `leaf_id`, or with the whole tree where it is None.

    Title, purpose and choices go over, and of the messages everything but their generations.
    Raises GenerationRunning while a copied reply grows, NotFound, IdReused, and StoreBusy while
    another request makes the same copy.
    """

    def look(tx: Reader) -> CopyOutcome | _Plan | Promise:
        source = get_conversation(tx, conversation_id, owner_id=owner_id)
        leaf_key = None if leaf_id is None else _leaf_key(tx, source, leaf_id)
        promise = promise_of(tx, new_id, owner_id=owner_id)
        if promise is not None:
            return promise
        known = find_conversation(tx, new_id, owner_id=owner_id)
        if known is not None:
            return _repeated(tx, known, source, leaf_key=leaf_key)
        keys = keys_to_copy(tx, conversation_id, leaf_key=leaf_key)
        title_by = title_giver(tx, conversation_id) or "first_words"
        return _Plan(source, title_by, keys, leaf_id or source.leaf_id)

    while True:
        found = await store.read(look)
        if isinstance(found, CopyOutcome):
            return found
        if isinstance(found, Promise):
            if await store.write(lambda tx: is_promised(tx, new_id), conversation_id=new_id):
                raise StoreBusy(
                    "This copy is being made by another request. Try again in a moment."
                )
            await remove_what_is_left(store, new_id)
            continue
        copy = await _copied_in_steps(store, found, new_id, owner_id=owner_id)
        if copy is not None:
            return CopyOutcome(copy, False)


async def _copied_in_steps(
    store: Store, plan: _Plan, new_id: ConversationId, *, owner_id: AccountId
) -> Conversation | None:
    """The whole copy; None where another request began it meanwhile."""
    so_far = 0
    try:
        while True:
            left = plan.keys[so_far:]
            originals = await store.read(partial(next_to_copy, keys=left))
            step = _Step(originals, so_far, is_last=len(originals) == len(left))
            copy = await store.write(
                partial(_copy_step, plan=plan, step=step, new_id=new_id, owner_id=owner_id),
                conversation_id=new_id,
            )
            if step.is_last or copy is None:
                return copy
            so_far += len(originals)
    except TalekeeperError:
        if so_far:
            await store.write(lambda tx: abandon_copy(tx, new_id), conversation_id=new_id)
            await remove_what_is_left(store, new_id)
        raise


def _copy_step(
    tx: Writer, *, plan: _Plan, step: _Step, new_id: ConversationId, owner_id: AccountId
) -> Conversation | None:
    if step.so_far:
        if not show_copy(tx, new_id, so_far=step.so_far):
            raise StoreBusy("The copy was not finished in time. Try again.")
        copy = hold_conversation(tx, new_id, owner_id=owner_id)
    elif is_known(tx, new_id):
        return None
    else:
        copy = open_successor(
            tx,
            plan.source,
            new_id,
            owner_id=owner_id,
            title=plan.source.title,
            title_by=plan.title_by,
        )
    leaf = plan.leaf_id if step.is_last and plan.keys else None
    add_copies(
        tx,
        copy,
        [_copied(new_id, message) for message in step.originals],
        leaf_id=None if leaf is None else _copied_id(new_id, leaf),
    )
    copy_thoughts(
        tx,
        {
            message.id: _copied_id(new_id, message.id)
            for message in step.originals
            if any(isinstance(part, Reasoning) for part in message.parts)
        },
    )
    if step.is_last:
        copy.changed()
        return copy.save(tx)
    saved = copy.save(tx)
    hide_copy(tx, new_id)
    return saved


def _repeated(
    tx: Reader, known: Conversation, source: Conversation, *, leaf_key: int | None
) -> CopyOutcome:
    """What was copied before. Raises IdReused when the id names something else."""
    first = first_to_copy(tx, source.id, leaf_key=leaf_key)
    if first is None:
        is_copy = known.message_count == 0
    else:
        is_copy = find_message(tx, _copied_id(known.id, first)) is not None
    if not is_copy:
        raise IdReused("This id was used before for something else. Take a new one.")
    return CopyOutcome(known, True)


def _leaf_key(tx: Reader, source: Conversation, leaf_id: MessageId) -> int:
    leaf = find_message(tx, leaf_id)
    if leaf is None or leaf.message.conversation_id != source.id or leaf.is_hidden:
        raise NotFound("There is no such message in this conversation.")
    return leaf.key


async def abandon_copies(store: Store, *, now: Millis) -> None:
    """What dead processes had begun to copy can be removed. No other process writes here."""
    if await store.read(partial(has_promised_copies, now=now)):
        await store.write(abandon_all_copies)


def _copied_id(new_id: ConversationId, message_id: MessageId) -> MessageId:
    return MessageId(str(uuid5(UUID(new_id), message_id)))


def _copied(new_id: ConversationId, message: Message) -> Message:
    return replace(
        message,
        id=_copied_id(new_id, message.id),
        conversation_id=new_id,
        parent_id=None if message.parent_id is None else _copied_id(new_id, message.parent_id),
        generation_id=None,
        revision=1,
    )
