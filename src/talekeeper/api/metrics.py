"""Seen from outside: counts and timings for Prometheus, for the admin's token only. Never contents."""

from functools import cached_property
from typing import TYPE_CHECKING

from fastapi import FastAPI, Response

from talekeeper.api.identity import CurrentAdmin
from talekeeper.generation.running import Ended
from talekeeper.keeper import Keeper

if TYPE_CHECKING:
    from talekeeper.api.measures import Measures


class Metrics:
    """What one server measures. Each application has its own."""

    def __init__(self) -> None:
        self._keeper: Keeper | None = None

    @cached_property
    def _measures(self) -> "Measures":
        # Its library is slow to import, and nothing is counted before the first reply has ended.
        from talekeeper.api.measures import Measures

        measures = Measures()
        if self._keeper is not None:
            measures.watch(self._keeper)
        return measures

    def observe(self, ended: Ended) -> None:
        """A generation ended."""
        self._measures.observe(ended)

    def watch(self, keeper: Keeper) -> None:
        """What the keeper counts by itself is read whenever somebody asks."""
        self._keeper = keeper

    def shown(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return self._measures.shown()


def mount_metrics(app: FastAPI, metrics: Metrics) -> None:
    """`GET /metrics` is served, to the admin only."""

    @app.get("/metrics", tags=["health"], response_class=Response)
    async def show_metrics(_admin: CurrentAdmin) -> Response:
        return Response(metrics.shown(), media_type="text/plain; version=0.0.4; charset=utf-8")
