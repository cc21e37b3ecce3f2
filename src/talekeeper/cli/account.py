"""`talekeeper account` and `talekeeper login-link`: through the running server, or without one.

Only what opens the store itself imports it: asking a server is quick.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

from talekeeper.cli.folder import prepare_data_dir
from talekeeper.cli.running import RunningServer, find_server, public_address
from talekeeper.errors import NotFound
from talekeeper.settings import Settings

if TYPE_CHECKING:
    from talekeeper.database import Store

T = TypeVar("T")

_KINDS: Final = {
    "session": "a browser that is logged in",
    "bearer": "a token for programs",
    "login": "a login link, not used yet",
}


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


def list_tokens(settings: Settings, name: str | None) -> None:
    """What lets somebody in as that account was printed, newest first. Raises NotFound."""

    async def directly(store: "Store") -> dict[str, Any]:
        from talekeeper.accounts.entering import account_named
        from talekeeper.accounts.revoking import list_tokens
        from talekeeper.clock import SystemClock

        account = await account_named(store, name)
        found = await list_tokens(store, account.id, clock=SystemClock())
        return {"name": account.name, "items": [asdict(token) for token in found]}

    def asking(server: RunningServer) -> dict[str, Any]:
        account = _named(server, name)
        return {**server.get(f"/api/accounts/{account['id']}/tokens"), "name": account["name"]}

    _, found = _through(settings, asking, directly)
    if not found["items"]:
        print(f"Nothing lets anybody in as {found['name']} at the moment.")
        return
    print(f"What lets somebody in as {found['name']}, newest first:\n")
    for item in found["items"]:
        print(f"    {item['id']}  {_KINDS[item['kind']]}")
        print(f"        {_times(item)}")
    of = "" if name is None else f" {_quoted(name)}"
    print(f"\nTo end one of them for good: talekeeper account revoke ID{of}")


def revoke(settings: Settings, token_id: str, name: str | None) -> None:
    """That token lets nobody in any more. Raises NotFound."""

    async def directly(store: "Store") -> dict[str, Any]:
        from talekeeper.accounts.entering import account_named
        from talekeeper.accounts.revoking import revoke_token
        from talekeeper.ids import TokenId

        account = await account_named(store, name)
        await revoke_token(store, account.id, TokenId(token_id), identities=None)
        return {"name": account.name}

    def asking(server: RunningServer) -> dict[str, Any]:
        account = _named(server, name)
        server.delete(f"/api/accounts/{account['id']}/tokens/{quote(token_id, safe='')}")
        return account

    _, account = _through(settings, asking, directly)
    print(f"Revoked. It lets nobody in as {account['name']} any more.")


def _named(server: RunningServer, name: str | None) -> dict[str, Any]:
    """The account of that name as the server lists it, or the owner. Raises NotFound."""
    from talekeeper.accounts.naming import account_name, name_key

    items: list[dict[str, Any]] = server.get("/api/accounts")["items"]
    if name is None:
        return items[0]
    key = name_key(account_name(name))
    found = next((each for each in items if name_key(each["name"]) == key), None)
    if found is None:
        raise NotFound(f"There is no account named {account_name(name)}.")
    return found


def _times(item: dict[str, Any]) -> str:
    used, expires = item["last_used_at"], item["expires_at"]
    return ", ".join(
        (
            f"created {_date(item['created_at'])}",
            "not used yet" if used is None else f"last used {_date(used)}",
            "until it is revoked" if expires is None else f"until {_date(expires)}",
        )
    )


def _date(millis: int) -> str:
    return datetime.fromtimestamp(millis / 1000).astimezone().strftime("%Y-%m-%d %H:%M")


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
