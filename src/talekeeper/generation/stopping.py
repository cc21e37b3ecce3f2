"""Stopping: a reply that grows in another process is ended there.

The generation's row says that a stop was asked for, and the hub tells the process that fills it at once.
The row is what counts: that process reads it with every checkpoint, and with the reconciler's look
where the model is silent. A process that has died or frozen loses its lease, and any other ends the
reply for it.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from talekeeper.database import Store, Writer
from talekeeper.domain.conversations import Generation
from talekeeper.domain.events import Recorded
from talekeeper.errors import HolderSilent, StoreUnavailable
from talekeeper.ids import BootId, GenerationId
from talekeeper.live import (
    ConversationTopic,
    Hub,
    Lapse,
    Logged,
    ProcessTopic,
    StopAsked,
    Subscription,
)
from talekeeper.store.generations import ask_to_stop, find_generation
from talekeeper.tasks import Duty, OwnTasks

ELSEWHERE_SECONDS: Final = 8.0
"""How long a stop waits for another process: longer than the lease of one that has died."""
_LOOK_SECONDS: Final = 0.5
_DUTY: Final = Duty(
    "stops", "A reply that is stopped through another server process ends a moment later."
)


async def stop_elsewhere(store: Store, hub: Hub, generation: Generation) -> None:
    """The generation, which another process fills, has ended and what it said is kept.

    Raises HolderSilent when that process has not ended it in time. The stop is stored then, and
    still holds.
    """
    ends = await hub.subscribe([ConversationTopic(generation.conversation_id)])
    try:
        if not await _ask(store, hub, generation):
            return
        try:
            async with asyncio.timeout(ELSEWHERE_SECONDS):
                while await _runs(store, generation):
                    await _something_happened(ends)
        except TimeoutError:
            raise HolderSilent(
                "The server process that writes this reply does not answer. The stop is noted: the "
                "reply ends within seconds, with the text that is stored. Look again in a moment."
            ) from None
    finally:
        ends.close()


async def _ask(store: Store, hub: Hub, generation: Generation) -> bool:
    """Whether it runs, in which case its process is asked to stop it."""

    def ask(tx: Writer) -> bool:
        holder = ask_to_stop(tx, generation.id)
        if holder is None:
            return False
        tx.after_commit(partial(hub.tell, ProcessTopic(holder), StopAsked(generation.id)))
        return True

    return await store.write(ask, conversation_id=generation.conversation_id)


async def _runs(store: Store, generation: Generation) -> bool:
    found = await store.read(lambda tx: find_generation(tx, generation.id))
    return found is not None and found.generation.status == "running"


async def _something_happened(ends: Subscription) -> None:
    """Returns with an event of the conversation, or when it is time to look into the store."""
    try:
        async with asyncio.timeout(_LOOK_SECONDS):
            while not ends.is_over:
                if any(isinstance(each, Recorded | Logged | Lapse) for each in await ends.take()):
                    return
    except TimeoutError:
        return
    raise StoreUnavailable("Talekeeper is closing. The stop is noted.")


class StopRequests:
    """The one task that carries out what other processes ask: to stop a reply that grows here."""

    def __init__(
        self,
        hub: Hub,
        *,
        heed_stop: Callable[[GenerationId], None],
        boot_id: BootId,
        tasks: OwnTasks,
    ) -> None:
        self._hub = hub
        self._heed_stop = heed_stop
        self._boot_id = boot_id
        self._tasks = tasks
        self._task = tasks.start(_DUTY, self._heed_forever())

    async def close(self) -> None:
        await self._tasks.stop(self._task)

    async def _heed_forever(self) -> None:
        requests = await self._hub.subscribe([ProcessTopic(self._boot_id)])
        while not requests.is_over:
            for notice in await requests.take():
                if isinstance(notice, StopAsked):
                    self._heed_stop(notice.generation_id)
        await asyncio.get_running_loop().create_future()  # the hub is closed: the server closes
