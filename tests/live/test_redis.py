"""The hub of a fleet over a real Valkey: what one process tells, another hears, in order and once.

Two hubs stand for two processes. Whatever may have been lost between them is told as a `Lapse`.
"""

import asyncio
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from redis import Redis

from engines import Valkey
from faulty_proxy import FaultyProxy
from servers import until
from talekeeper.clock import Millis
from talekeeper.domain.audiences import Audience
from talekeeper.domain.conversations import (
    AS_THE_PROVIDER_DOES,
    Conversation,
    Message,
    ReplyError,
    Speaker,
)
from talekeeper.domain.events import JobChanged, Recorded
from talekeeper.domain.jobs import Job
from talekeeper.domain.parts import Citation, Citations, Dice, Drafts, Picture, Reasoning
from talekeeper.ids import (
    AccountId,
    BootId,
    ConversationId,
    DraftId,
    GenerationId,
    JobId,
    MessageId,
    RecordId,
    fresh_id,
)
from talekeeper.live import (
    AccountTopic,
    ConversationTopic,
    Delta,
    Lapse,
    Logged,
    Notice,
    ProcessTopic,
    StopAsked,
    Subscription,
)
from talekeeper.live.redis import QUEUED, RedisHub
from talekeeper.tasks import OwnTasks

pytestmark = pytest.mark.req("C-S2", "R19", "NFR-003")

TALE = ConversationId(fresh_id())
ADA = AccountId(fresh_id())
REPLY = MessageId(fresh_id())


class Process:
    """A hub with a boot id, and what a subscriber of it heard."""

    def __init__(self, url: str) -> None:
        self.boot_id = BootId(fresh_id())
        self.tasks = OwnTasks()
        self.hub = RedisHub(url, boot_id=self.boot_id, tasks=self.tasks)
        self.heard: list[Notice] = []
        self._listening: asyncio.Task[None] | None = None

    async def listen(self) -> None:
        topics = [ConversationTopic(TALE), AccountTopic(ADA), ProcessTopic(self.boot_id)]
        self._listening = asyncio.create_task(self._take(await self.hub.subscribe(topics)))

    async def _take(self, subscription: Subscription) -> None:
        while not subscription.is_over:
            self.heard += await subscription.take()

    def text(self) -> str:
        """What the deltas say, each from its offset on."""
        text = ""
        for each in self.heard:
            if isinstance(each, Delta):
                assert each.offset == len(text), "a gap, or something twice"
                text += each.text
        return text

    @property
    def lapses(self) -> int:
        return sum(isinstance(each, Lapse) for each in self.heard)

    async def hears(self, holds: Callable[[], bool], *, seconds: float = 5.0) -> None:
        await until(holds, seconds=seconds)


@asynccontextmanager
async def two(url: str, other_url: str | None = None) -> AsyncGenerator[tuple[Process, Process]]:
    """Two processes of one installation that know of each other."""
    one, other = Process(url), Process(other_url or url)
    try:
        for each in (one, other):
            each.hub.begin("installation")
            await each.listen()
        one.hub.note_others([other.boot_id])
        other.hub.note_others([one.boot_id])
        # Heard from the first empty batch on.
        await until(lambda: bool(one.hub._numbers and other.hub._numbers), seconds=5)
        yield one, other
        assert one.tasks.died == other.tasks.died == ()
    finally:
        for each in (one, other):
            each.hub.close()
            await each.hub.leave()


def piece(generation_id: GenerationId, offset: int, text: str) -> Delta:
    return Delta(TALE, REPLY, generation_id, offset, text)


def event(seq: int, *, title: str = "A tale") -> Recorded:
    conversation = Conversation(
        id=TALE, title=title, purpose="general", is_current=False, seq=seq, leaf_id=None,
        generation_id=None, connection_id=None, model=None, sampling=AS_THE_PROVIDER_DOES, created_at=Millis(1),
        updated_at=Millis(1), pinned=False, archived_at=None, deleted_at=None, message_count=0,
        characters=0, activity=seq,
    )  # fmt: skip
    return Recorded(ADA, TALE, seq, "conversation", conversation)


async def test_what_a_reply_grows_by_is_heard_in_the_other_process_without_a_gap(valkey: Valkey):
    async with two(valkey.url) as (one, other):
        name = GenerationId(fresh_id())
        said = ""
        for number in range(300):
            word = f"word {number} "
            one.hub.grow(piece(name, len(said), word))
            said += word
            if number % 10 == 0:
                await asyncio.sleep(0)
        await other.hears(lambda: other.text() == said)
        tail = await other.hub.text_so_far(name)
        assert tail is not None
        assert (tail.offset, tail.text) == (0, said)
        assert other.lapses == 0


async def test_what_is_told_in_one_turn_of_the_loop_is_one_entry_of_the_stream(valkey: Valkey):
    async with two(valkey.url) as (one, other):
        before = one.hub._number
        said = "".join(f"{number} " for number in range(500))
        at = 0
        for number in range(500):
            one.hub.grow(piece(GenerationId("g"), at, f"{number} "))
            at += len(f"{number} ")
        await other.hears(lambda: other.text() == said)
        # One batch was perhaps under way, and an empty one may come between.
        assert one.hub._number - before <= 4


async def test_events_and_requests_come_in_the_order_in_which_they_were_told(valkey: Valkey):
    async with two(valkey.url) as (one, other):
        one.hub.announce([event(1), event(2)])
        one.hub.tell(ProcessTopic(other.boot_id), StopAsked(GenerationId("g")))
        one.hub.announce([event(3)])
        await other.hears(lambda: len(other.heard) >= 4)
        assert other.heard == [event(1), event(2), StopAsked(GenerationId("g")), event(3)]
        assert one.heard == [event(1), event(2), event(3)], "each once where it was told, too"
        assert other.hub.announced(ADA) == one.hub.announced(ADA) == 3


async def test_every_part_of_a_message_and_a_job_are_equal_in_the_other_process(valkey: Valkey):
    """Tuples, dataclasses in dataclasses and None: equal, and of the same types."""
    said = Message(
        id=REPLY, conversation_id=TALE, seq=2, parent_id=None, role="assistant", content="Well: 🐉",
        status="failed", revision=3, created_at=Millis(1), updated_at=Millis(2),
        error=ReplyError("provider_failed", "It broke.", retryable=True, retry_after=1.5),
        speaker=Speaker("Mira", RecordId(fresh_id())), mode="speak", audience=Audience("characters", (RecordId("a"), RecordId("b"))),
        parts=(
            Reasoning(1_200, ms=None),
            Reasoning(7, ms=40),
            Citations((Citation("a word", REPLY), Citation("another"))),
            Citations(()),
            Drafts((DraftId("one"), DraftId("two"))),
            Picture("0" * 64, "image/png", 640, None, "A dragon"),
            Dice("2d6+3", (1, 6), 10),
        ),
    )  # fmt: skip
    job = Job(
        id=JobId(fresh_id()), kind="title", owner_id=ADA, conversation_id=None,
        payload={"of": [1, None, {"deep": "er"}]}, result=None, state="running", progress=1,
        progress_of=None, attempts=2, is_cancel_asked=False, error_code=None,
        created_at=Millis(1), updated_at=Millis(2),
    )  # fmt: skip
    told = [
        replace(event(2), kind="message_added", message=said),
        replace(event(3), kind="message_changed", message=replace(said, parts=(), error=None)),
        JobChanged(ADA, job),
        JobChanged(ADA, replace(job, result={"title": "A tale"}, state="done")),
    ]
    async with two(valkey.url) as (one, other):
        one.hub.announce(told)
        await other.hears(lambda: len(other.heard) >= len(told))
        assert other.heard == told == one.heard
        assert repr(other.heard) == repr(told)


async def test_an_event_that_is_too_large_is_read_from_the_log(valkey: Valkey):
    async with two(valkey.url) as (one, other):
        one.hub.announce([event(1, title="x" * 100_000), event(2)])
        await other.hears(lambda: len(other.heard) >= 2)
        assert other.heard == [Logged(ADA, TALE, 1), event(2)]


@pytest.mark.parametrize("fault", ["cut", "swallow"])
async def test_while_redis_is_away_there_is_a_lapse_within_two_seconds_and_then_no_more(
    valkey: Valkey, fault: str
):
    with FaultyProxy(valkey.port) as proxy:
        async with two(valkey.url, valkey.url_at(proxy.port)) as (one, other):
            proxy.cut() if fault == "cut" else proxy.swallow()
            one.hub.grow(piece(GenerationId("g"), 0, "not heard "))
            await other.hears(lambda: other.lapses > 0, seconds=2)
            await one.hears(lambda: one.lapses > 0, seconds=2)  # it does not hear the other
            assert other.hub.trouble is not None
            proxy.mend()
            await other.hears(lambda: other.hub.trouble is None, seconds=5)
            await one.hears(lambda: one.hub.trouble is None, seconds=5)
            await other.hears(lambda: other.text() == "not heard ")  # the stream still had it
            lapses = (one.lapses, other.lapses)
            other.hub.announce([event(1)])
            await one.hears(lambda: event(1) in one.heard)
            await asyncio.sleep(1.5)
            assert (one.lapses, other.lapses) == lapses


async def test_a_redis_that_was_started_again_and_holds_nothing_is_used_again(valkey: Valkey):
    async with two(valkey.url) as (one, other):
        valkey.kill()
        await other.hears(lambda: other.lapses > 0, seconds=2)
        valkey.start()
        await until(lambda: one.hub.trouble is None and other.hub.trouble is None, seconds=5)
        one.hub.announce([event(1)])
        await other.hears(lambda: event(1) in other.heard)


async def test_a_redis_that_is_frozen_is_a_lapse_too(valkey: Valkey):
    async with two(valkey.url) as (_one, other):
        valkey.send_signal(signal.SIGSTOP)
        try:
            await other.hears(lambda: other.lapses > 0, seconds=2.5)
        finally:
            valkey.send_signal(signal.SIGCONT)
        await until(lambda: other.hub.trouble is None, seconds=5)


async def test_a_process_that_lives_and_is_not_heard_is_a_lapse(valkey: Valkey):
    """One that cannot reach Redis, or was started without it, is known by its lease alone."""
    async with two(valkey.url) as (one, other):
        other.hub.note_others([one.boot_id, BootId(fresh_id())])
        await other.hears(lambda: other.lapses > 0, seconds=2.5)
        other.hub.note_others([one.boot_id])
        assert other.hub.trouble is None


async def test_what_did_not_fit_into_the_queue_is_a_lapse_for_the_others(valkey: Valkey):
    with FaultyProxy(valkey.port) as proxy:
        async with two(valkey.url_at(proxy.port), valkey.url) as (one, other):
            proxy.cut()
            await one.hears(lambda: one.lapses > 0, seconds=2)
            for seq in range(QUEUED * 2):
                one.hub.announce([event(seq)])
            await until(lambda: not one.hub._outgoing, seconds=5)
            proxy.mend()
            await until(lambda: one.hub.trouble is None and other.hub.trouble is None, seconds=5)
            one.hub.announce([event(QUEUED * 3)])
            await other.hears(lambda: event(QUEUED * 3) in other.heard)
            assert other.heard.index(event(QUEUED * 3)) > 0
            assert other.hub._numbers[one.boot_id] == one.hub._number


async def test_what_is_older_than_the_checkpoints_goes_out_of_the_stream(valkey: Valkey):
    key = "talekeeper:installation:live"
    there = Redis(port=valkey.port)
    for place in range(50):
        there.xadd(key, {"p": "x", "n": place, "d": b"\x90"}, id=f"1-{place}")
    async with two(valkey.url):
        await until(lambda: not there.xrange(key, "-", "2"), seconds=10)
    there.close()


async def test_two_installations_on_one_redis_do_not_hear_each_other(valkey: Valkey):
    async with two(valkey.url) as (one, other):
        stranger = Process(valkey.url)
        stranger.hub.begin("another installation")
        await stranger.listen()
        stranger.hub.announce([event(9)])
        one.hub.announce([event(1)])
        await other.hears(lambda: event(1) in other.heard)
        await asyncio.sleep(0.3)
        assert stranger.heard == [event(9)]
        assert event(9) not in other.heard
        await stranger.hub.leave()


async def test_what_was_told_last_is_heard_when_a_process_leaves(valkey: Valkey):
    async with two(valkey.url) as (one, other):
        one.hub.announce([event(1)])
        await one.hub.leave()
        await other.hears(lambda: event(1) in other.heard)


@pytest.mark.parametrize("half", ["_sender", "_hearer"])
async def test_a_process_leaves_though_its_client_turns_the_cancellation_into_a_timeout(
    valkey: Valkey, half: str, monkeypatch: pytest.MonkeyPatch
):
    async def timed_out(*_args: object, **_options: object) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise TimeoutError from None

    async with two(valkey.url) as (one, _other):
        client = getattr(one.hub, half)
        monkeypatch.setattr(client, "xadd", timed_out)
        monkeypatch.setattr(client, "xread", timed_out)
        await asyncio.sleep(0.6)  # each half of the connection waits in it
        await asyncio.wait_for(one.hub.leave(), 5)


async def test_no_password_is_in_the_log(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
):
    server = Valkey(password="open-sesame")
    server.start()
    try:
        async with two(server.url) as (one, other):
            one.hub.announce([event(1)])
            await other.hears(lambda: event(1) in other.heard)
            server.kill()
            await other.hears(lambda: other.lapses > 0, seconds=2)
            assert "sesame" not in (one.hub.trouble or "") + (other.hub.trouble or "")
    finally:
        server.kill()
    said = capfd.readouterr()
    assert "sesame" not in caplog.text + said.out + said.err
