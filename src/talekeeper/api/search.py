"""Routes of searching: the search itself, and the owner's view of its index."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Query
from pydantic import AfterValidator

from talekeeper.api.bodies import Cursor, Id, Nothing, Seq, Text
from talekeeper.api.identity import CurrentAdmin
from talekeeper.api.resources import CurrentAccount, TheKeeper, resource
from talekeeper.clock import Millis
from talekeeper.conversations.indexing import index_progress
from talekeeper.conversations.searching import search_messages
from talekeeper.domain.conversations import Purpose, Role
from talekeeper.domain.searching import MAX_QUERY, FindingPage, Sought
from talekeeper.ids import ConversationId, MessageId

router = resource("search")

PAGE = 20
MOST = 100


def _page(limit: int) -> int:
    return min(limit, MOST)


PageLimit = Annotated[int, Query(ge=1, le=1000), AfterValidator(_page)]


@dataclass(frozen=True, slots=True)
class IndexState:
    """How many of the log's events the search index has read, and whether that is all."""

    read: int
    events: int
    is_current: bool


@router.get("/search")
async def search(
    keeper: TheKeeper,
    account: CurrentAccount,
    *,
    q: Annotated[Text, Query(max_length=MAX_QUERY)],
    purpose: Annotated[Purpose | None, Query()] = None,
    role: Annotated[Role | None, Query()] = None,
    since: Annotated[Seq | None, Query(alias="from")] = None,
    until: Annotated[Seq | None, Query(alias="to")] = None,
    conversation_id: Annotated[Id | None, Query()] = None,
    archived: Annotated[bool, Query()] = True,
    cursor: Annotated[Cursor | None, Query()] = None,
    limit: PageLimit = PAGE,
) -> FindingPage:
    """Everything that was ever said, in every branch, newest first.

    Words must all be there, "a phrase" together, and -word not. `from` and `to` are times, the
    second not included.
    """
    return await search_messages(
        keeper.store,
        q,
        owner_id=account.id,
        sought=Sought(
            purpose=purpose,
            role=role,
            since=None if since is None else Millis(since),
            until=None if until is None else Millis(until),
            conversation_id=None if conversation_id is None else ConversationId(conversation_id),
            with_archived=archived,
        ),
        after=None if cursor is None else MessageId(cursor),
        limit=limit,
    )


@router.get("/search/index")
async def show_index(keeper: TheKeeper, _admin: CurrentAdmin) -> IndexState:
    """How far the index has come."""
    return IndexState(*await index_progress(keeper.store))


@router.post("/search/index", status_code=202)
async def rebuild(
    keeper: TheKeeper, _admin: CurrentAdmin, _body: Nothing | None = None
) -> IndexState:
    """The index is made anew from the messages. Until that is done, searches say `behind`."""
    await keeper.indexing.rebuild()
    return IndexState(*await index_progress(keeper.store))
