"""Generations in the store: the lock on replying, the checkpoints, and how they end."""

from dataclasses import dataclass

from talekeeper.clock import Millis
from talekeeper.domain.conversations import Generation, GenerationKind, GenerationStatus
from talekeeper.errors import NotFound
from talekeeper.ids import AccountId, BootId, ConversationId, GenerationId, MessageId
from talekeeper.store.prepared import Row, named, prepared
from talekeeper.store.sql import (
    and_,
    bindparam,
    chunks,
    conversations,
    delete,
    exists,
    func,
    generations,
    insert,
    literal,
    messages,
    or_,
    processes,
    select,
    update,
)
from talekeeper.store.units import Reader, Writer

_g = generations.c
_joined = generations.join(messages, messages.c.key == _g.message_key).join(
    conversations, conversations.c.id == _g.conversation_id
)
_COLUMNS = (
    _g.id,
    _g.conversation_id,
    messages.c.id.label("message_id"),
    conversations.c.owner_id,
    _g.kind,
    _g.status,
    _g.epoch,
    _g.provider,
    _g.model,
    _g.message_key,
    _g.start_offset,
    _g.first_token_ms,
    _g.duration_ms,
    _g.input_tokens,
    _g.output_tokens,
    _g.boot_id,
    _g.created_at,
)
_select = select(*_COLUMNS).select_from(_joined)

_FIND = prepared(_select.where(_g.id == bindparam("id")))
_FIND_OWNED = prepared(
    _select.where(
        _g.id == bindparam("id"),
        conversations.c.owner_id == bindparam("owner_id"),
        conversations.c.removed_at.is_(None),
    )
)
_RUNNING_IN = prepared(
    _select.where(
        _g.conversation_id == bindparam("conversation_id"), _g.status == literal("running")
    )
)
_RUNNING_OF = prepared(
    _select.where(_g.status == literal("running"), _g.boot_id == bindparam("boot_id")).order_by(
        _g.conversation_id
    )
)
_COUNT_RUNNING = prepared(
    select(func.count())
    .select_from(generations.join(conversations, conversations.c.id == _g.conversation_id))
    .where(_g.status == literal("running"), conversations.c.owner_id == bindparam("owner_id"))
)
_INSERT = prepared(
    insert(generations).values(
        named(
            "id",
            "conversation_id",
            "message_key",
            "kind",
            "epoch",
            "boot_id",
            "start_offset",
            "provider",
            "model",
            "created_at",
        )
        | {"status": "running"}
    )
)
_holds_lock = and_(
    _g.id == bindparam("generation_id"),
    _g.epoch == bindparam("held_epoch"),
    _g.status == "running",
)
_CHECKPOINT = prepared(
    insert(chunks).from_select(
        ["generation_id", "start_offset", "text"],
        select(
            _g.id,
            bindparam("offset", type_=_g.start_offset.type),
            bindparam("grown", type_=chunks.c.text.type),
        )
        # The end comes on another of PostgreSQL's writers: the row's lock puts the two in order.
        # Without it a chunk could be committed after the end had folded them all.
        .where(_holds_lock)
        .with_for_update(read=True),
    )
)
_FORGET_FROM = prepared(
    delete(chunks).where(
        chunks.c.generation_id == bindparam("generation_id"),
        chunks.c.start_offset >= bindparam("offset"),
    )
)
_TOLD = prepared(select(_g.receipt).where(_g.id == bindparam("id")))
_RECEIPT = prepared(update(generations).where(_holds_lock).values(receipt=bindparam("told")))
_END = prepared(
    update(generations)
    .where(_holds_lock)
    .values(
        status=bindparam("final"),
        model=bindparam("by_model"),
        first_token_ms=bindparam("first_token"),
        duration_ms=bindparam("duration"),
        input_tokens=bindparam("input"),
        output_tokens=bindparam("output"),
        error_code=bindparam("code"),
    )
)
_FORGET_CHUNKS = prepared(
    delete(chunks).where(chunks.c.generation_id == bindparam("generation_id"))
)
_ABANDONED = prepared(
    _select.where(
        _g.status == "running",
        _g.boot_id != bindparam("boot_id"),
        or_(
            bindparam("all_others_are_dead", type_=_g.epoch.type) == 1,
            ~exists().where(
                processes.c.boot_id == _g.boot_id, processes.c.lease_until > bindparam("now")
            ),
        ),
    )
    .order_by(_g.conversation_id)
    # Whoever froze may be about to keep one more chunk: it is kept before this, or not at all.
    .with_for_update(of=generations)
)


@dataclass(frozen=True, slots=True)
class Measures:
    """What a generation cost: milliseconds since it began, tokens as the provider counted."""

    first_token_ms: int | None = None
    duration_ms: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class StoredGeneration:
    """A generation, the message it fills and from which character on; what it cost, once it ended.

    `boot_id` names the process that runs it, or ran it.
    """

    generation: Generation
    message_key: int
    start_offset: int
    measures: Measures
    boot_id: BootId
    created_at: Millis


def find_generation(tx: Reader, generation_id: GenerationId) -> StoredGeneration | None:
    """The generation of that name, whoever owns it."""
    row = tx.first(_FIND, id=generation_id)
    return None if row is None else _stored(row)


def get_generation(
    tx: Reader, generation_id: GenerationId, *, owner_id: AccountId
) -> StoredGeneration:
    """Raises NotFound when it is absent or another account's."""
    row = tx.first(_FIND_OWNED, id=generation_id, owner_id=owner_id)
    if row is None:
        raise NotFound("There is no such generation.")
    return _stored(row)


def running_generation(tx: Reader, conversation_id: ConversationId) -> StoredGeneration | None:
    """The one that holds the conversation's lock; None while nobody replies."""
    row = tx.first(_RUNNING_IN, conversation_id=conversation_id)
    return None if row is None else _stored(row)


def generations_of_process(tx: Reader, boot_id: BootId) -> list[Generation]:
    """Every generation that runs in this process, as the store has it."""
    return [_stored(row).generation for row in tx.all(_RUNNING_OF, boot_id=boot_id)]


def count_running(tx: Reader, *, owner_id: AccountId) -> int:
    """How many of the account's replies grow now, in all processes."""
    row = tx.first(_COUNT_RUNNING, owner_id=owner_id)
    assert row is not None
    return row[0]


def insert_generation(
    tx: Writer,
    generation: Generation,
    *,
    message_key: int,
    boot_id: BootId,
    start_offset: int,
) -> None:
    """The generation runs and holds its conversation's lock."""
    tx.run(
        _INSERT,
        id=generation.id,
        conversation_id=generation.conversation_id,
        message_key=message_key,
        kind=generation.kind,
        epoch=generation.epoch,
        boot_id=boot_id,
        start_offset=start_offset,
        provider=generation.provider,
        model=generation.model,
        created_at=tx.now(),
    )


def add_chunk(
    tx: Writer, generation: Generation, *, offset: int, text: str, may_be_stored: bool = False
) -> bool:
    """Keep what grew at `offset`. False, and nothing written, when the lock is another's.

    With `may_be_stored` an attempt whose outcome is unknown came before: what it stored is replaced.
    """
    if may_be_stored:
        tx.run(_FORGET_FROM, generation_id=generation.id, offset=offset)
    return (
        tx.run(
            _CHECKPOINT,
            generation_id=generation.id,
            held_epoch=generation.epoch,
            offset=offset,
            grown=text,
        )
        == 1
    )


def find_receipt(tx: Reader, generation_id: GenerationId) -> str | None:
    """What its model was told, as it is stored; None until it was asked."""
    row = tx.first(_TOLD, id=generation_id)
    return None if row is None else row[0]


def keep_receipt(tx: Writer, generation: Generation, receipt: str) -> None:
    """Keep what the model was told, while the lock is this generation's."""
    tx.run(_RECEIPT, generation_id=generation.id, held_epoch=generation.epoch, told=receipt)


def end_generation(
    tx: Writer,
    generation: Generation,
    status: GenerationStatus,
    *,
    model: str,
    measures: Measures,
    error_code: str | None = None,
) -> bool:
    """The lock is free and the chunks are gone. False, and nothing written, when it is another's."""
    changed = tx.run(
        _END,
        generation_id=generation.id,
        held_epoch=generation.epoch,
        final=status,
        by_model=model,
        first_token=measures.first_token_ms,
        duration=measures.duration_ms,
        input=measures.input_tokens,
        output=measures.output_tokens,
        code=error_code,
    )
    if changed != 1:
        return False
    tx.run(_FORGET_CHUNKS, generation_id=generation.id)
    return True


def abandoned_generations(
    tx: Reader, *, boot_id: BootId, now: int, all_others_are_dead: bool
) -> list[StoredGeneration]:
    """Running generations of processes that are gone.

    `all_others_are_dead`: the caller holds the data folder, so whatever is not its own is dead.
    Otherwise a process is dead when its lease has run out.
    """
    rows = tx.all(
        _ABANDONED, boot_id=boot_id, now=now, all_others_are_dead=int(all_others_are_dead)
    )
    return [_stored(row) for row in rows]


def _stored(row: Row) -> StoredGeneration:
    kind: GenerationKind = row[4]
    generation = Generation(
        id=GenerationId(row[0]),
        conversation_id=ConversationId(row[1]),
        message_id=MessageId(row[2]),
        owner_id=AccountId(row[3]),
        kind=kind,
        status=row[5],
        epoch=row[6],
        provider=row[7],
        model=row[8],
    )
    return StoredGeneration(
        generation, row[9], row[10], Measures(*row[11:15]), BootId(row[15]), Millis(row[16])
    )
