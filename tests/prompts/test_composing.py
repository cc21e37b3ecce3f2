"""What the AI is told: the newest that fits, the stable part first, with a receipt (C-S5, U25)."""

import json
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from talekeeper.domain.conversations import AS_THE_PROVIDER_DOES, Line, Role, Sampling
from talekeeper.domain.replies import Turn
from talekeeper.ids import MessageId
from talekeeper.prompts import Composed, composed
from talekeeper.prompts.composing import LEFT_OUT, OPENED, UNANSWERED
from talekeeper.prompts.fitting import estimated_tokens, fitted, limits_of
from talekeeper.prompts.receipts import shown_receipt


def _talk(*contents: str, first: Role = "user") -> list[Line]:
    roles: list[Role] = ["user", "assistant"] if first == "user" else ["assistant", "user"]
    return [
        Line(MessageId(str(number)), roles[number % 2], content)
        for number, content in enumerate(contents)
    ]


def _composed(
    history: list[Line],
    *,
    window: int | None = None,
    longest: int = 32_000,
    sampling: Sampling = AS_THE_PROVIDER_DOES,
    **how: bool,
) -> Composed:
    return composed(
        history,
        purpose="general",
        model="m",
        limits=limits_of(window, longest, sampling),
        continues=how.get("continues", False),
        continues_text=how.get("continues_text", False),
        sampling=sampling,
    )


@given(
    st.lists(st.text(max_size=200), min_size=1, max_size=40),
    st.integers(0, 400),
    st.integers(0, 800),
)
def test_what_fits_is_the_newest_and_always_holds_what_was_asked(
    contents: list[str], budget: int, more: int
) -> None:
    history = _talk(*contents)
    chosen = fitted(history, room=budget, window_room=budget + more)
    assert chosen.messages == tuple(history[chosen.left_out :])
    assert chosen.messages[-1] == history[-1]
    assert len(chosen.messages) == 1 or chosen.tokens <= budget + more


@pytest.mark.req("C-S5")
def test_the_last_ten_go_in_past_the_budget_while_the_model_can_hold_them() -> None:
    history = _talk(*["word " * 100] * 30)
    chosen = fitted(history, room=10, window_room=100_000)
    assert len(chosen.messages) == 10
    made = _composed(history, window=100_000, longest=300)
    assert made.left_out_by == "longest_request"
    told = made.parts[1]
    assert (told.source, told.why) == (
        "10 of 30 messages",
        "the last ones go in past the longest request",
    )
    assert sum(turn.content.count("word " * 100) for turn in made.request.turns) == 10


@pytest.mark.req("C-S5")
def test_a_window_of_a_million_is_not_filled_unasked() -> None:
    history = _talk(*["word " * 400] * 300)
    usual = _composed(history, window=1_000_000)
    assert 31_000 < usual.parts[0].tokens + usual.parts[1].tokens <= 32_000
    assert usual.left_out_by == "longest_request"
    asked_for = _composed(history, window=1_000_000, longest=1_000_000)
    assert asked_for.left_out_by is None


@pytest.mark.req("C-S5")
@pytest.mark.parametrize(
    ("window", "longest", "limit", "why"),
    [
        (4_000, 32_000, "window", "no room in the model's window of 4,000 tokens"),
        (None, 32_000, "window", "the model's window is not known: 8,192 tokens are assumed"),
        (
            100_000,
            9_000,
            "longest_request",
            "over the longest request, a setting: 9,000 tokens",
        ),
        # Not even the last ten find room: it is the window that leaves them out.
        (1_000, 500, "window", "no room in the model's window of 1,000 tokens"),
    ],
)
def test_the_receipt_names_the_limit_that_left_messages_out(
    window: int | None, longest: int, limit: str, why: str
) -> None:
    made = _composed(_talk(*["word " * 400] * 50), window=window, longest=longest)
    receipt = json.loads(made.receipt())
    assert receipt["limits"] == {
        "window": window,
        "assumed_window": None if window else 8_192,
        "longest_request": longest,
        "left_out_by": limit,
    }
    assert [part["why"] for part in receipt["parts"] if not part["included"]] == [why]


def test_chinese_counts_by_the_character() -> None:
    assert estimated_tokens("龙与地下城") == 5
    assert estimated_tokens("dragon") == 2


@pytest.mark.req("U25")
def test_the_system_turn_is_first_and_the_same_whatever_is_said() -> None:
    one = _composed(_talk("Hello"))
    two = _composed(_talk("Hello", "Well met", "Who are you?"))
    assert one.request.turns[0] == two.request.turns[0]
    assert one.request.turns[0].role == "system"


def test_neighbours_of_one_role_become_one_turn() -> None:
    history = [message for message in _talk("A", "gone", "B") if message.content != "gone"]
    turns = _composed(history).request.turns
    assert [turn.role for turn in turns] == ["system", "user"]
    assert turns[1].content == "A\n\nB"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["user", "assistant", "system"]), st.sampled_from(["", " ", "word"])
        ),
        max_size=30,
    ),
    st.sampled_from([None, 200, 300]),
    st.booleans(),
)
def test_whatever_was_said_the_turns_are_legal_for_every_template(
    said: list[tuple[Role, str]], window: int | None, continues: bool
) -> None:
    said = [*said, ("user", "asked")]
    if continues:
        said.append(("assistant", "begun"))
    history = [Line(MessageId(str(n)), role, content) for n, (role, content) in enumerate(said)]
    for continues_text in (True, False):
        turns = _composed(
            history, window=window, continues=continues, continues_text=continues_text
        ).request.turns
        roles = [turn.role for turn in turns]
        expected = ["system", *(["user", "assistant"] * len(roles))]
        assert roles == expected[: len(roles)]
        assert roles[-1] == ("assistant" if continues and continues_text else "user")
        assert all(turn.content.strip() for turn in turns)


def test_an_opening_by_the_assistant_and_a_talk_that_was_cut_are_told_apart() -> None:
    whole = _composed(_talk("Rain.", "We knock.", first="assistant"))
    assert [turn.content for turn in whole.request.turns[1:]] == [OPENED, "Rain.", "We knock."]
    long = _talk(*["word " * 300] * 11)
    cut = _composed(long, window=1_500)
    assert [turn.role for turn in cut.request.turns] == ["system", "user", "assistant", "user"]
    assert cut.request.turns[1].content == LEFT_OUT
    for made, words in ((whole, OPENED), (cut, LEFT_OUT)):
        receipt = shown_receipt(made.receipt(), lambda _: "")
        assert receipt["turns"][1] == {"role": "user", "content": words}
        told = [part for part in receipt["parts"] if part["part"] == "opening"]
        assert [part["source"] for part in told] == [words]


@pytest.mark.req("U24")
def test_a_message_without_an_answer_is_marked_and_not_run_together_with_the_next() -> None:
    made = _composed(_talk("Burn the mill!", "  ", "No: who is at the door?"))
    turns = made.request.turns
    assert [turn.role for turn in turns] == ["system", "user"]
    assert turns[1].content == (f"Burn the mill!\n\n{UNANSWERED}\n\nNo: who is at the door?")
    told = [part for part in json.loads(made.receipt())["parts"] if part["part"] == "unanswered"]
    assert [(part["source"], part["included"]) for part in told] == [("1 of these messages", True)]


@pytest.mark.req("U24")
def test_a_message_that_was_answered_even_in_part_is_not_marked() -> None:
    made = _composed(_talk("Burn the mill!", "It bu", "And then?", "Ash."))
    assert UNANSWERED not in "".join(turn.content for turn in made.request.turns)
    assert [part.part for part in made.parts] == ["purpose", "history"]


@pytest.mark.req("U24")
@given(st.lists(st.sampled_from(["", " ", "word", "two words"]), min_size=1, max_size=30))
def test_whatever_failed_roles_take_turns_and_each_lost_answer_is_marked_once(
    replies: list[str],
) -> None:
    said = [text for reply in replies for text in ("asked", reply)]
    turns = _composed(_talk(*said, "asked at last"), window=100_000).request.turns
    roles = [turn.role for turn in turns[1:]]
    assert all(one != other for one, other in pairwise(roles))
    assert roles[0] == roles[-1] == "user"
    assert not turns[-1].content.endswith(UNANSWERED)
    marks = sum(turn.content.count(UNANSWERED) for turn in turns)
    assert marks == sum(not reply.strip() for reply in replies)
    assert sum(turn.content.count("asked") for turn in turns[1:]) == len(replies) + 1


@pytest.mark.req("U24")
def test_marks_take_their_room_and_not_the_replys() -> None:
    made = _composed(_talk(*["word " * 90, ""] * 200, "word " * 90), window=4_000)
    sent = sum(estimated_tokens(turn.content) + 4 for turn in made.request.turns)
    assert sent <= 4_000 - 1_000


def test_how_the_reply_is_to_be_made_goes_into_the_request_and_the_receipt() -> None:
    made = _composed(_talk("Hello"), sampling=Sampling(0.4, 0.9, 700))
    assert made.request.temperature == 0.4
    assert made.request.top_p == 0.9
    assert made.request.max_tokens == 700
    assert json.loads(made.receipt(unheeded=["top_p"]))["sampling"] == {
        "temperature": 0.4,
        "top_p": 0.9,
        "max_tokens": 700,
        "unheeded": ["top_p"],
    }


def test_a_longest_reply_has_its_room_kept_free_up_to_half_of_the_window() -> None:
    history = _talk(*["word " * 80] * 60)
    shares = [
        _composed(history, window=8_000, sampling=Sampling(max_tokens=tokens)).parts[1].tokens
        for tokens in (100, 3_000, 1_000_000)
    ]
    assert shares == sorted(shares, reverse=True)
    assert len(set(shares)) == 3
    assert shares[-1] > 3_500


def test_the_receipt_says_what_went_in_and_what_stayed_out() -> None:
    made = _composed(_talk(*["word " * 400] * 30), window=2_000)
    receipt = json.loads(made.receipt())
    assert [turn["role"] for turn in receipt["turns"]][0] == "system"
    assert [part["included"] for part in receipt["parts"]] == [True, True, False]
    assert receipt["parts"][-1]["why"] == "no room in the model's window of 2,000 tokens"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["user", "assistant", "system"]),
            st.sampled_from(["", "  ", "Aye.", "word " * 300, "Čállön 🐉 " * 40]),
        ),
        min_size=1,
        max_size=40,
    ),
    st.sampled_from([None, 300, 2_000]),
    st.booleans(),
    st.booleans(),
)
def test_the_receipt_shows_every_turn_to_the_letter_and_stores_nobodys_words(
    said: list[tuple[Role, str]], window: int | None, continues: bool, continues_text: bool
) -> None:
    history = [Line(MessageId(str(place)), *each) for place, each in enumerate(said)]
    assume(history[-1].content.strip() or not continues)
    made = _composed(history, window=window, continues=continues, continues_text=continues_text)
    stored = made.receipt()
    # A reply that was told goes on growing.
    contents = {line.id: line.content + " And more." for line in history}
    shown = shown_receipt(stored, contents.__getitem__)
    assert [Turn(**turn) for turn in shown["turns"]] == list(made.request.turns)
    assert "Aye." not in stored or continues
    assert len(stored) < 1_500 + 60 * len(history)
    gone = shown_receipt(stored, lambda _id: "")
    assert "Aye." not in str(gone) or continues


def test_a_receipt_that_holds_the_texts_themselves_is_shown_as_it_is() -> None:
    turns = [{"role": "user", "content": "Is the bridge out?"}]
    older = json.dumps({"model": "m", "sampling": {}, "parts": [], "turns": turns})
    shown = shown_receipt(older, lambda _id: "nothing")
    assert (shown["turns"], shown["model"]) == (turns, "m")


def test_a_model_that_cannot_continue_is_asked_to_and_told_where() -> None:
    history = _talk("Tell me", "The old bridge over the river is")
    asked = _composed(history, continues=True).request
    assert not asked.continues
    assert asked.turns[-1].role == "user"
    assert "«bridge over the river is»" in asked.turns[-1].content or "river is" in (
        asked.turns[-1].content
    )
    able = _composed(history, continues=True, continues_text=True).request
    assert able.continues
    assert able.turns[-1].content == "The old bridge over the river is"


def test_what_was_not_even_read_is_said_to_be_left_out() -> None:
    history = _talk("Who is there?")
    made = composed(
        history,
        purpose="general",
        model="m",
        limits=limits_of(None, 32_000, AS_THE_PROVIDER_DOES),
        continues=False,
        continues_text=True,
        is_whole=False,
    )
    assert [(part.source, part.included) for part in made.parts[1:]] == [
        ("the newest 1 messages", True),
        ("all older messages", False),
    ]
