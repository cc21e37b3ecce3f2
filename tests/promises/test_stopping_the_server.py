"""SIGTERM: gone within five seconds with streams open, and nothing that was shown is lost (R14).

What the AI had said is kept as `interrupted`. A send that was on its way is either acknowledged and
there, or was refused and is absent.
"""

import asyncio
import itertools
import signal
import time
from pathlib import Path

import pytest

from servers import Client, Story, Unanswered, new_id, served
from talekeeper.providers.scripted import scripted_text

WHOLE = scripted_text(2_000)


@pytest.mark.req("R14", "FR-005", "U2", "U3", "U4")
async def test_told_to_end_it_is_gone_within_five_seconds_and_keeps_all_that_was_shown(
    tmp_path: Path,
):
    with served(tmp_path) as server:
        async with server.client() as client:
            talking = [await client.open() for _ in range(3)]
            sent = [await client.say(each, "[[tokens 2000]] [[pace 5ms]]") for each in talking]
            replies = [each["reply"]["id"] for each in sent]
            stories = [Story() for _ in range(10)]
            have_begun = [asyncio.Event() for _ in stories]

            async def follow(story: Story, number: int) -> bool:
                conversation, reply = talking[number % 3], replies[number % 3]
                async with client.following(conversation) as stream:
                    assert await stream.tell(story, lambda: story.length(reply) > 200)
                    have_begun[number].set()
                    return await stream.tell(story, lambda: False)

            followers = [
                asyncio.create_task(follow(story, number)) for number, story in enumerate(stories)
            ]
            busy = await client.open()
            acked: dict[str, str] = {}
            refused: set[str] = set()
            unanswered: set[str] = set()
            senders = [
                asyncio.create_task(_send_until_refused(client, busy, acked, refused, unanswered))
                for _ in range(4)
            ]
            async with asyncio.timeout(20):
                for event in have_begun:
                    await event.wait()
                while len(acked) < 20:
                    await asyncio.sleep(0.01)
            began = time.monotonic()
            _, code = await asyncio.to_thread(server.stop, signal.SIGTERM)
            took = time.monotonic() - began
            ended = await asyncio.wait_for(asyncio.gather(*followers), 10)
            await asyncio.wait_for(asyncio.gather(*senders), 10)
            print(
                f"gone in {took:.2f} s; {len(acked)} acked, {len(refused)} refused, {len(unanswered)} cut"
            )
            assert code == 0
            assert took < 5
            assert ended == [False] * 10, "every stream ends by itself"

            server.start()
            for number, story in enumerate(stories):
                reply = await client.message(talking[number % 3], replies[number % 3])
                assert reply["status"] == "interrupted"
                assert WHOLE.startswith(reply["content"])
                assert reply["content"].startswith(story.grown[reply["id"]])
                assert story.faults == []
            there = {each["id"]: each["content"] for each in await client.tree(busy)}
            assert {name: there.get(name) for name in acked} == acked
            assert not refused & there.keys(), "refused, and yet stored"
            for name in unanswered:
                again = await client.send(busy, f"line {name}", id=name, reply=False)
                assert again.status == (200 if name in there else 201)
            assert "Traceback" not in server.log


async def _send_until_refused(
    client: Client,
    conversation: str,
    acked: dict[str, str],
    refused: set[str],
    unanswered: set[str],
) -> None:
    for _ in itertools.count():
        name = new_id()
        text = f"line {name}"
        try:
            answer = await client.send(conversation, text, id=name, reply=False)
        except Unanswered:
            unanswered.add(name)
            return
        if answer.status != 201:
            assert answer.problem[0] == 503
            assert answer["retryable"] is True
            refused.add(name)
            return
        acked[name] = text
