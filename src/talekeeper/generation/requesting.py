"""Requesting: who is asked for a reply, and with which part of the talk."""

from collections.abc import Callable
from dataclasses import dataclass

from talekeeper.database import Reader
from talekeeper.domain.conversations import USUAL_LONGEST_REQUEST, Line
from talekeeper.domain.replies import Provider
from talekeeper.errors import ConnectionMissing
from talekeeper.generation.beginning import Begun
from talekeeper.ids import AccountId, ConnectionId
from talekeeper.prompts import Composed, composed, divided
from talekeeper.prompts.fitting import (
    HISTORY_STEP,
    LEAST_MESSAGES,
    Window,
    cost_of_all,
    window_of,
)
from talekeeper.prompts.receipts import began_at
from talekeeper.store.conversations import get_conversation
from talekeeper.store.generations import receipt_before
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
    window = window_of(
        reached.window,
        conversation.sampling.longest_request or reached.longest_request,
        conversation.sampling,
    )
    history, is_whole = history_to(tx, begun.message_key, window=window)
    if not continues:
        history.pop()
    sections = divided(
        history,
        purpose=conversation.purpose,
        continues=continues,
        continues_text=reached.provider.continues_text,
        is_whole=is_whole,
    )
    is_short = is_whole and cost_of_all(history) < window.room // 2
    asked = composed(
        sections,
        window,
        model=reached.model,
        connection=reached.connection,
        sampling=conversation.sampling,
        began_at=None if is_short else began_at(receipt_before(tx, begun.message_key)),
    )
    return reached, asked


def history_to(tx: Reader, key: int, *, window: Window) -> tuple[list[Line], bool]:
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
        mode = history[-1].mode
        told = [
            line
            for line in step
            if line.mode == mode and not line.hidden_from_ai and line.content.strip()
        ]
        tokens += cost_of_all(told)
        count += len(told)
        room = window.room if count >= _LEAST_READ else window.model_room
        if tokens > room:
            break
        # As many more as would fill it, were they like these, and never many more than these.
        limit = min(1 + (room - tokens) * len(history) // max(1, tokens), 2 * len(history))
    return history, above is None


_LEAST_READ = LEAST_MESSAGES + 2
"""Beside the last messages of the history: the message to be answered, and a reply to go on with."""
