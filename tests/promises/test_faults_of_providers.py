"""Whatever a provider does, what was said stays, the reply says what happened, and it goes on.

R13, FR-006, NFR-013, AC-004, S10. The provider is a real HTTP server that misbehaves so
(tests/providers/faulty_server.py), Talekeeper a real process before it. After each fault the
user's message is there, the reply is failed with a code the page knows and with the text that had
come, the conversation is free, and trying again works. Nothing that the provider says in an error,
no key and none of the user's words reach the log or an answer that does not carry the message.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.providers import faulty_server
from tests.providers.faulty_server import FAIR_TOKENS, HOSTILE, SECRET, TEXT, pieces

from servers import Client, Server, new_id, served
from talekeeper.domain.connections import server_connection_id

OPENAI, SCRIPTED = server_connection_id("openai"), server_connection_id("scripted")

KEY = "sk-canary-5d41402abc4b2a76b9719d911017c592"
TALE = "CANARY-TALE: the duke is the dragon"
SOME = "".join(pieces(TEXT)[:FAIR_TOKENS])


@dataclass(frozen=True)
class Fault:
    """What is expected of a reply, and the text that it keeps."""

    code: str
    kept: str = ""
    retryable: bool = True
    retry_after: tuple[float, float] | None = None
    """The least and the most seconds that the page is told to wait."""


FAULTS: dict[str, Fault] = {
    "401": Fault("provider_refused_key", retryable=False),
    "403": Fault("provider_refused_key", retryable=False),
    "402": Fault("provider_rejected", retryable=False),
    "404": Fault("provider_rejected", retryable=False),
    "400": Fault("provider_rejected", retryable=False),
    "redirect": Fault("provider_rejected", retryable=False),
    "429": Fault("provider_rate_limited"),
    "429_seconds": Fault("provider_rate_limited", retry_after=(7, 7)),
    "429_date": Fault("provider_rate_limited", retry_after=(20, 31)),
    "500": Fault("provider_failed"),
    "503": Fault("provider_failed", retry_after=(3, 3)),
    "context_too_long": Fault("context_too_long", retryable=False),
    "too_large": Fault("context_too_long", retryable=False),
    "error_in_document": Fault("context_too_long", retryable=False),
    "cut_before_headers": Fault("provider_stream_cut"),
    "cut_mid_stream": Fault("provider_stream_cut", SOME),
    "cut_cleanly": Fault("provider_stream_cut", SOME),
    "cut_without_end": Fault("provider_stream_cut", SOME),
    "cut_in_an_event": Fault("provider_stream_cut", SOME),
    "broken_framing": Fault("provider_stream_cut", SOME),
    "huge_token": Fault("provider_sent_garbage", SOME),
    "garbage": Fault("provider_sent_garbage"),
    "garbage_mid_stream": Fault("provider_sent_garbage", SOME),
    "not_http": Fault("provider_sent_garbage"),
    "html_page": Fault("provider_sent_garbage"),
    "stall_before_headers": Fault("provider_stalled"),
    "stall_first": Fault("provider_stalled"),
    "stall_mid_stream": Fault("provider_stalled", SOME),
    "stall_with_comments": Fault("provider_stalled", SOME),
    "error_in_stream": Fault("provider_failed", SOME),
    "rate_limit_in_stream": Fault("provider_rate_limited", SOME),
}
ODDITIES: dict[str, str] = {
    **dict.fromkeys(
        [
            "well",
            "usage_missing",
            "no_done",
            "no_done_stays_open",
            "keep_alive",
            "reasoning",
            "thinking",
            "split_utf8",
            "split_surrogates",
            "document",
            "no_stream_options",
        ],
        TEXT,
    ),
    "done_without_finish": SOME,
    "hostile": HOSTILE.replace("\x1b", ""),
}
"""What is strange and still a whole reply, with its text."""


@pytest.fixture(scope="session")
def talekeeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose model's server does whatever the model's name says."""
    folder = tmp_path_factory.mktemp("faults")
    provider = subprocess.Popen(
        [sys.executable, faulty_server.__file__, "--pace", "0.001"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert provider.stdout is not None
        base_url = provider.stdout.readline().strip()
        env = {
            "TALEKEEPER_OPENAI_BASE_URL": base_url,
            "TALEKEEPER_OPENAI_API_KEY": KEY,
            "TALEKEEPER_MODEL": "fault:well",
            "TALEKEEPER_PROVIDER_STALL_SECONDS": "0.5",
            "TALEKEEPER_PROVIDER_FIRST_TOKEN_SECONDS": "0.8",
        }
        with served(folder, provider="openai", env=env) as server:
            yield server
    finally:
        provider.kill()
        provider.wait()
        if provider.stdout is not None:
            provider.stdout.close()


async def _met(client: Client, mode: str, fault: Fault) -> None:
    """Meet the fault, look what is there, and try again."""
    conversation = await client.open(connection_id=OPENAI, model=f"fault:{mode}")
    sent = await client.say(conversation, TALE)
    reply = await client.ended(sent)
    assert reply["status"] == "failed"
    assert reply["content"] == fault.kept
    error = reply["error"]
    assert (error["code"], error["retryable"]) == (fault.code, fault.retryable)
    assert len(error["message"]) > 20
    if fault.retry_after is None:
        assert error["retry_after"] is None
    else:
        least, most = fault.retry_after
        assert least <= error["retry_after"] <= most
    user, shown = await client.path(conversation)
    assert (user["content"], user["status"]) == (TALE, "complete")
    assert shown["error"] == error
    await _is_free(client, conversation, reply["id"])


async def _is_free(client: Client, conversation: str, reply_id: str) -> None:
    assert (await client.conversation(conversation))["generation_id"] is None
    change = await client.ask(
        "PATCH", f"/api/conversations/{conversation}", {"model": "fault:well"}
    )
    assert change.status == 200
    again = await client.post(f"/api/messages/{reply_id}/regenerate", {"id": new_id()})
    assert again.status == 201, again.body
    assert (await client.ended(again.json))["content"] == TEXT
    onward = await client.ended(await client.say(conversation, "And then?"))
    assert (onward["status"], onward["content"]) == ("complete", TEXT)


@pytest.mark.req("R13", "FR-006", "NFR-013", "AC-004", "C-002", "U3")
@pytest.mark.parametrize("mode", FAULTS)
async def test_a_fault_keeps_what_was_said_and_says_what_happened(talekeeper: Server, mode: str):
    async with talekeeper.client() as client:
        await _met(client, mode, FAULTS[mode])


@pytest.mark.req("R13")
@pytest.mark.parametrize("mode", ODDITIES)
async def test_a_strange_answer_is_a_whole_reply(talekeeper: Server, mode: str):
    async with talekeeper.client() as client:
        conversation = await client.open(connection_id=OPENAI, model=f"fault:{mode}")
        reply = await client.ended(await client.say(conversation, TALE))
        assert (reply["status"], reply["error"]) == ("complete", None)
        assert reply["content"] == ODDITIES[mode]


@pytest.mark.req("R13", "NFR-013")
async def test_a_provider_that_is_not_there_is_named_and_the_message_kept(tmp_path: Path):
    async with faulty_server.refused_url() as url:
        env = {"TALEKEEPER_OPENAI_BASE_URL": url, "TALEKEEPER_MODEL": "any"}
        with served(tmp_path, provider="openai", env=env) as server:
            async with server.client() as client:
                conversation = await client.open()
                reply = await client.ended(await client.say(conversation, TALE))
                assert reply["status"] == "failed"
                assert reply["error"]["code"] == "provider_unreachable"
                assert reply["error"]["retryable"] is True
                assert (await client.path(conversation))[0]["content"] == TALE
                await client.ask(
                    "PATCH", f"/api/conversations/{conversation}", {"connection_id": SCRIPTED}
                )
                onward = await client.ended(await client.say(conversation, "[[say There.]]"))
                assert onward["content"] == "There."


@pytest.mark.req("S10", "S13", "R13")
async def test_no_fault_tells_a_key_or_what_the_provider_said(tmp_path: Path):
    async with faulty_server.FaultyServer() as provider:
        env = {
            "TALEKEEPER_OPENAI_BASE_URL": provider.base_url,
            "TALEKEEPER_OPENAI_API_KEY": KEY,
            "TALEKEEPER_MODEL": "fault:well",
            "TALEKEEPER_PROVIDER_STALL_SECONDS": "0.5",
            "TALEKEEPER_PROVIDER_FIRST_TOKEN_SECONDS": "0.8",
            "TALEKEEPER_LOG_LEVEL": "debug",
        }
        with served(tmp_path, provider="openai", env=env) as server:
            async with server.client() as client:
                client.heard = []
                await asyncio.gather(*(_met(client, mode, FAULTS[mode]) for mode in FAULTS))
                assert any(
                    asked.headers["Authorization"] == f"Bearer {KEY}" for asked in provider.requests
                )
                for path in (
                    "/api/connections",
                    f"/api/connections/{OPENAI}/models",
                    "/api/conversations",
                    "/readyz",
                    "/openapi.json",
                ):
                    await client.get(path)
                added = {"kind": "anthropic", "api_key": KEY}
                assert (await client.post("/api/connections", added)).status == 201
                heard = b"".join(client.heard)
                running = _everything_in(server.data_dir)
            server.stop()
            for canary in (KEY, SECRET):
                assert canary not in server.log
                assert canary.encode() not in heard
                assert canary.encode() not in running
                assert canary.encode() not in _everything_in(server.data_dir)
            # The tale itself is in the database, so the search would find what is there.
            assert TALE.encode() in running
            assert TALE not in server.log
            assert TEXT[:20] not in server.log


def _everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())
