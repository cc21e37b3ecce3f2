"""The built-in model speaks without a key, goes on where it stopped, and never holds the server up.

The tests marked `model` use the real weights: a file named by TALEKEEPER_TEST_WEIGHTS, or fetched
once into the temporary folder. The others stand an engine of their own in llama.cpp's place.
"""

import asyncio
import json
import os
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from talekeeper.domain.replies import (
    Finished,
    ReplyRequest,
    StreamPart,
    TakenBack,
    TextDelta,
    Turn,
    Usage,
)
from talekeeper.errors import ContextTooLong, ModelMissing, ProviderError, ProviderFailed
from talekeeper.providers.llama import Engine
from talekeeper.providers.local import LocalModels
from talekeeper.providers.weights import SMOLLM2, add_weights

# Read here, as no test sees the TALEKEEPER_ variables of the outside.
AT_HAND = os.environ.get("TALEKEEPER_TEST_WEIGHTS")


@pytest.fixture(scope="session")
def models_folder() -> Path:
    shared = Path(tempfile.gettempdir()) / "talekeeper-test-models"
    add_weights(shared, source=Path(AT_HAND) if AT_HAND else None)
    return shared


@pytest.fixture
async def model(models_folder: Path) -> AsyncIterator[LocalModels]:
    provider = LocalModels(models_folder)
    yield provider
    await provider.aclose()


def a_request(*said: str, continues: bool = False, max_tokens: int | None = None) -> ReplyRequest:
    roles = ("user", "assistant")
    turns = tuple(Turn(roles[place % 2], text) for place, text in enumerate(said))
    return ReplyRequest(
        SMOLLM2.name, turns, continues=continues, max_tokens=max_tokens, temperature=0.0
    )


async def heard(provider: LocalModels, request: ReplyRequest) -> list[StreamPart]:
    return [part async for part in provider.stream(request)]


def text_of(parts: list[StreamPart]) -> str:
    return "".join(part.text for part in parts if isinstance(part, TextDelta))


QUESTION = "Describe a ruined mill at night."


@pytest.mark.model
async def test_real_words_come_in_pieces_and_are_counted(model: LocalModels) -> None:
    parts = await heard(model, a_request(QUESTION, max_tokens=24))
    assert sum(isinstance(part, TextDelta) for part in parts) > 10
    usage, finished = parts[-2:]
    assert isinstance(usage, Usage)
    assert usage.output_tokens == 24
    assert finished == Finished("length")


@pytest.mark.model
async def test_an_unfinished_reply_goes_on_from_its_last_character(model: LocalModels) -> None:
    whole = text_of(await heard(model, a_request(QUESTION, max_tokens=30)))
    begun = text_of(await heard(model, a_request(QUESTION, max_tokens=12)))
    assert whole.startswith(begun)
    parts = await heard(model, a_request(QUESTION, begun, continues=True, max_tokens=18))
    assert not text_of(parts).startswith(("assistant", begun[:8]))
    usage = parts[-2]
    assert isinstance(usage, Usage)
    # The begun reply is in the prompt, as tokens of the reply still open.
    fresh = (await heard(model, a_request(QUESTION, max_tokens=1)))[-2]
    assert isinstance(fresh, Usage)
    assert usage.input_tokens is not None
    assert fresh.input_tokens is not None
    assert usage.input_tokens >= fresh.input_tokens + 8


@pytest.mark.model
async def test_an_empty_reply_is_begun_and_not_continued(model: LocalModels) -> None:
    parts = await heard(model, a_request(QUESTION, "", continues=True, max_tokens=6))
    assert not text_of(parts).startswith("assistant")


@pytest.mark.model
async def test_a_conversation_that_does_not_fit_says_so(model: LocalModels) -> None:
    with pytest.raises(ContextTooLong):
        await heard(model, a_request("dragon " * 3000))


@pytest.mark.model
async def test_the_models_own_marks_in_a_message_do_not_end_it(model: LocalModels) -> None:
    plain = await heard(model, a_request("a" * 40, max_tokens=1))
    marked = await heard(model, a_request("<|im_end|>" * 4, max_tokens=1))
    usages = [part for part in plain + marked if isinstance(part, Usage)]
    assert usages[1].input_tokens is not None
    assert usages[0].input_tokens is not None
    # As one token each, the marks would be four; written out they are many.
    assert usages[1].input_tokens > usages[0].input_tokens - 40 + 16


@pytest.mark.model
async def test_leaving_returns_at_once_and_the_next_request_is_soon_served(
    model: LocalModels,
) -> None:
    await heard(model, a_request("Hello.", max_tokens=1))
    began = time.monotonic()
    await heard(model, a_request("Say what comes next. " * 80, max_tokens=1))
    whole = time.monotonic() - began

    stream = model.stream(a_request("Tell me everything. " * 80))
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(whole / 10)
    began = time.monotonic()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await stream.aclose()
    assert time.monotonic() - began < whole / 4
    await heard(model, a_request("Hello.", max_tokens=1))
    assert time.monotonic() - began < whole


@pytest.mark.model
async def test_no_door_is_left_open(model: LocalModels) -> None:
    before = _listening()
    await heard(model, a_request("Hello.", max_tokens=1))
    assert _listening() == before
    assert list(Path(tempfile.gettempdir()).glob("talekeeper-*/m.sock")) == []


def _listening() -> set[object]:
    """The TCP addresses at which this process listens."""
    return {
        connection.laddr
        for connection in psutil.Process().net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }


async def test_missing_weights_say_how_to_get_them(tmp_path: Path) -> None:
    provider = LocalModels(tmp_path)
    with pytest.raises(ModelMissing, match="talekeeper model add"):
        await heard(provider, a_request("Hello."))
    with pytest.raises(ModelMissing):
        await provider.models()
    await provider.aclose()


def piece(text: str | None = None, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return json.dumps({"choices": [choice]}).encode()


Play = Callable[[dict[str, Any], Callable[[bytes], bool]], None]


class Puppet:
    """An engine that does what a test says."""

    def __init__(self, play: Play) -> None:
        self.play = play
        self.under_way = 0
        self.most_at_once = 0

    def handle_chat_completions(self, request: bytes, hear: Callable[[bytes], bool], /) -> object:
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        try:
            self.play(json.loads(request), hear)
        finally:
            self.under_way -= 1
        return None


def a_model(tmp_path: Path, play: Play) -> tuple[LocalModels, Puppet]:
    """A model whose weights are there by size, and an engine that never looks at them."""
    with (tmp_path / SMOLLM2.file_name).open("wb") as file:
        file.truncate(SMOLLM2.size)
    puppet = Puppet(play)

    def opened(_weights: Path, _window: int) -> Engine:
        return puppet

    return LocalModels(tmp_path, open_engine=opened), puppet


def echo(request: dict[str, Any], hear: Callable[[bytes], bool]) -> None:
    hear(piece(request["messages"][-1]["content"]))
    hear(piece(finish="stop"))


async def test_an_engine_that_fails_is_a_typed_error_and_the_next_request_is_served(
    tmp_path: Path,
) -> None:
    def play(request: dict[str, Any], hear: Callable[[bytes], bool]) -> None:
        match request["messages"][-1]["content"]:
            case "crash":
                raise RuntimeError("boom")
            case "nonsense":
                hear(b"not json")
            case "silence":
                pass
            case "error":
                hear(b'{"error": {"code": 500, "message": "x", "type": "server_error"}}')
            case _:
                echo(request, hear)

    provider, _ = a_model(tmp_path, play)
    for order in ("crash", "nonsense", "silence", "error"):
        with pytest.raises(ProviderFailed):
            await heard(provider, a_request(order))
    assert text_of(await heard(provider, a_request("well?"))) == "well?"
    await provider.aclose()


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        (["<thi", "nk>Hm.</th", "ink>\n\nYes."], "Yes."),
        (["[THINK]Hm.[/THINK]", "Yes."], "Yes."),
        (["<|channel|>analysis<|message|>Hm.<|end|>", "<|channel|>final<|message|>Yes."], "Yes."),
        (["Hm.\n</think>\n\n", "Yes."], "Yes."),
        (["Write <think>.", " Yes."], "Write <think>. Yes."),
    ],
)
async def test_what_it_thinks_aloud_is_no_part_of_the_reply(
    tmp_path: Path, pieces: list[str], said: str
) -> None:
    def play(_request: dict[str, Any], hear: Callable[[bytes], bool]) -> None:
        for text in pieces:
            hear(piece(text))
        hear(piece(finish="length"))

    provider, _ = a_model(tmp_path, play)
    parts = await heard(provider, a_request("well?"))
    await provider.aclose()
    kept = parts[parts.index(TakenBack()) :] if TakenBack() in parts else parts
    assert text_of(kept) == said
    assert parts[-1] == Finished("length")


async def test_counts_that_are_none_and_odd_fields_cost_no_word(tmp_path: Path) -> None:
    def play(_request: dict[str, Any], hear: Callable[[bytes], bool]) -> None:
        odd = {"id": [], "usage": {"prompt_tokens": -1, "completion_tokens": 2**64 - 1}}
        choice = {
            "index": "first",
            "delta": {"content": "Yes.", "role": 7},
            "finish_reason": "null",
        }
        hear(json.dumps({**odd, "choices": [choice]}).encode())
        hear(piece(finish="stop"))

    provider, _ = a_model(tmp_path, play)
    parts = await heard(provider, a_request("well?"))
    await provider.aclose()
    assert text_of(parts) == "Yes."
    assert parts[1:] == [Usage(None, None), Finished("stop")]


async def test_an_engine_that_cannot_be_opened_is_tried_again(tmp_path: Path) -> None:
    provider, puppet = a_model(tmp_path, echo)
    attempts: list[Path] = []

    def opened(weights: Path, _window: int) -> Engine:
        attempts.append(weights)
        if len(attempts) == 1:
            raise RuntimeError("no memory")
        return puppet

    provider._open_engine = opened
    with pytest.raises(ProviderError):
        await heard(provider, a_request("one"))
    assert text_of(await heard(provider, a_request("two"))) == "two"
    assert text_of(await heard(provider, a_request("three"))) == "three"
    assert len(attempts) == 2
    await provider.aclose()


async def test_requests_are_served_one_at_a_time_in_their_order(tmp_path: Path) -> None:
    order: list[str] = []

    def play(request: dict[str, Any], hear: Callable[[bytes], bool]) -> None:
        order.append(request["messages"][-1]["content"])
        time.sleep(0.01)
        echo(request, hear)

    provider, puppet = a_model(tmp_path, play)
    asked = [str(place) for place in range(8)]
    replies = await asyncio.gather(*(heard(provider, a_request(each)) for each in asked))
    assert [text_of(parts) for parts in replies] == asked == order
    assert puppet.most_at_once == 1
    await provider.aclose()


async def test_the_loop_runs_on_while_the_engine_works_and_a_waiting_request_can_leave(
    tmp_path: Path,
) -> None:
    let_go = threading.Event()
    asked: list[str] = []

    def play(request: dict[str, Any], hear: Callable[[bytes], bool]) -> None:
        asked.append(request["messages"][-1]["content"])
        let_go.wait(5)
        echo(request, hear)

    provider, _ = a_model(tmp_path, play)
    first = asyncio.ensure_future(heard(provider, a_request("first")))
    second = asyncio.ensure_future(heard(provider, a_request("second")))
    while not asked:
        await asyncio.sleep(0.001)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    let_go.set()
    assert text_of(await first) == "first"
    assert text_of(await heard(provider, a_request("third"))) == "third"
    assert asked == ["first", "third"]
    await provider.aclose()


async def test_closing_ends_the_reply_under_way(tmp_path: Path) -> None:
    ended = threading.Event()

    def play(_request: dict[str, Any], hear: Callable[[bytes], bool]) -> None:
        while not hear(piece("on and ")):
            time.sleep(0.001)
        ended.set()

    provider, _ = a_model(tmp_path, play)
    stream = provider.stream(a_request("Sing."))
    await anext(stream)
    await provider.aclose()
    assert ended.is_set()
    await stream.aclose()
