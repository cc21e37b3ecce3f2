"""A reply that is followed with any number of cuts is read without gap or repetition (R12, U5, U22).

The scripted text bears its own numbers, and characters that Python, JavaScript and UTF-8 count
differently; offsets count code points. `Story` takes an event by the wire's rules alone and notes
whatever does not fit on.
"""

import asyncio
import random
from pathlib import Path

import pytest

from servers import (
    IN_FLIGHT,
    Client,
    Event,
    Server,
    Story,
    follow_path,
    on_both_engines,
    served,
    until,
)
from talekeeper.providers.scripted import scripted_text

WHOLE = scripted_text(240)
ORDER = "Tell it. [[tokens 240]] [[pace 4ms]]"


@pytest.mark.req("R12", "C-S8", "FR-007", "U2", "U5", "U22")
@on_both_engines
async def test_cut_at_every_tenth_a_reply_is_the_same_to_the_letter(
    tmp_path: Path, database_url: str | None
):
    with served(tmp_path, database_url=database_url) as server:
        async with server.client() as client:
            conversation = await client.open()
            sent = await client.say(conversation, ORDER)
            reply = sent["reply"]["id"]
            by_conversation, by_account, from_nothing = Story(), Story(), Story()

            async def read(story: Story, path: str, *, remembers: bool) -> None:
                for tenth in range(1, 11):
                    enough = len(WHOLE) * tenth // 10 if tenth < 10 else len(WHOLE) + 1
                    place = story.last_event_id if remembers else None
                    async with client.listening(path, place) as stream:
                        if not remembers:
                            message = await client.message(conversation, reply)
                            if message["status"] not in IN_FLIGHT:
                                story.apply(Event("message.changed", None, {"message": message}))
                        assert await stream.tell(
                            story,
                            lambda: story.length(reply) >= enough or story.has_ended(reply),  # noqa: B023
                        )

            path = f"/api/conversations/{conversation}/events"
            await asyncio.gather(
                read(by_conversation, path, remembers=True),
                read(by_account, follow_path(f"{conversation}@0"), remembers=True),
                read(from_nothing, path, remembers=False),
            )
            stored = await client.message(conversation, reply)
            assert stored["content"] == WHOLE
            for story in (by_conversation, by_account, from_nothing):
                assert story.faults == []
                assert story.texts[reply] == WHOLE
                assert story.messages[reply] == stored
            assert any(ord(sign) > 0xFFFF for sign in WHOLE)


@pytest.mark.req("R12", "U5")
@pytest.mark.parametrize("kind", ["conversation", "account"])
async def test_cut_at_any_byte_a_reply_is_the_same_to_the_letter(tmp_path: Path, kind: str):
    chance = random.Random()
    with served(tmp_path) as server:
        async with server.client() as client:
            conversation = await client.open()
            sent = await client.say(conversation, ORDER)
            reply = sent["reply"]["id"]
            path = f"/api/conversations/{conversation}/events"
            if kind == "account":
                path = follow_path(conversation)
            story = Story(last_event_id=f"{conversation}@0" if kind == "account" else "0.-.0")
            cuts = 0
            async with asyncio.timeout(30):
                while not story.has_ended(reply):
                    # Now and then a stream is left alone for longer, or it would hardly get on.
                    left = chance.choice([chance.randint(1, 900), chance.randint(900, 20_000)])
                    async with client.listening(path, story.last_event_id) as stream:
                        while left > 0 and not story.has_ended(reply):
                            most = min(left, chance.randint(1, 700))
                            events = await stream.some(most)
                            assert events is not None
                            for event in events:
                                story.apply(event)
                            left -= most
                    cuts += 1
            print(cuts, "cuts")
            assert cuts > 5
            assert story.faults == []
            stored = await client.message(conversation, reply)
            assert story.messages[reply] == stored
            assert stored["content"] == WHOLE


@pytest.mark.req("R12", "U5")
async def test_what_happened_while_nobody_followed_is_told_on_return(tmp_path: Path):
    with served(tmp_path) as server:
        async with server.client() as client:
            conversation = await client.open()
            story = Story()
            async with client.following(conversation, "0.-.0") as stream:
                first = await client.say(conversation, "[[say One.]]")
                assert await stream.tell(story, lambda: story.has_ended(first["reply"]["id"]))
            second = await client.say(conversation, "[[say Two.]]")
            await client.ended(second)
            await client.ask("PATCH", f"/api/conversations/{conversation}", {"title": "The mill"})
            third = await client.say(conversation, ORDER)
            await until(lambda: _has_words(client, conversation, third["reply"]["id"]))
            async with client.following(conversation, story.last_event_id) as stream:
                assert await stream.tell(story, lambda: story.has_ended(third["reply"]["id"]))
            assert story.faults == []
            stored = await client.tree(conversation)
            assert [story.messages[each["id"]] for each in stored] == stored
            titles = [
                event.data["conversation"]["title"]
                for event in story.events
                if event.name == "conversation.changed"
            ]
            assert titles[-1] == "The mill"


async def _has_words(client: Client, conversation: str, reply: str) -> bool:
    return bool((await client.message(conversation, reply))["content"])


@pytest.mark.req("R12", "S8")
@pytest.mark.parametrize(
    "place", ["x", "-1", "1.x.y", "99999999999999999999", "1.-.99999999999999999999"]
)
async def test_a_place_that_was_never_given_out_is_refused(shared_server: Server, place: str):
    async with shared_server.client() as client:
        conversation = await client.open()
        answer = await client.ask(
            "GET",
            f"/api/conversations/{conversation}/events",
            headers={"Last-Event-ID": place},
        )
        assert answer.problem == (422, "invalid_input")


@pytest.mark.req("R12")
async def test_a_place_from_a_database_since_restored_begins_afresh(tmp_path: Path):
    with served(tmp_path) as server:
        async with server.client() as client:
            conversation = await client.open()
            sent = await client.say(conversation, "[[say One.]]")
            await client.ended(sent)
            story = Story()
            async with client.following(conversation, "4711.-.0") as stream:
                await stream.tell(
                    story, lambda: any(event.name == "resync" for event in story.events)
                )
            seq = (await client.conversation(conversation))["seq"]
            assert story.last_event_id == f"{seq}.-.0"


@pytest.mark.req("R12", "U5")
def test_gaps_and_repetitions_are_seen_by_the_reader():
    def told(offset: int, text: str, name: str = "delta") -> Event:
        ids = {"conversation_id": "c", "message_id": "m", "generation_id": "g"}
        return Event(name, None, {**ids, "offset": offset, "text": text})

    def closed(content: str) -> Event:
        message = {"id": "m", "content": content, "status": "complete", "revision": 3}
        return Event("message.changed", None, {"message": message})

    def faults(*events: Event) -> int:
        story = Story()
        for event in events:
            story.apply(event)
        return len(story.faults)

    whole = [told(0, "ab", "snapshot"), told(2, "c🐉"), told(4, "e"), closed("abc🐉e")]
    assert faults(*whole) == 0
    assert faults(*whole, closed("abc🐉e")) == 0
    assert faults(whole[0], whole[2]) == 1, "a gap"
    assert faults(*whole[:2], whole[1]) == 1, "a repetition"
    assert faults(*whole[:2], told(5, "e")) == 1, "an offset that counts UTF-16"
    assert faults(*whole[:3], told(0, "abX", "snapshot")) == 1, "another beginning"
    assert faults(*whole[:3], closed("ab")) == 1, "less than was shown"
