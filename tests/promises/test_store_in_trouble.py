"""A lock that another holds, a disk that is full or fails: honest refusals, no loss (R3, R4, R5).

FR-006, NFR-001, NFR-010, NFR-013. Reads go on; sends are refused with 503 and when to try again;
once the trouble is over the same server writes again by itself, and nothing acknowledged is gone.
"""

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest

from servers import Answer, Client, Story, follow_path, new_id, served
from talekeeper.providers.scripted import scripted_text
from talekeeper.torture.shim import Shim, no_compiler
from troubles import fill_up, small_disk, write_lock_held


@pytest.mark.req("R5", "NFR-001", "NFR-013", "FR-006")
async def test_while_another_holds_the_lock_reads_go_on_and_sends_are_refused_soon(tmp_path: Path):
    with served(tmp_path) as server:
        async with server.client() as client:
            conversation = await client.open()
            kept = await client.say(conversation, "Before.", reply=False)
            growing = await client.open()
            sent = await client.say(growing, "[[tokens 60]] [[pace 20ms]]")
            refused: list[str] = []
            slowest_read = slowest_send = 0.0
            with write_lock_held(server.database):
                until_then = time.monotonic() + 3
                while time.monotonic() < until_then:
                    began = time.monotonic()
                    tree = await client.tree(conversation)
                    assert (await client.get("/api/conversations")).status == 200
                    slowest_read = max(slowest_read, time.monotonic() - began)
                    assert [message["id"] for message in tree] == [kept["message"]["id"]]
                    names = [new_id() for _ in range(5)]
                    began = time.monotonic()
                    answers = await asyncio.gather(
                        *(client.send(conversation, f"line {n}", id=n, reply=False) for n in names)
                    )
                    slowest_send = max(slowest_send, time.monotonic() - began)
                    for answer in answers:
                        assert answer.problem == (503, "store_busy")
                        assert answer["retryable"] is True
                        assert int(answer.headers["Retry-After"]) >= 1
                    refused += names
            print(f"reads {slowest_read:.3f} s, refusals {slowest_send:.3f} s at most")
            assert slowest_read < 1.0
            assert slowest_send < 1.5
            again = await asyncio.gather(
                *(client.send(conversation, f"line {n}", id=n, reply=False) for n in refused)
            )
            assert {answer.status for answer in again} == {201}, "what was refused was not stored"
            assert len(await client.tree(conversation)) == 1 + len(refused)
            reply = await client.ended(sent)
            assert (reply["status"], reply["content"]) == ("complete", scripted_text(60))


@pytest.mark.req("R4", "NFR-010", "NFR-013", "FR-006")
@pytest.mark.skipif(
    os.geteuid() != 0 or sys.platform != "linux", reason="mounting a small disk takes root on Linux"
)
async def test_on_a_full_disk_reads_go_on_and_it_writes_again_once_there_is_room():
    with small_disk(8) as disk, served(disk) as server:
        async with server.client() as client:
            conversation = await client.open()
            acked: dict[str, str] = {}
            before = await _sends(client, conversation, acked)
            assert before.status == 201
            talking = await client.open()
            sent = await client.say(talking, "[[tokens 400]] [[pace 10ms]]")
            story = Story()
            async with client.following(talking, "0.-.0") as stream:
                await stream.tell(story, lambda: story.length(sent["reply"]["id"]) > 50)
            ballast = disk / "ballast"
            fill_up(ballast)

            refusal = before
            async with asyncio.timeout(20):
                while refusal.status == 201:
                    refusal = await _sends(client, conversation, acked)
            assert refusal.problem == (503, "store_full")
            assert refusal["retryable"] is True
            assert int(refusal.headers["Retry-After"]) >= 1
            began = time.monotonic()
            for _ in range(10):
                assert (await _sends(client, conversation, acked)).status == 503
                tree = await client.tree(conversation)
                assert {m["id"]: m["content"] for m in tree} == acked
            assert time.monotonic() - began < 10
            assert (await client.get("/healthz")).status == 200
            ready = await client.get("/readyz")
            assert any("free" in warning for warning in ready["warnings"])

            ballast.unlink()
            freed = time.monotonic()
            answer = refusal
            while answer.status != 201:
                assert time.monotonic() - freed < 5
                answer = await _sends(client, conversation, acked)
            print(f"{len(acked)} acknowledged; writable {time.monotonic() - freed:.2f} s after")
            reply = await client.ended(sent)
            assert (reply["status"], reply["content"]) == ("complete", scripted_text(400))
            server.restart()
            tree = await client.tree(conversation)
            assert {m["id"]: m["content"] for m in tree} == acked
            assert "Traceback" not in server.log


async def _sends(client: Client, conversation: str, acked: dict[str, str]) -> Answer:
    name = new_id()
    text = f"{name} " + "x" * 20_000
    answer = await client.send(conversation, text, id=name, reply=False)
    if answer.status == 201:
        acked[name] = text
    return answer


@pytest.fixture
def shim(tmp_path: Path) -> Shim:
    """Faults to order for a server; skips where none can be made."""
    obstacle = no_compiler()
    if obstacle is not None:
        pytest.skip(obstacle)
    return Shim(tmp_path)


@pytest.mark.req("R3", "FR-006", "NFR-013", "NFR-014")
async def test_a_failed_sync_is_never_acknowledged_and_its_end_is_told_without_a_send(
    tmp_path: Path, shim: Shim
):
    with served(tmp_path, env=shim.environment) as server:
        async with server.client() as client:
            conversation = await client.open()
            kept = await client.say(conversation, "Before.", reply=False)
            growing = await client.open()
            sent = await client.say(growing, "[[tokens 150]] [[pace 10ms]]")
            assert (await client.get("/api/health")).json == {"state": "available", "reasons": []}
            async with client.listening(follow_path(conversation)) as stream:
                told: list[dict[str, object]] = []

                async def hear(state: str) -> dict[str, object]:
                    async with asyncio.timeout(20):
                        while not told or told[-1]["state"] != state:
                            for event in await stream.some() or []:
                                if event.name == "health":
                                    told.append(event.data)
                    return told[-1]

                await hear("available")
                shim.order(fail_sync=True)
                name = new_id()
                refused = await client.send(conversation, "After.", id=name, reply=False)
                assert refused.problem == (503, "sync_failed")
                assert int(refused.headers["Retry-After"]) >= 1
                reasons = (await hear("unavailable"))["reasons"]
                assert [each["code"] for each in reasons] == ["sync_failed"]  # type: ignore[union-attr]
                assert (await client.get("/readyz")).status == 503
                assert (await client.get("/healthz")).status == 200
                # The reply goes on for its followers, and waits in memory well past its end.
                await asyncio.sleep(4)
                tree = await client.tree(conversation)
                assert [message["id"] for message in tree] == [kept["message"]["id"]]
                # Units that change nothing commit without the disk: no proof that it is back.
                assert "store.out_of_trouble" not in server.log
                shim.order()
                ended = time.monotonic()
                await hear("available")
                print(f"told to be well {time.monotonic() - ended:.2f} s after")
                assert (await client.get("/readyz")).status == 200
            again = await client.send(conversation, "After.", id=name, reply=False)
            assert again.status in (200, 201)
            assert len(await client.tree(conversation)) == 2
            reply = await client.ended(sent)
            assert (reply["status"], reply["content"]) == ("complete", scripted_text(150))
            assert "Traceback" not in server.log


@pytest.mark.req("R4", "NFR-010")
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
async def test_a_log_that_cannot_be_written_takes_nothing_down(tmp_path: Path, shim: Shim):
    with served(tmp_path, env=shim.environment, starts=False) as server:
        server.log_file.symlink_to("/dev/full")
        server.start()
        async with server.client() as client:
            conversation = await client.open()
            shim.order(no_space=True)
            refused = await client.send(conversation, "No room.", reply=False)
            assert refused.problem == (503, "store_full")
            shim.order()
            ended = await client.ended(await client.say(conversation, "[[say Room.]]"))
            assert ended["content"] == "Room."
        server.end()
        server.log_file.unlink()
