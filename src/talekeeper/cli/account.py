"""`talekeeper account` and `talekeeper login-link`: through the running server, or without one.

Only what opens the store itself imports it: asking a server is quick.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from talekeeper.cli.folder import prepare_data_dir
from talekeeper.cli.running import RunningServer, find_server, public_address
from talekeeper.settings import Settings

if TYPE_CHECKING:
    from talekeeper.store import Store

T = TypeVar("T")


def add(settings: Settings, name: str) -> None:
    """The account stands, and its token was printed. Raises InvalidInput."""

    async def directly(store: "Store") -> dict[str, Any]:
        from talekeeper.accounts.adding import add_account
        from talekeeper.accounts.entering import ensure_owner

        await ensure_owner(store)
        added = await add_account(store, name)
        return {"name": added.account.name, "token": added.token}

    _, made = _through(settings, lambda s: s.post("/api/accounts", {"name": name}), directly)
    print(f"Added the account {made['name']}. Its token, which is shown this once:\n")
    print(f"    {made['token']}\n")
    print(f"To log a browser in: talekeeper login-link {_quoted(made['name'])}")


def list_all(settings: Settings) -> None:
    """Every account was printed, eldest first."""

    async def directly(store: "Store") -> dict[str, Any]:
        from talekeeper.accounts.adding import list_accounts
        from talekeeper.accounts.entering import ensure_owner

        await ensure_owner(store)
        return {
            "items": [
                {"name": account.name, "is_admin": account.is_admin}
                for account in await list_accounts(store)
            ]
        }

    _, found = _through(settings, lambda server: server.get("/api/accounts"), directly)
    for item in found["items"]:
        print(f"{item['name']} (owner)" if item["is_admin"] else item["name"])


def login_link(settings: Settings, name: str | None) -> None:
    """A link that logs one browser in was printed. Raises NotFound for an unknown name."""

    async def directly(store: "Store") -> dict[str, Any]:
        from talekeeper.accounts.entering import issue_login, login_path

        return {"path": login_path(await issue_login(store, name=name))}

    body: dict[str, Any] = {} if name is None else {"name": name}
    server, made = _through(settings, lambda s: s.post("/api/login-links", body), directly)
    address = public_address(settings) if server is None else server.address
    print("Open this link within 15 minutes; it works once:\n")
    print(f"    {address}{made['path']}")
    if server is None:
        print("\nNo server is running here yet: start it first with talekeeper serve.")


def _through(
    settings: Settings,
    asking: Callable[[RunningServer], dict[str, Any]],
    directly: Callable[["Store"], Awaitable[dict[str, Any]]],
) -> tuple[RunningServer | None, dict[str, Any]]:
    """What the running server answers; where none runs, what the store itself says."""
    server = find_server(settings.data_dir)
    if server is not None:
        try:
            return server, asking(server)
        except ConnectionError:
            pass  # It died and left its file; the folder's lock says whether that is so.
    return None, asyncio.run(_with_store(settings, directly))


async def _with_store(settings: Settings, unit: Callable[["Store"], Awaitable[T]]) -> T:
    from talekeeper.keeper import opened_store

    prepare_data_dir(settings.data_dir)
    async with opened_store(settings) as store:
        return await unit(store)


def _quoted(name: str) -> str:
    return f'"{name}"' if " " in name else name
