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
        ("Sure! Here is a title that sums up the whole conversation for you: The Mill", "The Mill"),
        # JSON
        ('{"title": "The Mill at Dusk"}', "The Mill at Dusk"),
        ('{\n  "title": "The Mill at Dusk",\n  "emoji": "🌾"\n}', "The Mill at Dusk"),
        ('```json\n{"title": "The Mill at Dusk"}\n```', "The Mill at Dusk"),
        ('{"conversation_title": "Die M\\u00fchle"}', "Die Mühle"),
        ('{"name": "The \\"Old\\" Mill"}', 'The "Old" Mill'),
        ('{"titel":"Die Mühle"', "Die Mühle"),
        ('{"title": "The Mill at', ""),
        ('{"result": {"text": "The Mill"}}', "The Mill"),
        ('["The Mill at Dusk"]', "The Mill at Dusk"),
        ('{"error": "no", "code": "x"}', ""),
        ("{}", ""),
        ('Here is the JSON:\n{"title": "The Mill"}', "The Mill"),
        # fences and tags
        ("```\nThe Mill at Dusk\n```", "The Mill at Dusk"),
        ("~~~text\nThe Mill at Dusk", "The Mill at Dusk"),
        ("`The Mill at Dusk`", "The Mill at Dusk"),
        ("<title>The Mill at Dusk</title>", "The Mill at Dusk"),
        ("<TITLE>\nThe Mill\n</TITLE>\nIt is about a mill.", "The Mill"),
        ("Sure!\n<chat_title>The Mill</chat_title>", "The Mill"),
        ("<title>The Mill at Dusk", "The Mill at Dusk"),
        ("<b>The Mill</b>", "The Mill"),
        ('<h1 class="x">The Mill</h1>', "The Mill"),
        # a preamble, and the title below it
        ("Sure! Here's a title for the conversation:\n\nThe Mill at Dusk", "The Mill at Dusk"),
        ("Sure!\n\nThe Mill at Dusk", "The Mill at Dusk"),
        ("Of course.\n**The Mill at Dusk**", "The Mill at Dusk"),
        ('Here is a title: "The Mill"', "The Mill"),
        ("Natürlich! Hier ist ein Titel:\n„Die Mühle am Abend“", "Die Mühle am Abend"),
        ("Voici un titre :\n« Le moulin »", "Le moulin"),
        ("好的，这是标题：\n黄昏的水车", "黄昏的水车"),
        ("Here are some options:\n1. The Mill at Dusk\n2. The Miller", "The Mill at Dusk"),
        ("- The Mill at Dusk", "The Mill at Dusk"),
        ("• The Mill at Dusk", "The Mill at Dusk"),
        ("3) The Mill at Dusk", "The Mill at Dusk"),
        ("Sure! Here's a title for the conversation:", ""),
        # labels
        ("Conversation Title: The Mill", "The Mill"),
        ("Suggested title - a short one: The Mill", "The Mill"),
        ("Titel: Die Mühle", "Die Mühle"),
        ("Titre : Le moulin", "Le moulin"),
        ("Título: El molino", "El molino"),
        ("Название: Мельница", "Мельница"),
        ("标题：黄昏的水车", "黄昏的水车"),
        ("タイトル：黄昏の水車", "黄昏の水車"),
        ("제목: 물레방아", "물레방아"),
        ("العنوان: الطاحونة", "الطاحونة"),
        ("Act II: The Mill", "Act II: The Mill"),
        ("The Lost Title: A Tale", "The Lost Title: A Tale"),
        ("The Name of the Rose: Day 1", "The Name of the Rose: Day 1"),
        ("Here Be Dragons: Part 1", "Here Be Dragons: Part 1"),
        ("Kapitel 3: Der Turm", "Kapitel 3: Der Turm"),
        ("Great Expectations", "Great Expectations"),
        ("[The Mill](https://example.com)", "The Mill"),
        # refusals, and answers that are none
        ("I'm sorry, but I can't help with that.", ""),
        ("I’m sorry, I cannot create a title.", ""),
        ("I cannot provide a title.", ""),
        ("Sorry, I can't do that", ""),
        ("Sorry, Wrong Number", "Sorry, Wrong Number"),
        ("I Can't Sleep", "I Can't Sleep"),
        ("As an AI, I have no title", ""),
        ("Es tut mir leid, das geht nicht", ""),
        ("抱歉，我无法回答", ""),
        ("Untitled", ""),
        ("null", ""),
        # what cannot be seen
        ("\u200b\u200d\ufe0f\u00ad", ""),
        ("\u202eThe Mill\u202c", "The Mill"),
        ("\u2067The\u2069 \u200bMill\ufeff", "The Mill"),
        ("The Mill\u200d", "The Mill"),
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
