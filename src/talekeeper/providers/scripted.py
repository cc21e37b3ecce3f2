r"""A provider without a model: the same words every time, for demonstrations and for tests.

Without orders it says that it is a demonstration and quotes what was asked. Orders come in two
ways.

**Inside the last user's message**, for a server that runs with `TALEKEEPER_PROVIDER=scripted`:

| order | effect |
| --- | --- |
| `[[tokens 200]]` | says `scripted_text(200)`, in 200 pieces |
| `[[say Well met.]]` | says exactly this; `\n` is a new line |
| `[[markdown]]` | says a page of Markdown, hostile parts included |
| `[[think Hm.]]` | thinks aloud first |
| `[[pace 20ms]]` | waits so long before each piece; also `1.5s`, `0ms` |
| `[[finish length]]` | gives this reason for ending: `stop`, `length`, `filtered`, `refused` |
| `[[fail 429]]` | fails like that status; also `unreachable`, `garbage`, `context`, `missing` |
| `[[stall]]` | says nothing more, and is given up after the provider's `stall_seconds` |
| `[[cut]]` | the connection breaks |
| `[[title The Mill]]` | answers so when it is asked for the conversation's title; else it is not asked |

`fail`, `stall` and `cut` take `after 10` (pieces said before, else none) and `once` (only the first
time that this message is answered); `fail` also takes `retry 7` (seconds to wait). A reply that is
continued goes on where its text stops, and meets no fault.

**As a `Script`**, for tests in the same process: a list of replies, each a sequence of steps, and a
gate that lets pieces out one by one.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, cast, get_args

from talekeeper.domain.conversations import FinishReason
from talekeeper.domain.replies import (
    Finished,
    Model,
    ReasoningDelta,
    ReplyRequest,
    StreamPart,
    TextDelta,
    Usage,
)
from talekeeper.errors import (
    ContextTooLong,
    ModelMissing,
    ProviderError,
    ProviderSentGarbage,
    ProviderStalled,
    ProviderStreamCut,
    ProviderUnreachable,
)
from talekeeper.providers.failures import failure

_WORDS: Final = (
    "The ",
    "lantern ",
    "gutters; ",
    "Bríd ",
    "draws ",
    "her ",
    "🗡️ ",
    "and ",
    "cafe",
    "\u0301 ",  # the accent of the word before, as a piece of its own
    "owners ",
    "whisper: ",
    "“🐉!” ",
    "👩‍👧 ",
    "wait ",
    "at ",
    "C\u030ca\u0301llo\u0308n. ",
)
MARKDOWN: Final = """# The Mill at Čállön

Three things are *certain*, and one is **not**:

1. The miller owes the duke `12 gp`.
2. The wheel turns at night.

| who | wants |
| --- | --- |
| Bríd | the ledger |
| the duke | silence |

> “Ask me again when the river sleeps.” 🐉

```python
def toll(travellers: int) -> int:
    return travellers * 2
```

<script>alert("never")</script> [a trap](javascript:alert(1)) ![](https://tracker.invalid/x.png)
"""


def scripted_pieces(count: int) -> list[str]:
    """What `[[tokens count]]` says, piece by piece.

    Every eighth piece bears its number, so a gap or a repetition cannot look like the whole.
    """
    pieces: list[str] = []
    for place in range(count):
        if place % 64 == 63:
            pieces.append(f"({place})\n\n")
        elif place % 8 == 7:
            pieces.append(f"({place}) ")
        else:
            pieces.append(_WORDS[place % len(_WORDS)])
    return pieces


def scripted_text(count: int) -> str:
    """What `[[tokens count]]` says, as one text."""
    return "".join(scripted_pieces(count))


@dataclass(frozen=True, slots=True)
class Wait:
    """Let time pass."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Think:
    """Think aloud."""

    text: str


@dataclass(frozen=True, slots=True)
class Fail:
    """Break off with this error."""

    error: ProviderError


@dataclass(frozen=True, slots=True)
class Hang:
    """Say nothing more. With `stall_seconds` the provider gives up, without it waits forever."""

    stall_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class End:
    """End for this reason; without it a reply ends with `stop`."""

    reason: FinishReason


Step = str | Wait | Think | Fail | Hang | End
"""A string is a piece of the reply."""


class Script:
    """The replies of one test, in order; after the last one the orders in messages hold again.

    With `gated`, each piece waits until `release` lets it out. `said` counts the pieces of all
    replies, and `until_said` waits for that count.
    """

    def __init__(self, *replies: Iterable[Step], gated: bool = False) -> None:
        self._replies = [list(reply) for reply in replies]
        self._gate = asyncio.Semaphore(0) if gated else None
        self._grown = asyncio.Condition()
        self.said = 0
        self.asked: list[ReplyRequest] = []

    def release(self, count: int = 1) -> None:
        """Let `count` more pieces out."""
        assert self._gate is not None, "the script has no gate"
        for _ in range(count):
            self._gate.release()

    async def until_said(self, count: int) -> None:
        async with self._grown:
            await self._grown.wait_for(lambda: self.said >= count)

    def next_reply(self, request: ReplyRequest) -> list[Step] | None:
        self.asked.append(request)
        return self._replies.pop(0) if self._replies else None

    async def pass_gate(self) -> None:
        if self._gate is not None:
            await self._gate.acquire()

    async def count(self) -> None:
        """One more piece is out."""
        async with self._grown:
            self.said += 1
            self._grown.notify_all()


class Scripted:
    """Says what it was told to say. `pace` is the seconds before each piece."""

    name = "scripted"
    continues_text = True

    def __init__(
        self, script: Script | None = None, *, pace: float = 0.02, stall_seconds: float = 60.0
    ) -> None:
        self._script = script
        self._pace = pace
        self._stall_seconds = stall_seconds
        self._answered: set[str] = set()

    async def stream(self, request: ReplyRequest) -> AsyncGenerator[StreamPart]:
        script = self._script
        steps = script.next_reply(request) if script is not None else None
        pace = 0.0
        if steps is None:
            pace, steps = self._ordered(request)
        said = 0
        reason: FinishReason = "stop"
        for step in steps:
            match step:
                case str():
                    if script is not None:
                        await script.pass_gate()
                    # Even at no pace at all the loop gets its turn, as with a real model.
                    await asyncio.sleep(pace)
                    said += 1
                    yield TextDelta(step)
                    if script is not None:
                        await script.count()
                case Think(text):
                    await asyncio.sleep(pace)
                    yield ReasoningDelta(text)
                case Wait(seconds):
                    await asyncio.sleep(seconds)
                case Fail(error):
                    raise error
                case Hang(stall_seconds):
                    await _hung(stall_seconds)
                case End(chosen):
                    reason = chosen
        yield Usage(sum(len(turn.content.split()) for turn in request.turns), said)
        yield Finished(reason)

    def can_title(self, request: ReplyRequest) -> bool:
        return any(_TITLE.search(turn.content) for turn in request.turns)

    async def models(self) -> tuple[Model, ...]:
        return (Model("scripted", "Scripted demonstration", context_length=8192),)

    async def aclose(self) -> None:
        """There is nothing to close."""

    def _ordered(self, request: ReplyRequest) -> tuple[float, list[Step]]:
        """The pace and the steps that the last user's message asks for."""
        message = next(
            (turn.content for turn in reversed(request.turns) if turn.role == "user"), ""
        )
        if request.is_for_title:
            found = _TITLE.search(message)
            return self._pace, list[Step](_small(found[1])) if found else []
        orders = _Orders(message, stall_seconds=self._stall_seconds)
        pace = self._pace if orders.pace is None else orders.pace
        if request.continues:
            return pace, [*_onward(orders.pieces, request.turns[-1].content), End(orders.reason)]
        is_repeated = message in self._answered
        self._answered.add(message)
        steps: list[Step] = [Think(thought) for thought in orders.thoughts]
        steps += orders.pieces
        if orders.fault is not None and not (orders.fault_once and is_repeated):
            steps.insert(len(orders.thoughts) + orders.fault_after, orders.fault)
        return pace, [*steps, End(orders.reason)]


_ORDER: Final = re.compile(r"\[\[(\w+)\s*(.*?)\]\]", re.DOTALL)
_TITLE: Final = re.compile(r"\[\[title\s+(.*?)\]\]")
_AFTER: Final = re.compile(r"\bafter (\d+)\b")
_RETRY: Final = re.compile(r"\bretry (\d+)\b")
_PACE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s)")
_LARGEST: Final = 100_000
_FAILURES: Final[dict[str, Callable[[], ProviderError]]] = {
    "unreachable": lambda: ProviderUnreachable("No connection to the scripted model. Try again."),
    "garbage": lambda: ProviderSentGarbage("The scripted model sent garbage, as ordered."),
    "context": lambda: ContextTooLong(
        "The conversation is too long for this model. Go on in a new conversation."
    ),
    "missing": lambda: ModelMissing("No model is chosen. Choose one in the settings."),
}


class _Orders:
    """What a message orders."""

    def __init__(self, message: str, *, stall_seconds: float) -> None:
        self.pace: float | None = None
        self.thoughts: list[str] = []
        self.reason: FinishReason = "stop"
        self.fault: Fail | Hang | None = None
        self.fault_after = 0
        self.fault_once = False
        pieces: list[str] | None = None
        for name, rest in _ORDER.findall(message):
            match name:
                case "tokens" if rest.strip().isdecimal():
                    pieces = scripted_pieces(min(int(rest), _LARGEST))
                case "say":
                    pieces = _small(rest.replace("\\n", "\n"))
                case "markdown":
                    pieces = _small(MARKDOWN)
                case "think":
                    self.thoughts += _small(rest)
                case "pace" if found := _PACE.fullmatch(rest.strip()):
                    self.pace = float(found[1]) / (1000 if found[2] == "ms" else 1)
                case "finish" if rest.strip() in get_args(FinishReason):
                    self.reason = cast("FinishReason", rest.strip())
                case "fail" | "stall" | "cut":
                    self._break(name, rest, stall_seconds)
                case _:
                    pass
        self.pieces = _small(_demonstration(message)) if pieces is None else pieces

    def _break(self, name: str, rest: str, stall_seconds: float) -> None:
        after, retry = _AFTER.search(rest), _RETRY.search(rest)
        self.fault_after = int(after[1]) if after else 0
        self.fault_once = "once" in rest.split()
        if name == "stall":
            self.fault = Hang(stall_seconds)
        elif name == "cut":
            self.fault = Fail(ProviderStreamCut("The connection to the model broke off. Continue."))
        else:
            kind = (rest.split() or ["500"])[0]
            made = _FAILURES.get(kind)
            status = int(kind) if kind.isdecimal() and 400 <= int(kind) < 600 else 500
            wait = float(retry[1]) if retry else None
            self.fault = Fail(
                made() if made else failure(status, said="", model="scripted", retry_after=wait)
            )


def _demonstration(message: str) -> str:
    quoted = " ".join(message.split())
    if len(quoted) > 200:
        quoted = f"{quoted[:199]}…"
    return (
        "This is a scripted demonstration: no model is thinking here. "
        f"You said: “{quoted}” "
        "Every word of it is kept, and so is this reply. "
        "Connect a model in the settings and the tale begins. 🐉"
    )


def _small(text: str) -> list[str]:
    """`text` in pieces of a token's size."""
    return re.findall(r"\s*\S{1,6}|\s+\Z", text)


def _onward(pieces: Sequence[str], said: str) -> list[str]:
    """The rest of `pieces` after the text `said`; a few words where it says something else."""
    whole = "".join(pieces)
    if not whole.startswith(said):
        return _small(" And so the tale goes on.")
    rest: list[str] = []
    to_skip = len(said)
    for piece in pieces:
        if to_skip < len(piece):
            rest.append(piece[to_skip:])
        to_skip = max(to_skip - len(piece), 0)
    return rest


async def _hung(stall_seconds: float | None) -> None:
    if stall_seconds is None:
        await asyncio.get_running_loop().create_future()
    else:
        await asyncio.sleep(stall_seconds)
        raise ProviderStalled("The model has said nothing for too long. Continue or try again.")
