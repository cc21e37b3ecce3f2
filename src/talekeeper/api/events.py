"""Event streams: what happens, as server-sent events. They only read; leaving one ends nothing.

One stream may be left for another at any time: its id says all that was seen, and as
`Last-Event-ID` it goes on from there. A burst costs one write, whatever it holds.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from typing import Annotated, Any, Final

import msgspec
import structlog
from fastapi import Header, Query
from pydantic import Field
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from talekeeper.api.bodies import Id
from talekeeper.api.health import Health, HealthWatch, TheHealth
from talekeeper.api.resources import CurrentAccount, TheKeeper, resource
from talekeeper.conversations.following import (
    Gone,
    Grew,
    Happened,
    Missed,
    Place,
    Told,
    follow,
    parsed_place,
)
from talekeeper.errors import InvalidInput, trail
from talekeeper.ids import BootId, ConversationId, canonical_id

router = resource("events")

HEARTBEAT: Final = 15.0
MOST_FOLLOWED: Final = 32
Follow = Annotated[str, Field(max_length=60)]
"""`ID` or `ID@SEQ`."""

_HEADERS: Final = {
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}
_STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "Events, until the client leaves.", "content": {"text/event-stream": {}}}
}
log = structlog.get_logger(__name__)
_json = msgspec.json.Encoder()


class EventStream(Response):
    """Bursts as they come, and a comment whenever nothing was sent for a while.

    Written to the ASGI interface itself: a burst is one send, and leaving is noticed at once. The
    follower is closed here, outside of every generator, however the stream ends.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        bursts: AsyncGenerator[list[Told]],
        *,
        opening: bytes,
        names: "Names",
        health: HealthWatch | None = None,
    ) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._bursts = bursts
        self._opening = opening
        self._names = names
        self._health = health

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        known = None if self._health is None else self._health.look()
        health = b"" if known is None else _event("health", known, None)
        await _send(send, self._opening + health)
        tasks = [
            asyncio.create_task(self._pump(send)),
            asyncio.create_task(_beat(send)),
            asyncio.create_task(_left(receive)),
        ]
        if self._health is not None and known is not None:
            tasks.append(asyncio.create_task(_tell_health(send, self._health, known)))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            for error in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(error, Exception) and not isinstance(error, OSError):
                    log.error("events.broke", error=type(error).__name__, at=trail(error))
            await self._bursts.aclose()
        with suppress(OSError):
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pump(self, send: Send) -> None:
        async for told in self._bursts:
            await _send(send, b"".join(_encoded(one, self._names) for one in told))


async def _beat(send: Send) -> None:
    while True:
        await asyncio.sleep(HEARTBEAT)
        await _send(send, b": still here\n\n")


async def _tell_health(send: Send, watch: HealthWatch, known: Health) -> None:
    while True:
        known = await watch.changed(known)
        await _send(send, _event("health", known, None))


async def _left(receive: Receive) -> None:
    """Returns when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


class Names:
    """Which id each event of a stream gets."""

    def of(self, told: Told) -> str | None:
        """The id for one conversation's stream: its place."""
        return str(told.place)


class AccountNames(Names):
    """The ids of an account's stream: the places of all the conversations it follows."""

    def __init__(self, follows: Mapping[ConversationId, Place | None]) -> None:
        self._seen = {key: place.seq for key, place in follows.items() if place}
        self._follows = follows

    def of(self, told: Told) -> str | None:
        match told:
            case Happened():
                conversation_id = told.conversation.id
            case Missed():
                conversation_id = told.conversation_id
            case Gone():
                self._seen.pop(told.conversation_id, None)
                return None
            case Grew():
                return None
        if conversation_id not in self._follows:
            return None
        self._seen[conversation_id] = told.place.seq
        return ",".join(f"{key}@{seq}" for key, seq in self._seen.items())


@router.get("/conversations/{conversation_id}/events", response_class=Response, responses=_STREAM)
async def follow_conversation(
    keeper: TheKeeper,
    account: CurrentAccount,
    conversation_id: Id,
    last_event_id: Annotated[str | None, Header(max_length=200)] = None,
) -> EventStream:
    """Everything that happens in this conversation, from `Last-Event-ID` on."""
    place = parsed_place(last_event_id) if last_event_id else None
    follows = {ConversationId(conversation_id): place}
    bursts = follow(keeper.store, keeper.hub, owner_id=account.id, follows=follows)
    return await _opened(bursts, keeper.boot_id, Names())


@router.get("/events", response_class=Response, responses=_STREAM)
async def follow_account(
    keeper: TheKeeper,
    health: TheHealth,
    account: CurrentAccount,
    follow_: Annotated[list[Follow] | None, Query(alias="follow", max_length=MOST_FOLLOWED)] = None,
    last_event_id: Annotated[str | None, Header(max_length=4_000)] = None,
) -> EventStream:
    """What happens in all the account's conversations, and everything of those followed.

    A `follow` is a conversation's id, or `ID@SEQ` to hear first what happened after SEQ.
    """
    follows = _follows(follow_ or [])
    for key, place in _follows((last_event_id or "").split(",") if last_event_id else []).items():
        if key in follows:
            follows[key] = place
    bursts = follow(
        keeper.store, keeper.hub, owner_id=account.id, follows=follows, with_account=True
    )
    return await _opened(bursts, keeper.boot_id, AccountNames(follows), health)


def _follows(texts: list[str]) -> dict[ConversationId, Place | None]:
    follows: dict[ConversationId, Place | None] = {}
    for text in texts:
        name, at, seq = text.partition("@")
        if at and not (seq.isascii() and seq.isdigit() and len(seq) <= 16):
            raise InvalidInput("A follow is a conversation's id, or ID@SEQ.")
        follows[ConversationId(canonical_id(name))] = Place(int(seq)) if at else None
    return follows


async def _opened(
    bursts: AsyncGenerator[list[Told]],
    boot_id: BootId,
    names: Names,
    health: HealthWatch | None = None,
) -> EventStream:
    # The first burst says that the places are taken, or raises what the client must hear as such.
    await anext(bursts, None)
    opening = _event("ready", {"boot_id": boot_id}, None)
    return EventStream(bursts, opening=b"retry: 1000\n" + opening, names=names, health=health)


def _encoded(told: Told, names: Names) -> bytes:
    event_id = names.of(told)
    match told:
        case Grew(delta=delta, is_snapshot=is_snapshot):
            return _event("snapshot" if is_snapshot else "delta", delta, event_id)
        case Happened(message=None):
            data = {"seq": told.seq, "conversation": told.conversation}
            return _event("conversation.changed", data, event_id)
        case Happened():
            assert told.message is not None
            data = {
                "seq": told.seq,
                "conversation": told.conversation,
                "message": told.message,
            }
            return _event("message.changed", data, event_id)
        case Missed():
            return _event("resync", {"conversation_id": told.conversation_id}, event_id)
        case Gone():
            return _event("conversation.gone", {"conversation_id": told.conversation_id}, None)


def _event(name: str, data: object, event_id: str | None) -> bytes:
    head = f"event: {name}\n" if event_id is None else f"event: {name}\nid: {event_id}\n"
    return b"".join((head.encode(), b"data: ", _json.encode(data), b"\n\n"))
