"""What is read of a long path is what a model is told of it, and not much more (U12, G9)."""

from collections.abc import Callable
from pathlib import Path

import pytest
from benchmarks.worlds import a_heart, write_tale

from talekeeper.domain.conversations import AS_THE_PROVIDER_DOES, Line
from talekeeper.generation.requesting import history_to
from talekeeper.prompts import Composed, composed, divided
from talekeeper.prompts.fitting import LEAST_MESSAGES, Window, window_of
from talekeeper.store.walking import lines_to


def like_each_other(number: int) -> str:
    return f"{number} " + "word " * 30


def short_ones_last(number: int) -> str:
    return f"{number} " + "word " * (2 if number > 1_150 else 400)


def long_ones_last(number: int) -> str:
    return f"{number} " + "word " * (400 if number > 1_150 else 2)


def asked(history: list[Line], window: Window, *, is_whole: bool) -> Composed:
    sections = divided(history, purpose="general", is_whole=is_whole)
    return composed(sections, window, model="m")


@pytest.mark.req("G9")
@pytest.mark.parametrize(
    ("window", "longest"),
    [(None, 32_000), (800, 32_000), (3_000, 300), (20_000, 32_000), (1_000_000, 9_000)],
)
@pytest.mark.parametrize("says", [like_each_other, short_ones_last, long_ones_last])
async def test_what_is_read_in_steps_tells_the_model_as_much_as_all_of_it(
    tmp_path: Path, says: Callable[[int], str], window: int | None, longest: int
):
    async with a_heart(tmp_path) as heart:
        owner = heart.account.id
    tale = write_tale(tmp_path / "talekeeper.db", owner, 1_200, says=says, is_indexed=False)
    room = window_of(window, longest, AS_THE_PROVIDER_DOES)
    async with a_heart(tmp_path) as heart:
        read, is_whole = await heart.store.read(
            lambda tx: history_to(tx, tale.leaf_key, window=room)
        )
        most, _ = await heart.store.read(lambda tx: lines_to(tx, tale.leaf_key, limit=1_200))
    assert is_whole == (len(read) == len(most))
    assert read == most[-len(read) :]
    told = asked(read, room, is_whole=False).request.turns
    assert told == asked(most, room, is_whole=False).request.turns
    used = sum(message.content in turn.content for turn in told for message in read)
    assert len(read) <= max(3 * used, 50)


@pytest.mark.req("C-S5", "U12")
async def test_a_path_of_more_than_four_hundred_short_messages_is_told_in_full(tmp_path: Path):
    async with a_heart(tmp_path) as heart:
        owner = heart.account.id
    says = "{} word".format
    tale = write_tale(tmp_path / "talekeeper.db", owner, 1_200, says=says, is_indexed=False)
    room = window_of(100_000, 32_000, AS_THE_PROVIDER_DOES)
    async with a_heart(tmp_path) as heart:
        read, is_whole = await heart.store.read(
            lambda tx: history_to(tx, tale.leaf_key, window=room)
        )
        most, _ = await heart.store.read(lambda tx: lines_to(tx, tale.leaf_key, limit=1_200))
    assert len(most) > 1_000
    assert (read, is_whole) == (most, True)
    made = asked(read, room, is_whole=is_whole)
    assert made.fitting.left_out_by is None
    assert not any(section.left_out for section in made.fitting.sections.values())


@pytest.mark.req("C-S5")
async def test_the_last_ten_are_read_past_the_longest_request_though_failed_replies_stand_between(
    tmp_path: Path,
):
    async with a_heart(tmp_path) as heart:
        owner = heart.account.id

    def says(number: int) -> str:
        return f"{number} " + "word " * 400 if number % 10 == 0 else " "

    tale = write_tale(tmp_path / "talekeeper.db", owner, 1_200, says=says, is_indexed=False)
    room = window_of(1_000_000, 300, AS_THE_PROVIDER_DOES)
    async with a_heart(tmp_path) as heart:
        read, is_whole = await heart.store.read(
            lambda tx: history_to(tx, tale.leaf_key, window=room)
        )
    told = [line for line in read if line.content.strip()]
    assert len(told) > LEAST_MESSAGES
    made = asked(read, room, is_whole=is_whole)
    sent = " ".join(turn.content for turn in made.request.turns)
    # The message to be answered, and the last ten before it.
    assert sum(line.content in sent for line in told) == LEAST_MESSAGES + 1
    assert made.fitting.left_out_by == "longest_request"
