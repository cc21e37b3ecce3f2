"""Conversations in the store: held while they are changed, listed by activity."""

from dataclasses import dataclass, field, replace
from typing import Any

from talekeeper.clock import Millis
from talekeeper.domain.connections import Kind
from talekeeper.domain.conversations import (
    Conversation,
    ConversationPage,
    ConversationState,
    Message,
    Purpose,
    Sampling,
    TitleBy,
)
from talekeeper.domain.events import EventKind, Recorded
from talekeeper.errors import IdReused, NotFound
from talekeeper.ids import AccountId, ConnectionId, ConversationId, GenerationId, MessageId
from talekeeper.store.prepared import Prepared, Row, prepared
from talekeeper.store.sql import (
    accounts,
    and_,
    bindparam,
    case,
    connections,
    conversations,
    func,
    generations,
    insert,
    literal,
    messages,
    select,
    tuple_,
    update,
)
from talekeeper.store.units import Reader, Writer

NO_CONNECTION = ConnectionId("")
"""In place of the server's choice, where nothing is to answer."""

_c = conversations.c
_joined = conversations.outerjoin(messages, messages.c.key == _c.leaf_key).outerjoin(
    generations,
    and_(generations.c.conversation_id == _c.id, generations.c.status == "running"),
)
_COLUMNS = (
    _c.id,
    _c.owner_id,
    _c.title,
    _c.purpose,
    _c.role,
    _c.seq,
    messages.c.id.label("leaf_id"),
    generations.c.id.label("generation_id"),
    _c.connection_id,
    _c.model,
    _c.created_at,
    _c.updated_at,
    _c.temperature,
    _c.top_p,
    _c.max_tokens,
    _c.pinned,
    _c.archived_at,
    _c.deleted_at,
    _c.message_count,
    _c.characters,
    _c.activity,
    _c.longest_request,
)
# What is removed for good is there for nobody, whatever of its rows still is.
_select = select(*_COLUMNS).select_from(_joined).where(_c.removed_at.is_(None))
_is_owned = and_(_c.id == bindparam("id"), _c.owner_id == bindparam("owner_id"))

CONVERSATIONS = _select
"""All that there are, in rows that `conversation_in` reads."""

_GET = prepared(_select.where(_is_owned))
_IS_KNOWN = prepared(select(_c.id).where(_c.id == bindparam("id")))

# What will answer here, by the conversation's choice, else the account's, else the server's.
_chosen = func.coalesce(_c.connection_id, accounts.c.connection_id, bindparam("default_connection"))
_others = conversations.alias("others")
_is_newest = _c.activity == (
    select(func.max(_others.c.activity)).where(_others.c.owner_id == _c.owner_id).scalar_subquery()
)
_hold = (
    select(
        *_COLUMNS,
        _c.epoch,
        _c.leaf_key,
        _c.title_by,
        _is_newest,
        _chosen,
        connections.c.kind,
        case((_c.connection_id.is_not(None), _c.model), else_=None),
        case((accounts.c.connection_id == _chosen, accounts.c.model), else_=None),
        connections.c.model,
    )
    .select_from(
        _joined.join(accounts, accounts.c.id == _c.owner_id).outerjoin(
            connections,
            and_(connections.c.account_id == _c.owner_id, connections.c.id == _chosen),
        )
    )
    .where(_c.id == bindparam("id"), _c.removed_at.is_(None))
    .with_for_update(of=conversations)
)
_HOLD = prepared(_hold)
_HOLD_OWNED = prepared(_hold.where(_c.owner_id == bindparam("owner_id")))

_newest_activity = select(func.coalesce(func.max(_others.c.activity), 0)).where(
    _others.c.owner_id == bindparam("owner_id")
)
_NEWEST_ACTIVITY = prepared(_newest_activity)
_save = (
    update(conversations)
    .where(_c.id == bindparam("conversation_id"))
    .values(
        title=bindparam("new_title"),
        title_by=bindparam("new_title_by"),
        connection_id=bindparam("new_connection_id"),
        model=bindparam("new_model"),
        temperature=bindparam("new_temperature"),
        top_p=bindparam("new_top_p"),
        max_tokens=bindparam("new_max_tokens"),
        longest_request=bindparam("new_longest_request"),
        seq=bindparam("new_seq"),
        epoch=bindparam("new_epoch"),
        leaf_key=bindparam("new_leaf_key"),
        message_count=bindparam("new_message_count"),
        characters=bindparam("new_characters"),
        updated_at=bindparam("now"),
    )
)
# Most of what is saved leaves the conversation where it stands in every list. To name a column is
# to write its indexes again, even with the same value: a third of all that a send writes.
_SAVE_IN_PLACE = prepared(_save)
_SAVE = prepared(
    _save.values(
        role=bindparam("new_role"),
        pinned=bindparam("new_pinned"),
        archived_at=bindparam("new_archived_at"),
        deleted_at=bindparam("new_deleted_at"),
        activity=bindparam("new_activity"),
    )
)
_INSERT = prepared(
    insert(conversations).values(
        {
            "id": bindparam("id"),
            "owner_id": bindparam("owner_id"),
            "title": bindparam("title"),
            "title_by": bindparam("title_by"),
            "purpose": bindparam("purpose"),
            "role": bindparam("role"),
            "activity": _newest_activity.scalar_subquery() + 1,
            "seq": 0,
            "epoch": 0,
            "connection_id": bindparam("connection_id"),
            "model": bindparam("model"),
            "created_at": bindparam("now"),
            "updated_at": bindparam("now"),
        }
    )
)
_TITLE_GIVER = prepared(select(_c.title_by).where(_c.id == bindparam("id")))
_CURRENT = prepared(
    _select.where(
        _c.owner_id == bindparam("owner_id"),
        _c.role == "current_global",
        _c.archived_at.is_(None),
        _c.deleted_at.is_(None),
    )
)
_listed = _select.where(_c.owner_id == bindparam("owner_id"))
_active = (
    _listed.add_columns(_c.pinned, _c.activity)
    .where(_c.archived_at.is_(None), _c.deleted_at.is_(None))
    .order_by(_c.pinned.desc(), _c.activity.desc(), _c.id.desc())
    .limit(bindparam("limit"))
)
_away = (
    # A pin does not count there; a constant in its place makes one cursor for all three lists.
    _listed.add_columns(literal(0), _c.activity)
    .order_by(_c.activity.desc(), _c.id.desc())
    .limit(bindparam("limit"))
)
_is_after = tuple_(_c.activity, _c.id) < tuple_(bindparam("activity"), bindparam("id"))
_archived = _away.where(_c.archived_at.is_not(None), _c.deleted_at.is_(None))
_trash = _away.where(_c.deleted_at.is_not(None))
_UNTOUCHED = prepared(
    select(_c.id)
    .where(
        _c.owner_id == bindparam("owner_id"),
        _c.archived_at.is_(None),
        _c.deleted_at.is_(None),
        _c.pinned == 0,
        _c.role.is_(None),
        _c.updated_at < bindparam("before"),
    )
    .order_by(_c.activity)
    .limit(bindparam("limit"))
)
_ACTIVE = prepared(_active)
_ACTIVE_AFTER = prepared(
    _active.where(
        tuple_(_c.pinned, _c.activity, _c.id)
        < tuple_(bindparam("pinned"), bindparam("activity"), bindparam("id"))
    )
)
_ARCHIVED = prepared(_archived)
_ARCHIVED_AFTER = prepared(_archived.where(_is_after))
_TRASH = prepared(_trash)
_TRASH_AFTER = prepared(_trash.where(_is_after))
_PAGES: dict[ConversationState, tuple[Prepared, Prepared]] = {
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
    role: str | None
    epoch: int
    leaf_key: int | None
    title_by: TitleBy
    chosen_connection: ConnectionId
    """What answers here by the conversation's choice, else the account's, else the server's."""
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
            (newest,) = tx.first(_NEWEST_ACTIVITY, owner_id=self.owner_id) or (0,)
            if conversation.activity != newest:
                self.change(activity=newest + 1)
                conversation = self.conversation
            listed = {
                "new_activity": conversation.activity,
                "new_role": self.role,
                "new_pinned": int(conversation.pinned),
                "new_archived_at": conversation.archived_at,
                "new_deleted_at": conversation.deleted_at,
            }
            self.is_newest, self.stood = True, stands
        else:
            listed = {}
        tx.run(
            _SAVE if listed else _SAVE_IN_PLACE,
            conversation_id=conversation.id,
            new_title=conversation.title,
            new_title_by=self.title_by,
            new_connection_id=conversation.connection_id,
            new_model=conversation.model,
            new_temperature=conversation.sampling.temperature,
            new_top_p=conversation.sampling.top_p,
            new_max_tokens=conversation.sampling.max_tokens,
            new_longest_request=conversation.sampling.longest_request,
            new_seq=conversation.seq,
            new_epoch=self.epoch,
            new_leaf_key=self.leaf_key,
            new_message_count=conversation.message_count,
            new_characters=conversation.characters,
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
    own = len(_COLUMNS)
    epoch, leaf_key, title_by, is_newest, chosen, kind, *models = row[own:]
    return HeldConversation(
        was=conversation_in(row),
        owner_id=AccountId(row[1]),
        role=row[4],
        epoch=epoch,
        leaf_key=leaf_key,
        title_by=title_by,
        chosen_connection=chosen,
        chosen_kind=kind,
        chosen_model=next((model for model in models if model), None),
        is_newest=bool(is_newest),
    )


def insert_conversation(
    tx: Writer,
    conversation_id: ConversationId,
    *,
    owner_id: AccountId,
    title: str,
    purpose: Purpose,
    role: str | None = None,
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
        purpose=purpose,
        role=role,
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
    """Whether a row has this id: anybody's, shown or not."""
    return tx.first(_IS_KNOWN, id=conversation_id) is not None


def title_giver(tx: Reader, conversation_id: ConversationId) -> TitleBy | None:
    """Who gave the conversation its title; None where there is no such conversation."""
    row = tx.first(_TITLE_GIVER, id=conversation_id)
    return None if row is None else row[0]


def current_conversation(tx: Reader, *, owner_id: AccountId) -> Conversation | None:
    """The account's current global conversation; None while it has none."""
    row = tx.first(_CURRENT, owner_id=owner_id)
    return None if row is None else conversation_in(row)


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
    last = rows[limit - 1] if len(rows) > limit else None
    return ConversationPage(items, str(ListPlace(last[-2], last[-1], last[0])) if last else None)


def long_untouched(
    tx: Reader, *, owner_id: AccountId, before: Millis, limit: int
) -> list[ConversationId]:
    """Active ones in which nothing happened since then, the least active first.

    Neither pinned ones, nor the current one.
    """
    rows = tx.all(_UNTOUCHED, owner_id=owner_id, before=before, limit=limit)
    return [ConversationId(row[0]) for row in rows]


def conversation_in(row: Row) -> Conversation:
    return Conversation(
        id=ConversationId(row[0]),
        title=row[2],
        purpose=row[3],
        is_current=row[4] == "current_global" and row[16] is None and row[17] is None,
        seq=row[5],
        leaf_id=None if row[6] is None else MessageId(row[6]),
        generation_id=None if row[7] is None else GenerationId(row[7]),
        connection_id=row[8],
        model=row[9],
        created_at=Millis(row[10]),
        updated_at=Millis(row[11]),
        sampling=Sampling(row[12], row[13], row[14], row[21]),
        pinned=bool(row[15]),
        archived_at=None if row[16] is None else Millis(row[16]),
        deleted_at=None if row[17] is None else Millis(row[17]),
        message_count=row[18],
        characters=row[19],
        activity=row[20],
    )


def _absent() -> NotFound:
    return NotFound("There is no such conversation. It may have been deleted.")
