"""Two and three server processes over one PostgreSQL and one Valkey: whoever is asked, all is the same.

A reply grows in any of them, is followed from any and is stopped from any. Without Valkey followers
hear from the database, within two seconds, and come back by themselves.
"""

import asyncio
import signal
import time
from pathlib import Path

import psycopg
import pytest

from engines import Valkey
from fleet.fleets import Fleet, a_fleet
from servers import Client, Story, follow_path, new_id, until
from talekeeper.providers.scripted import scripted_text

pytestmark = [pytest.mark.postgres, pytest.mark.req("C-S2", "R19", "NFR-003")]

WHOLE = scripted_text(400)


@pytest.fixture
async def two(tmp_path: Path, postgres_database: str, valkey: Valkey):
    async with a_fleet(tmp_path, 2, postgres_database, valkey) as fleet:
        yield fleet


async def followed(client: Client, conversation: str, reply: str, *, length: int = 0) -> Story:
    """What a follower knows once the reply has ended, or is so long."""
    story = Story()
    async with client.following(conversation, "0.-.0") as stream:
        assert await stream.tell(
            story,
            lambda: bool(length and story.length(reply) >= length) or story.has_ended(reply),
        )
    return story


async def test_a_reply_of_any_process_is_followed_from_any_without_a_gap(
    tmp_path: Path, postgres_database: str, valkey: Valkey
):
    async with a_fleet(tmp_path, 3, postgres_database, valkey) as fleet:
        async with fleet.servers[0].client() as one:
            conversations = [await one.open() for _ in fleet.servers]
        replies = []
        for server, conversation in zip(fleet.servers, conversations, strict=True):
            async with server.client() as client:
                replies.append(await client.say(conversation, "[[tokens 400]] [[pace 4ms]]"))

        async def hear(number: int, which: int) -> Story:
            async with fleet.servers[number].client() as client:
                return await followed(client, conversations[which], replies[which]["reply"]["id"])

        stories = await asyncio.gather(*(hear(n, w) for n in range(3) for w in range(3)))
        for place, story in enumerate(stories):
            reply = replies[place % 3]["reply"]["id"]
            assert story.faults == []
            assert story.texts[reply] == WHOLE
            deltas = sum(each.name == "delta" for each in story.events)
            assert deltas > 20, "as it grows, and not by looking into the database"


async def test_a_follower_that_goes_on_in_another_process_hears_each_piece_once(two: Fleet):
    async with two.anyone() as client:
        conversation = await client.open()
        sent = await client.say(conversation, "[[tokens 400]] [[pace 4ms]]")
        reply = sent["reply"]["id"]
        story = Story()
        cuts = 0
        while not story.has_ended(reply):
            goal = story.length(reply) + 150
            async with client.following(conversation, story.last_event_id or "0.-.0") as stream:
                await stream.tell(
                    story, lambda goal=goal: story.length(reply) >= goal or story.has_ended(reply)
                )
            cuts += 1
        assert cuts > 5
        assert story.faults == []
        assert story.texts[reply] == WHOLE


async def test_a_reply_is_stopped_from_another_process_at_once(two: Fleet):
    async with two.servers[0].client() as one, two.servers[1].client() as other:
        conversation = await one.open()
        sent = await one.say(conversation, "[[tokens 3000]] [[pace 5ms]]")
        reply = sent["reply"]["id"]
        await followed(other, conversation, reply, length=100)
        began = time.monotonic()
        stopped = await other.post(f"/api/generations/{sent['generation_id']}/stop")
        took = time.monotonic() - began
        assert stopped.status == 200, stopped.body
        assert stopped["status"] == "stopped"
        assert len(stopped["content"]) >= 100
        assert took < 2
        print(f"stopped from another process after {took * 1000:.0f} ms")


@pytest.mark.parametrize("order", ["[[tokens 3000]] [[pace 5ms]]", "[[stall after 0]]"])
async def test_a_stop_reaches_a_process_that_is_cut_from_redis_through_the_row(
    two: Fleet, order: str
):
    """With every checkpoint of a growing reply; with the next look where the model is silent."""
    two.members[0].redis.cut()
    async with two.servers[0].client() as one, two.servers[1].client() as other:
        conversation = await one.open()
        sent = await one.say(conversation, order)
        stopped = await other.post(f"/api/generations/{sent['generation_id']}/stop")
        assert stopped.status == 200, stopped.body
        assert stopped["status"] == "stopped"


async def test_a_stop_of_a_process_that_is_frozen_ends_the_reply_after_its_lease(two: Fleet):
    async with two.servers[0].client() as one, two.servers[1].client() as other:
        conversation = await one.open()
        sent = await one.say(conversation, "[[tokens 3000]] [[pace 5ms]]")
        await followed(other, conversation, sent["reply"]["id"], length=100)
        two.servers[0].send_signal(signal.SIGSTOP)
        try:
            stopped = await other.post(f"/api/generations/{sent['generation_id']}/stop")
            if stopped.status == 503:  # the lease ran out a moment too late for this request
                assert stopped.problem == (503, "store_busy")
                stopped = await other.post(f"/api/generations/{sent['generation_id']}/stop")
            assert stopped["status"] == "stopped"
        finally:
            two.servers[0].send_signal(signal.SIGCONT)


async def test_deleting_a_conversation_stops_the_reply_of_another_process(two: Fleet):
    async with two.servers[0].client() as one, two.servers[1].client() as other:
        conversation = await one.open()
        sent = await one.say(conversation, "[[tokens 3000]] [[pace 5ms]]")
        await followed(other, conversation, sent["reply"]["id"], length=100)
        gone = await other.ask("DELETE", f"/api/conversations/{conversation}")
        while gone.status == 503:  # a busy machine holds the row's lock for longer than is waited
            assert gone.json["code"] == "store_busy"
            await asyncio.sleep(0.2)
            gone = await other.ask("DELETE", f"/api/conversations/{conversation}")
        assert gone.status == 200, gone.body
        kept = await one.message(conversation, sent["reply"]["id"])
        assert kept["status"] == "stopped"
        assert len(kept["content"]) >= 100


async def test_a_locked_row_is_not_taken_for_a_process_that_does_not_end_its_reply(two: Fleet):
    """Deleting is refused, and asked for again: the reply keeps all that was seen of it."""
    async with two.servers[0].client() as one, two.servers[1].client() as other:
        conversation = await one.open()
        with psycopg.connect(two.database_url, autocommit=True) as foreign:
            sent = await one.say(conversation, "[[tokens 3000]] [[pace 5ms]]")
            reply = sent["reply"]["id"]
            foreign.execute("BEGIN")
            foreign.execute("SELECT 1 FROM conversations WHERE id = %s FOR UPDATE", [conversation])
            following = asyncio.create_task(followed(other, conversation, reply))
            path = f"/api/conversations/{conversation}"
            asked = asyncio.create_task(other.ask("DELETE", path))
            await asyncio.sleep(0.75)  # longer than a lock is waited for
            foreign.execute("ROLLBACK")
        gone = await asked
        while gone.status == 503:
            gone = await other.ask("DELETE", path)
        assert gone.status == 200, gone.body
        story = await following
        kept = await one.message(conversation, reply)
        assert story.grown[reply]
        assert kept["content"].startswith(story.grown[reply])


async def test_what_a_stream_follows_is_changed_through_another_process(two: Fleet):
    async with two.servers[0].client() as one, two.servers[1].client() as other:
        conversation = await one.open()
        story = Story()
        async with one.listening("/api/events") as stream:
            assert await stream.tell(story, lambda: bool(story.events))
            stream_id = story.events[0].data["stream_id"]
            path = f"/api/events/{stream_id}"

            async def is_changed() -> bool:
                """404, and so another stream, is right where the answer takes too long."""
                changed = await other.ask("PATCH", path, {"follow": [conversation]})
                assert changed.status in (200, 404), changed.body
                return changed.status == 200 and changed["following"] == [conversation]

            await until(is_changed)
            sent = await other.say(conversation, "[[say Heard.]]")
            assert await stream.tell(story, lambda: story.has_ended(sent["reply"]["id"]))
            for follow in (["nothing"], [new_id() for _ in range(32)]):

                async def is_refused(follow: list[str] = follow) -> bool:
                    wrong = await other.ask("PATCH", path, {"follow": follow})
                    assert wrong.status in (422, 404)
                    return wrong.status == 422

                await until(is_refused)
        missing = await other.ask("PATCH", f"/api/events/{new_id()}", {"follow": [conversation]})
        assert missing.problem == (404, "not_found")


@pytest.mark.parametrize("cut", [(0,), (1,), (0, 1)], ids=["holder", "follower", "both"])
@pytest.mark.parametrize("fault", ["cut", "swallow"])
async def test_without_redis_followers_hear_from_the_database_within_two_seconds(
    two: Fleet, cut: tuple[int, ...], fault: str
):
    async with two.servers[0].client() as one, two.servers[1].client() as other:
        conversation = await one.open()
        unfollowed = await one.open()
        sent = await one.say(conversation, "[[tokens 1500]] [[pace 5ms]]")
        reply = sent["reply"]["id"]
        story = Story()
        async with other.listening(follow_path(f"{conversation}@0")) as stream:
            assert await stream.tell(story, lambda: story.length(reply) > 200)
            for number in cut:
                getattr(two.members[number].redis, fault)()
            for _ in range(3):
                at = story.length(reply)
                # What had been written when Redis went is in the database soon after.
                assert await stream.tell(story, lambda at=at: story.length(reply) > at, seconds=2)
            await one.say(unfollowed, "A word elsewhere.", reply=False)
            assert await stream.tell(
                story,
                lambda: any(
                    event.name == "conversation.changed"
                    and event.data["conversation"]["id"] == unfollowed
                    and event.data["seq"] > 1
                    for event in story.events
                ),
                seconds=3,
            )
            for number in cut:
                two.members[number].redis.mend()
            await until(lambda: _is_well(other), seconds=8)
            before = len(story.events)
            assert await stream.tell(
                story,
                lambda: (
                    sum(e.name == "delta" for e in story.events[before:]) > 20
                    or story.has_ended(reply)
                ),
            )
            await other.post(f"/api/generations/{sent['generation_id']}/stop")
            assert await stream.tell(story, lambda: story.has_ended(reply))
        assert story.faults == []
        kept = await one.message(conversation, reply)
        assert story.texts[reply] == kept["content"]


async def _is_well(client: Client) -> bool:
    health = (await client.get("/api/health")).json
    return all(reason["code"] != "live_delayed" for reason in health["reasons"])


async def test_health_says_that_redis_does_not_answer_and_names_no_password(
    two: Fleet, valkey: Valkey
):
    async with two.servers[0].client() as one:
        assert await _is_well(one)
        valkey.kill()
        await until(lambda: _is_delayed(one), seconds=5)
        ready = await one.get("/readyz")
        assert ready.status == 200
        assert any("Redis" in warning for warning in ready["warnings"])
        sent = await one.say(await one.open(), "[[say Still here.]]")
        assert (await one.ended(sent))["content"] == "Still here."
        valkey.start()
        await until(lambda: _is_well(one), seconds=5)


@pytest.mark.parametrize("fault", ["cut", "swallow"])
async def test_without_postgresql_what_is_asked_is_refused_within_two_seconds(
    two: Fleet, fault: str
):
    """And taken again once it is back, by the same process, exactly once."""
    async with two.servers[0].client() as one, two.servers[1].client() as other:
        conversation = await one.open()
        getattr(two.members[0].database, fault)()
        name = new_id()
        for ask in (
            lambda: one.get(f"/api/conversations/{conversation}"),
            lambda: one.send(conversation, "A word.", id=name, reply=False),
        ):
            began = time.monotonic()
            refused = await ask()
            assert refused.problem == (503, "store_unavailable")
            assert time.monotonic() - began < 2
        said = await other.say(conversation, "Meanwhile.", reply=False)
        two.members[0].database.mend()

        async def is_taken() -> bool:
            return (await one.send(conversation, "A word.", id=name, reply=False)).status < 300

        await until(is_taken, seconds=10)
        tree = await one.tree(conversation)
        assert [each["id"] for each in tree] == [said["message"]["id"], name]


async def _is_delayed(client: Client) -> bool:
    return not await _is_well(client)
