"""The guide to watching names every measure there is and no event that is never logged (C-S10)."""

import re
from pathlib import Path

import pytest

from servers import served

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guide" / "watching.md").read_text(encoding="utf-8")
_LOGGED = re.compile(r'log\.\w+\(\s*"([a-z_]+\.[a-z_]+)"')


@pytest.mark.req("C-S10")
async def test_the_guide_lists_every_measure_and_no_other(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        async with server.client() as client:
            await client.ended(await client.say(await client.open(), "Hello. [[tokens 3]]"))
            answer = await client.get("/metrics")
    told = re.findall(r"^# TYPE (\w+) (\w+)", answer.body.decode(), re.MULTILINE)
    measures = {name for name, _ in told if not name.endswith("_created")}
    assert set(re.findall(r"`(talekeeper_\w+)`", GUIDE)) == measures


def test_the_guide_names_every_event_of_a_reply_and_only_what_is_logged() -> None:
    source = (ROOT / "src" / "talekeeper").rglob("*.py")
    logged = {event for path in source for event in _LOGGED.findall(path.read_text("utf-8"))}
    named = set(re.findall(r"`([a-z]+\.[a-z_]+)`", GUIDE))
    assert named <= logged
    assert {each for each in logged if each.startswith("generation.")} <= named
