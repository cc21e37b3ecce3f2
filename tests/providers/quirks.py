"""What real servers send that no documentation says, as a table: what came of each, and what should.

    python -m tests.providers.quirks            # runs them all, and prints what was expected and came

Each row is a model: `Quirk.name` is its name, and a server on this machine answers a request for it
with the row's bytes, on the wire that the provider speaks. Talekeeper is the whole server before it.
"""

import asyncio
import contextlib
import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import unquote

from servers import Client, served

STALL: Final = 9.0
"""Seconds after which a silent model is given up."""
TEXT: Final = "The mill stands still. “Who is there?” 🐉"
THOUGHT: Final = "The players are afraid. Keep it short."


def event(value: object) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def halves(text: str = TEXT) -> tuple[str, str]:
    return text[:11], text[11:]


def cut(text: str, size: int = 3) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


class Wire(Protocol):
    """How a provider words what all of them say."""

    reasons: Mapping[str, str]

    def piece(self, text: str, finish: object = None, **odd: object) -> bytes:
        """Words, a reason beside them where one is given, and odd fields beside both."""
        ...

    def end(self, reason: str = "stop") -> bytes: ...

    def counts(self, told: object, said: object) -> bytes: ...

    def whole(self, text: str) -> bytes:
        """The whole reply in a field for whole replies; empty where the wire has none."""
        ...


class OpenAI:
    reasons: Mapping[str, str] = {"length": "length", "content_filter": "filtered"}
    done = b"data: [DONE]\n\n"

    def piece(self, text: str, finish: object = None, **odd: object) -> bytes:
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish, **odd}
        return event({"id": "c", "object": "chat.completion.chunk", "choices": [choice]})

    def end(self, reason: str = "stop") -> bytes:
        return event({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}) + self.done

    def counts(self, told: object, said: object) -> bytes:
        return event({"choices": [], "usage": {"prompt_tokens": told, "completion_tokens": said}})

    def whole(self, text: str) -> bytes:
        message = {"role": "assistant", "content": text}
        return event({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})


class Claude:
    reasons: Mapping[str, str] = {
        "max_tokens": "length",
        "model_context_window_exceeded": "length",
        "refusal": "refused",
    }
    done = event({"type": "message_stop"})

    def piece(self, text: str, finish: object = None, **odd: object) -> bytes:
        delta = {"type": "text_delta", "text": text}
        said = event({"type": "content_block_delta", "index": 0, "delta": delta, **odd})
        return said if finish is None else said + self._reason(finish)

    def end(self, reason: str = "end_turn") -> bytes:
        return self._reason(reason) + self.done

    def counts(self, told: object, said: object) -> bytes:
        usage = {"input_tokens": told, "output_tokens": said}
        return event({"type": "message_start", "message": {"content": [], "usage": usage}})

    def whole(self, text: str) -> bytes:
        return b""

    def _reason(self, reason: object) -> bytes:
        return event({"type": "message_delta", "delta": {"stop_reason": reason}})


class Gemini:
    reasons: Mapping[str, str] = {
        "MAX_TOKENS": "length",
        "SAFETY": "filtered",
        "RECITATION": "filtered",
    }
    done = b""

    def piece(self, text: str, finish: object = None, **odd: object) -> bytes:
        content = {"role": "model", "parts": [{"text": text}]}
        candidate = {"content": content, "finishReason": finish, "index": 0, **odd}
        return event({"candidates": [candidate]})

    def end(self, reason: str = "STOP") -> bytes:
        return self.piece("", reason)

    def counts(self, told: object, said: object) -> bytes:
        usage = {"promptTokenCount": told, "candidatesTokenCount": said}
        return event({"candidates": [], "usageMetadata": usage})

    def whole(self, text: str) -> bytes:
        return b""


OPENAI, CLAUDE, GEMINI = OpenAI(), Claude(), Gemini()
WIRES: Final[dict[str, Any]] = {
    "openai": OPENAI,
    "ollama": OPENAI,
    "anthropic": CLAUDE,
    "google": GEMINI,
}
STOPS: Final = {"openai": "stop", "ollama": "stop", "anthropic": "end_turn", "google": "STOP"}
NUMBERS: Final = (18446744073709551615, -1, 2**53 + 1, 1.5, "many", [7], {"n": 7}, True, None)


@dataclass(frozen=True)
class Came:
    """What a game master has of a reply."""

    content: str
    status: str = "complete"
    finish_reason: str | None = "stop"
    error: str | None = None
    """Its code and a word of what it says, as `code: word`."""
    counts: tuple[int | None, int | None] = (None, None)


@dataclass(frozen=True)
class Quirk:
    """One row: what a server sends, and what should come of it. A number is a pause in seconds."""

    provider: str
    name: str
    sent: Sequence[bytes | float]
    expected: Came
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    ends: bool = True
    """The server ends the answer; without it, it holds the connection open."""
    twice: bool = False
    """It is asked for a second reply, which is looked at."""

    @property
    def id(self) -> str:
        return f"{self.provider}: {self.name}"


def _on_every_wire(provider: str) -> Iterator[Quirk]:
    wire, stop = WIRES[provider], STOPS[provider]
    one, two = halves()

    def row(name: str, *sent: bytes | float, comes: Came | None = None, **how: Any) -> Quirk:
        return Quirk(provider, name, sent, comes or Came(TEXT), **how)

    words = [wire.piece(text) for text in halves()]
    yield row(
        "as documented", *words, wire.counts(17, 42), wire.end(), comes=Came(TEXT, counts=(17, 42))
    )
    yield row(
        "a reason with every piece, and long pauses",
        *(wire.piece(one[:5], stop), 2.6, wire.piece(one[5:], stop), 6.0, wire.piece(two, stop)),
    )
    yield row(
        "a reason with every piece, open", *(wire.piece(t, stop) for t in halves()), ends=False
    )
    yield row("words after the reason", wire.piece(one, stop), 1.0, wire.piece(two))
    yield row("a reason before the first word", wire.piece("", stop), 6.0, *words, wire.end())
    yield row(
        "cut after words that came after a reason",
        *(wire.piece(one, stop), wire.piece(two), b'data: {"half'),
        comes=Came(TEXT, "failed", None, "provider_stream_cut: broke off"),
    )
    for none in ("null", "", "none", "None"):
        yield row(
            f"the text {none!r} for no reason",
            *(wire.piece(one, none), 2.6, wire.piece(two, none), wire.end()),
        )
    yield row("an end that stays open", *words, wire.piece("", stop), ends=False)
    for number in NUMBERS:
        yield row(f"{number!r} for a count", *words, wire.counts(number, number), wire.end())
    yield row(
        "whole counts as floats and digits",
        *(*words, wire.counts(17.0, "42"), wire.end()),
        comes=Came(TEXT, counts=(17, 42)),
    )
    for odd in ("0", 0.0, None, [], {}, "first"):
        yield row(
            f"{odd!r} for an index",
            *(wire.piece(t, index=odd) for t in halves()),
            wire.end(),
        )
    for mark in ("think", "thinking", "thought", "THINK"):
        opening, closing = (
            (f"[{mark}]", f"[/{mark}]") if mark.isupper() else (f"<{mark}>", f"</{mark}>")
        )
        marked = f"{opening}\n{THOUGHT}\n{closing}\n\n{TEXT}"
        yield row(f"{opening} before the reply", *map(wire.piece, cut(marked)), wire.end())
        unopened = f"{THOUGHT}\n{closing}\n\n{TEXT}"
        yield row(f"only {closing} before the reply", *map(wire.piece, cut(unopened)), wire.end())
    unopened = f"{THOUGHT}</think>{TEXT}"
    yield row("only </think>, no line ends", *map(wire.piece, cut(unopened, 4)), wire.end())
    yield row("only </think>, asked twice", wire.piece(unopened), wire.end(), twice=True)
    harmony = (
        f"<|channel|>analysis<|message|>{THOUGHT}<|end|><|start|>assistant<|channel|>final<|message|>"
        f"{TEXT}<|return|>"
    )
    yield row("harmony's channels", *map(wire.piece, cut(harmony)), wire.end())
    yield row(
        "harmony's channels, begun",
        *map(wire.piece, cut(f"<|start|>assistant{harmony}")),
        wire.end(),
    )
    for text in (
        "Write <think> first, and </think> behind it.",
        "The closing mark is `</think>`. Mind it.",
        "```\n</think>\n```\nis how it ends.",
        "A </think> within a sentence.",
        "[Goblin]: 17\n[Guard]: Halt!",
        "<thin ice> ahead, and <b>bold</b>",
        "<|channel 5|> is on the air.",
        "What follows </think>",
    ):
        yield row(
            f"the reply {text!r}", *map(wire.piece, cut(text, 2)), wire.end(), comes=Came(text)
        )
    yield row(
        "a line of blanks as a sign of life", b"  \n\n", b" \n", *words, b"   \r\n\n", wire.end()
    )
    single = b"".join([*words, wire.end()]).replace(b"\n\n", b"\n")
    yield row("events parted by single line ends", single)
    apart = [each.replace(b"\n\n", b"\n") for each in [*words, wire.end()]]
    yield row("events parted by single line ends, slowly", apart[0], 0.3, apart[1], 0.3, *apart[2:])
    yield row("the last event without its line ends", *words, wire.end().rstrip())
    long = "dragon " * (1_200_000 // 7)
    yield row("an event of 1.2 MB", wire.piece(long), wire.end(), comes=Came(long))
    yield row(
        "Content-Encoding: br",
        b"\x0b\x02\x80abc\x03",
        headers={"Content-Encoding": "br"},
        comes=Came("", "failed", None, "provider_sent_garbage: compressed"),
    )
    yield row(
        "an event too large to take",
        *(wire.piece(one), b"data: " + b"x" * 5_000_000),
        comes=Came(one, "failed", None, "provider_sent_garbage: larger"),
    )
    yield row(
        "no event in the middle of events",
        *(wire.piece(one), b"<html>busy</html>\n"),
        comes=Came(one, "failed", None, "provider_sent_garbage: In the middle"),
    )
    for reason, kept in wire.reasons.items():
        yield row(
            f"ended for {reason}", *words, wire.end(reason), comes=Came(TEXT, finish_reason=kept)
        )


def _on_the_openai_wire(provider: str) -> Iterator[Quirk]:
    one, two = halves()

    def choices(*several: object, **odd: object) -> bytes:
        return event({"choices": several, **odd})

    def choice(text: object, index: int = 0, **odd: object) -> dict[str, object]:
        return {"index": index, "delta": {"content": text}, "finish_reason": None, **odd}

    def row(name: str, *sent: bytes | float, comes: Came | None = None, **how: Any) -> Quirk:
        return Quirk(provider, name, sent, comes or Came(TEXT), **how)

    def document(name: str, value: object, comes: Came | None = None) -> Quirk:
        return row(name, json.dumps(value).encode(), comes=comes)

    words, end, done = [OPENAI.piece(text) for text in halves()], OPENAI.end(), OPENAI.done
    no_endpoint = Came("", "failed", None, "provider_rejected: not to requests of this kind")
    busy = event({"error": {"code": 429, "message": "busy"}})
    limited = Came("", "failed", None, "provider_rate_limited: no more requests")
    yield row(
        "an error after an opening with a reason", OPENAI.piece("", "stop"), busy, comes=limited
    )
    yield row("[DONE] and no reason", *words, done, comes=Came(TEXT, finish_reason=None))
    yield row("the whole in a last event", *words, OPENAI.whole(TEXT), done)
    yield row(
        "the whole after the reason", *words, OPENAI.piece("", "stop"), OPENAI.whole(TEXT), done
    )
    beside = {"index": 0, "delta": {}, "message": {"content": TEXT}, "finish_reason": "stop"}
    yield row("the whole beside an empty delta", *words, choices(beside), done)
    yield row(
        "the whole without its outer blanks",
        OPENAI.piece(f" {one}"),
        OPENAI.piece(two),
        OPENAI.whole(TEXT),
        done,
        comes=Came(f" {TEXT}"),
    )
    yield row(
        "the whole without what was thought",
        OPENAI.piece(f"<think>{THOUGHT}</think>"),
        *words,
        OPENAI.whole(TEXT),
        done,
    )
    yield row("the whole with more than its pieces", words[0], OPENAI.whole(TEXT), done)
    pieces = [choices({"index": 0, "message": {"content": t}}) for t in ("ha", "ha", " ha")]
    yield row("pieces in fields for a message", *pieces, end, comes=Came("haha ha"))
    yield row(
        "a piece that repeats all before it",
        OPENAI.piece("ha"),
        OPENAI.piece("ha"),
        end,
        comes=Came("haha"),
    )
    yield row(
        "the only choice has index 1",
        *(choices(choice(t, 1)) for t in halves()),
        choices(choice("", 1, finish_reason="stop")),
        done,
    )
    both = [choices(choice(f"not {t}", 1), choice(t, 0)) for t in halves()]
    yield row("two choices, the second first", *both, end)
    other = [
        each for t in halves() for each in (choices(choice(t, 1)), choices(choice(f"not {t}", 0)))
    ]
    yield row(
        "two choices in events of their own",
        *other,
        choices(choice("", 1, finish_reason="stop")),
        done,
    )
    yield row("null among the choices", *(choices(None, choice(t)) for t in halves()), end)
    parts = [{"type": "text", "text": one}, {"type": "text", "text": None}, two]
    yield row("content in parts, texts and nothing", choices(choice(parts)), end)
    cited = [{"type": "text", "text": TEXT}, {"type": "reference", "reference_ids": [1]}]
    yield row("content with a reference", choices(choice(cited)), end)
    thought = [{"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]}]
    yield row("content that is thinking", choices(choice(thought)), *words, end)
    yield row("a text for a delta", *(choices({"index": 0, "delta": t}) for t in halves()), end)
    yield row(
        "the older `text` of a choice", *(choices({"index": 0, "text": t}) for t in halves()), end
    )
    refusals = [choices({"index": 0, "delta": {"refusal": t}}) for t in halves()]
    yield row(
        "a refusal in a field of its own", *refusals, end, comes=Came(TEXT, finish_reason="refused")
    )
    nothing = {"code": 0, "message": ""}
    yield row(
        "an error of code 0 beside words",
        *(choices(choice(t), error=nothing) for t in halves()),
        end,
    )
    yield row(
        "an error without content",
        *(choices(choice(t), error={"message": None}) for t in halves()),
        end,
    )
    last = choices(choice(two), error={"code": 502, "message": "gone"})
    yield row(
        "an error beside the last words",
        words[0],
        last,
        comes=Came(TEXT, "failed", None, "provider_failed: fault"),
    )
    odd = {
        "id": [],
        "created": "now",
        "model": {},
        "object": 7,
        "usage": "none",
        "system_fingerprint": 1,
    }
    yield row("odd fields beside the choices", *(choices(choice(t), **odd) for t in halves()), end)
    within = {"role": 7, "reasoning": [], "reasoning_content": 5, "tool_calls": "none"}
    yield row(
        "odd fields beside the words",
        *(choices({"index": 0, "delta": {"content": t, **within}}) for t in halves()),
        end,
    )
    yield document(
        "an error about the endpoint, status 200",
        {"error": "Unexpected endpoint or method. (POST /chat/completions)"},
        no_endpoint,
    )
    yield document(
        "the same as an object",
        {"error": {"message": "Invalid URL (POST /v1/v1/chat/completions)", "code": "unknown_url"}},
        no_endpoint,
    )
    yield row("a bare “404 page not found”", b"404 page not found\n", comes=no_endpoint)
    message = {"index": 0, "message": {"content": TEXT}, "finish_reason": "length"}
    yield document(
        "one document in place of a stream",
        {"choices": [message]},
        Came(TEXT, finish_reason="length"),
    )
    lines = b"\n".join(
        each.removeprefix(b"data: ").strip() for each in [*words, end.replace(done, b"")]
    )
    yield row("one event a line, without `data:`", lines)
    yield row(
        "a byte order mark before a document",
        b"\xef\xbb\xbf" + json.dumps({"choices": [message]}).encode(),
        comes=Came(TEXT, finish_reason="length"),
    )


def _on_claudes_wire() -> Iterator[Quirk]:
    one, _ = halves()

    def row(name: str, *sent: bytes | float, comes: Came | None = None) -> Quirk:
        return Quirk("anthropic", name, sent, comes or Came(TEXT))

    def begun(text: object) -> bytes:
        block = {"type": "text", "text": text}
        return event({"type": "content_block_start", "index": 0, "content_block": block})

    words, end = [CLAUDE.piece(text) for text in halves()], CLAUDE.end()
    yield row("a block that begins with its first piece", begun(one), *words, end)
    yield row("a block that begins with words of its own", begun(one), words[1], end)
    yield row(
        "a block that is all in its beginning",
        begun(TEXT),
        event({"type": "content_block_stop"}),
        end,
    )
    yield row(
        "a piece that repeats the one before",
        begun(""),
        CLAUDE.piece("ha"),
        CLAUDE.piece("ha"),
        end,
        comes=Came("haha"),
    )
    yield row(
        "message_stop and no reason", *words, CLAUDE.done, comes=Came(TEXT, finish_reason=None)
    )
    whole = {
        "type": "message",
        "content": [{"type": "text", "text": TEXT}],
        "stop_reason": "max_tokens",
        "usage": {"input_tokens": 17, "output_tokens": 42},
    }
    yield row(
        "one document in place of a stream",
        json.dumps(whole).encode(),
        comes=Came(TEXT, finish_reason="length", counts=(17, 42)),
    )
    yield row(
        "a text for a message", event({"type": "message_start", "message": "hello"}), *words, end
    )
    yield row("an error that is none", *(CLAUDE.piece(t, error={"code": 0}) for t in halves()), end)


def _on_geminis_wire() -> Iterator[Quirk]:
    def row(name: str, *sent: bytes | float, comes: Came | None = None) -> Quirk:
        return Quirk("google", name, sent, comes or Came(TEXT))

    def parts(*several: object, **odd: object) -> bytes:
        return event({"candidates": [{"content": {"parts": several}, **odd}]})

    one, _ = halves()
    words, end = [GEMINI.piece(text) for text in halves()], GEMINI.end()
    for odd in ("no", 0, None, [], "false"):
        yield row(
            f"{odd!r} for a thought", *(parts({"text": t, "thought": odd}) for t in halves()), end
        )
    yield row(
        "parts of which some are none",
        parts({"text": None}, one, None, {"inlineData": {}}),
        words[1],
        end,
    )
    yield row(
        "the only candidate has index 1",
        *(parts({"text": t}, index=1) for t in halves()),
        parts(index=1, finishReason="STOP"),
    )
    whole = [json.loads(each.removeprefix(b"data: ")) for each in [*words, end]]
    yield row("a list of events in place of a stream", json.dumps(whole).encode())
    yield row(
        "an error that is none",
        *(each.replace(b'{"candidates"', b'{"error": {"code": 0}, "candidates"') for each in words),
        end,
    )


def table() -> list[Quirk]:
    """Every row."""
    rows: list[Quirk] = []
    for provider in WIRES:
        rows += _on_every_wire(provider)
    rows += _on_the_openai_wire("openai")
    rows += _on_the_openai_wire("ollama")
    rows += [*_on_claudes_wire(), *_on_geminis_wire()]
    return rows


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    rows: Mapping[tuple[str, str], Quirk]
    is_over: threading.Event

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        provider = self.path.split("/")[1]
        model = body.get("model") or unquote(self.path.rpartition("/models/")[2].rpartition(":")[0])
        row = self.rows[provider, model]
        self.close_connection = True
        self.send_response(200)
        headers = {"Content-Type": "text/event-stream", "Connection": "close", **row.headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):
            for part in row.sent:
                if isinstance(part, bytes):
                    self.wfile.write(part)
                    self.wfile.flush()
                else:
                    time.sleep(part)
            if not row.ends:
                self.is_over.wait(60)

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    request_queue_size = 1024
    daemon_threads = True
    block_on_close = False


@contextlib.contextmanager
def answering(rows: Sequence[Quirk]) -> Iterator[str]:
    """A server that answers as the rows say; its address, below which each provider has a folder."""
    is_over = threading.Event()
    known = {(row.provider, row.name): row for row in rows}
    handler = type("_Of", (_Handler,), {"rows": known, "is_over": is_over})
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        is_over.set()
        server.shutdown()
        server.server_close()


def came_of_all(folder: Path, rows: Sequence[Quirk]) -> dict[str, Came]:
    """What came of each row, by its `id`, through a server of its own in `folder`."""
    env = {
        "TALEKEEPER_PROVIDER_STALL_SECONDS": str(STALL),
        "TALEKEEPER_PROVIDER_FIRST_TOKEN_SECONDS": "30",
    }
    with answering(rows) as address, served(folder, provider="openai", env=env) as server:

        async def ask_all() -> dict[str, Came]:
            async with server.client() as client:
                connections: dict[str, str] = {}
                for kind in {row.provider for row in rows}:
                    version = "/v1beta" if kind == "google" else "/v1"
                    made = {"kind": kind, "base_url": f"{address}/{kind}{version}"}
                    added = await client.post("/api/connections", made | {"api_key": "sk-none"})
                    assert added.status == 201, added.body
                    connections[kind] = added["id"]
                places = asyncio.Semaphore(40)
                came = await asyncio.gather(
                    *(_came(client, row, connections[row.provider], places) for row in rows)
                )
                return {row.id: each for row, each in zip(rows, came, strict=True)}

        return asyncio.run(ask_all())


async def _came(client: Client, row: Quirk, connection_id: str, places: asyncio.Semaphore) -> Came:
    async with places:
        conversation = await client.open(connection_id=connection_id, model=row.name)
        try:
            reply = await client.ended(await client.say(conversation, "Who is at the mill?"))
            if row.twice:
                reply = await client.ended(await client.say(conversation, "And then?"))
        except AssertionError:
            return Came("", "never ended", None)
        error = reply["error"]
        told = None
        if error is not None:
            _, _, word = (row.expected.error or "").partition(": ")
            told = f"{error['code']}: {word if word in error['message'] else error['message']}"
        return Came(
            reply["content"],
            reply["status"],
            reply["finish_reason"],
            told,
            (reply["input_tokens"], reply["output_tokens"]),
        )


def printed(rows: Sequence[Quirk], came: Mapping[str, Came]) -> str:
    """The table: a line where all came as expected, else what was expected and what came."""
    lines: list[str] = []
    for row in rows:
        is_right = came[row.id] == row.expected
        lines.append(f"{'ok ' if is_right else 'NOT'}  {row.id}: {_short(row.expected)}")
        if not is_right:
            lines.append(f"     came: {_short(came[row.id])}")
    right = sum(came[row.id] == row.expected for row in rows)
    return "\n".join([*lines, f"{right} of {len(rows)} came as expected"])


def _short(came: Came) -> str:
    content = (
        came.content if len(came.content) < 120 else f"{came.content[:40]}… ({len(came.content)})"
    )
    facts = [
        came.status,
        came.finish_reason,
        came.error,
        None if came.counts == (None, None) else came.counts,
    ]
    return f"{content!r}, " + ", ".join(str(fact) for fact in facts if fact is not None)


def main(run: Callable[[Path, Sequence[Quirk]], dict[str, Came]] = came_of_all) -> None:
    rows = table()
    with tempfile.TemporaryDirectory() as folder:
        print(printed(rows, run(Path(folder), rows)))


if __name__ == "__main__":
    main()
