"""What the AI is told: the newest that fits, the stable part first, with a receipt (C-S5, U25)."""

from itertools import pairwise

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from talekeeper.domain.audiences import (
    AS_GAME_MASTER,
    EVERYBODY,
    GAME_MASTER,
    Audience,
    Viewer,
    audience_of,
)
from talekeeper.domain.conversations import AS_THE_PROVIDER_DOES, Line, Role, Sampling
from talekeeper.errors import ContextTooLong, NothingToAnswer
from talekeeper.ids import MessageId, RecordId
from talekeeper.prompts import Composed, composed, divided
from talekeeper.prompts.dividing import HIDDEN, UNANSWERED
from talekeeper.prompts.fitting import LEAST_MESSAGES, cost_of, estimated_tokens, window_of
from talekeeper.prompts.receipts import Receipt, ReceiptSampling, began_at, shown_receipt
from talekeeper.prompts.sections import Section, SectionName, Text
from talekeeper.prompts.turns import LEFT_OUT, OPENED


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
    is_whole: bool = True,
    began_at: MessageId | None = None,
    **how: bool,
) -> Composed:
    sections = divided(
        history,
        purpose="general",
        continues=how.get("continues", False),
        continues_text=how.get("continues_text", False),
        is_whole=is_whole,
    )
    return composed(
        sections,
        window_of(window, longest, sampling),
        model="m",
        sampling=sampling,
        began_at=began_at,
    )


def _shown(made: Composed, history: list[Line]) -> Receipt:
    written = made.receipt()
    contents = {line.id: line.content for line in history}
    return shown_receipt(written.json, message=contents.__getitem__, text=written.texts.__getitem__)


def _used(made: Composed, name: SectionName = "history") -> int:
    return made.fitting.sections[name].used


def _left_out(made: Composed, name: SectionName = "history") -> list[tuple[str, str]]:
    return [(text.source, why) for text, why in made.fitting.sections[name].left_out]


@given(
    st.lists(st.text(max_size=200), min_size=1, max_size=40),
    st.integers(200, 800),
    st.integers(300, 800),
)
def test_what_fits_is_the_newest_and_always_holds_what_was_asked(
    contents: list[str], longest: int, window: int
) -> None:
    history = _talk(*contents, "What now?")
    made = _composed(history, window=window, longest=longest)
    told = [line for line in history[:-1] if line.content.strip()]
    taken = [text.message for text in reversed(made.fitting.sections["history"].included)]
    assert taken == told[len(told) - len(taken) :]
    assert made.request.turns[-1].content.endswith("What now?")
    spent = sum(_used(made, name) for name in made.fitting.sections)
    assert spent <= made.window.model_room
    assert spent <= made.window.room or len(taken) <= LEAST_MESSAGES


@pytest.mark.req("C-S5")
def test_the_last_ten_go_in_past_the_budget_while_the_model_can_hold_them() -> None:
    history = [*_talk(*["word " * 100] * 30), Line(MessageId("asked"), "user", "And now?")]
    made = _composed(history, window=100_000, longest=300)
    assert made.fitting.left_out_by == "longest_request"
    told = made.fitting.sections["history"]
    assert (len(told.included), told.why) == (10, "the last ones go in past the longest request")
    assert _left_out(made)[0][0] == "20 older messages"
    assert sum(turn.content.count("word " * 100) for turn in made.request.turns) == 10


@pytest.mark.req("C-S5")
def test_a_window_of_a_million_is_not_filled_unasked() -> None:
    history = _talk(*["word " * 400] * 300)
    usual = _composed(history, window=1_000_000)
    assert 23_000 < sum(_used(usual, name) for name in usual.fitting.sections) <= 32_000
    assert usual.fitting.left_out_by == "longest_request"
    asked_for = _composed(history, window=1_000_000, longest=1_000_000)
    assert asked_for.fitting.left_out_by is None


@pytest.mark.req("C-S5")
@pytest.mark.parametrize(
    ("window", "longest", "named_by", "limit", "why"),
    [
        (4_000, 32_000, "window", "window", "no room in the model's window of 4,000 tokens"),
        (
            None,
            32_000,
            "assumed_window",
            "window",
            "the model's window is not known: 8,192 tokens are assumed",
        ),
        (
            100_000,
            9_000,
            "longest_request",
            "longest_request",
            "over the longest request, a setting: 9,000 tokens",
        ),
        # Not even the last ten find room: it is the window that leaves them out.
        (
            1_000,
            500,
            "longest_request",
            "window",
            "no room in the model's window of 1,000 tokens",
        ),
    ],
)
def test_the_receipt_names_the_window_and_the_limit_that_left_messages_out(
    window: int | None, longest: int, named_by: str, limit: str, why: str
) -> None:
    history = _talk(*["word " * 400] * 50)
    made = _composed(history, window=window, longest=longest)
    receipt = _shown(made, history)
    told = receipt.window
    assert (told.window, told.assumed_window) == (window, None if window else 8_192)
    assert (told.longest_request, told.named_by, told.left_out_by) == (longest, named_by, limit)
    assert told.room == made.window.room
    left_out = [text for section in receipt.sections for text in section.texts if not text.included]
    assert [text.why for text in left_out] == [why]


@pytest.mark.req("C-S5")
def test_a_message_that_the_model_cannot_hold_is_refused_with_both_counts() -> None:
    with pytest.raises(
        ContextTooLong, match=r"about 2,\d+ tokens, .* room for 750 \(1,000 less 250"
    ):
        _composed(_talk("word " * 1_600), window=1_000)
    # The longest request is a setting against costs: it never keeps a typed message from the model.
    made = _composed(_talk("word " * 1_600), window=100_000, longest=300)
    assert made.request.turns[-1].content == "word " * 1_600
    # What is only assumed refuses nothing: the provider knows better.
    assert _composed(_talk("word " * 30_000)).request.turns[-1].content == "word " * 30_000


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
    opened = _talk("Rain.", "We knock.", first="assistant")
    whole = _composed(opened)
    assert [turn.content for turn in whole.request.turns[1:]] == [OPENED, "Rain.", "We knock."]
    long = _talk(*["word " * 300] * 11)
    cut = _composed(long, window=1_500)
    assert cut.fitting.left_out_by == "window"
    assert [turn.role for turn in cut.request.turns] == ["system", "user", "assistant", "user"]
    assert cut.request.turns[1].content == LEFT_OUT
    for made, history, words in ((whole, opened, OPENED), (cut, long, LEFT_OUT)):
        receipt = _shown(made, history)
        assert (receipt.turns[1].role, receipt.turns[1].content) == ("user", words)
        sources = [text.source for section in receipt.sections for text in section.texts]
        assert sources.count("opening") == 1


@pytest.mark.req("U24")
def test_a_message_without_an_answer_is_marked_and_not_run_together_with_the_next() -> None:
    history = _talk("Burn the mill!", "  ", "No: who is at the door?")
    made = _composed(history)
    turns = made.request.turns
    assert [turn.role for turn in turns] == ["system", "user"]
    assert turns[1].content == (f"Burn the mill!\n\n{UNANSWERED}\n\nNo: who is at the door?")
    told = [text for each in _shown(made, history).sections for text in each.texts]
    assert [text.included for text in told if text.source == "unanswered"] == [True]


@pytest.mark.req("U24")
def test_a_message_that_was_answered_even_in_part_is_not_marked() -> None:
    made = _composed(_talk("Burn the mill!", "It bu", "And then?", "Ash."))
    assert UNANSWERED not in "".join(turn.content for turn in made.request.turns)


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
    written = made.receipt(unheeded=["top_p"])
    told = shown_receipt(written.json, message=lambda _: "Hello", text=written.texts.__getitem__)
    assert told.sampling == ReceiptSampling(0.4, 0.9, 700, ("top_p",))


def test_a_longest_reply_has_its_room_kept_free_up_to_half_of_the_window() -> None:
    history = _talk(*["word " * 80] * 60)
    shares = [
        _used(_composed(history, window=8_000, sampling=Sampling(max_tokens=tokens)))
        for tokens in (100, 3_000, 1_000_000)
    ]
    assert shares == sorted(shares, reverse=True)
    assert len(set(shares)) == 3
    assert shares[-1] > 2_700


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["user", "assistant", "system"]),
            st.sampled_from(["", "  ", "Aye.", "word " * 300, "Čállön 🐉 " * 40]),
        ),
        min_size=1,
        max_size=40,
    ),
    st.sampled_from([None, 1_600, 2_000]),
    st.booleans(),
    st.booleans(),
)
def test_the_receipt_shows_every_turn_to_the_letter_and_stores_nobodys_words(
    said: list[tuple[Role, str]], window: int | None, continues: bool, continues_text: bool
) -> None:
    history = [Line(MessageId(str(place)), *each) for place, each in enumerate(said)]
    assume(history[-1].content.strip() or not continues)
    made = _composed(history, window=window, continues=continues, continues_text=continues_text)
    written = made.receipt()
    # A reply that was told goes on growing.
    contents = {line.id: line.content + " And more." for line in history}
    shown = shown_receipt(
        written.json, message=contents.__getitem__, text=written.texts.__getitem__
    )
    assert [(turn.role, turn.content) for turn in shown.turns] == [
        (turn.role, turn.content) for turn in made.request.turns
    ]
    for section in shown.sections:
        assert section.used == sum(text.tokens for text in section.texts if text.included)
    ours = written.json + "".join(written.texts.values())
    assert "Aye." not in ours or continues
    assert len(written.json) < 1_500 + 60 * len(history)
    gone = shown_receipt(written.json, message=lambda _: "", text=written.texts.__getitem__)
    assert "Aye." not in str(gone) or continues


def test_what_was_removed_since_is_a_gap_of_its_length() -> None:
    history = _talk("Who is at the door?")
    written = _composed(history).receipt()
    shown = shown_receipt(written.json, message=lambda _: "", text=lambda _: "")
    assert [turn.content for turn in shown.turns] == [
        "[A text removed for good since]",
        "[19 characters removed for good since]",
    ]


@pytest.mark.parametrize("content", ["Is the bridge out?", [["m1", 10], "\n\n", "Answer."]])
def test_receipts_of_the_first_version_are_still_shown(content: str | list[object]) -> None:
    part = {"part": "purpose", "source": "general", "tokens": 9, "included": True, "why": "first"}
    turns = [{"role": "user", "content": content}]
    limits = {"window": 900, "assumed_window": None, "longest_request": 9, "left_out_by": None}
    older = {"model": "m", "sampling": {}, "parts": [part], "turns": turns, "limits": limits}
    del limits["assumed_window"]
    stored = msgspec.json.encode(older).decode()
    shown = shown_receipt(stored, message=lambda _: "Is the bridge out?", text=lambda _: "")
    told = content if isinstance(content, str) else "Is the bri\n\nAnswer."
    assert [(turn.role, turn.content) for turn in shown.turns] == [("user", told)]
    assert (shown.version, shown.model, shown.window.window) == (1, "m", 900)
    assert [(each.name, each.used, each.texts[0].why) for each in shown.sections] == [
        ("purpose", 9, "first")
    ]


def test_a_message_left_out_is_not_sent_and_the_receipt_says_so() -> None:
    history = _talk("Hello", "Well met", "A secret", "Noted", "And now?")
    hidden = [
        msgspec.structs.replace(line, hidden_from_ai=line.content in ("A secret", "Noted"))
        for line in history
    ]
    made = _composed(hidden)
    assert [turn.content for turn in made.request.turns[1:]] == ["Hello", "Well met", "And now?"]
    assert _left_out(made) == [("message", HIDDEN)] * 2
    told = [text for each in _shown(made, history).sections for text in each.texts]
    assert [text.message_id for text in told if not text.included] == ["3", "2"]


def test_a_question_whose_reply_was_left_out_is_not_answered_again() -> None:
    history = _talk("Hello", "Rubbish", "And now?")
    hidden = [msgspec.structs.replace(line, hidden_from_ai=line.id == "1") for line in history]
    turns = _composed(hidden).request.turns
    assert turns[1].content == f"Hello\n\n{UNANSWERED}\n\nAnd now?"


def test_a_message_that_was_left_out_itself_is_not_answered() -> None:
    history = [msgspec.structs.replace(_talk("Hello")[0], hidden_from_ai=True)]
    with pytest.raises(NothingToAnswer):
        _composed(history)


def test_only_messages_of_the_same_mode_are_told() -> None:
    history = _talk("Who is Tam?", "A ferryman.", "Greetings, Tam!", "Aye?", "How old is he?")
    spoken = [
        msgspec.structs.replace(line, mode="speak" if line.id in "23" else "about")
        for line in history
    ]
    about = _composed(spoken)
    assert [turn.content for turn in about.request.turns[1:]] == [
        "Who is Tam?",
        "A ferryman.",
        "How old is he?",
    ]
    assert _left_out(about) == [("2 messages", "said in Speak as, and this is said in About")]
    speak = _composed(spoken[:3])
    assert [turn.content for turn in speak.request.turns[1:]] == ["Greetings, Tam!"]
    assert _left_out(speak) == [("2 messages", "said in About, and this is said in Speak as")]


@pytest.mark.req("U25")
@settings(deadline=None)
@given(
    st.lists(st.integers(1, 60), min_size=60, max_size=160),
    st.sampled_from([1_400, 2_000, 3_000]),
)
def test_the_turns_before_the_question_stay_the_same_until_a_quarter_is_cut(
    sizes: list[int], window: int
) -> None:
    history = _talk(*[f"{place} " + "word " * size for place, size in enumerate(sizes)])
    before: list[tuple[str, str]] = []
    start: MessageId | None = None
    since_cut = None
    for asked in range(0, len(history), 2):
        made = _composed(history[: asked + 1], window=window, began_at=start)
        turns = [(turn.role, turn.content) for turn in made.request.turns]
        stored = made.receipt().json
        if turns[: len(before)] != before:
            room = made.fitting.sections["history"].room or 0
            # A cut: a quarter of the room, less one message, is free for what comes next.
            assert _used(made) <= room - room // 4
            if since_cut is not None:
                assert since_cut > room // 4 - 200
            since_cut = 0
        if since_cut is not None:
            since_cut += sum(
                estimated_tokens(line.content) + 4 for line in history[asked : asked + 2]
            )
        before, start = turns[:-1], began_at(stored)


def _section(name: SectionName, *contents: str, audience: Audience = EVERYBODY) -> Section:
    texts = tuple(Text(each, each[:8], cost_of(each), audience=audience) for each in contents)
    return Section(name, texts)


def test_sections_are_written_in_their_places_and_what_does_not_fit_is_passed_over() -> None:
    sections = [
        *divided(_talk("Hi", "Hello", "Who is Tam?"), purpose="general"),
        _section("named", "Tam is a ferryman.", "long " * 800, "Bríd is his sister."),
        _section("campaign", "The river rises."),
        _section("author_note", "Be brief."),
    ]
    made = composed(sections, window_of(4_000, 32_000, AS_THE_PROVIDER_DOES), model="m")
    roles = [turn.role for turn in made.request.turns]
    assert roles == ["system", "user", "assistant", "user"]
    assert made.request.turns[0].content.endswith("\n\nThe river rises.")
    assert made.request.turns[-1].content == (
        "Tam is a ferryman.\n\nBríd is his sister.\n\nBe brief.\n\nWho is Tam?"
    )
    ((source, why),) = _left_out(made, "named")
    assert source == "long lon"
    assert why.startswith("over the section's share: 1,004 tokens, and 4")
    assert made.fitting.sections["named"].room == int(0.15 * 3_000)


def test_sections_are_fitted_in_the_order_of_their_worth() -> None:
    big = "word " * 120
    names: list[SectionName] = ["recalled", "events", "cast", "campaign", "named", "character"]
    sections = [*divided(_talk("Hi"), purpose="general"), *(_section(n, big) for n in names)]
    made = composed(sections, window_of(1_400, 32_000, AS_THE_PROVIDER_DOES), model="m")
    # 157 tokens are the share of the sections of 15 %, and no share of another holds the text.
    within = [name for name in names if made.fitting.sections[name].included]
    assert within == ["named", "character"]
    small = composed(
        [*divided(_talk("Hi"), purpose="general"), *(_section(n, "word " * 20) for n in names)],
        window_of(300, 32_000, AS_THE_PROVIDER_DOES),
        model="m",
    )
    assert [name for name in names if small.fitting.sections[name].included] == [
        "named",
        "character",
    ]


@pytest.mark.parametrize(
    ("viewer", "seen"),
    [
        (AS_GAME_MASTER, {"open", "hers", "secret"}),
        (Viewer("character", RecordId("brid")), {"open", "hers"}),
        (Viewer("character", RecordId("tam")), {"open"}),
        (Viewer("players"), {"open"}),
    ],
)
def test_no_text_goes_to_one_who_may_not_see_it(viewer: Viewer, seen: set[str]) -> None:
    sections = [
        *divided([Line(MessageId("1"), "user", "Hi", audience=EVERYBODY)], purpose="general"),
        _section("campaign", "open"),
        _section("named", "hers", audience=audience_of("characters", [RecordId("brid")])),
        _section("author_note", "secret", audience=GAME_MASTER),
    ]
    window = window_of(4_000, 32_000, AS_THE_PROVIDER_DOES)
    made = composed(sections, window, model="m", viewer=viewer)
    sent = " ".join(turn.content for turn in made.request.turns)
    assert {word for word in ("open", "hers", "secret") if word in sent} == seen
    whys = {why for each in made.fitting.sections.values() for _, why in each.left_out}
    assert whys == ({"not for whom this is made"} if len(seen) < 3 else set())


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
    made = _composed(_talk("Who is there?"), is_whole=False)
    assert [source for source, _ in _left_out(made)] == ["all older messages"]
