"""Routes of conversations: open, list, change, read a path or the whole tree, send."""

from typing import Annotated

from fastapi import Query, Response

from talekeeper.api.bodies import Body, Cursor, Id, Limit, MessageText, Nothing, Seq, Text, Title
from talekeeper.api.resources import CurrentAccount, TheKeeper, resource
from talekeeper.conversations.opening import (
    change_conversation,
    current,
    list_conversations,
    open_conversation,
)
from talekeeper.conversations.reading import read_conversation, read_path, read_tree
from talekeeper.domain.changes import KEPT, Kept
from talekeeper.domain.conversations import (
    Conversation,
    ConversationPage,
    PathPage,
    Purpose,
    Role,
    Sent,
    TreePage,
)
from talekeeper.errors import InvalidInput
from talekeeper.ids import ConversationId, MessageId
from talekeeper.providers.catalogue import kind_named
from talekeeper.settings import ProviderName

router = resource("conversations")

PAGE = 50


class ConversationIn(Body):
    title: Title | None = None
    purpose: Purpose = "general"
    provider: ProviderName | None = None
    model: Text | None = None


class ConversationChange(Body):
    """What is left out stays; null gives the choice of a model back to the account."""

    title: Title | None = None
    provider: ProviderName | None = None
    model: Text | None = None
    leaf_id: Id | None = None


class MessageIn(Body):
    """`id` is a UUID made by the client: sending it again never makes a second message.

    Without `parent_id` the message goes under the active leaf; null makes a new root.
    """

    id: Id
    content: MessageText
    parent_id: Id | None = None
    reply: bool = True
    role: Role = "user"


@router.post("/conversations", status_code=201)
async def open_one(
    keeper: TheKeeper, account: CurrentAccount, body: ConversationIn
) -> Conversation:
    """A new, empty conversation."""
    return await open_conversation(
        keeper.store,
        owner_id=account.id,
        title=body.title,
        purpose=body.purpose,
        provider=_usable(body.provider),
        model=body.model,
    )


@router.get("/conversations")
async def show_list(
    keeper: TheKeeper,
    account: CurrentAccount,
    cursor: Annotated[Cursor | None, Query()] = None,
    limit: Annotated[Limit, Query()] = PAGE,
) -> ConversationPage:
    """The account's conversations, newest activity first."""
    return await list_conversations(keeper.store, owner_id=account.id, cursor=cursor, limit=limit)


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
    """Rename it, choose who answers in it, or switch to another branch."""
    given = body.model_fields_set
    if "title" in given and not body.title:
        raise InvalidInput("A title needs at least one character.")
    if "leaf_id" in given and body.leaf_id is None:
        raise InvalidInput("leaf_id must name a message of this conversation.")
    return await change_conversation(
        keeper.store,
        ConversationId(conversation_id),
        owner_id=account.id,
        title=body.title or KEPT,
        provider=_usable(body.provider) if "provider" in given else KEPT,
        model=body.model if "model" in given else KEPT,
        leaf_id=MessageId(body.leaf_id) if body.leaf_id else KEPT,
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
    limit: Annotated[Limit, Query()] = PAGE,
) -> PathPage:
    """The path that ends in the leaf, in order; `next` is the `before` of the older page."""
    return await read_path(
        keeper.store,
        ConversationId(conversation_id),
        owner_id=account.id,
        leaf_id=MessageId(leaf_id) if leaf_id else None,
        before=MessageId(before) if before else None,
        limit=limit,
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


def _usable(provider: str | None) -> str | None:
    kind = kind_named(provider) if provider else None
    if kind is not None and kind.unavailable is not None:
        raise InvalidInput(kind.unavailable)
    return provider
