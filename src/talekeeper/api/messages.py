"""Routes of messages: another reply, or more of the same; marks; reasoning; taking one back."""

from typing import Annotated

from fastapi import Query, Response
from pydantic import Field

from talekeeper.api.bodies import Body, Id, Nothing, Seq, Text
from talekeeper.api.resources import CurrentAccount, TheKeeper, resource
from talekeeper.conversations.branching import delete_message, restore_message
from talekeeper.conversations.marking import mark_message
from talekeeper.conversations.reasoning import read_reasoning
from talekeeper.domain.changes import KEPT
from talekeeper.domain.conversations import MAX_BOOKMARK, Conversation, Message, Sent
from talekeeper.domain.parts import Thoughts
from talekeeper.errors import InvalidInput
from talekeeper.ids import GenerationId, MessageId

router = resource("messages")


class IdIn(Body):
    """The client's UUID for what is made: asking again with it makes nothing twice."""

    id: Id


class MessageChange(Body):
    """What is left out stays. An empty `bookmark` is a mark without a note; null takes it away.
    With `hidden_from_ai` the message is shown, and no model is sent it.
    """

    bookmark: Annotated[Text, Field(max_length=MAX_BOOKMARK)] | None = None
    hidden_from_ai: bool | None = None


@router.patch("/messages/{message_id}")
async def change_one(
    keeper: TheKeeper, account: CurrentAccount, message_id: Id, body: MessageChange
) -> Message:
    """Bookmark it, or leave it out of what models are told."""
    given = body.model_fields_set
    if not given:
        raise InvalidInput("Name what is to be changed: bookmark or hidden_from_ai.")
    if "hidden_from_ai" in given and body.hidden_from_ai is None:
        raise InvalidInput("hidden_from_ai must be true or false.")
    return await mark_message(
        keeper.store,
        MessageId(message_id),
        owner_id=account.id,
        bookmark=body.bookmark if "bookmark" in given else KEPT,
        hidden_from_ai=KEPT if body.hidden_from_ai is None else body.hidden_from_ai,
    )


@router.get("/messages/{message_id}/reasoning/{position}")
async def show_reasoning(
    keeper: TheKeeper,
    account: CurrentAccount,
    message_id: Id,
    position: Seq,
    after: Annotated[Seq, Query()] = 0,
) -> Thoughts:
    """What the model thought: the text of the reasoning at that place among the message's parts."""
    return await read_reasoning(
        keeper.store, MessageId(message_id), position, owner_id=account.id, after=after
    )


@router.delete("/messages/{message_id}")
async def delete_one(keeper: TheKeeper, account: CurrentAccount, message_id: Id) -> Conversation:
    """Take it back, with all that stands under it. The active leaf is one that remains."""
    return await delete_message(keeper.store, MessageId(message_id), owner_id=account.id)


@router.post("/messages/{message_id}/restore")
async def restore_one(
    keeper: TheKeeper, account: CurrentAccount, message_id: Id, _body: Nothing | None = None
) -> Conversation:
    """It is there again, and what hid it, too. The active leaf is under it."""
    return await restore_message(keeper.store, MessageId(message_id), owner_id=account.id)


@router.post(
    "/messages/{message_id}/regenerate",
    status_code=201,
    responses={200: {"model": Sent, "description": "It had been asked before."}},
)
async def regenerate(
    keeper: TheKeeper, account: CurrentAccount, message_id: Id, response: Response, body: IdIn
) -> Sent:
    """A new reply beside this one, or to this message of the user's. `id` names the reply."""
    outcome = await keeper.sender.regenerate(
        MessageId(message_id), MessageId(body.id), owner_id=account.id
    )
    response.status_code = 200 if outcome.is_repeated else 201
    return outcome.sent


@router.post(
    "/messages/{message_id}/continue",
    status_code=201,
    responses={200: {"model": Sent, "description": "It had been asked before."}},
)
async def continue_one(
    keeper: TheKeeper, account: CurrentAccount, message_id: Id, response: Response, body: IdIn
) -> Sent:
    """The same reply goes on from where its text stops. `id` names the generation."""
    outcome = await keeper.sender.continue_reply(
        MessageId(message_id), GenerationId(body.id), owner_id=account.id
    )
    response.status_code = 200 if outcome.is_repeated else 201
    return outcome.sent
