"""A lock that another holds, a disk that is full: bounded waiting, honest refusals, no loss (R4, R5).

FR-006, NFR-001, NFR-010, NFR-013. Reads go on; sends are refused with 503 and when to try again;
once the trouble is over the same server writes again by itself, and nothing acknowledged is gone.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from servers import Answer, Client, Story, new_id, served
from talekeeper.providers.scripted import scripted_text

HOLDING = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
connection.execute("ROLLBACK")
"""


@contextmanager
def _write_lock_held(database: Path) -> Iterator[None]:
    """Another process is in the middle of a write."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(database)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "held\n"
        yield
        holder.stdin.write("\n")
        holder.stdin.close()
        holder.wait(10)
    finally:
        holder.kill()
        holder.wait()
        holder.stdin.close()
        holder.stdout.close()


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
            with _write_lock_held(server.database):
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


@contextmanager
def _small_disk(megabytes: int) -> Iterator[Path]:
    """A file system of its own, as small as that."""
    with tempfile.TemporaryDirectory(prefix="talekeeper-disk-") as place:
        options = f"size={megabytes}m,mode=0700"
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", place],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            pytest.skip(f"this machine mounts nothing here: {made.stderr.strip()}")
        try:
            yield Path(place)
        finally:
            subprocess.run(["umount", "--lazy", place], check=True)


@pytest.mark.req("R4", "NFR-010", "NFR-013", "FR-006")
@pytest.mark.skipif(
    os.geteuid() != 0 or sys.platform != "linux", reason="mounting a small disk takes root on Linux"
)
async def test_on_a_full_disk_reads_go_on_and_it_writes_again_once_there_is_room():
    with _small_disk(8) as disk, served(disk) as server:
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
            _fill_up(ballast)

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


def _fill_up(ballast: Path) -> None:
    """Not a byte is free any more."""
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                pass


async def _sends(client: Client, conversation: str, acked: dict[str, str]) -> Answer:
    name = new_id()
    text = f"{name} " + "x" * 20_000
    answer = await client.send(conversation, text, id=name, reply=False)
    if answer.status == 201:
        acked[name] = text
    return answer
