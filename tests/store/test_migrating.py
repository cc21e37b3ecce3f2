"""A database of an older version is brought up to date with all that is in it (U19)."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

import talekeeper.store.migrations
from talekeeper.conversations.opening import list_conversations
from talekeeper.conversations.reading import read_path, read_tree
from talekeeper.domain.conversations import USUAL_MANNER
from talekeeper.ids import AccountId, ConversationId, MessageId
from talekeeper.store.verifying import verify
from tales import an_account, opened

MIGRATIONS = Path(talekeeper.store.migrations.__file__).parent
NOW = 1_700_000_000_000


def _id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


OWNER, FIRST, CURRENT, EMPTY = _id(1), _id(2), _id(3), _id(4)


@pytest.fixture(
    params=[(engine, last) for engine in ("sqlite", "postgresql") for last in ("0001", "0005")],
    ids="-".join,
)
def old_database(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Any]:
    """A data folder and a database with the first version's tales in it, at the schema of that
    version or of one that was upgraded since.
    """
    engine_name, last = request.param
    url = request.getfixturevalue("postgres_database") if engine_name != "sqlite" else None
    address = (
        f"sqlite:///{tmp_path / 'talekeeper.db'}"
        if url is None
        else url.replace("postgresql:", "postgresql+psycopg:")
    )
    engine = sa.create_engine(address)
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
    address = (
        f"sqlite:///{folder / 'talekeeper.db'}"
        if url is None
        else url.replace("postgresql:", "postgresql+psycopg:")
    )
    engine = sa.create_engine(address)
    with closing(engine.connect()) as connection:
        rows = connection.execute(sa.text("SELECT id, title_by FROM conversations")).all()
    engine.dispose()
    assert {row[0]: row[1] for row in rows} == {
        FIRST: "person",
        CURRENT: "first_words",
        EMPTY: "first_words",
    }


def test_the_revision_that_the_code_expects_is_the_last_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [talekeeper.store.migrations.HEAD]
