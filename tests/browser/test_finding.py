"""Finding: titles and words, by a few typed letters, on every branch and in every script (U21)."""

import re
from urllib.parse import quote

import pytest
from playwright.async_api import Route, expect

from browser.conftest import Readers
from browser.reading import begun
from servers import Client, Server, until

pytestmark = pytest.mark.browser


async def _is_indexed(client: Client, words: str) -> None:
    async def found() -> bool:
        answer = await client.get(f"/api/search?q={quote(words)}")
        return bool(answer["items"]) and not answer["behind"]

    await until(found)


async def _forked(client: Client) -> tuple[str, str]:
    """A conversation, and in it the id of what was said on the branch one does not stand on."""
    conversation = await begun(client, ("You", "We go on."), ("Reply", "The road forks."))
    _, fork = await client.path(conversation)
    aside = await client.say(
        conversation, "We follow the quagsire tracks.", parent_id=fork["id"], reply=False
    )
    for said in ("We camp.", *(f"We wait, hour {hour}." for hour in range(1, 9))):
        last = (await client.path(conversation))[-1]["id"] if said != "We camp." else fork["id"]
        await client.say(conversation, said, parent_id=last, reply=False)
    return conversation, aside["message"]["id"]


@pytest.mark.req("FR-105", "NFR-003", "U23")
async def test_the_switcher_goes_to_a_title_by_the_keyboard_alone(server: Server, readers: Readers):
    async with server.client() as client:
        one = await begun(client, ("You", "First."), ("Reply", "Yes."))
        other = await begun(client, ("You", "Second."), ("Reply", "No."))
        await client.ask("PATCH", f"/api/conversations/{one}", {"title": "Émigrés of Vhal"})
        away = await client.open(title="Old Vhal")
        await client.ask("PATCH", f"/api/conversations/{away}", {"archived": True})
        reader = await readers(server, other)
        await expect(reader.messages).to_have_count(2)

        await reader.page.keyboard.press("Control+k")
        field = reader.page.get_by_role("combobox")
        await expect(field).to_be_focused()
        await reader.page.keyboard.type("vhal")
        options = reader.page.get_by_role("option")
        await expect(options.nth(0)).to_contain_text("Émigrés of Vhal")
        await expect(options.nth(1)).to_contain_text("Old Vhal")
        await expect(options.nth(0)).to_have_attribute("aria-selected", "true")
        await reader.page.keyboard.press("ArrowDown")
        await expect(options.nth(1)).to_have_attribute("aria-selected", "true")
        await reader.page.keyboard.press("ArrowUp")
        await reader.page.keyboard.press("Enter")
        await reader.shows(("You", "First."), ("Reply", "Yes."))
        assert reader.page.url == f"{server.url}/c/{one}"

        await reader.page.keyboard.press("Control+k")
        await expect(field).to_be_focused()
        await reader.page.keyboard.press("Escape")
        await expect(field).to_have_count(0)
        await expect(reader.composer).to_be_focused()


@pytest.mark.req("U21", "U11", "U9")
async def test_words_on_another_branch_are_found_said_to_be_there_and_jumped_to(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation, aside = await _forked(client)
        await _is_indexed(client, "quagsire")
        reader = await readers(server, conversation)
        await expect(reader.own.last).to_contain_text("We wait, hour 8.")

        await reader.page.keyboard.press("Control+k")
        await expect(reader.page.get_by_role("combobox")).to_be_focused()
        await reader.page.keyboard.type("quagsire")
        hit = reader.page.get_by_role("option", name=re.compile("quagsire tracks"))
        await expect(hit).to_contain_text("on another branch")
        await expect(hit.locator("mark")).to_have_text("quagsire")
        await hit.click()
        await expect(reader.own.last).to_contain_text("We follow the quagsire tracks.")
        await expect(reader.own.last).to_be_in_viewport()
        assert reader.page.url == f"{server.url}/c/{conversation}?message={aside}"
        assert (await client.conversation(conversation))["leaf_id"] == aside


@pytest.mark.req("U21", "NFR-003")
async def test_the_search_page_finds_as_one_types_narrows_and_is_walked_by_the_arrows(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await begun(
            client,
            ("You", "Where do the zibellino traders sleep?"),
            ("Reply", "The zibellino traders sleep in 古い雪車小屋."),
        )
        await _is_indexed(client, "雪車")
        reader = await readers(server)
        await reader.page.goto(f"{server.url}/search")
        await expect(reader.text("all that was ever said is found here")).to_be_visible()
        field = reader.page.get_by_role("searchbox")
        await expect(field).to_be_focused()

        await reader.page.keyboard.type("zibellino")
        hits = reader.page.get_by_role("list", name="What was found").get_by_role("listitem")
        await expect(hits).to_have_count(2)
        await expect(hits.first.locator("mark")).to_have_text("zibellino")
        assert reader.page.url == f"{server.url}/search?q=zibellino"

        await reader.button("Narrow").click()
        await reader.page.get_by_label("Who said it").select_option("The AI")
        await expect(hits).to_have_count(1)
        await expect(hits.first).to_contain_text("reply")
        await reader.page.get_by_label("From").fill("2030-01-01")
        await expect(reader.text("where the search is narrowed to")).to_be_visible()
        await reader.button("Search everything again").click()
        await expect(hits).to_have_count(2)

        await field.fill("雪車")
        await expect(hits).to_have_count(1)
        await reader.page.keyboard.press("ArrowDown")
        await expect(hits.first.get_by_role("link")).to_be_focused()
        await reader.page.keyboard.press("ArrowUp")
        await expect(field).to_be_focused()
        await reader.page.keyboard.press("ArrowDown")
        await reader.page.keyboard.press("Enter")
        await expect(reader.reply).to_contain_text("古い雪車小屋")
        assert f"/c/{conversation}?message=" in reader.page.url
        await reader.page.go_back()
        await expect(hits).to_have_count(1)
        await expect(field).to_have_value("雪車")


@pytest.mark.req("NFR-013", "U21")
async def test_a_search_that_fails_or_lags_says_so_and_keeps_what_was_found_before(
    server: Server, readers: Readers
):
    async with server.client() as client:
        await begun(client, ("You", "The xanthous lamp burns."), ("Reply", "It does."))
        await _is_indexed(client, "xanthous")
        reader = await readers(server)
        is_broken = True

        async def answered(route: Route) -> None:
            if is_broken:
                await route.fulfill(
                    status=400, json={"code": "invalid_input", "detail": "That is no question."}
                )
                return
            answer = await route.fetch()
            await route.fulfill(response=answer, json={**await answer.json(), "behind": True})

        await reader.page.route("**/api/search?*", answered)
        await reader.page.goto(f"{server.url}/search?q=xanthous")
        await expect(reader.page.get_by_role("alert")).to_contain_text(
            "What was said could not be searched. That is no question."
        )
        is_broken = False
        await reader.button("Retry").click()
        await expect(reader.text("is still being indexed")).to_be_visible()
        await expect(reader.page.locator("mark")).to_have_text("xanthous")


@pytest.mark.req("U11", "U15", "U23", "NFR-008")
async def test_a_link_leads_to_one_message_far_above_and_the_way_back_to_the_end(
    server: Server, readers: Readers
):
    async with server.client() as client:
        conversation = await client.open()
        for place in range(1, 181):
            await client.say(
                conversation, f"Step {place} of the stairs.", role="system", reply=False
            )
        sought = (await client.path(conversation))[19]
        reader = await readers(server)
        await reader.page.goto(f"{server.url}/c/{conversation}?message={sought['id']}")
        await expect(reader.page.get_by_text("Step 20 of the stairs.")).to_be_in_viewport()
        await expect(reader.page.get_by_text("Step 180 of the stairs.")).to_have_count(0)

        await reader.button("To the newest messages").click()
        await expect(reader.page.get_by_text("Step 180 of the stairs.")).to_be_in_viewport()
        await expect(reader.button("To the newest messages")).to_have_count(0)

        await reader.page.goto(f"{server.url}/c/{conversation}?message={sought['id']}")
        await expect(reader.page.get_by_text("Step 20 of the stairs.")).to_be_in_viewport()
        scroller = reader.page.get_by_role("region", name="Messages")
        await scroller.hover()

        async def is_at_the_end() -> bool:
            await reader.page.mouse.wheel(0, 900)
            return await reader.page.get_by_text("Step 180 of the stairs.").count() > 0

        await until(is_at_the_end)
