"""Requesting: who is asked for a reply, and with which part of the talk."""

from collections.abc import Callable
from dataclasses import dataclass

from talekeeper.domain.conversations import USUAL_LONGEST_REQUEST, Line
from talekeeper.domain.replies import Provider
from talekeeper.errors import ConnectionMissing
from talekeeper.generation.beginning import Begun
from talekeeper.ids import AccountId, ConnectionId
from talekeeper.prompts import Composed, composed
from talekeeper.prompts.fitting import (
    HISTORY_STEP,
    LEAST_MESSAGES,
    Limits,
    cost_of_all,
    limits_of,
)
from talekeeper.store import Reader
from talekeeper.store.conversations import get_conversation
from talekeeper.store.walking import lines_to


@dataclass(frozen=True, slots=True)
class Reached:
    """A provider that is ready to be asked, the model to name, how much that model holds, how much of
    it a request may take where the conversation does not say, and the connection's name.
    """

    provider: Provider
    model: str
    window: int | None
    longest_request: int = USUAL_LONGEST_REQUEST
    connection: str | None = None


Reach = Callable[[Reader, AccountId, ConnectionId, str], Reached]
"""From an account, its connection and a model's name to who is asked. Raises ProviderError."""


def request_for(
    tx: Reader, begun: Begun, *, reach: Reach, continues: bool
) -> tuple[Reached, Composed]:
    """Who is asked for the reply of `begun`, and what. Raises ProviderError."""
    generation = begun.generation
    if generation.connection_id is None:
        raise ConnectionMissing
    reached = reach(tx, generation.owner_id, generation.connection_id, generation.model)
    conversation = get_conversation(tx, generation.conversation_id, owner_id=generation.owner_id)
    limits = limits_of(
        reached.window,
        conversation.sampling.longest_request or reached.longest_request,
        conversation.sampling,
    )
    history, is_whole = history_to(tx, begun.message_key, limits=limits)
    if not continues:
        history.pop()
    asked = composed(
        history,
        purpose=conversation.purpose,
        model=reached.model,
        limits=limits,
        continues=continues,
        continues_text=reached.provider.continues_text,
        sampling=conversation.sampling,
        is_whole=is_whole,
        connection=reached.connection,
    )
    return reached, asked


def history_to(tx: Reader, key: int, *, limits: Limits) -> tuple[list[Line], bool]:
    """The newest of the path that ends in `key`, oldest first, and whether that is all of it.

    No more is read than what is sure not to fit, so a long tale costs what a request may take.
    """
    history: list[Line] = []
    tokens = count = 0
    limit = HISTORY_STEP
    above: int | None = key
    while above is not None:
        step, above = lines_to(tx, above, limit=limit)
        history[:0] = step
        told = [line for line in step if line.content.strip()]
        tokens += cost_of_all(told)
        count += len(told)
        room = limits.room if count >= LEAST_MESSAGES else limits.window_room
        if tokens > room:
            break
        # As many more as would fill it, were they like these, and never many more than these.
        limit = min(1 + (room - tokens) * len(history) // max(1, tokens), 2 * len(history))
    return history, above is None
