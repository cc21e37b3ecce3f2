"""Whether the server is alive, ready and well.

`/healthz` and `/readyz` are open to everybody and tell nobody's news. What stands in the way of
writing, and what soon may, is told to who is logged in: at `/api/health`, and on the account's event
stream whenever it changes.

    available     what is sent is stored
    degraded      so it is, but something will stand in the way, or just did for a moment
    unavailable   what is sent is refused; what is stored can be read
"""

import asyncio
import shutil
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

import structlog
from fastapi import APIRouter, Depends, Request, Response

from talekeeper import __version__
from talekeeper.api.resources import CurrentAccount, TheKeeper, resource
from talekeeper.domain.health import Reason, disk_reasons, size_reasons
from talekeeper.errors import StoreBusy, trail
from talekeeper.keeper import Keeper
from talekeeper.live import HealthChanged, HealthTopic
from talekeeper.tasks import Duty

router = APIRouter(tags=["health"])
of_the_account = resource("health")

INTERVAL: Final = 0.5
"""Seconds after which a change is told at the latest, about."""

_DUTY: Final = Duty("health", "Open pages are not told when the server's health changes.")

log = structlog.stdlib.get_logger("talekeeper.api")


@dataclass(frozen=True, slots=True)
class Alive:
    status: str = "alive"


@dataclass(frozen=True, slots=True)
class Ready:
    """`warnings` are sentences for the person who runs the server."""

    status: str
    version: str
    schema: str
    database: str
    versions: dict[str, str]
    warnings: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True)
class Health:
    """What is the matter; `available` may have reasons, too, that can wait."""

    state: Literal["available", "degraded", "unavailable"]
    reasons: list[Reason] = field(default_factory=list[Reason])


def health_of(keeper: Keeper) -> Health:
    """How the server is at this moment."""
    reasons: list[Reason] = []
    state: Literal["available", "degraded", "unavailable"] = "available"
    trouble = keeper.store.trouble
    if keeper.is_closing:
        state = "unavailable"
        reasons.append(Reason("closing", "Talekeeper is closing. Try again when it is back."))
    elif trouble is not None:
        state = "degraded" if isinstance(trouble, StoreBusy) else "unavailable"
        reasons.append(Reason(trouble.code, trouble.message))
    for duty in keeper.tasks.died:
        text = f"The server's task “{duty.name}” has ended. {duty.loss} Start the server again."
        if duty.is_vital:
            state = "unavailable"
        elif state == "available":
            state = "degraded"
        reasons.append(Reason("replies_stopped" if duty.is_vital else "task_ended", text))
    if keeper.hub.trouble is not None:
        state = "degraded" if state == "available" else state
        reasons.append(Reason("live_delayed", keeper.hub.trouble))
    warned = warnings_of(keeper)
    if state == "available" and any(each.code in ("disk_low", "log_large") for each in warned):
        state = "degraded"
    return Health(state, [*reasons, *warned])


def warnings_of(keeper: Keeper) -> list[Reason]:
    """What will stand in the way of writing if nobody does anything."""
    found: list[Reason] = []
    try:
        disk = shutil.disk_usage(keeper.settings.data_dir)
    except OSError as error:
        found.append(Reason("disk_low", f"The data folder cannot be looked at: {error.strerror}."))
    else:
        found += disk_reasons(free=disk.free, total=disk.total)
    found += size_reasons(database=keeper.store.size(), log=keeper.store.log_size())
    warnings = keeper.store.installation.warnings
    return [*found, *(Reason("installation", text) for text in warnings)]


class HealthWatch:
    """Tells how the server is, and when that changes. It looks only while somebody listens."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._listeners = 0
        self._is_heard = asyncio.Event()
        self._topic = HealthTopic(keeper.boot_id)
        self._last = health_of(keeper)

    def look(self) -> Health:
        """How the server is now. Everybody who waits for a change is told of every change, whichever of them looked first."""
        before, self._last = self._last, health_of(self._keeper)
        if self._last != before:
            self._keeper.hub.tell(self._topic, HealthChanged())
        return self._last

    async def changed(self, known: Health) -> Health:
        """How the server is, once that is not as `known`."""
        turns = await self._keeper.hub.subscribe([self._topic])
        self._listeners += 1
        self._is_heard.set()
        try:
            while self._last == known:
                if turns.is_over:
                    await asyncio.get_running_loop().create_future()  # so is every stream
                await turns.take()
            return self._last
        finally:
            turns.close()
            self._listeners -= 1
            if not self._listeners:
                self._is_heard.clear()

    async def watch(self) -> None:
        """Look again and again; ends only when it is cancelled."""
        while True:
            await self._is_heard.wait()
            await asyncio.sleep(INTERVAL)
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - the next look may see
                log.error("health.unseen", error=type(error).__name__, at=trail(error))


@asynccontextmanager
async def health_watched(keeper: Keeper) -> AsyncGenerator[HealthWatch]:
    """A watch that looks until the end of the block."""
    watch = HealthWatch(keeper)
    task = keeper.tasks.start(_DUTY, watch.watch())
    try:
        yield watch
    finally:
        await keeper.tasks.stop(task)


async def _watch(request: Request) -> HealthWatch:
    return request.app.state.health


TheHealth = Annotated[HealthWatch, Depends(_watch)]


@router.get("/healthz")
async def healthz() -> Alive:
    """The process answers."""
    return Alive()


@router.get("/readyz", responses={503: {"model": Ready}})
async def readyz(keeper: TheKeeper, response: Response) -> Ready:
    """The store writes and replies can run; 503 when not."""
    health = health_of(keeper)
    is_ready = health.state != "unavailable"
    if not is_ready:
        response.status_code = 503
    return Ready(
        status="ready" if is_ready else "not ready",
        version=__version__,
        schema=keeper.store.installation.schema,
        database=keeper.store.engine,
        versions={
            "python": ".".join(map(str, sys.version_info[:3])),
            **keeper.store.versions,
        },
        warnings=[reason.message for reason in health.reasons],
    )


@of_the_account.get("/health")
async def show_health(watch: TheHealth, _account: CurrentAccount) -> Health:
    """Whether what is sent is stored, and what stands in the way."""
    return watch.look()
