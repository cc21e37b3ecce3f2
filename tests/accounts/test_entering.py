"""Tokens let in whom they were made for, for as long as they were meant to, and no one else (S4)."""

import asyncio
from pathlib import Path

import pytest

from accounts.arranging import DAY, FOREVER, StoodClock, a_run, is_let_in
from talekeeper.accounts.adding import add_account, list_accounts
from talekeeper.accounts.entering import (
    ensure_owner,
    forget_ended,
    issue_login,
    issue_token,
    log_in,
    log_out,
)
from talekeeper.accounts.identifying import Identities
from talekeeper.accounts.tokens import LOGIN_LASTS, SESSION_IDLES, SESSION_LASTS, fresh_token
from talekeeper.database import Store
from talekeeper.domain.accounts import TokenKind
from talekeeper.errors import InvalidInput, NotFound, Unauthenticated
from talekeeper.ids import BootId, fresh_id
from talekeeper.store.processes import forget_dead, leave

REMEMBERED_MS = 60_000
EVERY_KIND: tuple[TokenKind, ...] = ("bearer", "session", "login", "control")


async def test_the_first_start_makes_one_owner_and_later_ones_find_them(store: Store):
    first = await ensure_owner(store)
    again = await ensure_owner(store)
    assert first == again
    assert first.is_admin
    assert await list_accounts(store) == (first,)


@pytest.mark.req("S4")
@pytest.mark.parametrize("kind", EVERY_KIND)
async def test_a_token_opens_only_what_its_kind_opens(
    store: Store, identities: Identities, kind: TokenKind
):
    token = await issue_token(store, identities.owner.id, kind)
    others: list[TokenKind] = [other for other in EVERY_KIND if other != kind]
    assert await is_let_in(identities, token, kind)
    assert not await is_let_in(identities, token, *others)


@pytest.mark.req("S4")
async def test_the_database_never_holds_a_token(
    store: Store, identities: Identities, tmp_path: Path
):
    added = await add_account(store, "Ada")
    login = await issue_login(store)
    session = await log_in(store, login)
    held = b"".join(p.read_bytes() for p in (tmp_path / "data").iterdir() if p.is_file())
    for token in (added.token, login, session.token, "from-the-settings"):
        assert token.encode() not in held
        assert token.removeprefix("tk_").encode() not in held


@pytest.mark.req("S4")
def test_tokens_are_of_256_bits_and_never_the_same():
    tokens = {fresh_token() for _ in range(1000)}
    assert len(tokens) == 1000
    assert all(token.startswith("tk_") and len(token) == 46 for token in tokens)


@pytest.mark.req("S2", "S4")
async def test_the_token_of_the_settings_is_the_owners(identities: Identities):
    found = await identities.identify("from-the-settings", kinds=["bearer"])
    assert found.account == identities.owner
    assert not await is_let_in(identities, "from-the-settings", "session", "login", "control")
    assert not await is_let_in(identities, "from-the-setting", "bearer")


@pytest.mark.req("S4")
@pytest.mark.parametrize("token", ["", "x", "tk_", "\ud800", "x" * 100_000, "tk_" + "A" * 43])
async def test_an_unknown_token_lets_nobody_in(identities: Identities, token: str):
    assert not await is_let_in(identities, token, *EVERY_KIND)


@pytest.mark.req("S2")
async def test_a_login_link_works_once(store: Store, identities: Identities):
    login = await issue_login(store)
    session = await log_in(store, login)
    assert session.account == identities.owner
    assert await is_let_in(identities, session.token, "session")
    with pytest.raises(Unauthenticated, match="talekeeper login-link"):
        await log_in(store, login)


@pytest.mark.req("S2")
async def test_of_many_who_open_one_link_at_once_one_is_let_in(store: Store):
    login = await issue_login(store)
    answers = await asyncio.gather(
        *(log_in(store, login) for _ in range(20)), return_exceptions=True
    )
    assert sum(not isinstance(answer, BaseException) for answer in answers) == 1


@pytest.mark.req("S2")
async def test_a_login_link_ends_after_a_quarter_of_an_hour(store: Store, clock: StoodClock):
    early, late = await issue_login(store), await issue_login(store)
    clock.go(LOGIN_LASTS - 1)
    await log_in(store, early)
    clock.go(1)
    with pytest.raises(Unauthenticated):
        await log_in(store, late)


@pytest.mark.req("S2")
async def test_the_link_of_the_start_lasts_until_the_next_start(store: Store, clock: StoodClock):
    owner = await ensure_owner(store)
    kept, lost = [
        await issue_token(store, owner.id, "login", run=await a_run(store)) for _ in range(2)
    ]
    clock.go(100 * DAY)
    await log_in(store, kept)
    asked_for = await issue_login(store)
    await store.write(lambda tx: forget_dead(tx, BootId(fresh_id()), before=2 * FOREVER))
    await forget_ended(store)
    with pytest.raises(Unauthenticated):
        await log_in(store, lost)
    await log_in(store, asked_for)


@pytest.mark.req("S2", "S4")
async def test_no_other_token_is_a_login(store: Store, identities: Identities):
    for kind in ("bearer", "session", "control"):
        token = await issue_token(store, identities.owner.id, kind)
        with pytest.raises(Unauthenticated):
            await log_in(store, token)


@pytest.mark.req("S4")
async def test_the_control_token_of_an_earlier_run_lets_nobody_in(
    store: Store, identities: Identities, clock: StoodClock
):
    run = await a_run(store)
    control = await issue_token(store, identities.owner.id, "control", run=run)
    assert await is_let_in(identities, control, "control")
    await store.write(lambda tx: leave(tx, run))
    await forget_ended(store)
    clock.go(REMEMBERED_MS)
    assert not await is_let_in(identities, control, "control")


@pytest.mark.req("S4")
async def test_a_second_process_leaves_the_tokens_of_the_first_as_they_are(
    store: Store, identities: Identities
):
    first = await a_run(store)
    control = await issue_token(store, identities.owner.id, "control", run=first)
    login = await issue_token(store, identities.owner.id, "login", run=first)
    second = await a_run(store)
    await forget_ended(store)
    await issue_token(store, identities.owner.id, "control", run=second)
    assert await is_let_in(identities, control, "control")
    await log_in(store, login)


@pytest.mark.req("S4")
async def test_a_process_that_was_silent_for_an_hour_has_no_tokens_any_more(
    store: Store, identities: Identities, clock: StoodClock
):
    silent = await a_run(store, lasts=-3_600_001)
    asleep = await a_run(store, lasts=-3_000_000)
    gone, kept = [
        await issue_token(store, identities.owner.id, "control", run=run)
        for run in (silent, asleep)
    ]
    await forget_ended(store)
    assert not await is_let_in(identities, gone, "control")
    assert await is_let_in(identities, kept, "control")


@pytest.mark.req("S4")
async def test_a_session_that_is_used_lasts_and_an_idle_one_ends(
    store: Store, identities: Identities, clock: StoodClock
):
    used, idle = [(await log_in(store, await issue_login(store))).token for _ in range(2)]
    for _ in range(3):
        clock.go(SESSION_IDLES - DAY)
        assert await is_let_in(identities, used, "session")
    assert not await is_let_in(identities, idle, "session")


@pytest.mark.req("S4")
async def test_even_a_used_session_ends_after_180_days(
    store: Store, identities: Identities, clock: StoodClock
):
    token = (await log_in(store, await issue_login(store))).token
    for _ in range(SESSION_LASTS // DAY - 1):
        clock.go(DAY)
        assert await is_let_in(identities, token, "session")
    clock.go(DAY)
    assert not await is_let_in(identities, token, "session")


async def test_a_sessions_use_is_written_down_at_most_hourly(
    store: Store, identities: Identities, clock: StoodClock
):
    token = (await log_in(store, await issue_login(store))).token
    before = store.counts.units
    for _ in range(119):
        clock.go(60_000)
        assert await is_let_in(identities, token, "session")
    assert store.counts.units - before == 1


@pytest.mark.req("S4")
async def test_after_logging_out_the_session_is_over_at_once(store: Store, identities: Identities):
    token = (await log_in(store, await issue_login(store))).token
    found = await identities.identify(token, kinds=["session"])
    assert found.token_id is not None
    await log_out(store, identities, found.token_id)
    assert not await is_let_in(identities, token, "session")


@pytest.mark.req("S4", "R10")
async def test_a_clock_that_steps_back_a_day_logs_nobody_out(
    store: Store, identities: Identities, clock: StoodClock
):
    token = (await log_in(store, await issue_login(store))).token
    clock.wall -= DAY
    assert await is_let_in(identities, token, "session")


async def test_an_added_account_has_a_token_and_is_no_admin(store: Store, identities: Identities):
    added = await add_account(store, "Ada")
    found = await identities.identify(added.token, kinds=["bearer"])
    assert found.account == added.account
    assert not added.account.is_admin
    assert [each.name for each in await list_accounts(store)] == ["Game Master", "Ada"]


@pytest.mark.req("S8")
@pytest.mark.parametrize("name", ["ada", "ＡＤＡ", " Ada "])
async def test_a_name_like_one_that_is_there_is_refused(store: Store, name: str):
    await add_account(store, "Ada")
    with pytest.raises(InvalidInput, match="Choose another"):
        await add_account(store, name)
    assert len(await list_accounts(store)) == 1


async def test_of_two_who_take_one_name_at_once_one_gets_it(store: Store):
    answers = await asyncio.gather(
        *(add_account(store, "Ada") for _ in range(10)), return_exceptions=True
    )
    assert sum(isinstance(answer, InvalidInput) for answer in answers) == 9


async def test_a_login_link_can_be_made_for_another_account(store: Store):
    added = await add_account(store, "Ada")
    session = await log_in(store, await issue_login(store, name="ADA"))
    assert session.account == added.account
    with pytest.raises(NotFound, match="Eve"):
        await issue_login(store, name="Eve")
