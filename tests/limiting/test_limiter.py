"""The limiter: as many as the rate in any minute, with Redis or without, never more, never unlimited (S9)."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from accounts.arranging import StoodClock
from engines import Valkey
from talekeeper.clock import SystemClock
from talekeeper.limiting import Limiter, Rate, opened_limiter
from talekeeper.limiting.limiter import PATIENCE
from talekeeper.limiting.memory import MemoryWindows

FIVE = Rate("replies", 5)
LONG = 10.0
"""Seconds: where the count matters, a busy machine may take its time."""

pytestmark = pytest.mark.req("S9")


async def let_pass(limiter: Limiter, rate: Rate, who: str, *, of: int) -> int:
    """How many of so many in a row may be done."""
    return [await limiter.ask(rate, who) for _ in range(of)].count(0.0)


async def test_a_minute_holds_as_many_as_the_rate_and_the_wait_ends_with_the_first_of_them() -> (
    None
):
    clock = StoodClock()
    limiter = Limiter(clock=clock)
    assert await let_pass(limiter, FIVE, "ada", of=3) == 3
    clock.go(20_000)
    assert await let_pass(limiter, FIVE, "ada", of=9) == 2
    assert await limiter.ask(FIVE, "ada") == pytest.approx(40)
    clock.go(39_999)
    assert await limiter.ask(FIVE, "ada") == pytest.approx(0.001)
    clock.go(1)
    assert await let_pass(limiter, FIVE, "ada", of=9) == 3
    assert await limiter.ask(FIVE, "ada") == pytest.approx(20)


async def test_accounts_and_kinds_are_counted_apart() -> None:
    limiter = Limiter(clock=StoodClock())
    assert await let_pass(limiter, FIVE, "ada", of=9) == 5
    assert await let_pass(limiter, FIVE, "bo", of=9) == 5
    assert await let_pass(limiter, Rate("searches", 5), "ada", of=9) == 5


async def test_a_clock_that_is_set_back_keeps_nobody_waiting() -> None:
    clock = StoodClock()
    limiter = Limiter(clock=clock)
    assert await let_pass(limiter, FIVE, "ada", of=9) == 5
    clock.wall -= 3_600_000
    clock.passed += 60
    assert await let_pass(limiter, FIVE, "ada", of=9) == 5


async def test_a_rate_of_zero_limits_nothing() -> None:
    limiter = Limiter(clock=StoodClock())
    assert await let_pass(limiter, Rate("replies", 0), "ada", of=1_000) == 1_000


async def test_what_is_given_back_was_not_counted() -> None:
    clock = StoodClock()
    limiter = Limiter(clock=clock)
    for _ in range(50):
        assert await limiter.ask(FIVE, "ada") == 0.0
        limiter.give_back(FIVE, "ada")
    assert await let_pass(limiter, FIVE, "ada", of=9) == 5
    limiter.give_back(FIVE, "ada")
    clock.go(60_000)  # it would have been free by now
    assert await let_pass(limiter, FIVE, "ada", of=9) == 5


async def test_windows_that_have_ended_take_no_memory() -> None:
    clock = StoodClock()
    windows = MemoryWindows(clock)
    for number in range(1_000):
        assert await windows.acquire_entry(f"address {number}", 5, 60)
    assert len(windows) == 1_000
    clock.go(60_000)
    assert await windows.acquire_entry("another", 5, 60)
    assert len(windows) == 1


@asynccontextmanager
async def two_processes(url: str) -> AsyncIterator[tuple[Limiter, Limiter]]:
    clock = SystemClock()
    async with (
        opened_limiter(clock=clock, redis_url=url, patience=LONG) as one,
        opened_limiter(clock=clock, redis_url=url, patience=LONG) as other,
    ):
        yield one, other


async def asked(limiter: Limiter, rate: Rate, who: str) -> tuple[float, float]:
    """What the limiter says, and the seconds that it took to."""
    began = time.monotonic()
    wait = await limiter.ask(rate, who)
    return wait, time.monotonic() - began


async def shares_again(limiter: Limiter, rate: Rate, who: str) -> None:
    """Ask until Redis has answered."""
    async with asyncio.timeout(10):
        while not limiter.is_shared:
            await limiter.ask(rate, who)
            await asyncio.sleep(0.02)


async def test_processes_count_together_in_redis(valkey: Valkey) -> None:
    async with two_processes(valkey.url) as (one, other):
        assert await let_pass(one, FIVE, "ada", of=3) == 3
        assert await let_pass(other, FIVE, "ada", of=9) == 2
        assert 50 < await one.ask(FIVE, "ada") <= 60
        assert await let_pass(other, FIVE, "bo", of=9) == 5


async def test_without_redis_half_the_rate_is_left_and_what_has_passed_counts(
    valkey: Valkey,
) -> None:
    ten = Rate("replies", 10)
    async with two_processes(valkey.url) as (one, other):
        assert await let_pass(one, ten, "ada", of=3) == 3
        valkey.kill()
        assert await let_pass(one, ten, "ada", of=30) == 2
        assert await let_pass(other, ten, "ada", of=30) == 5
        assert not one.is_shared


async def test_the_limiter_comes_back_to_redis_by_itself(valkey: Valkey) -> None:
    async with two_processes(valkey.url) as (one, other):
        assert await let_pass(one, FIVE, "ada", of=9) == 5
        valkey.kill()
        await one.ask(FIVE, "bo")
        await other.ask(FIVE, "bo")
        assert (one.is_shared, other.is_shared) == (False, False)
        valkey.start()
        await shares_again(one, FIVE, "cy")
        await shares_again(other, FIVE, "cy")
        assert await let_pass(one, FIVE, "di", of=3) == 3
        assert await let_pass(other, FIVE, "di", of=9) == 2


async def test_a_redis_that_hangs_holds_up_one_request_and_the_others_not(
    valkey: Valkey,
) -> None:
    hundred = Rate("replies", 100)
    async with opened_limiter(clock=SystemClock(), redis_url=valkey.url) as limiter:
        await limiter.ask(hundred, "ada")
        await shares_again(limiter, hundred, "ada")
        valkey.send_signal(signal.SIGSTOP)
        first, *others = [(await asked(limiter, hundred, "ada"))[1] for _ in range(41)]
        assert PATIENCE * 0.9 < first < PATIENCE * 10
        assert sorted(others)[20] < PATIENCE / 10
        assert sum(others) < len(others) * PATIENCE
        valkey.send_signal(signal.SIGCONT)
        await shares_again(limiter, hundred, "bo")


async def test_a_redis_that_was_never_there_is_done_without() -> None:
    clock = StoodClock()
    async with opened_limiter(clock=clock, redis_url="redis://127.0.0.1:1/0") as limiter:
        assert await let_pass(limiter, Rate("replies", 10), "ada", of=30) == 5
