"""Arranging in words: a clock that stands, and server processes that live as long as they are told."""

from dataclasses import dataclass

from talekeeper.accounts.identifying import Identities
from talekeeper.clock import Millis
from talekeeper.database import Store, Writer
from talekeeper.domain.accounts import TokenKind
from talekeeper.errors import Unauthenticated
from talekeeper.ids import BootId, fresh_id
from talekeeper.store.processes import enrol, server_time

DAY = 24 * 60 * 60 * 1000
FOREVER = 1 << 50


@dataclass
class StoodClock:
    """A clock that goes only when it is told to."""

    wall: int = 1_800_000_000_000
    passed: float = 0.0

    def now(self) -> Millis:
        return Millis(self.wall)

    def monotonic(self) -> float:
        return self.passed

    def go(self, millis: int) -> None:
        self.wall += millis
        self.passed += millis / 1000


async def is_let_in(identities: Identities, token: str, *kinds: TokenKind) -> bool:
    try:
        await identities.identify(token, kinds=kinds)
    except Unauthenticated:
        return False
    return True


async def a_run(store: Store, *, lasts: int = FOREVER) -> BootId:
    """A server process that is alive for `lasts` milliseconds from now."""
    boot_id = BootId(fresh_id())

    def unit(tx: Writer) -> None:
        now = tx.now() if store.engine == "sqlite" else server_time(tx)
        enrol(tx, boot_id, now=now, until=now + lasts)

    await store.write(unit)
    return boot_id
