"""The scripted provider says what it was told to, byte for byte, and fails when it was told to."""

import asyncio
import time
import unicodedata
from dataclasses import replace

import pytest

from talekeeper.domain.replies import (
    Finished,
    ReasoningDelta,
    ReplyRequest,
    StreamPart,
    TextDelta,
    Turn,
    Usage,
)
from talekeeper.errors import (
    ContextTooLong,
    ModelMissing,
    ProviderError,
    ProviderFailed,
    ProviderRateLimited,
    ProviderRefusedKey,
    ProviderSentGarbage,
    ProviderStalled,
    ProviderStreamCut,
    ProviderUnreachable,
)
from talekeeper.providers.scripted import (
    MARKDOWN,
    End,
    Fail,
    Hang,
    Script,
    Scripted,
    Think,
    Wait,
    scripted_pieces,
    scripted_text,
)


def a_request(message: str, said: str | None = None) -> ReplyRequest:
    turns = (Turn("system", "Be brief."), Turn("user", message))
    if said is None:
        return ReplyRequest("scripted", turns)
    return ReplyRequest("scripted", (*turns, Turn("assistant", said)), continues=True)


async def heard(
    provider: Scripted, request: ReplyRequest
) -> tuple[list[StreamPart], ProviderError | None]:
    parts: list[StreamPart] = []
    try:
        async for part in provider.stream(request):
            parts.append(part)
    except ProviderError as error:
        return parts, error
    return parts, None


def text_of(parts: list[StreamPart]) -> str:
    return "".join(part.text for part in parts if isinstance(part, TextDelta))


def unhurried() -> Scripted:
    return Scripted(pace=0, stall_seconds=0.05)


async def test_without_orders_it_says_what_it_is_and_quotes_what_was_asked() -> None:
    parts, error = await heard(unhurried(), a_request("Who waits\nat the ford?"))
    assert error is None
    assert "scripted demonstration" in text_of(parts)
    assert "“Who waits at the ford?”" in text_of(parts)
    assert len(parts) > 20
    assert isinstance(parts[-2], Usage)
    assert parts[-1] == Finished("stop")


async def test_tokens_are_the_known_text_in_as_many_pieces() -> None:
    parts, _ = await heard(unhurried(), a_request("Go on. [[tokens 200]]"))
    assert text_of(parts) == scripted_text(200)
    assert [part.text for part in parts if isinstance(part, TextDelta)] == scripted_pieces(200)


def test_the_known_text_holds_what_breaks_careless_code() -> None:
    text = scripted_text(100)
    assert any(ord(letter) > 0xFFFF for letter in text)
    assert any(unicodedata.combining(letter) for letter in text)
    assert "\u200d" in text
    assert unicodedata.normalize("NFC", text) != text
    assert any(unicodedata.combining(piece[0]) for piece in scripted_pieces(100))


def test_the_known_text_of_more_begins_with_that_of_less() -> None:
    assert scripted_text(500).startswith(scripted_text(499))


async def test_say_markdown_think_and_finish_are_obeyed() -> None:
    parts, _ = await heard(
        unhurried(), a_request("[[think Hm.]] [[say Well met.\\nSit!]] [[finish length]]")
    )
    assert parts[0] == ReasoningDelta("Hm.")
    assert text_of(parts) == "Well met.\nSit!"
    assert parts[-1] == Finished("length")
    parts, _ = await heard(unhurried(), a_request("[[markdown]]"))
    assert text_of(parts) == MARKDOWN


async def test_the_pace_is_kept() -> None:
    began = time.monotonic()
    await heard(unhurried(), a_request("[[tokens 10]] [[pace 20ms]]"))
    assert time.monotonic() - began >= 0.2


@pytest.mark.parametrize(
    ("order", "kind"),
    [
        ("fail 401", ProviderRefusedKey),
        ("fail 429", ProviderRateLimited),
        ("fail 500", ProviderFailed),
        ("fail unreachable", ProviderUnreachable),
        ("fail garbage", ProviderSentGarbage),
        ("fail context", ContextTooLong),
        ("fail missing", ModelMissing),
        ("fail nonsense", ProviderFailed),
        ("fail", ProviderFailed),
        ("stall", ProviderStalled),
        ("cut", ProviderStreamCut),
    ],
)
async def test_each_fault_comes_where_it_was_ordered(order: str, kind: type[ProviderError]) -> None:
    parts, error = await heard(unhurried(), a_request(f"[[tokens 20]] [[{order} after 7]]"))
    assert type(error) is kind
    assert text_of(parts) == scripted_text(7)
    parts, error = await heard(unhurried(), a_request(f"[[{order}]]"))
    assert type(error) is kind
    assert parts == []


async def test_a_fault_ordered_once_is_gone_at_the_second_try() -> None:
    provider = unhurried()
    request = a_request("[[tokens 5]] [[fail 429 after 2 once retry 3]]")
    _, error = await heard(provider, request)
    assert error is not None
    assert error.retry_after == 3
    parts, error = await heard(provider, request)
    assert error is None
    assert text_of(parts) == scripted_text(5)


@pytest.mark.parametrize("length", [0, 1, 37, 100, 10_000])
async def test_a_reply_goes_on_exactly_where_its_text_stops(length: int) -> None:
    whole = scripted_text(50)
    begun = whole[:length]
    parts, error = await heard(unhurried(), a_request("[[tokens 50]] [[cut after 9]]", said=begun))
    assert error is None
    assert begun + text_of(parts) == whole


async def test_a_reply_that_it_did_not_write_goes_on_somehow() -> None:
    parts, error = await heard(unhurried(), a_request("[[tokens 5]]", said="Else."))
    assert error is None
    assert text_of(parts)


async def test_a_script_is_played_step_by_step() -> None:
    refused = ProviderFailed("No.")
    script = Script(["one ", Wait(0), "two", End("filtered")], [Think("hm"), "x", Fail(refused)])
    provider = Scripted(script)
    parts, _ = await heard(provider, a_request("a"))
    assert text_of(parts) == "one two"
    assert parts[-1] == Finished("filtered")
    parts, error = await heard(provider, a_request("b"))
    assert parts == [ReasoningDelta("hm"), TextDelta("x")]
    assert error is refused
    assert [request.turns[-1].content for request in script.asked] == ["a", "b"]


async def test_a_gate_lets_pieces_out_one_by_one() -> None:
    script = Script(["a", "b", "c"], gated=True)
    provider = Scripted(script)
    task = asyncio.ensure_future(heard(provider, a_request("Go.")))
    script.release()
    await script.until_said(1)
    assert script.said == 1
    script.release(2)
    parts, _ = await task
    assert text_of(parts) == "abc"


async def test_hanging_ends_when_the_generator_is_closed() -> None:
    stream = Scripted(Script(["a", Hang()])).stream(a_request("Go."))
    assert await anext(stream) == TextDelta("a")
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await stream.aclose()


async def test_it_is_asked_for_a_title_only_where_a_message_orders_one() -> None:
    ordered = ReplyRequest("scripted", (Turn("user", "Hello. [[title The Mill]] [[fail 500]]"),))
    plain = ReplyRequest("scripted", (Turn("user", "Hello."),))
    provider = Scripted(pace=0)
    assert provider.can_title(ordered)
    assert not provider.can_title(plain)
    said = [
        part.text
        async for part in provider.stream(replace(ordered, is_for_title=True))
        if isinstance(part, TextDelta)
    ]
    assert "".join(said) == "The Mill"
