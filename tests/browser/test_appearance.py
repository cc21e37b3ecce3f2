"""Every state of the page, looked at: axe finds nothing, nothing sticks out, and a picture is kept.

The pictures lie in screenshots/, one of each state and look. An ordinary run looks at each state
once, at the four that everybody sees in every size and theme; with --long at every state in all.
"""

from typing import Any, Final, get_args

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Page

from browser.conftest import Readers
from browser.reading import Reader, Size, Theme
from browser.scenes import SCENES, Scene, Stage, conversation, empty, login, settings
from conftest import ROOT
from servers import Server

pytestmark = pytest.mark.browser

PICTURES: Final = ROOT / "screenshots"
LOOKS: Final[list[tuple[Size, Theme]]] = [
    (size, theme) for size in get_args(Size) for theme in get_args(Theme)
]
ALWAYS: Final = {login, empty, conversation, settings}


def _looks() -> list[Any]:
    return [
        pytest.param(
            scene,
            size,
            theme,
            id=f"{scene.__name__}-{size}-{theme}",
            marks=() if scene in ALWAYS or place % len(LOOKS) == turn else pytest.mark.long,
        )
        for place, scene in enumerate(SCENES)
        for turn, (size, theme) in enumerate(LOOKS)
    ]


async def _violations(page: Page) -> list[str]:
    """What axe finds. It comes in by the debugger's door: the page's own is shut to scripts."""
    door = await page.context.new_cdp_session(page)
    await door.send("Runtime.evaluate", {"expression": AXE_SCRIPT})
    found: list[dict[str, Any]] = await page.evaluate(
        "axe.run({ resultTypes: ['violations'] }).then(({ violations }) => violations)"
    )
    return [
        f"{each['id']} ({each['impact']}): {node['html'][:200]} {node['failureSummary']}"
        for each in found
        for node in each["nodes"]
    ]


async def _sticks_out(page: Page) -> bool:
    """Whether one can scroll the page sideways."""
    return await page.evaluate(
        "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    )


@pytest.mark.req("NFR-013", "NFR-014", "US-004")
@pytest.mark.parametrize(("scene", "size", "theme"), _looks())
async def test_it_can_be_read_by_everybody_and_its_picture_is_kept(
    server: Server, readers: Readers, scene: Scene, size: Size, theme: Theme
):
    async def reader(conversation_id: str | None = None, **more: Any) -> Reader:
        return await readers(server, conversation_id, size=size, theme=theme, **more)

    async with server.client() as client:
        here = await scene(Stage(server, client, reader, is_phone=size == "phone"))
        await here.page.evaluate("document.fonts.ready.then(() => null)")
        PICTURES.mkdir(exist_ok=True)
        await here.page.screenshot(
            path=PICTURES / f"{scene.__name__}-{size}-{theme}.png", animations="disabled"
        )
        assert await _violations(here.page) == []
        assert not await _sticks_out(here.page)
