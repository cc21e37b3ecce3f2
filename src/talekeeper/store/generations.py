"""Generations in the store: the lock on replying, the checkpoints, and how they end."""

from collections.abc import Mapping
from dataclasses import dataclass

from talekeeper.clock import Millis
from talekeeper.database.statements import Row, statement
from talekeeper.database.units import Reader, Writer
from talekeeper.domain.conversations import Generation, GenerationStatus
from talekeeper.errors import NotFound
from talekeeper.ids import AccountId, BootId, ConversationId, GenerationId, MessageId

_COLUMNS = """
    g.id, g.conversation_id, m.id AS message_id, c.owner_id, g.kind, g.status, g.epoch,
    g.connection_id, g.provider,
    g.model, g.message_key, g.start_offset, g.first_token_ms, g.duration_ms, g.input_tokens,
    g.output_tokens, g.boot_id, g.created_at, g.stop_asked_at
"""
_SELECT = f"""
    SELECT {_COLUMNS} FROM generations AS g
    JOIN messages AS m ON m.key = g.message_key
    JOIN conversations AS c ON c.id = g.conversation_id
"""

_FIND = statement(f"{_SELECT} WHERE g.id = :id")
_FIND_OWNED = statement(
    f"{_SELECT} WHERE g.id = :id AND c.owner_id = :owner_id AND c.removed_at IS NULL"
)
_RUNNING_IN = statement(
    f"{_SELECT} WHERE g.conversation_id = :conversation_id AND g.status = 'running'"
)
_RUNNING_OF = statement(
    f"{_SELECT} WHERE g.status = 'running' AND g.boot_id = :boot_id ORDER BY g.conversation_id"
)
# The running ones are few, and have an index of their own: uq_generations_running.
_COUNT_RUNNING = statement(
    """
    SELECT count(*) AS running FROM generations AS g
    JOIN conversations AS c ON c.id = g.conversation_id
    WHERE g.status = 'running' AND c.owner_id = :owner_id
    """
)
_INSERT = statement(
    """
    INSERT INTO generations (
        id, conversation_id, message_key, kind, status, epoch, boot_id, start_offset,
        connection_id, provider, model, created_at
    )
    VALUES (
        :id, :conversation_id, :message_key, :kind, 'running', :epoch, :boot_id, :start_offset,
        :connection_id, :provider, :model, :created_at
    )
    """
)
_HOLDS_LOCK = "id = :generation_id AND epoch = :held_epoch AND status = 'running'"
# The end comes on another of PostgreSQL's writers: the row's lock puts the two in order.
# Without it a chunk could be committed after the end had folded them all.
_CHECKPOINT = statement(
    f"""
    INSERT INTO chunks (generation_id, start_offset, text)
    SELECT id, :offset, :grown FROM generations WHERE {_HOLDS_LOCK}
    """,
    postgresql=f"""
    INSERT INTO chunks (generation_id, start_offset, text)
    SELECT id, :offset, :grown FROM generations WHERE {_HOLDS_LOCK} FOR SHARE
    """,
)
_FORGET_FROM = statement(
    "DELETE FROM chunks WHERE generation_id = :generation_id AND start_offset >= :offset"
)
_TOLD = statement("SELECT receipt FROM generations WHERE id = :id")
_RECEIPT = statement(f"UPDATE generations SET receipt = :told WHERE {_HOLDS_LOCK}")
# Another receipt of the conversation may have named the text before.
_TELL = statement(
    """
    INSERT INTO told_texts (conversation_id, hash, text) VALUES (:conversation_id, :hash, :text)
    ON CONFLICT DO NOTHING
    """
)
_TOLD_TEXT = statement(
    "SELECT text FROM told_texts WHERE conversation_id = :conversation_id AND hash = :hash"
)
# Replies that failed before they were asked for stand between.
_RECEIPT_BEFORE = statement(
    """
    WITH RECURSIVE path (parent_key, generation_id, depth) AS (
        SELECT parent_key, CAST(NULL AS text), 0 FROM messages WHERE key = :key
        UNION ALL
        SELECT m.parent_key, m.generation_id, path.depth + 1
        FROM messages AS m JOIN path ON m.key = path.parent_key
        WHERE path.depth < 8
    )
    SELECT g.receipt
    FROM path JOIN generations AS g ON g.id = path.generation_id
    WHERE g.receipt IS NOT NULL
    ORDER BY path.depth
    LIMIT 1
    """
)
_END = statement(
    f"""
    UPDATE generations SET
        status = :final,
        model = :model,
        first_token_ms = :first_token_ms,
        duration_ms = :duration_ms,
        input_tokens = :input_tokens,
        output_tokens = :output_tokens,
        error_code = :error_code
    WHERE {_HOLDS_LOCK}
    """
)
_ASK_TO_STOP = statement(
    """
    UPDATE generations SET stop_asked_at = coalesce(stop_asked_at, :now)
    WHERE id = :id AND status = 'running'
    RETURNING boot_id
    """
)
_STOPS_ASKED = statement(
    """
    SELECT id FROM generations
    WHERE status = 'running' AND boot_id = :boot_id AND stop_asked_at IS NOT NULL
    """
)
_FORGET_CHUNKS = statement("DELETE FROM chunks WHERE generation_id = :generation_id")
_LEFT_BEHIND = f"""
    {_SELECT}
    WHERE g.status = 'running'
      AND g.boot_id != :boot_id
      AND (
            :all_others_are_dead = 1
            OR NOT EXISTS (
                SELECT 1 FROM processes
                WHERE processes.boot_id = g.boot_id AND processes.lease_until > :now
            )
      )
    ORDER BY g.conversation_id
"""
# A process that froze may be about to store one more chunk: the row locks put that chunk before this
# statement, or refuse it.
_ABANDONED = statement(
    f"{_LEFT_BEHIND}",
    postgresql=f"{_LEFT_BEHIND} FOR UPDATE OF g",
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

    `boot_id` names the process that runs it, or ran it, which another one may have asked to stop it.
    """

    generation: Generation
    message_key: int
    start_offset: int
    measures: Measures
    boot_id: BootId
    created_at: Millis
    is_stop_asked: bool


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


def generations_of_process(tx: Reader, boot_id: BootId) -> list[StoredGeneration]:
    """Every generation that runs in this process, as the store has it."""
    return [_stored(row) for row in tx.all(_RUNNING_OF, boot_id=boot_id)]


def ask_to_stop(tx: Writer, generation_id: GenerationId) -> BootId | None:
    """The process that runs the generation reads that it is to stop; None when it has ended."""
    row = tx.first(_ASK_TO_STOP, id=generation_id, now=tx.now())
    return None if row is None else BootId(row.boot_id)


def stops_asked(tx: Reader, boot_id: BootId) -> list[GenerationId]:
    """The generations of this process that another one was asked to stop."""
    return [GenerationId(row.id) for row in tx.all(_STOPS_ASKED, boot_id=boot_id)]


def count_running(tx: Reader, *, owner_id: AccountId) -> int:
    """How many of the account's replies grow now, in all processes."""
    row = tx.first(_COUNT_RUNNING, owner_id=owner_id)
    assert row is not None
    return row.running


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
        connection_id=generation.connection_id,
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
    return None if row is None else row.receipt


def keep_receipt(
    tx: Writer, generation: Generation, receipt: str, texts: Mapping[str, str]
) -> None:
    """Keep what the model was told, while the lock is this generation's. `texts` are those that the
    receipt names, by their hashes.
    """
    kept = tx.run(_RECEIPT, generation_id=generation.id, held_epoch=generation.epoch, told=receipt)
    if kept and texts:
        tx.run_many(
            _TELL,
            [
                {"conversation_id": generation.conversation_id, "hash": key, "text": texts[key]}
                for key in sorted(texts)
            ],
        )


def told_text(tx: Reader, conversation_id: ConversationId, hash_: str) -> str:
    """The text that a receipt of the conversation names so; nothing where there is none."""
    row = tx.first(_TOLD_TEXT, conversation_id=conversation_id, hash=hash_)
    return "" if row is None else row.text


def receipt_before(tx: Reader, key: int) -> str | None:
    """The receipt of the last reply above this one that has one; None without any near it."""
    row = tx.first(_RECEIPT_BEFORE, key=key)
    return None if row is None else row.receipt


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
        model=model,
        first_token_ms=measures.first_token_ms,
        duration_ms=measures.duration_ms,
        input_tokens=measures.input_tokens,
        output_tokens=measures.output_tokens,
        error_code=error_code,
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
    generation = Generation(
        id=GenerationId(row.id),
        conversation_id=ConversationId(row.conversation_id),
        message_id=MessageId(row.message_id),
        owner_id=AccountId(row.owner_id),
        kind=row.kind,
        status=row.status,
        epoch=row.epoch,
        connection_id=row.connection_id,
        provider=row.provider,
        model=row.model,
    )
    measures = Measures(row.first_token_ms, row.duration_ms, row.input_tokens, row.output_tokens)
    return StoredGeneration(
        generation,
        row.message_key,
        row.start_offset,
        measures,
        BootId(row.boot_id),
        Millis(row.created_at),
        row.stop_asked_at is not None,
    )
