"""A server killed while it indexes goes on where it was: all is found, and once (U21, R1).

The server is killed with SIGKILL at moments around the index's writes. After each start the index
must come to hold what every message says (`verify` compares them), and every acknowledged message
must be found by the name that only it bears.
"""

import asyncio
import random
from pathlib import Path

import pytest

from servers import Client, new_id, served, until


async def _is_current(client: Client) -> bool:
    return (await client.get("/api/search/index"))["is_current"]


@pytest.mark.req("U21", "R1")
@pytest.mark.parametrize(
    ("engine", "rounds"), [("sqlite", 6), pytest.param("postgresql", 2, marks=pytest.mark.postgres)]
)
async def test_what_was_acknowledged_is_found_once_whenever_the_server_is_killed(
    tmp_path: Path, database_url: str | None, rounds: int
):
    chance = random.Random()
    with served(tmp_path, database_url=database_url) as server:
        async with server.client() as client:
            conversations = [await client.open() for _ in range(3)]
            said: dict[str, str] = {}
            for _ in range(rounds):
                for number in range(12):
                    name = "".join(chance.choices("bcdfghjklmnpqrstvwxz", k=14))
                    answer = await client.send(
                        conversations[number % 3], f"the name {name}", id=new_id(), reply=False
                    )
                    assert answer.status == 201
                    said[name] = answer["message"]["id"]
                await asyncio.sleep(chance.uniform(0.3, 0.8))  # the index writes after 0.5 s
                server.kill()
                assert await asyncio.to_thread(server.violations) == []
                server.start()
            await until(lambda: _is_current(client), seconds=20)
            for name, message_id in said.items():
                found = (await client.get(f"/api/search?q={name}"))["items"]
                assert [item["message"]["id"] for item in found] == [message_id]
