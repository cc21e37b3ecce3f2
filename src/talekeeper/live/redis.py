"""The hub of a fleet: each process tells its own subscribers, and one Redis stream joins the processes.

    announce, grow, tell ──> this process's subscribers, at once, as in a single process
                        └──> the outgoing queue ──> one XADD a loop turn ──> the installation's stream
    every other process's reader <── one XREAD that waits on it ──┘

- One stream for everything: a process needs no subscription of its own for a topic, and a follower
  that comes or goes costs no round trip. Every process therefore hears the text of every reply,
  and knows what each has said so far.
- A batch holds everything that was told since the batch before. While one is on its way the next
  collects, so that a slow network makes batches larger, not more.
- Batches of a process are numbered. A number that is missing (the stream was trimmed, Redis was
  started again, a queue ran over) is a `Lapse`: subscribers read the store. A number that was heard
  already (an XADD whose answer was lost, repeated) is passed over.
- A process that has nothing to tell sends an empty batch twice a second. While Redis does not
  answer, or while another process that is alive by its lease in the database is not heard, there is
  a `Lapse` twice a second: the follower of a reply that grows in a process without Redis hears of it
  from the store's checkpoints.
- The stream is cut to its newest ten thousand batches, and to ten seconds: everything older is in
  the store. Nothing in Redis is the only copy of anything.
"""

import asyncio
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

import msgspec
import structlog
from pydantic import TypeAdapter, ValidationError
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from talekeeper.domain.events import Announced, JobChanged, Recorded
from talekeeper.errors import trail
from talekeeper.ids import AccountId, BootId, ConversationId, GenerationId, MessageId
from talekeeper.live.hub import Delta, HealthTopic, Logged, Request, Topic
from talekeeper.live.memory import MemoryHub
from talekeeper.tasks import Duty, OwnTasks

BATCHES: Final = 10_000
"""Batches that the stream holds, about."""
KEPT_MS: Final = 10_000
"""Age at which a batch is removed from the stream."""
QUEUED: Final = 10_000
"""Items that wait for Redis; with one more all of them are dropped, and other processes hear a lapse."""
LARGEST_EVENT: Final = 1 << 16
"""Bytes of an event that is told whole; of a larger one the log is read."""
LARGEST_BATCH: Final = 1 << 18
BEAT: Final = 0.5
"""Seconds after which a process that told nothing sends an empty batch."""
SILENT: Final = 1.25
"""Seconds without a batch after which a living process counts as not heard."""
LOOK: Final = 0.25
LAPSES: Final = 0.5
"""Seconds between two lapses while one lasts."""
_TIMEOUT: Final = 1.0
_BLOCK_MS: Final = 400
_AGAIN: Final = 0.25
_BEFORE_MS: Final = 2_000
"""How much of the stream a process reads that has just started: what no checkpoint may hold yet."""
_TEXT_KEPT: Final = 10.0
"""Seconds after its last words that the text of another process's reply is remembered."""
_TROUBLE: Final = (
    "Redis does not answer: what other server processes do is shown a second later than usual. "
    "Nothing is lost. Look whether the address in TALEKEEPER_REDIS_URL is reached."
)
_UNHEARD: Final = (
    "Another server process is not heard through Redis: what it does is shown a second later than "
    "usual. Nothing is lost. Start every process with the same TALEKEEPER_REDIS_URL."
)

_SENDING: Final = Duty("live sending", "Other processes show what happens here a second later.")
_HEARING: Final = Duty("live hearing", "What other processes do is shown a second later here.")
_WATCHING: Final = Duty(
    "live watching", "What other processes do is not shown here while Redis does not answer."
)

log = structlog.get_logger(__name__)


class _Event(msgspec.Struct, frozen=True, tag="event", array_like=True):
    event: Any
    """A Recorded, which `_recorded` reads: msgspec knows no unions of dataclasses."""


class _Job(msgspec.Struct, frozen=True, tag="job", array_like=True):
    changed: JobChanged


class _Text(msgspec.Struct, frozen=True, tag="text", array_like=True):
    conversation_id: ConversationId
    message_id: MessageId
    generation_id: GenerationId
    offset: int
    text: str


class _Logged(msgspec.Struct, frozen=True, tag="logged", array_like=True):
    owner_id: AccountId
    conversation_id: ConversationId
    seq: int


class _Named(msgspec.Struct, frozen=True, tag="named", array_like=True):
    topic: Topic
    told: Request


_Item = _Event | _Job | _Text | _Logged | _Named
_Outgoing = Delta | Announced | _Named
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[_Item])
_recorded = TypeAdapter(Recorded)
_FAILURES: Final = (RedisError, OSError, TimeoutError)


class _Half:
    """One half of the connection, and whether it works. A change is logged once."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.works = True

    def note(self, error: BaseException | None) -> None:
        works = error is None
        if works and not self.works:
            log.info("live.is_back", half=self.name)
        elif self.works and not works:
            log.warning("live.is_cut", half=self.name, error=type(error).__name__)
        self.works = works


class RedisHub(MemoryHub):
    """A MemoryHub whose news go to, and come from, the installation's other processes."""

    def __init__(self, url: str, *, boot_id: BootId, tasks: OwnTasks) -> None:
        """`url` may hold a password: it is never logged or shown."""
        super().__init__()
        self._boot_id = boot_id
        self._own_tasks = tasks
        self._sender = _client(url)
        self._hearer = _client(url)
        self._key = ""
        self._outgoing: deque[_Outgoing] = deque()
        self._unsent: bytes | None = None
        """The batch that is on its way. Its repetition must hold the same, for its number is the same."""
        self._number = 0
        self._waiter: asyncio.Future[None] | None = None
        self._last_id: str | None = None
        self._numbers: dict[BootId, int] = {}
        self._heard_at: dict[BootId, float] = {}
        self._others: frozenset[BootId] = frozenset()
        self._text_at: dict[GenerationId, float] = {}
        """When another process's reply last grew: its text is forgotten some time after that."""
        self._sending = _Half("sending")
        self._hearing = _Half("hearing")
        self._lapsed_at = 0.0
        self._running: list[asyncio.Task[None]] = []

    def begin(self, installation_id: str) -> None:
        """Join the processes of this installation, now or as soon as Redis answers."""
        self._key = f"talekeeper:{installation_id}:live"
        self._running = [
            self._own_tasks.start(_SENDING, self._send_forever()),
            self._own_tasks.start(_HEARING, self._hear_forever()),
            self._own_tasks.start(_WATCHING, self._watch_forever()),
        ]

    async def leave(self) -> None:
        """The queue has been sent, if Redis takes it, and no batch is read any more."""
        for task in self._running:
            await self._own_tasks.stop(task)
        if self._running and (self._outgoing or self._unsent):
            try:
                await self._send_batch()
                if self._outgoing:
                    await self._send_batch()
            except _FAILURES as error:
                log.warning("live.last_words_not_sent", error=type(error).__name__)
        for client in (self._sender, self._hearer):
            await client.aclose()

    @property
    def reaches_others(self) -> bool:
        return self._sending.works and self._hearing.works and bool(self._others or self._numbers)

    @property
    def trouble(self) -> str | None:
        if not (self._sending.works and self._hearing.works):
            return _TROUBLE
        return _UNHEARD if self._unheard() else None

    def announce(self, events: Sequence[Announced]) -> None:
        super().announce(events)
        self._queue(events)

    def grow(self, delta: Delta) -> None:
        super().grow(delta)
        self._queue((delta,))

    def tell(self, topic: Topic, told: Request) -> None:
        super().tell(topic, told)
        if not isinstance(topic, HealthTopic):
            self._queue((_Named(topic, told),))

    def note_others(self, boot_ids: Collection[BootId]) -> None:
        now = asyncio.get_running_loop().time()
        for boot_id in boot_ids:
            # One that is new has until its silence is judged.
            self._heard_at.setdefault(boot_id, now)
        self._others = frozenset(boot_ids)
        for known in (self._heard_at, self._numbers):
            for boot_id in [each for each in known if each not in self._others]:
                if now - self._heard_at.get(boot_id, 0.0) > _TEXT_KEPT:
                    del known[boot_id]

    # Sending

    def _queue(self, items: Iterable[_Outgoing]) -> None:
        self._outgoing.extend(items)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _send_forever(self) -> None:
        while not _is_cancelled():
            try:
                await self._something_to_send()
                await self._send_batch()
            except _FAILURES as error:
                self._sending.note(error)
                self._drop_too_much()
                await asyncio.sleep(_AGAIN)
            else:
                self._sending.note(None)

    async def _something_to_send(self) -> None:
        """Returns when an item waits, or when it is time for an empty batch."""
        if self._outgoing:
            return
        self._waiter = asyncio.get_running_loop().create_future()
        await asyncio.wait([self._waiter], timeout=BEAT)

    async def _send_batch(self) -> None:
        """The next batch is in the stream."""
        if self._unsent is None:
            self._number += 1
            self._unsent = self._packed()
        fields: dict[Any, Any] = {"p": self._boot_id, "n": self._number, "d": self._unsent}
        async with asyncio.timeout(_TIMEOUT):
            await self._sender.xadd(self._key, fields, maxlen=BATCHES, approximate=True)
        self._unsent = None

    def _packed(self) -> bytes:
        """What waits, up to a batch's size, taken out of the queue."""
        pieces: list[msgspec.Raw] = []
        size = 0
        while self._outgoing and size < LARGEST_BATCH:
            piece = self._encoded(self._outgoing.popleft())
            pieces.append(msgspec.Raw(piece))
            size += len(piece)
        return _encoder.encode(pieces)

    def _encoded(self, item: _Outgoing) -> bytes:
        match item:
            case Delta(conversation_id, message_id, generation_id, offset, text):
                text += self._taken_after(item)
                return _encoder.encode(
                    _Text(conversation_id, message_id, generation_id, offset, text)
                )
            case Recorded():
                encoded = _encoder.encode(_Event(item))
                if len(encoded) <= LARGEST_EVENT:
                    return encoded
                return _encoder.encode(_Logged(item.owner_id, item.conversation_id, item.seq))
            case JobChanged():
                return _encoder.encode(_Job(item))
            case _Named():
                return _encoder.encode(item)

    def _taken_after(self, first: Delta) -> str:
        """The text of the queue's next deltas that go on where this one ends, which are taken."""
        texts: list[str] = []
        end = first.end
        while self._outgoing and end - first.offset < LARGEST_EVENT:
            after = self._outgoing[0]
            if not (
                isinstance(after, Delta)
                and after.generation_id == first.generation_id
                and after.offset == end
            ):
                break
            texts.append(after.text)
            end = after.end
            self._outgoing.popleft()
        return "".join(texts)

    def _drop_too_much(self) -> None:
        if len(self._outgoing) > QUEUED:
            self._outgoing.clear()
            self._unsent = None  # its number is left out, which other processes hear as a lapse
            self._number += 1

    # Hearing

    async def _hear_forever(self) -> None:
        while not _is_cancelled():
            try:
                if self._last_id is None:
                    self._last_id = await self._beginning()
                elif not self._hearing.works:
                    await self._begin_again_where_emptied()
                entries = await self._read()
            except _FAILURES as error:
                self._hearing.note(error)
                await asyncio.sleep(_AGAIN)
                continue
            self._hearing.note(None)
            for entry_id, fields in entries:
                self._hear(fields)
                self._last_id = entry_id.decode()

    async def _beginning(self) -> str:
        async with asyncio.timeout(_TIMEOUT):
            now: Any = await self._hearer.time()  # pyright: ignore[reportUnknownMemberType]
        seconds, micros = now
        return f"{seconds * 1000 + micros // 1000 - _BEFORE_MS}-0"

    async def _begin_again_where_emptied(self) -> None:
        """Read a stream from its start that is behind what was read: its server has another clock."""
        async with asyncio.timeout(_TIMEOUT):
            newest: Any = await self._hearer.xrevrange(self._key, count=1)
        if newest and _ordered(newest[0][0].decode()) < _ordered(self._last_id or "0-0"):
            self._last_id = "0-0"

    async def _read(self) -> list[tuple[bytes, dict[bytes, bytes]]]:
        assert self._last_id is not None
        async with asyncio.timeout(_TIMEOUT + _BLOCK_MS / 1000):
            found: Any = await self._hearer.xread(
                {self._key: self._last_id}, count=256, block=_BLOCK_MS
            )
        return found[0][1] if found else []

    def _hear(self, fields: dict[bytes, bytes]) -> None:
        """Tell this process's subscribers what is in another's batch."""
        boot_id = BootId(fields[b"p"].decode())
        if boot_id == self._boot_id:
            return
        now = asyncio.get_running_loop().time()
        self._heard_at[boot_id] = now
        number = int(fields[b"n"])
        before = self._numbers.get(boot_id)
        if before is not None and number <= before:
            return
        self._numbers[boot_id] = number
        try:
            items = [_read(each) for each in _decoder.decode(fields[b"d"])]
        except (msgspec.DecodeError, ValidationError) as error:  # another version's
            log.warning("live.not_understood", at=trail(error))
            self.lapse()
            return
        for item in items:
            match item:
                case _Event(event):
                    super().announce((event,))
                case _Job(changed):
                    super().announce((changed,))
                case _Text():
                    self._text_at[item.generation_id] = now
                    super().grow(
                        Delta(
                            item.conversation_id,
                            item.message_id,
                            item.generation_id,
                            item.offset,
                            item.text,
                        )
                    )
                case _Logged():
                    self._put_event(Logged(item.owner_id, item.conversation_id, item.seq))
                case _Named(topic, told):
                    super().tell(topic, told)
        if before is not None and number > before + 1:
            self.lapse()  # behind what was heard: what is read now holds all of it

    # Watching

    async def _watch_forever(self) -> None:
        loop = asyncio.get_running_loop()
        trimmed_at = 0.0
        while not _is_cancelled():
            await asyncio.sleep(LOOK)
            now = loop.time()
            if self.trouble is not None and now - self._lapsed_at >= LAPSES:
                self._lapsed_at = now
                self.lapse()
            for generation_id, at in list(self._text_at.items()):
                if now - at > _TEXT_KEPT:
                    del self._text_at[generation_id]
                    self.forget(generation_id)
            if now - trimmed_at > KEPT_MS / 2000 and self._last_id is not None:
                trimmed_at = now
                await self._trim()

    async def _trim(self) -> None:
        """Everything that is older than KEPT_MS is out of the stream."""
        assert self._last_id is not None
        oldest = int(self._last_id.partition("-")[0]) - KEPT_MS
        try:
            async with asyncio.timeout(_TIMEOUT):
                await self._sender.xtrim(self._key, minid=f"{max(0, oldest)}-0", approximate=False)
        except _FAILURES as error:
            log.debug("live.not_trimmed", error=type(error).__name__)

    def _unheard(self) -> bool:
        """A process that is alive by its lease has not been heard for a while."""
        now = asyncio.get_running_loop().time()
        return any(now - self._heard_at.get(each, 0.0) > SILENT for each in self._others)


def _is_cancelled() -> bool:
    """Whether the running task was cancelled, and redis-py has raised a TimeoutError instead: it does
    where its own time to close the connection is over.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _read(item: _Item) -> _Item:
    return _Event(_recorded.validate_python(item.event)) if isinstance(item, _Event) else item


def _client(url: str) -> "Redis":
    """A client that tries nothing twice by itself, and gives up within the second."""
    return Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
        url,
        protocol=2,
        socket_timeout=_TIMEOUT + _BLOCK_MS / 1000,
        socket_connect_timeout=_TIMEOUT,
        retry=Retry(NoBackoff(), 0),
        client_name="talekeeper",
    )


async def answered(url: str) -> str | None:
    """What keeps a Redis from being used, as the name of an error; None when it answers."""
    client = _client(url)
    try:
        async with asyncio.timeout(_TIMEOUT):
            await client.xlen("talekeeper")
    except _FAILURES as error:
        return type(error).__name__
    finally:
        await client.aclose()
    return None


def _ordered(entry_id: str) -> tuple[int, int]:
    millis, _, place = entry_id.partition("-")
    return int(millis), int(place or 0)
