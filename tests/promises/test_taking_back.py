"""Putting away and taking back over the wire: the statuses, the lists and what followers hear (U12)."""

from typing import Any

import pytest

from servers import Client, Server, Story, follow_path, new_id


async def _opened(client: Client) -> tuple[str, dict[str, Any]]:
    """A conversation with one reply in it, and what its send was answered."""
    conversation = await client.open(title="The ledger")
    sent = await client.say(conversation, "[[say It is under the wheel.]]")
    await client.ended(sent)
    return conversation, sent


async def _in(client: Client, state: str) -> list[str]:
    found: list[str] = []
    cursor = ""
    while True:
        page = await client.get(f"/api/conversations?state={state}&limit=50{cursor}")
        found += [each["id"] for each in page["items"]]
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"


@pytest.mark.req("U12", "US-003")
async def test_a_conversation_goes_through_the_archive_and_the_trash_and_back(
    shared_server: Server,
):
    async with shared_server.client() as client:
        conversation, _ = await _opened(client)
        at = f"/api/conversations/{conversation}"
        archived = await client.ask("PATCH", at, {"archived": True, "pinned": True})
        assert (archived.status, archived.json["pinned"]) == (200, True)
        assert archived.json["archived_at"] is not None
        assert conversation in await _in(client, "archived")
        refused = await client.ask("DELETE", f"{at}?for_good=true")
        assert refused.problem == (409, "not_in_trash")
        deleted = await client.ask("DELETE", at)
        assert deleted.status == 200
        assert deleted.json["deleted_at"] is not None
        assert conversation in await _in(client, "trash")
        assert conversation not in await _in(client, "archived")
        restored = await client.ask("POST", f"{at}/restore", {})
        assert (restored.json["deleted_at"], restored.json["archived_at"]) == (None, None)
        assert (await _in(client, "active"))[0] == conversation
        assert restored.json["message_count"] == 2
        for body in ({"archived": None}, {"pinned": "yes"}):
            assert (await client.ask("PATCH", at, body)).status == 422
        assert (await client.ask("GET", "/api/conversations?state=gone")).status == 422


@pytest.mark.req("U12", "S3")
async def test_who_follows_hears_of_the_end_and_of_nothing_after_it(shared_server: Server):
    async with shared_server.client() as client:
        conversation, _ = await _opened(client)
        story = Story()
        async with client.listening(follow_path(conversation)) as stream:
            assert await stream.tell(story, lambda: bool(story.events))
            await client.ask("DELETE", f"/api/conversations/{conversation}")
            gone = await client.ask("DELETE", f"/api/conversations/{conversation}?for_good=true")
            assert (gone.status, gone.body) == (204, b"")
            assert await stream.tell(
                story, lambda: any(each.name == "conversation.gone" for each in story.events)
            )
        told = [each for each in story.events if conversation in str(each.data)]
        assert told[-1].name == "conversation.gone"
        assert told[-1].data == {"conversation_id": conversation}
        assert told[-2].data["conversation"]["deleted_at"] is not None
        for path in ("", "/messages", "/tree", "/events", "/bookmarks"):
            answer = await client.ask("GET", f"/api/conversations/{conversation}{path}")
            assert answer.problem == (404, "not_found")


@pytest.mark.req("U12", "FR-008")
async def test_clearing_ending_and_copying_twice_is_once(shared_server: Server):
    async with shared_server.client() as client:
        conversation, sent = await _opened(client)
        for what, key in (("copy", None), ("clear", "cleared"), ("end", "ended")):
            body = {"id": new_id()}
            path = f"/api/conversations/{conversation}/{what}"
            answers = [await client.ask("POST", path, body) for _ in range(2)]
            assert [each.status for each in answers] == [201, 200], what
            made = [each.json if key is None else each.json["conversation"] for each in answers]
            assert [each["id"] for each in made] == [body["id"]] * 2
            if key == "cleared":
                assert answers[0].json[key]["deleted_at"] is not None
                assert made[0]["title"] == "The ledger"
                path = f"/api/conversations/{conversation}/restore"
                back = await client.ask("POST", path, {"replaces": body["id"]})
                assert back.json["deleted_at"] is None
        branch = await client.ask(
            "POST",
            f"/api/conversations/{conversation}/copy",
            {"id": new_id(), "leaf_id": sent["message"]["id"]},
        )
        assert (branch.status, branch.json["message_count"]) == (201, 1)
        named = {"id": new_id(), "title": "Named"}
        answers = [await client.ask("POST", "/api/conversations", named) for _ in range(2)]
        assert [each.status for each in answers] == [201, 200]
        other = await client.ask("POST", "/api/conversations", {**named, "title": "Other"})
        assert other.problem == (422, "id_reused")


@pytest.mark.req("U12", "U11")
async def test_a_message_is_bookmarked_taken_back_and_restored(shared_server: Server):
    async with shared_server.client() as client:
        conversation, sent = await _opened(client)
        message = sent["message"]["id"]
        marked = await client.ask("PATCH", f"/api/messages/{message}", {"bookmark": "Here"})
        assert (marked.status, marked.json["bookmark"]) == (200, "Here")
        too_long = await client.ask("PATCH", f"/api/messages/{message}", {"bookmark": "x" * 501})
        assert too_long.status == 422
        assert (await client.ask("PATCH", f"/api/messages/{message}", {})).status == 422
        listed = await client.get(f"/api/conversations/{conversation}/bookmarks")
        assert [each["id"] for each in listed["items"]] == [message]

        story = Story()
        async with client.listening(f"/api/conversations/{conversation}/events") as stream:
            assert await stream.tell(story, lambda: bool(story.events))
            deleted = await client.ask("DELETE", f"/api/messages/{message}")
            assert (deleted.status, deleted.json["leaf_id"]) == (200, None)
            back = await client.ask("POST", f"/api/messages/{message}/restore", {})
            assert (back.status, back.json["leaf_id"]) == (200, sent["reply"]["id"])
            assert await stream.tell(
                story,
                lambda: any(each.data.get("seq") == back.json["seq"] for each in story.events),
            )
        changes = [each for each in story.events if each.name == "message.changed"]
        assert [each.data["message"]["id"] for each in changes] == [message, message]
        assert [each.data["message"]["deleted_at"] is None for each in changes] == [False, True]
        last = [each for each in story.events if each.name == "conversation.changed"][-1]
        assert last.data["conversation"]["leaf_id"] == sent["reply"]["id"]
        page = await client.get(f"/api/conversations/{conversation}/messages?after={message}")
        assert [each["id"] for each in page["items"]] == [sent["reply"]["id"]]
        assert page["next"] is None


@pytest.mark.req("NFR-010")
async def test_storage_says_how_much_there_is_in_every_list(shared_server: Server):
    async with shared_server.client() as client:
        await _opened(client)
        first = await client.get("/api/storage")
        assert first["database_bytes"] > 0
        assert first["free_bytes"] > 0
        conversation, _ = await _opened(client)
        await client.ask("DELETE", f"/api/conversations/{conversation}")
        second = await client.get("/api/storage")
        assert second["active"] == first["active"]
        added = {key: second["trash"][key] - first["trash"][key] for key in first["trash"]}
        said = len("[[say It is under the wheel.]]It is under the wheel.")
        assert added == {"conversations": 1, "messages": 2, "characters": said}
        assert all(set(each) == {"code", "message"} for each in second["warnings"])
        assert 1 <= len(second["oldest"]) <= 10
        count = await client.ask("POST", "/api/conversations/archive", {"before": 0})
        assert (count.status, count.json) == (200, {"count": 0})
