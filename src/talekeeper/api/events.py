"""Event streams: what happens, as server-sent events. They only read; leaving one ends nothing.

One stream may be left for another at any time: its id says all that was seen, and as
`Last-Event-ID` it goes on from there. A burst costs one write, whatever it holds. A stream ends with
the login that it was opened with, and its last event says so.

What an account's stream follows is changed by a request that names the stream. Only the process that
holds the stream can carry that out; any other asks it through the hub. Where it does not answer
in time, or nothing joins the processes, the answer is 404, and the client opens another stream.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any, Final

import msgspec
import structlog
from fastapi import Depends, Header, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from talekeeper.accounts.holding import ENDED, Hold
from talekeeper.api.bodies import Body, Id
from talekeeper.api.health import Health, HealthWatch, TheHealth
from talekeeper.api.identity import Asking
from talekeeper.api.open_streams import MOST_FOLLOWED, TOO_MANY, Streams, entered, parsed_follows
from talekeeper.api.resources import CurrentAccount, TheKeeper, resource
from talekeeper.api.stream_events import (
    AccountReady,
    ChangedConversation,
    ChangedMessage,
    ChangedWork,
    ConversationReady,
    End,
    Followed,
    Named,
    Work,
)
from talekeeper.conversations.following import (
    Begun,
    Follower,
    Gone,
    Grew,
    Happened,
    Missed,
    Place,
    Told,
    Worked,
    parsed_place,
)
from talekeeper.errors import InvalidInput, Unauthenticated, trail
from talekeeper.ids import BootId, ConversationId, fresh_id

router = resource("events")

HEARTBEAT: Final = 15.0
LAST_WORDS_SECONDS: Final = 0.5
"""How long the last event may take to a client that reads slowly, or not at all."""

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
    follower and the hold are given back here, however the stream ends.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        follower: Follower,
        hold: Hold,
        *,
        opening: bytes,
        names: "Names",
        health: HealthWatch | None = None,
        on_end: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._follower = follower
        self._hold = hold
        self._opening = opening
        self._names = names
        self._health = health
        self._on_end = on_end

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._stream(receive, send)
        finally:
            self._follower.close()
            self._hold.release()
            if self._on_end is not None:
                self._on_end()

    async def _stream(self, receive: Receive, send: Send) -> None:
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
            await asyncio.wait([*tasks, self._hold.ended], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            for error in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(error, Exception) and not isinstance(error, OSError):
                    log.error("events.broke", error=type(error).__name__, at=trail(error))
        if self._hold.ended.done():
            # Whoever does not read gets no last words: the connection ends without them.
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(LAST_WORDS_SECONDS):
                    await _send(send, _LOGGED_OUT)
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        with suppress(OSError):
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pump(self, send: Send) -> None:
        while told := await self._follower.take():
            await _send(send, self._names.encoded(told))


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
    """Which id each event of one conversation's stream gets: its place."""

    def opening(self, follower: Follower) -> str:
        (place,) = follower.began_at.values()
        return str(place)

    def encoded(self, burst: list[Told]) -> bytes:
        return b"".join(_encoded(told, str(told.place)) for told in burst)


class AccountNames(Names):
    """The ids of an account's stream: `PROCESS/COUNT,ID@SEQ,ID@SEQ`.

    First the account's place, how many of its events this process had announced, then the places of
    what is followed. The account's place goes on with the last event of a burst, since what is cut
    off in its middle was not told.
    """

    def __init__(self, boot_id: BootId, follower: Follower) -> None:
        self._boot_id = boot_id
        self._follower = follower
        self._heard = follower.heard
        self._seen: dict[ConversationId, int] = {}

    def opening(self, follower: Follower) -> str:
        self._seen = {key: place.seq for key, place in follower.began_at.items()}
        return self._place()

    def encoded(self, burst: list[Told]) -> bytes:
        last = len(burst) - 1
        return b"".join(
            _encoded(told, self._of(told, index == last)) for index, told in enumerate(burst)
        )

    def _of(self, told: Told, is_last: bool) -> str | None:
        if is_last:
            self._heard = self._follower.heard
        match told:
            case Grew():
                return None
            case Happened(conversation=conversation, place=place):
                if place is not None:
                    self._seen[conversation.id] = place.seq
            case Missed() | Begun():
                self._seen[told.conversation_id] = told.place.seq
            case Gone():
                self._seen.pop(told.conversation_id, None)
            case Worked():
                pass
        return self._place()

    def _place(self) -> str:
        followed = self._follower.following
        places = (f"{key}@{seq}" for key, seq in self._seen.items() if key in followed)
        return ",".join((f"{self._boot_id}/{self._heard}", *places))


async def _streams(request: Request) -> Streams:
    return request.app.state.streams


TheStreams = Annotated[Streams, Depends(_streams)]


class FollowChange(Body):
    """What a stream follows besides and no more. A `follow` is an id, or `ID@SEQ`."""

    follow: list[Follow] = Field(default_factory=list, max_length=MOST_FOLLOWED)
    unfollow: list[Id] = Field(default_factory=list, max_length=MOST_FOLLOWED)


class Following(BaseModel):
    """What the stream follows now."""

    following: list[str]


@router.get("/conversations/{conversation_id}/events", response_class=Response, responses=_STREAM)
async def follow_conversation(
    keeper: TheKeeper,
    streams: TheStreams,
    asking: Asking,
    conversation_id: Id,
    last_event_id: Annotated[str | None, Header(max_length=200)] = None,
) -> EventStream:
    """Everything that happens in this conversation, from `Last-Event-ID` on."""
    place = parsed_place(last_event_id) if last_event_id else None
    with entered(streams, asking.account.id) as leave:
        follower = await Follower.begin(
            keeper.store,
            keeper.hub,
            owner_id=asking.account.id,
            follows={ConversationId(conversation_id): place},
        )
    names = Names()
    opening = _opening(ConversationReady(keeper.boot_id), names.opening(follower))
    hold = keeper.identities.held.hold(asking.token_id)
    return EventStream(follower, hold, opening=opening, names=names, on_end=leave)


@router.get("/events", response_class=Response, responses=_STREAM)
async def follow_account(
    *,
    keeper: TheKeeper,
    streams: TheStreams,
    health: TheHealth,
    asking: Asking,
    follow_: Annotated[list[Follow] | None, Query(alias="follow", max_length=MOST_FOLLOWED)] = None,
    last_event_id: Annotated[str | None, Header(max_length=4_000)] = None,
) -> EventStream:
    """What happens in all the account's conversations, and everything of those followed.

    A `follow` is a conversation's id, or `ID@SEQ` to hear first what happened after SEQ.
    """
    follows = parsed_follows(follow_ or [])
    account_place, places = _parsed(last_event_id or "")
    follows |= places
    if len(follows) > MOST_FOLLOWED:
        raise InvalidInput(TOO_MANY)
    with entered(streams, asking.account.id) as leave:
        follower = await Follower.begin(
            keeper.store,
            keeper.hub,
            owner_id=asking.account.id,
            follows=follows,
            hears_account=True,
        )
    names = AccountNames(keeper.boot_id, follower)
    stream_id = fresh_id()
    ready = AccountReady(
        boot_id=keeper.boot_id,
        stream_id=stream_id,
        missed=account_place != f"{keeper.boot_id}/{follower.heard}",
    )
    streams.add(stream_id, follower)

    def end() -> None:
        streams.drop(stream_id)
        leave()

    return EventStream(
        follower,
        keeper.identities.held.hold(asking.token_id),
        opening=_opening(ready, names.opening(follower)),
        names=names,
        health=health,
        on_end=end,
    )


@router.patch("/events/{stream_id}")
async def change_following(
    streams: TheStreams, account: CurrentAccount, stream_id: Id, body: FollowChange
) -> Following:
    """The stream follows what is asked for, from the places given on, and no more of the rest.

    What it followed already is told again from its place. 404 where the stream has ended, or the
    process that holds it does not answer: open another one then.
    """
    following = await streams.change(
        stream_id, account.id, follow=body.follow, unfollow=body.unfollow
    )
    return Following(following=following)


def _parsed(last_event_id: str) -> tuple[str | None, dict[ConversationId, Place | None]]:
    """The account's place and those of the followed conversations in an account stream's id."""
    first, *rest = last_event_id.split(",")
    if "/" in first:
        return first, parsed_follows(rest)
    return None, parsed_follows([first, *rest] if last_event_id else [])


def _opening(ready: ConversationReady | AccountReady, place: str) -> bytes:
    return b"retry: 1000\n" + _event("ready", ready, place)


def _encoded(told: Told, event_id: str | None) -> bytes:
    match told:
        case Begun(place=place):
            return _event("following", Followed(told.conversation_id, place.seq), event_id)
        case Grew(delta=delta, is_snapshot=is_snapshot):
            return _event("snapshot" if is_snapshot else "delta", delta, event_id)
        case Happened(message=None):
            change = ChangedConversation(told.seq, told.conversation)
            return _event("conversation.changed", change, event_id)
        case Happened(message=message):
            assert message is not None
            change = ChangedMessage(told.seq, told.conversation, message)
            return _event("message.changed", change, event_id)
        case Missed():
            return _event("resync", Named(told.conversation_id), event_id)
        case Gone():
            return _event("conversation.gone", Named(told.conversation_id), event_id)
        case Worked(job=job):
            work = Work(
                id=job.id,
                kind=job.kind,
                conversation_id=job.conversation_id,
                state=job.state,
                progress=job.progress,
                progress_of=job.progress_of,
                error_code=job.error_code,
            )
            return _event("job.changed", ChangedWork(work), event_id)


def _event(name: str, data: object, event_id: str | None) -> bytes:
    head = f"event: {name}\n" if event_id is None else f"event: {name}\nid: {event_id}\n"
    return b"".join((head.encode(), b"data: ", _json.encode(data), b"\n\n"))


_LOGGED_OUT: Final = _event("end", End(Unauthenticated.code, ENDED), None)
