"""Routes of generations: what one was told, and stopping it."""

from dataclasses import dataclass
from functools import partial

from talekeeper.api.bodies import Id, Nothing
from talekeeper.api.resources import CurrentAccount, TheKeeper, resource
from talekeeper.database import Reader
from talekeeper.domain.conversations import GenerationKind, GenerationStatus, Message
from talekeeper.generation.running import final_message
from talekeeper.ids import GenerationId
from talekeeper.prompts.receipts import Receipt, shown_receipt
from talekeeper.store.generations import (
    StoredGeneration,
    find_receipt,
    get_generation,
    told_text,
)
from talekeeper.store.messages import content_of

router = resource("generations")


@dataclass(frozen=True, slots=True)
class GenerationOut:
    """`receipt` is exactly what the model was told, section by section; null until it was asked.

    The times are milliseconds since it began, and null, like the counts, until it has ended or
    where they were not told.
    """

    id: str
    conversation_id: str
    message_id: str
    kind: GenerationKind
    status: GenerationStatus
    provider: str
    model: str
    receipt: Receipt | None
    first_token_ms: int | None
    duration_ms: int | None
    input_tokens: int | None
    output_tokens: int | None


@router.get("/generations/{generation_id}")
async def show_one(keeper: TheKeeper, account: CurrentAccount, generation_id: Id) -> GenerationOut:
    def unit(tx: Reader) -> tuple[StoredGeneration, Receipt | None]:
        found = get_generation(tx, GenerationId(generation_id), owner_id=account.id)
        stored = find_receipt(tx, found.generation.id)
        if stored is None:
            return found, None
        conversation_id = found.generation.conversation_id
        message = partial(content_of, tx, conversation_id)
        text = partial(told_text, tx, conversation_id)
        return found, shown_receipt(stored, message=message, text=text)

    found, receipt = await keeper.store.read(unit)
    generation = found.generation
    return GenerationOut(
        id=generation.id,
        conversation_id=generation.conversation_id,
        message_id=generation.message_id,
        kind=generation.kind,
        status=generation.status,
        provider=generation.provider,
        model=generation.model,
        receipt=receipt,
        first_token_ms=found.measures.first_token_ms,
        duration_ms=found.measures.duration_ms,
        input_tokens=found.measures.input_tokens,
        output_tokens=found.measures.output_tokens,
    )


@router.post("/generations/{generation_id}/stop")
async def stop(
    keeper: TheKeeper, account: CurrentAccount, generation_id: Id, _body: Nothing | None = None
) -> Message:
    """The reply ends here, with what it has said. Stopping one that has ended changes nothing."""
    found = await keeper.store.read(
        lambda tx: get_generation(tx, GenerationId(generation_id), owner_id=account.id)
    )
    await keeper.generations.stop(found.generation)
    return await final_message(keeper.store, found.generation)
