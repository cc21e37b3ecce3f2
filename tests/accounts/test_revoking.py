"""What lets somebody in is listed and revoked one by one, by whom it belongs to (S3, S4)."""

import asyncio
from typing import Any

import pytest

from accounts.arranging import StoodClock, a_run, is_let_in
from talekeeper.accounts.adding import add_account
from talekeeper.accounts.entering import issue_login, issue_token, log_in
from talekeeper.accounts.identifying import Identities
from talekeeper.accounts.revoking import list_tokens, revoke_token
from talekeeper.accounts.tokens import SESSION_IDLES
from talekeeper.database import Store
from talekeeper.database.units import ReadUnit
from talekeeper.errors import NotFound, Unauthenticated
from talekeeper.ids import AccountId, TokenId, fresh_id


@pytest.mark.req("S4")
async def test_a_list_holds_what_lets_in_and_nothing_that_has_ended(
    store: Store, identities: Identities, clock: StoodClock
):
    owner = identities.owner.id
    await issue_token(store, owner, "control", run=await a_run(store))
    await log_in(store, await issue_login(store))
    clock.go(SESSION_IDLES)  # that session has ended; its link is used up
    await issue_token(store, owner, "bearer")
    clock.go(1)
    await log_in(store, await issue_login(store))
    clock.go(1)
    await issue_login(store)
    clock.go(1)
    await add_account(store, "Bea")
    listed = await list_tokens(store, owner, clock=clock)
    assert [each.kind for each in listed] == ["login", "session", "bearer"]


@pytest.mark.req("S4")
@pytest.mark.parametrize("kind", ["bearer", "session"])
async def test_a_revoked_token_lets_nobody_in_and_ends_what_it_opened(
    store: Store, identities: Identities, kind: str
):
    if kind == "session":
        token = (await log_in(store, await issue_login(store))).token
    else:
        token = await issue_token(store, identities.owner.id, "bearer")
    found = await identities.identify(token, kinds=["session", "bearer"])
    assert found.token_id is not None
    hold = identities.held.hold(found.token_id)
    await revoke_token(store, identities.owner.id, found.token_id, identities=identities)
    assert hold.ended.done(), "it is told by the time that the revocation is answered"
    assert not await is_let_in(identities, token, "session", "bearer")
    await identities.held.close()


@pytest.mark.req("S4")
async def test_a_revoked_link_logs_nobody_in(
    store: Store, identities: Identities, clock: StoodClock
):
    link = await issue_login(store)
    (listed,) = await list_tokens(store, identities.owner.id, clock=clock)
    await revoke_token(store, identities.owner.id, listed.id, identities=identities)
    with pytest.raises(Unauthenticated):
        await log_in(store, link)


@pytest.mark.req("S3", "S4")
async def test_what_is_anothers_a_servers_or_absent_cannot_be_revoked(
    store: Store, identities: Identities, clock: StoodClock
):
    bea = await add_account(store, "Bea")
    control = await issue_token(store, identities.owner.id, "control", run=await a_run(store))
    known = await identities.identify(control, kinds=["control"])
    (hers,) = await list_tokens(store, bea.account.id, clock=clock)
    assert known.token_id is not None
    for name in (hers.id, known.token_id, TokenId(fresh_id())):
        with pytest.raises(NotFound):
            await revoke_token(store, identities.owner.id, name, identities=identities)
    assert await is_let_in(identities, control, "control")
    assert await is_let_in(identities, bea.token, "bearer")
    with pytest.raises(NotFound):
        await list_tokens(store, AccountId(fresh_id()), clock=clock)


@pytest.mark.req("S4")
async def test_a_tokens_use_is_in_the_list_within_the_hour(
    store: Store, identities: Identities, clock: StoodClock
):
    token = await issue_token(store, identities.owner.id, "bearer")
    seen: list[int | None] = []
    before = store.counts.units
    for _ in range(4):
        await is_let_in(identities, token, "bearer")
        (listed,) = await list_tokens(store, identities.owner.id, clock=clock)
        seen.append(listed.last_used_at)
        clock.go(30 * 60_000)
    first = seen[0]
    assert first is not None
    assert seen == [first, first, first + 60 * 60_000, first + 60 * 60_000]
    assert store.counts.units - before == 2


@pytest.mark.req("S4")
async def test_any_number_of_holds_costs_one_look_and_none_where_nothing_is_held(
    store: Store, identities: Identities, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("talekeeper.accounts.holding.LOOK_SECONDS", 0.01)
    looks: list[int] = []
    read = store.read

    async def counted(unit: ReadUnit[Any]) -> Any:
        looks.append(1)
        return await read(unit)

    monkeypatch.setattr(store, "read", counted)
    tokens = [TokenId(fresh_id()) for _ in range(300)]
    holds = [identities.held.hold(each) for each in tokens]
    async with asyncio.timeout(5):
        await asyncio.gather(*(each.ended for each in holds))
    assert len(looks) == 1, "all of them were gone at the first look"
    await asyncio.sleep(0.1)
    assert len(looks) == 1
    assert identities.held._held == {}


@pytest.mark.req("S4")
async def test_a_store_that_does_not_answer_ends_only_what_has_expired(
    store: Store, identities: Identities, clock: StoodClock, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("talekeeper.accounts.holding.LOOK_SECONDS", 0.01)
    session = (await log_in(store, await issue_login(store))).token
    bearer = await issue_token(store, identities.owner.id, "bearer")
    kept, over = [
        identities.held.hold(
            (await identities.identify(each, kinds=["bearer", "session"])).token_id
        )
        for each in (bearer, session)
    ]
    async with asyncio.timeout(5):
        while len(identities.held._expiries) < 2:
            await asyncio.sleep(0.005)
    await store.close()
    clock.go(SESSION_IDLES)
    async with asyncio.timeout(5):
        await over.ended
    assert not kept.ended.done()
    await identities.held.close()
