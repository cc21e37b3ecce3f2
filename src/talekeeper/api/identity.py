"""Who is asking: the one place that reads a request's credential and finds its account."""

from collections.abc import Collection
from typing import Annotated, Literal

from fastapi import Depends, Request

from talekeeper.accounts.identifying import Identities, Identity
from talekeeper.domain.accounts import Account, TokenKind
from talekeeper.errors import Forbidden, Unauthenticated

_ANYBODY = frozenset[TokenKind]({"bearer", "session"})
_THE_MACHINE_TOO = frozenset[TokenKind]({"bearer", "session", "control"})

_NOT_LOGGED_IN = (
    "Log in first: open the login link that the server printed, or send a bearer token."
)


def base_path(request: Request) -> str:
    """The path below which the server stands, where its public address has one."""
    return request.scope.get("state", {}).get("base_path", "")


def cookie_name(request: Request) -> str:
    """The session cookie's name, which is bound to this server.

    Cookies are shared by all ports of a host, so the port stands in the name where the browser
    cannot be told to keep it to one origin.
    """
    if request.scope.get("scheme") == "https":
        # The stricter prefix is for cookies of a whole host.
        return "__Secure-tk" if base_path(request) else "__Host-tk"
    return f"tk_{request.url.port or 80}"


def _credential(request: Request) -> tuple[Literal["bearer", "session"], str]:
    """The one credential that the request bears. Raises Unauthenticated for none, or for two."""
    found: set[tuple[Literal["bearer", "session"], str]] = set()
    for header in request.headers.getlist("authorization"):
        scheme, _, token = header.strip().partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthenticated("Send the token as: Authorization: Bearer TOKEN.")
        found.add(("bearer", token.strip()))
    cookies = request.headers.getlist("cookie")
    name = cookie_name(request) if cookies else ""  # most who send a bearer token send none
    for header in cookies:
        for pair in header.split(";"):
            key, _, value = pair.strip().partition("=")
            if key == name and value:
                found.add(("session", value))
    if not found:
        raise Unauthenticated(_NOT_LOGGED_IN)
    if len(found) > 1:
        raise Unauthenticated(
            "The request bears two different logins. Send the cookie or a bearer token, not both."
        )
    return found.pop()


async def _identity(request: Request, kinds: Collection[TokenKind]) -> Identity:
    how, token = _credential(request)
    identities: Identities = request.app.state.keeper.identities
    allowed: list[TokenKind] = [kind for kind in kinds if (kind == "session") == (how == "session")]
    return await identities.identify(token, kinds=allowed)


async def current_identity(request: Request) -> Identity:
    """Who asks, and how. Raises Unauthenticated."""
    return await _identity(request, _ANYBODY)


async def current_account(request: Request) -> Account:
    """Whose request this is. Every route of the API but /login depends on it."""
    return (await _identity(request, _ANYBODY)).account


async def current_admin(request: Request) -> Account:
    """The admin whose request this is, or for whom a command on this machine asks."""
    account = (await _identity(request, _THE_MACHINE_TOO)).account
    if not account.is_admin:
        raise Forbidden("Only the owner of this installation may do that.")
    return account


Asking = Annotated[Identity, Depends(current_identity)]
CurrentAccount = Annotated[Account, Depends(current_account)]
CurrentAdmin = Annotated[Account, Depends(current_admin)]
