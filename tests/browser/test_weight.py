"""What a browser must fetch before one can talk (page.md, Proof)."""

import pytest
from playwright.async_api import Response, expect

from browser.conftest import Readers
from browser.reading import begun
from servers import Server

pytestmark = pytest.mark.browser

BUDGET = 200_000
"""Bytes of script, as they come over the wire, for a conversation."""


@pytest.mark.req("NFR-002", "NFR-003", "G18")
async def test_a_conversation_opens_with_less_than_200_kb_of_script_and_nothing_twice(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await begun(client, ("You", "Who is there?"), ("Reply", "*The wind.*"))
    reader = await readers(server)
    scripts: dict[str, int] = {}
    fetched: list[Response] = []

    def note(response: Response) -> None:
        fetched.append(response)

    reader.page.on("response", note)
    await reader.open(conversation)
    await expect(reader.messages).to_have_count(2)
    await expect(reader.composer).to_be_enabled()

    for response in fetched:
        if response.request.resource_type == "script":
            assert response.url not in scripts
            sizes = await response.request.sizes()
            scripts[response.url] = sizes["responseBodySize"]
            assert len(await response.body()) < 1000 or (
                response.headers["content-encoding"] == "gzip"
            )
    assert scripts
    print({url.rpartition("/")[2]: size for url, size in scripts.items()})
    assert 50_000 < sum(scripts.values()) < BUDGET

    # Other areas come when they are entered.
    await reader.link("Settings").click()
    await expect(reader.page.get_by_role("heading", name="Connections")).to_be_visible()
    later = [each.url for each in fetched if each.request.resource_type == "script"]
    assert len(later) > len(scripts)
