"""Talking: what one account can do, for a program that has no server between it and the tale.

Everything here goes the way that it goes from the page: the same use cases, the same promises.
What is told apart is only who asks.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from talekeeper.conversations.following import Grew, Happened, follow
from talekeeper.conversations.opening import list_conversations, open_conversation
from talekeeper.conversations.reading import read_conversation, read_path
from talekeeper.conversations.sending import Sender
from talekeeper.database import Reader, Store
from talekeeper.domain.accounts import Account
from talekeeper.domain.changes import KEPT, Kept
from talekeeper.domain.conversations import (
    IN_FLIGHT,
    USUAL_MANNER,
    Conversation,
    Manner,
    Message,
    PathMessage,
    Purpose,
    Sent,
)
from talekeeper.errors import InvalidInput
from talekeeper.generation.running import Generations, final_message
from talekeeper.ids import ConnectionId, ConversationId, MessageId, canonical_id, fresh_id
from talekeeper.live import Hub
from talekeeper.store.generations import get_generation
from talekeeper.store.messages import get_message


class GameMaster:
    """One account at the table. Made by `Keeper.game_master`."""

    def __init__(
        self, store: Store, hub: Hub, sender: Sender, generations: Generations, *, account: Account
    ) -> None:
        self.account = account
        self._store = store
        self._hub = hub
        self._sender = sender
        self._generations = generations

    async def open_conversation(
        self,
        title: str | None = None,
        *,
        purpose: Purpose = "general",
        connection_id: str | None = None,
        model: str | None = None,
    ) -> Conversation:
        """A new, empty conversation. Without a title it takes one from what is said in it."""
        return await open_conversation(
            self._store,
            owner_id=self.account.id,
            title=title,
            purpose=purpose,
            connection_id=ConnectionId(connection_id) if connection_id else None,
            model=model,
        )

    async def conversation(self, conversation_id: str) -> Conversation:
        """Raises NotFound when it is absent or another account's."""
        return await read_conversation(
            self._store, ConversationId(conversation_id), owner_id=self.account.id
        )

    async def conversations(self, *, limit: int = 50) -> tuple[Conversation, ...]:
        """The active ones, newest activity first."""
        page = await list_conversations(
            self._store, owner_id=self.account.id, cursor=None, limit=limit
        )
        return page.items

    async def send(
        self,
        conversation_id: str,
        content: str,
        *,
        message_id: str | None = None,
        parent_id: str | Kept | None = KEPT,
        wants_reply: bool = True,
        manner: Manner = USUAL_MANNER,
    ) -> Sent:
        """Save what is said. It is durable when this returns, and the reply has begun.

        With a `message_id` of your own (a UUID) the same call made twice is one message. Without
        a `parent_id` it goes under the active leaf; None makes a new root. Over a limit of the
        account no reply begins: `limited` says so, and `regenerate` asks for it later.
        """
        outcome = await self._sender.send_message(
            ConversationId(conversation_id),
            MessageId(canonical_id(message_id) if message_id else fresh_id()),
            content,
            owner_id=self.account.id,
            parent_id=parent_id if isinstance(parent_id, Kept | None) else MessageId(parent_id),
            wants_reply=wants_reply,
            manner=manner,
        )
        return outcome.sent

    async def regenerate(self, message_id: str, *, reply_id: str | None = None) -> Sent:
        """A new reply beside the one named, or to the user's message named. It has begun.

        With a `reply_id` of your own (a UUID) the same call made twice is one reply. Raises
        LimitReached, GenerationRunning, NotFound.
        """
        outcome = await self._sender.regenerate(
            MessageId(message_id),
            MessageId(canonical_id(reply_id) if reply_id else fresh_id()),
            owner_id=self.account.id,
        )
        return outcome.sent

    async def follow(self, sent: Sent) -> AsyncGenerator[str]:
        """The text of the reply from its beginning, in pieces as it grows, until it has ended.

        Leaving it, or never following at all, changes nothing for the reply.
        """
        reply_id = _reply_of(sent).id
        seen = 0
        stream = follow(
            self._store,
            self._hub,
            owner_id=self.account.id,
            follows={sent.message.conversation_id: None},
        )
        async with aclosing(stream):
            async for told in stream:
                if not told:
                    # The place is taken: what ended before this is told by nobody any more.
                    before = await self._message(reply_id)
                    if before.status not in IN_FLIGHT:
                        yield before.content
                        return
                for item in told:
                    if isinstance(item, Grew) and item.delta.message_id == reply_id:
                        text = item.delta.text[max(0, seen - item.delta.offset) :]
                        seen = max(seen, item.delta.end)
                    elif isinstance(item, Happened) and _is_of(item.message, reply_id):
                        assert item.message is not None
                        if item.message.status in IN_FLIGHT:
                            continue
                        if len(item.message.content) > seen:
                            yield item.message.content[seen:]
                        return
                    else:
                        continue
                    if text:
                        yield text

    async def reply(self, sent: Sent) -> Message:
        """The reply in its final state, once it has ended. What failed says why in `error`."""
        reply = _reply_of(sent)
        if sent.generation_id is not None:
            await self._generations.wait(sent.generation_id)
        return await self._message(reply.id)

    async def stop(self, sent: Sent) -> Message:
        """The reply ends here, with what it has said."""
        generation_id = sent.generation_id
        if generation_id is None:
            return await self._message(_reply_of(sent).id)
        found = await self._store.read(
            lambda tx: get_generation(tx, generation_id, owner_id=self.account.id)
        )
        await self._generations.stop(found.generation)
        return await final_message(self._store, found.generation)

    async def read_path(
        self, conversation_id: str, *, leaf_id: str | None = None, limit: int = 1_000
    ) -> tuple[PathMessage, ...]:
        """The last messages of the path that ends in the leaf, in order; without one, in the
        active leaf.
        """
        page = await read_path(
            self._store,
            ConversationId(conversation_id),
            owner_id=self.account.id,
            leaf_id=MessageId(leaf_id) if leaf_id else None,
            limit=limit,
        )
        return page.items

    async def _message(self, message_id: MessageId) -> Message:
        def unit(tx: Reader) -> Message:
            return get_message(tx, message_id, owner_id=self.account.id).message

        return await self._store.read(unit)


def _reply_of(sent: Sent) -> Message:
    if sent.limited is not None:
        raise InvalidInput(
            "No reply was begun with this message, as a limit held. Ask for it by regenerate in "
            f"{sent.limited.retry_after} s."
        )
    if sent.reply is None:
        raise InvalidInput("No reply was begun with this message.")
    return sent.reply


def _is_of(message: Message | None, message_id: MessageId) -> bool:
    return message is not None and message.id == message_id
