"""Verifying: every invariant derived again from the rows. An empty list says that all of them hold.

Each rule is a query for what breaks it, so a violation names the row. Constraints of the schema
are not repeated here, except where one engine could have been written to without them.
"""

from typing import Final

from talekeeper.store.indexing import misindexed
from talekeeper.store.prepared import Engine, Prepared, prepared
from talekeeper.store.sql import (
    and_,
    chunks,
    conversations,
    events,
    exists,
    func,
    generations,
    jobs,
    messages,
    or_,
    select,
    text,
)
from talekeeper.store.store import Store
from talekeeper.store.units import Reader

_c, _m, _e, _g, _k = conversations.c, messages.c, events.c, generations.c, chunks.c
_child = messages.alias("child")
_parent = messages.alias("parent")
_elder = generations.alias("elder")
_is_in_flight = or_(_m.status == "pending", _m.status == "streaming")
_log = (
    select(
        _e.conversation_id,
        func.count().label("events"),
        func.min(_e.seq).label("first"),
        func.max(_e.seq).label("last"),
    )
    .group_by(_e.conversation_id)
    .subquery("log")
)
_added = (
    select(_e.message_key, func.count().label("events"))
    .where(_e.kind == "message_added")
    .group_by(_e.message_key)
    .subquery("added")
)
_grown = (
    select(
        _k.generation_id,
        func.sum(func.length(_k.text)).label("characters"),
        func.min(_k.start_offset).label("first"),
        func.max(_k.start_offset + func.length(_k.text)).label("end"),
    )
    .group_by(_k.generation_id)
    .subquery("grown")
)

_top = messages.alias("top")
_held = (
    select(
        _m.conversation_id,
        func.count().label("messages"),
        func.sum(func.length(_m.content)).label("characters"),
    )
    .where(_m.deleted_by.is_(None))
    .group_by(_m.conversation_id)
    .subquery("held")
)

_RULES: Final[tuple[tuple[str, Prepared], ...]] = (
    (
        "conversation {}: its log does not run from 1 to its seq without a gap",
        prepared(
            select(_c.id)
            .outerjoin(_log, _log.c.conversation_id == _c.id)
            .where(
                or_(
                    func.coalesce(_log.c.events, 0) != _c.seq,
                    func.coalesce(_log.c.last, 0) != _c.seq,
                    func.coalesce(_log.c.first, 1) != 1,
                )
            )
        ),
    ),
    (
        "message {}: not exactly one event of its conversation, at its seq, tells that it was added",
        prepared(
            select(_m.id)
            .outerjoin(_added, _added.c.message_key == _m.key)
            .where(func.coalesce(_added.c.events, 0) != 1)
        ),
    ),
    (
        "message {}: the event at its seq tells of something else",
        prepared(
            select(_m.id).where(
                ~exists().where(
                    _e.conversation_id == _m.conversation_id,
                    _e.seq == _m.seq,
                    _e.kind == "message_added",
                    _e.message_key == _m.key,
                )
            )
        ),
    ),
    (
        "message {}: its parent is in another conversation, or is not elder",
        prepared(
            select(_m.id)
            .join(_parent, _parent.c.key == _m.parent_key)
            .where(
                or_(
                    _parent.c.conversation_id != _m.conversation_id,
                    _parent.c.seq >= _m.seq,
                    _parent.c.key >= _m.key,
                )
            )
        ),
    ),
    (
        "message {}: its parent is missing",
        prepared(
            select(_m.id)
            .outerjoin(_parent, _parent.c.key == _m.parent_key)
            .where(_m.parent_key.is_not(None), _parent.c.key.is_(None))
        ),
    ),
    (
        "conversation {}: its active leaf is missing, deleted, of another conversation, or no leaf",
        prepared(
            select(_c.id)
            .outerjoin(messages, _m.key == _c.leaf_key)
            .where(
                _c.leaf_key.is_not(None),
                or_(
                    _m.key.is_(None),
                    _m.conversation_id != _c.id,
                    _m.deleted_by.is_not(None),
                    exists().where(
                        _child.c.parent_key == _m.key,
                        _child.c.conversation_id == _c.id,
                        _child.c.deleted_by.is_(None),
                    ),
                ),
            )
        ),
    ),
    (
        "conversation {}: it has messages and no active leaf",
        prepared(
            select(_c.id).where(
                _c.leaf_key.is_(None), _c.message_count > 0, _c.removed_at.is_(None)
            )
        ),
    ),
    (
        "conversation {}: it does not hold as many messages or characters as it says",
        prepared(
            select(_c.id)
            .outerjoin(_held, _held.c.conversation_id == _c.id)
            .where(
                _c.removed_at.is_(None),
                or_(
                    func.coalesce(_held.c.messages, 0) != _c.message_count,
                    func.coalesce(_held.c.characters, 0) != _c.characters,
                ),
            )
        ),
    ),
    (
        "message {}: what it stands under was deleted, and it was not",
        prepared(
            select(_m.id)
            .join(_parent, _parent.c.key == _m.parent_key)
            .where(_m.deleted_by.is_(None), _parent.c.deleted_by.is_not(None))
        ),
    ),
    (
        "message {}: it was deleted with one that does not stand above it, or that was not deleted",
        prepared(
            select(_m.id)
            .outerjoin(_parent, _parent.c.key == _m.parent_key)
            .outerjoin(_top, _top.c.key == _m.deleted_by)
            .where(
                _m.deleted_by.is_not(None),
                or_(
                    _top.c.deleted_at.is_(None),
                    _top.c.deleted_by != _top.c.key,
                    and_(
                        _m.deleted_by != _m.key,
                        func.coalesce(_parent.c.deleted_by, 0) != _m.deleted_by,
                    ),
                    and_(_m.deleted_by != _m.key, _m.deleted_at.is_not(None)),
                ),
            )
        ),
    ),
    (
        "message {}: it grows, and was deleted",
        prepared(select(_m.id).where(_is_in_flight, _m.deleted_by.is_not(None))),
    ),
    (
        "generation {}: it runs in the trash",
        prepared(
            select(_g.id)
            .join(conversations, _c.id == _g.conversation_id)
            .where(_g.status == "running", _c.deleted_at.is_not(None))
        ),
    ),
    (
        "message {}: it grows, but no running generation fills it",
        prepared(
            select(_m.id).where(
                _is_in_flight,
                ~exists().where(
                    _g.id == _m.generation_id, _g.status == "running", _g.message_key == _m.key
                ),
            )
        ),
    ),
    (
        "generation {}: it runs, but its message does not grow by it",
        prepared(
            select(_g.id)
            .join(messages, _m.key == _g.message_key)
            .where(
                _g.status == "running",
                or_(
                    ~_is_in_flight,
                    _m.generation_id != _g.id,
                    _m.conversation_id != _g.conversation_id,
                ),
            )
        ),
    ),
    (
        "generation {}: its epoch is not its own in its conversation",
        prepared(
            select(_g.id)
            .join(conversations, _c.id == _g.conversation_id)
            .where(
                or_(
                    _g.epoch > _c.epoch,
                    exists().where(
                        _elder.c.conversation_id == _g.conversation_id,
                        _elder.c.epoch == _g.epoch,
                        _elder.c.id != _g.id,
                    ),
                )
            )
        ),
    ),
    (
        "generation {}: another one ran after it, yet it is running",
        prepared(
            select(_g.id)
            .join(conversations, _c.id == _g.conversation_id)
            .where(_g.status == "running", _g.epoch != _c.epoch)
        ),
    ),
    (
        "message {}: it says why it was ended, and did not come to its end",
        prepared(
            select(_m.id).where(
                _m.finish_reason.is_not(None),
                or_(_m.role != "assistant", _m.status != "complete"),
            )
        ),
    ),
    (
        "message {}: its state is not how its latest generation ended",
        prepared(
            select(_m.id)
            .join(generations, _g.id == _m.generation_id)
            .where(
                _g.status != "running",
                or_(
                    and_(_g.status == "finished", _m.status != "complete"),
                    and_(_g.status != "finished", _m.status != _g.status),
                ),
            )
        ),
    ),
    (
        "job {}: it is another account's than its conversation",
        prepared(
            select(jobs.c.id)
            .join(conversations, _c.id == jobs.c.conversation_id)
            .where(jobs.c.owner_id != _c.owner_id)
        ),
    ),
    (
        "generation {}: it has ended, but its chunks were not folded",
        prepared(
            select(_g.id).where(_g.status != "running", exists().where(_k.generation_id == _g.id))
        ),
    ),
    (
        "generation {}: its chunks do not go on from where its message stops, without gap or double",
        prepared(
            select(_g.id)
            .join(_grown, _grown.c.generation_id == _g.id)
            .join(messages, _m.key == _g.message_key)
            .where(
                or_(
                    _grown.c.first != _g.start_offset,
                    _grown.c.first != func.length(_m.content),
                    _grown.c.end - _grown.c.first != _grown.c.characters,
                )
            )
        ),
    ),
)

_FOREIGN_KEYS: Final = prepared(text("PRAGMA foreign_key_check"))
_INTEGRITY: Final = prepared(text("PRAGMA integrity_check"))


async def verify(store: Store) -> list[str]:
    """Every violation found, in words that name the row. Reads everything: not for everyday."""
    return await store.read(lambda tx: violations(tx, store.engine))


def violations(tx: Reader, engine: Engine) -> list[str]:
    """What `verify` finds, within a snapshot that stands."""
    found = [sentence.format(row[0]) for sentence, rule in _RULES for row in tx.all(rule)]
    found += misindexed(tx)
    if engine == "sqlite":
        found += [f"table {row[0]}: a row refers to nothing" for row in tx.all(_FOREIGN_KEYS)]
        found += [f"database: {row[0]}" for row in tx.all(_INTEGRITY) if row[0] != "ok"]
    return found
