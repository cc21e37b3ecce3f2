"""Indexing: which pieces stand in which message, kept by following the log.

A search must find a message among a million as one types, and a send must not pay for it. So a
send writes nothing here. Whoever keeps the index reads the events after the place it has read to,
works out the tokens of the messages they name, and writes those tokens together with the new
place: killed at any moment, it goes on there, and nothing is missed.

A message's tokens are the numbers of its pieces (`domain.folding`) and of two scopes: its
owner and its conversation. The index holds no text and no order, so what it finds for a query is a
candidate: whoever searches looks into the text itself. Three things follow from that.

- A token too many does no harm. A reply that goes on growing is entered again, over what was
  entered before; on SQLite the two entries are read as one.
- Messages and conversations that are deleted, archived or restored change nothing here: the search
  reads their state from their own rows.
- Both engines find exactly the same, since the same function looks at the text in the end.

What is removed for good, or emptied, leaves the index by `forget_entries` in the transaction that
removes it, under the tokens that `entries_of` read before: SQLite's index erases an entry only by
the tokens it was entered under, and they are known from the text alone. The tombstones in the logs
come too late for that; at a conversation's end they tell that its place is no longer needed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from talekeeper.database.statements import statement
from talekeeper.database.units import Reader, Writer
from talekeeper.domain.conversations import IN_FLIGHT
from talekeeper.domain.events import Log
from talekeeper.domain.folding import composed, folded, token, tokens
from talekeeper.ids import ConversationId
from talekeeper.store.places import (
    forget_place,
    forget_places,
    logs_behind,
    move_place,
    place_of,
    read_log,
)

FOLLOWER: Final = "search"
"""Under this name the index has its places in the logs."""
FORMAT: Final = 2
"""How the tokens of a text are made. Count it up when that changes: every index is made anew."""

_HALF: Final = 1 << 31
_EVENTS: Final = 500
"""Events of one conversation that are read at once."""


_IS_THERE = statement(
    "SELECT 1 AS found FROM sqlite_master WHERE name = 'search_index'",
    postgresql="""
    SELECT 1 AS found FROM pg_catalog.pg_tables
    WHERE schemaname = current_schema() AND tablename = 'search_index'
    """,
)
# Not to_regclass(): it looks past the snapshot, and would see an index whose state is not yet seen.
_MAKE = statement(
    "CREATE VIRTUAL TABLE search_index USING fts5("
    "tokens, content='', columnsize=0, detail=none, tokenize='ascii')",
    postgresql="""
    CREATE TABLE search_index (
        message_key bigint PRIMARY KEY REFERENCES messages (key) ON DELETE CASCADE,
        tokens integer[] NOT NULL
    )
    """,
)
_MAKE_LISTS = statement(
    postgresql="CREATE INDEX ix_search_index_tokens ON search_index USING gin (tokens)"
)
_EMPTY = statement(
    "INSERT INTO search_index (search_index) VALUES ('delete-all')",
    postgresql="TRUNCATE search_index",
)
_STATE = statement("SELECT format, is_caught_up FROM search_state")
_SET_STATE = statement("UPDATE search_state SET format = :made, is_caught_up = :caught_up")
# Out of the messages, so that nothing is entered that was removed for good since it was read.
_ENTER = statement(
    """
    INSERT INTO search_index (rowid, tokens)
    SELECT key, :words FROM messages WHERE key = :key AND content <> ''
    """,
    postgresql="""
    INSERT INTO search_index (message_key, tokens)
    SELECT key, CAST(:numbers AS integer[]) FROM messages WHERE key = :key AND content <> ''
    ON CONFLICT (message_key) DO UPDATE SET tokens = excluded.tokens
    """,
)
_ERASE = statement(
    "INSERT INTO search_index (search_index, rowid, tokens) VALUES ('delete', :key, :words)",
    postgresql="DELETE FROM search_index WHERE message_key = :key",
)
# Every entry has its conversation's token. Erasing what was never entered would damage the index.
_ENTERED_AMONG = statement(
    sqlite="""
    SELECT rowid AS key FROM search_index
    WHERE search_index MATCH :scope AND rowid BETWEEN :first AND :last
    """
)

_CONVERSATION = statement(
    """
    SELECT owner_id, seq FROM conversations WHERE id = :conversation_id AND removed_at IS NULL
    """
)
_NEWS = statement(
    """
    SELECT e.seq, e.message_key, m.status, m.content
    FROM events AS e LEFT JOIN messages AS m ON m.key = e.message_key
    WHERE e.log_kind = 'conversation' AND e.log_id = :conversation_id AND e.seq > :after
    ORDER BY e.seq
    LIMIT :limit
    """
)
_SAID = statement(
    """
    SELECT c.owner_id, m.conversation_id, m.content
    FROM messages AS m JOIN conversations AS c ON c.id = m.conversation_id
    WHERE m.key = :key AND m.content <> ''
    """
)

# For `misindexed`: what the index says of each message, as a count and a sum of its tokens.
_LOOK_INTO = statement(
    sqlite="CREATE VIRTUAL TABLE temp.search_words USING fts5vocab('main', 'search_index', 'instance')"
)
_LOOK_AWAY = statement(sqlite="DROP TABLE temp.search_words")
_ENTERED = statement(
    """
    SELECT doc AS key, count(*) AS tokens, sum(CAST(term AS INTEGER)) AS total
    FROM temp.search_words
    GROUP BY doc
    """,
    postgresql="""
    SELECT
        message_key AS key,
        cardinality(tokens) AS tokens,
        (SELECT sum(each + 2147483648) FROM unnest(tokens) AS each) AS total
    FROM search_index
    """,
)
_TO_BE_ENTERED = statement(
    """
    SELECT
        c.owner_id, m.conversation_id, m.key, m.id, m.content, m.status,
        EXISTS (
            SELECT 1 FROM events AS e
            WHERE e.log_kind = 'conversation'
              AND e.log_id = m.conversation_id
              AND e.seq > p.seq
              AND e.message_key = m.key
        ) AS is_to_read
    FROM messages AS m
    JOIN conversations AS c ON c.id = m.conversation_id
    JOIN places AS p
        ON p.follower = 'search' AND p.log_kind = 'conversation' AND p.log_id = c.id
    WHERE m.content <> ''
    """
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A message's key and its tokens."""

    key: int
    tokens: frozenset[int]

    def for_engine(self, tx: Reader) -> dict[str, object]:
        """The parameters of the statements that enter and erase it."""
        if tx.engine == "sqlite":
            return {"key": self.key, "words": words(self.tokens)}
        return {"key": self.key, "numbers": numbers(self.tokens)}


@dataclass(frozen=True, slots=True)
class News:
    """What a conversation's log says between two places, as entries."""

    conversation_id: ConversationId
    before: int
    after: int
    entries: tuple[Entry, ...]
    characters: int
    is_all: bool


def words(entered: Iterable[int]) -> str:
    """Tokens as SQLite's full-text index takes them."""
    return " ".join(map(str, entered))


def numbers(entered: Iterable[int]) -> list[int]:
    """Tokens as PostgreSQL's arrays take them: its whole numbers of 32 bits have a sign."""
    return [each - _HALF for each in entered]


def owner_token(owner_id: str) -> int:
    return token(f"owner {owner_id}")


def conversation_token(conversation_id: str) -> int:
    return token(f"conversation {conversation_id}")


def tokens_of(content: str, *, scopes: Iterable[int]) -> frozenset[int]:
    """Everything that a message is entered under."""
    return frozenset([*tokens(folded(composed(content))), *scopes])


def is_made(tx: Reader) -> bool:
    """There is an index, of whatever format."""
    return tx.first(_IS_THERE) is not None


def prepare_index(tx: Writer) -> bool:
    """The index is there and of this version's format. True: it was made anew, and is empty."""
    is_there = is_made(tx)
    state = tx.first(_STATE)
    assert state is not None
    if is_there and state.format == FORMAT:
        return False
    if not is_there:
        tx.run(_MAKE)
        if tx.engine == "postgresql":
            tx.run(_MAKE_LISTS)
    empty_index(tx)
    return True


def empty_index(tx: Writer) -> None:
    """Nothing is in the index, and it knows that it has everything to read."""
    tx.run(_EMPTY)
    forget_places(tx, FOLLOWER)
    tx.run(_SET_STATE, made=FORMAT, caught_up=0)


def mark_caught_up(tx: Writer) -> None:
    """All that was behind has been read: from now on only the newest news can be missing."""
    tx.run(_SET_STATE, made=FORMAT, caught_up=1)


def is_caught_up(tx: Reader) -> bool:
    """What `mark_caught_up` said, for an index of this format."""
    row = tx.first(_STATE)
    return row is not None and tuple(row) == (FORMAT, 1)


def is_current(tx: Reader) -> bool:
    """Every event of every log has been read. Looks at every log."""
    row = tx.first(_STATE)
    is_ours = is_made(tx) and row is not None and row.format == FORMAT
    return is_ours and not logs_behind(tx, FOLLOWER, limit=1)


def read_news(tx: Reader, conversation_id: ConversationId, *, characters: int) -> News | None:
    """What has happened since the index has read it, up to about so many characters of text.

    None where there is nothing. A reply that grows is left out: its end is an event, too.
    """
    row = tx.first(_CONVERSATION, conversation_id=conversation_id)
    before = place_of(tx, FOLLOWER, Log("conversation", conversation_id))
    if row is None or row.seq <= before:
        return None
    scopes = (owner_token(row.owner_id), conversation_token(conversation_id))
    found: dict[int, str] = {}
    taken, after = 0, before
    for seq, key, status, content in tx.all(
        _NEWS, conversation_id=conversation_id, after=before, limit=_EVENTS
    ):
        if key is not None and status is not None and status not in IN_FLIGHT and content:
            taken += 0 if key in found else len(content)
            found[key] = content
        after = seq
        if taken >= characters:
            break
    entries = tuple(Entry(key, tokens_of(content, scopes=scopes)) for key, content in found.items())
    return News(conversation_id, before, after, entries, taken, after >= row.seq)


def enter_news(tx: Writer, news: Iterable[News]) -> None:
    """The entries are in the index and the places moved, unless another was faster."""
    entries: dict[int, Entry] = {}
    for each in sorted(news, key=lambda each: each.conversation_id):
        log = Log("conversation", each.conversation_id)
        if move_place(tx, FOLLOWER, log, before=each.before, after=each.after):
            entries.update((entry.key, entry) for entry in each.entries)
    # By key: SQLite's index writes what comes out of order as a segment of its own.
    if entries:
        tx.run_many(_ENTER, [entries[key].for_engine(tx) for key in sorted(entries)])


@dataclass(frozen=True, slots=True)
class Gone:
    """The conversations whose end an account's log tells between two places."""

    log: Log
    before: int
    after: int
    conversation_ids: tuple[str, ...]


def read_gone(tx: Reader, log: Log) -> Gone | None:
    """What the index has not read of an account's log yet; None where there is nothing."""
    before = place_of(tx, FOLLOWER, log)
    events = read_log(tx, log, after=before, limit=_EVENTS)
    if not events:
        return None
    ids = (event.subject_id for event in events if event.kind == "conversation_gone")
    return Gone(log, before, events[-1].seq, tuple(each for each in ids if each is not None))


def forget_gone(tx: Writer, gone: Gone) -> None:
    """The index has no place in their logs any more, unless another process was faster.

    Of their messages nothing is in it: they left it together with their texts.
    """
    if move_place(tx, FOLLOWER, gone.log, before=gone.before, after=gone.after):
        for each in gone.conversation_ids:
            forget_place(tx, FOLLOWER, Log("conversation", each))


def entries_of(tx: Reader, keys: Iterable[int]) -> dict[int, Entry]:
    """What these messages are entered under, or would be; without those that say nothing.

    To be read before their rows are removed, or what they say is: only the text tells which
    tokens there are. It is no writer's work: a long text takes longer to divide than to remove.
    """
    entries: dict[int, Entry] = {}
    for key in keys:
        row = tx.first(_SAID, key=key)
        if row is not None:
            scopes = (owner_token(row.owner_id), conversation_token(row.conversation_id))
            entries[key] = Entry(key, tokens_of(row.content, scopes=scopes))
    return entries


def forget_entries(tx: Writer, conversation_id: ConversationId, entries: Iterable[Entry]) -> None:
    """Nothing of these messages of the conversation is in the index any more."""
    by_key = {entry.key: entry for entry in entries}
    if not by_key or not is_made(tx):
        return
    if tx.engine == "postgresql":
        tx.run_many(_ERASE, [{"key": key} for key in by_key])
        return
    entered = tx.all(
        _ENTERED_AMONG,
        scope=words([conversation_token(conversation_id)]),
        first=min(by_key),
        last=max(by_key),
    )
    erased = [by_key[key].for_engine(tx) for (key,) in entered if key in by_key]
    if erased:
        tx.run_many(_ERASE, erased)


def misindexed(tx: Reader) -> list[str]:
    """Where the index is not what it has read: an entry missing, wrong, or of what is not there.

    What is still to be read, and a whole index that is to be made anew, are no violations.
    """
    state = tx.first(_STATE)
    if not is_made(tx) or state is None or state.format != FORMAT:
        return []
    if tx.engine == "sqlite":
        tx.first(_LOOK_INTO)
    rows = tx.all(_ENTERED)
    if tx.engine == "sqlite":
        tx.first(_LOOK_AWAY)
    entered = {row.key: (row.tokens, int(row.total)) for row in rows}
    found: list[str] = []
    for row in tx.all(_TO_BE_ENTERED):
        is_there = entered.pop(row.key, None)
        if row.is_to_read or row.status in IN_FLIGHT:
            continue
        scopes = (owner_token(row.owner_id), conversation_token(row.conversation_id))
        expected = tokens_of(row.content, scopes=scopes)
        if is_there != (len(expected), sum(expected)):
            found.append(f"message {row.id}: the search index does not hold what it says")
    return found + [f"search index: an entry of no message ({key})" for key in entered]
