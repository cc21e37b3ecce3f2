"""What a model thinks aloud is parted from its reply, however the text was cut, and no word is lost."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from talekeeper.domain.replies import ReasoningDelta, TakenBack, TextDelta
from talekeeper.providers.thinking import Part, Thinking

FINAL = "<|start|>assistant<|channel|>final<|message|>"


def parts_of(chunks: list[str], thinking: Thinking | None = None) -> list[Part]:
    thinking = thinking or Thinking()
    found: list[Part] = []
    for chunk in chunks:
        if thinking.leaves(chunk):
            thinking.said.append(chunk)
            found.append(TextDelta(chunk))
        else:
            found += thinking.parts(chunk)
    return found + thinking.rest()


def thought_and_said(chunks: list[str], thinking: Thinking | None = None) -> tuple[str, str]:
    """What was thought and what the reply is in the end."""
    thought = said = ""
    for part in parts_of(chunks, thinking):
        match part:
            case ReasoningDelta(text):
                thought += text
            case TextDelta(text):
                said += text
            case TakenBack():
                said = ""
    return thought, said


def cut(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


@pytest.mark.parametrize(
    ("text", "thought", "said"),
    [
        ("Plain words.", "", "Plain words."),
        ("<think>hm</think>Yes.", "hm", "Yes."),
        ("\n<think>\nhm < 3 </thin\n</think>\n\nYes. <think>no</think>", "\nhm < 3 </thin\n", None),
        ("<think>never closed </thi", "never closed </thi", ""),
        ("<thi", "", "<thi"),
        ("  <b>bold</b>", "", "  <b>bold</b>"),
        ("", "", ""),
        ("<think></think>", "", ""),
        ("We <think> therefore", "", "We <think> therefore"),
        ("<think>a</think>\n<think>b</think>\n\nYes.", "ab", "Yes."),
        ("<Thinking>hm</Thinking>Yes.", "hm", "Yes."),
        ("<thought>hm</thought>Yes.", "hm", "Yes."),
        ("[THINK]hm[/THINK]Yes.", "hm", "Yes."),
        ("[THIN ice]", "", "[THIN ice]"),
        ("<|channel|>analysis<|message|>hm<|end|>", "hm", ""),
        (
            "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>Yes.",
            "hm",
            "Yes.",
        ),
        (
            f"<|channel|>commentary to=tool <|constrain|>json<|message|>{{}}<|call|>{FINAL}Yes. <3",
            "{}",
            "Yes. <3",
        ),
        ("<|channel|>final<|message|>Yes.<|end|><|start|>assist", "", "Yes."),
        ("<|channel|>" + "x" * 300, "", "<|channel|>" + "x" * 300),
        ("Hm.\n</think>\n\nYes.", "", "Yes."),
        ("Hm. </think> Yes.", "", "Yes."),
        ("</think>\nYes.", "", "Yes."),
        ("Hm\n</think>", "", "Hm\n</think>"),
        ("Hm\n</think>\n\n", "", "Hm\n</think>\n\n"),
        ("The mark `</think>`. Yes.", "", "The mark `</think>`. Yes."),
        ("He says “</think>.” Yes.", "", "He says “</think>.” Yes."),
        ("Write <think>, then\n</think>\nYes.", "", "Write <think>, then\n</think>\nYes."),
        ("```\n</think>\n```\nYes.", "", "```\n</think>\n```\nYes."),
        ("A </think> B. C </think> D.", "", "A </think> B. C </think> D."),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_thinking_ends_where_it_says_however_it_is_cut(
    text: str, thought: str, said: str | None, size: int
) -> None:
    expected = "Yes. <think>no</think>" if said is None else said
    chunks = [text[start : start + size] for start in range(0, len(text), size)]
    assert thought_and_said(chunks) == (thought, expected)


@given(st.text(alphabet="<>/[]|thinkTHINK \n`.a", max_size=60), st.lists(st.integers(0, 60)))
def test_no_character_of_what_is_no_thinking_is_lost(text: str, cuts: list[int]) -> None:
    places = [0, *sorted(min(place, len(text)) for place in cuts), len(text)]
    chunks = [text[start:end] for start, end in zip(places, places[1:], strict=False)]
    parts = parts_of([chunk for chunk in chunks if chunk])
    if all(isinstance(part, TextDelta) for part in parts):
        assert "".join(part.text for part in parts if isinstance(part, TextDelta)) == text


@given(st.text(max_size=200), st.integers(1, 20))
def test_what_a_person_sees_of_a_plain_reply_is_never_far_behind(text: str, size: int) -> None:
    thinking = Thinking()
    shown = came = 0
    for chunk in cut(f"She says {text}".replace("think", "").replace("thought", ""), size):
        came += len(chunk)
        parts = thinking.parts(chunk)
        shown += sum(len(part.text) for part in parts if isinstance(part, TextDelta))
        assert shown == came


@pytest.mark.parametrize("size", [1, 4, 100])
def test_a_model_that_begins_in_thought_is_held_until_its_closing_mark(size: int) -> None:
    thinking = Thinking(begins_in_thought=True)
    text = "Hm.\n</think>\n\nYes."
    assert thought_and_said(cut(text, size), thinking) == ("Hm.\n", "Yes.")
    assert thinking.is_unmarked


def test_a_model_that_was_thought_to_begin_in_thought_and_does_not_loses_no_word() -> None:
    thinking = Thinking(begins_in_thought=True)
    assert thought_and_said(cut("The door opens.", 3), thinking) == ("", "The door opens.")
    assert not thinking.is_unmarked


@pytest.mark.parametrize(
    "piece", ["> quoted\n", "a </think> b ", "<b>bold</b> ", "</think>\n", "`x` ->\n"]
)
def test_marks_in_every_piece_cost_no_more_than_their_length(piece: str) -> None:
    began = time.process_time()
    parts_of(["She says ", *[piece] * 20_000])
    assert time.process_time() - began < 2


def test_long_thinking_without_an_opening_mark_costs_no_more_than_its_length() -> None:
    began = time.process_time()
    thinking = Thinking(begins_in_thought=True)
    thought, said = thought_and_said([*["a > b "] * 20_000, "</think>", "Yes."], thinking)
    assert (len(thought), said) == (120_000, "Yes.")
    assert time.process_time() - began < 2
