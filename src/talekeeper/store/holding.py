"""Holding: a conversation is locked in a transaction, changed, and saved with its events."""

from dataclasses import dataclass, field, replace
from typing import Any

from talekeeper.database.statements import statement
from talekeeper.database.units import Reader, Writer
from talekeeper.domain.connections import Kind
from talekeeper.domain.conversations import (
    CONVERSATION_ROLES,
    PURPOSES,
    Conversation,
    ConversationRole,
    Message,
    Purpose,
    TitleBy,
)
from talekeeper.domain.events import EventKind, Recorded
from talekeeper.domain.kinds import known
from talekeeper.ids import AccountId, ConnectionId, ConversationId, MessageId
from talekeeper.store.conversations import (
    CONVERSATION_COLUMNS,
    CONVERSATION_ROWS,
    NEWEST_ACTIVITY,
    absent_conversation,
    conversation_in,
    current_conversation,
)

NO_CONNECTION = ConnectionId("")
"""In place of the server's choice, where nothing is to answer."""

# What answers here, by the conversation's choice, else the account's, else the server's.
_CHOSEN = "coalesce(c.connection_id, a.connection_id, :default_connection)"

_HELD = f"""
    SELECT
        {CONVERSATION_COLUMNS}, c.epoch, c.leaf_key, c.title_by,
        c.activity = (
            SELECT max(activity) FROM conversations WHERE owner_id = c.owner_id
        ) AS is_newest,
        {_CHOSEN} AS chosen_connection, k.kind AS chosen_kind,
        coalesce(
            CASE WHEN c.connection_id IS NOT NULL THEN nullif(c.model, '') END,
            CASE WHEN a.connection_id = {_CHOSEN} THEN nullif(a.model, '') END,
            nullif(k.model, '')
        ) AS chosen_model
    FROM {CONVERSATION_ROWS}
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
        """The place of the next event. The caller must report that event with `happened`."""
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
            newest = tx.first(NEWEST_ACTIVITY, owner_id=self.owner_id)
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
        raise absent_conversation()
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
