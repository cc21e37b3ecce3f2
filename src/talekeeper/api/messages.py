"""Routes of messages: another reply, or more of the same."""

from fastapi import Response

from talekeeper.api.bodies import Body, Id
from talekeeper.api.resources import CurrentAccount, TheKeeper, resource
from talekeeper.domain.conversations import Sent
from talekeeper.ids import GenerationId, MessageId

router = resource("messages")


class IdIn(Body):
    """The client's UUID for what is made: asking again with it makes nothing twice."""

    id: Id


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
