"""Reading: pages of a path, and the whole tree."""

from talekeeper.database import Reader, Store
from talekeeper.domain.conversations import Conversation, PathPage, TreePage
from talekeeper.errors import InvalidInput, NotFound
from talekeeper.ids import AccountId, ConversationId, MessageId
from talekeeper.store.conversations import get_conversation
from talekeeper.store.messages import StoredMessage, find_message
from talekeeper.store.walking import path_page, path_page_after, tree_page


async def read_conversation(
    store: Store, conversation_id: ConversationId, *, owner_id: AccountId
) -> Conversation:
    return await store.read(lambda tx: get_conversation(tx, conversation_id, owner_id=owner_id))


async def read_path(
    store: Store,
    conversation_id: ConversationId,
    *,
    owner_id: AccountId,
    leaf_id: MessageId | None,
    before: MessageId | None = None,
    after: MessageId | None = None,
    limit: int,
) -> PathPage:
    """The last `limit` messages of a path, in order: of the one that ends in `leaf_id` (the active
    leaf, where it is None), or of what stands above `before`. With `after`, what comes right after
    that one on the path to the leaf.

    Raises NotFound when the conversation or the message is absent or another account's, and when
    `after` is not on the path; InvalidInput for both ways at once.
    """
    if before is not None and after is not None:
        raise InvalidInput("Ask for what stands before a message or for what comes after it.")

    def unit(tx: Reader) -> PathPage:
        conversation = get_conversation(tx, conversation_id, owner_id=owner_id)
        if before is not None:
            leaf_key = _of_this(tx, before, conversation).parent_key
        elif (leaf := leaf_id or conversation.leaf_id) is not None:
            leaf_key = _of_this(tx, leaf, conversation).key
        else:
            leaf_key = None
        if after is not None:
            after_key = _of_this(tx, after, conversation).key
            if leaf_key is None:
                raise NotFound("There is no such message in this conversation.")
            return path_page_after(
                tx, conversation_id, leaf_key=leaf_key, after_key=after_key, limit=limit
            )
        return path_page(tx, conversation_id, leaf_key=leaf_key, limit=limit)

    return await store.read(unit)


async def read_tree(
    store: Store,
    conversation_id: ConversationId,
    *,
    owner_id: AccountId,
    after: int,
    limit: int,
) -> TreePage:
    """Messages of every branch whose `seq` is larger than `after`, by `seq`."""

    def unit(tx: Reader) -> TreePage:
        get_conversation(tx, conversation_id, owner_id=owner_id)
        return tree_page(tx, conversation_id, after=after, limit=limit)

    return await store.read(unit)


def _of_this(tx: Reader, message_id: MessageId, conversation: Conversation) -> StoredMessage:
    found = find_message(tx, message_id)
    if found is None or found.message.conversation_id != conversation.id or found.is_hidden:
        raise NotFound("There is no such message in this conversation.")
    return found
