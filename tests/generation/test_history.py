"""What is read of a long path is what a model is told of it, and not much more (U12, G9)."""

from collections.abc import Callable
from pathlib import Path

import pytest
from benchmarks.worlds import a_heart, write_tale

from talekeeper.domain.conversations import AS_THE_PROVIDER_DOES, Line
from talekeeper.generation.running import history_to
from talekeeper.prompts import Composed, composed
from talekeeper.prompts.composing import HISTORY_LIMIT, room_in
from talekeeper.store.walking import lines_to


def like_each_other(number: int) -> str:
    return f"{number} " + "word " * 30


def short_ones_last(number: int) -> str:
    return f"{number} " + "word " * (2 if number > 1_150 else 400)


def long_ones_last(number: int) -> str:
    return f"{number} " + "word " * (400 if number > 1_150 else 2)


def asked(history: list[Line], window: int | None, *, is_whole: bool) -> Composed:
    return composed(
        history,
        purpose="general",
        model="m",
        window=window,
        continues=False,
        continues_text=False,
        is_whole=is_whole,
    )


@pytest.mark.req("G9")
@pytest.mark.parametrize("window", [None, 600, 3_000, 20_000])
@pytest.mark.parametrize("says", [like_each_other, short_ones_last, long_ones_last])
async def test_what_is_read_in_steps_tells_the_model_as_much_as_all_of_it(
    tmp_path: Path, says: Callable[[int], str], window: int | None
):
    async with a_heart(tmp_path) as heart:
        owner = heart.account.id
    tale = write_tale(tmp_path / "talekeeper.db", owner, 1_200, says=says, is_indexed=False)
    room = room_in(window, AS_THE_PROVIDER_DOES)
    async with a_heart(tmp_path) as heart:
        read, is_whole = await heart.store.read(lambda tx: history_to(tx, tale.leaf_key, room=room))
        most, _ = await heart.store.read(
            lambda tx: lines_to(tx, tale.leaf_key, limit=HISTORY_LIMIT)
        )
    assert not is_whole
    assert read == most[-len(read) :]
    told = asked(read, window, is_whole=False).request.turns
    assert told == asked(most, window, is_whole=False).request.turns
    used = sum(message.content in turn.content for turn in told for message in read)
    assert len(read) <= max(3 * used, 50)
