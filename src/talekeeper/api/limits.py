"""Limits on the wire: by account where somebody is known, by address where not."""

import ipaddress
from math import ceil
from typing import Final

from starlette.types import Scope

from talekeeper.errors import TooOften
from talekeeper.ids import AccountId
from talekeeper.limiting import Limiter, Rate

_HOUSE: Final = 64
"""Bits of an IPv6 address that a provider gives to one house: who has it has all addresses under it."""
_LONGEST: Final = 45


def address_of(scope: Scope) -> str:
    """Where a request comes from, as it is counted.

    What proxies say stands in the scope already, and only where the proxy is one of ours: uvicorn
    takes it from X-Forwarded-For under `behind_proxy` and `proxy_addresses`.
    """
    client: tuple[str, int] | None = scope.get("client")
    if client is None:
        return "local"
    try:
        address = ipaddress.ip_address(client[0].partition("%")[0])
    except ValueError:
        return client[0][:_LONGEST]
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, _HOUSE), strict=False).network_address)


async def count_search(limiter: Limiter, per_minute: int, account_id: AccountId) -> None:
    """Count one search of the account's. Raises TooOften."""
    wait = await limiter.ask(Rate("searches", per_minute), account_id)
    if wait:
        raise TooOften(
            f"{per_minute:,} searches a minute is the limit of this server. What you look for stays "
            f"here: it can be searched for in {ceil(wait)} s.",
            seconds=ceil(wait),
        )
