"""A server killed in the middle of an answer, as a person sees it (R12, FR-007, U2, U3, U4).

The main promise of Talekeeper, on real input: with the model that is built in, and with one that
says the same words every time. What the game master said is there after the next start; of the
reply everything that had been on the screen for a second; it is marked interrupted and goes on.
"""

import time
from pathlib import Path

import pytest
from playwright.async_api import expect

from browser.conftest import Readers
from browser.reading import Reader, contents, plain
from servers import Client, Server, served
from talekeeper.providers.scripted import scripted_text

pytestmark = pytest.mark.browser

SHOWN_FOR_SURE = 1.0
"""Seconds that a text was on the screen before the kill, to be kept for certain (R12)."""


async def _killed_in_the_middle(server: Server, reader: Reader, *, length: int) -> str:
    """Kill the server once so much of the reply was seen for long enough, and start it again.

    Returns what had been seen for that long.
    """
    await reader.reply_has(length)
    first = (await reader.grown())[0][0]
    # Wait for more text, not for time: it says itself how long it has been growing.
    await reader.page.wait_for_function(
        "([first, much]) => window.grown.at(-1).at - first > much",
        arg=[first * 1000, SHOWN_FOR_SURE * 1300],
        timeout=60_000,
    )
    server.kill()
    killed = time.time()
    seen = [text for at, text in await reader.grown() if at <= killed - SHOWN_FOR_SURE]
    server.start()
    return seen[-1]


async def _finds_it_interrupted(reader: Reader, client: Client, *, said: str, seen: str) -> str:
    """Reload; returns the reply's text as it was kept."""
    await reader.page.reload()
    await expect(reader.text("[Stream interrupted]")).to_be_visible()
    await expect(reader.reply).to_have_attribute("aria-busy", "false")
    (who, own), (other, kept) = await reader.shown()
    assert (who, own) == ("You", plain(said))
    assert other == "Reply"
    assert kept.startswith(seen)
    conversation = reader.page.url.rpartition("/")[2]
    path = await client.path(conversation)
    assert contents(path) == [(who, own), (other, kept)]
    assert [each["status"] for each in path] == ["complete", "interrupted"]
    await expect(reader.button("Stop the reply (Esc)")).to_have_count(0)
    return kept


@pytest.mark.req("R12", "FR-005", "FR-007", "AC-002", "U2", "U3", "U4", "US-001")
async def test_a_reply_cut_by_a_kill_is_there_marked_interrupted_and_continues_to_the_letter(
    tmp_path: Path, readers: Readers
):
    with served(tmp_path) as server:
        server.environment["TALEKEEPER_PORT"] = str(server.port)
        async with server.client() as client:
            said = "Tell me all. [[tokens 200]] [[pace 20ms]]"
            reader = await readers(server, "")
            await reader.say(said)
            seen = await _killed_in_the_middle(server, reader, length=200)
            # The page that looked on finds it out by itself.
            await expect(reader.text("[Stream interrupted]")).to_be_visible()
            kept = await _finds_it_interrupted(reader, client, said=said, seen=seen)
            whole = plain(scripted_text(200))
            assert whole.startswith(kept)
            assert len(kept) < len(whole)

            await reader.button("Continue").click()
            await expect(reader.text("[Stream interrupted]")).to_have_count(0)

            await reader.shows(("You", said), ("Reply", whole))
            await reader.has_reply()
            for _, text in await reader.grown():
                assert whole.startswith(text)
            _, reply = await client.path(reader.page.url.rpartition("/")[2])
            assert (reply["content"], reply["status"]) == (scripted_text(200), "complete")


@pytest.mark.model
@pytest.mark.req("R12", "FR-005", "FR-007", "AC-002", "U2", "U3", "U4", "US-001")
async def test_an_answer_of_the_builtin_model_survives_the_kill_and_goes_on(
    tmp_path: Path, readers: Readers, models_folder: Path
):
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "models").symlink_to(models_folder, target_is_directory=True)
    with served(tmp_path, provider="local") as server:
        server.environment["TALEKEEPER_PORT"] = str(server.port)
        async with server.client() as client:
            said = "Tell me a long tale of a miller, a lantern and a dragon."
            reader = await readers(server, "")
            small = reader.text("You are talking with the small built-in model")
            await expect(small).to_be_visible()
            await reader.say(said)
            seen = await _killed_in_the_middle(server, reader, length=60)
            kept = await _finds_it_interrupted(reader, client, said=said, seen=seen)

            await reader.button("Continue").click()
            await expect(reader.text("[Stream interrupted]")).to_have_count(0)
            await reader.reply_has(len(kept) + 60)
            await reader.composer.press("Escape")
            await reader.has_reply()

            (_, reply) = await reader.shown()
            assert reply[1].startswith(kept)
            path = await client.path(reader.page.url.rpartition("/")[2])
            assert path[0]["status"] == "complete"
            assert path[1]["status"] in ("stopped", "complete")
            assert plain(path[1]["content"]).startswith(kept)
