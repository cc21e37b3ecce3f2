"""The page in a real browser: G18, how soon a message is seen, and whether streaming drops frames."""

import asyncio
import json
import shutil

from benchmarks.bench import Bench
from benchmarks.figures import Bound, Figure, median
from benchmarks.servers import served

_FRAMES = """
seconds => new Promise(done => {
  let frames = 0, longest = 0, before = performance.now()
  const end = before + seconds * 1000
  const look = now => {
    frames += 1
    longest = Math.max(longest, now - before)
    before = now
    now < end ? requestAnimationFrame(look) : done([frames, longest])
  }
  requestAnimationFrame(look)
})
"""
_SEEN = """
() => new Promise(done => {
  const look = () => document.querySelector('article .tale')
    ? requestAnimationFrame(() => done(performance.now())) : setTimeout(look, 4)
  look()
})
"""


async def in_browser(bench: Bench) -> list[Figure]:
    """G18: 10,000 messages opened in Chromium; frames while a reply grows by fifty words a second."""
    from playwright.async_api import async_playwright

    place, tales = await bench.copy_of(10_000)
    seconds = bench.count(8, 4)
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    with served(place, {"TALEKEEPER_SCRIPTED_PACE_MS": "20"}) as server:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=found, args=["--no-sandbox", "--disable-gpu"]
            )
            context = await browser.new_context(viewport={"width": 1280, "height": 800})
            await context.add_init_script("localStorage.setItem('talekeeper.welcomed', 'yes')")
            page = await context.new_page()
            await page.goto(server.login)
            idle = (await page.evaluate(_FRAMES, 2))[0] / 2
            seen: list[float] = []
            for _ in range(bench.count(12, 4)):
                await page.goto(f"{server.url}/c/{tales[0].id}", wait_until="commit")
                seen.append(await page.evaluate(_SEEN))
            wire = server.wire()
            order = json.dumps(
                {"id": "0b5c2f0e-6b0f-4c56-9f39-3f6f7f0f5a11", "content": "[[tokens 2000]]"}
            )
            wire.ask("POST", f"/api/conversations/{tales[0].id}/messages", order.encode())
            await asyncio.sleep(1.5)
            frames, longest = await page.evaluate(_FRAMES, seconds)
            wire.close()
            await browser.close()
    bench.forget(place)
    return [
        Figure(
            "G18",
            "The page with 10,000 messages, in Chromium",
            [
                Bound("first message seen", median(seen), "ms", gate=500, goal=150),
                Bound(
                    "frames kept while streaming",
                    frames / seconds / max(idle, 1) * 100,
                    "%",
                    gate=95,
                    goal=99,
                    better="more",
                ),
            ],
            {
                "frames a second, idle": idle,
                "longest frame while streaming, ms": longest,
                "slowest opening, ms": max(seen),
            },
        )
    ]
