"""Which addresses a provider's URL may lead to. Pure: nothing is resolved or connected here.

A name proves nothing: it can be spelled in forty ways and can answer differently each time it is
asked. So a URL is only checked for its form (`checked_base_url`); what counts is the address that
is connected to (`is_allowed`), and `guard.py` sees to that.

An IPv6 address may carry an IPv4 one (mapped, 6to4, Teredo, NAT64): then both must be allowed, and
`ipaddress.is_global` is not asked about the outer one, as it calls NAT64 of 127.0.0.1 global.
"""

import enum
import re
import socket
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from talekeeper.errors import InvalidInput


class Reach(enum.Enum):
    """How far a connection may go."""

    ANYWHERE = "anywhere"
    """This machine and private networks too: for an administrator, whose Ollama runs there."""
    PUBLIC_ONLY = "public_only"
    """Only what the whole internet can reach: for URLs that come from others."""


_Address = IPv4Address | IPv6Address

_NEVER: Final[tuple[IPv4Network | IPv6Network, ...]] = (
    IPv4Network("0.0.0.0/8"),
    IPv4Network("169.254.0.0/16"),  # link-local, and the metadata service of most clouds
    IPv4Network("100.100.100.200/32"),  # metadata: Alibaba
    IPv4Network("168.63.129.16/32"),  # metadata: Azure
    IPv4Network("192.0.0.192/32"),  # metadata: Oracle
    IPv4Network("255.255.255.255/32"),
    IPv6Network("::/128"),
    IPv6Network("fe80::/10"),
    IPv6Network("fd00:ec2::/32"),  # metadata: Amazon
    IPv6Network("fd20:ce::254/128"),  # metadata: Google
    IPv6Network("fd00:42::42/128"),  # metadata: Scaleway
)
_NAT64: Final = IPv6Network("64:ff9b::/96")
_NAT64_LOCAL: Final = IPv6Network("64:ff9b:1::/48")
_IPV4_COMPATIBLE: Final = IPv6Network("::/96")
_SITE_LOCAL: Final = IPv6Network("fec0::/10")


def is_allowed(address: str, reach: Reach) -> bool:
    """Whether `address`, a literal IPv4 or IPv6 address, may be connected to."""
    try:
        outer = ip_address(address)
    except ValueError:
        return False
    return all(_is_allowed(each, reach) for each in (outer, *_carried(outer)))


_ENDPOINT: Final = re.compile(
    r"(?:/chat/completions|/completions|/responses|/embeddings|/messages(?:/count_tokens)?"
    r"|(?P<version>/v\d\w*)/models(?:/[^/?]+:\w+(?:\?alt=sse)?)?)/*\Z",
    re.IGNORECASE,
)
"""Where a request goes, below the base. `/models` ends some servers' base itself."""
_OLLAMAS_OWN: Final = re.compile(r"/api/(?:chat|generate|tags|show|ps|version)/*\Z", re.IGNORECASE)
_WITHOUT_SCHEME: Final = re.compile(
    r"(\[[0-9a-f:.]+\]|[\w.-]+)(?::\d+)?(?:/.*)?\Z", re.IGNORECASE | re.ASCII
)
_AT_HOME: Final = re.compile(
    r"(?:\[.*\]|[^.]+|.*\.(?:localhost|local|lan|home|internal)|127(?:\.\d+){3}|10(?:\.\d+){3}"
    r"|192\.168(?:\.\d+){2}|172\.(?:1[6-9]|2\d|3[01])(?:\.\d+){2})\Z",
    re.IGNORECASE | re.ASCII,
)
"""Names and addresses at home, where a model's server seldom has a certificate."""


def mended_address(typed: str) -> str:
    """An address as people copy it, without the path of one kind of request, and with a scheme.

    What is no address stays as it is, for `checked_base_url` to refuse. The page does the same
    while it is typed (`web/src/settings/address.ts`); `addresses.json` there holds both to one
    table.
    """
    address = typed.strip()
    if found := _WITHOUT_SCHEME.match(address):
        address = f"{'http' if _AT_HOME.match(found[1]) else 'https'}://{address}"
    if not re.match(r"https?://[^/]", address, re.IGNORECASE):
        return address
    if found := _ENDPOINT.search(address):
        return address[: found.start()] + (found["version"] or "")
    return _OLLAMAS_OWN.sub("/v1", address)


@lru_cache(maxsize=128)  # asked again for every request, of an address that seldom changes
def checked_base_url(url: str, reach: Reach = Reach.ANYWHERE) -> str:
    """`url` mended (`mended_address`), without trailing slashes, and with `/v1` where it names a
    server only.

    Raises InvalidInput when it cannot be a provider's address: another scheme than http and
    https, a user or password in it, a query, or a literal address outside the reach.
    """
    text = mended_address(url)
    parts = _checked_parts(text, reach, example="http://localhost:11434/v1")
    if "?" in text or "#" in text:
        raise InvalidInput("The address must end with its path, without ? or #.")
    path = parts.path.rstrip("/") or "/v1"
    return f"{parts.scheme}://{parts.netloc}{path}"


def checked_file_address(url: str, reach: Reach = Reach.ANYWHERE) -> str:
    """`url` without its fragment, when it can be a file's address.

    Raises InvalidInput for another scheme than http and https, a user or password in it, or a
    literal address outside the reach.
    """
    text = url.strip().partition("#")[0]
    _checked_parts(text, reach, example="https://example.org/model.gguf")
    return text


def _checked_parts(text: str, reach: Reach, *, example: str) -> SplitResult:
    if not text.isprintable() or " " in text or "\\" in text:
        raise InvalidInput("The address contains characters that an address cannot contain.")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise InvalidInput(f"The address cannot be read. Example: {example}") from error
    if parts.scheme not in ("http", "https"):
        raise InvalidInput("The address must begin with http:// or https://.")
    if parts.username is not None or parts.password is not None:
        raise InvalidInput("The address must not contain a user or password: use the key field.")
    if not host or port == 0:
        raise InvalidInput(f"The address names no server. Example: {example}")
    if _is_literal(host) and not is_allowed(host, reach):
        raise InvalidInput(refusal(host))
    return parts


def refusal(host: str) -> str:
    """Why nothing is sent to `host`, for a person."""
    return (
        f"Talekeeper does not connect to {host}: the address is reserved or outside of what the "
        "administrator allows. For a model on this machine use http://127.0.0.1."
    )


def _is_literal(host: str) -> bool:
    """Whether the system would take `host` for an address: `127.1` and `0x7f000001` are ones."""
    if ":" in host:
        return True
    try:
        socket.inet_aton(host)
    except OSError:
        return False
    return True


def _is_allowed(address: _Address, reach: Reach) -> bool:
    if address.is_multicast or address.is_unspecified:
        return False
    if any(address in network for network in _NEVER):
        return False
    if reach is Reach.ANYWHERE:
        return True
    if isinstance(address, IPv6Address) and (address in _SITE_LOCAL or address in _NAT64_LOCAL):
        return False
    # An address that carries another one is judged by what it carries.
    return address.is_global or bool(_carried(address))


def _carried(address: _Address) -> Sequence[IPv4Address]:
    """The IPv4 addresses to which an IPv6 address leads in the end."""
    if isinstance(address, IPv4Address):
        return ()
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    if address.teredo is not None:
        return address.teredo
    if address in _NAT64:
        return (IPv4Address(int(address) & 0xFFFF_FFFF),)
    if address in _IPV4_COMPATIBLE and int(address) > 0xFFFF:
        return (IPv4Address(int(address) & 0xFFFF_FFFF),)
    return ()
