"""Folding: whatever pieces a model sends, what comes out can be stored, sent and counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from talekeeper.generation.folding import folded, joined, settled

ANY = st.text(alphabet=st.characters(exclude_categories=[]), max_size=40)


def _all(pieces: list[str]) -> str:
    out, held = "", ""
    for piece in pieces:
        text, held = folded(held, piece)
        out += text
    return out + settled(held)


@given(st.lists(ANY, max_size=12))
def test_what_comes_out_is_always_text_that_both_databases_take(pieces: list[str]) -> None:
    text = _all(pieces)
    assert text.encode("utf-8").decode("utf-8") == text
    assert "\x00" not in text


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), max_size=60), st.data())
def test_good_text_comes_out_as_it_went_in_however_it_is_cut(
    text: str, data: st.DataObject
) -> None:
    units = text.encode("utf-16-le", "surrogatepass")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(units) // 2), max_size=8)))
    edges = [0, *cuts, len(units) // 2]
    pieces = [
        units[2 * a : 2 * b].decode("utf-16-le", "surrogatepass")
        for a, b in zip(edges, edges[1:], strict=False)
    ]
    assert _all(pieces) == text


def test_a_lone_half_becomes_the_replacement_character() -> None:
    assert _all(["a\ud83d", "b"]) == "a\ufffdb"
    assert _all(["a\ud83d"]) == "a\ufffd"
    assert _all(["\udde1x"]) == "\ufffdx"


@pytest.mark.parametrize(
    ("before", "text", "whole"),
    [
        (
            "The old man said noth",
            "The old man said nothing more.",
            "The old man said nothing more.",
        ),
        ("The door is half", "is half open, and", "The door is half open, and"),
        ("The door is half", "«door is half» open", "The door is half open"),
        ("He waits.", "Then he goes.", "He waits. Then he goes."),
        ("the goblin", "runs away", "the goblin runs away"),
        ("the goblin ", "runs away", "the goblin runs away"),
        ("The bridge is ", "«The bridge is» out", "The bridge is out"),
        ("the gob", " lin", "the gob lin"),
        ("", "Hello", "Hello"),
        ("Once", "", "Once"),
    ],
)
def test_a_continued_reply_is_joined_at_its_seam(before: str, text: str, whole: str) -> None:
    assert before + joined(before, text) == whole
