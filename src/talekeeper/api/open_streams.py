"""The event streams that are open in this process: how many an account has, and what each follows.

A request to change a stream may reach another server process than the one that holds it: the hub passes
it on, and the answer back.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Final

from talekeeper.conversations.following import (
    Follower,
    Place,
)
from talekeeper.errors import InvalidInput, NotFound, TooManyAtOnce
from talekeeper.ids import AccountId, ConversationId, canonical_id, fresh_id
from talekeeper.keeper import Keeper
from talekeeper.live import FollowAnswered, FollowAsked, Hub, StreamTopic, Subscription
from talekeeper.tasks import Duty

MOST_FOLLOWED: Final = 32
"""Conversations that one stream follows at once."""
AGAIN: Final = 5
"""Seconds after which a client that has too many streams may ask whether one has ended."""
ANSWER_SECONDS: Final = 1.0
"""How long the process that holds a stream may take to answer another one."""
_DUTY: Final = Duty(
    "event streams", "A page whose requests reach another server process opens its stream again."
)
_NO_SUCH_STREAM: Final = "There is no such event stream here. Open another one."
TOO_MANY: Final = f"One stream follows {MOST_FOLLOWED} conversations at most."


def parsed_follows(texts: list[str]) -> dict[ConversationId, Place | None]:
    """Conversations by id, each with the place it is followed from. Raises InvalidInput."""
    follows: dict[ConversationId, Place | None] = {}
    for text in texts:
        name, at, seq = text.partition("@")
        if at and not (seq.isascii() and seq.isdigit() and len(seq) <= 16):
            raise InvalidInput("A follow is a conversation's id, or ID@SEQ.")
        follows[ConversationId(canonical_id(name))] = Place(int(seq)) if at else None
    return follows


class Streams:
    """The event streams that are open in this process: how many an account has, and the account
    streams by their ids. Made by `open_streams`.
    """

    def __init__(self, hub: Hub, requests: Subscription, *, at_once: int) -> None:
        self._hub = hub
        self._requests = requests
        self._at_once = at_once
        self._open: dict[str, Follower] = {}
        self._counts: Counter[AccountId] = Counter()

    def enter(self, account_id: AccountId) -> None:
        """One more stream of the account's opens. Raises TooManyAtOnce."""
        if self._at_once and self._counts[account_id] >= self._at_once:
            raise TooManyAtOnce(
                f"{self._at_once:,} event streams at once is the limit of this server. Close a page "
                "or a program that follows it.",
                seconds=AGAIN,
            )
        self._counts[account_id] += 1

    def leave(self, account_id: AccountId) -> None:
        """A stream of the account's has ended."""
        self._counts[account_id] -= 1
        if not self._counts[account_id]:
            del self._counts[account_id]

    def add(self, stream_id: str, follower: Follower) -> None:
        self._open[stream_id] = follower
        self._requests.add(StreamTopic(stream_id))

    def drop(self, stream_id: str) -> None:
        self._open.pop(stream_id, None)
        self._requests.drop(StreamTopic(stream_id))

    async def change(
        self, stream_id: str, account_id: AccountId, *, follow: list[str], unfollow: list[str]
    ) -> list[str]:
        """What the account's stream follows once it is changed, in whichever process it is open.

        Raises NotFound where no process that answers has such a stream, InvalidInput for a `follow`
        that is none, and where it would follow too much.
        """
        if stream_id in self._open or not self._hub.reaches_others:
            return self._changed(stream_id, account_id, follow=follow, unfollow=unfollow)
        answer_to = fresh_id()
        answers = await self._hub.subscribe([StreamTopic(answer_to)])
        try:
            asked = FollowAsked(stream_id, account_id, follow, unfollow, answer_to)
            self._hub.tell(StreamTopic(stream_id), asked)
            async with asyncio.timeout(ANSWER_SECONDS):
                while not answers.is_over:
                    for notice in await answers.take():
                        if isinstance(notice, FollowAnswered):
                            return _answered(notice)
        except TimeoutError:
            pass
        finally:
            answers.close()
        raise NotFound(_NO_SUCH_STREAM)

    async def answer_forever(self) -> None:
        """Carry out what other processes are asked of the streams that are open here."""
        while not self._requests.is_over:
            for notice in await self._requests.take():
                if isinstance(notice, FollowAsked) and notice.stream_id in self._open:
                    self._hub.tell(StreamTopic(notice.answer_to), self._answer(notice))
        await asyncio.get_running_loop().create_future()  # the hub is closed: no request comes

    def _answer(self, asked: FollowAsked) -> FollowAnswered:
        try:
            following = self._changed(
                asked.stream_id, asked.account_id, follow=asked.follow, unfollow=asked.unfollow
            )
        except (InvalidInput, NotFound) as error:
            return FollowAnswered([], error.code, error.message)
        return FollowAnswered(following)

    def _changed(
        self, stream_id: str, account_id: AccountId, *, follow: list[str], unfollow: list[str]
    ) -> list[str]:
        follower = self._open.get(stream_id)
        if follower is None or follower.owner_id != account_id:
            raise NotFound(_NO_SUCH_STREAM)
        follows = parsed_follows(follow)
        unfollows = {ConversationId(each) for each in unfollow} - follows.keys()
        if len(follower.following - unfollows | follows.keys()) > MOST_FOLLOWED:
            raise InvalidInput(TOO_MANY)
        for conversation_id in unfollows:
            follower.unfollow(conversation_id)
        for conversation_id, place in follows.items():
            follower.follow(conversation_id, place)
        return sorted(follower.following)


def _answered(answer: FollowAnswered) -> list[str]:
    match answer.code:
        case None:
            return answer.following
        case InvalidInput.code:
            raise InvalidInput(answer.message)
        case _:
            raise NotFound(answer.message)


@asynccontextmanager
async def open_streams(keeper: Keeper) -> AsyncGenerator[Streams]:
    """The streams of this process, which other processes can ask for until the end of the block."""
    streams = Streams(
        keeper.hub, await keeper.hub.subscribe(()), at_once=keeper.settings.streams_at_once
    )
    task = keeper.tasks.start(_DUTY, streams.answer_forever())
    try:
        yield streams
    finally:
        await keeper.tasks.stop(task)


@contextmanager
def entered(streams: Streams, account_id: AccountId) -> Iterator[Callable[[], None]]:
    """One more stream of the account's, unless the block fails; it ends by the call given."""
    streams.enter(account_id)
    leave = partial(streams.leave, account_id)
    try:
        yield leave
    except BaseException:
        leave()
        raise
