"""Ids: in the form that the wire takes, never twice, and those made together lie together."""

import time
from uuid import UUID

import pytest

from talekeeper.errors import InvalidInput
from talekeeper.ids import canonical_id, fresh_id


def test_a_fresh_id_is_a_version_4_uuid_that_begins_with_its_moment() -> None:
    before = time.time_ns() // 1_000_000
    made = fresh_id()
    after = time.time_ns() // 1_000_000
    assert canonical_id(made) == made
    assert UUID(made).version == 4
    assert before <= UUID(made).int >> 80 <= after


def test_no_two_ids_are_the_same() -> None:
    assert len({fresh_id() for _ in range(20_000)}) == 20_000


@pytest.mark.parametrize(
    "text", ["", "x" * 36, "{3f2b8c1e-6a4d-4f0e-9b7a-2d1c5e8f9a01}", "3f2b8c1e"]
)
def test_what_is_no_uuid_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        canonical_id(text)
