"""What a GGUF file says of itself is read, or the file is refused in words: nothing else happens."""

import contextlib
import io
import json

import msgspec
import pytest

from models.rewriting import a_header
from talekeeper.errors import InvalidInput
from talekeeper.providers.gguf.bearing import Memory, fit_of, memory_here, memory_needed, window_of
from talekeeper.providers.gguf.header import Header, parsed_header
from talekeeper.providers.gguf.offers import decoded_offers, is_model_name, offers

GIGABYTE = 10**9
WHOLE = a_header(
    general__architecture="bard",
    general__name="Bard 1B",
    general__license="mit",
    bard__context_length=4096,
    bard__block_count=2,
    bard__embedding_length=64,
    bard__attention__head_count=8,
    bard__attention__head_count_kv=4,
    tokenizer__chat_template="{{ messages }}",
)


def read(data: bytes) -> Header:
    return parsed_header(io.BytesIO(data), len(data))


def test_a_model_tells_its_licence_and_cost() -> None:
    header = read(WHOLE)
    assert (header.architecture, header.licence) == ("bard", "mit")
    assert header.trained_tokens == 4096
    assert header.bytes_per_token == 2 * 4 * (8 + 8) * 2


def test_any_byte_changed_is_read_or_refused() -> None:
    for place in range(len(WHOLE)):
        for value in (0, 1, 0x7F, 0xFF):
            changed = bytearray(WHOLE)
            changed[place] = value
            with contextlib.suppress(InvalidInput):
                read(bytes(changed))


def test_any_cut_is_refused() -> None:
    for length in range(len(WHOLE) - 31):
        with pytest.raises(InvalidInput):
            read(WHOLE[:length])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"PK\x03\x04" + bytes(64), "no GGUF model"),
        (a_header(general__architecture="bard"), "no chat template"),
        (
            a_header(general__architecture="a", split__count=2, tokenizer__chat_template="{}"),
            "split into several files",
        ),
        (WHOLE[:4] + b"\x09" + WHOLE[5:], "version 9"),
    ],
)
def test_what_cannot_be_run_is_refused_in_words(data: bytes, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        read(data)


def test_the_list_offers_three_sizes_up_to_about_four_gigabytes() -> None:
    sizes = [offer.size for offer in offers()]
    assert len(sizes) >= 3
    assert sizes == sorted(sizes)
    assert sizes[0] < 1.5 * GIGABYTE
    assert 3.5 * GIGABYTE < sizes[-1] < 4.5 * GIGABYTE
    for offer in offers():
        assert is_model_name(offer.name)
        assert offer.size < offer.memory < offer.size + 2 * GIGABYTE


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": "0"},
        {"size": "large"},
        {"size": 0},
        {"address": "https://huggingface.co/a/b/resolve/main/c.gguf"},
        {"address": "http://example.org/c.gguf"},
        {"name": "../up"},
        {"colour": "red"},
        {"licence": None},
    ],
)
def test_an_entry_that_does_not_keep_to_the_schema_is_refused(change: dict[str, object]) -> None:
    entry = {**msgspec.to_builtins(offers()[0]), **change}
    with pytest.raises(msgspec.ValidationError):
        decoded_offers(json.dumps([entry]).encode())


@pytest.mark.parametrize("name", ["", "..", "a/b", ".a", "A", "a..b", "a b", "a" * 81])
def test_a_name_that_could_lead_elsewhere_is_none(name: str) -> None:
    assert not is_model_name(name)


def test_a_machine_bears_what_its_memory_holds() -> None:
    machine = Memory(8 * GIGABYTE, 6 * GIGABYTE)
    assert fit_of(2 * GIGABYTE, machine) == "well"
    assert fit_of(6 * GIGABYTE, machine) == "tight"
    assert fit_of(2 * GIGABYTE, Memory(8 * GIGABYTE, GIGABYTE)) == "tight"
    assert fit_of(8 * GIGABYTE, machine) == "too_large"
    assert fit_of(2 * GIGABYTE, Memory(8 * GIGABYTE, None)) == "well"


def test_the_memory_of_this_machine_is_known() -> None:
    here = memory_here()
    assert here.total > GIGABYTE // 4
    assert here.free is None or 0 < here.free <= here.total


def test_a_window_shrinks_with_the_memory_and_never_below_the_least() -> None:
    def window(total: int) -> int:
        return window_of(
            weights=2_500_000_000,
            bytes_per_token=147_456,
            trained_tokens=262_144,
            memory=Memory(total, None),
        )

    assert window(16 * GIGABYTE) == 8192
    assert 2048 <= window(6 * GIGABYTE) < 8192
    assert window(2 * GIGABYTE) == 2048
    assert memory_needed(2_500_000_000, 147_456, 8192) < 4.1 * GIGABYTE
