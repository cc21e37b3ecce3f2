"""A process that froze and wakes after its lease writes nothing (R11), where many share a database.

Two servers on one PostgreSQL database. The one that streams is stopped with SIGSTOP; once its
lease of five seconds is over, the other marks the reply interrupted and may answer there itself.
When the first wakes, the text and the state stay what they are.
"""

import asyncio
import signal
from pathlib import Path

import psycopg
import pytest

from servers import Client, Server, Story, new_id, served, until
from talekeeper.database import Writer
from talekeeper.providers.scripted import Script, scripted_text
from talekeeper.store.generations import add_chunk, find_generation
from tales import a_table

WHOLE = scripted_text(3_000)

pytestmark = pytest.mark.postgres


@pytest.mark.req("R11", "C-S2", "FR-003", "U7")
async def test_a_frozen_holder_that_wakes_after_its_lease_writes_nothing(
    tmp_path: Path, postgres_database: str
):
    with (
        served(tmp_path / "one", database_url=postgres_database) as holder,
        served(tmp_path / "two", database_url=postgres_database) as other,
    ):
        markers = [server.data_dir / "installation.json" for server in (holder, other)]
        one, two = (marker.read_text().partition("created_at")[0] for marker in markers)
        assert one == two, "both serve the same installation"
        async with holder.client() as there, other.client() as here:
            conversation = await there.open()
            sent = await there.say(conversation, "[[tokens 3000]] [[pace 5ms]]")
            reply = sent["reply"]["id"]
            story = Story()
            async with there.following(conversation) as stream:
                assert await stream.tell(story, lambda: story.length(reply) > 500)
            refused = await here.post(f"/api/messages/{reply}/regenerate", {"id": new_id()})
            assert refused.problem == (409, "generation_running")
            assert refused["generation_id"] == sent["generation_id"]

            holder.send_signal(signal.SIGSTOP)
            try:
                frozen_at = asyncio.get_running_loop().time()
                await until(lambda: _is(here, conversation, reply, "interrupted"), seconds=12)
                took = asyncio.get_running_loop().time() - frozen_at
                kept = await here.message(conversation, reply)
                assert WHOLE.startswith(kept["content"])
                assert len(kept["content"]) > 300
                again = await here.post(f"/api/messages/{reply}/continue", {"id": new_id()})
                assert again.status == 201, again.body
                stopped = await here.post(f"/api/generations/{again['generation_id']}/stop")
                assert stopped.status == 200
                kept = stopped.json
                assert kept["status"] == "stopped"
                anew = await here.post(f"/api/messages/{reply}/regenerate", {"id": new_id()})
                assert anew.status == 201, anew.body
            finally:
                holder.send_signal(signal.SIGCONT)
            print(f"taken over after {took:.1f} s")
            assert took < 8

            await until(lambda: _has_let_go(holder, sent["generation_id"]))
            after = await here.message(conversation, reply)
            assert {**after, "updated_at": 0} == {**kept, "updated_at": 0}
            running = (await here.conversation(conversation))["generation_id"]
            assert running == anew["generation_id"], "the newer generation holds the lock"
            stopped = await here.post(f"/api/generations/{running}/stop")
            assert stopped["status"] == "stopped"
            assert WHOLE.startswith(stopped["content"])

            fresh = await there.ended(await there.say(conversation, "[[say Awake.]]"))
            assert fresh["content"] == "Awake.", "who woke may begin anew"
        other.end()


def _has_let_go(server: Server, generation_id: str) -> bool:
    """The server has noticed that the generation is not its own any more."""
    return any(
        '"generation.ended"' in line and generation_id in line and '"lost"' in line
        for line in server.log.splitlines()
    )


async def _is(client: Client, conversation: str, message: str, status: str) -> bool:
    return (await client.message(conversation, message))["status"] == status


@pytest.mark.req("R11", "U7")
async def test_a_checkpoint_that_crosses_the_end_of_its_generation_is_not_kept(
    tmp_path: Path, postgres_database: str
):
    """PostgreSQL's writers work side by side: without a lock on the generation's row the
    checkpoint still sees it running, and its chunk is committed after the end folded them all.
    """
    script = Script(["One. ", "Two."], gated=True)
    async with a_table(tmp_path, database_url=postgres_database, script=script) as table:
        sent = await table.say()
        assert sent.generation_id is not None
        name = sent.generation_id
        found = await table.store.read(lambda tx: find_generation(tx, name))
        assert found is not None

        def checkpoint(tx: Writer) -> bool:
            return add_chunk(tx, found.generation, offset=0, text="Late.")

        with psycopg.connect(postgres_database) as ending, ending.cursor() as cursor:
            cursor.execute("UPDATE generations SET status = 'stopped' WHERE id = %s", (name,))
            late = asyncio.create_task(table.store.write(checkpoint))
            await until(lambda: late.done() or _somebody_waits(postgres_database))
            assert not late.done(), "it did not wait for the end that is under way"
            ending.commit()
            assert await late is False
            cursor.execute("UPDATE generations SET status = 'running' WHERE id = %s", (name,))
            ending.commit()
        script.release(2)
        await table.ended(sent)
        assert sent.reply is not None
        assert (await table.message(sent.reply.id)).content == "One. Two."


def _somebody_waits(url: str) -> bool:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
    return row is not None and row[0] > 0
