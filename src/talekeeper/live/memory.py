"""The hub of a single process: plain memory, on the event loop, nothing awaited while telling."""

import asyncio
from collections import deque
from collections.abc import Collection, Sequence

from talekeeper.domain.events import Announced, Recorded
from talekeeper.ids import AccountId, ConversationId, GenerationId
from talekeeper.live.hub import Delta, Subscription

BACKLOG = 2_000
"""Items that may wait for one listener; one more cuts it loose, and it resumes by itself."""


class _MemorySubscription:
    def __init__(self, hub: "MemoryHub", topics: set[str]) -> None:
        self._hub = hub
        self.topics = topics
        self._items: deque[Announced | Delta] = deque()
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._is_woken = False
        self.is_over = False

    def put(self, item: Announced | Delta) -> None:
        if len(self._items) >= BACKLOG:
            self._items.clear()
            self.close()
            return
        self._items.append(item)
        self._wake()

    async def take(self) -> Sequence[Announced | Delta]:
        while not (self._items or self.is_over or self._is_woken):
            self._waiter = self._loop.create_future()  # an Event would cost a system call a token
            await self._waiter
        self._is_woken = False
        taken = list(self._items)
        self._items.clear()
        return taken

    def follow(self, conversation_id: ConversationId) -> None:
        if not self.is_over:
            self._hub.add(self, conversation_id)

    def unfollow(self, conversation_id: ConversationId) -> None:
        self._hub.remove(self, conversation_id)

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
    """All that one running generation has said."""

    def __init__(self, first: Delta) -> None:
        self.first = first
        self.pieces = [first.text]

    def whole(self) -> Delta:
        text = "".join(self.pieces)
        self.pieces = [text]
        first = self.first
        return Delta(
            first.conversation_id, first.message_id, first.generation_id, first.offset, text
        )


class MemoryHub:
    """Listeners by topic. A listener never holds a speaker back."""

    def __init__(self) -> None:
        self._subscriptions: set[_MemorySubscription] = set()
        self._listeners: dict[str, set[_MemorySubscription]] = {}
        self._said: dict[GenerationId, _Said] = {}
        self._announced: dict[AccountId, int] = {}
        self._is_closed = False

    @property
    def followers(self) -> int:
        return len(self._subscriptions)

    def announce(self, events: Sequence[Announced]) -> None:
        for event in events:
            self._announced[event.owner_id] = self.announced(event.owner_id) + 1
            listeners = set(self._listeners.get(event.owner_id, ()))
            if isinstance(event, Recorded):
                listeners.update(self._listeners.get(event.conversation_id, ()))
            for listener in listeners:
                listener.put(event)

    def announced(self, account_id: AccountId) -> int:
        return self._announced.get(account_id, 0)

    def grow(self, delta: Delta) -> None:
        said = self._said.get(delta.generation_id)
        if said is None:
            self._said[delta.generation_id] = _Said(delta)
        else:
            said.pieces.append(delta.text)
        for listener in tuple(self._listeners.get(delta.conversation_id, ())):
            listener.put(delta)

    def tail(self, generation_id: GenerationId) -> Delta | None:
        said = self._said.get(generation_id)
        return None if said is None else said.whole()

    def forget(self, generation_id: GenerationId) -> None:
        self._said.pop(generation_id, None)

    def subscribe(
        self,
        *,
        account_id: AccountId | None,
        conversation_ids: Collection[ConversationId],
    ) -> Subscription:
        topics: set[str] = {*conversation_ids, *([account_id] if account_id else ())}
        subscription = _MemorySubscription(self, topics)
        if self._is_closed:
            subscription.close()
            return subscription
        self._subscriptions.add(subscription)
        for topic in topics:
            self._listeners.setdefault(topic, set()).add(subscription)
        return subscription

    def add(self, subscription: _MemorySubscription, topic: str) -> None:
        subscription.topics.add(topic)
        self._listeners.setdefault(topic, set()).add(subscription)

    def remove(self, subscription: _MemorySubscription, topic: str) -> None:
        subscription.topics.discard(topic)
        listeners = self._listeners.get(topic)
        if listeners is not None:
            listeners.discard(subscription)
            if not listeners:
                del self._listeners[topic]

    def drop(self, subscription: _MemorySubscription) -> None:
        self._subscriptions.discard(subscription)
        for topic in tuple(subscription.topics):
            self.remove(subscription, topic)

    def close(self) -> None:
        self._is_closed = True
        for listener in tuple(self._subscriptions):
            listener.close()
