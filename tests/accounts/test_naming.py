"""Two accounts never look alike, and no name deceives whoever reads it (S8)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from talekeeper.accounts.naming import account_name, name_key
from talekeeper.errors import InvalidInput


@pytest.mark.req("S8")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ada", "ada"),
        ("Ada", "ＡＤＡ"),
        ("Zoë", "Zoe\u0308"),
        ("straße", "STRASSE"),
        ("a b", "a  b"),
        ("a b", "a\u00a0b"),
        ("ﬁn", "fin"),
    ],
)
def test_names_that_look_alike_share_a_key(one: str, other: str):
    assert name_key(account_name(one)) == name_key(account_name(other))


@pytest.mark.req("S8")
@pytest.mark.parametrize(
    "name",
    [
        "",
        "   ",
        "a\nb",
        "a\x00b",
        "\u202eada",
        "a\u2066b",
        "a\U000e0041",
        "a\u200bb",
        "x" * 81,
        "\ud800",
    ],
)
def test_what_would_deceive_is_no_name(name: str):
    with pytest.raises(InvalidInput):
        account_name(name)


@pytest.mark.parametrize("name", ["Ada", "Ünal", "游戏主持人", "نور", "👩‍🚀 Ray", "O'Neil"])
def test_people_may_be_called_what_they_are(name: str):
    assert account_name(f" {name} ") == name


@given(st.text(max_size=80))
def test_a_name_that_was_taken_is_taken_again_unchanged(text: str):
    try:
        name = account_name(text)
    except InvalidInput:
        return
    assert account_name(name) == name
    assert name_key(name) == name_key(name_key(name))
