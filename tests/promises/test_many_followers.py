"""Any number of followers see the same text grow; a slow one holds nobody back (U2, U5, C-S2).

A follower that never reads is cut once too much waits for it. What it then finds is a beginning of
the reply, and its last event id leads to the rest.
"""

import asyncio
import socket
import time
from pathlib import Path

import pytest

from servers import Client, Server, Story, follow_path, served
from talekeeper.providers.scripted import scripted_text

WHOLE = scripted_text(200)
LONG = 40_000
"""Pieces of a reply that no socket's buffers hold as events."""


async def _followed(client: Client, path: str, story: Story, reply: str) -> int:
    """How many streams it took to hear the reply to its end."""
    streams = 0
    async with asyncio.timeout(60):
        while True:
            streams += 1
            async with client.listening(path, story.last_event_id) as stream:
                if await stream.tell(story, lambda: story.has_ended(reply), seconds=60):
                    return streams


@pytest.mark.req("R12", "U2", "U5", "US-004", "C-S8")
async def test_seven_followers_of_one_reply_see_the_same_text(shared_server: Server):
    async with shared_server.client() as client:
        conversation = await client.open()
        by_conversation = f"/api/conversations/{conversation}/events"
        paths = [by_conversation] * 4 + [follow_path(conversation)] * 3
        places = ["0.-.0"] * 4 + [f"{conversation}@0"] * 3
        stories = [Story(last_event_id=place) for place in places]
        sent = await client.say(conversation, "All of you: [[tokens 200]] [[pace 4ms]]")
        reply = sent["reply"]["id"]
        await asyncio.gather(
            *(
                _followed(client, path, story, reply)
                for path, story in zip(paths, stories, strict=True)
            )
        )
        stored = await client.message(conversation, reply)
        assert stored["content"] == WHOLE
        for story in stories:
            assert story.faults == []
            assert story.grown[reply] == WHOLE
            assert story.messages[reply] == stored


@pytest.mark.req("R12", "U2", "G11")
async def test_a_follower_that_never_reads_is_cut_and_holds_nobody_back(tmp_path: Path):
    whole = scripted_text(LONG)
    with served(tmp_path) as server:
        async with server.client() as client:
            conversation = await client.open()
            path = f"/api/conversations/{conversation}/events"
            deaf = _deaf_follower(server, path)
            try:
                sent = await client.say(conversation, f"[[tokens {LONG}]] [[pace 0ms]]")
                reply = sent["reply"]["id"]
                began = time.monotonic()
                stories = [Story(last_event_id="0.-.0"), Story(last_event_id="0.-.0")]
                await asyncio.gather(*(_followed(client, path, story, reply) for story in stories))
                took = time.monotonic() - began
                stored = await client.message(conversation, reply)
                assert stored["content"] == whole
                for story in stories:
                    assert story.faults == []
                    assert story.texts[reply] == whole
                heard = await asyncio.to_thread(_all_that_waits, deaf)
            finally:
                deaf.close()
            print(f"{LONG} pieces in {took:.1f} s; the deaf one was left {len(heard)} bytes")
            assert b"event: delta" in heard
            assert f"({LONG - 1})".encode() not in heard, "it was not cut"
            ids = [line for line in heard.split(b"\n") if line.startswith(b"id: ")]
            late = Story(last_event_id=ids[-1][4:].decode().strip())
            _, _, offset = (late.last_event_id or "").rpartition(".")
            assert 0 < int(offset) < len(whole)
            late.texts[reply] = whole[: int(offset)]
            async with client.following(conversation, late.last_event_id) as stream:
                assert await stream.tell(late, lambda: late.has_ended(reply))
            assert late.faults == []
            assert late.texts[reply] == whole


def _deaf_follower(server: Server, path: str) -> socket.socket:
    """A connection that asks for a stream and takes as little of it as a socket can."""
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    deaf.connect(("127.0.0.1", server.port))
    head = (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
        f"Authorization: Bearer {server.token}\r\nConnection: close\r\n\r\n"
    )
    deaf.sendall(head.encode())
    first = deaf.recv(64)  # it is subscribed once its answer begins
    assert first.startswith(b"HTTP/1.1 200")
    return deaf


def _all_that_waits(deaf: socket.socket) -> bytes:
    """What was written to it until it was cut; the connection ends there."""
    deaf.settimeout(10)
    heard = b""
    try:
        while data := deaf.recv(1 << 16):
            heard += data
    except TimeoutError:
        print(f"not cut: {len(heard)} bytes, {heard[-300:]!r}")
        raise
    return heard
