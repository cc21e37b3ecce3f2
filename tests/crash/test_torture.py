"""`talekeeper torture` in its quick form, rig by rig: nothing is lost, and every control is caught.

What a rig needs of the machine and does not find (root, loop devices, a compiler) is a skip.
"""

import asyncio
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import cast

import pytest

from servers import Story, new_id, served
from talekeeper.torture import serving
from talekeeper.torture.asking import Client
from talekeeper.torture.crowd import Crowd, Said, due_by, forgotten, losses
from talekeeper.torture.killing import crash_again_and_again
from talekeeper.torture.rigs import Place, Rig, Tally, Wrong
from talekeeper.torture.running import PREFIX, RIGS, Report, Verdict, judged

LONG = [pytest.mark.long, pytest.mark.timeout(3_600)]

_PROVEN: dict[str, tuple[str, ...]] = {
    "kill9": ("FR-001", "FR-005", "NFR-006", "NFR-007", "AC-002", "B-5"),
    "diskfull": ("FR-006", "NFR-013"),
    "locked": ("NFR-001", "NFR-013", "FR-006"),
    "resume": ("C-S8", "FR-007", "U2", "U5"),
    "bitrot": ("U1", "NFR-004"),
}


def _each(rig: Rig) -> object:
    return pytest.param(
        rig, id=rig.name, marks=pytest.mark.req(*rig.proves, *_PROVEN.get(rig.name, ()))
    )


@pytest.mark.parametrize("rig", [_each(rig) for rig in RIGS])
async def test_nothing_is_lost_by_torture_and_the_control_is_caught(
    rig: Rig, tmp_path: Path, record_property
):
    verdict = await judged(rig, folder=tmp_path, rounds=rig.quick, seed=1)
    if verdict.skipped is not None:
        pytest.skip(verdict.skipped)
    print(verdict)
    record_property("torture", str(verdict))
    assert verdict.found == []
    assert (verdict.lost, verdict.doubled, verdict.forgotten, verdict.wrong) == (0, 0, 0, 0)
    assert verdict.rounds >= rig.quick
    assert verdict.control is not None
    assert verdict.control.is_caught, "a rig whose control gets through shows nothing"
    assert verdict.is_good


@pytest.mark.req("R1", "R7", "R10", "R11", "FR-001", "FR-005", "NFR-006", "NFR-007", "AC-002")
@pytest.mark.postgres
@pytest.mark.parametrize("rounds", [3, pytest.param(50, marks=LONG)])
async def test_on_postgresql_nothing_is_lost_by_killed_servers(
    tmp_path: Path, postgres_database: str, rounds: int
):
    place = Place(tmp_path, rounds, random.Random(1))
    with served(tmp_path, database_url=postgres_database) as server:
        tally = await crash_again_and_again(server, place, kills=rounds)
    print(tally)
    assert tally.found == []
    assert tally.rounds == rounds
    assert tally.acked >= rounds
    assert max(tally.figures["restart_to_ack_s"]) < 30


def _noted(text: str, *, sent: int, acked: int, seq: int) -> Said:
    return Said("c", new_id(), text, sent, False, acked, seq)


async def test_an_answer_decided_before_the_trouble_is_none_of_the_time_of_trouble():
    crowd = Crowd(cast("Client", None), ["c"])
    began = 100.0
    for answered_from, was_stored_before in [(99.0, False), (101.0, True), (101.0, False)]:
        said = _noted("text", sent=1, acked=2, seq=1)
        said.acked_at = 102.0
        said.answered_from, said.was_stored_before = answered_from, was_stored_before
        crowd.said.append(said)
    assert crowd.stored_since(began) == 1


def _shown(said: Said) -> dict[str, object]:
    return {
        "id": said.id,
        "content": said.text,
        "conversation_id": said.conversation_id,
        "role": "user",
        "seq": said.seq,
    }


@pytest.mark.req("R1", "R10")
def test_losses_doubles_changes_and_disorder_are_seen_by_the_check():
    first = _noted("one", sent=1, acked=2, seq=1)
    second = _noted("two", sent=3, acked=4, seq=2)
    assert losses([first, second], {"c": [_shown(first), _shown(second)]}) == []
    assert losses([first, second], {"c": [_shown(first)]}) == [
        Wrong("lost", f"{second.id}: acknowledged, and there 0 times")
    ]
    twin = {**_shown(first), "id": new_id(), "seq": 3}
    (doubled,) = losses([first], {"c": [_shown(first), twin]})
    assert doubled.kind == "doubled"
    assert "2 times" in doubled.what
    (changed,) = losses([first], {"c": [{**_shown(first), "content": "won"}]})
    assert (changed.kind, "not as it was" in changed.what) == ("lost", True)
    assert "found at 9" in losses([first], {"c": [{**_shown(first), "seq": 9}]})[0].what
    late = _noted("three", sent=5, acked=6, seq=1)
    found = losses([second, late], {"c": [_shown(second), _shown(late)]})
    assert "was acknowledged before" in found[0].what
    crossing = _noted("four", sent=2, acked=6, seq=1)
    assert losses([second, crossing], {"c": [_shown(second), _shown(crossing)]}) == []


@pytest.mark.req("R12", "G13")
def test_text_that_was_seen_and_is_not_kept_is_seen_by_the_check():
    story = Story(seen=[(1.0, "m", 3), (9.5, "m", 6)], grown={"m": "abcdef"})
    kept = {"c": [{"id": "m", "content": "abc"}]}
    assert forgotten([story], kept, seen_by=9.0) == []
    assert [w.kind for w in forgotten([story], kept, seen_by=9.6)] == ["forgotten"]
    other = {"c": [{"id": "m", "content": "axc"}]}
    assert "not the text" in forgotten([story], other, seen_by=9.0)[0].what


@pytest.mark.req("R12")
def test_seen_text_is_due_when_two_that_were_sent_after_it_are_acknowledged():
    def told(sent_at: float, acked_at: float) -> Said:
        noted = _noted("x", sent=1, acked=2, seq=1)
        noted.sent_at, noted.acked_at = sent_at, acked_at
        return noted

    assert due_by([]) == -math.inf
    assert due_by([told(1.0, 1.1)]) == -math.inf
    assert due_by([told(1.0, 1.1), told(1.05, 1.2)]) == -math.inf  # sent before the first's answer
    assert due_by([told(1.0, 1.1), told(1.2, 1.3)]) == pytest.approx(0.75)
    assert due_by([told(3.0, 9.0), told(5.0, 9.5)]) == -math.inf  # a slow disk owes nothing yet
    assert due_by([told(3.0, 9.0), told(5.0, 9.5), told(9.1, 9.9)]) == pytest.approx(2.75)


def test_a_rig_counts_only_when_its_control_was_caught(tmp_path: Path):
    async def well(_place: Place) -> Tally:
        return Tally(rounds=1)

    async def losing(_place: Place) -> Tally:
        return Tally(rounds=1, found=[Wrong("lost", "one"), Wrong("lost", "one")])

    async def breaking(_place: Place) -> Tally:
        raise RuntimeError("broke")

    def verdict(run, control) -> Verdict:
        rig = Rig("r", ("R1",), "does", run, control, 1, 1, loses="lost")
        folder = tmp_path / new_id()
        return asyncio.run(judged(rig, folder=folder, rounds=1, seed=1))

    assert verdict(well, losing).is_good
    assert not verdict(well, well).is_good
    assert not verdict(well, breaking).is_good
    assert not verdict(losing, losing).is_good
    assert verdict(losing, losing).lost == 1, "the same loss is one"
    assert not verdict(breaking, losing).is_good
    skipped = Verdict("r", ("R1",), skipped="no root")
    assert Report("1", "", 0, 1, "quick", {}, [skipped]).is_good


def test_the_command_writes_a_report_and_refuses_an_unknown_rig(tmp_path: Path):
    report = tmp_path / "report.json"
    done = _tortured("--only", "poison", "--seed", "7", "--report", str(report), at=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(report.read_text())
    assert said["is_good"] is True
    assert said["seed"] == 7
    (verdict,) = said["verdicts"]
    assert verdict["rig"] == "poison"
    assert verdict["acknowledged"] > 0
    assert verdict["control"]["is_caught"] is True
    assert "poison" in done.stdout
    assert _left(tmp_path) == []
    unknown = _tortured("--only", "kindness", at=tmp_path)
    assert unknown.returncode == 2
    assert "There is no rig kindness" in unknown.stderr


def test_a_folder_that_is_not_there_is_refused_before_anything_is_done(tmp_path: Path):
    report = str(tmp_path / "none" / "report.json")
    for option, refused in (
        ("--report", _tortured("--only", "poison", "--report", report, at=tmp_path)),
        ("--work-dir", _tortured("--only", "poison", at=tmp_path / "none")),
    ):
        assert refused.returncode == 2, refused.stdout + refused.stderr
        assert option in refused.stderr
        assert "poison" not in refused.stdout + refused.stderr


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_torture_that_is_ended_half_way_leaves_nothing_behind(tmp_path: Path, how: signal.Signals):
    only = ["--only", "kill9", "--only", "powercut-ext4"]
    # Whoever is started in the background of a shell would be deaf to SIGINT, and its children too.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [sys.executable, "-m", "talekeeper", "torture", *only, "--work-dir", str(tmp_path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    signal.signal(signal.SIGINT, before)
    try:
        patience = time.monotonic() + 60
        while not list(tmp_path.rglob("server.lock")) and time.monotonic() < patience:
            time.sleep(0.05)
        process.send_signal(how)
        assert process.wait(60) == 130
    finally:
        process.kill()
    assert _left(tmp_path) == []
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()
    assert _processes_in(tmp_path) == []


async def test_a_server_whose_start_is_cancelled_is_gone(tmp_path: Path):
    async def serve() -> None:
        async with serving.served(tmp_path):
            pytest.fail("it was to be cancelled before it had started")

    for seconds in (0.0, 0.001, 0.01, 0.1):
        start = asyncio.create_task(serve())
        await asyncio.sleep(seconds)
        start.cancel()
        with pytest.raises(asyncio.CancelledError):
            await start
        assert _processes_in(tmp_path) == []


def _tortured(*words: str, at: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "talekeeper", "torture", *words, "--work-dir", str(at)],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


def _left(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir() if each.name.startswith(PREFIX)]


def _processes_in(folder: Path) -> list[int]:
    """Servers whose data lies below that folder."""
    found: list[int] = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()
        except OSError:
            continue
        if os.fsencode(folder) in environment and int(process.name) != os.getpid():
            found.append(int(process.name))
    return found
