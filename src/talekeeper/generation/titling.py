"""Titling: once the first reply is there, the model that gave it is asked for a title.

It is a job of its own and no generation: it holds no lock, nothing waits for it, and where it fails
the conversation keeps its first words for a title. A title that a person gave, or gives meanwhile,
stays. Asked again after a crash, it finds the title made, and asks no model.
"""

from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from talekeeper.database import Reader, Store, Writer
from talekeeper.domain.conversations import Message
from talekeeper.domain.replies import Provider, ReplyRequest, TakenBack, TextDelta
from talekeeper.errors import NotFound
from talekeeper.generation.requesting import Reach, Reached
from talekeeper.ids import AccountId, ConversationId
from talekeeper.jobs import Assignment, Handler, Lane
from talekeeper.prompts.titling import cleaned_title, title_request
from talekeeper.store.conversations import title_giver
from talekeeper.store.generations import find_generation
from talekeeper.store.holding import hold_conversation
from talekeeper.store.walking import tree_page

_LOOKED_AT: Final = 50
"""Messages among which the first exchange is looked for."""
LANE: Final = Lane("titles", loss="Conversations get no titles made by their model.")
LONGEST_SECONDS: Final = 60.0
"""A model that has not answered by then is asked again later."""
_ENOUGH: Final = 400
"""Characters of an answer that are waited for: a title stands in them, or it says none."""


@dataclass(frozen=True, slots=True)
class _Exchange:
    question: Message
    answer: Message


def titling(store: Store, reach: Reach, *, first_pause: float = 20.0) -> Handler:
    """How the jobs are done that name conversations."""

    async def work(assignment: Assignment) -> None:
        job = assignment.job
        assert job.conversation_id is not None
        await make_title(store, reach, job.conversation_id, owner_id=job.owner_id)

    return Handler(work=work, lane=LANE, time_limit=LONGEST_SECONDS, first_pause=first_pause)


async def make_title(
    store: Store, reach: Reach, conversation_id: ConversationId, *, owner_id: AccountId
) -> None:
    """The conversation has a title that the model made of its first exchange, or keeps its own.

    Raises ProviderError when the model could not be asked, StoreError when nothing was written.
    """

    def unit(tx: Reader) -> tuple[_Exchange, Reached] | None:
        exchange = _first_exchange(tx, conversation_id)
        if exchange is None:
            return None
        generation_id = exchange.answer.generation_id
        answered = None if generation_id is None else find_generation(tx, generation_id)
        if answered is None or answered.generation.connection_id is None:
            return None
        asked = answered.generation.connection_id
        return exchange, reach(tx, owner_id, asked, exchange.answer.model or "")

    found = await store.read(unit)
    if found is None:
        return
    exchange, reached = found
    request = title_request(
        model=reached.model, question=exchange.question.content, answer=exchange.answer.content
    )
    title = cleaned_title(await _answered(reached.provider, request))
    if not title:
        return

    def name(tx: Writer) -> None:
        try:
            held = hold_conversation(tx, conversation_id, owner_id=None)
        except NotFound:
            return
        if held.title_by != "first_words":
            return
        held.change(title=title)
        held.title_by = "model"
        held.happened("conversation", held.next_seq())
        held.save(tx)

    await store.write(name, conversation_id=conversation_id)


def _first_exchange(tx: Reader, conversation_id: ConversationId) -> _Exchange | None:
    """None where there is none any more, or a title that must stay."""
    if title_giver(tx, conversation_id) != "first_words":
        return None
    messages = tree_page(tx, conversation_id, after=0, limit=_LOOKED_AT).items
    asked = {message.id: message for message in messages if message.role == "user"}
    for message in messages:
        question = asked.get(message.parent_id) if message.parent_id else None
        if question and message.role == "assistant" and message.status == "complete":
            return _Exchange(question, message)
    return None


async def _answered(provider: Provider, request: ReplyRequest) -> str:
    """What the model says, as far as a line that gives a title, or what a title may take."""
    said = ""
    async with aclosing(provider.stream(request)) as parts:
        async for part in parts:
            if isinstance(part, TakenBack):
                said = ""
            elif isinstance(part, TextDelta):
                said += part.text
                if len(said) > _ENOUGH:
                    break
                lines, is_line, _ = said.rpartition("\n")
                if is_line and "\n" in part.text and cleaned_title(lines):
                    return lines
    return said
