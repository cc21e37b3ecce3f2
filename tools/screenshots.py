"""Write docs/pictures/ anew: what the README shows, photographed from a real server and browser.

    .venv/bin/python tools/screenshots.py [FOLDER]

Nothing is asked of a model, so the pictures differ only where the page does. The tests keep a
picture of every state of the page in screenshots/ (`make screenshots`).
"""

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from playwright.async_api import Browser, async_playwright, expect  # noqa: E402

from browser.reading import (  # noqa: E402
    Reader,
    Size,
    Theme,
    a_browser_of_ones_own,
    begun,
)
from browser.scenes import AFTER, AFTER_ANSWER, ANSWER, INN, QUESTION  # noqa: E402
from conftest import CHROMIUM_FLAGS  # noqa: E402
from servers import Server, served  # noqa: E402
from talekeeper.domain.connections import server_connection_id  # noqa: E402

LARGEST: Final = 200_000
OTHERS: Final = (
    "The duke's winter court",
    "House rules: exhaustion and rest",
    "Session 11, what happened",
    "Names for a river people",
    "Hanne Rook, who waters the watch",
)
PICTURES: Final[tuple[tuple[str, Size, Theme, tuple[int, int], float], ...]] = (
    ("page-wide", "wide", "paper", (1240, 820), 1.25),
    ("page-night", "wide", "night", (1240, 820), 1.25),
    ("page-phone", "phone", "paper", (390, 800), 2),
)


async def photograph(server: Server, browser: Browser, folder: Path) -> None:
    async with server.client() as client:
        for title in OTHERS:
            other = await begun(client, *INN)
            await client.ask("PATCH", f"/api/conversations/{other}", {"title": title})
        tale = await begun(
            client, ("You", QUESTION), ("Reply", ANSWER), ("You", AFTER), ("Reply", AFTER_ANSWER)
        )
        changed = await client.ask(
            "PATCH",
            f"/api/conversations/{tale}",
            {
                "title": "Session 12: the mill at night",
                "connection_id": server_connection_id("ollama"),
                "model": "mistral-small3.2",
            },
        )
        assert changed.status == 200, changed.body
    for name, size, theme, viewport, scale in PICTURES:
        async with a_browser_of_ones_own(
            browser, server, size=size, theme=theme, viewport=viewport, scale=scale
        ) as context:
            reader = Reader(await context.new_page(), server)
            await reader.open(tale)
            await expect(reader.own.last).to_contain_text(AFTER)
            if size == "wide":
                await reader.page.get_by_role("region", name="Messages").evaluate(
                    "one => one.scrollTo(0, 0)"
                )
                await expect(reader.text("We ask old Bertrand")).to_be_in_viewport()
            await reader.page.evaluate("document.fonts.ready.then(() => null)")
            path = folder / f"{name}.png"
            await reader.page.screenshot(path=path, animations="disabled")
            size_now = path.stat().st_size
            print(f"{path}: {size_now // 1000} KB")
            if size_now > LARGEST:
                raise SystemExit(f"{path} is larger than {LARGEST // 1000} KB.")


async def main(folder: Path) -> None:
    own = shutil.which("chromium") or shutil.which("chromium-browser")
    with tempfile.TemporaryDirectory() as data, served(Path(data)) as server:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=own, args=CHROMIUM_FLAGS)
            await photograph(server, browser, folder)
            await browser.close()


if __name__ == "__main__":
    target = Path(sys.argv[1]) if sys.argv[1:] else ROOT / "docs" / "pictures"
    target.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(target))
