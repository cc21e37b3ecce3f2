"""Models whose chat templates refuse turns that others take still answer (R13, FR-006).

The server on the other side refuses what the templates of Gemma and Mistral refuse, with the words
that their `raise_exception` says. Through the whole server, every talk that a person can have is
one that each of them takes, with all of its words in it.
"""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest
from tests.providers.quirks import OPENAI

from servers import Client, new_id, served
from talekeeper.domain.connections import server_connection_id

Turns = list[dict[str, str]]
ALTERNATE: Final = "Conversation roles must alternate user/assistant/user/assistant/..."
AFTER_SYSTEM: Final = f"After the optional system message, {ALTERNATE[0].lower()}{ALTERNATE[1:]}"


def _alternates(turns: Turns) -> bool:
    return all(
        turn["role"] == ("assistant" if place % 2 else "user") for place, turn in enumerate(turns)
    )


def gemma_2(turns: Turns) -> str:
    """What the template of google/gemma-2-9b-it raises; empty where it takes the turns."""
    if turns[0]["role"] == "system":
        return "System role not supported"
    return "" if _alternates(turns) else ALTERNATE


def gemma_3(turns: Turns) -> str:
    """google/gemma-3-12b-it: instructions go with the first turn."""
    talk = turns[1:] if turns[0]["role"] == "system" else turns
    return "" if _alternates(talk) else ALTERNATE


def mistral_2(turns: Turns) -> str:
    """mistralai/Mistral-7B-Instruct-v0.2: there is no system turn at all."""
    return "" if _alternates(turns) else ALTERNATE


def mistral_nemo(turns: Turns) -> str:
    """mistralai/Mistral-Nemo-Instruct-2407."""
    talk = turns[1:] if turns[0]["role"] == "system" else turns
    return "" if _alternates(talk) else AFTER_SYSTEM


TEMPLATES: Final[dict[str, tuple[Callable[[Turns], str], int]]] = {
    "gemma-2": (gemma_2, 400),
    "gemma-2-llama-cpp": (gemma_2, 500),
    "gemma-3": (gemma_3, 400),
    "mistral-2": (mistral_2, 400),
    "mistral-nemo": (mistral_nemo, 400),
}
"""By a model's name: its template, and the status with which a server tells what it raised."""


class _Handler(BaseHTTPRequestHandler):
    asked: list[Turns]

    def do_POST(self) -> None:
        body: Any = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        turns: Turns = body["messages"]
        template, status = TEMPLATES[body["model"]]
        wrong = template(turns) or next((" empty" for t in turns if not t["content"].strip()), "")
        if wrong:
            answer = json.dumps({"error": {"code": status, "message": wrong}}).encode()
        else:
            self.asked.append(turns)
            status, answer = 200, OPENAI.piece("It opens.") + OPENAI.end()
        self.send_response(status)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def asked() -> list[Turns]:
    """The turns that the model was told, request by request."""
    return []


@pytest.fixture
def model_server(asked: list[Turns]) -> Iterator[str]:
    handler = type("_Of", (_Handler,), {"asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    server.server_close()


async def _told(client: Client, conversation: str, words: str) -> None:
    reply = await client.ended(await client.say(conversation, words))
    assert (reply["status"], reply["content"]) == ("complete", "It opens."), reply["error"]


async def _opened_by_the_assistant(client: Client, conversation: str) -> list[str]:
    await client.say(conversation, "Rain on the mill.", role="assistant", reply=False)
    await _told(client, conversation, "We knock.")
    return ["Rain on the mill.", "We knock."]


async def _with_notes_between(client: Client, conversation: str) -> list[str]:
    await client.say(conversation, "Keep it dark.", role="system", reply=False)
    await _told(client, conversation, "Who is there?")
    await client.say(conversation, "It is raining.", role="system", reply=False)
    await client.say(conversation, "Nobody came.", role="assistant", reply=False)
    await client.say(conversation, "The wheel stops.", role="system", reply=False)
    await _told(client, conversation, "We wait.")
    return ["Keep it dark.", "Who is there?", "It is raining.", "The wheel stops.", "We wait."]


async def _two_in_a_row(client: Client, conversation: str) -> list[str]:
    await client.say(conversation, "We wait.", reply=False)
    await client.say(conversation, "A raven.", role="assistant", reply=False)
    await client.say(conversation, "An owl.", role="assistant", reply=False)
    await _told(client, conversation, "Which?")
    return ["We wait.", "A raven.", "An owl.", "Which?"]


async def _too_long_for_the_model(client: Client, conversation: str) -> list[str]:
    for place in range(12):
        role = "assistant" if place % 2 else "user"
        await client.say(conversation, f"{place} {'word ' * 300}", role=role, reply=False)
    await _told(client, conversation, "And now?")
    return ["11 word", "And now?"]


async def _continued(client: Client, conversation: str) -> list[str]:
    await client.say(conversation, "The door", role="assistant", reply=False)
    await _told(client, conversation, "Go on.")
    reply = (await client.path(conversation))[-1]
    answer = await client.post(f"/api/messages/{reply['id']}/continue", {"id": new_id()})
    assert answer.status == 201, answer.body
    ended = await client.ended(answer.json)
    assert ended["status"] == "complete", ended["error"]
    return ["The door", "Go on.", "Your last message was cut off"]


@pytest.mark.req("R13", "FR-006")
@pytest.mark.parametrize(
    "talk",
    [
        _opened_by_the_assistant,
        _with_notes_between,
        _two_in_a_row,
        _too_long_for_the_model,
        _continued,
    ],
)
async def test_every_talk_is_one_that_strict_templates_take(
    tmp_path: Path, model_server: str, asked: list[Turns], talk: Callable[..., Any]
) -> None:
    env = {"TALEKEEPER_OPENAI_BASE_URL": model_server}
    with served(tmp_path, provider="openai", env=env) as server:
        async with server.client() as client:
            openai = server_connection_id("openai")
            change = {"context_length": 2_000}
            assert (await client.ask("PATCH", f"/api/connections/{openai}", change)).status == 200
            for model in TEMPLATES:
                conversation = await client.open(connection_id=openai, model=model)
                words = await talk(client, conversation)
                told = "\n".join(turn["content"] for turn in asked[-1])
                assert [each for each in words if each not in told] == []
                assert [told.index(each) for each in words] == sorted(map(told.index, words))
