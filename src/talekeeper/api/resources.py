"""What every resource's routes share: the keeper, and who asks."""

from typing import Annotated, cast

from fastapi import APIRouter, Depends, Request

from talekeeper.api.bodies import StrictRoute
from talekeeper.api.identity import CurrentAccount
from talekeeper.keeper import Keeper


async def keeper_of(request: Request) -> Keeper:  # sync ones are run on a thread, each time
    """The keeper that the application opened at its start."""
    return cast("Keeper", request.app.state.keeper)


TheKeeper = Annotated[Keeper, Depends(keeper_of)]


def resource(tag: str) -> APIRouter:
    """A router whose bodies are read strictly."""
    return APIRouter(prefix="/api", tags=[tag], route_class=StrictRoute)


__all__ = ["CurrentAccount", "TheKeeper", "keeper_of", "resource"]
