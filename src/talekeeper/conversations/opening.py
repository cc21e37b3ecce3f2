"""Opening, naming and choosing: what is done to a conversation as a whole."""

import re
from dataclasses import dataclass

from talekeeper.database import Reader, Store, Writer
from talekeeper.domain.changes import KEPT, Kept
from talekeeper.domain.conversations import (
    MAX_LONGEST_REQUEST,
    MAX_REPLY_TOKENS,
    MAX_TEMPERATURE,
    MIN_LONGEST_REQUEST,
    Conversation,
    ConversationPage,
    ConversationState,
    Purpose,
    Sampling,
)
from talekeeper.domain.titles import checked_title
from talekeeper.errors import IdReused, InvalidInput
from talekeeper.ids import AccountId, ConnectionId, ConversationId, MessageId, fresh_id
from talekeeper.store.connections import check_connection
from talekeeper.store.conversations import current_conversation, find_conversation
from talekeeper.store.holding import HeldConversation, hold_conversation, insert_conversation
from talekeeper.store.listing import ListPlace, conversation_page
from talekeeper.store.messages import find_message
from talekeeper.store.walking import newest_leaf_under


@dataclass(frozen=True, slots=True)
class OpenOutcome:
    """What was opened, and whether it had been before."""

    conversation: Conversation
    is_repeated: bool


async def open_conversation(
    store: Store,
    *,
    owner_id: AccountId,
    title: str | None = None,
    purpose: Purpose = "general",
    connection_id: ConnectionId | None = None,
    model: str | None = None,
) -> Conversation:
    """A new, empty conversation. It is not made the current one.

    Without a title it takes one from the first thing that is said in it.
    """
    outcome = await open_under(
        store,
        ConversationId(fresh_id()),
        owner_id=owner_id,
        title=title,
        purpose=purpose,
        connection_id=connection_id,
        model=model,
    )
    return outcome.conversation


async def open_under(
    store: Store,
    new_id: ConversationId,
    *,
    owner_id: AccountId,
    title: str | None = None,
    purpose: Purpose = "general",
    connection_id: ConnectionId | None = None,
    model: str | None = None,
) -> OpenOutcome:
    """As `open_conversation`, under an id that the client made: the same again opens no second one.

    Raises IdReused when the id names something else.
    """
    _check_choice(connection_id, model)
    title = checked_title(title or "")

    def unit(tx: Writer) -> OpenOutcome:
        known = find_conversation(tx, new_id, owner_id=owner_id)
        if known is not None:
            asked = (purpose, title, connection_id, model)
            # Only the purpose never changes; the rest is compared while nothing has.
            had = (known.purpose, known.title, known.connection_id, known.model)
            is_same = had == asked
            if known.purpose != purpose or (known.seq == 1 and not is_same):
                raise IdReused("This id was used before for something else. Take a new one.")
            return OpenOutcome(known, True)
        if connection_id is not None:
            check_connection(tx, connection_id, owner_id=owner_id)
        held = insert_conversation(
            tx,
            new_id,
            owner_id=owner_id,
            title=title,
            purpose=purpose,
            connection_id=connection_id,
            model=model,
        )
        return OpenOutcome(_opened(tx, held), False)

    return await store.write(unit, conversation_id=new_id)


async def current(store: Store, *, owner_id: AccountId) -> tuple[Conversation, bool]:
    """The account's current global conversation, and whether it was opened just now."""
    conversation_id = ConversationId(fresh_id())

    def unit(tx: Writer) -> tuple[Conversation, bool]:
        found = current_conversation(tx, owner_id=owner_id)
        if found is not None:
            return found, False
        opened = insert_conversation(
            tx,
            conversation_id,
            owner_id=owner_id,
            title="",
            purpose="general",
            role="current_global",
        )
        return _opened(tx, opened), True

    found = await store.read(lambda tx: current_conversation(tx, owner_id=owner_id))
    if found is not None:
        return found, False
    return await store.write(unit)


async def change_conversation(
    store: Store,
    conversation_id: ConversationId,
    *,
    owner_id: AccountId,
    title: str | Kept = KEPT,
    connection_id: ConnectionId | Kept | None = KEPT,
    model: str | Kept | None = KEPT,
    temperature: float | Kept | None = KEPT,
    top_p: float | Kept | None = KEPT,
    max_tokens: int | Kept | None = KEPT,
    longest_request: int | Kept | None = KEPT,
    leaf_id: MessageId | Kept = KEPT,
    archived: bool | Kept = KEPT,
    pinned: bool | Kept = KEPT,
) -> Conversation:
    """What is given is changed, in one transaction.

    A `leaf_id` switches to the branch of that message: the active leaf becomes the newest message
    under it. Raises InvalidInput when the message is not of this conversation, or the title cannot
    be one.
    """
    if not isinstance(title, Kept):
        title = checked_title(title)

    def unit(tx: Writer) -> Conversation:
        held = hold_conversation(tx, conversation_id, owner_id=owner_id)
        before, titled_before = held.conversation, held.title_by
        if not isinstance(title, Kept):
            # A person who gives the title it has already chooses it: none is made from then on.
            held.change(title=title)
            held.title_by = "person"
        if not isinstance(connection_id, Kept):
            if connection_id is not None:
                check_connection(tx, connection_id, owner_id=owner_id)
            held.change(connection_id=connection_id)
        if not isinstance(model, Kept):
            held.change(model=model)
        held.change(
            sampling=_changed_sampling(
                before.sampling,
                temperature=temperature,
                top_p=top_p,
                max_tokens=max_tokens,
                longest_request=longest_request,
            )
        )
        if not isinstance(leaf_id, Kept):
            _switch_branch(tx, held, leaf_id)
        if not isinstance(pinned, Kept):
            held.change(pinned=pinned)
        if not isinstance(archived, Kept):
            _archive(tx, held, archived)
        _check_choice(held.conversation.connection_id, held.conversation.model)
        if held.conversation == before and held.title_by == titled_before:
            return before
        held.happened("conversation", held.next_seq())
        return held.save(tx)

    return await store.write(unit, conversation_id=conversation_id)


def _changed_sampling(
    before: Sampling,
    *,
    temperature: float | Kept | None,
    top_p: float | Kept | None,
    max_tokens: int | Kept | None,
    longest_request: int | Kept | None,
) -> Sampling:
    after = Sampling(
        before.temperature if isinstance(temperature, Kept) else temperature,
        before.top_p if isinstance(top_p, Kept) else top_p,
        before.max_tokens if isinstance(max_tokens, Kept) else max_tokens,
        before.longest_request if isinstance(longest_request, Kept) else longest_request,
    )
    # Written so that a NaN fails as well.
    if after.temperature is not None and not 0 <= after.temperature <= MAX_TEMPERATURE:
        raise InvalidInput(f"The temperature must be 0 to {MAX_TEMPERATURE:g}.")
    if after.top_p is not None and not 0 < after.top_p <= 1:
        raise InvalidInput("top_p must be above 0 and at most 1.")
    if after.max_tokens is not None and not 1 <= after.max_tokens <= MAX_REPLY_TOKENS:
        raise InvalidInput(f"The longest reply must be 1 to {MAX_REPLY_TOKENS:,} tokens.")
    longest = after.longest_request
    if longest is not None and not MIN_LONGEST_REQUEST <= longest <= MAX_LONGEST_REQUEST:
        raise InvalidInput(
            f"The longest request must be {MIN_LONGEST_REQUEST} to {MAX_LONGEST_REQUEST:,} tokens."
        )
    return after


def _archive(tx: Writer, held: HeldConversation, archived: bool) -> None:
    if archived and held.conversation.archived_at is None:
        held.change(archived_at=tx.now())
    elif not archived and held.conversation.deleted_at is None:
        held.take_out(tx)
    elif not archived:
        held.change(archived_at=None)


def _check_choice(connection_id: ConnectionId | None, model: str | None) -> None:
    if model is not None and connection_id is None:
        raise InvalidInput("A model needs its connection: name both, or neither.")


def _switch_branch(tx: Writer, held: HeldConversation, message_id: MessageId) -> None:
    chosen = find_message(tx, message_id)
    if chosen is None or chosen.message.conversation_id != held.id or chosen.is_hidden:
        raise InvalidInput("There is no such message in this conversation.")
    leaf = newest_leaf_under(tx, chosen.key)
    held.move_leaf(leaf.message.id, leaf.key)


async def list_conversations(
    store: Store,
    *,
    owner_id: AccountId,
    state: ConversationState = "active",
    cursor: str | None,
    limit: int,
) -> ConversationPage:
    """One of the account's lists, newest activity first, pinned ones of the active before that.

    Raises InvalidInput for a bad cursor.
    """
    after = None if cursor is None else _parsed(cursor)

    def unit(tx: Reader) -> ConversationPage:
        return conversation_page(tx, owner_id=owner_id, state=state, after=after, limit=limit)

    return await store.read(unit)


_CURSOR = re.compile(r"([01])\.([0-9]{1,18})\.([0-9a-f-]{36})", re.ASCII)


def _parsed(cursor: str) -> ListPlace:
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise InvalidInput("This cursor is not one that was given out. Start from the first page.")
    return ListPlace(int(found[1]), int(found[2]), found[3])


def _opened(tx: Writer, held: HeldConversation) -> Conversation:
    held.changed()
    return held.save(tx)
