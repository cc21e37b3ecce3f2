"""Models that a server adds: the download is the server's own, and the model answers in a conversation."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from models.model_server import ModelServer
from models.rewriting import with_number
from servers import Client, Server, apart, served, until
from talekeeper.domain.connections import server_connection_id
from talekeeper.providers.gguf.partial import part_facts
from talekeeper.providers.weights import SMOLLM2, find_weights

MEGABYTE = 1 << 20
LOCAL = server_connection_id("local")
pytestmark = pytest.mark.model


@pytest.fixture(scope="session")
def small_model(models_folder: Path) -> Path:
    return find_weights(models_folder)


async def one(client: Client, name: str) -> dict[str, Any] | None:
    found = (await client.get("/api/models"))["items"]
    return next((each for each in found if each["name"] == name), None)


async def comes_to(client: Client, name: str, state: str) -> dict[str, Any]:
    """The model, once it is in that state."""
    seen: list[dict[str, Any] | None] = []

    async def is_there() -> bool:
        seen.append(await one(client, name))
        return seen[-1] is not None and seen[-1]["state"] == state

    await until(is_there, seconds=120)
    assert seen[-1] is not None
    return seen[-1]


async def reply_from(client: Client, model: str) -> dict[str, Any]:
    conversation = await client.open()
    await client.ask(
        "PATCH",
        f"/api/conversations/{conversation}",
        {"connection_id": LOCAL, "model": model, "sampling": {"max_tokens": 8}},
    )
    said = await client.say(conversation, "Who keeps the mill?")
    await client.ended(said, seconds=120)
    return (await client.path(conversation))[-1]


def test_a_download_survives_a_killed_server_and_the_model_then_answers(
    tmp_path: Path, small_model: Path
) -> None:
    with (
        ModelServer.of(small_model, holds_at=60 * MEGABYTE) as source,
        served(tmp_path, provider="scripted") as server,
    ):
        address = f"{source.address}/tale.gguf"
        models = server.data_dir / "models"

        async def begin() -> None:
            async with server.client() as client:
                asked = {"source": address, "sha256": SMOLLM2.sha256}
                assert (await client.ask("POST", "/api/models", asked)).status == 202
                downloading = await comes_to(client, "tale", "downloading")
                assert downloading["size"] == SMOLLM2.size

        apart(begin)
        source.reached.wait(60)
        noted(models)
        server.kill()
        source.let_go.set()
        server.start()

        async def end() -> None:
            async with server.client() as client:
                kept = await comes_to(client, "tale", "kept")
                assert (kept["checked"], kept["fit"]) == ("person", "well")
                reply = await reply_from(client, "tale")
                assert reply["status"] == "complete"
                assert reply["content"]
                listed = (await client.get(f"/api/connections/{LOCAL}/models"))["items"]
                assert [each["id"] for each in listed] == ["tale"]
                chosen = {"connection_id": LOCAL, "model": "tale"}
                await client.ask("PUT", "/api/connections/chosen", chosen)
                connections = (await client.get("/api/connections"))["items"]
                local = next(each for each in connections if each["id"] == LOCAL)
                assert (local["configured"], local["note"]) == (True, None)

        apart(end)
        resumed = [each.range for each in source.asked if each.range is not None]
        assert len(resumed) == 1
        assert int(resumed[0][6:-1]) >= 32 * MEGABYTE


def noted(models: Path) -> None:
    """Wait until so much is on the disk."""

    async def is_on_the_disk() -> bool:
        facts = part_facts(models, "tale")
        return facts is not None and facts.stored >= 32 * MEGABYTE

    async def wait() -> None:
        await until(is_on_the_disk)

    apart(wait)


def test_a_download_is_stopped_gone_on_with_and_removed(server: Server, small_model: Path) -> None:
    with ModelServer.of(small_model, holds_at=40 * MEGABYTE) as source:

        async def act() -> None:
            async with server.client() as client:
                asked = {"source": f"{source.address}/tale.gguf"}
                await client.ask("POST", "/api/models", asked)
                await asyncio.to_thread(source.reached.wait, 60)
                await client.ask("POST", "/api/models", asked)  # it is under way: nothing more
                await client.ask("POST", "/api/models/tale/stop", {})
                stopped = await one(client, "tale")
                assert stopped is not None
                assert stopped["state"] == "stopped"
                assert 32 * MEGABYTE < stopped["done"] <= 40 * MEGABYTE
                assert (await client.ask("POST", "/api/models/tale/stop", {})).status == 404
                source.let_go.set()
                await client.ask("POST", "/api/models", asked)
                await comes_to(client, "tale", "kept")
                assert (await client.ask("DELETE", "/api/models/tale")).status == 204
                assert (await client.ask("DELETE", "/api/models/tale")).status == 404
                assert await one(client, "tale") is None
                refused = await client.ask("DELETE", f"/api/models/{SMOLLM2.name}")
                assert refused.status == 422

        apart(act)
    assert len([each for each in source.asked if each.range is None]) == 1


def test_what_fails_says_why_and_a_broken_model_does_not_end_the_server(
    server: Server, small_model: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.gguf"
    with_number(small_model, broken, "llama.block_count", 10_000)
    with ModelServer(b"<html>" * 1000) as source:

        async def act() -> None:
            async with server.client() as client:
                await client.ask("POST", "/api/models", {"source": f"{source.address}/page.gguf"})
                failed = await comes_to(client, "page", "failed")
                assert "no GGUF model" in failed["trouble"]
                await client.ask("POST", "/api/models", {"source": str(broken)})
                failed = await comes_to(client, "broken", "failed")
                assert "cannot run this model" in failed["trouble"]
                # Put there by hand, it is found out when it is asked.
                models = server.data_dir / "models"
                await asyncio.to_thread(broken.rename, models / "by-hand.gguf")
                reply = await reply_from(client, "by-hand")
                assert reply["status"] == "failed"
                assert (await client.get("/healthz")).status == 200
                assert (await client.ask("DELETE", "/api/models/page")).status == 204

        apart(act)
    assert server.is_running


def test_a_talk_longer_than_the_models_window_goes_on_without_its_beginning(
    server: Server, small_model: Path
) -> None:
    """The window is the model's own, so no request is too long for it."""
    models = server.data_dir / "models"
    models.mkdir(exist_ok=True)
    os.link(small_model, models / SMOLLM2.file_name)

    async def act() -> None:
        async with server.client() as client:
            conversation = await client.open()
            for _ in range(12):
                await client.say(conversation, "The mill turns at night. " * 50, reply=False)
            change = {"connection_id": LOCAL, "sampling": {"max_tokens": 4}}
            await client.ask("PATCH", f"/api/conversations/{conversation}", change)
            said = await client.say(conversation, "Who keeps the mill?")
            await client.ended(said, seconds=120)
            assert (await client.path(conversation))[-1]["status"] == "complete"
            generation = said["generation_id"]
            receipt = (await client.get(f"/api/generations/{generation}"))["receipt"]
            assert receipt["window"]["window"] == 2048
            assert receipt["window"]["left_out_by"] == "window"

    apart(act)


def test_a_source_that_means_nothing_is_refused(server: Server) -> None:
    async def act() -> None:
        async with server.client() as client:
            for source in ("nothing", "/absent.gguf", "ftp://example.org/m.gguf"):
                answer = await client.ask("POST", "/api/models", {"source": source})
                assert answer.status == 422, source
                assert "/absent" not in answer["detail"]

    apart(act)


def test_only_an_admin_sees_and_changes_the_models(server: Server) -> None:
    async def act() -> None:
        async with server.client() as client:
            token = (await client.post("/api/accounts", {"name": "Player"}))["token"]
        async with server.client(token) as player:
            for method, path, body in (
                ("GET", "/api/models", None),
                ("POST", "/api/models", {"source": "qwen2.5-1.5b-instruct"}),
                ("POST", "/api/models/tale/stop", {}),
                ("DELETE", "/api/models/tale", None),
            ):
                assert (await player.ask(method, path, body)).status == 403

    apart(act)
    assert not list((server.data_dir / "models").glob("*.part"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with served(tmp_path_factory.mktemp("server")) as server:
        yield server
