"""Conversations in the store: held while they are changed, listed by activity."""

from dataclasses import dataclass, field, replace
from typing import Any

from talekeeper.clock import Millis
from talekeeper.database.statements import Row, Statement, statement
from talekeeper.database.units import Reader, Writer
from talekeeper.domain.connections import Kind
from talekeeper.domain.conversations import (
    CONVERSATION_ROLES,
    PURPOSES,
    Conversation,
    ConversationPage,
    ConversationRole,
    ConversationState,
    Message,
    Purpose,
    Sampling,
    TitleBy,
)
from talekeeper.domain.events import EventKind, Recorded
from talekeeper.domain.kinds import known
from talekeeper.errors import IdReused, NotFound
from talekeeper.ids import AccountId, ConnectionId, ConversationId, GenerationId, MessageId

NO_CONNECTION = ConnectionId("")
"""In place of the server's choice, where nothing is to answer."""

_JOINED = """
    conversations AS c
    LEFT JOIN messages AS leaf ON leaf.key = c.leaf_key
    LEFT JOIN generations AS running
        ON running.conversation_id = c.id AND running.status = 'running'
"""
_COLUMNS = """
    c.id, c.owner_id, c.title, c.purpose, c.role, c.seq, leaf.id AS leaf_id,
    running.id AS generation_id, c.connection_id, c.model, c.created_at, c.updated_at, c.temperature,
    c.top_p, c.max_tokens, c.longest_request, c.pinned, c.archived_at, c.deleted_at,
    c.message_count, c.characters, c.activity
"""
# What is removed for good is there for nobody, whatever of its rows still is.

CONVERSATIONS = f"SELECT {_COLUMNS} FROM {_JOINED} WHERE c.removed_at IS NULL"
"""All that there are, in rows that `conversation_in` reads."""

_GET = statement(f"{CONVERSATIONS} AND c.id = :id AND c.owner_id = :owner_id")
_IS_KNOWN = statement(
    """
    SELECT id FROM conversations WHERE id = :id
    UNION ALL
    SELECT subject_id FROM events WHERE kind = 'conversation_gone' AND subject_id = :id
    """
)

# What answers here, by the conversation's choice, else the account's, else the server's.
_CHOSEN = "coalesce(c.connection_id, a.connection_id, :default_connection)"
_HELD = f"""
    SELECT
        {_COLUMNS}, c.epoch, c.leaf_key, c.title_by,
        c.activity = (
            SELECT max(activity) FROM conversations WHERE owner_id = c.owner_id
        ) AS is_newest,
        {_CHOSEN} AS chosen_connection, k.kind AS chosen_kind,
        coalesce(
            CASE WHEN c.connection_id IS NOT NULL THEN nullif(c.model, '') END,
            CASE WHEN a.connection_id = {_CHOSEN} THEN nullif(a.model, '') END,
            nullif(k.model, '')
        ) AS chosen_model
    FROM {_JOINED}
    JOIN accounts AS a ON a.id = c.owner_id
    LEFT JOIN connections AS k ON k.account_id = c.owner_id AND k.id = {_CHOSEN}
    WHERE c.id = :id AND c.removed_at IS NULL
"""
_HOLD = statement(
    f"{_HELD}",
    postgresql=f"{_HELD} FOR UPDATE OF c",
)
_HOLD_OWNED = statement(
    f"{_HELD} AND c.owner_id = :owner_id",
    postgresql=f"{_HELD} AND c.owner_id = :owner_id FOR UPDATE OF c",
)

_NEWEST_ACTIVITY = statement(
    "SELECT coalesce(max(activity), 0) AS activity FROM conversations WHERE owner_id = :owner_id"
)
_CHANGES = """
    title = :title, title_by = :title_by, connection_id = :connection_id,
    model = :model, temperature = :temperature, top_p = :top_p, max_tokens = :max_tokens,
    longest_request = :longest_request, seq = :seq, epoch = :epoch, leaf_key = :leaf_key,
    message_count = :message_count, characters = :characters, updated_at = :now
"""
# Most of what is saved leaves the conversation where it stands in every list. To name a column is
# to write its indexes again, even with the same value: a third of all that a send writes.
_SAVE_IN_PLACE = statement(f"UPDATE conversations SET {_CHANGES} WHERE id = :id")
_SAVE = statement(
    f"""
    UPDATE conversations SET
        {_CHANGES}, role = :role, pinned = :pinned, archived_at = :archived_at,
        deleted_at = :deleted_at, activity = :activity
    WHERE id = :id
    """
)
_INSERT = statement(
    """
    INSERT INTO conversations (
        id, owner_id, title, title_by, purpose, role, activity, seq, epoch, connection_id,
        model, created_at, updated_at
    )
    VALUES (
        :id, :owner_id, :title, :title_by, :purpose, :role,
        (SELECT coalesce(max(activity), 0) + 1 FROM conversations WHERE owner_id = :owner_id),
        0, 0, :connection_id, :model, :now, :now
    )
    """
)
_TITLE_GIVER = statement("SELECT title_by FROM conversations WHERE id = :id")
_CURRENT = statement(
    f"""
    {CONVERSATIONS} AND c.owner_id = :owner_id
        AND c.role = 'current_global' AND c.archived_at IS NULL AND c.deleted_at IS NULL
    """
)
_LISTED = f"{CONVERSATIONS} AND c.owner_id = :owner_id"
_CHANGED_LATELY = statement(
    f"""
    {_LISTED} AND c.activity >= :since
    ORDER BY c.activity
    LIMIT 500
    """
)
_IS_ACTIVE = "c.archived_at IS NULL AND c.deleted_at IS NULL"
_PINNED_FIRST = "ORDER BY c.pinned DESC, c.activity DESC, c.id DESC LIMIT :limit"
_NEWEST_FIRST = "ORDER BY c.activity DESC, c.id DESC LIMIT :limit"
_IS_AFTER = "(c.activity, c.id) < (:activity, :id)"
_IS_ARCHIVED = "c.archived_at IS NOT NULL AND c.deleted_at IS NULL"
_IS_IN_TRASH = "c.deleted_at IS NOT NULL"
_UNTOUCHED = statement(
    """
    SELECT id FROM conversations
    WHERE owner_id = :owner_id
      AND archived_at IS NULL
      AND deleted_at IS NULL
      AND pinned = 0
      AND role IS NULL
      AND updated_at < :before
    ORDER BY activity
    LIMIT :limit
    """
)
_ACTIVE = statement(f"{_LISTED} AND {_IS_ACTIVE} {_PINNED_FIRST}")
_ACTIVE_AFTER = statement(
    f"""
    {_LISTED} AND {_IS_ACTIVE} AND (c.pinned, c.activity, c.id) < (:pinned, :activity, :id)
    {_PINNED_FIRST}
    """
)
_ARCHIVED = statement(f"{_LISTED} AND {_IS_ARCHIVED} {_NEWEST_FIRST}")
_ARCHIVED_AFTER = statement(f"{_LISTED} AND {_IS_ARCHIVED} AND {_IS_AFTER} {_NEWEST_FIRST}")
_TRASH = statement(f"{_LISTED} AND {_IS_IN_TRASH} {_NEWEST_FIRST}")
_TRASH_AFTER = statement(f"{_LISTED} AND {_IS_IN_TRASH} AND {_IS_AFTER} {_NEWEST_FIRST}")
_PAGES: dict[ConversationState, tuple[Statement, Statement]] = {
    "active": (_ACTIVE, _ACTIVE_AFTER),
    "archived": (_ARCHIVED, _ARCHIVED_AFTER),
    "trash": (_TRASH, _TRASH_AFTER),
}


@dataclass(slots=True)
class HeldConversation:
    """A conversation locked in a transaction, and what has been changed of it so far.

    Nothing of it is on disk before `save`, which also records the events.
    """

    was: Conversation
    """As it was when it was last looked at; `conversation` is as it is now."""
    owner_id: AccountId
    role: ConversationRole | None
    epoch: int
    leaf_key: int | None
    title_by: TitleBy
    chosen_connection: ConnectionId
    """What answers here, by the conversation's choice, else the account's, else the server's."""
    chosen_kind: Kind | None
    """The kind of the chosen connection; None where the account has no row of it."""
    chosen_model: str | None
    """The first model named by: the conversation, the account, the connection."""
    is_newest: bool
    """Nothing has happened in any other of the account's since something did in this."""
    stood: tuple[object, ...] = ()
    """Where it stands in the lists, as it is on disk."""
    _changes: dict[str, Any] = field(default_factory=dict[str, Any])
    _happened: list[tuple[EventKind, int, Message | None, int | None]] = field(
        default_factory=list[Any]
    )

    def __post_init__(self) -> None:
        self.stood = self._standing()

    @property
    def id(self) -> ConversationId:
        return self.was.id

    @property
    def conversation(self) -> Conversation:
        """As it is now, with all that was changed."""
        if self._changes:
            self.was = replace(self.was, **self._changes)
            self._changes = {}
        return self.was

    def change(self, **changes: Any) -> None:
        self._changes.update(changes)

    def next_seq(self) -> int:
        """The place of the next event, which whoever takes it must report with `happened`."""
        seq: int = self._so_far("seq") + 1
        self._changes["seq"] = seq
        return seq

    def _standing(self) -> tuple[object, ...]:
        now = self.conversation
        return self.role, now.pinned, now.archived_at, now.deleted_at

    def _so_far(self, name: str) -> Any:
        # A send changes this a dozen times: making a whole value each time costs more than a flush.
        return self._changes[name] if name in self._changes else getattr(self.was, name)

    def move_leaf(self, message_id: MessageId | None, key: int | None) -> None:
        self.leaf_key = key
        self.change(leaf_id=message_id)

    def count(self, *, messages: int = 0, characters: int = 0) -> None:
        """So many more, or fewer, than were counted before."""
        self.change(
            message_count=self._so_far("message_count") + messages,
            characters=self._so_far("characters") + characters,
        )

    @property
    def is_put_away(self) -> bool:
        """In the archive, or in the trash."""
        return not (self.conversation.archived_at is None and self.conversation.deleted_at is None)

    def take_out(self, tx: Reader) -> None:
        """It is neither archived nor in the trash. It is the current one again, if none is by now."""
        if not self.is_put_away:
            return
        self.change(archived_at=None, deleted_at=None)
        if self.role is not None and current_conversation(tx, owner_id=self.owner_id) is not None:
            self.role = None

    def changed(self) -> None:
        """Followers hear that the conversation itself changed."""
        self.happened("conversation", self.next_seq())

    def happened(
        self, kind: EventKind, seq: int, message: Message | None = None, key: int | None = None
    ) -> None:
        self._happened.append((kind, seq, message, key))

    def save(self, tx: Writer) -> Conversation:
        """The conversation and its events are written."""
        is_current = self.role == "current_global" and not self.is_put_away
        self.change(updated_at=tx.now(), is_current=is_current)
        conversation = self.conversation
        stands = self._standing()
        if not self.is_newest or stands != self.stood:
            newest = tx.first(_NEWEST_ACTIVITY, owner_id=self.owner_id)
            assert newest is not None
            if conversation.activity != newest.activity:
                self.change(activity=newest.activity + 1)
                conversation = self.conversation
            listed = {
                "activity": conversation.activity,
                "role": self.role,
                "pinned": int(conversation.pinned),
                "archived_at": conversation.archived_at,
                "deleted_at": conversation.deleted_at,
            }
            self.is_newest, self.stood = True, stands
        else:
            listed = {}
        tx.run(
            _SAVE if listed else _SAVE_IN_PLACE,
            id=conversation.id,
            title=conversation.title,
            title_by=self.title_by,
            connection_id=conversation.connection_id,
            model=conversation.model,
            temperature=conversation.sampling.temperature,
            top_p=conversation.sampling.top_p,
            max_tokens=conversation.sampling.max_tokens,
            longest_request=conversation.sampling.longest_request,
            seq=conversation.seq,
            epoch=self.epoch,
            leaf_key=self.leaf_key,
            message_count=conversation.message_count,
            characters=conversation.characters,
            now=conversation.updated_at,
            **listed,
        )
        for kind, seq, message, key in self._happened:
            tx.record(
                Recorded(self.owner_id, conversation.id, seq, kind, conversation, message),
                message_key=key,
            )
        self._happened.clear()
        return conversation


def get_conversation(
    tx: Reader, conversation_id: ConversationId, *, owner_id: AccountId
) -> Conversation:
    """Raises NotFound when it is absent or another account's."""
    row = tx.first(_GET, id=conversation_id, owner_id=owner_id)
    if row is None:
        raise _absent()
    return conversation_in(row)


def hold_conversation(
    tx: Writer,
    conversation_id: ConversationId,
    *,
    owner_id: AccountId | None,
    default_connection: ConnectionId = NO_CONNECTION,
) -> HeldConversation:
    """Lock it until the transaction ends. `owner_id` None: the server itself asks.

    Raises NotFound when it is absent or another account's.
    """
    if owner_id is None:
        row = tx.first(_HOLD, id=conversation_id, default_connection=default_connection)
    else:
        row = tx.first(
            _HOLD_OWNED,
            id=conversation_id,
            owner_id=owner_id,
            default_connection=default_connection,
        )
    if row is None:
        raise _absent()
    return HeldConversation(
        was=conversation_in(row),
        owner_id=AccountId(row.owner_id),
        role=row.role,
        epoch=row.epoch,
        leaf_key=row.leaf_key,
        title_by=row.title_by,
        chosen_connection=row.chosen_connection,
        chosen_kind=row.chosen_kind,
        chosen_model=row.chosen_model,
        is_newest=bool(row.is_newest),
    )


def insert_conversation(
    tx: Writer,
    conversation_id: ConversationId,
    *,
    owner_id: AccountId,
    title: str,
    purpose: Purpose,
    role: ConversationRole | None = None,
    connection_id: ConnectionId | None = None,
    model: str | None = None,
    title_by: TitleBy | None = None,
) -> HeldConversation:
    """A new, empty conversation, newest of the account's list. Its first event is still to happen."""
    tx.run(
        _INSERT,
        id=conversation_id,
        owner_id=owner_id,
        title=title,
        title_by=title_by or ("person" if title else "first_words"),
        purpose=known(purpose, PURPOSES, what="purpose"),
        role=role and known(role, CONVERSATION_ROLES, what="role of a conversation"),
        connection_id=connection_id,
        model=model,
        now=tx.now(),
    )
    return hold_conversation(tx, conversation_id, owner_id=owner_id)


def find_conversation(
    tx: Reader, conversation_id: ConversationId, *, owner_id: AccountId
) -> Conversation | None:
    """The conversation of that name; None where it is absent.

    Raises IdReused when it is another account's, or was removed for good.
    """
    row = tx.first(_GET, id=conversation_id, owner_id=owner_id)
    if row is not None:
        return conversation_in(row)
    if is_known(tx, conversation_id):
        raise IdReused("This id was used before for something else. Send again with a new id.")
    return None


def is_known(tx: Reader, conversation_id: ConversationId) -> bool:
    """Whether a conversation has this id, or had it: any account's, shown or not.

    An id is never given to a second conversation, so no log begins again at 1.
    """
    return tx.first(_IS_KNOWN, id=conversation_id) is not None


def title_giver(tx: Reader, conversation_id: ConversationId) -> TitleBy | None:
    """Who gave the conversation its title; None where there is no such conversation."""
    row = tx.first(_TITLE_GIVER, id=conversation_id)
    return None if row is None else row.title_by


def current_conversation(tx: Reader, *, owner_id: AccountId) -> Conversation | None:
    """The account's current global conversation; None while it has none."""
    row = tx.first(_CURRENT, owner_id=owner_id)
    return None if row is None else conversation_in(row)


def changed_lately(tx: Reader, *, owner_id: AccountId, activity: int | None) -> list[Conversation]:
    """The account's conversations in which something happened since that `activity`, and some more.

    None: since the newest. A conversation that is the newest already keeps its activity when it
    changes, and transactions of several processes may be committed in another order than they
    counted: so the last sixteen before are among them, and `seq` says what is new.
    """
    if activity is None:
        newest = tx.first(_NEWEST_ACTIVITY, owner_id=owner_id)
        assert newest is not None
        activity = int(newest.activity)
    rows = tx.all(_CHANGED_LATELY, owner_id=owner_id, since=activity - 16)
    return [conversation_in(row) for row in rows]


@dataclass(frozen=True, slots=True)
class ListPlace:
    """A place in one of an account's lists: behind the conversation of these values."""

    pinned: int
    activity: int
    id: str

    def __str__(self) -> str:
        return f"{self.pinned}.{self.activity}.{self.id}"


def conversation_page(
    tx: Reader,
    *,
    owner_id: AccountId,
    state: ConversationState = "active",
    after: ListPlace | None,
    limit: int,
) -> ConversationPage:
    """Up to `limit` conversations of one of the account's lists that stand behind `after`."""
    first, following = _PAGES[state]
    if after is None:
        rows = tx.all(first, owner_id=owner_id, limit=limit + 1)
    else:
        place = {"activity": after.activity, "id": after.id}
        if state == "active":
            place["pinned"] = after.pinned
        rows = tx.all(following, owner_id=owner_id, limit=limit + 1, **place)
    items = tuple(conversation_in(row) for row in rows[:limit])
    if len(rows) <= limit:
        return ConversationPage(items, None)
    last = items[-1]
    # A pin does not count in the archive and in the trash.
    pinned = int(last.pinned) if state == "active" else 0
    return ConversationPage(items, str(ListPlace(pinned, last.activity, last.id)))


def long_untouched(
    tx: Reader, *, owner_id: AccountId, before: Millis, limit: int
) -> list[ConversationId]:
    """Active ones in which nothing happened since then, the least active first.

    Neither pinned ones, nor the current one.
    """
    rows = tx.all(_UNTOUCHED, owner_id=owner_id, before=before, limit=limit)
    return [ConversationId(row.id) for row in rows]


def conversation_in(row: Row) -> Conversation:
    return Conversation(
        id=ConversationId(row.id),
        title=row.title,
        purpose=row.purpose,
        is_current=row.role == "current_global"
        and row.archived_at is None
        and row.deleted_at is None,
        seq=row.seq,
        leaf_id=None if row.leaf_id is None else MessageId(row.leaf_id),
        generation_id=None if row.generation_id is None else GenerationId(row.generation_id),
        connection_id=row.connection_id,
        model=row.model,
        created_at=Millis(row.created_at),
        updated_at=Millis(row.updated_at),
        sampling=Sampling(row.temperature, row.top_p, row.max_tokens, row.longest_request),
        pinned=bool(row.pinned),
        archived_at=None if row.archived_at is None else Millis(row.archived_at),
        deleted_at=None if row.deleted_at is None else Millis(row.deleted_at),
        message_count=row.message_count,
        characters=row.characters,
        activity=row.activity,
    )


def _absent() -> NotFound:
    return NotFound("There is no such conversation. It may have been deleted.")
