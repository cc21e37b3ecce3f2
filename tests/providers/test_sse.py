"""Server-sent events are the same however the bytes were cut, and never grow without bound."""

import collections
import itertools
import time
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from talekeeper.providers.sse import MAX_EVENT, EventTooLarge, NotAnEventStream, SseReader

STREAM = (
    "\ufeff: a comment\r\n"
    "event: message\r\n"
    "data: one 🐉\r\n"
    "data:two\r\n"
    "id: 7\r\n"
    "\r\n"
    "\n"
    "data\n"
    "\n"
    "data:  led by a space\r"
    "retry: 10\r"
    "\r"
    "data: last"
).encode()
EVENTS = ["one 🐉\ntwo".encode(), b"", b" led by a space", b"last"]


def events(chunks: list[bytes]) -> list[bytes]:
    reader = SseReader()
    return [found for chunk in chunks for found in reader.feed(chunk)] + reader.finish()


def test_the_fields_of_an_event_are_read_as_the_standard_says() -> None:
    assert events([STREAM]) == EVENTS


@given(st.lists(st.integers(0, len(STREAM)), max_size=40))
def test_cuts_anywhere_change_nothing(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    chunks = [STREAM[start:end] for start, end in itertools.pairwise(places)]
    assert events(chunks) == EVENTS


def test_single_bytes_change_nothing() -> None:
    assert events([bytes([byte]) for byte in STREAM]) == EVENTS


@pytest.mark.parametrize(
    "chunk", [b"<!doctype html>\n", b'{"error": 1}\n', b"\x00\x01\xff\n", b"hello world\n"]
)
def test_what_is_no_field_is_refused(chunk: bytes) -> None:
    with pytest.raises(NotAnEventStream):
        SseReader().feed(chunk)


def test_fields_of_others_are_skipped() -> None:
    assert events([b"x-trace: 1\nfoo\ndata: a\n\n"]) == [b"a"]


@pytest.mark.parametrize("line", [b"data: " + b"x" * 5_000_000, b"data: x\n" * 700_000])
@pytest.mark.parametrize("size", [1024, 65_536, 5_000_000])
def test_an_event_of_5_mb_is_refused_soon_and_without_keeping_it(line: bytes, size: int) -> None:
    reader = SseReader()
    began = time.process_time()
    chunks = [line[start : start + size] for start in range(0, len(line), size)]
    with pytest.raises(NotAnEventStream):
        consume(map(reader.feed, chunks))
    assert time.process_time() - began < 2
    assert len(reader._pending) <= MAX_EVENT + size


def test_an_event_in_single_bytes_costs_no_more_than_its_length() -> None:
    reader = SseReader()
    began = time.process_time()
    for _ in range(300_000):
        reader.feed(b"x")
    assert time.process_time() - began < 2


def consume(results: Iterable[object]) -> None:
    collections.deque(results, maxlen=0)


ONE, TWO = b'data: {"a": 1}', b'data: {"b": "\xc3\xbc"}'


@pytest.mark.parametrize(
    "stream",
    [
        ONE + b"\n" + TWO + b"\n",
        ONE + b"\r\n" + TWO + b"\r\n",
        b"event: x\n" + ONE + b"\nevent: y\n" + TWO,
        ONE + b"\n  \n" + TWO + b"\n\t\n",
        b"   \n\n" + ONE + b"\n\n   \n" + TWO + b"\n\n",
        b"  " + ONE + b"\n\n " + TWO,
    ],
)
@pytest.mark.parametrize("size", [1, 3, 100])
def test_lines_that_are_documents_are_events_of_their_own(stream: bytes, size: int) -> None:
    chunks = [stream[start : start + size] for start in range(0, len(stream), size)]
    assert events(chunks) == [ONE[6:], TWO[6:]]


def test_once_single_line_ends_were_seen_an_event_waits_for_no_other() -> None:
    reader = SseReader()
    assert reader.feed(ONE + b"\n") == []
    assert reader.feed(TWO + b"\n") == [ONE[6:], TWO[6:]]
    assert reader.feed(ONE + b"\n") == [ONE[6:]]


def test_a_document_on_several_lines_is_one_event() -> None:
    assert events([b'data: {\ndata: "a": 1\ndata: }\n\n']) == [b'{\n"a": 1\n}']


def test_an_event_of_1_2_mb_is_taken_and_one_without_an_end_is_not() -> None:
    assert events([b"data: " + b"x" * 1_200_000 + b"\n\n"]) == [b"x" * 1_200_000]
    with pytest.raises(EventTooLarge):
        events([b"data: " + b"x" * (MAX_EVENT + 1)])
