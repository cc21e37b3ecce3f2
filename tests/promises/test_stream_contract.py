"""A stream writes the events of the contract, each with exactly the fields that it has there (R12).

The page's types are made from the same classes, so an event that only one of them knew would be
lost there.
"""

from typing import Any, get_args

import pytest
from pydantic import TypeAdapter

from servers import Client, Event, Server, Story, Stream
from talekeeper.api.stream_contract import AccountEvent, ConversationEvent

GROWING = "[[tokens 400]] [[pace 10ms]]"


def _names(union: Any) -> set[str]:
    events = get_args(get_args(union)[0])
    return {name for each in events for name in get_args(each.__annotations__["event"])}


def _in_contract(union: Any, event: Event) -> Any:
    """The event as the contract would write it."""
    adapter = TypeAdapter[Any](union)
    written = {"event": event.name, "data": event.data}
    return adapter.dump_python(adapter.validate_python(written), mode="json")


async def _end_login(client: Client) -> None:
    tokens = (await client.get("/api/tokens"))["items"]
    current = next(each["id"] for each in tokens if each["is_current"])
    assert (await client.ask("DELETE", f"/api/tokens/{current}", {})).status == 204


async def _delete_for_good(client: Client, conversation: str) -> None:
    for query in ("", "?for_good=true"):
        answer = await client.ask("DELETE", f"/api/conversations/{conversation}{query}")
        assert answer.status in (200, 204)


async def _heard(stream: Stream, story: Story, *names: str) -> None:
    """Read on until an event of each name has come."""
    first = len(story.events)

    def are_there() -> bool:
        return {event.name for event in story.events[first:]} >= set(names)

    assert await stream.tell(story, are_there), [event.name for event in story.events]


async def _all_events(server: Server, path: str, union: Any) -> list[Event]:
    """Everything that a stream of that kind can write."""
    async with server.client(server.add_account(f"Bea {path[:12]}")) as client:
        conversation, other = await client.open(), await client.open()
        sent = await client.say(conversation, GROWING)
        path, path_of_other = path.format(id=conversation), path.format(id=other)
        story = Story()
        is_account = "following" in _names(union)
        first = ["health"] if is_account else []
        async with client.listening(path) as stream:
            await _heard(stream, story, "ready", *first, "snapshot", "delta")
            renamed = {"title": "The mill"}
            await client.ask("PATCH", f"/api/conversations/{conversation}", renamed)
            generation = sent["reply"]["generation_id"]
            await client.ask("POST", f"/api/generations/{generation}/stop", {})
            await _heard(stream, story, "conversation.changed", "message.changed")
            if is_account:
                await client.say(await client.open(), "[[say Yes.]] [[title The Mill]]")
                await _heard(stream, story, "job.changed")
                ready = next(event for event in story.events if event.name == "ready")
                change = {"follow": [other, f"{conversation}@99999"]}
                await client.ask("PATCH", f"/api/events/{ready.data['stream_id']}", change)
                await _heard(stream, story, "following", "resync")
        if not is_account:
            async with client.listening(path, "99999.-.0") as stream:
                await _heard(stream, story, "resync")
        async with client.listening(path) as stream:
            await _heard(stream, story, "ready")
            await _delete_for_good(client, conversation)
            await _heard(stream, story, "conversation.gone")
        async with client.listening(path_of_other) as stream:
            await _heard(stream, story, "ready")
            await _end_login(client)
            await _heard(stream, story, "end")
        return story.events


@pytest.mark.req("R12")
@pytest.mark.parametrize(
    ("path", "union"),
    [
        ("/api/events?follow={id}", AccountEvent),
        ("/api/conversations/{id}/events", ConversationEvent),
    ],
)
async def test_a_stream_writes_every_event_of_its_contract_and_no_other(
    shared_server: Server, path: str, union: Any
):
    events = await _all_events(shared_server, path, union)
    assert {event.name for event in events} == _names(union)
    for event in events:
        assert _in_contract(union, event) == {"event": event.name, "data": event.data}
