"""A conversation that nobody named is called by the first thing that was said in it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from talekeeper.conversations.opening import change_conversation
from talekeeper.conversations.reading import read_conversation
from talekeeper.conversations.titling import title_from
from tales import a_table


@pytest.mark.parametrize(
    ("content", "title"),
    [
        ("Who rules Saltmarsh?", "Who rules Saltmarsh?"),
        ("\n\n## The *Keep*\nmore", "The Keep"),
        ("word " * 30, "word word word word word word word word word word word word…"),
        ("x" * 100, "x" * 60 + "…"),
        ("---\n***", "---"),
        ("  \n ", ""),
    ],
)
def test_a_title_is_the_first_line_cut_between_words(content: str, title: str) -> None:
    assert title_from(content) == title


@given(st.text(max_size=300))
def test_a_title_is_always_one_short_line(content: str) -> None:
    title = title_from(content)
    assert len(title) <= 61
    assert "\n" not in title


async def test_the_first_message_names_the_conversation_and_a_chosen_name_stays(
    tmp_path: Path,
) -> None:
    async with a_table(tmp_path) as table:
        await table.said("The bridge of sighs")
        first = await read_conversation(table.store, table.conversation.id, owner_id=table.owner_id)
        assert first.title == "The bridge of sighs"
        await change_conversation(
            table.store, table.conversation.id, owner_id=table.owner_id, title="Session 3"
        )
        await table.said("Another thing")
        second = await read_conversation(
            table.store, table.conversation.id, owner_id=table.owner_id
        )
        assert second.title == "Session 3"
