"""Leasing: how processes that share a database know which of them are alive.

A process renews its lease every second while it lives. One that died, or froze, stops; five
seconds later any other may take its conversations over. The generation's epoch then keeps the
frozen one from writing when it wakes. The hub is told which other processes are alive, so that it
knows whom it should hear. On SQLite the data folder's lock says all this by itself:
a lease is taken once, for the record, and never renewed, so an idle laptop's disk stays asleep.

While the database is away every lease runs out, and every process may be alive. So one that could not
renew its own in time ends no other's replies before the others had a whole lease's time to renew.
"""

import asyncio
from typing import Final, Self

import structlog

from talekeeper.clock import Clock
from talekeeper.database import Store, Writer
from talekeeper.errors import StoreError, trail
from talekeeper.generation.recovering import recover_replies
from talekeeper.ids import BootId
from talekeeper.live import Hub
from talekeeper.store.processes import (
    enrol,
    forget_dead,
    leave,
    others_alive,
    renew_lease,
    server_time,
)
from talekeeper.tasks import Duty, OwnTasks

log = structlog.get_logger(__name__)

LEASE_MS: Final = 5_000
RENEW_SECONDS: Final = 1.0
_LATE_SECONDS: Final = 1.5
"""Seconds beyond its time after which a renewal is late: what it waited for, others may have, too."""
_FOREVER_MS: Final = 1 << 60
_FORGOTTEN_MS: Final = 3_600_000
_DUTY: Final = Duty(
    "lease", "Other processes take this one for dead and end its replies.", is_vital=True
)


class Lease:
    """This process's right to run generations."""

    def __init__(self, store: Store, hub: Hub, boot_id: BootId, tasks: OwnTasks) -> None:
        self._store = store
        self._hub = hub
        self._boot_id = boot_id
        self._tasks = tasks
        self._renewing: asyncio.Task[None] | None = None

    @classmethod
    async def take(
        cls, store: Store, hub: Hub, *, boot_id: BootId, clock: Clock, tasks: OwnTasks
    ) -> Self:
        """The process is known to all others, and stays so until `release`."""
        lease = cls(store, hub, boot_id, tasks)
        if store.engine == "sqlite":
            now = clock.now()

            def enrol_alone(tx: Writer) -> None:
                forget_dead(tx, boot_id, before=_FOREVER_MS)
                enrol(tx, boot_id, now=now, until=_FOREVER_MS)

            await store.write(enrol_alone)
            return lease

        def enrol_among_others(tx: Writer) -> list[BootId]:
            now = server_time(tx)
            forget_dead(tx, boot_id, before=now - _FORGOTTEN_MS)
            enrol(tx, boot_id, now=now, until=now + LEASE_MS)
            return others_alive(tx, boot_id, now=now)

        hub.note_others(await store.write(enrol_among_others))
        lease._renewing = tasks.start(_DUTY, lease._renew_forever())
        return lease

    async def release(self) -> None:
        """The process runs no generation any more."""
        if self._renewing is not None:
            await self._tasks.stop(self._renewing)
        try:
            await self._store.write(lambda tx: leave(tx, self._boot_id))
        except StoreError as error:
            log.warning("lease.not_released", code=error.code)

    async def _renew_forever(self) -> None:
        time = asyncio.get_running_loop().time
        renewed_at, judges_from = time(), 0.0
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                is_held, others = await self._store.write(self._renew)
                if not is_held:
                    log.warning("lease.was_lost", boot_id=self._boot_id)
                if not is_held or time() - renewed_at > RENEW_SECONDS + _LATE_SECONDS:
                    judges_from = time() + LEASE_MS / 1000
                renewed_at = time()
                self._hub.note_others(others)
            except Exception as error:  # noqa: BLE001 - renewed a second later, it still holds
                code = error.code if isinstance(error, StoreError) else "internal"
                log.warning("lease.not_renewed", code=code, at=trail(error))
                continue
            if time() < judges_from:
                continue
            try:
                await recover_replies(self._store, boot_id=self._boot_id)
            except Exception as error:  # noqa: BLE001 - the lease is renewed all the same
                code = error.code if isinstance(error, StoreError) else "internal"
                log.warning("lease.others_not_recovered", code=code, at=trail(error))

    def _renew(self, tx: Writer) -> tuple[bool, list[BootId]]:
        """Whether the lease was still held, and which other processes are alive."""
        now = server_time(tx)
        is_held = renew_lease(tx, self._boot_id, now=now, until=now + LEASE_MS)
        if not is_held:
            # Generations of the time before are the others' to end; new ones are safe again.
            leave(tx, self._boot_id)
            enrol(tx, self._boot_id, now=now, until=now + LEASE_MS)
        return is_held, others_alive(tx, self._boot_id, now=now)
