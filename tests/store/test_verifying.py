"""Verifying names what breaks a rule of what was put away, so that other tests may lean on it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from talekeeper.conversations.branching import delete_message
from talekeeper.conversations.trashing import delete_conversation
from talekeeper.database import Store
from talekeeper.store.verifying import verify
from tales import a_table

ORACLE = """
    INSERT INTO connections (account_id, id, kind, name, name_key, created_at)
    SELECT id, id, 'oracle', 'Oracle', 'oracle', 0 FROM accounts
"""
LEFT = "(SELECT key FROM messages WHERE content = 'left')"


@pytest.mark.req("NFR-004")
@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (
            "UPDATE conversations SET message_count = message_count + 1",
            "as many messages or characters as it says",
        ),
        (
            "UPDATE conversations SET characters = characters - 1 WHERE deleted_at IS NULL",
            "as many messages or characters as it says",
        ),
        (
            "UPDATE messages SET deleted_by = NULL WHERE content = 'deep'",
            "what it stands under was deleted, and it was not",
        ),
        (
            f"UPDATE messages SET deleted_by = {LEFT} WHERE content = 'right'",
            "deleted with one that does not stand above it",
        ),
        (
            "UPDATE messages SET deleted_at = NULL WHERE content = 'left'",
            "deleted with one that does not stand above it, or that was not deleted",
        ),
        (
            f"UPDATE conversations SET leaf_key = {LEFT} WHERE deleted_at IS NULL",
            "its active leaf is missing, deleted",
        ),
        (
            "UPDATE conversations SET leaf_key = NULL WHERE deleted_at IS NULL",
            "it has messages and no active leaf",
        ),
        (
            "UPDATE messages SET finish_reason = 'stop' WHERE role = 'user'",
            "it says why it was ended, and did not come to its end",
        ),
        (
            "UPDATE generations SET status = 'running'",
            "it runs in the trash",
        ),
        (
            ORACLE,
            "kind of connection “oracle”",
        ),
    ],
)
async def test_a_row_that_breaks_a_rule_is_named(
    tmp_path: Path, damage: str, sentence: str
) -> None:
    async with a_table(tmp_path) as table:
        root = await table.say("root", wants_reply=False)
        left = await table.say("left", wants_reply=False)
        await table.say("deep", wants_reply=False)
        await table.say("right", parent_id=root.message.id, wants_reply=False)
        await delete_message(table.store, left.message.id, owner_id=table.owner_id)
        other = await table.another_conversation()
        sent = await table.say("Go", conversation_id=other.id)
        await table.ended(sent)
        await delete_conversation(table.store, table.generations, other.id, owner_id=table.owner_id)
    with closing(sqlite3.connect(tmp_path / "talekeeper.db")) as connection, connection:
        connection.execute(damage)
    store = await Store.open(tmp_path)
    try:
        found = await verify(store)
    finally:
        await store.close()
    assert any(sentence in each for each in found), found
