"""A server killed in the middle of a reply keeps what was said (R12, G13, FR-005, FR-007, U3, U4).

After the next start the reply is `interrupted`, in its status and not in its text; its text is a
beginning of what the model was saying and holds everything that any follower had seen a quarter of
a second before the kill. Continued, it becomes exactly the whole, killed once more or not.
"""

import asyncio
import time
from pathlib import Path

import pytest

from servers import Client, Story, new_id, served, until
from talekeeper.providers.scripted import scripted_text

WHOLE = scripted_text(400)
ORDER = "Go on. [[tokens 400]] [[pace 10ms]]"


async def _told_up_to(
    client: Client,
    story: Story,
    conversation: str,
    reply: str,
    *,
    length: int,
    reached: asyncio.Semaphore,
) -> None:
    """Follow until so much was told; then go on following until the server is gone."""
    async with client.following(conversation, story.last_event_id or "0.-.0") as stream:
        assert await stream.tell(story, lambda: story.length(reply) >= length)
        reached.release()
        await stream.tell(story, lambda: story.has_ended(reply))


@pytest.mark.req("R12", "G13", "FR-005", "FR-007", "US-001", "US-004", "AC-002", "U2", "U3", "U4")
async def test_a_killed_reply_keeps_all_that_was_seen_and_is_continued_to_the_letter(
    tmp_path: Path,
):
    with served(tmp_path) as server:
        async with server.client() as client:
            tellings = {await client.open(): len(WHOLE) * share // 10 for share in (1, 3, 5)}
            stories = {each: Story() for each in tellings}
            sent = {each: await client.say(each, ORDER) for each in tellings}
            lost: list[int] = []
            reached = asyncio.Semaphore(0)
            for _ in range(2):
                following = [
                    asyncio.create_task(
                        _told_up_to(
                            client,
                            stories[each],
                            each,
                            sent[each]["reply"]["id"],
                            length=length,
                            reached=reached,
                        )
                    )
                    for each, length in tellings.items()
                ]
                for _ in following:
                    await asyncio.wait_for(reached.acquire(), 20)
                killed = time.monotonic()
                server.kill()
                await asyncio.wait_for(asyncio.gather(*following), 20)
                server.start()
                for each, story in stories.items():
                    reply = await client.message(each, sent[each]["reply"]["id"])
                    assert reply["status"] == "interrupted"
                    assert reply["error"] is None
                    assert WHOLE.startswith(reply["content"])
                    shown = story.length(reply["id"])
                    assert story.faults == []
                    kept = len(reply["content"])
                    assert kept >= story.seen_before(reply["id"], killed - 0.25)
                    lost.append(max(shown - kept, 0))
                    user, _ = await client.path(each)
                    assert user["content"] == ORDER
                    assert (await client.conversation(each))["generation_id"] is None
                    # From here on the follower knows what is kept, and the reply goes on from there.
                    stories[each] = Story()
                    going_on = await client.post(
                        f"/api/messages/{reply['id']}/continue", {"id": new_id()}
                    )
                    assert going_on.status == 201, going_on.body
                    sent[each] = going_on.json
                tellings = {each: len(WHOLE) * 7 // 10 for each in tellings}
            print("characters shown and not kept:", lost)
            for each in tellings:
                reply = await client.ended(sent[each])
                assert reply["content"] == WHOLE
                assert reply["status"] == "complete"


@pytest.mark.req("R12", "FR-007")
async def test_what_a_model_thought_before_its_server_was_killed_is_kept(tmp_path: Path):
    thought = "Who knocks at this hour? " * 40
    with served(tmp_path) as server:
        async with server.client() as client:
            conversation = await client.open()
            order = f"[[think {thought}]] [[say An envoy.]] [[pace 10ms]]"
            sent = await client.send(conversation, order)
            reply_id = sent["reply"]["id"]
            address = f"/api/messages/{reply_id}/reasoning/0"

            async def has_thought() -> bool:
                answer = await client.ask("GET", address)
                return answer.status == 200 and len(answer.json["text"]) > 200

            await until(has_thought, seconds=30)
            seen = (await client.ask("GET", address)).json
            assert seen["is_growing"]
            server.kill()
            server.start()
            reply = await client.message(conversation, reply_id)
            assert (reply["status"], reply["content"]) == ("interrupted", "")
            kept = (await client.ask("GET", address)).json
            assert not kept["is_growing"]
            assert thought.startswith(kept["text"])
            assert kept["text"].startswith(seen["text"])
            (part,) = reply["parts"]
            assert part["characters"] == len(kept["text"])
