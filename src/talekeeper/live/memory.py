"""The hub of a single process: plain memory, on the event loop, nothing awaited while telling.

Where other processes share the database and nothing joins their hubs, what they do is not told
here: every second that one of them is known to live, subscribers get a `Lapse`.
"""

import asyncio
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from talekeeper.domain.events import Announced, JobChanged, Recorded
from talekeeper.ids import AccountId, BootId, GenerationId
from talekeeper.live.hub import (
    AccountTopic,
    ConversationTopic,
    Delta,
    Lapse,
    Logged,
    Notice,
    Request,
    Subscription,
    Topic,
)

BACKLOG: Final = 2_000
"""Items that may wait for one listener; one more cuts it loose, and it resumes by itself."""


class _MemorySubscription:
    def __init__(self, hub: "MemoryHub", topics: set[Topic]) -> None:
        self._hub = hub
        self.topics = topics
        self._items: deque[Notice] = deque()
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._is_woken = False
        self.is_over = False

    @property
    def follows_something(self) -> bool:
        return any(isinstance(each, ConversationTopic | AccountTopic) for each in self.topics)

    def put(self, item: Notice) -> None:
        if len(self._items) >= BACKLOG:
            self._items.clear()
            self.close()
            return
        self._items.append(item)
        self._wake()

    async def take(self) -> Sequence[Notice]:
        while not (self._items or self.is_over or self._is_woken):
            self._waiter = self._loop.create_future()  # an Event would cost a system call a token
            await self._waiter
        self._is_woken = False
        taken = list(self._items)
        self._items.clear()
        return taken

    def add(self, topic: Topic) -> None:
        if not self.is_over:
            self._hub.add(self, topic)

    def drop(self, topic: Topic) -> None:
        self._hub.remove(self, topic)

    def wake(self) -> None:
        self._is_woken = True
        self._wake()

    def close(self) -> None:
        self.is_over = True
        self._wake()
        self._hub.drop(self)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class _Said:
    """All that is known of what one running generation has said, without a hole."""

    def __init__(self, first: Delta) -> None:
        self.first = first
        self.pieces = [first.text]
        self.end = first.end

    def add(self, delta: Delta) -> None:
        self.pieces.append(delta.text)
        self.end += len(delta.text)

    def whole(self) -> Delta:
        text = "".join(self.pieces)
        self.pieces = [text]
        first = self.first
        return Delta(
            first.conversation_id, first.message_id, first.generation_id, first.offset, text
        )


_Listeners = dict[str, set[_MemorySubscription]]


class MemoryHub:
    """Listeners by topic. A listener never holds a speaker back."""

    def __init__(self) -> None:
        self._subscriptions: set[_MemorySubscription] = set()
        self._listeners: dict[type[Topic], _Listeners] = {}
        # Looked up for every token: by id, so that no topic need be made for it.
        self._of_conversations: _Listeners = self._listeners.setdefault(ConversationTopic, {})
        self._of_accounts: _Listeners = self._listeners.setdefault(AccountTopic, {})
        self._said: dict[GenerationId, _Said] = {}
        self._announced: dict[AccountId, int] = {}
        self._lapses = 0
        self._is_closed = False

    @property
    def followers(self) -> int:
        return sum(each.follows_something for each in self._subscriptions)

    @property
    def reaches_others(self) -> bool:
        return False

    @property
    def trouble(self) -> str | None:
        return None

    def announce(self, events: Sequence[Announced]) -> None:
        for event in events:
            self._put_event(event)

    def announced(self, account_id: AccountId) -> int:
        return self._announced.get(account_id, 0) + self._lapses

    def grow(self, delta: Delta) -> None:
        said = self._said.get(delta.generation_id)
        if said is None or said.end != delta.offset:
            self._said[delta.generation_id] = _Said(delta)
        else:
            said.add(delta)
        for listener in tuple(self._of_conversations.get(delta.conversation_id, ())):
            listener.put(delta)

    def tell(self, topic: Topic, told: Request) -> None:
        for listener in tuple(self._listeners.get(type(topic), {}).get(topic.id, ())):
            listener.put(told)

    async def text_so_far(self, generation_id: GenerationId) -> Delta | None:
        said = self._said.get(generation_id)
        return None if said is None else said.whole()

    def forget(self, generation_id: GenerationId) -> None:
        self._said.pop(generation_id, None)

    async def subscribe(self, topics: Iterable[Topic]) -> Subscription:
        subscription = _MemorySubscription(self, set())
        if self._is_closed:
            subscription.close()
            return subscription
        self._subscriptions.add(subscription)
        for topic in topics:
            self.add(subscription, topic)
        return subscription

    def note_others(self, boot_ids: Collection[BootId]) -> None:
        if boot_ids:
            self.lapse()

    def lapse(self) -> None:
        """Every subscriber is to read the store."""
        self._lapses += 1
        for listener in tuple(self._subscriptions):
            listener.put(Lapse())

    def add(self, subscription: _MemorySubscription, topic: Topic) -> None:
        subscription.topics.add(topic)
        self._listeners.setdefault(type(topic), {}).setdefault(topic.id, set()).add(subscription)

    def remove(self, subscription: _MemorySubscription, topic: Topic) -> None:
        subscription.topics.discard(topic)
        by_id = self._listeners.get(type(topic), {})
        listeners = by_id.get(topic.id)
        if listeners is not None:
            listeners.discard(subscription)
            if not listeners:
                del by_id[topic.id]

    def drop(self, subscription: _MemorySubscription) -> None:
        self._subscriptions.discard(subscription)
        for topic in tuple(subscription.topics):
            self.remove(subscription, topic)

    def close(self) -> None:
        self._is_closed = True
        for listener in tuple(self._subscriptions):
            listener.close()

    def _put_event(self, event: Recorded | JobChanged | Logged) -> None:
        self._announced[event.owner_id] = self._announced.get(event.owner_id, 0) + 1
        listeners = set(self._of_accounts.get(event.owner_id, ()))
        if not isinstance(event, JobChanged):
            listeners.update(self._of_conversations.get(event.conversation_id, ()))
        for listener in listeners:
            listener.put(event)
