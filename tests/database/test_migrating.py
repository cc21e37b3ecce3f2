"""A database of an older version is brought up to date with all that is in it (U19)."""

import asyncio
import signal
import subprocess
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

import talekeeper.database.migrations
from servers import on_both_engines
from talekeeper.conversations.opening import list_conversations
from talekeeper.conversations.reading import read_path, read_tree
from talekeeper.domain.conversations import USUAL_MANNER
from talekeeper.ids import AccountId, ConversationId, MessageId
from talekeeper.store.verifying import verify
from tales import an_account, opened

MIGRATIONS = Path(talekeeper.database.migrations.__file__).parent
NOW = 1_700_000_000_000


def _id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


OWNER, FIRST, CURRENT, EMPTY = _id(1), _id(2), _id(3), _id(4)


@pytest.fixture(
    params=[
        (engine, last) for engine in ("sqlite", "postgresql") for last in ("0001", "0005", "0007")
    ],
    ids="-".join,
)
def old_database(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Any]:
    """A data folder and a database with the first version's tales in it, at the schema of that
    version or of one that was upgraded since.
    """
    engine_name, last = request.param
    url = request.getfixturevalue("postgres_database") if engine_name != "sqlite" else None
    engine = sa.create_engine(_address(tmp_path, url))
    with closing(engine.connect()) as connection:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        _tell_a_tale(connection)
        command.upgrade(config, last)
        connection.commit()
    engine.dispose()
    return tmp_path, url


def _address(folder: Path, url: str | None) -> str:
    if url is None:
        return f"sqlite:///{folder / 'talekeeper.db'}"
    return url.replace("postgresql:", "postgresql+psycopg:")


def _tell_a_tale(connection: sa.Connection) -> None:
    """Three conversations: one with two branches and a reply that was being spoken, one that is
    the current one, one that is empty.
    """

    def put(table: str, **values: Any) -> None:
        names = ", ".join(values)
        places = ", ".join(f":{name}" for name in values)
        always = " OVERRIDING SYSTEM VALUE" if connection.dialect.name == "postgresql" else ""
        connection.execute(
            sa.text(f"INSERT INTO {table} ({names}){always} VALUES ({places})"),
            values,
        )

    put("installation", id=1, installation_id=_id(9), created_at=NOW)
    put("accounts", id=OWNER, name="Ada", name_key="ada", is_admin=1, created_at=NOW)
    for rank, (name, title, role, seq, leaf) in enumerate(
        [
            (FIRST, "The keep", None, 6, 4),
            (CURRENT, "", "current_global", 2, 5),
            (EMPTY, "", None, 1, None),
        ]
    ):
        put(
            "conversations", id=name, owner_id=OWNER, title=title, purpose="general", role=role,
            activity=rank + 1, seq=seq, epoch=2, leaf_key=leaf, created_at=NOW, updated_at=NOW + rank,
        )  # fmt: skip
        put("events", conversation_id=name, seq=1, kind="conversation", message_key=None)
    for key, conversation, parent, seq, role, status, content in [
        (1, FIRST, None, 2, "user", "complete", "Who is at the door? 🐉"),
        (2, FIRST, 1, 3, "assistant", "complete", "A raven."),
        (3, FIRST, 1, 4, "assistant", "stopped", "An envoy of"),
        (4, FIRST, 3, 5, "user", "complete", "Of whom?"),
        (5, CURRENT, None, 2, "user", "complete", "We meet again."),
    ]:
        put(
            "messages", key=key, id=_id(100 + key), conversation_id=conversation,
            parent_key=parent, seq=seq, role=role, status=status, revision=1, created_at=NOW,
            updated_at=NOW, content=content,
        )  # fmt: skip
        put("events", conversation_id=conversation, seq=seq, kind="message_added", message_key=key)
    put("events", conversation_id=FIRST, seq=6, kind="conversation", message_key=None)
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT setval(pg_get_serial_sequence('messages', 'key'), 100)"))


@pytest.mark.req("U19", "NFR-004")
async def test_what_the_first_version_stored_is_there_and_counted(
    old_database: tuple[Path, Any],
) -> None:
    folder, url = old_database
    owner_id = AccountId(OWNER)
    async with opened(folder, database_url=url) as store:
        assert await verify(store) == []
        page = await list_conversations(store, owner_id=owner_id, cursor=None, limit=10)
        by_id = {each.id: each for each in page.items}
        assert [each.id for each in page.items] == [EMPTY, CURRENT, FIRST]
        counted = {key: (each.message_count, each.characters) for key, each in by_id.items()}
        words = len("Who is at the door? 🐉A raven.An envoy ofOf whom?")
        assert counted == {EMPTY: (0, 0), CURRENT: (1, 14), FIRST: (4, words)}
        current = by_id[ConversationId(CURRENT)]
        assert current.is_current
        assert not any(each.pinned or each.archived_at or each.deleted_at for each in page.items)
        path = await read_path(
            store, ConversationId(FIRST), owner_id=owner_id, leaf_id=None, limit=10
        )
        assert [each.content for each in path.items] == [
            "Who is at the door? 🐉",
            "An envoy of",
            "Of whom?",
        ]
        assert path.items[1].sibling_ids == (MessageId(_id(102)), MessageId(_id(103)))
        tree = await read_tree(store, ConversationId(FIRST), owner_id=owner_id, after=0, limit=10)
        assert len(tree.items) == 4
        assert all(each.bookmark is None and each.deleted_at is None for each in tree.items)
        assert all(each.finish_reason is None for each in tree.items)
        assert all(each.manner == USUAL_MANNER for each in tree.items)
        assert not any(each.hidden_from_ai or each.parts for each in tree.items)


@pytest.mark.req("U19")
async def test_a_title_of_the_first_version_is_never_replaced_by_a_made_one(
    old_database: tuple[Path, Any],
) -> None:
    folder, url = old_database
    async with opened(folder, database_url=url) as store:
        await an_account(store, "Bea")
    engine = sa.create_engine(_address(folder, url))
    with closing(engine.connect()) as connection:
        rows = connection.execute(sa.text("SELECT id, title_by FROM conversations")).all()
    engine.dispose()
    assert {row[0]: row[1] for row in rows} == {
        FIRST: "person",
        CURRENT: "first_words",
        EMPTY: "first_words",
    }


def _before_logs(connection: sa.Connection) -> None:
    """What the schema 0007 could hold and 0008 holds otherwise: jobs, an emptied message, a
    conversation that is being removed, a copy that is being made, places of the search index.
    """
    run = partial(_run, connection)
    for name, number in ((GOING, 20), (COPY, 21)):
        run(
            "INSERT INTO conversations (id, owner_id, title, purpose, activity, seq, epoch,"
            f" created_at, updated_at, deleted_at, removed_at) VALUES ('{name}', '{OWNER}', '',"
            f" 'general', {number}, 1, 0, {NOW}, {NOW}, {NOW if name == GOING else 0}, {NOW + 5})"
        )
        run(f"INSERT INTO events VALUES ('{name}', 1, 'conversation', NULL)")
        run(f"INSERT INTO search_places VALUES ('{name}', 1)")
    run(f"INSERT INTO search_places VALUES ('{FIRST}', 4)")
    run(
        f"UPDATE messages SET deleted_at = {NOW + 7}, deleted_by = 2, emptied_at = {NOW + 9},"
        " content = '' WHERE key = 2"
    )
    run(
        "UPDATE conversations SET message_count = 3, characters = characters - 8"
        f" WHERE id = '{FIRST}'"
    )
    run(f"UPDATE messages SET updated_at = {NOW + 3} WHERE key = 3")
    run(f"INSERT INTO events VALUES ('{FIRST}', 7, 'message_changed', 3)")
    run(f"UPDATE conversations SET seq = 7 WHERE id = '{FIRST}'")
    for number, state in enumerate(("queued", "done", "failed")):
        run(
            "INSERT INTO jobs (id, kind, unique_key, conversation_id, owner_id, state, attempts,"
            f" run_at, created_at, updated_at) VALUES ('{_id(50 + number)}', 'title', '{number}',"
            f" '{FIRST}', '{OWNER}', '{state}', 1, {NOW}, {NOW}, {NOW})"
        )
    run(
        "INSERT INTO access_tokens (id, account_id, kind, hash, created_at)"
        f" VALUES ('{_id(60)}', '{OWNER}', 'bearer', 'hash', {NOW})"
    )


def _run(connection: sa.Connection, sql: str) -> list[tuple[Any, ...]]:
    found = connection.execute(sa.text(sql))
    return [tuple(row) for row in found] if found.returns_rows else []


GOING, COPY = _id(5), _id(6)
WHOLE = (
    "SELECT log_kind, log_id, seq, at, kind, message_key, subject_id FROM events"
    f" WHERE log_id IN ('{FIRST}', '{OWNER}') ORDER BY log_kind, log_id, seq"
)


def _made_before_logs(folder: Path, url: str | None) -> None:
    engine = sa.create_engine(_address(folder, url))
    with closing(engine.connect()) as connection:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        _tell_a_tale(connection)
        command.upgrade(config, "0007")
        _before_logs(connection)
        connection.commit()
    engine.dispose()


@pytest.mark.req("U19")
@on_both_engines
async def test_what_was_stored_before_there_were_logs_of_accounts_has_times_and_tombstones(
    tmp_path: Path, database_url: str | None
) -> None:
    _made_before_logs(tmp_path, database_url)
    async with opened(tmp_path, database_url=database_url) as store:
        assert await verify(store) == []
    engine = sa.create_engine(_address(tmp_path, database_url))
    with closing(engine.connect()) as connection:
        log = ("conversation", FIRST)
        assert _run(connection, WHOLE) == [
            ("account", OWNER, 1, NOW + 5, "conversation_gone", None, GOING),
            (*log, 1, NOW, "conversation", None, None),
            (*log, 2, NOW, "message_added", 1, None),
            (*log, 3, NOW, "message_added", 2, None),
            (*log, 4, NOW, "message_added", 3, None),
            (*log, 5, NOW, "message_added", 4, None),
            (*log, 6, NOW, "conversation", None, None),
            (*log, 7, NOW + 3, "message_changed", 3, None),
            (*log, 8, NOW + 9, "message_emptied", 2, None),
        ]
        places = _run(connection, "SELECT follower, log_kind, log_id, seq FROM places")
        assert places == [("search", "conversation", FIRST, 4)]
        jobs = _run(connection, "SELECT state, unique_key, payload, progress FROM jobs ORDER BY id")
        assert jobs == [
            ("queued", "0", "{}", 0),
            ("done", "1", "{}", 0),
            ("failed", "2", "{}", 0),
        ]
        assert _run(connection, "SELECT kind FROM access_tokens") == [("bearer",)]
        assert _run(connection, "SELECT count(*) FROM messages") == [(5,)]
    engine.dispose()


KILLED = """
import os, signal, sqlite3, sys
from pathlib import Path
from talekeeper.clock import SystemClock
from talekeeper.database.migrating import migrate
from talekeeper.database.sqlite import Sqlite

folder, count = Path(sys.argv[1]), int(sys.argv[2])
connect = Sqlite.connect_writer

def watched(seam):
    connection = connect(seam)
    connection.execute("PRAGMA cache_size = 5")  # so that the log has much of what is not committed
    left = count
    def trace(sql):
        global left
        if sql.lstrip()[:6].upper() in ("CREATE", "INSERT", "UPDATE", "DROP T", "ALTER "):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
    globals()["left"] = left
    connection.set_trace_callback(trace)
    return connection

Sqlite.connect_writer = watched
migrate(Sqlite(folder / "talekeeper.db"), SystemClock())
print("migrated")
"""


@pytest.mark.req("R22", "U19")
async def test_an_upgrade_that_is_killed_leaves_everything_as_it_was_and_is_done_by_the_next_start(
    tmp_path: Path,
) -> None:
    _made_before_logs(tmp_path, None)
    engine = sa.create_engine(_address(tmp_path, None))
    deaths = 0
    for count in (1, 4, 9, 14, 20, 26, 33):
        killed = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", KILLED, str(tmp_path), str(count)],
            capture_output=True,
            text=True,
        )
        deaths += killed.returncode == -signal.SIGKILL
        with closing(engine.connect()) as connection:
            assert _run(connection, "SELECT version_num FROM alembic_version") == [("0007",)]
            assert _run(connection, "SELECT count(*) FROM messages") == [(5,)]
            assert _run(connection, "SELECT count(*) FROM conversations") == [(5,)]
    engine.dispose()
    assert deaths == 7, killed.stderr
    async with opened(tmp_path) as store:
        assert await verify(store) == []


def test_the_revision_that_the_code_expects_is_the_last_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [talekeeper.database.migrations.HEAD]
