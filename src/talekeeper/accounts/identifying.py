"""Identifying: from what a request bears to the account that asks, in one place.

A token is looked up by its hash once and then remembered, so that most requests cost no query. What
this process revokes is forgotten at once. On SQLite nobody else revokes, and it is remembered for a
minute; on PostgreSQL another process may, and it is remembered for a second.
"""

import hmac
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, replace

from talekeeper.accounts.holding import HeldTokens
from talekeeper.accounts.tokens import TOUCH_EVERY, slid_expiry, token_hash
from talekeeper.clock import Clock
from talekeeper.database import Store, Writer
from talekeeper.domain.accounts import Account, TokenKind
from talekeeper.errors import StoreError, Unauthenticated
from talekeeper.ids import TokenId
from talekeeper.store.accounts import Token, token_of_hash, touch_token

REMEMBERED = 1024
REMEMBERED_SECONDS = {"sqlite": 60.0, "postgresql": 1.0}

_WHO = "Log in first: open the login link that the server printed, or send a bearer token."


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks, and by which token; None for the token from the settings."""

    account: Account
    kind: TokenKind
    token_id: TokenId | None


@dataclass(slots=True)
class _Known:
    token: Token
    account: Account
    until: float


class Identities:
    """Knows whose a token is. One for the whole server."""

    def __init__(
        self, store: Store, *, clock: Clock, owner: Account, owner_token: str | None = None
    ) -> None:
        self.owner = owner
        self.clock = clock
        self._store = store
        self._owner_hash = None if owner_token is None else token_hash(owner_token)
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._remembered = REMEMBERED_SECONDS[store.engine]
        self.held = HeldTokens(store, clock=clock, on_ended=self._drop)

    async def identify(self, token: str, *, kinds: Collection[TokenKind]) -> Identity:
        """Whose `token` is, when it is one of `kinds` and still good.

        Raises Unauthenticated for every other token, without saying why.
        """
        hashed = token_hash(token)
        if self._owner_hash is not None and hmac.compare_digest(hashed, self._owner_hash):
            if "bearer" not in kinds:
                raise Unauthenticated(_WHO)
            return Identity(self.owner, "bearer", None)
        known = await self._lookup(hashed)
        now = self.clock.now()
        found = known.token
        is_over = found.expires_at is not None and found.expires_at <= now
        if found.kind not in kinds or found.used_at is not None or is_over:
            raise Unauthenticated(_WHO)
        if found.kind in ("session", "bearer"):
            await self._note_use(known)
        return Identity(known.account, found.kind, found.id)

    def forget(self, token_id: TokenId) -> None:
        """The token was revoked: nobody comes in by it, and what was opened with it ends now."""
        self._drop(token_id)
        self.held.end(token_id)

    def _drop(self, token_id: TokenId) -> None:
        """The token is looked up afresh when it is seen again."""
        for hashed in [h for h, known in self._known.items() if known.token.id == token_id]:
            del self._known[hashed]

    async def _lookup(self, hashed: str) -> _Known:
        now = self.clock.monotonic()
        known = self._known.get(hashed)
        if known is not None and now < known.until:
            return known
        self._known.pop(hashed, None)
        found = await self._store.read(lambda tx: token_of_hash(tx, hashed))
        if found is None:
            raise Unauthenticated(_WHO)
        token, account = found
        known = _Known(token, account, now + self._remembered)
        self._known[hashed] = known
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return known

    async def _note_use(self, known: _Known) -> None:
        """The token was used now, written down at most once an hour; a session lasts on from here."""
        token = known.token
        now = self.clock.now()
        if token.last_used_at is not None and now - token.last_used_at < TOUCH_EVERY:
            return
        until = token.expires_at
        if token.kind == "session":
            if now - token.created_at < TOUCH_EVERY:
                return
            until = slid_expiry(created_at=token.created_at, now=now)

        def touch(tx: Writer) -> None:
            touch_token(tx, token.id, expires_at=until)

        known.token = replace(token, expires_at=until, last_used_at=now)
        try:
            await self._store.write(touch)
        except StoreError:
            # A full disk must not keep anybody from reading; it is tried again when the token is
            # next looked up.
            return
