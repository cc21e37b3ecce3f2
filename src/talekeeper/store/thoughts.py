"""Thoughts in the store: the texts of reasoning parts, in pieces as they came.

A text is all its pieces in the order of their offsets. While a generation runs, the reasoning that it
adds has the position behind the parts of its message's row; when it ends, the row's parts name it.
"""

from collections.abc import Mapping

from talekeeper.domain.conversations import Generation
from talekeeper.domain.parts import Part, Reasoning, parts_in
from talekeeper.ids import MessageId
from talekeeper.store.prepared import prepared
from talekeeper.store.sql import (
    bindparam,
    delete,
    func,
    generations,
    insert,
    literal,
    messages,
    select,
    text,
    thoughts,
)
from talekeeper.store.units import Reader, Writer

_t, _g, _m = thoughts.c, generations.c, messages.c

_ADD = prepared(
    insert(thoughts).from_select(
        ["message_key", "position", "start_offset", "text"],
        select(
            _g.message_key,
            bindparam("place", type_=_t.position.type),
            bindparam("offset", type_=_t.start_offset.type),
            bindparam("grown", type_=_t.text.type),
        )
        .where(
            _g.id == bindparam("generation_id"),
            _g.epoch == bindparam("held_epoch"),
            _g.status == literal("running"),
        )
        .with_for_update(read=True),
    )
)
_FORGET_FROM = prepared(
    delete(thoughts).where(
        _t.message_key == bindparam("key"),
        _t.position == bindparam("place"),
        _t.start_offset >= bindparam("offset"),
    )
)
_KEEP = prepared(
    text(
        "INSERT INTO thoughts (message_key, position, start_offset, text)"
        " VALUES (:key, :place, 0, :whole)"
    )
)
_PIECES = prepared(
    select(_t.text)
    .where(_t.message_key == bindparam("key"), _t.position == bindparam("place"))
    .order_by(_t.start_offset)
)
_LENGTH = prepared(
    select(func.sum(func.length(_t.text))).where(
        _t.message_key == bindparam("key"), _t.position == bindparam("place")
    )
)
_PARTS = prepared(select(_m.parts).where(_m.key == bindparam("key")))
_FORGET = prepared(delete(thoughts).where(_t.message_key == bindparam("at")))
_COPY = prepared(
    text(
        "INSERT INTO thoughts (message_key, position, start_offset, text)"
        " SELECT copy.key, thoughts.position, thoughts.start_offset, thoughts.text"
        " FROM messages AS original"
        " JOIN thoughts ON thoughts.message_key = original.key"
        " JOIN messages AS copy ON copy.id = :copy_id"
        " WHERE original.id = :original_id"
    )
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
        tx.run(_FORGET_FROM, key=message_key, place=position, offset=offset)
    added = tx.run(
        _ADD,
        generation_id=generation.id,
        held_epoch=generation.epoch,
        place=position,
        offset=offset,
        grown=text,
    )
    return added == 1


def keep_thought(tx: Writer, key: int, position: int, text: str) -> None:
    """This is the whole text at that position, in one piece."""
    tx.run(_FORGET_FROM, key=key, place=position, offset=0)
    tx.run(_KEEP, key=key, place=position, whole=text)


def thought_at(tx: Reader, key: int, position: int) -> str:
    """The text at that position of the message, as far as it is stored."""
    return "".join([row[0] for row in tx.all(_PIECES, key=key, place=position)])


def thought_so_far(tx: Reader, key: int) -> tuple[tuple[Part, ...], str]:
    """The parts of a growing message as its row names them, and what its generation has thought."""
    row = tx.first(_PARTS, key=key)
    parts = parts_in(None if row is None else row[0])
    return parts, thought_at(tx, key, len(parts))


def reasoning_so_far(tx: Reader, key: int, position: int) -> tuple[Reasoning, ...]:
    """The part for what the generation of a growing message has thought; none if it has not."""
    row = tx.first(_LENGTH, key=key, place=position)
    characters = None if row is None else row[0]
    return (Reasoning(int(characters)),) if characters else ()


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
