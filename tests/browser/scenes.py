"""Every state of the page, arranged to be looked at: `scene(stage)` leaves a reader before it.

Used by the tests that look with axe's eyes and keep a picture of each, and by tools/screenshots.py
for the pictures in the documentation.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from playwright.async_api import Route, expect

from browser.reading import Reader, begun
from servers import Client, Server

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
    await expect(reader.button("Answer")).to_be_visible()
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


async def saving(stage: Stage) -> Reader:
    """The server has just gone."""
    reader = await stage.reader(await begun(stage.client, *INN))
    await expect(reader.messages).to_have_count(2)
    await reader.page.route("**/api/**", lambda route: route.abort())
    await reader.say("The dwarf drinks first.")
    await expect(reader.text("The server is not answering.").first).to_be_visible()
    await expect(reader.text("Saving")).to_be_visible()
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


async def choosing(stage: Stage) -> Reader:
    reader = await stage.reader(await begun(stage.client, *INN))
    await reader.page.get_by_role("button", name="Who answers here").click()
    await expect(reader.page.get_by_role("dialog", name="Who answers here")).to_be_visible()
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
    reader = await stage.reader()
    await reader.page.goto(f"{stage.server.url}/settings")
    await reader.page.get_by_role("button", name=re.compile("^OpenAI")).click()
    await expect(reader.page.get_by_label("Base URL")).to_be_visible()
    return reader


async def nowhere(stage: Stage) -> Reader:
    reader = await stage.reader("00000000-0000-4000-8000-000000000000")
    await expect(reader.text("This page is not in the book.")).to_be_visible()
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
    interrupted,
    failed,
    saving,
    not_saved,
    not_loaded,
    branches,
    editing,
    choosing,
    rail,
    settings,
    nowhere,
)
