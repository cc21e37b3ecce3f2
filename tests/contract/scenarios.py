"""Scenarios of one conversation, as a real server tells them, for the page to apply.

The page's contract is that events applied to what was fetched before give what would be fetched
now. A scenario does what people do, in a seeded order, and notes every event of the wire and, at
every place where nothing moves, what a page would fetch. `web/src/conversation/contract.test.ts`
replays it; this module writes it down: `.venv/bin/python tests/contract/scenarios.py`.

What differs from run to run is made the same: ids are numbered in the order in which they come,
revisions too; times are only told to be there, and a reply's text, which comes in bursts of any
size, is cut anew.
"""

import asyncio
import json
import random
import re
import sys
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from servers import IN_FLIGHT, Client, Event, Server, follow_path, served, until
from talekeeper.providers.scripted import scripted_text

VECTORS: Final = Path(__file__).parents[2] / "web" / "src" / "conversation" / "vectors"
SCENARIOS: Final = {
    "talk": (11, 50),
    "branches": (23, 50),
    "deletions": (37, 50),
    "short-pages": (41, 4),
    "everything": (59, 6),
}
"""By name: the seed, and how many messages a page has."""
STEPS: Final = 22
PIECE: Final = 5
"""Code points of a text event."""

Value = dict[str, Any]
Act = Callable[[], Awaitable[Any]]

_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_STALLING: Final = "[[tokens 9]] [[stall after 4]] [[pace 0ms]]"
_LINES: Final = (
    "Who keeps the inn? [[say Hanne, since the flood.]] [[pace 0ms]]",
    "And the mill? [[say It turns 🐉 at night.]] [[finish length]] [[pace 0ms]]",
    "We knock. [[say Nobody answers.]] [[pace 0ms]]",
    "Roll for it. [[fail 429 retry 7]]",
    "Go on. [[tokens 9]] [[cut after 3]] [[pace 0ms]]",
)


@dataclass
class Recorder:
    """Hears one conversation's events."""

    events: list[Event] = field(default_factory=list[Event])
    seq: int = 0
    texts: dict[str, str] = field(default_factory=dict[str, str])

    def hear(self, event: Event) -> None:
        if event.name in ("ready", "health"):
            return
        self.events.append(event)
        self.seq = max(self.seq, event.data.get("seq", 0))
        if event.name == "message.changed":
            message = event.data["message"]
            self.texts[message["id"]] = message["content"]
        if event.name in ("delta", "snapshot"):
            known = self.texts.get(event.data["message_id"], "")
            self.texts[event.data["message_id"]] = (
                known[: event.data["offset"]] + event.data["text"]
            )


@dataclass
class Scenario:
    """One conversation, what is done in it, and what was told and fetched."""

    client: Client
    conversation_id: str
    heard: Recorder
    random: random.Random
    limit: int
    fetches: list[Value] = field(default_factory=list[Value])
    deleted: list[str] = field(default_factory=list[str])

    def new_id(self) -> str:
        return str(UUID(int=self.random.getrandbits(128), version=4))

    async def path(self) -> list[Value]:
        return await self.client.path(self.conversation_id)

    async def do(self, method: str, path: str, body: Value) -> Value:
        answer = await self.client.ask(method, path, body)
        assert answer.status in (200, 201), (method, path, answer.body)
        await self.settled()
        return answer.json

    async def settled(self) -> None:
        """Everything was told, and a reply that grows says nothing more for now."""

        async def is_told() -> bool:
            conversation = await self.client.conversation(self.conversation_id)
            if conversation["seq"] > self.heard.seq:
                return False
            if conversation["generation_id"] is None:
                return True
            tree = await self.client.tree(self.conversation_id)
            growing = [each for each in tree if each["status"] in IN_FLIGHT]
            return [each["content"] for each in growing] == [
                self.heard.texts[each["id"]] for each in growing
            ] and any(_is_stalled(each) for each in growing)

        await until(is_told)

    async def fetch(self) -> None:
        """What a page fetches at this moment; while a reply grows, also what a stream begins with."""
        conversation = await self.client.conversation(self.conversation_id)
        page: Value = {"items": [], "next": None}
        if conversation["leaf_id"] is not None:
            path = f"/api/conversations/{self.conversation_id}/messages"
            asked = f"{path}?leaf_id={conversation['leaf_id']}&limit={self.limit}"
            page = (await self.client.get(asked)).json
        resumed: list[Event] = []
        if conversation["generation_id"] is not None:
            place = follow_path(f"{self.conversation_id}@{conversation['seq']}")
            async with self.client.listening(place) as stream:
                while not any(each.name == "snapshot" for each in resumed):
                    resumed += await stream.some() or []
        self.fetches.append(
            {
                "at": len(self.heard.events),
                "conversation": conversation,
                "page": page,
                "resumed": [_told(each) for each in resumed if each.name == "snapshot"],
            }
        )

    # What people do.

    async def say(self, text: str | None = None, **fields: Any) -> Value:
        body = {"id": self.new_id(), "content": text or self.random.choice(_LINES), **fields}
        return await self.do("POST", f"/api/conversations/{self.conversation_id}/messages", body)

    async def say_and_stop(self) -> None:
        sent = await self.say(_STALLING)
        await self.fetch()
        if self.random.random() < 0.5:
            await self.say("Wait!", reply=False)
        if self.random.random() < 0.5:
            await self.rename()
        await self.do("POST", f"/api/generations/{sent['generation_id']}/stop", {})

    async def edit(self) -> None:
        own = [each for each in await self.path() if each["role"] == "user"]
        if own:
            await self.say(parent_id=self.random.choice(own)["parent_id"])

    async def regenerate(self) -> None:
        path = await self.path()
        asked = {each["id"]: each["content"] for each in path if each["role"] == "user"}
        replies = [
            each
            for each in path
            if each["role"] == "assistant" and "[[stall" not in asked.get(each["parent_id"], "")
        ]
        if replies:
            target = self.random.choice(replies)["id"]
            await self.do("POST", f"/api/messages/{target}/regenerate", {"id": self.new_id()})

    async def go_on(self) -> None:
        path = await self.path()
        if path and path[-1]["status"] in ("stopped", "failed") and path[-1]["content"]:
            target = path[-1]["id"]
            await self.do("POST", f"/api/messages/{target}/continue", {"id": self.new_id()})

    async def switch(self) -> None:
        tree = await self.client.tree(self.conversation_id)
        if tree:
            await self.change(leaf_id=self.random.choice(tree)["id"])

    async def rename(self) -> None:
        await self.change(title=f"Title {self.random.randrange(100)}")

    async def archive(self) -> None:
        await self.change(archived=True)
        await self.fetch()
        await self.change(archived=False, pinned=self.random.random() < 0.5)

    async def trash(self) -> None:
        await self.do("DELETE", f"/api/conversations/{self.conversation_id}", {})
        await self.fetch()
        await self.do("POST", f"/api/conversations/{self.conversation_id}/restore", {})

    async def change(self, **fields: Any) -> None:
        await self.do("PATCH", f"/api/conversations/{self.conversation_id}", fields)

    async def bookmark(self) -> None:
        tree = await self.client.tree(self.conversation_id)
        if tree:
            note = self.random.choice(["", "The fourth key", None])
            target = self.random.choice(tree)["id"]
            await self.do("PATCH", f"/api/messages/{target}", {"bookmark": note})

    async def delete(self) -> None:
        tree = await self.client.tree(self.conversation_id)
        if tree:
            # Rather a small branch than all of it.
            target = self.random.choice(tree[len(tree) // 3 :])["id"]
            await self.do("DELETE", f"/api/messages/{target}", {})
            self.deleted.append(target)

    async def restore(self) -> None:
        if self.deleted:
            target = self.deleted.pop(self.random.randrange(len(self.deleted)))
            await self.do("POST", f"/api/messages/{target}/restore", {})

    async def play(self, name: str) -> None:
        await self.fetch()
        await self.say()
        await self.fetch()
        talk: list[Act] = [self.say, self.say, self.say_and_stop, self.go_on, self.rename]
        tree: list[Act] = [self.edit, self.regenerate, self.switch]
        away: list[Act] = [self.delete, self.restore, self.bookmark]
        can_be_done: dict[str, list[Act]] = {
            "talk": [*talk, self.regenerate, self.archive],
            "branches": [*talk, *tree, *tree],
            "deletions": [self.say, *tree, *away, *away],
            "short-pages": [*talk, *tree, self.delete, self.restore],
            "everything": [*talk, *tree, *away, self.archive, self.trash],
        }
        for _ in range(STEPS):
            await self.random.choice(can_be_done[name])()
            await self.fetch()


def _is_stalled(message: Value) -> bool:
    """It has said all that it says before it stalls."""
    return message["content"].endswith(scripted_text(4))


def _told(event: Event) -> Value:
    return {"type": event.name, **event.data}


def _cut(events: list[Event]) -> tuple[list[Value], list[int]]:
    """The events with texts of `PIECE` code points, and for each old place the new one."""
    cut: list[Value] = []
    places = [0]
    for event in events:
        told = _told(event)
        if event.name in ("delta", "snapshot"):
            offset, text = told["offset"], told["text"]
            for start in range(0, len(text), PIECE):
                piece = {**told, "type": "delta", "offset": offset + start}
                cut.append({**piece, "text": text[start : start + PIECE]})
        else:
            cut.append(told)
        places.append(len(cut))
    return cut, places


def _joined(events: list[Event], stops: set[int]) -> tuple[list[Event], dict[int, int]]:
    """Neighbouring texts of a reply as one, but not over a place where something was fetched."""
    joined: list[Event] = []
    places = {0: 0}
    for index, event in enumerate(events):
        last = joined[-1] if joined else None
        is_text = event.name in ("delta", "snapshot")
        if (
            is_text
            and last is not None
            and last.name == event.name
            and index not in stops
            and last.data["generation_id"] == event.data["generation_id"]
        ):
            text = last.data["text"] + event.data["text"]
            joined[-1] = Event(last.name, None, {**last.data, "text": text})
        else:
            joined.append(event)
        places[index + 1] = len(joined)
    return joined, places


def _compact(name: str, scenario: Scenario) -> Value:
    """The scenario with every message and conversation written once."""
    stops = {each["at"] for each in scenario.fetches}
    joined, first = _joined(scenario.heard.events, stops)
    events, second = _cut(joined)
    values: dict[str, list[Any]] = {"conversations": [], "messages": []}

    def place(kind: str, value: Any) -> int:
        if value not in values[kind]:
            values[kind].append(value)
        return values[kind].index(value)

    def short(event: Value) -> Value:
        event = dict(event)
        if "message" in event:
            event["message"] = place("messages", event["message"])
        if "conversation" in event:
            event["conversation"] = place("conversations", event["conversation"])
        return event

    def path_item(item: Value) -> list[Any]:
        message = {key: value for key, value in item.items() if key != "sibling_ids"}
        return [place("messages", message), item["sibling_ids"]]

    told = [short(event) for event in events]
    fetches = [
        {
            "at": second[first[each["at"]]],
            "conversation": place("conversations", each["conversation"]),
            "items": [path_item(item) for item in each["page"]["items"]],
            "next": each["page"]["next"],
            "resumed": each["resumed"],
        }
        for each in scenario.fetches
    ]
    return {"scenario": name, **values, "events": told, "fetches": fetches}


def _timeless(value: Any) -> Any:
    """The same without times: a time that is there is 1."""
    match value:
        case dict():
            return {
                key: (each if each is None else 1) if key.endswith("_at") else _timeless(each)
                for key, each in value.items()
            }
        case list():
            return [_timeless(each) for each in value]
        case _:
            return value


def _renumber(scenario: Scenario) -> None:
    """Revisions count what was told or fetched: whether a short reply met a checkpoint is chance."""
    messages = [each.data["message"] for each in scenario.heard.events if "message" in each.data]
    messages += [item for each in scenario.fetches for item in each["page"]["items"]]
    known: dict[str, set[int]] = {}
    for each in messages:
        known.setdefault(each["id"], set()).add(each["revision"])
    for each in messages:
        each["revision"] = sorted(known[each["id"]]).index(each["revision"]) + 1
    # How much happened in the account before is chance as well.
    conversations = [
        each.data["conversation"] for each in scenario.heard.events if each.data.get("conversation")
    ]
    conversations += [each["conversation"] for each in scenario.fetches]
    activities = sorted({each["activity"] for each in conversations})
    for each in conversations:
        each["activity"] = activities.index(each["activity"]) + 1


def _written(name: str, scenario: Scenario) -> str:
    _renumber(scenario)
    scenario.heard.events = [
        Event(each.name, None, _timeless(each.data)) for each in scenario.heard.events
    ]
    scenario.fetches = [_timeless(each) for each in scenario.fetches]
    vector = _compact(name, scenario)
    names: dict[str, str] = {}
    lines = ",\n".join(
        f'"{key}": '
        + (
            "[\n" + ",\n".join(json.dumps(each, ensure_ascii=False) for each in value) + "\n]"
            if isinstance(value, list)
            else json.dumps(value)
        )
        for key, value in vector.items()
    )
    numbered = _UUID.sub(lambda each: names.setdefault(each[0], f"#{len(names) + 1}"), lines)
    return f"{{\n{numbered}\n}}\n"


@asynccontextmanager
async def _heard(client: Client, conversation_id: str) -> AsyncGenerator[Recorder]:
    recorder = Recorder()
    async with client.listening(follow_path(conversation_id)) as stream:

        async def hear() -> None:
            while (events := await stream.some()) is not None:
                for event in events:
                    recorder.hear(event)

        task = asyncio.create_task(hear())
        try:
            yield recorder
        finally:
            task.cancel()


async def recorded(server: Server, name: str) -> str:
    """The scenario as a vector's text."""
    seed, limit = SCENARIOS[name]
    async with server.client() as client:
        conversation_id = await client.open()
        async with _heard(client, conversation_id) as heard:
            scenario = Scenario(client, conversation_id, heard, random.Random(seed), limit)
            await scenario.play(name)
        return _written(name, scenario)


async def _write_all() -> None:
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as server:
        for name in SCENARIOS:
            text = await recorded(server, name)
            (VECTORS / f"{name}.json").write_text(text, encoding="utf-8")
            print(f"{name}: {len(text) >> 10} KB")


if __name__ == "__main__":
    asyncio.run(_write_all())
