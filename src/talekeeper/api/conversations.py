"""Routes of conversations: open, list, change, read a path or the whole tree, send."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Query, Response
from pydantic import Field

from talekeeper.api.bodies import (
    MAX_SEQ,
    Body,
    Cursor,
    Id,
    Limit,
    MessageText,
    ModelName,
    Nothing,
    Seq,
    Text,
    Title,
)
from talekeeper.api.resources import CurrentAccount, TheKeeper, resource
from talekeeper.clock import Millis
from talekeeper.conversations.archiving import archive_older
from talekeeper.conversations.clearing import clear_conversation
from talekeeper.conversations.copying import copy_conversation
from talekeeper.conversations.ending import end_conversation
from talekeeper.conversations.marking import list_bookmarks
from talekeeper.conversations.opening import (
    change_conversation,
    current,
    list_conversations,
    open_under,
)
from talekeeper.conversations.reading import read_conversation, read_path, read_tree
from talekeeper.conversations.trashing import (
    delete_conversation,
    delete_for_good,
    restore_conversation,
)
from talekeeper.domain.audiences import GAME_MASTER, MAX_CHARACTERS, AudienceKind, audience_of
from talekeeper.domain.changes import KEPT, Kept
from talekeeper.domain.conversations import (
    MAX_LONGEST_REQUEST,
    MAX_REPLY_TOKENS,
    MAX_SPEAKER,
    MAX_TEMPERATURE,
    MIN_LONGEST_REQUEST,
    Cleared,
    Conversation,
    ConversationPage,
    ConversationState,
    Ended,
    Manner,
    Message,
    Mode,
    PathPage,
    Purpose,
    Role,
    Sent,
    Speaker,
    TreePage,
)
from talekeeper.errors import InvalidInput
from talekeeper.ids import ConnectionId, ConversationId, MessageId, RecordId, fresh_id

router = resource("conversations")

PAGE = 50


class ConversationIn(Body):
    """`id` is a UUID made by the client: asking again with it never opens a second one."""

    id: Id | None = None
    title: Title | None = None
    purpose: Purpose = "general"
    connection_id: Id | None = None
    model: ModelName | None = None


class SamplingIn(Body):
    """How replies are made. What is left out stays; null leaves it to the provider, and the longest
    request to the connection's or the server's setting.
    """

    temperature: Annotated[float, Field(ge=0, le=MAX_TEMPERATURE)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=MAX_REPLY_TOKENS)] | None = None
    longest_request: (
        Annotated[int, Field(ge=MIN_LONGEST_REQUEST, le=MAX_LONGEST_REQUEST)] | None
    ) = None


class ConversationChange(Body):
    """What is left out stays; null gives the choice of a model back to the account, and all of
    `sampling` to the provider.
    """

    title: Title | None = None
    connection_id: Id | None = None
    model: ModelName | None = None
    sampling: SamplingIn | None = None
    leaf_id: Id | None = None
    archived: bool | None = None
    pinned: bool | None = None


class OlderThan(Body):
    """Milliseconds since 1970."""

    before: Annotated[int, Field(ge=0, le=MAX_SEQ)]


class NewId(Body):
    """The client's UUID for the conversation that is opened: asking again opens no second one."""

    id: Id


class CopyIn(NewId):
    """Without `leaf_id` the whole tree is copied."""

    leaf_id: Id | None = None


class Replacing(Body):
    """`replaces` goes to the trash, and gives its part and its pin."""

    replaces: Id | None = None


@dataclass(frozen=True, slots=True)
class Archived:
    count: int


@dataclass(frozen=True, slots=True)
class Bookmarks:
    items: tuple[Message, ...]


def _before(model: type[object], what: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"model": model, "description": what}}


class SpeakerIn(Body):
    """Who speaks: the name as it is now, and the id of the record, where there is one."""

    name: Annotated[Text, Field(min_length=1, max_length=MAX_SPEAKER)]
    id: Id | None = None


class AudienceIn(Body):
    """Who may see it. `character_ids` are named exactly where it is for some characters."""

    to: AudienceKind
    character_ids: list[Id] = Field(default_factory=list, max_length=MAX_CHARACTERS)


class MessageIn(Body):
    """`id` is a UUID made by the client: sending it again never makes a second message.

    Without `parent_id` the message goes under the active leaf; null makes a new root. Without
    `audience` it is for the game master alone.
    """

    id: Id
    content: MessageText
    parent_id: Id | None = None
    reply: bool = True
    role: Role = "user"
    speaker: SpeakerIn | None = None
    mode: Mode = "about"
    audience: AudienceIn | None = None

    def manner(self) -> Manner:
        speaker = self.speaker
        ids = [RecordId(each) for each in self.audience.character_ids] if self.audience else []
        return Manner(
            speaker=Speaker(speaker.name, RecordId(speaker.id) if speaker.id else None)
            if speaker
            else None,
            mode=self.mode,
            audience=audience_of(self.audience.to, ids) if self.audience else GAME_MASTER,
        )


@router.post(
    "/conversations/{conversation_id}/messages",
    status_code=201,
    responses={200: {"model": Sent, "description": "This message had been stored before."}},
)
async def send(
    keeper: TheKeeper,
    account: CurrentAccount,
    conversation_id: Id,
    response: Response,
    body: MessageIn,
) -> Sent:
    """Save what was said, and begin the reply. It is on disk when this is answered."""
    parent: MessageId | Kept | None = KEPT
    if "parent_id" in body.model_fields_set:
        parent = MessageId(body.parent_id) if body.parent_id else None
    outcome = await keeper.sender.send_message(
        ConversationId(conversation_id),
        MessageId(body.id),
        body.content,
        owner_id=account.id,
        parent_id=parent,
        wants_reply=body.reply,
        role=body.role,
        manner=body.manner(),
    )
    response.status_code = 200 if outcome.is_repeated else 201
    return outcome.sent


@router.get("/conversations/{conversation_id}/messages")
async def show_path(
    keeper: TheKeeper,
    account: CurrentAccount,
    conversation_id: Id,
    *,
    leaf_id: Annotated[Id | None, Query()] = None,
    before: Annotated[Id | None, Query()] = None,
    after: Annotated[Id | None, Query()] = None,
    limit: Annotated[Limit, Query()] = PAGE,
) -> PathPage:
    """The path that ends in the leaf, in order; `next` is the `before` of the older page.

    With `after` it comes from that message on, and `next` is the `after` of the younger page.
    """
    return await read_path(
        keeper.store,
        ConversationId(conversation_id),
        owner_id=account.id,
        leaf_id=MessageId(leaf_id) if leaf_id else None,
        before=MessageId(before) if before else None,
        after=MessageId(after) if after else None,
        limit=limit,
    )


@router.post(
    "/conversations",
    status_code=201,
    responses=_before(Conversation, "It had been opened before."),
)
async def open_one(
    keeper: TheKeeper, account: CurrentAccount, response: Response, body: ConversationIn
) -> Conversation:
    """A new, empty conversation."""
    outcome = await open_under(
        keeper.store,
        ConversationId(body.id or fresh_id()),
        owner_id=account.id,
        title=body.title,
        purpose=body.purpose,
        connection_id=ConnectionId(body.connection_id) if body.connection_id else None,
        model=body.model,
    )
    response.status_code = 200 if outcome.is_repeated else 201
    return outcome.conversation


@router.get("/conversations")
async def show_list(
    keeper: TheKeeper,
    account: CurrentAccount,
    state: Annotated[ConversationState, Query()] = "active",
    cursor: Annotated[Cursor | None, Query()] = None,
    limit: Annotated[Limit, Query()] = PAGE,
) -> ConversationPage:
    """One of the account's lists, newest activity first; among the active, pinned ones before."""
    return await list_conversations(
        keeper.store, owner_id=account.id, state=state, cursor=cursor, limit=limit
    )


@router.post("/conversations/current")
async def show_current(
    keeper: TheKeeper, account: CurrentAccount, response: Response, _body: Nothing | None = None
) -> Conversation:
    """The account's current conversation; 201 when there was none and it was opened."""
    conversation, is_opened = await current(keeper.store, owner_id=account.id)
    response.status_code = 201 if is_opened else 200
    return conversation


@router.get("/conversations/{conversation_id}")
async def show_one(keeper: TheKeeper, account: CurrentAccount, conversation_id: Id) -> Conversation:
    return await read_conversation(
        keeper.store, ConversationId(conversation_id), owner_id=account.id
    )


@router.patch("/conversations/{conversation_id}")
async def change_one(
    keeper: TheKeeper, account: CurrentAccount, conversation_id: Id, body: ConversationChange
) -> Conversation:
    """Rename it, choose who answers in it and how, archive or pin it, switch to another branch."""
    given = body.model_fields_set
    if "title" in given and not body.title:
        raise InvalidInput("A title needs at least one character.")
    if "leaf_id" in given and body.leaf_id is None:
        raise InvalidInput("leaf_id must name a message of this conversation.")
    for name in ("archived", "pinned"):
        if name in given and getattr(body, name) is None:
            raise InvalidInput(f"{name} must be true or false.")
    connection_id = ConnectionId(body.connection_id) if body.connection_id else None
    sampling = body.sampling or SamplingIn()
    wished = sampling.model_fields_set
    if "sampling" in given and body.sampling is None:
        wished = set(SamplingIn.model_fields)
    return await change_conversation(
        keeper.store,
        ConversationId(conversation_id),
        owner_id=account.id,
        title=body.title or KEPT,
        connection_id=connection_id if "connection_id" in given else KEPT,
        model=body.model if "model" in given else KEPT,
        temperature=sampling.temperature if "temperature" in wished else KEPT,
        top_p=sampling.top_p if "top_p" in wished else KEPT,
        max_tokens=sampling.max_tokens if "max_tokens" in wished else KEPT,
        longest_request=sampling.longest_request if "longest_request" in wished else KEPT,
        leaf_id=MessageId(body.leaf_id) if body.leaf_id else KEPT,
        archived=KEPT if body.archived is None else body.archived,
        pinned=KEPT if body.pinned is None else body.pinned,
    )


@router.post("/conversations/archive")
async def archive_old_ones(keeper: TheKeeper, account: CurrentAccount, body: OlderThan) -> Archived:
    """Archive all in which nothing happened since then, but for the pinned and the current one."""
    count = await archive_older(keeper.store, owner_id=account.id, before=Millis(body.before))
    return Archived(count)


@router.post(
    "/conversations/{conversation_id}/end",
    status_code=201,
    responses=_before(Ended, "It had been ended before."),
)
async def end_one(
    keeper: TheKeeper,
    account: CurrentAccount,
    conversation_id: Id,
    response: Response,
    body: NewId,
) -> Ended:
    """Archive it, and open a new current conversation. `id` names that one."""
    outcome = await end_conversation(
        keeper.store, ConversationId(conversation_id), ConversationId(body.id), owner_id=account.id
    )
    response.status_code = 200 if outcome.is_repeated else 201
    return outcome.ended


@router.post(
    "/conversations/{conversation_id}/clear",
    status_code=201,
    responses=_before(Cleared, "It had been cleared before."),
)
async def clear_one(
    keeper: TheKeeper,
    account: CurrentAccount,
    conversation_id: Id,
    response: Response,
    body: NewId,
) -> Cleared:
    """Put it in the trash, and an empty one in its place. `id` names that one."""
    outcome = await clear_conversation(
        keeper.store,
        keeper.generations,
        ConversationId(conversation_id),
        ConversationId(body.id),
        owner_id=account.id,
    )
    response.status_code = 200 if outcome.is_repeated else 201
    return outcome.cleared


@router.post(
    "/conversations/{conversation_id}/copy",
    status_code=201,
    responses=_before(Conversation, "It had been copied before."),
)
async def copy_one(
    keeper: TheKeeper,
    account: CurrentAccount,
    conversation_id: Id,
    response: Response,
    body: CopyIn,
) -> Conversation:
    """Copy the path to a message, or the whole tree, into a new conversation. `id` names it."""
    outcome = await copy_conversation(
        keeper.store,
        ConversationId(conversation_id),
        ConversationId(body.id),
        owner_id=account.id,
        leaf_id=MessageId(body.leaf_id) if body.leaf_id else None,
    )
    response.status_code = 200 if outcome.is_repeated else 201
    return outcome.conversation


@router.delete(
    "/conversations/{conversation_id}",
    responses={204: {"description": "It is gone for good."}},
    response_model=Conversation,
)
async def delete_one(
    keeper: TheKeeper,
    account: CurrentAccount,
    conversation_id: Id,
    for_good: Annotated[bool, Query()] = False,
) -> Conversation | Response:
    """Put it in the trash, or, with `for_good`, take it out of there and of everywhere."""
    if for_good:
        await delete_for_good(keeper.store, ConversationId(conversation_id), owner_id=account.id)
        return Response(status_code=204)
    return await delete_conversation(
        keeper.store, keeper.generations, ConversationId(conversation_id), owner_id=account.id
    )


@router.post("/conversations/{conversation_id}/restore")
async def restore_one(
    keeper: TheKeeper, account: CurrentAccount, conversation_id: Id, body: Replacing
) -> Conversation:
    """Take it out of the trash or the archive."""
    return await restore_conversation(
        keeper.store,
        keeper.generations,
        ConversationId(conversation_id),
        owner_id=account.id,
        replaces=ConversationId(body.replaces) if body.replaces else None,
    )


@router.get("/conversations/{conversation_id}/bookmarks")
async def show_bookmarks(
    keeper: TheKeeper, account: CurrentAccount, conversation_id: Id
) -> Bookmarks:
    """The messages that bear a bookmark, by `seq`."""
    return Bookmarks(
        await list_bookmarks(keeper.store, ConversationId(conversation_id), owner_id=account.id)
    )


@router.get("/conversations/{conversation_id}/tree")
async def show_tree(
    keeper: TheKeeper,
    account: CurrentAccount,
    conversation_id: Id,
    after: Annotated[Seq, Query()] = 0,
    limit: Annotated[Limit, Query()] = PAGE,
) -> TreePage:
    """Every message of every branch, by `seq`."""
    return await read_tree(
        keeper.store,
        ConversationId(conversation_id),
        owner_id=account.id,
        after=after,
        limit=limit,
    )
