"""Thoughts in the store: the texts of reasoning parts, in pieces as they came.

A text is all its pieces in the order of their offsets. While a generation runs, the reasoning that it
adds has the position behind the parts of its message's row; when it ends, the row's parts name it.
"""

from collections.abc import Mapping
from itertools import groupby

from talekeeper.database.statements import statement
from talekeeper.database.units import Reader, Writer
from talekeeper.domain.audiences import audience_in
from talekeeper.domain.conversations import IN_FLIGHT, Generation
from talekeeper.domain.parts import Part, Reasoning, parts_in
from talekeeper.ids import MessageId

_HOLDS_LOCK = "id = :generation_id AND epoch = :held_epoch AND status = 'running'"
# Locked on PostgreSQL for the reason that checkpoints of the reply's text are.
_ADD = statement(
    f"""
    INSERT INTO thoughts (message_key, position, start_offset, text)
    SELECT message_key, :position, :offset, :text FROM generations WHERE {_HOLDS_LOCK}
    """,
    postgresql=f"""
    INSERT INTO thoughts (message_key, position, start_offset, text)
    SELECT message_key, :position, :offset, :text FROM generations WHERE {_HOLDS_LOCK} FOR SHARE
    """,
)
_IS_HELD = statement(
    f"SELECT id FROM generations WHERE {_HOLDS_LOCK}",
    postgresql=f"SELECT id FROM generations WHERE {_HOLDS_LOCK} FOR SHARE",
)
_FORGET_FROM = statement(
    """
    DELETE FROM thoughts
    WHERE message_key = :key AND position = :position AND start_offset >= :offset
    """
)
_KEEP = statement(
    """
    INSERT INTO thoughts (message_key, position, start_offset, text)
    VALUES (:key, :position, 0, :text)
    """
)
_PIECES = statement(
    """
    SELECT text FROM thoughts WHERE message_key = :key AND position = :position
    ORDER BY start_offset
    """
)
_LENGTH = statement(
    """
    SELECT sum(length(text)) AS characters FROM thoughts
    WHERE message_key = :key AND position = :position
    """
)
_PARTS = statement("SELECT parts FROM messages WHERE key = :key")
_FORGET = statement("DELETE FROM thoughts WHERE message_key = :at")
_COPY = statement(
    """
    INSERT INTO thoughts (message_key, position, start_offset, text)
    SELECT copy.key, t.position, t.start_offset, t.text
    FROM messages AS original
    JOIN thoughts AS t ON t.message_key = original.key
    JOIN messages AS copy ON copy.id = :copy_id
    WHERE original.id = :original_id
    """
)
# Every message that has parts, thoughts or an audience of its own, and how long its thoughts are.
_WITH_PARTS = statement(
    """
    SELECT m.id, m.status, m.parts, m.audience, t.position, sum(length(t.text)) AS characters
    FROM messages AS m LEFT JOIN thoughts AS t ON t.message_key = m.key
    WHERE m.parts IS NOT NULL OR m.audience IS NOT NULL OR t.position IS NOT NULL
    GROUP BY m.key, m.id, m.status, m.parts, m.audience, t.position
    ORDER BY m.key, t.position
    """
)


def add_thought(
    tx: Writer,
    generation: Generation,
    *,
    message_key: int,
    position: int,
    offset: int,
    text: str,
    may_be_stored: bool = False,
) -> bool:
    """Keep what the model thought from `offset` on. False, and nothing written, when the lock is
    another's.

    With `may_be_stored` an attempt whose outcome is unknown came before: what it stored is replaced.
    """
    if may_be_stored:
        # Another process may have ended the reply meanwhile: what it kept is not this one's to replace.
        lock = {"generation_id": generation.id, "held_epoch": generation.epoch}
        if tx.first(_IS_HELD, **lock) is None:
            return False
        tx.run(_FORGET_FROM, key=message_key, position=position, offset=offset)
    added = tx.run(
        _ADD,
        generation_id=generation.id,
        held_epoch=generation.epoch,
        position=position,
        offset=offset,
        text=text,
    )
    return added == 1


def keep_thought(tx: Writer, key: int, position: int, text: str) -> None:
    """This is the whole text at that position, in one piece."""
    tx.run(_FORGET_FROM, key=key, position=position, offset=0)
    tx.run(_KEEP, key=key, position=position, text=text)


def thought_at(tx: Reader, key: int, position: int) -> str:
    """The text at that position of the message, as far as it is stored."""
    return "".join([row.text for row in tx.all(_PIECES, key=key, position=position)])


def thought_so_far(tx: Reader, key: int) -> tuple[tuple[Part, ...], str]:
    """The parts of a growing message as its row names them, and what its generation has thought."""
    row = tx.first(_PARTS, key=key)
    parts = parts_in(None if row is None else row.parts)
    return parts, thought_at(tx, key, len(parts))


def reasoning_so_far(tx: Reader, key: int, position: int) -> tuple[Reasoning, ...]:
    """The part for what the generation of a growing message has thought; none if it has not."""
    row = tx.first(_LENGTH, key=key, position=position)
    characters = None if row is None else row.characters
    return (Reasoning(int(characters)),) if characters else ()


def misparted(tx: Reader) -> list[str]:
    """Messages whose parts or audience cannot be read, or do not say how long their thoughts are."""
    found: list[str] = []
    for _, rows in groupby(tx.all(_WITH_PARTS), key=lambda row: row.id):
        of_message = list(rows)
        row = of_message[0]
        try:
            parts, _ = parts_in(row.parts), audience_in(row.audience)
        except ValueError:
            found.append(f"message {row.id}: its parts or its audience cannot be read")
            continue
        told = {
            place: part.characters
            for place, part in enumerate(parts)
            if isinstance(part, Reasoning) and part.characters
        }
        held = {each.position: each.characters for each in of_message if each.position is not None}
        if row.status in IN_FLIGHT:
            held.pop(len(parts), None)
        if told != held:
            found.append(f"message {row.id}: its parts do not name the thoughts that it has")
    return found


def copy_thoughts(tx: Writer, copies: Mapping[MessageId, MessageId]) -> None:
    """The copies of these messages have their thoughts, too."""
    if copies:
        tx.run_many(
            _COPY,
            [{"original_id": original, "copy_id": copy} for original, copy in copies.items()],
        )


def forget_thoughts(tx: Writer, keys: list[int]) -> None:
    """Nothing is kept of what was thought for these messages."""
    tx.run_many(_FORGET, [{"at": key} for key in keys])
