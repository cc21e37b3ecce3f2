"""Two things that happen to an answer in one turn of the loop: bytes and the end of their time,
bytes and the end of their connection.

The server's loop counts whole milliseconds, calls what is due at once without a timer, and lets
timers go off before the reader that was woken runs.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from unittest.mock import Mock

import aiohttp
import pytest
from tests.providers.faulty_server import delta

from talekeeper.domain.replies import TextDelta
from talekeeper.errors import ProviderStreamCut
from talekeeper.providers.http import Line
from talekeeper.providers.openai_answers import OpenAIAnswer
from talekeeper.providers.patience import Patience
from talekeeper.providers.reach import Reach

LIMIT = 0.02
"""Seconds."""


@pytest.fixture
async def stream() -> aiohttp.StreamReader:
    return aiohttp.StreamReader(Mock(connected=True), 1 << 16)


@pytest.fixture
async def patience(stream: aiohttp.StreamReader) -> AsyncIterator[Patience]:
    patience = Patience(stream, first=LIMIT, stall=LIMIT)
    yield patience
    patience.end()


async def _out_of_time(
    stream: aiohttp.StreamReader, patience: Patience, come: Callable[[], object]
) -> "asyncio.Task[bytes]":
    """A reader waits; while `come` wakes it, its time runs out, and that is told before it runs."""
    reading = asyncio.create_task(stream.readany())
    await asyncio.sleep(0)
    come()
    time.sleep(2 * LIMIT)
    await asyncio.wait([reading], timeout=2)
    assert reading.done()
    assert isinstance(stream.exception(), TimeoutError)
    patience.renew(has_said_something=False, has_begun=True)
    return reading


@pytest.mark.req("R13")
async def test_what_comes_in_the_last_moment_is_read(
    stream: aiohttp.StreamReader, patience: Patience
):
    reading = await _out_of_time(stream, patience, lambda: stream.feed_data(b"late"))
    assert reading.result() == b"late"
    with pytest.raises(TimeoutError):
        await stream.readany()


@pytest.mark.req("R13")
async def test_bytes_that_come_when_the_time_is_over_already_are_taken_in(
    stream: aiohttp.StreamReader, patience: Patience
):
    patience.limit_to(-1)
    patience.renew(has_said_something=False, has_begun=True)
    patience.limit_to(-1)
    with pytest.raises(TimeoutError):
        await stream.readany()


@pytest.mark.req("R13")
async def test_a_reader_that_was_woken_for_nothing_hears_that_its_time_is_over(
    stream: aiohttp.StreamReader, patience: Patience
):
    stream.begin_http_chunk_receiving()
    stream.feed_data(b"said")
    assert await stream.readany() == b"said"
    reading = await _out_of_time(stream, patience, stream.end_http_chunk_receiving)
    assert isinstance(reading.exception(), TimeoutError)


@pytest.fixture
def line() -> Line:
    return Line(
        "http://127.0.0.1/v1",
        api_key=None,
        stall_seconds=5,
        first_token_seconds=5,
        reach=Reach.ANYWHERE,
        clock=None,
    )


@pytest.mark.req("R13")
async def test_a_connection_that_is_lost_under_its_reader_has_broken_off(line: Line):
    body = aiohttp.StreamReader(Mock(connected=False), 1 << 16)
    response = Mock(content=body, connection=None)
    with pytest.raises(ProviderStreamCut):
        await anext(line.heard(response, OpenAIAnswer("any")))


@pytest.mark.req("R13")
@pytest.mark.parametrize("error", [aiohttp.ClientPayloadError(), ConnectionResetError()])
async def test_words_that_came_before_their_connection_broke_are_the_replys(
    line: Line, stream: aiohttp.StreamReader, error: Exception
):
    """Both have happened before the reader has its turn, as on a busy machine."""
    stream.feed_data(delta("The door "))
    stream.feed_data(delta("opens."))
    stream.set_exception(error)
    heard = line.heard(Mock(content=stream, connection=None), OpenAIAnswer("any"))
    assert await anext(heard) == TextDelta("The door opens.")
    with pytest.raises(ProviderStreamCut):
        await anext(heard)
