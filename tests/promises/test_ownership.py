"""Another account's ids are always 404, on every route (R21, S3, NFR-012).

The walk goes over openapi.json: every route stands in `WALK`, with the requests that reach for
something by its id, or with the reason why it takes none. A route that is not there fails the test,
so nobody can add one and forget. What is another's is answered byte for byte like what is absent.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest

from servers import Client, Server, Story, follow_path, new_id


@dataclass(frozen=True)
class Belongings:
    """One account's ids, or ids that nobody ever gave to anything."""

    conversation: str
    message: str
    reply: str
    generation: str
    stream: str
    token: str
    account: str
    connection: str


@dataclass(frozen=True)
class Asked:
    """One request, and what it is answered where the id leads to nothing of the asker's."""

    method: str
    path: str
    body: Any = None
    problem: tuple[int, str] = (404, "not_found")
    last_event_id: str | None = None


Reaching = Callable[[Belongings, Belongings], list[Asked]]
"""From the ids that are reached for, and the asker's own, to requests."""


def _at(method: str, path: str, body: Any = None) -> Reaching:
    def made(theirs: Belongings, _own: Belongings) -> list[Asked]:
        filled = path.format(**vars(theirs))
        return [Asked(method, filled, body({}) if callable(body) else body)]

    return made


def _new(_: object) -> dict[str, str]:
    return {"id": new_id()}


def _send(theirs: Belongings, own: Belongings) -> list[Asked]:
    said = {"content": "Mine?", "reply": False}
    return [
        Asked(
            "POST", f"/api/conversations/{theirs.conversation}/messages", {**said, "id": new_id()}
        ),
        Asked(
            "POST",
            f"/api/conversations/{own.conversation}/messages",
            {**said, "id": new_id(), "parent_id": theirs.message},
            (422, "unknown_parent"),
        ),
    ]


def _change(theirs: Belongings, own: Belongings) -> list[Asked]:
    return [
        Asked("PATCH", f"/api/conversations/{theirs.conversation}", {"title": "Mine"}),
        Asked(
            "PATCH",
            f"/api/conversations/{own.conversation}",
            {"leaf_id": theirs.message},
            (422, "invalid_input"),
        ),
        Asked(
            "PATCH",
            f"/api/conversations/{own.conversation}",
            {"connection_id": theirs.connection},
            (422, "invalid_input"),
        ),
    ]


def _path(theirs: Belongings, own: Belongings) -> list[Asked]:
    mine = f"/api/conversations/{own.conversation}/messages"
    return [
        Asked("GET", f"/api/conversations/{theirs.conversation}/messages"),
        Asked("GET", f"{mine}?leaf_id={theirs.message}"),
        Asked("GET", f"{mine}?before={theirs.reply}"),
        Asked("GET", f"{mine}?after={theirs.message}"),
        Asked("GET", f"{mine}?after={own.message}&leaf_id={theirs.reply}"),
        Asked("GET", f"/api/conversations/{theirs.conversation}/messages?leaf_id={own.message}"),
    ]


def _events(theirs: Belongings, _own: Belongings) -> list[Asked]:
    path = f"/api/conversations/{theirs.conversation}/events"
    place = f"1.{theirs.generation}.0"
    return [Asked("GET", path), Asked("GET", path, last_event_id=place)]


def _replacing(theirs: Belongings, own: Belongings) -> list[Asked]:
    return [
        Asked("POST", f"/api/conversations/{theirs.conversation}/restore", {}),
        Asked(
            "POST",
            f"/api/conversations/{own.conversation}/restore",
            {"replaces": theirs.conversation},
        ),
    ]


def _copy(theirs: Belongings, own: Belongings) -> list[Asked]:
    return [
        Asked("POST", f"/api/conversations/{theirs.conversation}/copy", {"id": new_id()}),
        Asked(
            "POST",
            f"/api/conversations/{own.conversation}/copy",
            {"id": new_id(), "leaf_id": theirs.reply},
        ),
    ]


def _both(method: str, path: str, body: Any = None) -> Reaching:
    def made(theirs: Belongings, _own: Belongings) -> list[Asked]:
        return [Asked(method, path.format(each), body) for each in (theirs.message, theirs.reply)]

    return made


WALK: dict[tuple[str, str], Reaching | str] = {
    ("GET", "/api/conversations/{conversation_id}"): _at(
        "GET", "/api/conversations/{conversation}"
    ),
    ("PATCH", "/api/conversations/{conversation_id}"): _change,
    ("POST", "/api/conversations/{conversation_id}/messages"): _send,
    ("GET", "/api/conversations/{conversation_id}/messages"): _path,
    ("GET", "/api/conversations/{conversation_id}/tree"): _at(
        "GET", "/api/conversations/{conversation}/tree"
    ),
    ("GET", "/api/conversations/{conversation_id}/events"): _events,
    ("GET", "/api/events"): "what is not the asker's is told as gone, below",
    ("PATCH", "/api/events/{stream_id}"): lambda theirs, _: [
        Asked("PATCH", f"/api/events/{theirs.stream}", {"follow": [theirs.conversation]}),
        Asked("PATCH", f"/api/events/{theirs.stream}", {"unfollow": [theirs.conversation]}),
    ],
    ("DELETE", "/api/conversations/{conversation_id}"): lambda theirs, _: [
        Asked("DELETE", f"/api/conversations/{theirs.conversation}{query}")
        for query in ("", "?for_good=true")
    ],
    ("POST", "/api/conversations/{conversation_id}/end"): _at(
        "POST", "/api/conversations/{conversation}/end", _new
    ),
    ("POST", "/api/conversations/{conversation_id}/clear"): _at(
        "POST", "/api/conversations/{conversation}/clear", _new
    ),
    ("POST", "/api/conversations/{conversation_id}/copy"): _copy,
    ("POST", "/api/conversations/{conversation_id}/restore"): _replacing,
    ("GET", "/api/conversations/{conversation_id}/bookmarks"): _at(
        "GET", "/api/conversations/{conversation}/bookmarks"
    ),
    ("POST", "/api/conversations/archive"): "archives the asker's own",
    ("GET", "/api/storage"): "counts the asker's own",
    ("PATCH", "/api/messages/{message_id}"): _both(
        "PATCH", "/api/messages/{}", {"bookmark": "Mine"}
    ),
    ("DELETE", "/api/messages/{message_id}"): _both("DELETE", "/api/messages/{}"),
    ("POST", "/api/messages/{message_id}/restore"): _both("POST", "/api/messages/{}/restore", {}),
    ("POST", "/api/messages/{message_id}/regenerate"): lambda theirs, _: [
        Asked("POST", f"/api/messages/{each}/regenerate", _new({}))
        for each in (theirs.message, theirs.reply)
    ],
    ("POST", "/api/messages/{message_id}/continue"): _at(
        "POST", "/api/messages/{reply}/continue", _new
    ),
    ("GET", "/api/generations/{generation_id}"): _at("GET", "/api/generations/{generation}"),
    ("POST", "/api/generations/{generation_id}/stop"): _at(
        "POST", "/api/generations/{generation}/stop", {}
    ),
    ("GET", "/api/search"): lambda theirs, own: [
        Asked("GET", f"/api/search?q=wheel&conversation_id={theirs.conversation}"),
        Asked(
            "GET",
            f"/api/search?q=wheel&cursor={theirs.message}",
            problem=(422, "invalid_input"),
        ),
    ],
    ("GET", "/api/search/index"): "the owner's alone, and counts only",
    ("POST", "/api/search/index"): "the owner's alone, and changes nothing that was said",
    ("GET", "/api/me"): "tells of the asker alone",
    ("POST", "/api/logout"): "ends the asker's own session",
    ("GET", "/api/accounts"): "the owner's alone; tests/api/test_login.py",
    ("POST", "/api/accounts"): "the owner's alone; tests/api/test_login.py",
    ("POST", "/api/login-links"): "the owner's alone; tests/api/test_login.py",
    ("GET", "/api/tokens"): "lists the asker's own",
    ("DELETE", "/api/tokens/{token_id}"): _at("DELETE", "/api/tokens/{token}"),
    ("GET", "/api/accounts/{account_id}/tokens"): lambda theirs, _: [
        Asked("GET", f"/api/accounts/{theirs.account}/tokens", problem=(403, "forbidden"))
    ],
    ("DELETE", "/api/accounts/{account_id}/tokens/{token_id}"): lambda theirs, own: [
        Asked("DELETE", f"/api/accounts/{each}/tokens/{theirs.token}", problem=(403, "forbidden"))
        for each in (theirs.account, own.account)
    ],
    ("POST", "/api/conversations"): lambda theirs, _: [
        Asked(
            "POST",
            "/api/conversations",
            {"connection_id": theirs.connection},
            (422, "invalid_input"),
        )
    ],
    ("GET", "/api/conversations"): "lists the asker's own; its cursor is tried below",
    ("POST", "/api/conversations/current"): "takes no id",
    ("GET", "/api/messages/{message_id}/reasoning/{position}"): _at(
        "GET", "/api/messages/{message}/reasoning/0"
    ),
    ("GET", "/api/models"): "the owner's alone, and of no account",
    ("POST", "/api/models"): "the owner's alone, and of no account",
    ("POST", "/api/models/{name}/stop"): "the owner's alone, and of no account",
    ("DELETE", "/api/models/{name}"): "the owner's alone, and of no account",
    ("GET", "/api/connections"): "lists the asker's own and the server's",
    ("POST", "/api/connections"): "an id is the asker's to take, whatever others have under it",
    ("GET", "/api/connections/presets"): "the same for every account",
    ("GET", "/api/connections/found"): "the owner's alone, and of no account",
    ("PUT", "/api/connections/chosen"): lambda theirs, _: [
        Asked("PUT", "/api/connections/chosen", {"connection_id": theirs.connection})
    ],
    ("PATCH", "/api/connections/{connection_id}"): _at(
        "PATCH", "/api/connections/{connection}", {"name": "Mine"}
    ),
    ("DELETE", "/api/connections/{connection_id}"): _at("DELETE", "/api/connections/{connection}"),
    ("POST", "/api/connections/{connection_id}/test"): _at(
        "POST", "/api/connections/{connection}/test", {}
    ),
    ("GET", "/api/connections/{connection_id}/models"): _at(
        "GET", "/api/connections/{connection}/models"
    ),
    ("GET", "/api/health"): "how the server is, the same for everybody",
    ("GET", "/metrics"): "the owner's alone, and of nobody's tales",
    ("GET", "/healthz"): "open to everybody",
    ("GET", "/readyz"): "open to everybody",
}
OPEN = {("GET", "/healthz"), ("GET", "/readyz")}
ABSENT = Belongings(*(new_id() for _ in range(8)))


async def _owning(client: Client) -> Belongings:
    """A conversation with a reply in it, and what lets the client in. No stream is open."""
    conversation = await client.open(title="The ledger of the mill")
    sent = await client.say(conversation, "[[say It is under the wheel.]]")
    await client.ended(sent)
    account = (await client.get("/api/me"))["id"]
    # The owner of a server that is used by many tests may have no token left: a link is one.
    await client.ask("POST", "/api/login-links", {})
    # The same one each time: an account may have only so many.
    connection = {"id": str(uuid5(NAMESPACE_URL, account)), "kind": "anthropic"}
    return Belongings(
        conversation,
        sent["message"]["id"],
        sent["reply"]["id"],
        sent["generation_id"],
        stream=new_id(),
        token=(await client.get("/api/tokens"))["items"][-1]["id"],
        account=account,
        connection=(await client.post("/api/connections", connection))["id"],
    )


async def _state(client: Client, own: Belongings) -> list[Any]:
    """All that a stranger's request could have changed."""
    conversation = await client.conversation(own.conversation)
    tokens = (await client.get("/api/tokens")).json
    connections = (await client.get("/api/connections")).json
    return [conversation, await client.tree(own.conversation), tokens, connections]


async def _routes(client: Client) -> list[tuple[str, str, dict[str, Any]]]:
    document = (await client.get("/openapi.json")).json
    return [
        (method.upper(), path, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]


@pytest.fixture(scope="session")
def token(shared_server: Server) -> str:
    """Of a second account, added while the server runs."""
    return shared_server.add_account("Bea")


def _shape(answer: Any) -> dict[str, Any]:
    """A refusal without what tells one from the next."""
    return {name: value for name, value in answer.json.items() if name != "reference"}


@pytest.mark.req("R21", "S3", "NFR-012")
async def test_every_route_stands_in_the_walk(shared_server: Server):
    async with shared_server.client() as client:
        routes = {(method, path) for method, path, _ in await _routes(client)}
    assert routes - WALK.keys() == set(), "add them to WALK: which ids do they take?"
    assert WALK.keys() - routes == set(), "there is no such route any more"
    unread = {
        (method, path)
        for (method, path), reaching in WALK.items()
        if isinstance(reaching, str) and "_id}" in path
    }
    assert unread == set(), "a route with an id in its path must be tried"


@pytest.mark.req("R21", "S3", "NFR-012")
@pytest.mark.parametrize(
    "route", [route for route, reaching in WALK.items() if not isinstance(reaching, str)], ids=str
)
async def test_what_is_anothers_looks_like_what_is_not_there(
    shared_server: Server, token: str, route: tuple[str, str]
):
    reaching = WALK[route]
    assert not isinstance(reaching, str)
    async with (
        shared_server.client() as ada,
        shared_server.client(token) as bea,
        ada.listening("/api/events") as stream,
    ):
        ready = (await stream.some() or [])[0]
        hers = replace(await _owning(ada), stream=ready.data["stream_id"])
        own = await _owning(bea)
        before = await _state(ada, hers)
        own_before = await bea.tree(own.conversation)
        for foreign, absent in zip(reaching(hers, own), reaching(ABSENT, own), strict=True):
            answers = [await _answered(bea, asked) for asked in (foreign, absent)]
            assert [answer.problem for answer in answers] == [foreign.problem] * 2, foreign
            assert _shape(answers[0]) == _shape(answers[1])
            assert answers[0].headers.keys() == answers[1].headers.keys()
            assert "wheel" not in answers[0].body.decode()
        assert await _state(ada, hers) == before
        assert await bea.tree(own.conversation) == own_before


@pytest.mark.req("R21", "S3")
async def test_nobody_is_told_anything_without_a_login(shared_server: Server, token: str):
    async with shared_server.client() as ada, shared_server.client(None) as nobody:
        hers = await _owning(ada)
        for method, path, _ in await _routes(ada):
            if (method, path) in OPEN:
                assert (await nobody.ask(method, path)).status == 200
                continue
            reaching = WALK[method, path]
            asking = (
                [Asked(method, path, {})]
                if isinstance(reaching, str)
                else reaching(hers, hers) + reaching(ABSENT, ABSENT)
            )
            for stranger in (nobody, Client(shared_server, nobody.session, f"{token[:-1]}x")):
                for asked in asking:
                    answer = await _answered(stranger, asked)
                    assert answer.problem == (401, "unauthenticated"), asked
                    assert "wheel" not in answer.body.decode()


@pytest.mark.req("R21", "S3", "NFR-012")
async def test_lists_and_streams_tell_of_nobody_else(shared_server: Server, token: str):
    async with shared_server.client() as ada, shared_server.client(token) as bea:
        hers, own = await _owning(ada), await _owning(bea)
        listed = await bea.get("/api/conversations?limit=200")
        names = {item["id"] for item in listed["items"]}
        assert own.conversation in names
        assert hers.conversation not in names
        hers_listed = await ada.get("/api/conversations?limit=200")
        assert hers.conversation in {item["id"] for item in hers_listed["items"]}
        her_page = await ada.get("/api/conversations?limit=1")
        if her_page["next"] is not None:
            page = await bea.get(f"/api/conversations?limit=200&cursor={her_page['next']}")
            assert {item["id"] for item in page["items"]} <= names
        current = [(await client.post("/api/conversations/current"))["id"] for client in (ada, bea)]
        assert current[0] != current[1]

        story = Story()
        async with bea.listening("/api/events") as stream:
            assert await stream.tell(story, lambda: bool(story.events))
            await ada.ended(await ada.say(hers.conversation, "[[say A secret.]]"))
            await ada.open(title="A secret title")
            await bea.ask("PATCH", f"/api/conversations/{own.conversation}", {"title": "Bea's"})
            assert await stream.tell(
                story, lambda: any(event.name == "conversation.changed" for event in story.events)
            )
        told = json.dumps([event.data for event in story.events])
        assert "secret" not in told
        assert hers.conversation not in told


@pytest.mark.req("R21", "S3", "NFR-012")
async def test_following_what_is_anothers_tells_that_it_is_gone_and_nothing_more(
    shared_server: Server, token: str
):
    async with shared_server.client() as ada, shared_server.client(token) as bea:
        hers, own = await _owning(ada), await _owning(bea)
        absent = new_id()
        story = Story()
        followed = (own.conversation, hers.conversation, absent)
        async with bea.listening(follow_path(*followed)) as stream:
            assert await stream.tell(
                story, lambda: sum(each.name == "conversation.gone" for each in story.events) >= 2
            )
            await ada.ended(await ada.say(hers.conversation, "[[say A secret.]]"))
            await bea.ended(await bea.say(own.conversation, "[[say Mine.]]"))
            await ada.ask("DELETE", f"/api/conversations/{hers.conversation}")
            await ada.ask("DELETE", f"/api/conversations/{hers.conversation}?for_good=true")
            await bea.ask("PATCH", f"/api/conversations/{own.conversation}", {"title": "Bea's"})
            assert await stream.tell(
                story,
                lambda: any(
                    each.name == "conversation.changed"
                    and each.data["conversation"]["title"] == "Bea's"
                    for each in story.events
                ),
            )
        gone = [each.data for each in story.events if each.name == "conversation.gone"]
        assert gone == [{"conversation_id": hers.conversation}, {"conversation_id": absent}]
        assert story.faults == []
        assert "secret" not in json.dumps([each.data for each in story.events])
        told = [each for each in story.events if hers.conversation in json.dumps(each.data)]
        assert [each.name for each in told] == ["conversation.gone"]


@pytest.mark.req("R21", "S3", "R6")
async def test_an_id_that_another_used_gives_nothing_of_it_away(shared_server: Server, token: str):
    async with shared_server.client() as ada, shared_server.client(token) as bea:
        hers, own = await _owning(ada), await _owning(bea)
        for asking in (
            bea.send(own.conversation, "[[say It is under the wheel.]]", id=hers.message),
            bea.send(own.conversation, "It is under the wheel.", id=hers.reply),
            bea.post(f"/api/messages/{own.reply}/regenerate", {"id": hers.reply}),
            bea.post(f"/api/messages/{own.reply}/continue", {"id": hers.generation}),
            bea.post("/api/conversations", {"id": hers.conversation}),
            *(
                bea.post(f"/api/conversations/{own.conversation}/{what}", {"id": hers.conversation})
                for what in ("end", "clear", "copy")
            ),
        ):
            answer = await asking
            assert answer.problem == (422, "id_reused")
            assert "wheel" not in answer.body.decode()
            assert hers.conversation not in answer.body.decode()


async def _answered(client: Client, asked: Asked) -> Any:
    headers = {} if asked.last_event_id is None else {"Last-Event-ID": asked.last_event_id}
    return await client.ask(asked.method, asked.path, asked.body, headers=headers, seconds=10)
