"""The application: every route, every rule before them, and the keeper behind them."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from talekeeper import __version__
from talekeeper.api import (
    accounts,
    connections,
    conversations,
    events,
    generations,
    health,
    messages,
    models,
    search,
    storage,
)
from talekeeper.api.access import mount_access
from talekeeper.api.metrics import Metrics, mount_metrics
from talekeeper.api.open_streams import open_streams
from talekeeper.api.page import mount_page
from talekeeper.api.problems import mount_problems
from talekeeper.keeper import open_keeper
from talekeeper.settings import Settings, load_settings


class Application(FastAPI):
    """FastAPI with the whole contract of the wire."""

    def openapi(self) -> dict[str, Any]:
        from talekeeper.api.contract import contract_of  # its classes take 15 ms of a start

        if self.openapi_schema is None:
            self.openapi_schema = contract_of(self)
        return self.openapi_schema


def create_app(settings: Settings) -> FastAPI:
    """An application that opens its keeper when it starts and closes it when it ends."""
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with open_keeper(settings, on_ended=metrics.observe) as keeper:
            app.state.keeper = keeper
            metrics.watch(keeper)
            async with (
                open_streams(keeper) as app.state.streams,
                health.health_watched(keeper) as app.state.health,
            ):
                yield

    app = Application(
        title="Talekeeper",
        version=__version__,
        summary="The game master's AI chat that never loses a word.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        separate_input_output_schemas=False,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # /metrics and our own log
    )
    mount_problems(app)
    # Routes are tried one after another: what is asked most often comes first. Those of an included
    # router would be tried twice a request, once to find the router and once to find the route.
    for router in (
        conversations.router,
        events.router,
        generations.router,
        messages.router,
        connections.router,
        models.router,
        health.router,
        search.router,
        storage.router,
        health.of_the_account,
        accounts.router,
    ):
        app.router.routes.extend(router.routes)
    mount_metrics(app, metrics)
    mount_page(app, base_path=settings.base_path)
    mount_access(app, settings)
    return app


def openapi_document() -> dict[str, Any]:
    """The wire contract, made from the routes. Opens nothing."""
    return create_app(load_settings()).openapi()
