"""Server-sent events are the same however the bytes were cut, and never grow without bound."""

import collections
import itertools
import time
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from talekeeper.domain.replies import ReasoningDelta, TextDelta
from talekeeper.providers.sse import MAX_EVENT, NotAnEventStream, SseReader
from talekeeper.providers.thinking import Thinking

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


def thought_and_said(chunks: list[str]) -> tuple[str, str]:
    thinking = Thinking()
    parts = [part for chunk in chunks for part in thinking.parts(chunk)] + thinking.rest()
    thought = "".join(part.text for part in parts if isinstance(part, ReasoningDelta))
    said = "".join(part.text for part in parts if isinstance(part, TextDelta))
    return thought, said


@pytest.mark.parametrize(
    ("text", "thought", "said"),
    [
        ("Plain words.", "", "Plain words."),
        ("<think>hm</think>Yes.", "hm", "Yes."),
        ("\n<think>\nhm < 3 </thin\n</think>\n\nYes. <think>no</think>", "\nhm < 3 </thin\n", None),
        ("<think>never closed </thi", "never closed </thi", ""),
        ("<thi", "", "<thi"),
        ("  <b>bold</b>", "", "  <b>bold</b>"),
        ("", "", ""),
        ("<think></think>", "", ""),
        ("We <think> therefore", "", "We <think> therefore"),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_thinking_ends_where_it_says_however_it_is_cut(
    text: str, thought: str, said: str | None, size: int
) -> None:
    expected = "Yes. <think>no</think>" if said is None else said
    chunks = [text[start : start + size] for start in range(0, len(text), size)]
    assert thought_and_said(chunks) == (thought, expected)
