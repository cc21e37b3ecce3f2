"""Every state of the page, arranged to be looked at: `scene(stage)` leaves a reader before it.

Used by the tests that look with axe's eyes and keep a picture of each, and by tools/screenshots.py
for the pictures in the documentation.
"""

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from playwright.async_api import Route, expect

from browser.reading import Reader, begun
from servers import Client, Server, new_id, until

QUESTION: Final = (
    'We ask old Bertrand about the mill. "Who built it, and why does it turn at night?" '
    "*I slide him a silver piece.*"
)
ANSWER: Final = """Bertrand does not look at the coin. He looks at the door, then at the rain on the shutters, and only then at you.

"Built?" he says. "Nobody *built* it. My grandfather's grandfather found it standing, wheel and all, and a loaf on the table still warm."

He turns the silver over with one finger, as if it might bite.

- The wheel turns **against** the river on moonless nights.
- The miller, Osric Vane, has not bought grain since midsummer.
- What he grinds goes north, in sacks without a mark, by a cart with muffled wheels.

"And if you must go," he whispers, "count the steps to the cellar. There are *eleven*. If you count twelve, do not put your foot on the last."\
"""
AFTER: Final = "I count the steps aloud. What do we see at the bottom?"
AFTER_ANSWER: Final = """Eleven. The flagstones are dry, although the river is louder down here than it was outside.

| who | what they want | what they hide |
| --- | --- | --- |
| Osric Vane | to be left alone | the name of his partner |
| Sister Maud | the ledger | that she can read it |
| the thing below | a twelfth step | how long it has waited |

A lantern hangs from the beam. **Perception, DC 14:** the flame leans *towards* the wall, not away from it. Behind the third barrel there is a draught, and a voice that says, quite politely, "Mind the last one."

Do you answer it?"""
INNKEEPER: Final = (
    "Hanne Rook pours for the watch and waters it. She keeps a fourth key on a string that opens "
    'nothing in the house. "Full up," she says to every priest.'
)
INN: Final = (
    ("You", "Give me an innkeeper with a secret, in three lines."),
    ("Reply", INNKEEPER),
)


@dataclass(frozen=True)
class Stage:
    """Where a scene is played: `reader()` makes a reader of the wanted size and theme."""

    server: Server
    client: Client
    reader: Callable[..., Awaitable[Reader]]
    is_phone: bool

    async def tale(self) -> str:
        """A conversation in the middle of a campaign, and others beside it in the rail."""
        return await begun(
            self.client,
            ("You", QUESTION),
            ("Reply", ANSWER),
            ("You", AFTER),
            ("Reply", AFTER_ANSWER),
        )


def said(text: str, pace: str = "0ms") -> str:
    """What makes the scripted provider say this."""
    words = text.replace("\n", "\\n")
    return f"[[say {words}]] [[pace {pace}]]"


async def _hide_orders(reader: Reader) -> None:
    """Leave away what only the scripted provider reads."""
    await reader.page.locator(".tale.own").evaluate_all(
        "all => all.filter(one => one.innerText.includes('[['))"
        ".map(one => { one.textContent = one.innerText.split('[[')[0] })"
    )


async def login(stage: Stage) -> Reader:
    reader = await stage.reader("", is_let_in=False)
    await expect(reader.page.get_by_role("textbox")).to_be_visible()
    return reader


async def first_steps(stage: Stage) -> Reader:
    reader = await stage.reader(await stage.client.open(), is_welcomed=False)
    await expect(reader.text("1 of 3")).to_be_visible()
    return reader


async def empty(stage: Stage) -> Reader:
    reader = await stage.reader(await stage.client.open())
    await expect(reader.text("Say what your table needs")).to_be_visible()
    return reader


async def loading(stage: Stage) -> Reader:
    reader = await stage.reader()

    async def never(_: Route) -> None:
        """The answer does not come."""

    conversation = await stage.tale()
    await reader.page.route(f"**/api/conversations/{conversation}", never)
    await reader.open(conversation)
    await expect(reader.page.get_by_role("status", name="Loading the conversation")).to_be_visible()
    return reader


async def conversation(stage: Stage) -> Reader:
    reader = await stage.reader(await stage.tale())
    await expect(reader.messages).to_have_count(4)
    return reader


async def growing(stage: Stage) -> Reader:
    reader = await stage.reader(await begun(stage.client, *INN))
    await reader.say(f"And her first guest tonight? {said(ANSWER, '30ms')}")
    await _hide_orders(reader)
    await reader.reply_has(330)
    return reader


async def meanwhile(stage: Stage) -> Reader:
    """Something was said while the AI speaks."""
    reader = await growing(stage)
    await reader.say("Wait. Who else is in the room?")
    await expect(reader.text("Stored. The AI is still answering")).to_be_visible()
    return reader


async def unanswered(stage: Stage) -> Reader:
    reader = await stage.reader(await begun(stage.client, *INN, ("You", AFTER)))
    await expect(reader.button("Reply")).to_be_visible()
    return reader


async def limited(stage: Stage) -> Reader:
    """A message was stored over a limit; the true way there is another test's."""
    reader = await stage.reader(await begun(stage.client, *INN))

    async def over(route: Route) -> None:
        body = {**json.loads(route.request.post_data or "{}"), "reply": False}
        answer = await route.fetch(post_data=body)
        sent = await answer.json()
        sent["limited"] = {"code": "too_often", "retry_after": 48}
        await route.fulfill(response=answer, json=sent)

    await reader.page.route(re.compile(r"/messages$"), over)
    await reader.say(AFTER)
    await expect(reader.text("Your message is kept.")).to_be_visible()
    return reader


async def limited_again(stage: Stage) -> Reader:
    """Another reply was asked for over a limit."""
    reader = await stage.reader(await begun(stage.client, *INN))

    async def over(route: Route) -> None:
        problem = {"code": "too_many_at_once", "detail": "…", "retryable": True, "retry_after": 5}
        await route.fulfill(status=429, json=problem)

    await reader.page.route(re.compile(r"/regenerate$"), over)
    await reader.button("Regenerate").click()
    await expect(reader.text("You can ask for the next in")).to_be_visible()
    return reader


async def search_limited(stage: Stage) -> Reader:
    """More was searched for than a minute may have."""
    reader = await stage.reader()

    async def over(route: Route) -> None:
        problem = {"code": "too_often", "detail": "…", "retryable": True, "retry_after": 31}
        await route.fulfill(status=429, json=problem)

    await reader.page.route(re.compile(r"/api/search\?"), over)
    await reader.page.goto(f"{stage.server.url}/search?q=mill")
    await expect(reader.text("This one goes on by itself in")).to_be_visible()
    return reader


async def interrupted(stage: Stage) -> Reader:
    """As after a killed server; the true way there is another test's."""
    reader = await stage.reader()

    async def cut(route: Route) -> None:
        answer = await route.fetch()
        page = await answer.json()
        page["items"][-1].update(status="interrupted", content=ANSWER[:190])
        await route.fulfill(response=answer, json=page)

    await reader.page.route(re.compile(r"/messages\?"), cut)
    await reader.open(await begun(stage.client, ("You", QUESTION), ("Reply", ANSWER)))
    await expect(reader.text("[Stream interrupted]")).to_be_visible()
    return reader


async def failed(stage: Stage) -> Reader:
    reader = await stage.reader(await begun(stage.client, *INN))
    await reader.say("And her first guest tonight? [[fail 429 retry 7]]")
    await expect(reader.text("No answer.").first).to_be_visible()
    await _hide_orders(reader)
    return reader


async def cut_at_length(stage: Stage) -> Reader:
    """A reply that reached its longest length goes on with Continue."""
    return await _ended_for(stage, "length", "Cut at the length limit.")


async def filtered(stage: Stage) -> Reader:
    return await _ended_for(stage, "filtered", "Stopped by the provider’s filter.")


async def refused(stage: Stage) -> Reader:
    return await _ended_for(stage, "refused", "The model refused.")


async def _ended_for(stage: Stage, reason: str, words: str) -> Reader:
    reader = await stage.reader(await begun(stage.client, *INN))
    await reader.say(f"{QUESTION} {said(ANSWER[:190])} [[finish {reason}]]")
    await expect(reader.text(words)).to_be_visible()
    await expect(reader.button("Continue")).to_have_count(int(reason == "length"))
    await _hide_orders(reader)
    return reader


async def saving(stage: Stage) -> Reader:
    """The server has just gone."""
    reader = await stage.reader(await begun(stage.client, *INN))
    await expect(reader.messages).to_have_count(2)
    await reader.page.route("**/api/**", lambda route: route.abort())
    await reader.say("The dwarf drinks first.")
    await expect(reader.text("The server is not answering.").first).to_be_visible()
    await expect(reader.page.get_by_text("Saving", exact=True)).to_be_visible()
    return reader


async def not_saved(stage: Stage) -> Reader:
    reader = await saving(stage)
    await expect(reader.text("Not saved")).to_be_visible()
    return reader


async def not_loaded(stage: Stage) -> Reader:
    reader = await stage.reader()
    await reader.page.route(
        re.compile(r"/api/conversations/.+"), lambda route: route.fulfill(status=500, json={})
    )
    await reader.open(await stage.client.open())
    await expect(reader.text("The conversation could not be loaded.")).to_be_visible()
    return reader


async def branches(stage: Stage) -> Reader:
    reader = await stage.reader(await begun(stage.client, *INN))
    await reader.reply.get_by_role("button", name="Regenerate").click()
    await expect(reader.text("2/2")).to_be_visible()
    await reader.has_reply()
    await reader.composer.focus()
    return reader


async def editing(stage: Stage) -> Reader:
    reader = await stage.reader(await begun(stage.client, *INN))
    await expect(reader.messages).to_have_count(2)
    await reader.own.hover()
    await reader.own.get_by_role("button", name="Edit").click()
    await expect(reader.text("Another version of what you said.")).to_be_visible()
    return reader


async def unkeepable(stage: Stage) -> Reader:
    """What was pasted has characters that cannot be kept."""
    reader = await stage.reader(await begun(stage.client, *INN))
    await expect(reader.messages).to_have_count(2)
    await reader.composer.fill(
        "The sign over the door says:\n    NO\x07 PRIESTS\x1b, no songs, no credit."
    )
    await expect(reader.text("2 characters that cannot be kept")).to_be_visible()
    return reader


async def unkeepable_names(stage: Stage) -> Reader:
    """A conversation's name and a bookmark's note that cannot be kept as they are."""
    conversation = await begun(stage.client, *INN)
    await stage.client.ask("PATCH", f"/api/conversations/{conversation}", {"title": "The inn"})
    reader = await stage.reader(conversation)
    await expect(reader.messages).to_have_count(2)
    await reader.reply.get_by_role("button", name="More about this message").click()
    await reader.page.get_by_role("menuitem", name="Bookmark", exact=True).click()
    note = reader.page.get_by_role("textbox", name="Note of the bookmark")
    await note.fill("The fourth key\x00")
    await reader.button("More about this conversation").click()
    await reader.page.get_by_role("menuitem", name="Rename").click()
    name = reader.page.get_by_role("main").get_by_role("textbox", name="Name of")
    await name.fill("The fourth key\x9f")
    await expect(reader.button("Remove it")).to_have_count(2)
    return reader


async def choosing(stage: Stage) -> Reader:
    """The models of every connection, one of which does not answer."""
    await _connected(stage.client)
    reader = await stage.reader(await begun(stage.client, *INN))
    await reader.page.get_by_role("button", name="Who answers here").click()
    picker = reader.page.get_by_role("dialog", name="Who answers here")
    await expect(picker.get_by_text("Its models cannot be listed").first).to_be_visible()
    return reader


async def rail(stage: Stage) -> Reader:
    """On a phone opened as a sheet, on a wide page folded away."""
    reader = await stage.reader(await stage.tale())
    await expect(reader.messages.first).to_be_visible()
    if stage.is_phone:
        await reader.button("Open the rail").click()
        await expect(reader.link("Settings")).to_be_visible()
    else:
        await reader.button("Fold the rail").click()
        await expect(reader.link("Settings")).to_have_count(0)
    return reader


async def settings(stage: Stage) -> Reader:
    """Three connections of one's own, one of them unfolded."""
    reader = await stage.reader()
    await _connected(stage.client)
    await reader.page.goto(f"{stage.server.url}/settings")
    await reader.page.get_by_role("button", name=re.compile("^Under the desk")).click()
    await expect(reader.page.get_by_label("Base URL")).to_be_visible()
    return reader


async def adding(stage: Stage) -> Reader:
    """A connection is added from a preset."""
    reader = await stage.reader()
    await reader.page.goto(f"{stage.server.url}/settings")
    await reader.button("Add a connection").click()
    dialog = reader.page.get_by_role("dialog", name="Add a connection")
    await dialog.get_by_label("To what").select_option(label="OpenRouter")
    await expect(dialog.get_by_label("API key")).to_be_visible()
    return reader


async def _connected(client: Client) -> None:
    """A cloud without its key, a server that does not answer, and a friend's."""
    known = {item["name"] for item in (await client.get("/api/connections"))["items"]}
    for name, fields in {
        "OpenRouter": {"preset": "openrouter"},
        "Under the desk": {"base_url": "http://127.0.0.1:9/v1", "model": "mistral-small3.2"},
        "Brin’s workstation": {"base_url": "http://127.0.0.1:11/v1", "api_key": "sk-from-brin"},
    }.items():
        if name not in known:
            made = {"kind": "openai", "name": name, **fields}
            added = await client.post("/api/connections", made)
            assert added.status == 201, added.body
            if name == "Under the desk":
                await client.post(f"/api/connections/{added['id']}/test", {})


def _local(name: str, title: str, state: str, **more: Any) -> dict[str, Any]:
    """A model of the server's machine, as the wire tells it."""
    usual: dict[str, Any] = {
        "parameters": None,
        "licence": "Apache-2.0",
        "address": f"https://example.org/{name}.gguf",
        "size": 1_117_320_736,
        "done": 0,
        "memory": 1_700_000_000,
        "window": None,
        "fit": "well",
        "checked": None,
        "trouble": None,
        "is_listed": True,
        "is_built_in": False,
    }
    return {**usual, "name": name, "title": title, "state": state, **more}


LOCAL_MODELS: Final[dict[str, Any]] = {
    "memory": 8_200_000_000,
    "free_memory": 4_900_000_000,
    "free_disk": 61_000_000_000,
    "items": [
        _local(
            "smollm2-135m-instruct",
            "SmolLM2 135M (built in)",
            "kept",
            size=98_362_432,
            done=98_362_432,
            memory=350_000_000,
            is_built_in=True,
            checked="list",
        ),
        _local(
            "qwen2.5-1.5b-instruct",
            "Qwen2.5 1.5B Instruct",
            "kept",
            parameters="1.5 billion, Q4_K_M",
            done=1_117_320_736,
            checked="list",
        ),
        _local(
            "qwen3-4b-instruct-2507",
            "Qwen3 4B Instruct 2507",
            "downloading",
            parameters="4 billion, Q4_K_M",
            size=2_497_281_120,
            done=912_000_000,
            memory=4_000_000_000,
            fit="tight",
        ),
        _local(
            "bard-3b",
            "bard-3b",
            "stopped",
            size=2_100_000_000,
            done=700_000_000,
            licence=None,
            memory=None,
            fit=None,
            is_listed=False,
        ),
        _local(
            "skald",
            "skald",
            "failed",
            size=None,
            licence=None,
            memory=None,
            fit=None,
            is_listed=False,
            trouble="What is at this address is no GGUF model. Copy the address of the file itself, "
            "which ends in .gguf.",
        ),
        _local(
            "mistral-7b-instruct-v0.3",
            "Mistral 7B Instruct v0.3",
            "offered",
            parameters="7 billion, Q4_K_M",
            size=4_372_812_000,
            memory=5_800_000_000,
            fit="too_large",
        ),
    ],
}


async def local_models(stage: Stage) -> Reader:
    """Models of the server's machine, one in each state."""
    reader = await stage.reader()

    async def told(route: Route) -> None:
        await route.fulfill(json=LOCAL_MODELS)

    await reader.page.route("**/api/models", told)
    await reader.page.goto(f"{stage.server.url}/settings")
    await reader.page.get_by_role("heading", name="Models on this machine").evaluate(
        "one => one.scrollIntoView({ block: 'start' })"
    )
    await expect(reader.text("Downloading: 36 %")).to_be_visible()
    return reader


async def removing_a_model(stage: Stage) -> Reader:
    reader = await local_models(stage)
    await reader.button("Remove Qwen2.5 1.5B Instruct").click()
    await expect(reader.page.get_by_role("alertdialog")).to_be_visible()
    return reader


async def logins(stage: Stage) -> Reader:
    """What lets somebody in, one of each kind."""
    added = await stage.client.post("/api/accounts", {"name": f"Bea {new_id()}"})
    assert added.status == 201, added.body
    reader = await stage.reader(is_let_in=False)
    for turn in range(3):
        made = await stage.client.post("/api/login-links", {"name": added["name"]})
        assert made.status == 201, made.body
        link = stage.server.url + made["path"]
        if turn < 2:
            await reader.page.context.clear_cookies()
            await reader.page.goto(link)
    await reader.page.goto(f"{stage.server.url}/settings")
    await expect(reader.page.get_by_text("This browser", exact=True)).to_be_visible()
    await expect(reader.page.get_by_text("A token for programs")).to_be_visible()
    await reader.button("Log out").scroll_into_view_if_needed()
    return reader


async def ending_a_login(stage: Stage) -> Reader:
    reader = await logins(stage)
    await reader.page.get_by_role("button", name=re.compile("^Log it out")).click()
    await expect(reader.page.get_by_role("alertdialog")).to_be_visible()
    return reader


async def nowhere(stage: Stage) -> Reader:
    reader = await stage.reader("00000000-0000-4000-8000-000000000000")
    await expect(reader.text("This page is not in the book.")).to_be_visible()
    return reader


async def _found(reader: Reader, words: str) -> None:
    """Wait until the index has come that far; the page asks again with every letter."""
    async with reader.server.client() as client:

        async def is_found() -> bool:
            answer = await client.get(f"/api/search?q={quote(words)}")
            return bool(answer["items"]) and not answer["behind"]

        await until(is_found)


async def switching(stage: Stage) -> Reader:
    """Somebody looks for a title and for what was said."""
    for title in ("The mill at night", "Names for a river people"):
        other = await begun(stage.client, *INN)
        await stage.client.ask("PATCH", f"/api/conversations/{other}", {"title": title})
    reader = await stage.reader(await stage.tale())
    await _found(reader, "mill")
    await expect(reader.messages.first).to_be_visible()
    await reader.page.keyboard.press("Control+k")
    await reader.page.get_by_role("combobox").fill("mill")
    await expect(reader.page.get_by_role("option", name="moonless").first).to_be_visible()
    return reader


async def searching(stage: Stage) -> Reader:
    tale = await stage.tale()
    await stage.client.ask("PATCH", f"/api/conversations/{tale}", {"title": "Session 12"})
    other = await stage.client.open(title="الطاحونة القديمة 古い水車")
    await stage.client.say(other, "The mill, or 水車, or طاحونة: which name is older?", reply=False)
    reader = await stage.reader()
    await _found(reader, "水車")
    await reader.page.goto(f"{stage.server.url}/search?q=mill")
    await expect(reader.page.locator("mark").first).to_be_visible()
    await reader.button("Narrow").click()
    await reader.page.get_by_label("Who said it").select_option("You")
    await expect(reader.button("Narrow (1)")).to_be_visible()
    await expect(reader.page.get_by_role("list", name="What was found")).to_have_attribute(
        "aria-busy", "false"
    )
    return reader


async def nothing_found(stage: Stage) -> Reader:
    reader = await stage.reader()
    await reader.page.goto(f"{stage.server.url}/search?q=a+word+nobody+said")
    await expect(reader.text("Nothing that was said has")).to_be_visible()
    return reader


async def not_searched(stage: Stage) -> Reader:
    reader = await stage.reader()
    await reader.page.route(
        "**/api/search?*", lambda route: route.fulfill(status=500, json={"detail": "It is broken."})
    )
    await reader.page.goto(f"{stage.server.url}/search?q=mill")
    await expect(reader.text("What was said could not be searched.")).to_be_visible()
    return reader


async def about_a_conversation(stage: Stage) -> Reader:
    reader = await stage.reader(await stage.tale())
    await expect(reader.messages.last).to_be_visible()
    await reader.button("More about this conversation").click()
    await expect(reader.page.get_by_role("menuitem", name="End and start new")).to_be_visible()
    return reader


async def about_a_message(stage: Stage) -> Reader:
    reader = await stage.reader(await stage.tale())
    await reader.reply.hover()
    await reader.reply.get_by_role("button", name="More about this message").click()
    await expect(reader.page.get_by_role("menuitem", name="Bookmark")).to_be_visible()
    return reader


async def put_away(stage: Stage) -> Reader:
    """Just archived: it can be undone."""
    tale = await stage.tale()
    await stage.client.ask(
        "PATCH", f"/api/conversations/{tale}", {"title": "The mill at night", "pinned": True}
    )
    other = await stage.client.open(title="A thread about nothing much")
    reader = await stage.reader(tale)
    await expect(reader.messages.last).to_be_visible()
    if stage.is_phone:
        await reader.button("Open the rail").click()
    await reader.button("More about A thread about nothing much").first.click(force=True)
    await reader.page.get_by_role("menuitem", name="Archive").click()
    await expect(reader.button("Undo")).to_be_visible()
    await stage.client.ask("PATCH", f"/api/conversations/{tale}", {"pinned": False})
    assert (await stage.client.conversation(other))["archived_at"] is not None
    return reader


async def _in_the_trash(stage: Stage) -> str:
    conversation = await stage.tale()
    long = "A very long title, " + "as one gets when the first sentence is all of a prologue " * 3
    await stage.client.ask("PATCH", f"/api/conversations/{conversation}", {"title": long[:190]})
    answer = await stage.client.ask("DELETE", f"/api/conversations/{conversation}")
    assert answer.status == 200, answer.body
    return conversation


async def archive(stage: Stage) -> Reader:
    for title in ("The duke's winter court", "House rules: exhaustion and rest"):
        other = await begun(stage.client, *INN)
        await stage.client.ask(
            "PATCH", f"/api/conversations/{other}", {"title": title, "archived": True}
        )
    reader = await stage.reader()
    await reader.page.goto(f"{stage.server.url}/archive")
    await expect(reader.link("The duke's winter court").first).to_be_visible()
    return reader


async def trash(stage: Stage) -> Reader:
    await _in_the_trash(stage)
    reader = await stage.reader()
    await reader.page.goto(f"{stage.server.url}/trash")
    await expect(reader.text("days left").first).to_be_visible()
    return reader


async def asking(stage: Stage) -> Reader:
    """The one thing that cannot be undone."""
    reader = await trash(stage)
    await reader.page.get_by_role("button", name=re.compile("for good$")).first.click()
    await expect(reader.text("This cannot be undone.")).to_be_visible()
    await expect(reader.page.locator("blockquote")).to_be_visible()
    return reader


async def from_the_trash(stage: Stage) -> Reader:
    reader = await stage.reader(await _in_the_trash(stage))
    await expect(reader.text("In the trash since today")).to_be_visible()
    await expect(reader.messages.last).to_be_visible()
    return reader


async def storage(stage: Stage) -> Reader:
    await stage.tale()
    reader = await stage.reader()
    await reader.page.route("**/api/storage", _with_a_warning)
    await reader.page.goto(f"{stage.server.url}/storage")
    await expect(reader.text("Put the old away")).to_be_visible()
    return reader


async def _with_a_warning(route: Route) -> None:
    answer = await route.fetch()
    said = await answer.json()
    said["warnings"] = [
        {
            "code": "database_large",
            "message": "The database is larger than 500 MB. Archive what is old, or empty the trash.",
        }
    ]
    await route.fulfill(response=answer, json=said)


async def many_branches(stage: Stage) -> str:
    """A conversation that forked now and then."""
    client = stage.client
    conversation = await begun(client, *INN, ("You", QUESTION), ("Reply", ANSWER))
    path = await client.path(conversation)
    for said in ("We do not ask. We watch.", "We ask the priest instead.", "We leave at dawn."):
        sent = await client.say(conversation, said, parent_id=path[1]["id"], reply=False)
        under = sent["message"]["id"]
        for who, text in (("assistant", INNKEEPER), ("user", AFTER), ("assistant", ANSWER)) * 2:
            more = await client.say(conversation, text, role=who, parent_id=under, reply=False)
            under = more["message"]["id"]
    for said in (AFTER, "We listen at the door.", "Nobody moves.", "The lamp goes out."):
        await client.say(conversation, said, parent_id=path[3]["id"], reply=False)
    last = path[3]["id"]
    for who, text in (("user", AFTER), ("assistant", AFTER_ANSWER), ("user", "We wait.")) * 2:
        more = await client.say(conversation, text, role=who, parent_id=last, reply=False)
        last = more["message"]["id"]
    for place, note in ((1, "Who keeps the inn"), (3, "")):
        marked = await client.ask("PATCH", f"/api/messages/{path[place]['id']}", {"bookmark": note})
        assert marked.status == 200, marked.body
    return conversation


async def branch_map(stage: Stage) -> Reader:
    reader = await stage.reader(await many_branches(stage))
    await expect(reader.messages.last).to_be_visible()
    await reader.button("Branches and bookmarks").click()
    tree = reader.page.get_by_role("tree", name="Map of branches")
    await expect(tree.get_by_role("treeitem", name="you are here")).to_be_visible()
    return reader


async def bookmarks(stage: Stage) -> Reader:
    reader = await branch_map(stage)
    await reader.page.get_by_role("tab", name="Bookmarks").click()
    await expect(reader.page.get_by_role("button", name="Who keeps the inn").first).to_be_visible()
    return reader


async def sought(stage: Stage) -> Reader:
    """A link to one message."""
    conversation = await many_branches(stage)
    found = await stage.client.tree(conversation)
    message = next(each for each in found if each["content"] == "We listen at the door.")
    reader = await stage.reader()
    await reader.page.goto(f"{stage.server.url}/c/{conversation}?message={message['id']}")
    await expect(reader.page.locator(".sought")).to_contain_text("We listen at the door.")
    return reader


async def newer_elsewhere(stage: Stage) -> Reader:
    """Another device goes on where this one does not read."""
    client = stage.client
    conversation = await begun(client, *INN, ("You", QUESTION), ("Reply", ANSWER))
    reader = await stage.reader(conversation)
    await expect(reader.messages).to_have_count(4)
    path = await client.path(conversation)
    await client.say(conversation, AFTER, parent_id=path[1]["id"], reply=False)
    await expect(reader.text("Newer messages stand on another branch.")).to_be_visible()
    return reader


async def facts(stage: Stage) -> Reader:
    reader = await stage.reader(await begun(stage.client, *INN))
    await reader.say(f"And her first guest tonight? {said(INNKEEPER)}")
    await expect(reader.replies).to_have_count(2)
    await reader.has_reply()
    await _hide_orders(reader)
    await reader.reply.get_by_role("button", name="More about this message").click()
    await reader.page.get_by_role("menuitem", name="How this reply was made").click()
    await expect(reader.text("First word after")).to_be_visible()
    return reader


async def told(stage: Stage) -> Reader:
    """A reply whose thinking is open, a message left out, and what the AI was told."""
    conversation = await begun(stage.client, *INN)
    secret, _ = await stage.client.path(conversation)
    await stage.client.ask("PATCH", f"/api/messages/{secret['id']}", {"hidden_from_ai": True})
    reader = await stage.reader(conversation)
    thought = "Who comes to an inn that turns priests away? Somebody with a key of her own."
    await reader.say(f"And her first guest tonight? [[think {thought}]] {said(INNKEEPER)}")
    await expect(reader.replies).to_have_count(2)
    await reader.has_reply()
    await _hide_orders(reader)
    await reader.reply.get_by_role("button", name="Thought first").click()
    await expect(reader.text(thought)).to_be_visible()
    await reader.reply.get_by_role("button", name="More about this message").click()
    await reader.page.get_by_role("menuitem", name="How this reply was made").click()
    receipt = reader.page.get_by_role("region", name="What the AI was told")
    await receipt.scroll_into_view_if_needed()
    await expect(receipt).to_be_visible()
    return reader


async def shortcuts(stage: Stage) -> Reader:
    reader = await stage.reader(await stage.tale())
    await reader.page.get_by_role("region", name="Messages").focus()
    await reader.page.keyboard.press("?")
    await expect(reader.page.get_by_role("dialog", name="The keyboard")).to_be_visible()
    return reader


Scene = Callable[[Stage], Awaitable[Reader]]
SCENES: Final[tuple[Scene, ...]] = (
    login,
    first_steps,
    empty,
    loading,
    conversation,
    growing,
    meanwhile,
    unanswered,
    limited,
    limited_again,
    search_limited,
    interrupted,
    failed,
    cut_at_length,
    filtered,
    refused,
    saving,
    not_saved,
    not_loaded,
    branches,
    editing,
    unkeepable,
    unkeepable_names,
    choosing,
    rail,
    settings,
    adding,
    local_models,
    removing_a_model,
    logins,
    ending_a_login,
    nowhere,
    switching,
    searching,
    nothing_found,
    not_searched,
    about_a_conversation,
    about_a_message,
    put_away,
    archive,
    trash,
    asking,
    from_the_trash,
    storage,
    branch_map,
    bookmarks,
    sought,
    newer_elsewhere,
    facts,
    told,
    shortcuts,
)
