"""Nothing acknowledged is lost or doubled by a killed server (R1, R7, R10, FR-001, FR-005, NFR-006).

Six people send to four conversations without pause; the server is killed with SIGKILL at random
moments, its store is looked into as it lies there, and it is started again. Every message that was
acknowledged must then be there exactly once, with its text, at its place; whoever got no answer
sends again with the same id, and that makes one message. The rig is seen failing, too: a server
that answers before it commits does not get through it.
"""

import sqlite3
import sys
from pathlib import Path

import pytest
from tests.crash import early_acks
from tests.crash.rig import Said, crash_again_and_again, losses

from servers import new_id, served

LONG = [pytest.mark.long, pytest.mark.timeout(3_600)]


@pytest.mark.req(
    "R1", "R7", "R8", "R10", "R11", "FR-001", "FR-005", "NFR-006", "NFR-007", "AC-002", "B-5"
)
@pytest.mark.parametrize(
    ("engine", "rounds"),
    [
        ("sqlite", 15),
        pytest.param("postgresql", 3, marks=pytest.mark.postgres),
        pytest.param("sqlite", 200, marks=LONG),
        pytest.param("postgresql", 50, marks=[pytest.mark.postgres, *LONG]),
    ],
)
async def test_what_was_acknowledged_is_there_exactly_once_whenever_the_server_is_killed(
    tmp_path: Path, database_url: str | None, rounds: int, record_property
):
    with served(tmp_path, database_url=database_url) as server:
        outcome = await crash_again_and_again(server, rounds=rounds)
    print(outcome)
    record_property("crashes", str(outcome))
    assert outcome.found == [], "\n".join(outcome.found)
    assert outcome.kills == rounds
    assert outcome.acked >= rounds
    assert outcome.unanswered > 0, "no kill hit anybody who waited for an answer"
    assert max(outcome.restarts) < 30


@pytest.mark.req("R1")
async def test_a_server_that_answers_before_it_commits_is_caught(tmp_path: Path):
    command = (sys.executable, early_acks.__file__, "serve")
    with served(tmp_path, command=command) as server:
        outcome = await crash_again_and_again(server, rounds=5, stops_when_found=True)
    print(outcome)
    assert any("there 0 times" in each or "acknowledged at" in each for each in outcome.found)


@pytest.mark.req("R1")
async def test_an_acknowledged_message_that_is_gone_is_seen_by_the_check(tmp_path: Path):
    with served(tmp_path, verifies=False) as server:
        async with server.client() as client:
            conversation = await client.open()
            said: list[Said] = []
            for number in range(3):
                sent = await client.say(conversation, f"the {number}. time", reply=False)
                message = sent["message"]
                said.append(
                    Said(
                        conversation_id=conversation,
                        id=message["id"],
                        text=message["content"],
                        first_sent=2 * number + 1,
                        wants_reply=False,
                        acked=2 * number + 2,
                        seq=message["seq"],
                    )
                )
            assert losses(said, {conversation: await client.tree(conversation)}) == []
            server.kill()
            connection = sqlite3.connect(server.database)
            connection.execute("DELETE FROM messages WHERE id = ?", (said[1].id,))
            connection.commit()
            connection.close()
            assert server.violations() != []
            server.start()
            found = losses(said, {conversation: await client.tree(conversation)})
    assert found == [f"{said[1].id}: acknowledged, and there 0 times"]


@pytest.mark.req("R1", "R10")
def test_doubles_changes_and_disorder_are_seen_by_the_check():
    def shown(said: Said) -> dict[str, object]:
        return {
            "id": said.id,
            "content": said.text,
            "conversation_id": said.conversation_id,
            "role": "user",
            "seq": said.seq,
        }

    def noted(text: str, *, sent: int, acked: int, seq: int) -> Said:
        return Said("c", new_id(), text, sent, False, acked, seq)

    first = noted("one", sent=1, acked=2, seq=1)
    second = noted("two", sent=3, acked=4, seq=2)
    assert losses([first, second], {"c": [shown(first), shown(second)]}) == []
    twin = {**shown(first), "id": new_id(), "seq": 3}
    assert "2 times" in losses([first], {"c": [shown(first), twin]})[0]
    assert "not as it was" in losses([first], {"c": [{**shown(first), "content": "won"}]})[0]
    assert "found at 9" in losses([first], {"c": [{**shown(first), "seq": 9}]})[0]
    late = noted("three", sent=5, acked=6, seq=1)
    assert (
        "was acknowledged before" in losses([second, late], {"c": [shown(second), shown(late)]})[0]
    )
    crossing = noted("four", sent=2, acked=6, seq=1)
    assert losses([second, crossing], {"c": [shown(second), shown(crossing)]}) == []
