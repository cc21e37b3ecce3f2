"""Searching: everything the account ever said or was told, in every branch."""

from talekeeper.database import Reader, Store
from talekeeper.domain.searching import Finding, FindingPage, Sought, query_of
from talekeeper.ids import AccountId, MessageId
from talekeeper.store.conversations import get_conversation
from talekeeper.store.searching import SECONDS, is_behind, on_active_paths, search_texts


async def search_messages(
    store: Store,
    typed: str,
    *,
    owner_id: AccountId,
    sought: Sought,
    after: MessageId | None,
    limit: int,
    seconds: float = SECONDS,
) -> FindingPage:
    """The messages that `typed` finds, newest first, from the one after `after` on.

    It is broken off after so many seconds, and says so.

    What was taken back or lies in the trash is not found. Raises InvalidInput when nothing is named
    to look for, NotFound when the conversation to look in is absent or another account's.
    """
    query = query_of(typed)

    def unit(tx: Reader) -> FindingPage:
        if sought.conversation_id is not None:
            get_conversation(tx, sought.conversation_id, owner_id=owner_id)
        page = search_texts(
            tx, query, owner_id=owner_id, sought=sought, after=after, limit=limit, seconds=seconds
        )
        active = on_active_paths(tx, page.items)
        found_in = {
            conversation_id: get_conversation(tx, conversation_id, owner_id=owner_id)
            for conversation_id in {each.conversation_id for each in page.items}
        }
        return FindingPage(
            items=tuple(
                Finding(
                    conversation=found_in[each.conversation_id],
                    message=each.message,
                    snippet=each.snippet,
                    on_active_path=each.key in active,
                )
                for each in page.items
            ),
            next=page.next,
            behind=is_behind(tx, owner_id=owner_id),
            is_partial=page.is_partial,
        )

    return await store.read(unit)
