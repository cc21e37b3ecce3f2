"""Whether the server is alive, and whether it is ready: open to everybody, telling nobody's news."""

import shutil
import sys
from dataclasses import dataclass, field

from fastapi import APIRouter, Response

from talekeeper import __version__
from talekeeper.api.resources import TheKeeper
from talekeeper.keeper import Keeper

router = APIRouter(tags=["health"])

_GIB = 1 << 30
_LARGE_DATABASE = 500 << 20


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


@router.get("/healthz")
async def healthz() -> Alive:
    """The process answers."""
    return Alive()


@router.get("/readyz", responses={503: {"model": Ready}})
async def readyz(keeper: TheKeeper, response: Response) -> Ready:
    """The store writes and replies can run; 503 when not."""
    is_ready = keeper.store.is_serving and keeper.generations.is_serving and not keeper.is_closing
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
        warnings=_warnings(keeper),
    )


def _warnings(keeper: Keeper) -> list[str]:
    found = list(keeper.store.installation.warnings)
    disk = shutil.disk_usage(keeper.settings.data_dir)
    if disk.free < max(_GIB, disk.total // 20):
        found.append(f"Only {disk.free / _GIB:.1f} GiB are free on the disk of the data folder.")
    size = keeper.store.size()
    if size is not None and size > _LARGE_DATABASE:
        found.append(f"The database has grown to {size >> 20} MB.")
    return found
