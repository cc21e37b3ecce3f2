"""A conversation that nobody named is called by the first thing that was said in it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from talekeeper.conversations.opening import change_conversation, open_conversation
from talekeeper.conversations.reading import read_conversation
from talekeeper.conversations.titling import title_from
from talekeeper.domain.graphemes import cut
from talekeeper.errors import InvalidInput
from tales import a_table

FAMILY = "👩\u200d👩\u200d👧"


@pytest.mark.parametrize(
    ("content", "title"),
    [
        ("Who rules Saltmarsh?", "Who rules Saltmarsh?"),
        ("\n\n## The *Keep*\nmore", "The Keep"),
        ("word " * 30, "word word word word word word word word word word word word…"),
        ("x" * 100, "x" * 60 + "…"),
        ("---\n***", "---"),
        ("  \n ", ""),
        ("\u200b\ufeff\n\u2800\nThe Keep", "The Keep"),
        ("\u202eThe Keep\u202c", "The Keep"),
        ("The\u0007 Keep", "The Keep"),
        ("x" * 57 + FAMILY + "!", "x" * 57 + "…"),
        ("x" * 59 + "🇩🇪", "x" * 59 + "…"),
        ("🇩🇪" * 31, "🇩🇪" * 30 + "…"),
        ("x" * 59 + "e\u0301\u0302", "x" * 59 + "…"),
        ("x" * 59 + "👍🏽", "x" * 59 + "…"),
        ("x" * 59 + "❤\ufe0f", "x" * 59 + "…"),
        ("x" * 58 + "1\ufe0f\u20e3!", "x" * 58 + "…"),
        ("x" * 59 + "\u1112\u1161\u11ab", "x" * 59 + "…"),
        ("x" * 58 + "क्षि!!", "x" * 58 + "…"),
    ],
)
def test_a_title_is_the_first_line_cut_between_words(content: str, title: str) -> None:
    assert title_from(content) == title


@pytest.mark.parametrize("most", range(1, 24))
def test_a_cut_never_divides_what_is_seen_as_one_character(most: int) -> None:
    signs = [FAMILY, "🇩🇪", "e\u0301", "👍🏽", "🏴\U000e0067\U000e007f", "한", "क्षि", "a"]
    text = "".join(signs)
    begins = [text[: len("".join(signs[:count]))] for count in range(len(signs) + 1)]
    kept = cut(text, most)
    assert len(kept) <= most
    assert kept in begins or len(signs[0]) > most


@pytest.mark.parametrize(
    "title", ["\u200b", "\u00ad\u200d", "\ufe0f", "\u2800", "\u3164", "\u0301"]
)
async def test_a_title_that_cannot_be_seen_is_refused(tmp_path: Path, title: str) -> None:
    async with a_table(tmp_path) as table:
        with pytest.raises(InvalidInput, match="cannot be seen"):
            await change_conversation(
                table.store, table.conversation.id, owner_id=table.owner_id, title=title
            )
        with pytest.raises(InvalidInput, match="cannot be seen"):
            await open_conversation(table.store, owner_id=table.owner_id, title=title)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("\u202eThe Keep\u202c", "The Keep"),
        ("The \u2067Keep", "The Keep"),
        ("מגדל\u200f!", "מגדל\u200f!"),
        ("👩\u200d👧", "👩\u200d👧"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("", ""),
    ],
)
async def test_a_title_turns_nothing_that_stands_after_it(
    tmp_path: Path, typed: str, kept: str
) -> None:
    async with a_table(tmp_path) as table:
        changed = await change_conversation(
            table.store, table.conversation.id, owner_id=table.owner_id, title=typed
        )
        assert changed.title == kept
        opened = await open_conversation(table.store, owner_id=table.owner_id, title=typed)
        assert opened.title == kept


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
