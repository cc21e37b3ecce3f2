"""A stream goes on where it was cut, and what it follows changes while it is open (R12, U5, US-007).

Whoever follows one more conversation keeps the stream, whoever reopens it is told whether the
account's lists may have missed something, and a follow without a place leaves no gap.
"""

import asyncio
import json
from pathlib import Path

import pytest

from servers import Client, Event, Server, Story, Stream, follow_path, new_id, served, until
from talekeeper.api.open_streams import MOST_FOLLOWED
from talekeeper.providers.scripted import scripted_text

WHOLE = scripted_text(120)


async def _ready(stream: Stream) -> Event:
    """The first event; what came with it waits in the stream."""
    story = Story()
    assert await stream.tell(story, lambda: bool(story.events))
    assert story.events[0].name == "ready"
    return story.events[0]


async def _change(client: Client, stream_id: str, **change: list[str]) -> list[str]:
    answer = await client.ask("PATCH", f"/api/events/{stream_id}", change)
    assert answer.status == 200, answer.body
    return answer["following"]


@pytest.mark.req("R12", "U5")
@pytest.mark.parametrize("path", ["/api/events?follow={id}", "/api/conversations/{id}/events"])
async def test_a_follow_without_a_place_that_is_cut_at_once_resumes_without_a_gap(
    shared_server: Server, path: str
):
    async with shared_server.client() as client:
        conversation = await client.open()
        await client.ended(await client.say(conversation, "[[say Before.]]"))
        path = path.format(id=conversation)
        async with client.listening(path) as stream:
            ready = await _ready(stream)
        assert ready.id is not None
        sent = await client.say(conversation, "[[say Between.]]")
        await client.ended(sent)
        story = Story()
        async with client.listening(path, ready.id) as stream:
            assert await stream.tell(story, lambda: story.has_ended(sent["reply"]["id"]))
        assert sent["message"]["id"] in story.messages
        assert story.faults == []


@pytest.mark.req("R12", "U5")
@pytest.mark.parametrize("path", ["/api/events?follow={id}", "/api/conversations/{id}/events"])
async def test_a_stream_that_is_cut_right_after_it_stood_loses_nothing_of_a_growing_reply(
    shared_server: Server, path: str
):
    async with shared_server.client() as client:
        conversation = await client.open()
        sent = await client.say(conversation, "[[tokens 120]] [[pace 4ms]]")
        story, path = Story(), path.format(id=conversation)
        for _ in range(4):
            async with client.listening(path, story.last_event_id) as stream:
                ready = await _ready(stream)
                story.last_event_id = ready.id
                await asyncio.sleep(0.05)
        async with client.listening(path, story.last_event_id) as stream:
            assert await stream.tell(story, lambda: story.has_ended(sent["reply"]["id"]))
        assert story.faults == []
        assert story.texts[sent["reply"]["id"]] == WHOLE


@pytest.mark.req("R12", "US-007")
async def test_one_more_conversation_is_followed_on_the_stream_that_stands(shared_server: Server):
    async with shared_server.client() as client:
        one, two = await client.open(), await client.open()
        early = await client.say(two, "[[say Early.]]")
        await client.ended(early)
        growing = await client.say(two, "[[tokens 120]] [[pace 4ms]]")
        story = Story()
        async with client.listening(follow_path(one)) as stream:
            ready = await _ready(stream)
            following = await _change(client, ready.data["stream_id"], follow=[f"{two}@0"])
            assert following == sorted([one, two])
            assert await stream.tell(story, lambda: story.has_ended(growing["reply"]["id"]))
            assert await client.say(one, "Still told.", reply=False)
            assert await stream.tell(story, lambda: len(story.messages) == 5)
        assert story.faults == []
        assert [event.name for event in story.events].count("ready") == 0
        told = [event for event in story.events if event.name == "following"]
        assert [event.data for event in told] == [{"conversation_id": two, "seq": 0}]
        assert story.texts[growing["reply"]["id"]] == WHOLE
        assert early["message"]["id"] in story.messages


@pytest.mark.req("R12")
async def test_what_is_followed_again_is_told_again_from_its_place(shared_server: Server):
    async with shared_server.client() as client:
        conversation = await client.open()
        sent = await client.say(conversation, "[[say Once.]]")
        await client.ended(sent)
        story = Story()
        async with client.listening(follow_path(conversation)) as stream:
            ready = await _ready(stream)
            both = {sent["message"]["id"], sent["reply"]["id"]}
            for _ in range(2):
                await _change(client, ready.data["stream_id"], follow=[f"{conversation}@0"])
                story.messages.clear()
                assert await stream.tell(story, lambda: both <= story.messages.keys())


@pytest.mark.req("R12", "US-007")
async def test_what_is_followed_no_more_is_told_as_the_accounts_other_conversations_are(
    shared_server: Server,
):
    async with shared_server.client() as client:
        left, kept = await client.open(), await client.open()
        story = Story()
        async with client.listening(follow_path(left, kept)) as stream:
            ready = await _ready(stream)
            following = await _change(client, ready.data["stream_id"], unfollow=[left])
            assert following == [kept]
            await client.ended(await client.say(left, "[[say A secret.]]"))
            sent = await client.say(kept, "[[say Told.]]")
            assert await stream.tell(story, lambda: story.has_ended(sent["reply"]["id"]))
        assert "A secret" not in json.dumps([each.data for each in story.events])
        changed = [each for each in story.events if each.name == "conversation.changed"]
        assert any(each.data["conversation"]["id"] == left for each in changed)
        assert left not in str(story.last_event_id)


@pytest.mark.req("R12")
async def test_a_stream_resumes_with_what_it_followed_last(shared_server: Server):
    async with shared_server.client() as client:
        one, two = await client.open(), await client.open()
        story = Story()
        async with client.listening(follow_path(one)) as stream:
            ready = await _ready(stream)
            await _change(client, ready.data["stream_id"], follow=[two])
            assert await stream.tell(
                story, lambda: any(each.name == "following" for each in story.events)
            )
        sent = await client.say(two, "[[say Between.]]")
        await client.ended(sent)
        async with client.listening(follow_path(one), story.last_event_id) as stream:
            assert await stream.tell(story, lambda: story.has_ended(sent["reply"]["id"]))
        assert sent["message"]["id"] in story.messages


@pytest.mark.req("R21", "S3")
async def test_a_stream_that_is_asked_to_follow_what_is_anothers_tells_that_it_is_gone(
    shared_server: Server,
):
    token = shared_server.add_account("Eve")
    async with shared_server.client() as ada, shared_server.client(token) as eve:
        hers, own = await ada.open(), await eve.open()
        story = Story()
        async with eve.listening("/api/events") as stream:
            ready = await _ready(stream)
            await _change(eve, ready.data["stream_id"], follow=[f"{hers}@0", new_id(), own])
            await ada.ended(await ada.say(hers, "[[say A secret.]]"))
            sent = await eve.say(own, "[[say Mine.]]")
            assert await stream.tell(story, lambda: story.has_ended(sent["reply"]["id"]))
        gone = [each.data["conversation_id"] for each in story.events if each.name.endswith("gone")]
        assert len(gone) == 2
        assert hers in gone
        told = json.dumps([each.data for each in story.events if each.name[-4:] != "gone"])
        assert "secret" not in told
        assert hers not in told


@pytest.mark.req("S9")
async def test_a_stream_follows_no_more_than_its_limit(shared_server: Server):
    async with shared_server.client() as client:
        async with client.listening("/api/events") as stream:
            name = (await _ready(stream)).data["stream_id"]
            many = [new_id() for _ in range(MOST_FOLLOWED)]
            refused = await client.ask(
                "PATCH", f"/api/events/{name}", {"follow": [*many, new_id()]}
            )
            assert refused.problem == (422, "invalid_input")
            there = [await client.open() for _ in range(MOST_FOLLOWED)]
            assert len(await _change(client, name, follow=there)) == MOST_FOLLOWED
            one_more = await client.open()
            refused = await client.ask("PATCH", f"/api/events/{name}", {"follow": [one_more]})
            assert refused.problem == (422, "invalid_input")
            changed = await _change(client, name, follow=[one_more], unfollow=[there[0]])
            assert set(changed) == {one_more, *there[1:]}

        async def is_gone() -> bool:
            answer = await client.ask("PATCH", f"/api/events/{name}", {"follow": [one_more]})
            return answer.status == 404 and answer.problem[1] == "not_found"

        await until(is_gone)


@pytest.mark.req("R12", "U5")
async def test_a_stream_says_whether_the_lists_missed_something(tmp_path: Path):
    with served(tmp_path) as server:
        async with server.client() as client:
            conversation = await client.open()
            story = Story()

            async def missed(last_event_id: str | None) -> bool:
                async with client.listening(follow_path(conversation), last_event_id) as stream:
                    ready = await _ready(stream)
                    story.last_event_id = ready.id
                    return ready.data["missed"]

            assert await missed(None)
            assert not await missed(story.last_event_id)
            # The account's place alone does as well.
            assert story.last_event_id is not None
            assert not await missed(story.last_event_id.split(",")[0])
            for change in (
                client.open(),
                client.say(conversation, "Said.", reply=False),
                client.ask("PATCH", f"/api/conversations/{conversation}", {"title": "The mill"}),
                client.ask("DELETE", f"/api/conversations/{conversation}"),
                client.ask("DELETE", f"/api/conversations/{conversation}?for_good=true"),
            ):
                await change
                assert await missed(story.last_event_id)
                assert not await missed(story.last_event_id)
            other = await client.open()
            before = story.last_event_id
            async with client.listening("/api/events", before) as stream:
                heard = Story()
                await _ready(stream)
                await client.ask("PATCH", f"/api/conversations/{other}", {"title": "The inn"})
                assert await stream.tell(
                    heard, lambda: any("changed" in each.name for each in heard.events)
                )
            assert not await missed(heard.last_event_id), "it was told of that"
            assert await missed(before)
            await asyncio.to_thread(server.restart)
            assert await missed(story.last_event_id), "another process counts from nothing"


@pytest.mark.req("R12")
@pytest.mark.postgres
async def test_a_process_that_does_not_hold_the_stream_says_so(
    tmp_path: Path, postgres_database: str
):
    with (
        served(tmp_path / "one", database_url=postgres_database) as one,
        served(tmp_path / "two", database_url=postgres_database) as two,
    ):
        async with one.client() as here, two.client() as there:
            conversation = await here.open()
            async with here.listening("/api/events") as stream:
                name = (await _ready(stream)).data["stream_id"]
                refused = await there.ask(
                    "PATCH", f"/api/events/{name}", {"follow": [conversation]}
                )
                assert refused.problem == (404, "not_found")
                assert "Open another" in refused["detail"]
