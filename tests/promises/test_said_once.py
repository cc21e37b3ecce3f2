"""One message a client id, for good; nothing typed is refused, nothing is answered twice (R6, R7, R9).

FR-003, AC-003, C-S2, C-S6, C-S11, U6, U8. The client makes the id; whatever is sent again with it
finds what is there, over thirty senders at once and over a restart. What is sent twice with
different words, or elsewhere, is refused. Two who write at once get a branch each.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from servers import Client, Server, Story, new_id, on_both_engines, served

SLOW = "[[tokens 4000]] [[pace 20ms]]"


@pytest.mark.req("R6", "R7", "FR-003", "AC-003", "U8", "C-S2")
@on_both_engines
async def test_thirty_sends_of_one_id_are_one_message_and_one_reply_for_good(
    tmp_path: Path, database_url: str | None
):
    with served(tmp_path, database_url=database_url) as server:
        async with server.client() as client:
            conversation, other = await client.open(), await client.open()
            name = new_id()
            answers = await asyncio.gather(
                *(client.send(conversation, "[[say Once.]]", id=name) for _ in range(30))
            )
            assert sorted(answer.status for answer in answers) == [200] * 29 + [201]
            assert len({answer["message"]["seq"] for answer in answers}) == 1
            assert len({answer["reply"]["id"] for answer in answers}) == 1
            await client.ended(answers[0].json)
            tree = await client.tree(conversation)
            assert [message["content"] for message in tree] == ["[[say Once.]]", "Once."]

            anew, onward = new_id(), new_id()
            paths = [f"/api/messages/{tree[1]['id']}/{verb}" for verb in ("regenerate", "continue")]
            regenerated = await client.post(paths[0], {"id": anew})
            await client.ended(regenerated.json)
            continued = await client.post(paths[1], {"id": onward})
            await client.ended(continued.json)
            tree = await client.tree(conversation)
            assert len(tree) == 3

            server.restart()
            for path, key in zip(paths, (anew, onward), strict=True):
                assert (await client.post(path, {"id": key})).status == 200
            again = await client.send(conversation, "[[say Once.]]", id=name)
            assert again.status == 200
            assert again["message"] == tree[0]
            assert again["reply"] == tree[1]
            assert (again["generation_id"], again["branched"]) == (tree[1]["generation_id"], False)
            for place, content in ((conversation, "[[say Twice.]]"), (other, "[[say Once.]]")):
                refused = await client.send(place, content, id=name)
                assert refused.problem == (422, "id_reused")
                assert refused["retryable"] is False
            upper = await client.send(conversation, "[[say Once.]]", id=name.upper())
            assert upper.status == 200, "an id is a number, however it is written"
            assert await client.tree(conversation) == tree
            assert await client.tree(other) == []


@pytest.mark.req("R6", "R11", "C-S6", "C-S2", "U8", "U10")
@on_both_engines
async def test_regenerating_with_one_id_makes_one_reply(either_server: Server):
    async with either_server.client() as client:
        conversation = await client.open()
        sent = await client.say(conversation, "[[tokens 12]]")
        first = await client.ended(sent)
        name = new_id()
        path = f"/api/messages/{first['id']}/regenerate"
        answers = await asyncio.gather(*(client.post(path, {"id": name}) for _ in range(10)))
        assert sorted(answer.status for answer in answers) == [200] * 9 + [201]
        assert {answer["reply"]["id"] for answer in answers} == {name}
        assert all(answer["branched"] for answer in answers)
        await client.ended(answers[0].json)
        again = await client.post(path, {"id": name})
        assert again.status == 200
        second = await client.message(conversation, name)
        assert again["reply"] == second
        assert second["parent_id"] == first["parent_id"] == sent["message"]["id"]
        shown = (await client.path(conversation))[-1]
        assert shown["sibling_ids"] == [first["id"], name]
        assert len(await client.tree(conversation)) == 3
        elsewhere = await client.say(conversation, "[[say Two.]]")
        await client.ended(elsewhere)
        refused = await client.post(
            f"/api/messages/{elsewhere['reply']['id']}/regenerate", {"id": name}
        )
        assert refused.problem == (422, "id_reused")


@pytest.mark.req("R6", "R11", "R12", "U3", "U8")
@on_both_engines
async def test_continuing_with_one_id_goes_on_once(either_server: Server):
    async with either_server.client() as client:
        conversation = await client.open()
        sent = await client.say(conversation, "[[tokens 40]] [[cut after 10 once]]")
        broken = await client.ended(sent)
        assert (broken["status"], broken["error"]["code"]) == ("failed", "provider_stream_cut")
        assert broken["content"]
        name = new_id()
        path = f"/api/messages/{broken['id']}/continue"
        answers = await asyncio.gather(*(client.post(path, {"id": name}) for _ in range(10)))
        assert sorted(answer.status for answer in answers) == [200] * 9 + [201]
        assert {answer["generation_id"] for answer in answers} == {name}
        whole = await client.ended(next(answer for answer in answers if answer.status == 201).json)
        assert whole["status"] == "complete"
        assert whole["error"] is None
        assert whole["content"].startswith(broken["content"])
        again = await client.post(path, {"id": name})
        assert (again.status, again["reply"]) == (200, whole)
        other = await client.ended(await client.say(conversation, "[[say Two.]]"))
        refused = await client.post(f"/api/messages/{other['id']}/continue", {"id": name})
        assert refused.problem == (422, "id_reused")
        assert len(await client.tree(conversation)) == 4


@pytest.mark.req("R9", "C-S6", "C-S11", "FR-003", "U6", "U9", "U10")
@on_both_engines
async def test_two_who_answer_the_same_message_get_a_branch_each(either_server: Server):
    async with either_server.client() as one, either_server.client() as two:
        conversation = await one.open()
        root = (await one.say(conversation, "Where are we?", reply=False))["message"]["id"]
        answers = await asyncio.gather(
            one.send(conversation, "At the mill.", parent_id=root, reply=False),
            two.send(conversation, "At the ford.", parent_id=root, reply=False),
        )
        assert [answer.status for answer in answers] == [201, 201]
        by_seq = sorted(answers, key=lambda answer: answer["message"]["seq"])
        assert [answer["branched"] for answer in by_seq] == [False, True]
        names = [answer["message"]["id"] for answer in by_seq]
        for client in (one, two):
            tree = await client.tree(conversation)
            assert [message["id"] for message in tree] == [root, *names]
            assert (await client.path(conversation))[-1]["sibling_ids"] == names
        # An outdated leaf is accepted, and the answer says that it branched.
        await one.say(conversation, "On.", parent_id=names[1], reply=False)
        late = await two.say(conversation, "No, the inn.", parent_id=root, reply=False)
        assert late["branched"] is True
        new_root = await two.say(conversation, "Elsewhere.", parent_id=None, reply=False)
        assert (new_root["message"]["parent_id"], new_root["branched"]) == (None, True)
        switched = await one.ask(
            "PATCH", f"/api/conversations/{conversation}", {"leaf_id": names[1]}
        )
        assert switched.status == 200
        assert [m["content"] for m in await two.path(conversation)][-1] == "On."


@pytest.mark.req("R9", "U23")
async def test_a_parent_that_is_not_in_the_conversation_is_refused(shared_server: Server):
    async with shared_server.client() as client:
        conversation, other = await client.open(), await client.open()
        elsewhere = (await client.say(other, "There.", reply=False))["message"]["id"]
        for parent in (new_id(), elsewhere):
            refused = await client.send(conversation, "Here.", parent_id=parent)
            assert refused.problem == (422, "unknown_parent")
        assert await client.tree(conversation) == []


@pytest.mark.req("R11", "FR-003", "AC-003", "C-S2", "U8")
async def test_what_is_sent_while_the_ai_speaks_is_kept_and_told_who_speaks(shared_server: Server):
    async with shared_server.client() as client:
        conversation = await client.open()
        sent = await client.say(conversation, SLOW)
        running = sent["generation_id"]
        typed = await client.say(conversation, "Wait, the door!")
        assert (typed["reply"], typed["generation_id"]) == (None, running)
        repeated = await client.send(conversation, "Wait, the door!", id=typed["message"]["id"])
        assert repeated.status == 200
        assert (repeated["reply"], repeated["generation_id"]) == (None, running)
        for verb, target in (
            ("regenerate", typed["message"]["id"]),
            ("regenerate", sent["reply"]["id"]),
            ("continue", sent["reply"]["id"]),
        ):
            refused = await client.post(f"/api/messages/{target}/{verb}", {"id": new_id()})
            assert refused.problem == (409, "generation_running")
            assert refused["generation_id"] == running
        # With no word of its own the reply would not stand between the two in what the model is told.
        await _until_words(client, conversation, sent["reply"]["id"])
        stopped = await _stopped(client, running)
        assert (stopped["id"], stopped["status"]) == (sent["reply"]["id"], "stopped")
        answered = await client.post(
            f"/api/messages/{typed['message']['id']}/regenerate", {"id": new_id()}
        )
        assert answered.status == 201
        assert (await client.ended(answered.json))["parent_id"] == typed["message"]["id"]


@pytest.mark.req("R11", "U3", "US-001")
async def test_stopping_keeps_what_was_said_and_stopping_again_changes_nothing(
    shared_server: Server,
):
    async with shared_server.client() as client:
        conversation = await client.open()
        sent = await client.say(conversation, "[[tokens 4000]] [[pace 2ms]]")
        await _until_words(client, conversation, sent["reply"]["id"])
        both = await asyncio.gather(*(_stopped(client, sent["generation_id"]) for _ in range(2)))
        assert both[0] == both[1]
        assert both[0]["status"] == "stopped"
        assert len(both[0]["content"]) > 50
        assert await _stopped(client, sent["generation_id"]) == both[0]
        assert await client.message(conversation, sent["reply"]["id"]) == both[0]
        onward = await client.ended(await client.say(conversation, "[[say On.]]"))
        assert onward["content"] == "On."


async def _stopped(client: Client, generation_id: str) -> dict[str, Any]:
    answer = await client.post(f"/api/generations/{generation_id}/stop")
    assert answer.status == 200, answer.body
    return answer.json


async def _until_words(client: Client, conversation: str, reply: str) -> None:
    story = Story()
    async with client.following(conversation, "0.-.0") as stream:
        assert await stream.tell(story, lambda: story.length(reply) > 50)
