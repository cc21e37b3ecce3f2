"""What is taken of a model's answer for a title: one clean line, or nothing at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from talekeeper.prompts.titling import MAX_MADE_TITLE, cleaned_title, title_request


@pytest.mark.parametrize(
    ("answer", "title"),
    [
        ("The Mill at Dusk", "The Mill at Dusk"),
        ("\n\n  The Mill at Dusk  \nIt is about a mill.", "The Mill at Dusk"),
        ('"The Mill at Dusk."', "The Mill at Dusk"),
        ("**Title:** The Mill at Dusk", "The Mill at Dusk"),
        ("# „Die Mühle am Abend“", "Die Mühle am Abend"),
        ("«Le moulin»", "Le moulin"),
        ("Who Goes There?", "Who Goes There?"),
        ("And then ...", "And then ..."),
        ("「黄昏の水車小屋」", "黄昏の水車小屋"),
        ("The\tMill\u202e at\u0007 Dusk", "The Mill at Dusk"),
        ("👩‍👧 at the Mill", "👩‍👧 at the Mill"),
        ("", ""),
        ("***", ""),
        ("Sure! Here is a title that sums up the whole conversation for you: The Mill", ""),
    ],
)
def test_a_title_is_cleaned_or_not_taken(answer: str, title: str) -> None:
    assert cleaned_title(answer) == title


@given(st.text())
def test_whatever_a_model_says_a_title_is_one_short_line_that_stays_as_it_is(answer: str) -> None:
    title = cleaned_title(answer)
    assert len(title) <= MAX_MADE_TITLE
    assert len(title.splitlines()) <= 1
    assert title == title.strip()
    assert title == "" or any(sign.isalnum() for sign in title)
    assert not any("\ud800" <= sign <= "\udfff" or sign < " " for sign in title)


def test_the_request_is_short_however_long_the_exchange_was() -> None:
    request = title_request(model="m", question="why " * 50_000, answer="so " * 50_000)
    assert sum(len(turn.content) for turn in request.turns) < 2_500
    assert [turn.role for turn in request.turns] == ["system", "user"]
