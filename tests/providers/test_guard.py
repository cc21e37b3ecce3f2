"""No spelling of an address leads where it may not (S6).

The decision is made on the address that is connected to, so the table below is tried through the
connector as well as on the rule.
"""

import json
import socket
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from conftest import ROOT
from talekeeper.errors import InvalidInput
from talekeeper.providers.guard import AddressRefused, GuardedResolver, guarded_connector
from talekeeper.providers.reach import Reach, checked_base_url, is_allowed, mended_address

ADDRESSES: list[tuple[str, str]] = [
    (typed, mended)
    for typed, mended in json.loads(
        (ROOT / "web" / "src" / "settings" / "addresses.json").read_text(encoding="utf-8")
    )
]
"""Addresses as people copy them, and what the page makes of them."""


pytestmark = pytest.mark.req("S6")

PUBLIC = ["93.184.216.34", "8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
HERE = [
    "127.0.0.1",
    "127.8.8.8",
    "::1",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "240.0.0.1",
    "fc00::1",
    "fd12:3456::1",
    "fec0::1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:10.0.0.1",
    "::ffff:c0a8:101",
    "0:0:0:0:0:ffff:7f00:0001",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:c0a8:101::1",
    "2001:0:4136:e378:8000:63bf:80ff:fffe",
]
NOWHERE = [
    "0.0.0.0",
    "0.1.2.3",
    "::",
    "169.254.169.254",
    "169.254.0.1",
    "::ffff:a9fe:a9fe",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%lo",
    "100.100.100.200",
    "168.63.129.16",
    "224.0.0.1",
    "239.255.255.250",
    "ff02::1",
    "255.255.255.255",
    "::ffff:0.0.0.0",
    "not-an-address",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed_everywhere(address: str) -> None:
    assert is_allowed(address, Reach.PUBLIC_ONLY)
    assert is_allowed(address, Reach.ANYWHERE)


@pytest.mark.parametrize("address", HERE)
def test_private_addresses_are_for_the_administrator_alone(address: str) -> None:
    assert not is_allowed(address, Reach.PUBLIC_ONLY)
    assert is_allowed(address, Reach.ANYWHERE)


@pytest.mark.parametrize("address", NOWHERE)
def test_metadata_and_reserved_addresses_are_refused_to_everybody(address: str) -> None:
    assert not is_allowed(address, Reach.PUBLIC_ONLY)
    assert not is_allowed(address, Reach.ANYWHERE)


LITERALS = [
    "http://127.0.0.1/v1",
    "http://[::1]/v1",
    "http://2130706433/v1",
    "http://0x7f000001/v1",
    "http://0x7f.1/v1",
    "http://017700000001/v1",
    "http://127.1/v1",
    "http://127.0.0.1./v1",
    "http://[::ffff:127.0.0.1]/v1",
    "http://１２７.0.0.1/v1",
    "http://127。0。0。1/v1",
    "http://localhost/v1",
    "http://LOCALHOST./v1",
    "http://[fe80::1%25lo]/v1",
]


@pytest.mark.parametrize("url", LITERALS)
async def test_no_spelling_of_this_machine_is_connected_to(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Any] = []
    real = socket.socket

    class Watched(real):
        def connect(self, address: Any, /) -> None:
            opened.append(address)
            super().connect(address)

    monkeypatch.setattr(socket, "socket", Watched)
    async with aiohttp.ClientSession(connector=guarded_connector(Reach.PUBLIC_ONLY)) as session:
        with pytest.raises((aiohttp.ClientError, OSError, ValueError)):
            await session.get(url)
    assert opened == []


class Rebinding(AbstractResolver):
    """Answers with a public address first and with this machine's ever after."""

    def __init__(self) -> None:
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        self.asked += 1
        return [answer("93.184.216.34" if self.asked == 1 else "127.0.0.1", port)]

    async def close(self) -> None:
        pass


class Fixed(AbstractResolver):
    """Always answers with the same addresses."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [answer(address, port) for address in self.addresses]

    async def close(self) -> None:
        pass


def answer(address: str, port: int) -> ResolveResult:
    return ResolveResult(
        hostname="models.example", host=address, port=port, family=socket.AF_INET, proto=0, flags=0
    )


async def test_a_name_that_turns_inward_is_refused_when_it_turns() -> None:
    inner = Rebinding()
    resolver = GuardedResolver(Reach.PUBLIC_ONLY, inner=inner)
    first = await resolver.resolve("models.example", 443)
    assert [found["host"] for found in first] == ["93.184.216.34"]
    with pytest.raises(AddressRefused):
        await resolver.resolve("models.example", 443)


async def test_a_connection_asks_for_the_name_once_and_uses_that_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inner = Rebinding()
    tried: list[str] = []

    async def start_connection(*, addr_infos: list[Any], **_: object) -> socket.socket:
        tried.extend(info[4][0] for info in addr_infos)
        raise ConnectionRefusedError(111, "refused")

    monkeypatch.setattr("aiohappyeyeballs.start_connection", start_connection)
    connector = guarded_connector(Reach.PUBLIC_ONLY, resolver=inner)
    async with aiohttp.ClientSession(connector=connector) as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get("http://models.example/v1")
        assert inner.asked == 1
        assert tried == ["93.184.216.34"]
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get("http://models.example/v1")
    assert tried == ["93.184.216.34"]


async def test_one_private_address_among_public_ones_refuses_the_name() -> None:
    resolver = GuardedResolver(Reach.PUBLIC_ONLY, inner=Fixed("8.8.8.8", "10.0.0.1"))
    with pytest.raises(AddressRefused):
        await resolver.resolve("models.example", 443)


async def test_the_administrator_reaches_this_machine_but_not_the_metadata() -> None:
    allowed = GuardedResolver(Reach.ANYWHERE, inner=Fixed("127.0.0.1"))
    assert await allowed.resolve("ollama.local", 11434)
    refused = GuardedResolver(Reach.ANYWHERE, inner=Fixed("169.254.169.254"))
    with pytest.raises(AddressRefused):
        await refused.resolve("metadata.internal", 80)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://api.openai.com", "https://api.openai.com/v1"),
        ("https://api.openai.com/v1/", "https://api.openai.com/v1"),
        ("http://localhost:11434//", "http://localhost:11434/v1"),
        (" http://[::1]:8080/v1 ", "http://[::1]:8080/v1"),
        ("https://openrouter.ai/api/v1", "https://openrouter.ai/api/v1"),
        ("https://api.openai.com/v1/chat/completions", "https://api.openai.com/v1"),
        ("localhost:1234", "http://localhost:1234/v1"),
        ("api.openai.com", "https://api.openai.com/v1"),
    ],
)
def test_a_base_url_is_brought_into_one_form(given: str, kept: str) -> None:
    assert checked_base_url(given) == kept


@pytest.mark.parametrize(("typed", "mended"), ADDRESSES)
def test_an_address_is_mended_as_the_page_mends_it(typed: str, mended: str) -> None:
    assert mended_address(typed) == mended
    assert mended_address(mended) == mended


@pytest.mark.parametrize(
    "url",
    [
        "",
        "javascript:alert(1)",
        "user@example.com",
        "169.254.169.254/v1",
        "ftp://x",
        "file:///etc/passwd",
        "http://",
        "http://user:secret@x",
        "http://user@x",
        "http://x?y",
        "http://x/v1#y",
        "http://x\\@y",
        "http://x y",
        "http://x\ny",
        "http://x:99999",
        "http://x:0",
        "http://[::1",
        "http://169.254.169.254/v1",
        "http://2852039166/v1",
        "http://[::ffff:a9fe:a9fe]/v1",
        "http://0.0.0.0:11434/v1",
    ],
)
def test_what_cannot_be_a_providers_address_is_refused_with_words(url: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        checked_base_url(url)
    assert "secret" not in str(raised.value)
    assert str(raised.value).endswith((".", "/v1"))
