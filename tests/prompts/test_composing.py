"""What the AI is told: the newest that fits, the stable part first, with a receipt (C-S5, U25)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from talekeeper.clock import Millis
from talekeeper.domain.conversations import Message, Role
from talekeeper.ids import ConversationId, MessageId
from talekeeper.prompts import composed
from talekeeper.prompts.fitting import estimated_tokens, fitted


def _talk(*contents: str, first: Role = "user") -> list[Message]:
    roles: list[Role] = ["user", "assistant"] if first == "user" else ["assistant", "user"]
    return [
        Message(
            id=MessageId(str(number)),
            conversation_id=ConversationId("c"),
            seq=number,
            parent_id=None,
            role=roles[number % 2],
            content=content,
            status="complete",
            revision=1,
            created_at=Millis(0),
            updated_at=Millis(0),
        )
        for number, content in enumerate(contents)
    ]


def _composed(history: list[Message], *, window: int | None = None, **how: bool):
    return composed(
        history,
        purpose="general",
        model="m",
        window=window,
        continues=how.get("continues", False),
        continues_text=how.get("continues_text", False),
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
    chosen = fitted(history, budget=budget, window=budget + more)
    assert chosen.messages == tuple(history[chosen.left_out :])
    assert chosen.messages[-1] == history[-1]
    assert len(chosen.messages) == 1 or chosen.tokens <= budget + more


@pytest.mark.req("C-S5")
def test_the_last_ten_go_in_past_the_budget_while_the_model_can_hold_them() -> None:
    history = _talk(*["word " * 100] * 30)
    chosen = fitted(history, budget=10, window=100_000)
    assert len(chosen.messages) == 10


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
    history = _talk("A", "", "B")
    turns = _composed(history).request.turns
    assert [turn.role for turn in turns] == ["system", "user"]
    assert turns[1].content == "A\n\nB"


def test_the_receipt_says_what_went_in_and_what_stayed_out() -> None:
    made = _composed(_talk(*["word " * 400] * 30), window=2_000)
    receipt = made.receipt()
    assert [turn["role"] for turn in receipt["turns"]][0] == "system"
    assert [part["included"] for part in receipt["parts"]] == [True, True, False]
    assert receipt["parts"][-1]["why"] == "no room in the model"


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
