"""Logging in and out, accounts and their tokens.

`/login` is the only address that changes something on GET: a link is all that a terminal can
print. It works once, only when a person navigates to it, and the token leaves the address at once.
"""

from math import ceil
from typing import Annotated, Literal, Protocol, cast

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel
from starlette.responses import HTMLResponse, RedirectResponse

from talekeeper.accounts.adding import add_account, list_accounts
from talekeeper.accounts.entering import issue_login, log_in, log_out, login_path
from talekeeper.accounts.identifying import Identities
from talekeeper.accounts.revoking import list_tokens, revoke_token
from talekeeper.accounts.tokens import LOGIN_LASTS
from talekeeper.api.bodies import Body, Id, Name, Nothing, StrictRoute
from talekeeper.api.identity import (
    Asking,
    CurrentAccount,
    CurrentAdmin,
    base_path,
    cookie_name,
    current_account,
)
from talekeeper.api.limits import address_of
from talekeeper.database import Store
from talekeeper.domain.accounts import Account
from talekeeper.errors import TalekeeperError, Unauthenticated
from talekeeper.ids import AccountId, TokenId
from talekeeper.limiting import Limiter, Rate
from talekeeper.settings import Settings

_TokenName = Annotated[str, Path(max_length=80)]
"""A token's id: a UUID, with a word behind it where the token is of a server's run."""


class _Keeper(Protocol):
    """What this module needs of the server's composition root."""

    @property
    def store(self) -> Store: ...
    @property
    def identities(self) -> Identities: ...
    @property
    def limiter(self) -> Limiter: ...
    @property
    def settings(self) -> Settings: ...


def _keeper(request: Request) -> _Keeper:
    return cast("_Keeper", request.app.state.keeper)


class AccountOut(BaseModel):
    id: str
    name: str
    is_admin: bool


class AccountsOut(BaseModel):
    items: list[AccountOut]


class AddedOut(AccountOut):
    """`token` is the account's bearer token; nobody can ask for it again."""

    token: str


class LoginLinkOut(BaseModel):
    """`path` is to be opened on this server, once, within `seconds`."""

    path: str
    seconds: int


class TokenOut(BaseModel):
    """Something that lets in: a browser's session, a bearer token or an unused login link.

    `last_used_at` is written down about once an hour. `is_current` is what this request bears.
    """

    id: str
    kind: Literal["bearer", "session", "login"]
    created_at: int
    last_used_at: int | None
    expires_at: int | None
    is_current: bool


class TokensOut(BaseModel):
    items: list[TokenOut]


class AccountIn(Body):
    name: Name


class LoginLinkIn(Body):
    """Whom the link logs in; the owner where no name is given."""

    name: Name | None = None


def _shown(account: Account) -> AccountOut:
    return AccountOut(id=account.id, name=account.name, is_admin=account.is_admin)


router = APIRouter(route_class=StrictRoute)


@router.get("/login", include_in_schema=False)
async def open_login_link(request: Request) -> Response:
    """The browser is logged in and the token used up; or a page says how to get another link.

    Links that fail are counted by address. Over the limit the token is not read.
    """
    home = f"{base_path(request)}/"
    keeper = _keeper(request)
    rate = Rate("logins", keeper.settings.logins_per_minute)
    address = address_of(request.scope)
    wait = ceil(await keeper.limiter.ask(rate, address))
    if wait:
        if await _is_logged_in(request):
            return RedirectResponse(home, status_code=303)
        headers = {"Cache-Control": "no-store", "Retry-After": str(wait)}
        return HTMLResponse(_TOO_OFTEN_PAGE.format(wait), status_code=429, headers=headers)
    try:
        if request.headers.get("sec-fetch-dest", "document") != "document":
            raise Unauthenticated("A login link is for a person to open.")
        session = await log_in(keeper.store, request.query_params.get("token", ""))
    except Unauthenticated:
        if await _is_logged_in(request):
            return RedirectResponse(home, status_code=303)
        return HTMLResponse(_SPENT_PAGE, status_code=401, headers={"Cache-Control": "no-store"})
    except TalekeeperError:
        keeper.limiter.give_back(rate, address)  # the token is as good as before
        raise
    keeper.limiter.give_back(rate, address)
    answer = RedirectResponse(home, status_code=303, headers={"Cache-Control": "no-store"})
    answer.set_cookie(
        cookie_name(request),
        session.token,
        max_age=session.seconds,
        path=base_path(request) or "/",
        secure=request.scope.get("scheme") == "https",
        httponly=True,
        samesite="strict",
    )
    return answer


async def _is_logged_in(request: Request) -> bool:
    try:
        await current_account(request)
    except Unauthenticated:
        return False
    return True


@router.get("/api/me")
async def show_me(account: CurrentAccount) -> AccountOut:
    """Who asks."""
    return _shown(account)


@router.post("/api/logout", status_code=204)
async def leave(request: Request, asking: Asking, _body: Nothing | None = None) -> Response:
    """The session is over. A bearer token stays good: it is not the browser's to end."""
    keeper = _keeper(request)
    if asking.kind == "session" and asking.token_id is not None:
        await log_out(keeper.store, keeper.identities, asking.token_id)
    answer = Response(status_code=204)
    answer.delete_cookie(
        cookie_name(request),
        path=base_path(request) or "/",
        secure=request.scope.get("scheme") == "https",
        httponly=True,
        samesite="strict",
    )
    return answer


@router.get("/api/accounts")
async def show_accounts(request: Request, _admin: CurrentAdmin) -> AccountsOut:
    """Every account: the owner, then the others, eldest first."""
    accounts = await list_accounts(_keeper(request).store)
    return AccountsOut(items=[_shown(account) for account in accounts])


@router.post("/api/accounts", status_code=201)
async def open_account(request: Request, _admin: CurrentAdmin, body: AccountIn) -> AddedOut:
    """A new account and its token, which is shown this once."""
    added = await add_account(_keeper(request).store, body.name)
    return AddedOut(**_shown(added.account).model_dump(), token=added.token)


@router.post("/api/login-links", status_code=201)
async def make_login_link(
    request: Request, _admin: CurrentAdmin, body: LoginLinkIn
) -> LoginLinkOut:
    """A link that logs one browser in."""
    token = await issue_login(_keeper(request).store, name=body.name)
    return LoginLinkOut(path=login_path(token), seconds=LOGIN_LASTS // 1000)


@router.get("/api/tokens")
async def show_tokens(request: Request, asking: Asking) -> TokensOut:
    """What lets somebody in as the asker, newest first."""
    return await _tokens(request, asking.account.id, current=asking.token_id)


@router.delete("/api/tokens/{token_id}", status_code=204)
async def end_token(request: Request, account: CurrentAccount, token_id: _TokenName) -> Response:
    """It lets nobody in any more, and what was opened with it ends."""
    return await _revoked(request, account.id, token_id)


@router.get("/api/accounts/{account_id}/tokens")
async def show_tokens_of(request: Request, _admin: CurrentAdmin, account_id: Id) -> TokensOut:
    """What lets somebody in as that account, newest first."""
    return await _tokens(request, AccountId(account_id), current=None)


@router.delete("/api/accounts/{account_id}/tokens/{token_id}", status_code=204)
async def end_token_of(
    request: Request, _admin: CurrentAdmin, account_id: Id, token_id: _TokenName
) -> Response:
    """That account's token lets nobody in any more, and what was opened with it ends."""
    return await _revoked(request, AccountId(account_id), token_id)


async def _tokens(request: Request, account_id: AccountId, *, current: TokenId | None) -> TokensOut:
    keeper = _keeper(request)
    found = await list_tokens(keeper.store, account_id, clock=keeper.identities.clock)
    return TokensOut(
        items=[
            TokenOut(
                id=each.id,
                kind=each.kind,
                created_at=each.created_at,
                last_used_at=each.last_used_at,
                expires_at=each.expires_at,
                is_current=each.id == current,
            )
            for each in found
            if each.kind != "control"
        ]
    )


async def _revoked(request: Request, account_id: AccountId, token_id: str) -> Response:
    keeper = _keeper(request)
    await revoke_token(keeper.store, account_id, TokenId(token_id), identities=keeper.identities)
    return Response(status_code=204)


_SPENT_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Talekeeper</title>
<meta name="viewport" content="width=device-width"></head><body>
<h1>This link does not log you in</h1>
<p>It was used before, has expired, or is not from this server.</p>
<p>Get a new one on the machine that runs Talekeeper:</p>
<pre>talekeeper login-link</pre>
</body></html>
"""
_TOO_OFTEN_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Talekeeper</title>
<meta name="viewport" content="width=device-width"></head><body>
<h1>Too many login links were tried</h1>
<p>Too many links that do not work were opened from your address in the last minute.</p>
<p>This one was not used up. Open it again in {} seconds.</p>
</body></html>
"""
