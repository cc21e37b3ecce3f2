"""Following: everything that happens in a conversation, from a known place on, without gap or double.

A follower subscribes first, then reads a snapshot from the store, then takes what the hub tells.
What was told between the two is in both: events are dropped by their `seq`, text by its offset.
When the hub skips an event (which it may), the log is read again, since the log is the truth.
A `Lapse` says that something of other processes may not have been told at all: then the store is
read for everything that is followed, and for what else happened to the account's conversations.

A place is `seq.generation.offset`: the last event seen, and how much was seen of the reply that was
growing then. Both halves resume by themselves.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec
from msgspec.structs import replace

from talekeeper.database import Reader, Store
from talekeeper.domain.conversations import IN_FLIGHT, Conversation, Message
from talekeeper.domain.events import JobChanged, Recorded
from talekeeper.domain.jobs import Job
from talekeeper.errors import InvalidInput, NotFound, StoreError
from talekeeper.ids import AccountId, ConversationId, GenerationId, MessageId
from talekeeper.live import (
    AccountTopic,
    ConversationTopic,
    Delta,
    Hub,
    Lapse,
    Logged,
    Notice,
    Subscription,
)
from talekeeper.store.conversations import get_conversation
from talekeeper.store.events import events_after
from talekeeper.store.generations import running_generation
from talekeeper.store.listing import changed_lately
from talekeeper.store.messages import StoredMessage, message_at

REPLAYED: Final = 500
"""Events that are told again at the most; whoever missed more fetches the conversation afresh."""


_LOOK_AGAIN: Final = 0.2
"""Seconds until the next checkpoint may hold the text that leads up to what is known of a reply."""


class Place(msgspec.Struct, frozen=True):
    """What a follower has seen of one conversation."""

    seq: int
    generation_id: GenerationId | None = None
    offset: int = 0

    def __str__(self) -> str:
        return f"{self.seq}.{self.generation_id or '-'}.{self.offset}"


@dataclass(frozen=True, slots=True)
class Happened:
    """An event, with the state it left. Without a message the conversation itself changed.

    Without a place the conversation is not followed: that something happened there is all that is told.
    """

    place: Place | None
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


@dataclass(frozen=True, slots=True)
class Begun:
    """From here on the conversation is followed, and what happened after this place is told."""

    place: Place
    conversation_id: ConversationId


@dataclass(frozen=True, slots=True)
class Worked:
    """A job of the account was added, began, went on or ended."""

    job: Job
    place: None = None


Told = Begun | Happened | Grew | Missed | Gone | Worked

_NOWHERE: Final = Place(-1)


@dataclass(slots=True)
class _Followed:
    """Where one followed conversation stands."""

    id: ConversationId
    place: Place
    message_id: MessageId | None = None
    look_at: float | None = None
    """When to look again for the text between the store's and what other processes have told."""


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


class Follower:
    """What one follower follows, how far each conversation was told, and what is told next.

    Made by `begin`. What is followed changes while it is told; `close` gives everything back.
    """

    def __init__(
        self,
        store: Store,
        hub: Hub,
        *,
        owner_id: AccountId,
        subscription: Subscription,
        hears_account: bool,
    ) -> None:
        self.owner_id = owner_id
        self.heard = hub.announced(owner_id)
        """How many of the account's events were announced up to what was taken last."""
        self.began_at: dict[ConversationId, Place] = {}
        """The places of what it followed from the first."""
        self._store = store
        self._hub = hub
        self._subscription = subscription
        self._hears_account = hears_account
        self._followed: dict[ConversationId, _Followed] = {}
        self._wishes: dict[ConversationId, Place | None] = {}
        self._first: list[Told] = []
        self._lately: dict[ConversationId, Conversation] = {}
        """What had changed last in the account, as the latest lapse found it."""

    @classmethod
    async def begin(
        cls,
        store: Store,
        hub: Hub,
        *,
        owner_id: AccountId,
        follows: Mapping[ConversationId, Place | None],
        hears_account: bool = False,
    ) -> "Follower":
        """A follower of these conversations, of each from the place given, or from now on.

        With `hears_account` it hears every event of the account's other conversations too, and a
        conversation that is absent or another account's is told as gone. Without, it raises
        NotFound, and what it tells ends when there is nothing left to follow.
        """
        topics = (ConversationTopic(each) for each in follows)
        account = [AccountTopic(owner_id)] if hears_account else []
        subscription = await hub.subscribe([*account, *topics])
        follower = cls(
            store, hub, owner_id=owner_id, subscription=subscription, hears_account=hears_account
        )
        try:
            for conversation_id, place in follows.items():
                begun, told = await follower._begun_at(conversation_id, place)
                if begun is not None:
                    follower.began_at[conversation_id] = begun
                follower._first += told
        except BaseException:
            subscription.close()
            raise
        return follower

    @property
    def following(self) -> frozenset[ConversationId]:
        """What is followed, and what will be once `take` comes to it."""
        return frozenset((*self._followed, *self._wishes))

    def follow(self, conversation_id: ConversationId, place: Place | None) -> None:
        """Tell of this conversation, too, from `place` on, even if it was told before."""
        self._subscription.add(ConversationTopic(conversation_id))
        self._wishes[conversation_id] = place
        self._subscription.wake()

    def unfollow(self, conversation_id: ConversationId) -> None:
        """Tell no more of this conversation than what an account hears of all."""
        self._wishes.pop(conversation_id, None)
        self._followed.pop(conversation_id, None)
        self._subscription.drop(ConversationTopic(conversation_id))

    async def take(self) -> list[Told]:
        """What is told next, in order; waits while there is nothing.

        Empty when it is over: the server closes, this follower was too slow, or there is nothing
        left to follow. It then begins again at the last place that it was told.
        """
        while not self._first:
            if not (self._followed or self._wishes or self._hears_account):
                return []
            items = await self._subscription.take()
            if not items and self._subscription.is_over:
                return []
            for item in items:
                self._first += await self._told_of(item)
            # Behind the items: what is read now holds all that they told.
            while self._wishes:
                conversation_id, place = next(iter(self._wishes.items()))
                begun, told = await self._begun_at(conversation_id, place)
                if self._wishes.get(conversation_id, _NOWHERE) == place:
                    del self._wishes[conversation_id]
                    if begun is not None:
                        self._first.append(Begun(begun, conversation_id))
                    self._first += told
                else:
                    self._followed.pop(conversation_id, None)  # wished otherwise meanwhile
            now = asyncio.get_running_loop().time()
            for state in [*self._followed.values()]:
                if state.look_at is not None and now >= state.look_at:
                    self._first += await self._looked_again(state)
        told, self._first = self._first, []
        return _merged(told)

    def close(self) -> None:
        self._subscription.close()

    async def _begun_at(
        self, conversation_id: ConversationId, place: Place | None
    ) -> tuple[Place | None, list[Told]]:
        """Where following begins, and what leads from there to the present. None: it is gone."""
        try:
            snapshot = await _read_snapshot(self._store, self.owner_id, conversation_id, place)
        except NotFound:
            if not self._hears_account:
                raise
            self._followed.pop(conversation_id, None)
            self._subscription.drop(ConversationTopic(conversation_id))
            return None, [Gone(Place(0), conversation_id)]
        begun = place or Place(snapshot.conversation.seq)
        state = self._followed[conversation_id] = _Followed(conversation_id, begun)
        return begun, await self._told_up_to(state, snapshot)

    async def _told_of(self, item: Notice) -> list[Told]:
        match item:
            case Lapse():
                self.heard += 1
                return await self._caught_up_with_all()
            case JobChanged():
                if item.owner_id != self.owner_id:
                    return []
                self.heard += 1
                return [Worked(item.job)]
            case Recorded() | Logged():
                if item.owner_id != self.owner_id:
                    return []  # another account's, which was asked for
                self.heard += 1
                state = self._followed.get(item.conversation_id)
                if isinstance(item, Recorded) and item.kind == "conversation_gone":
                    self._followed.pop(item.conversation_id, None)
                    return [Gone(Place(item.seq), item.conversation_id)]
                return await self._told_of_event(state, item)
            case Delta():
                state = self._followed.get(item.conversation_id)
                if state is None or state.look_at is not None:
                    return []
                missed = await self._caught_up(state) if _leaves_gap(state, item) else []
                return [*missed, *_grown(state, item)]
            case _:
                return []

    async def _told_of_event(self, state: _Followed | None, event: Recorded | Logged) -> list[Told]:
        if state is None:
            if not self._hears_account:
                return []
            if isinstance(event, Recorded):
                return [Happened(None, event.seq, event.conversation, None)]
            return await self._told_of_conversation(event.conversation_id)
        if event.seq <= state.place.seq:
            return []
        if isinstance(event, Recorded) and event.seq == state.place.seq + 1:
            return [_happened(state, event.seq, event.conversation, event.message)]
        return await self._caught_up(state)

    async def _told_of_conversation(self, conversation_id: ConversationId) -> list[Told]:
        try:
            found = await self._store.read(
                lambda tx: get_conversation(tx, conversation_id, owner_id=self.owner_id)
            )
        except NotFound:
            return []
        return [Happened(None, found.seq, found, None)]

    async def _caught_up(self, state: _Followed) -> list[Told]:
        try:
            snapshot = await _read_snapshot(self._store, self.owner_id, state.id, state.place)
        except NotFound:
            # That it is gone comes behind this item.
            self._followed.pop(state.id, None)
            return []
        return await self._told_up_to(state, snapshot)

    async def _caught_up_with_all(self) -> list[Told]:
        """What the store has of everything that is followed, and of the account's last changes."""
        followed = [*self._followed.values()]

        def unit(tx: Reader) -> tuple[list[Conversation], list[_Snapshot | None]]:
            lately = self._changed_lately(tx) if self._hears_account else []
            return lately, [_snapshot_or_gone(tx, self.owner_id, each) for each in followed]

        try:
            lately, snapshots = await self._store.read(unit)
        except StoreError:
            return []  # while the lapse lasts there is another
        told: list[Told] = []
        for state, snapshot in zip(followed, snapshots, strict=True):
            if self._followed.get(state.id) is not state:
                continue  # it is followed otherwise meanwhile
            if snapshot is None:
                del self._followed[state.id]
                told.append(Gone(state.place, state.id))
            else:
                told += await self._told_up_to(state, snapshot)
        for each in lately:
            known = self._lately.get(each.id)
            if each.id not in self._followed and (known is None or known.seq != each.seq):
                told.append(Happened(None, each.seq, each, None))
        self._lately = {each.id: each for each in lately}
        return told

    def _changed_lately(self, tx: Reader) -> list[Conversation]:
        known = max((each.activity for each in self._lately.values()), default=None)
        return changed_lately(tx, owner_id=self.owner_id, activity=known)

    async def _looked_again(self, state: _Followed) -> list[Told]:
        """The text that was missing between the store's and the hub's, if the store has it now."""
        try:
            return await self._caught_up(state)
        except StoreError:
            self._look_again(state)
            return []

    def _look_again(self, state: _Followed) -> None:
        loop = asyncio.get_running_loop()
        state.look_at = loop.time() + _LOOK_AGAIN
        loop.call_later(_LOOK_AGAIN, self._subscription.wake)

    async def _told_up_to(self, state: _Followed, snapshot: _Snapshot) -> list[Told]:
        """What leads from the place of `state` to the present."""
        growing = snapshot.growing
        generation_id = None if growing is None else growing.generation_id
        tail = None if generation_id is None else await self._hub.text_so_far(generation_id)
        state.look_at = None
        if growing is not None and tail is not None and tail.offset > len(growing.content):
            # Text of another process that began to be heard in the middle.
            tail = None
            self._look_again(state)
        return _begun(state, snapshot, tail)


async def follow(
    store: Store,
    hub: Hub,
    *,
    owner_id: AccountId,
    follows: Mapping[ConversationId, Place | None],
    with_account: bool = False,
) -> AsyncGenerator[list[Told]]:
    """What a follower is told, in bursts as it comes; an empty burst first, when it has begun.

    Raises NotFound as `Follower.begin` does.
    """
    follower = await Follower.begin(
        store, hub, owner_id=owner_id, follows=follows, hears_account=with_account
    )
    try:
        yield []
        while told := await follower.take():
            yield told
    finally:
        follower.close()


async def _read_snapshot(
    store: Store, owner_id: AccountId, conversation_id: ConversationId, place: Place | None
) -> _Snapshot:
    return await store.read(lambda tx: _snapshot(tx, owner_id, conversation_id, place))


def _snapshot(
    tx: Reader, owner_id: AccountId, conversation_id: ConversationId, place: Place | None
) -> _Snapshot:
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


def _snapshot_or_gone(tx: Reader, owner_id: AccountId, state: _Followed) -> _Snapshot | None:
    try:
        return _snapshot(tx, owner_id, state.id, state.place)
    except NotFound:
        return None


def _begun(state: _Followed, snapshot: _Snapshot, tail: Delta | None) -> list[Told]:
    """What brings a follower from its place to the present; `tail` is what the reply said so far."""
    told: list[Told] = []
    seen = state.place
    if snapshot.is_too_much or seen.seq > snapshot.conversation.seq:
        # A place ahead of the log belongs to a database that was since restored.
        state.place = Place(snapshot.conversation.seq)
        told.append(Missed(state.place, state.id))
    for index, (seq, stored) in enumerate(snapshot.events):
        message = stored.message if stored else None
        following = snapshot.events[index + 1 : index + 2]
        if stored is None and following and following[0][1] is None:
            continue  # the conversation is told as it is now: once in a row is enough
        state.place = replace(state.place, seq=seq)
        told.append(Happened(state.place, seq, snapshot.conversation, message))
    growing = snapshot.growing
    if growing is None or growing.generation_id is None:
        state.place = Place(state.place.seq)
        return told
    text = growing.content
    if tail is not None and tail.end > len(text):
        text = text[: tail.offset] + tail.text
    is_same = seen.generation_id == growing.generation_id
    # A message that was told again took the place of the text that was known of it.
    is_told = any(stored and stored.message.id == growing.id for _, stored in snapshot.events)
    offset = seen.offset if is_same and not is_told else 0
    state.message_id = growing.id
    if offset > len(text):
        # Another process had told more than it had stored. What comes next goes on behind that.
        state.place = Place(state.place.seq, growing.generation_id, offset)
        return told
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
    if place.generation_id is None:
        state.look_at = None
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
