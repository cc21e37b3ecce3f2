"""Conversations in the store: held while they are changed, listed by activity."""

from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import and_, bindparam, case, func, insert, or_, select, update

from talekeeper.clock import Millis
from talekeeper.domain.conversations import (
    Conversation,
    ConversationPage,
    Message,
    Purpose,
)
from talekeeper.domain.events import EventKind, Recorded
from talekeeper.errors import NotFound
from talekeeper.ids import AccountId, ConversationId, GenerationId, MessageId
from talekeeper.store.prepared import Row, prepared
from talekeeper.store.tables import (
    accounts,
    conversations,
    generations,
    messages,
    provider_settings,
)
from talekeeper.store.units import Reader, Writer

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
    _c.provider,
    _c.model,
    _c.created_at,
    _c.updated_at,
)
_select = select(*_COLUMNS).select_from(_joined)
_is_owned = and_(_c.id == bindparam("id"), _c.owner_id == bindparam("owner_id"))

_GET = prepared(_select.where(_is_owned))

# Whoever will answer here, by the conversation's choice, else the account's, else the server's.
_provider = func.coalesce(_c.provider, accounts.c.provider, bindparam("default_provider"))
_hold = (
    select(
        *_COLUMNS,
        _c.epoch,
        _c.leaf_key,
        _provider,
        case((_c.provider.is_not(None), _c.model), else_=None),
        case((accounts.c.provider == _provider, accounts.c.model), else_=None),
        provider_settings.c.model,
    )
    .select_from(
        _joined.join(accounts, accounts.c.id == _c.owner_id).outerjoin(
            provider_settings,
            and_(
                provider_settings.c.account_id == _c.owner_id,
                provider_settings.c.provider == _provider,
            ),
        )
    )
    .where(_c.id == bindparam("id"))
    .with_for_update(of=conversations)
)
_HOLD = prepared(_hold)
_HOLD_OWNED = prepared(_hold.where(_c.owner_id == bindparam("owner_id")))

_others = conversations.alias("others")
_newest = (
    select(func.coalesce(func.max(_others.c.activity), 0))
    .where(_others.c.owner_id == bindparam("owner_id"))
    .scalar_subquery()
)
_SAVE = prepared(
    update(conversations)
    .where(_c.id == bindparam("conversation_id"))
    .values(
        title=bindparam("new_title"),
        role=bindparam("new_role"),
        provider=bindparam("new_provider"),
        model=bindparam("new_model"),
        seq=bindparam("new_seq"),
        epoch=bindparam("new_epoch"),
        leaf_key=bindparam("new_leaf_key"),
        updated_at=bindparam("now"),
        activity=case((_c.activity == _newest, _c.activity), else_=_newest + 1),
    )
)
_INSERT = prepared(
    insert(conversations).values(
        {
            "id": bindparam("id"),
            "owner_id": bindparam("owner_id"),
            "title": bindparam("title"),
            "purpose": bindparam("purpose"),
            "role": bindparam("role"),
            "activity": _newest + 1,
            "seq": 0,
            "epoch": 0,
            "provider": bindparam("provider"),
            "model": bindparam("model"),
            "created_at": bindparam("now"),
            "updated_at": bindparam("now"),
        }
    )
)
_CURRENT = prepared(
    _select.where(_c.owner_id == bindparam("owner_id"), _c.role == "current_global")
)
_newest_first = _select.add_columns(_c.activity).order_by(_c.activity.desc(), _c.id.desc())
_PAGE = prepared(
    _newest_first.where(_c.owner_id == bindparam("owner_id")).limit(bindparam("limit"))
)
_PAGE_AFTER = prepared(
    _newest_first.where(
        _c.owner_id == bindparam("owner_id"),
        or_(
            _c.activity < bindparam("activity"),
            and_(_c.activity == bindparam("activity"), _c.id < bindparam("id")),
        ),
    ).limit(bindparam("limit"))
)


@dataclass(slots=True)
class HeldConversation:
    """A conversation locked in a transaction, and what has been changed of it so far.

    Nothing of it is on disk before `save`, which also records the events.
    """

    conversation: Conversation
    owner_id: AccountId
    role: str | None
    epoch: int
    leaf_key: int | None
    chosen_provider: str
    chosen_model: str | None
    """The first model named by: the conversation, the account, the provider's settings."""
    _happened: list[tuple[EventKind, int, Message | None, int | None]] = field(
        default_factory=list[Any]
    )

    @property
    def id(self) -> ConversationId:
        return self.conversation.id

    def change(self, **changes: Any) -> None:
        self.conversation = replace(self.conversation, **changes)

    def next_seq(self) -> int:
        """The place of the next event, which whoever takes it must report with `happened`."""
        self.change(seq=self.conversation.seq + 1)
        return self.conversation.seq

    def move_leaf(self, message_id: MessageId, key: int) -> None:
        self.leaf_key = key
        self.change(leaf_id=message_id)

    def happened(
        self, kind: EventKind, seq: int, message: Message | None = None, key: int | None = None
    ) -> None:
        self._happened.append((kind, seq, message, key))

    def save(self, tx: Writer) -> Conversation:
        """The conversation and its events are written."""
        self.change(updated_at=tx.now())
        conversation = self.conversation
        tx.run(
            _SAVE,
            conversation_id=conversation.id,
            owner_id=self.owner_id,
            new_title=conversation.title,
            new_role=self.role,
            new_provider=conversation.provider,
            new_model=conversation.model,
            new_seq=conversation.seq,
            new_epoch=self.epoch,
            new_leaf_key=self.leaf_key,
            now=conversation.updated_at,
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
    return _conversation(row)


def hold_conversation(
    tx: Writer,
    conversation_id: ConversationId,
    *,
    owner_id: AccountId | None,
    default_provider: str = "",
) -> HeldConversation:
    """Lock it until the transaction ends. `owner_id` None: the server itself asks.

    Raises NotFound when it is absent or another account's.
    """
    if owner_id is None:
        row = tx.first(_HOLD, id=conversation_id, default_provider=default_provider)
    else:
        row = tx.first(
            _HOLD_OWNED, id=conversation_id, owner_id=owner_id, default_provider=default_provider
        )
    if row is None:
        raise _absent()
    own = len(_COLUMNS)
    epoch, leaf_key, provider, *models = row[own:]
    return HeldConversation(
        conversation=_conversation(row),
        owner_id=AccountId(row[1]),
        role=row[4],
        epoch=epoch,
        leaf_key=leaf_key,
        chosen_provider=provider,
        chosen_model=next((model for model in models if model), None),
    )


def insert_conversation(
    tx: Writer,
    conversation_id: ConversationId,
    *,
    owner_id: AccountId,
    title: str,
    purpose: Purpose,
    role: str | None = None,
    provider: str | None = None,
    model: str | None = None,
) -> Conversation:
    """A new, empty conversation, newest of the account's list, with its first event."""
    tx.run(
        _INSERT,
        id=conversation_id,
        owner_id=owner_id,
        title=title,
        purpose=purpose,
        role=role,
        provider=provider,
        model=model,
        now=tx.now(),
    )
    held = hold_conversation(tx, conversation_id, owner_id=owner_id)
    held.happened("conversation", held.next_seq())
    return held.save(tx)


def current_conversation(tx: Reader, *, owner_id: AccountId) -> Conversation | None:
    """The account's current global conversation; None where it never had one."""
    row = tx.first(_CURRENT, owner_id=owner_id)
    return None if row is None else _conversation(row)


def conversation_page(
    tx: Reader, *, owner_id: AccountId, after: tuple[int, str] | None, limit: int
) -> ConversationPage:
    """Up to `limit` conversations with less activity than `after` (rank, id)."""
    if after is None:
        rows = tx.all(_PAGE, owner_id=owner_id, limit=limit + 1)
    else:
        rows = tx.all(
            _PAGE_AFTER, owner_id=owner_id, activity=after[0], id=after[1], limit=limit + 1
        )
    items = tuple(_conversation(row) for row in rows[:limit])
    last = rows[limit - 1] if len(rows) > limit else None
    return ConversationPage(items, f"{last[-1]}.{last[0]}" if last else None)


def _conversation(row: Row) -> Conversation:
    return Conversation(
        id=ConversationId(row[0]),
        title=row[2],
        purpose=row[3],
        is_current=row[4] == "current_global",
        seq=row[5],
        leaf_id=None if row[6] is None else MessageId(row[6]),
        generation_id=None if row[7] is None else GenerationId(row[7]),
        provider=row[8],
        model=row[9],
        created_at=Millis(row[10]),
        updated_at=Millis(row[11]),
    )


def _absent() -> NotFound:
    return NotFound("There is no such conversation. It may have been deleted.")
