"""How many sends a second fleets of one, two and three processes store: the ratio, not the figure.

Run by hand (`--long -s`) on a quiet machine; the processes, PostgreSQL and the senders share its cores.
"""

import asyncio
import time
from pathlib import Path

import pytest

from engines import Postgres, Valkey
from fleet.fleets import a_fleet

SENDERS = 32
SECONDS = 6.0


@pytest.mark.long
@pytest.mark.postgres
@pytest.mark.timeout(600)
async def test_more_processes_store_not_much_less_than_one(
    tmp_path: Path, postgres: Postgres, valkey: Valkey
):
    rates: dict[int, float] = {}
    for size in (1, 2, 3):
        url = postgres.fresh_database()
        folder = tmp_path / str(size)
        async with a_fleet(folder, size, url, valkey) as fleet, fleet.anyone() as client:
            conversations = [await client.open() for _ in range(SENDERS)]
            ends = time.monotonic() + SECONDS

            async def send(conversation: str, ends: float = ends) -> int:
                count = 0
                while time.monotonic() < ends:
                    await client.say(conversation, "A word.", reply=False)
                    count += 1
                return count

            rates[size] = sum(await asyncio.gather(*map(send, conversations))) / SECONDS
        postgres.drop(url)
    for size, rate in rates.items():
        print(f"{size} processes: {rate:.0f} sends a second, {rate / rates[1]:.2f} of one process")
    assert rates[3] > rates[1] * 0.5
