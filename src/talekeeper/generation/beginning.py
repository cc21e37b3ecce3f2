"""Beginning: a reply's placeholder, its generation and the lock, in the sender's transaction."""

from dataclasses import dataclass, replace

from talekeeper.database.units import Writer
from talekeeper.domain.connections import (
    Kind,
    kind_of_server_connection,
    server_connection_id,
)
from talekeeper.domain.conversations import Generation, GenerationKind, Message
from talekeeper.errors import GenerationRunning
from talekeeper.ids import BootId, ConnectionId, GenerationId, MessageId, fresh_id
from talekeeper.store.generations import find_generation, insert_generation
from talekeeper.store.holding import HeldConversation
from talekeeper.store.message_changes import add_message, reopen_message
from talekeeper.store.messages import StoredMessage, message_at
from talekeeper.store.thoughts import thought_so_far


@dataclass(frozen=True, slots=True)
class ServerChoice:
    """The kind of the server's own connection that answers where neither conversation nor account
    chose one, and its model.
    """

    kind: Kind
    model: str | None

    @property
    def connection_id(self) -> ConnectionId:
        return server_connection_id(self.kind)


@dataclass(frozen=True, slots=True)
class Begun:
    """A generation whose rows are on disk and whose task is still to be started."""

    generation: Generation
    message: Message
    message_key: int


@dataclass(frozen=True, slots=True)
class Unended:
    """A generation that runs in this process according to the store.

    `grown` is what it has added to the message so far, `thought` what its model has thought, and
    `age_ms` how long ago it was begun.
    """

    begun: Begun
    grown: str
    thought: str
    age_ms: int
    is_stop_asked: bool


def begin_reply(
    tx: Writer,
    held: HeldConversation,
    asked: StoredMessage,
    *,
    reply_id: MessageId,
    kind: GenerationKind,
    boot_id: BootId,
    choice: ServerChoice,
) -> Begun:
    """A pending reply to `asked`, in its mode and for its audience, and the generation that will
    fill it.

    Raises GenerationRunning when the conversation's lock is taken.
    """
    generation = _next_generation(held, GenerationId(fresh_id()), reply_id, kind, choice)
    reply = add_message(
        tx,
        held,
        reply_id,
        parent=asked.place,
        role="assistant",
        status="pending",
        generation_id=generation.id,
        provider=generation.provider or None,
        model=generation.model or None,
        manner=replace(asked.message.manner, speaker=None),
    )
    insert_generation(tx, generation, message_key=reply.key, boot_id=boot_id, start_offset=0)
    return Begun(generation, reply.message, reply.key)


def begin_continuation(
    tx: Writer,
    held: HeldConversation,
    reply: StoredMessage,
    *,
    generation_id: GenerationId,
    boot_id: BootId,
    choice: ServerChoice,
) -> Begun:
    """The same reply goes on growing under a new generation.

    Raises GenerationRunning when the conversation's lock is taken.
    """
    generation = _next_generation(held, generation_id, reply.message.id, "continue", choice)
    insert_generation(
        tx,
        generation,
        message_key=reply.key,
        boot_id=boot_id,
        start_offset=len(reply.message.content),
    )
    reopened = reopen_message(tx, held, reply, generation_id=generation.id)
    return Begun(generation, reopened.message, reply.key)


def unended(tx: Writer, generation_id: GenerationId, *, boot_id: BootId) -> Unended | None:
    """The generation as it stands; None when it has ended or another process runs it."""
    found = find_generation(tx, generation_id)
    if found is None or found.generation.status != "running" or found.boot_id != boot_id:
        return None
    message = message_at(tx, found.message_key).message
    before, grown = message.content[: found.start_offset], message.content[found.start_offset :]
    parts, thought = thought_so_far(tx, found.message_key)
    message = replace(message, content=before, parts=parts)
    begun = Begun(found.generation, message, found.message_key)
    return Unended(begun, grown, thought, tx.now() - found.created_at, found.is_stop_asked)


def _next_generation(
    held: HeldConversation,
    generation_id: GenerationId,
    message_id: MessageId,
    kind: GenerationKind,
    choice: ServerChoice,
) -> Generation:
    running = held.conversation.generation_id
    if running is not None:
        raise GenerationRunning(
            "The AI is already answering here. Wait until it has finished, or stop it.",
            generation_id=running,
        )
    held.epoch += 1
    held.change(generation_id=generation_id)
    chosen = held.chosen_connection
    provider = held.chosen_kind or kind_of_server_connection(chosen)
    model = held.chosen_model
    if model is None and chosen == choice.connection_id:
        model = choice.model
    return Generation(
        id=generation_id,
        conversation_id=held.id,
        message_id=message_id,
        owner_id=held.owner_id,
        kind=kind,
        status="running",
        epoch=held.epoch,
        connection_id=chosen,
        provider=provider or "",
        model=model or "",
    )
