"""Places: how far each follower has read each log.

A follower keeps something up to date with what the logs tell: the search index is one. It reads the
events of a log after its place, makes of them what it keeps, and moves the place in the transaction
in which it writes that. Killed at any moment, it goes on there: nothing is missed, and nothing is
taken in twice, since a place moves only from where it was read.

A follower that has passed the event `conversation_gone` in an account's log forgets its place in the
log of that conversation, which is gone with it.
"""

from typing import Final, Literal, get_args

from talekeeper.database.statements import statement
from talekeeper.database.units import Reader, Writer
from talekeeper.domain.events import Event, Log

FollowerName = Literal["search"]
FOLLOWERS: Final[frozenset[FollowerName]] = frozenset(get_args(FollowerName))

# A copy in the making and a conversation that is going have a log without followers.
_ALL = """
    (
        SELECT 'account' AS log_kind, id AS log_id, seq, NULL AS activity FROM accounts
        UNION ALL
        SELECT 'conversation', id, seq, activity FROM conversations WHERE removed_at IS NULL
    ) AS l
    LEFT JOIN places AS p
        ON p.follower = :follower AND p.log_kind = l.log_kind AND p.log_id = l.log_id
"""
_BEHIND = statement(
    f"""
    SELECT l.log_kind, l.log_id FROM {_ALL}
    WHERE l.seq > coalesce(p.seq, 0)
    ORDER BY l.log_kind, l.activity DESC
    LIMIT :limit
    """
)
_COUNT = statement(
    f"""
    SELECT
        coalesce(sum(l.seq), 0) AS every,
        coalesce(sum(CASE WHEN l.seq > coalesce(p.seq, 0) THEN l.seq - coalesce(p.seq, 0) END), 0)
            AS unread
    FROM {_ALL}
    """
)
_PLACE = statement(
    """
    SELECT seq FROM places
    WHERE follower = :follower AND log_kind = :log_kind AND log_id = :log_id
    """
)
_EVENTS = statement(
    """
    SELECT seq, at, kind, message_key, subject_id FROM events
    WHERE log_kind = :log_kind AND log_id = :log_id AND seq > :after
    ORDER BY seq
    LIMIT :limit
    """
)
# Not where the log has gone since it was read.
_BEGIN_IN_CONVERSATION = statement(
    """
    INSERT INTO places (follower, log_kind, log_id, seq)
    SELECT CAST(:follower AS text), 'conversation', id, 0
    FROM conversations WHERE id = :log_id AND removed_at IS NULL
    ON CONFLICT (follower, log_kind, log_id) DO NOTHING
    """
)
_BEGIN_IN_ACCOUNT = statement(
    """
    INSERT INTO places (follower, log_kind, log_id, seq)
    SELECT CAST(:follower AS text), 'account', id, 0 FROM accounts WHERE id = :log_id
    ON CONFLICT (follower, log_kind, log_id) DO NOTHING
    """
)
_MOVE = statement(
    """
    UPDATE places SET seq = :after
    WHERE follower = :follower AND log_kind = :log_kind AND log_id = :log_id AND seq = :before
    """
)
_FORGET = statement(
    """
    DELETE FROM places
    WHERE follower = :follower AND log_kind = :log_kind AND log_id = :log_id
    """
)
_FORGET_ALL = statement("DELETE FROM places WHERE follower = :follower")


def place_of(tx: Reader, follower: FollowerName, log: Log) -> int:
    """The last event that the follower has taken in; 0 before the first."""
    row = tx.first(_PLACE, follower=follower, log_kind=log.kind, log_id=log.id)
    return 0 if row is None else row.seq


def read_log(tx: Reader, log: Log, *, after: int, limit: int) -> list[Event]:
    """Up to `limit` events that come after that place, in order."""
    rows = tx.all(_EVENTS, log_kind=log.kind, log_id=log.id, after=after, limit=limit)
    return [Event(*row) for row in rows]


def move_place(tx: Writer, follower: FollowerName, log: Log, *, before: int, after: int) -> bool:
    """The follower has read up to `after`.

    False when it is not at `before` any more, or the log is gone: what was read is then not written.
    """
    if before == 0:
        begin = _BEGIN_IN_ACCOUNT if log.kind == "account" else _BEGIN_IN_CONVERSATION
        tx.run(begin, follower=follower, log_id=log.id)
    moved = tx.run(
        _MOVE, follower=follower, log_kind=log.kind, log_id=log.id, before=before, after=after
    )
    return moved == 1


def forget_place(tx: Writer, follower: FollowerName, log: Log) -> None:
    """The follower keeps nothing of this log any more."""
    tx.run(_FORGET, follower=follower, log_kind=log.kind, log_id=log.id)


def forget_places(tx: Writer, follower: FollowerName) -> None:
    """The follower has everything to read again."""
    tx.run(_FORGET_ALL, follower=follower)


def logs_behind(tx: Reader, follower: FollowerName, *, limit: int) -> list[Log]:
    """Logs with unread events: accounts' first, then conversations', newest activity first.

    Looks at every log.
    """
    rows = tx.all(_BEHIND, follower=follower, limit=limit)
    return [Log(row.log_kind, row.log_id) for row in rows]


def unread_and_all(tx: Reader, follower: FollowerName) -> tuple[int, int]:
    """How many events the follower has not read, and how many there are. Looks at every log."""
    row = tx.first(_COUNT, follower=follower)
    assert row is not None
    return int(row.unread), int(row.every)
