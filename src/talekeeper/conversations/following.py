"""Following: everything that happens in a conversation, from a known place on, without gap or double.

A follower subscribes first, then reads a snapshot from the store, then takes what the hub tells.
What was told between the two is in both: events are dropped by their `seq`, text by its offset.
When the hub skips an event (which it may), the log is read again, since the log is the truth.

A place is `seq.generation.offset`: the last event seen, and how much was seen of the reply that was
growing then. Both halves resume by themselves.
"""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec
from msgspec.structs import replace

from talekeeper.domain.conversations import IN_FLIGHT, Conversation, Message
from talekeeper.domain.events import Recorded
from talekeeper.errors import InvalidInput, NotFound
from talekeeper.ids import AccountId, ConversationId, GenerationId, MessageId
from talekeeper.live import Delta, Hub
from talekeeper.store import Reader, Store
from talekeeper.store.conversations import get_conversation
from talekeeper.store.events import events_after
from talekeeper.store.generations import running_generation
from talekeeper.store.messages import StoredMessage, message_at

REPLAYED: Final = 500
"""Events that are told again at the most; whoever missed more fetches the conversation afresh."""


class Place(msgspec.Struct, frozen=True):
    """What a follower has seen of one conversation."""

    seq: int
    generation_id: GenerationId | None = None
    offset: int = 0

    def __str__(self) -> str:
        return f"{self.seq}.{self.generation_id or '-'}.{self.offset}"


@dataclass(frozen=True, slots=True)
class Happened:
    """An event, with the state it left. Without a message the conversation itself changed."""

    place: Place
    seq: int
    conversation: Conversation
    message: Message | None


class Grew(msgspec.Struct, frozen=True):
    """Text of a running reply; the first of a generation may be all that was said so far."""

    place: Place
    delta: Delta
    is_snapshot: bool


@dataclass(frozen=True, slots=True)
class Missed:
    """Too much was missed to be told; what is told from now on holds for the present."""

    place: Place
    conversation_id: ConversationId


@dataclass(frozen=True, slots=True)
class Gone:
    """There is no such conversation: it was removed for good, or never was, or is another's."""

    place: Place
    conversation_id: ConversationId


Told = Happened | Grew | Missed | Gone


@dataclass(slots=True)
class _Followed:
    """Where one followed conversation stands."""

    id: ConversationId
    place: Place
    message_id: MessageId | None = None


@dataclass(slots=True)
class _Snapshot:
    conversation: Conversation
    events: list[tuple[int, StoredMessage | None]] = field(
        default_factory=list[tuple[int, StoredMessage | None]]
    )
    is_too_much: bool = False
    growing: Message | None = None


def parsed_place(text: str) -> Place:
    """The place in an event id. Raises InvalidInput when it is none."""
    seq, _, rest = text.partition(".")
    generation, _, offset = rest.partition(".")
    if not _is_count(seq) or (offset and not _is_count(offset)):
        raise InvalidInput("This Last-Event-ID is not one that was given out. Leave it away.")
    known = generation not in ("", "-")
    return Place(
        int(seq), GenerationId(generation) if known else None, int(offset or 0) if known else 0
    )


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 16


async def follow(
    store: Store,
    hub: Hub,
    *,
    owner_id: AccountId,
    follows: Mapping[ConversationId, Place | None],
    with_account: bool = False,
) -> AsyncGenerator[list[Told]]:
    """What is told, in bursts as it comes; an empty burst first, when the place is taken.

    Of the conversations in `follows` everything is told, beginning after the place given, or with
    the present where it is None. With `with_account`, so is every event of the account's other
    conversations. Ends when the server closes or this follower was too slow; it then resumes from
    its last place. Ends as well when there is nothing left to follow.

    A conversation that is absent or another account's is told as gone `with_account`, and raises
    NotFound without.
    """
    subscription = hub.subscribe(
        account_id=owner_id if with_account else None, conversation_ids=follows.keys()
    )
    try:
        followed: dict[ConversationId, _Followed] = {}
        first: list[Told] = []
        for conversation_id, place in follows.items():
            try:
                snapshot = await _read_snapshot(store, owner_id, conversation_id, place)
            except NotFound:
                if not with_account:
                    raise
                first.append(Gone(Place(0), conversation_id))
                continue
            state = _Followed(conversation_id, place or Place(snapshot.conversation.seq))
            followed[conversation_id] = state
            first += _begun(state, snapshot, hub)
        yield []
        if first:
            yield first
        while items := await subscription.take():
            told: list[Told] = []
            for item in items:
                state = followed.get(item.conversation_id)
                if isinstance(item, Recorded) and item.owner_id != owner_id:
                    continue  # somebody else's that was asked for
                if isinstance(item, Recorded) and item.kind == "gone":
                    followed.pop(item.conversation_id, None)
                    told.append(Gone(Place(item.seq), item.conversation_id))
                    continue
                try:
                    match item:
                        case Delta():
                            if state is None:
                                continue
                            if _leaves_gap(state, item):
                                told += await _caught_up(store, hub, owner_id, state)
                            told += _grown(state, item)
                        case Recorded():
                            if state is None:
                                place = Place(item.seq)
                                told.append(Happened(place, item.seq, item.conversation, None))
                            elif item.seq > state.place.seq + 1:
                                told += await _caught_up(store, hub, owner_id, state)
                            elif item.seq == state.place.seq + 1:
                                told.append(
                                    _happened(state, item.seq, item.conversation, item.message)
                                )
                except NotFound:
                    # That it is gone comes behind this item.
                    followed.pop(item.conversation_id, None)
            if told:
                yield _merged(told)
            if not followed and not with_account:
                return
    finally:
        subscription.close()


async def _caught_up(store: Store, hub: Hub, owner_id: AccountId, state: _Followed) -> list[Told]:
    snapshot = await _read_snapshot(store, owner_id, state.id, state.place)
    return _begun(state, snapshot, hub)


async def _read_snapshot(
    store: Store, owner_id: AccountId, conversation_id: ConversationId, place: Place | None
) -> _Snapshot:
    def unit(tx: Reader) -> _Snapshot:
        conversation = get_conversation(tx, conversation_id, owner_id=owner_id)
        snapshot = _Snapshot(conversation)
        if place is not None and place.seq < conversation.seq:
            events = events_after(tx, conversation_id, after=place.seq, limit=REPLAYED + 1)
            snapshot.is_too_much = len(events) > REPLAYED
            snapshot.events = [] if snapshot.is_too_much else events
        running = running_generation(tx, conversation_id)
        if running is not None:
            snapshot.growing = message_at(tx, running.message_key).message
        return snapshot

    return await store.read(unit)


def _begun(state: _Followed, snapshot: _Snapshot, hub: Hub) -> list[Told]:
    """What brings a follower from its place to the present."""
    told: list[Told] = []
    seen = state.place
    if snapshot.is_too_much or seen.seq > snapshot.conversation.seq:
        # A place ahead of the log belongs to a database that was since restored.
        state.place = Place(snapshot.conversation.seq)
        told.append(Missed(state.place, state.id))
    for seq, stored in snapshot.events:
        message = stored.message if stored else None
        state.place = replace(state.place, seq=seq)
        told.append(Happened(state.place, seq, snapshot.conversation, message))
    growing = snapshot.growing
    if growing is None or growing.generation_id is None:
        state.place = Place(state.place.seq)
        return told
    text = growing.content
    tail = hub.tail(growing.generation_id)
    if tail is not None and tail.end > len(text):
        text = text[: tail.offset] + tail.text
    is_same = seen.generation_id == growing.generation_id and seen.offset <= len(text)
    # A message that was told again took the place of the text that was known of it.
    is_told = any(stored and stored.message.id == growing.id for _, stored in snapshot.events)
    offset = seen.offset if is_same and not is_told else 0
    state.message_id = growing.id
    state.place = Place(state.place.seq, growing.generation_id, len(text))
    if is_same and not is_told and offset == len(text):
        return told
    delta = Delta(state.id, growing.id, growing.generation_id, offset, text[offset:])
    told.append(Grew(state.place, delta, True))
    return told


def _happened(
    state: _Followed, seq: int, conversation: Conversation, message: Message | None
) -> Happened:
    place = replace(state.place, seq=seq)
    if message is not None and message.generation_id is not None:
        if message.status in IN_FLIGHT:
            # Told again while it grows, it holds less than was told of it. Nothing of it counts as
            # seen: what grows next leaves a gap, which a snapshot of the whole closes.
            is_again = place.generation_id == message.generation_id
            state.message_id = message.id
            place = Place(seq, message.generation_id, 0 if is_again else len(message.content))
        elif place.generation_id == message.generation_id:
            place = Place(seq)
    state.place = place
    return Happened(place, seq, conversation, message)


def _leaves_gap(state: _Followed, delta: Delta) -> bool:
    place = state.place
    return delta.generation_id == place.generation_id and delta.offset > place.offset


def _grown(state: _Followed, delta: Delta) -> list[Told]:
    place = state.place
    if delta.generation_id != place.generation_id or delta.end <= place.offset:
        return []
    if delta.offset > place.offset:
        # It ended while the snapshot was read, which therefore holds less: its whole text comes.
        return []
    if delta.offset < place.offset:
        unseen = delta.text[place.offset - delta.offset :]
        delta = replace(delta, offset=place.offset, text=unseen)
    state.place = Place(place.seq, place.generation_id, delta.end)
    return [Grew(state.place, delta, False)]


def _merged(told: list[Told]) -> list[Told]:
    """Neighbouring pieces of one reply become one: a burst costs one event."""
    merged: list[Told] = []
    for item in told:
        last = merged[-1] if merged else None
        if (
            isinstance(item, Grew)
            and isinstance(last, Grew)
            and item.delta.generation_id == last.delta.generation_id
            and item.delta.offset == last.delta.end
        ):
            delta = replace(last.delta, text=last.delta.text + item.delta.text)
            merged[-1] = Grew(item.place, delta, last.is_snapshot)
        else:
            merged.append(item)
    return merged
