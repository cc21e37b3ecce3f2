"""Manners: what a server does with requests that come twice, poisoned, or with a broken model behind.

Nothing is killed here; the network is cut, the provider fails, and the clock steps.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from talekeeper.providers.scripted import MARKDOWN, scripted_text
from talekeeper.torture.asking import Client, Story, Unanswered, new_id
from talekeeper.torture.crowd import Said, losses
from talekeeper.torture.judging import contents_of
from talekeeper.torture.rigs import Place, Rig, Tally, Wrong, wrongs
from talekeeper.torture.serving import Server, beside, served
from talekeeper.torture.shim import Shim, no_compiler

SENDERS: Final = 30
PIECES: Final = 240
WHOLE: Final = scripted_text(PIECES)


@asynccontextmanager
async def _asked(
    place: Place, tally: Tally, env: Mapping[str, str] | None = None
) -> AsyncGenerator[tuple[Server, Client]]:
    """A server and who asks it; at the end its store is looked into."""
    async with served(place.fresh(), env=env) as server:
        async with server.client() as client:
            yield server, client
        await beside(server.kill)
        left = await beside(server.with_store, contents_of)
        tally.found += wrongs(left.violations)


async def _duplicates(place: Place, *, name_anew: bool = False) -> Tally:
    """The same message from thirty senders at once, and again after a restart.

    With `name_anew`, the control, every sender makes an id of its own, as clients without one do.
    """
    tally = Tally()
    async with _asked(place, tally) as (server, client):
        said: list[Said] = []
        conversation = await client.open()
        for number in range(place.rounds):
            name, text = new_id(), f"Said once, in round {number}: {new_id()}"

            async def send(name: str = name, text: str = text) -> Any:
                used = new_id() if name_anew else name
                return await client.send(conversation, text, id=used, reply=False)

            answers = await asyncio.gather(*(send() for _ in range(SENDERS)))
            tally.found += wrongs(f"answered {a.status}" for a in answers if a.status > 201)
            if number == place.rounds // 2:
                await beside(server.restart)
                answers.append(await send())
            other = await client.send(conversation, "Something else.", id=name, reply=False)
            if not name_anew and other.problem != (422, "id_reused"):
                tally.found.append(Wrong("wrong", f"another text: {other.status}"))
            message = answers[0]["message"]
            said.append(
                Said(
                    conversation, message["id"], text, 2 * number + 1, False,
                    acked=2 * number + 2, seq=message["seq"],
                )
            )  # fmt: skip
            tally.rounds += 1
            tally.acked += 1
        tally.found += losses(said, {conversation: await client.tree(conversation)})
    return tally


STEPS: Final = (-3_600, 86_400, -400 * 86_400, 0)
"""Seconds that the clock is off."""


async def _clock(place: Place, *, by_date: bool = False) -> Tally:
    """Sent after an acknowledgement means a larger place, whatever the clock did in between.

    `by_date`, the control, takes the order from the messages' dates.
    """
    tally = Tally()
    shim = await beside(Shim, place.folder)
    async with _asked(place, tally, shim.environment) as (_server, client):
        said: list[Said] = []
        conversation = await client.open()
        for number in range(place.rounds):
            for place_in_time, step in enumerate(STEPS):
                shim.order(clock_seconds=step)
                tick = 2 * (number * len(STEPS) + place_in_time)
                text = f"{number}: the clock is {step} s off. {new_id()}"
                wants_reply = place_in_time == 0
                order = " [[tokens 3]] [[pace 0ms]]"
                sent = await client.say(conversation, text + order, reply=wants_reply)
                if wants_reply:
                    ended = await client.ended(sent)
                    if ended["status"] != "complete":
                        tally.found.append(Wrong("wrong", f"the reply is {ended['status']}"))
                message = sent["message"]
                said.append(
                    Said(
                        conversation, message["id"], message["content"], tick + 1, wants_reply,
                        acked=tick + 2,
                        seq=message["created_at"] if by_date else message["seq"],
                    )
                )  # fmt: skip
            tally.rounds += 1
        tally.acked = len(said)
        tree = await client.tree(conversation)
        dates = [message["created_at"] for message in tree]
        if dates == sorted(dates):
            tally.found.append(Wrong("wrong", "the clock did not step: nothing was shown"))
        if by_date:
            tree = [{**message, "seq": message["created_at"]} for message in tree]
        tally.found += losses(said, {conversation: tree})
    return tally


async def _resume(place: Place, *, forgets: bool = False) -> Tally:
    """A reply that is followed with a cut at every tenth is read without gap or repetition.

    `forgets`, the control, is a follower that misses one piece.
    """
    tally = Tally()
    async with _asked(place, tally) as (_server, client):
        for _ in range(place.rounds):
            conversation = await client.open()
            pace = "12ms" if forgets else "4ms"  # what is missed must not come with the end
            sent = await client.say(conversation, f"[[tokens {PIECES}]] [[pace {pace}]]")
            reply = sent["reply"]["id"]
            story = Story(last_event_id="0.-.0")
            for tenth in range(1, 11):
                enough = len(WHOLE) * tenth // 10 if tenth < 10 else len(WHOLE) + 1
                async with client.following(conversation, story.last_event_id) as stream:
                    await stream.tell(
                        story,
                        partial(_is_told, story, reply, enough),
                    )
                if forgets and tenth == 1:
                    story.texts[reply] = story.texts[reply][:-1]
            stored = await client.message(conversation, reply)
            tally.found += wrongs(story.faults)
            # The last piece may come as the reply's final state, when it ended between two streams.
            if stored["content"] != WHOLE or story.texts[reply] != WHOLE:
                tally.found.append(Wrong("lost", f"{reply}: what was told is not the whole"))
            tally.rounds += 1
            tally.acked += 1
    return tally


def _is_told(story: Story, reply: str, enough: int) -> bool:
    return story.length(reply) >= enough or story.has_ended(reply)


@dataclass(frozen=True, slots=True)
class _Fault:
    """What the model does, and what the reply must then say."""

    order: str
    code: str | None
    begins: str = ""


FAULTS: Final = (
    _Fault("[[tokens 20]] [[fail 429 after 5 retry 7 once]]", "provider_rate_limited"),
    _Fault("[[tokens 20]] [[fail 500 once]]", "provider_failed"),
    _Fault("[[tokens 20]] [[fail 401 once]]", "provider_refused_key"),
    _Fault("[[tokens 20]] [[fail garbage after 9 once]]", "provider_sent_garbage"),
    _Fault("[[tokens 20]] [[fail unreachable once]]", "provider_unreachable"),
    _Fault("[[tokens 20]] [[cut after 10 once]]", "provider_stream_cut"),
    _Fault("[[tokens 20]] [[stall after 3 once]]", "provider_stalled"),
    _Fault("[[markdown]]", None, begins=MARKDOWN[:40]),
)


async def _provider(place: Place, *, fails: bool = True) -> Tally:
    """The user's message is kept, the reply says what happened, and trying again works.

    Without `fails`, the control, the model is well, and nothing may say that it was not.
    """
    tally = Tally()
    env = {"TALEKEEPER_PROVIDER_STALL_SECONDS": "1"}
    async with _asked(place, tally, env) as (_server, client):
        for _ in range(place.rounds):
            await asyncio.gather(*(_one_fault(client, tally, each, fails=fails) for each in FAULTS))
            tally.rounds += 1
    return tally


async def _one_fault(client: Client, tally: Tally, fault: _Fault, *, fails: bool) -> None:
    conversation = await client.open()
    order = fault.order if fails else "[[tokens 20]]"
    text = f"{new_id()} {order} [[pace 2ms]]"
    sent = await client.say(conversation, text)
    reply = await client.ended(sent)
    tally.acked += 1
    found: list[str] = []
    user = await client.message(conversation, sent["message"]["id"])
    if user["content"] != text:
        tally.found.append(Wrong("lost", f"{fault.order}: the message is not as it was sent"))
    code = None if reply["error"] is None else reply["error"]["code"]
    if code != fault.code or (reply["status"] == "failed") != (fault.code is not None):
        found.append(f"{fault.order}: {reply['status']} with {code}")
    if not reply["content"].startswith(fault.begins):
        found.append(f"{fault.order}: the text is another")
    if (await client.conversation(conversation))["generation_id"] is not None:
        found.append(f"{fault.order}: the conversation is still locked")
    again = await client.post(f"/api/messages/{reply['id']}/regenerate", {"id": new_id()})
    if again.status != 201 or (await client.ended(again.json))["status"] != "complete":
        found.append(f"{fault.order}: trying again did not work")
    tally.found += wrongs(found)


def _send(**fields: str) -> bytes:
    whole = {"id": f'"{new_id()}"', "content": '"Poison?"', "reply": "false", **fields}
    return ("{" + ",".join(f'"{name}":{value}' for name, value in whole.items()) + "}").encode()


POISONS: Final[dict[str, Callable[[], bytes]]] = {
    "NaN": partial(_send, content="NaN"),
    "1e999": partial(_send, content="1e999"),
    "a lone surrogate": partial(_send, content=r'"\ud800"'),
    "NUL": partial(_send, content=r'"a\u0000b"'),
    "an escape sequence": partial(_send, content=r'"\u001b[31m"'),
    "50,000 deep": partial(_send, content="[" * 50_000 + "]" * 50_000),
    "3 MB": partial(_send, content='"' + "a" * 3_000_000 + '"'),
    "5,000 digits": partial(_send, content="9" * 5_000),
    "a number for text": partial(_send, content="7"),
    "a path for an id": partial(_send, id='"../../etc/passwd"'),
    "text for a truth": partial(_send, reply='"false"'),
    "somebody's id": partial(_send, owner_id='"somebody"'),
    "nothing": lambda: b"",
    "no UTF-8": lambda: b'{"content":"\xff\xfe"}',
}
_HARMLESS: Final[dict[str, Callable[[], bytes]]] = {"a harmless word": _send}


async def _poison(place: Place, poisons: Mapping[str, Callable[[], bytes]] | None = None) -> Tally:
    """Poisoned sends are refused, their neighbours in the same commit are stored.

    The control's poison is a harmless word, which is stored: that must be seen.
    """
    tally = Tally()
    async with _asked(place, tally) as (_server, client):
        for _ in range(place.rounds):
            for name, made in (poisons or POISONS).items():
                await _one_poison(client, tally, name, made())
            tally.rounds += 1
    return tally


async def _one_poison(client: Client, tally: Tally, name: str, body: bytes) -> None:
    conversation = await client.open()
    path = f"/api/conversations/{conversation}/messages"
    names = [new_id() for _ in range(3)]
    refusing: Awaitable[Any] = client.ask("POST", path, raw=body)
    neighbours: Sequence[Awaitable[Any]] = [
        client.send(conversation, f"line {each}", id=each, reply=False) for each in names
    ]
    refused, *answers = await asyncio.gather(refusing, *neighbours, return_exceptions=True)
    if isinstance(refused, BaseException):
        # A body too large to be read to its end may cut the connection.
        if not isinstance(refused, Unanswered) or len(body) < 1 << 20:
            raise refused
    elif not 400 <= refused.status < 500:
        tally.found.append(Wrong("wrong", f"{name} was answered {refused.status}"))
    kept = Counter(message["id"] for message in await client.tree(conversation))
    for each, answer in zip(names, answers, strict=True):
        if isinstance(answer, BaseException):
            raise answer
        if answer.status != 201:
            tally.found.append(Wrong("wrong", f"beside {name}: {answer.status}"))
        elif kept[each] != 1:
            tally.found.append(Wrong("lost", f"beside {name}: there {kept[each]} times"))
        tally.acked += 1
    if len(kept) != len(names):
        tally.found.append(Wrong("wrong", f"{name} is in the history"))


RIGS = (
    Rig(
        name="duplicates",
        proves=("R6", "R7"),
        does="sends one message thirty times at once, and again after a restart",
        run=_duplicates,
        control=partial(_duplicates, name_anew=True),
        quick=3,
        long=200,
        loses="doubled",
    ),
    Rig(
        name="clock",
        proves=("R10",),
        does="steps the clock an hour and 400 days back and a day forth between messages",
        run=_clock,
        control=partial(_clock, by_date=True),
        quick=2,
        long=50,
        obstacle=no_compiler,
    ),
    Rig(
        name="resume",
        proves=("R12",),
        does="cuts a follower off at every tenth of a reply",
        run=_resume,
        control=partial(_resume, forgets=True),
        quick=1,
        long=50,
    ),
    Rig(
        name="provider",
        proves=("R13",),
        does="lets the model fail in every way that it can",
        run=_provider,
        control=partial(_provider, fails=False),
        quick=1,
        long=50,
    ),
    Rig(
        name="poison",
        proves=("R20",),
        does="sends what no server should take, beside what it must",
        run=_poison,
        control=partial(_poison, poisons=_HARMLESS),
        quick=1,
        long=50,
    ),
)
