"""Poisoned input is refused, its neighbours are stored, the history stays readable (R20, S8).

Every poison goes over a real connection, at the same moment as three harmless sends to the same
conversation, which share its commit where it gets that far.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from servers import Client, Server, new_id


def _with(name: str, value: str) -> Callable[[], bytes]:
    """A send with this field written exactly so."""

    def made() -> bytes:
        fields = {"id": f'"{new_id()}"', "content": '"Poison?"', "reply": "false", name: value}
        return ("{" + ",".join(f'"{key}":{text}' for key, text in fields.items()) + "}").encode()

    return made


def _exactly(body: bytes) -> Callable[[], bytes]:
    return lambda: body


DEEP = 50_000
BODIES: dict[str, tuple[Callable[[], bytes], int]] = {
    "NaN": (_with("content", "NaN"), 400),
    "Infinity": (_with("reply", "-Infinity"), 400),
    "1e999": (_with("content", "1e999"), 400),
    "an integer of 5,000 digits": (_with("content", "9" * 5_000), 400),
    "a lone high surrogate": (_with("content", r'"\ud800"'), 400),
    "a lone low surrogate": (_with("content", r'"a\udc00b"'), 400),
    "surrogates the wrong way round": (_with("content", r'"\udc00\ud800"'), 400),
    "NUL": (_with("content", r'"a\u0000b"'), 422),
    "an escape sequence": (_with("content", r'"\u001b[31m"'), 422),
    "raw invalid UTF-8": (_exactly(b'{"id":"x","content":"\xff\xfe"}'), 400),
    "a UTF-8 surrogate": (_exactly(b'{"content":"\xed\xa0\x80"}'), 400),
    "UTF-16": (_exactly('{"content":"a"}'.encode("utf-16")), 400),
    "lists 50,000 deep": (_with("content", "[" * DEEP + "]" * DEEP), 400),
    "objects 50,000 deep": (_with("content", '{"a":' * DEEP + "1" + "}" * DEEP), 400),
    "never closed": (_with("content", "[" * DEEP), 400),
    "3 MB": (_with("content", '"' + "a" * 3_000_000 + '"'), 413),
    "200,001 characters": (_with("content", '"' + "a" * 200_001 + '"'), 422),
    "a million keys": (
        _exactly(b"{" + b",".join(b'"%d":1' % n for n in range(90_000)) + b"}"),
        400,
    ),
    "the same key twice": (_exactly(b'{"content":"a","content":"b"}'), 400),
    "a history": (_with("messages", '[{"role":"assistant","content":"I said so."}]'), 422),
    "an owner": (_with("owner_id", '"somebody"'), 422),
    "content as a number": (_with("content", "7"), 422),
    "content as a list": (_with("content", '["a"]'), 422),
    "content as null": (_with("content", "null"), 422),
    "nothing but blanks": (_with("content", r'" \n\t "'), 422),
    "id as a number": (_with("id", "7"), 422),
    "id that is no UUID": (_with("id", '"../../etc/passwd"'), 422),
    "id in braces": (_with("id", '"{3f2b8c1e-6a4d-4f0e-9b7a-2d1c5e8f9a01}"'), 422),
    "parent that is no UUID": (_with("parent_id", '"\' OR 1=1 --"'), 422),
    "reply as text": (_with("reply", '"false"'), 422),
    "a role that is not": (_with("role", '"tool"'), 422),
    "a list": (_exactly(b"[]"), 422),
    "a string": (_exactly(b'"hello"'), 422),
    "null": (_exactly(b"null"), 422),
    "nothing": (_exactly(b""), 422),
    "half an object": (_exactly(b'{"id":'), 400),
    "two objects": (_exactly(b"{}{}"), 400),
}


@pytest.mark.req("R20", "S8")
@pytest.mark.parametrize("poison", BODIES)
async def test_a_poisoned_send_is_refused_and_its_neighbours_are_kept(
    shared_server: Server, poison: str
):
    made, status = BODIES[poison]
    async with shared_server.client() as client:
        conversation = await client.open()
        path = f"/api/conversations/{conversation}/messages"
        names = [new_id() for _ in range(3)]
        refused, *neighbours = await asyncio.gather(
            _refused(client, path, made()),
            *(client.send(conversation, f"line {name}", id=name, reply=False) for name in names),
        )
        assert [answer.status for answer in neighbours] == [201] * 3
        if refused is not None:
            assert refused.problem[0] == status, refused.body
            assert refused["retryable"] is False
        await _reads(client, conversation, names)


async def _refused(client: Client, path: str, body: bytes) -> Any:
    """The refusal; None where the server hung up on a body too large to be read to its end."""
    try:
        return await client.ask("POST", path, raw=body)
    except ConnectionError:
        assert len(body) > 1 << 20
        return None


async def _reads(client: Client, conversation: str, names: list[str]) -> None:
    tree = await client.tree(conversation)
    assert sorted(message["id"] for message in tree) == sorted(names)
    assert [message["content"] for message in tree] == [f"line {m['id']}" for m in tree]
    assert {message["id"] for message in await client.path(conversation)} <= set(names)
    assert (await client.get("/api/conversations")).status == 200


HUGE = "99999999999999999999"
QUERIES = [
    "/api/conversations/{c}/tree?after=" + HUGE,
    "/api/conversations/{c}/tree?after=-1",
    "/api/conversations/{c}/tree?after=1e3",
    "/api/conversations/{c}/tree?after=%D9%A3",
    "/api/conversations/{c}/tree?after=",
    "/api/conversations/{c}/tree?limit=0",
    "/api/conversations/{c}/tree?limit=" + HUGE,
    "/api/conversations/{c}/tree?limit=NaN",
    "/api/conversations/{c}/messages?before=x",
    "/api/conversations/{c}/messages?leaf_id=%00",
    "/api/conversations/{c}/messages?limit=1001",
    "/api/conversations?cursor=x",
    "/api/conversations?cursor=" + HUGE + ".x",
    "/api/conversations?cursor=1.%00",
    "/api/conversations?cursor=%ED%A0%80",
    "/api/conversations?limit=-5",
    "/api/conversations/..%2f..%2fetc",
    "/api/conversations/%00",
    "/api/conversations/{c}%00",
    "/api/events?follow={c}@" + HUGE,
    "/api/events?follow={c}@-1",
    "/api/events?follow=x",
    "/api/events?" + "&".join(["follow={c}"] * 33),
    "/api/generations/0",
    "/api/connections/nobody/models",
]


@pytest.mark.req("R20", "S8")
@pytest.mark.parametrize("query", QUERIES)
async def test_a_poisoned_address_is_refused(shared_server: Server, query: str):
    async with shared_server.client() as client:
        conversation = await client.open()
        answer = await _raw(shared_server, query.replace("{c}", conversation))
        head, _, body = answer.partition(b"\r\n\r\n")
        status = int(head.split()[1])
        assert 400 <= status < 500, answer
        assert b"application/problem+json" in head
        assert json.loads(body)["status"] == status
        assert (await client.conversation(conversation))["id"] == conversation


async def _raw(server: Server, target: str) -> bytes:
    """The answer to a GET whose target no client library mends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(
            f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
            f"Authorization: Bearer {server.token}\r\nConnection: close\r\n\r\n".encode("latin-1")
        )
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


@pytest.mark.req("R20", "S8")
async def test_half_a_request_and_a_hung_up_client_leave_nothing_behind(shared_server: Server):
    async with shared_server.client() as client:
        conversation = await client.open()
        head = (
            f"POST /api/conversations/{conversation}/messages HTTP/1.1\r\n"
            f"Host: 127.0.0.1:{shared_server.port}\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {shared_server.token}\r\nContent-Length: 400\r\n\r\n"
        ).encode()
        for part in (head, head + b'{"id": "', head[:40]):
            with socket.create_connection(("127.0.0.1", shared_server.port)) as half:
                half.sendall(part)
        await client.say(conversation, "Whole.", reply=False)
        assert [m["content"] for m in await client.tree(conversation)] == ["Whole."]
        assert (await client.get("/readyz")).status == 200


@pytest.mark.req("R20", "S8")
def test_no_request_that_the_contract_can_spell_breaks_the_server(
    shared_server: Server, tmp_path: Path
):
    """Schemathesis makes requests from openapi.json, valid and invalid ones; none may be a 5xx."""
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{shared_server.url}/openapi.json"),
        *("--header", f"Authorization: Bearer {shared_server.token}"),
        *("--checks", "not_a_server_error", "--phases", "fuzzing", "--max-examples", "8"),
        *("--exclude-path-regex", "events$|logout$|login-links$|/connections/"),
        *("--request-timeout", "5", "--max-failures", "5", "--no-color", "--seed", "1"),
    ]
    environment = {**os.environ, "HYPOTHESIS_STORAGE_DIRECTORY": str(tmp_path)}
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-2_000:]
