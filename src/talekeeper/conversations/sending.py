"""Sending: what a person said is on disk before anything answers, exactly once for good.

The client makes the message's id. The same id again finds the same message and the same reply;
with another text, speaker, mode or audience, or in another conversation, it is refused. One transaction stores the message,
the reply's placeholder, its generation and the lock's epoch. The generation's task is started by
that commit, whether or not the caller still waits; a repeat that finds the generation running makes
sure that a task fills it.

No limit refuses what a person said: over one the message is stored without a reply, and the answer
says for how long. What carries no words, a regenerate or a continue, raises the limit instead.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from talekeeper.conversations.branching import bring_back
from talekeeper.conversations.titling import title_from
from talekeeper.database import Store, Writer
from talekeeper.domain.changes import Kept
from talekeeper.domain.conversations import USUAL_MANNER, Manner, Message, Role, Sent
from talekeeper.errors import IdReused, InvalidInput, NotFound, UnknownParent
from talekeeper.generation.admitting import Admission, Permit, told
from talekeeper.generation.beginning import (
    Begun,
    ServerChoice,
    begin_continuation,
    begin_reply,
    unended,
)
from talekeeper.generation.running import Generations
from talekeeper.ids import (
    AccountId,
    BootId,
    ConversationId,
    GenerationId,
    MessageId,
    fresh_id,
)
from talekeeper.store.generations import find_generation
from talekeeper.store.holding import HeldConversation, hold_conversation
from talekeeper.store.message_changes import add_message
from talekeeper.store.messages import (
    Place,
    StoredMessage,
    find_message,
    first_reply,
    get_message,
    has_elder_sibling,
)
from talekeeper.store.walking import newest_leaf_under


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was stored, and whether it was stored just now or had been before."""

    sent: Sent
    is_repeated: bool


class Sender:
    """Sends, regenerates and continues: the three ways to ask for a reply."""

    def __init__(
        self,
        store: Store,
        generations: Generations,
        *,
        admission: Admission,
        boot_id: BootId,
        choice: ServerChoice,
    ) -> None:
        self._store = store
        self._generations = generations
        self._admission = admission
        self._boot_id = boot_id
        self._choice = choice

    async def send_message(
        self,
        conversation_id: ConversationId,
        message_id: MessageId,
        content: str,
        *,
        owner_id: AccountId,
        parent_id: MessageId | Kept | None,
        wants_reply: bool = True,
        role: Role = "user",
        manner: Manner = USUAL_MANNER,
    ) -> Outcome:
        """Save what was said. It is durable when this returns, and the reply has begun.

        Kept as `parent_id` means under the active leaf; None makes a new root. While the AI still
        speaks, or over a limit, the message is stored and no reply begun. Whatever had been put away
        comes back: the conversation, and the branch. Raises UnknownParent, IdReused, NotFound.
        """
        permit = await self._admission.ask(owner_id) if wants_reply and role == "user" else None

        def unit(tx: Writer) -> Outcome:
            held = self._hold(tx, conversation_id, owner_id)
            known = find_message(tx, message_id)
            if known is not None:
                _check_same(known.message, conversation_id, content, role, manner)
                outcome = _stored_before(tx, held, known, permit)
                self._resume(tx, outcome.sent.generation_id)
                return outcome
            held.take_out(tx)
            parent = _parent(tx, held, parent_id)
            running = held.conversation.generation_id
            if not held.conversation.title and role == "user":
                held.change(title=title_from(content))
            added = add_message(
                tx, held, message_id, parent=parent, role=role, content=content, manner=manner
            )
            is_under_leaf = isinstance(parent_id, Kept)
            branched = not is_under_leaf and has_elder_sibling(tx, added)
            reply: Message | None = None
            refusal = permit.refusal(tx) if permit and running is None else None
            if permit and running is None and refusal is None:
                begun = begin_reply(
                    tx,
                    held,
                    added,
                    reply_id=MessageId(fresh_id()),
                    kind="send",
                    boot_id=self._boot_id,
                    choice=self._choice,
                )
                self._start(tx, begun)
                running, reply = begun.generation.id, begun.message
            held.save(tx)
            sent = Sent(added.message, reply, running, branched, told(refusal))
            return Outcome(sent, False)

        return await self._write(unit, permit, conversation_id)

    async def regenerate(
        self, message_id: MessageId, reply_id: MessageId, *, owner_id: AccountId
    ) -> Outcome:
        """A new reply beside the one named, or under the user's message named.

        `reply_id` is the client's, so asking twice makes one. Raises GenerationRunning, NotFound,
        LimitReached.
        """
        target = await self._store.read(lambda tx: get_message(tx, message_id, owner_id=owner_id))
        conversation_id = target.message.conversation_id
        permit = await self._admission.ask(owner_id)

        def unit(tx: Writer) -> Outcome:
            held = self._hold(tx, conversation_id, owner_id)
            target = get_message(tx, message_id, owner_id=owner_id)
            asked = _asked_message(tx, target)
            known = find_message(tx, reply_id)
            if known is not None:
                is_same = (
                    known.message.role == "assistant"
                    and known.message.parent_id == asked.message.id
                )
                if not is_same:
                    raise _reused()
                self._resume(tx, known.message.generation_id)
                return Outcome(_sent(tx, asked, known), True)
            _check_told(asked.message)
            _check_limits(tx, held, permit)
            held.take_out(tx)
            asked = bring_back(tx, held, asked)
            begun = begin_reply(
                tx,
                held,
                asked,
                reply_id=reply_id,
                kind="regenerate",
                boot_id=self._boot_id,
                choice=self._choice,
            )
            self._start(tx, begun)
            held.save(tx)
            reply = find_message(tx, reply_id)
            assert reply is not None
            return Outcome(_sent(tx, asked, reply), False)

        return await self._write(unit, permit, conversation_id)

    async def continue_reply(
        self, message_id: MessageId, generation_id: GenerationId, *, owner_id: AccountId
    ) -> Outcome:
        """The reply goes on from where its text stops, under a new generation.

        Raises InvalidInput when it is no reply, GenerationRunning, NotFound, LimitReached.
        """
        target = await self._store.read(lambda tx: get_message(tx, message_id, owner_id=owner_id))
        conversation_id = target.message.conversation_id
        permit = await self._admission.ask(owner_id)

        def unit(tx: Writer) -> Outcome:
            held = self._hold(tx, conversation_id, owner_id)
            reply = get_message(tx, message_id, owner_id=owner_id)
            if reply.message.role != "assistant" or reply.parent_key is None:
                raise InvalidInput("Only a reply of the AI can be continued.")
            asked = _asked_message(tx, reply)
            known = find_generation(tx, generation_id)
            if known is not None:
                if known.generation.message_id != message_id:
                    raise _reused()
                self._resume(tx, generation_id)
                return Outcome(_sent(tx, asked, reply), True)
            _check_told(reply.message)
            _check_limits(tx, held, permit)
            held.take_out(tx)
            if reply.is_hidden:
                reply = bring_back(tx, held, reply)
                leaf = newest_leaf_under(tx, reply.key)
                held.move_leaf(leaf.message.id, leaf.key)
            begun = begin_continuation(
                tx,
                held,
                reply,
                generation_id=generation_id,
                boot_id=self._boot_id,
                choice=self._choice,
            )
            self._start(tx, begun)
            held.save(tx)
            sent = Sent(asked.message, begun.message, generation_id, has_elder_sibling(tx, reply))
            return Outcome(sent, False)

        return await self._write(unit, permit, conversation_id)

    async def _write(
        self,
        unit: Callable[[Writer], Outcome],
        permit: Permit | None,
        conversation_id: ConversationId,
    ) -> Outcome:
        """Run the unit; a permit under which no reply was begun is given back."""
        has_begun = False
        try:
            outcome = await self._store.write(unit, conversation_id=conversation_id)
            has_begun = not outcome.is_repeated and outcome.sent.reply is not None
            return outcome
        finally:
            if permit is not None and not has_begun:
                self._admission.give_back(permit)

    def _hold(
        self, tx: Writer, conversation_id: ConversationId, owner_id: AccountId
    ) -> HeldConversation:
        return hold_conversation(
            tx,
            conversation_id,
            owner_id=owner_id,
            default_connection=self._choice.connection_id,
        )

    def _start(self, tx: Writer, begun: Begun) -> None:
        tx.after_commit(partial(self._generations.begin, begun))

    def _resume(self, tx: Writer, generation_id: GenerationId | None) -> None:
        """If the generation still runs in this process, a task fills it after the commit.

        The commit that began it may have been reported as failed, so that its callback was dropped.
        """
        if generation_id is None:
            return
        found = unended(tx, generation_id, boot_id=self._boot_id)
        if found is not None:
            tx.after_commit(partial(self._generations.take_up, found))


def _parent(tx: Writer, held: HeldConversation, parent_id: MessageId | Kept | None) -> Place | None:
    leaf_id = held.conversation.leaf_id
    if isinstance(parent_id, Kept) or (parent_id is not None and parent_id == leaf_id):
        if held.leaf_key is None or leaf_id is None:
            return None
        return Place(held.leaf_key, leaf_id)
    if parent_id is None:
        return None
    found = find_message(tx, parent_id)
    if found is None or found.message.conversation_id != held.id:
        raise UnknownParent(
            "The message this one answers is not in this conversation. Reload it, then send again."
        )
    if found.is_hidden:
        try:
            return bring_back(tx, held, found).place
        except NotFound as error:
            raise UnknownParent(error.message) from error
    return found.place


def _asked_message(tx: Writer, target: StoredMessage) -> StoredMessage:
    """The user's message that `target` is or replies to."""
    if target.message.role == "user":
        return target
    parent_id = target.message.parent_id
    parent = None if parent_id is None else find_message(tx, parent_id)
    if target.message.role != "assistant" or parent is None:
        raise InvalidInput("Only a reply, or a message of yours, can be answered anew.")
    return parent


def _check_limits(tx: Writer, held: HeldConversation, permit: Permit) -> None:
    """Raises LimitReached, unless a reply is running here: that is the better reason."""
    if held.conversation.generation_id is not None:
        return
    refusal = permit.refusal(tx)
    if refusal is not None:
        raise refusal


def _check_same(
    known: Message, conversation_id: ConversationId, content: str, role: Role, manner: Manner
) -> None:
    said = (known.conversation_id, known.content, known.role, known.manner)
    if said != (conversation_id, content, role, manner):
        raise _reused()


def _check_told(message: Message) -> None:
    if message.hidden_from_ai:
        raise InvalidInput(
            "This message is left out of what the AI is told. Tell the AI again, then ask for a reply."
        )


def _reused() -> IdReused:
    return IdReused("This id was used before for something else. Send again with a new id.")


def _stored_before(
    tx: Writer, held: HeldConversation, known: StoredMessage, permit: Permit | None
) -> Outcome:
    reply = first_reply(tx, known) if known.message.role == "user" else None
    generation_id = reply.message.generation_id if reply else held.conversation.generation_id
    branched = has_elder_sibling(tx, known)
    refusal = permit.refusal(tx) if permit and generation_id is None else None
    return Outcome(
        Sent(
            known.message,
            reply.message if reply else None,
            generation_id,
            branched,
            told(refusal),
        ),
        True,
    )


def _sent(tx: Writer, asked: StoredMessage, reply: StoredMessage) -> Sent:
    return Sent(
        asked.message, reply.message, reply.message.generation_id, has_elder_sibling(tx, reply)
    )
