"""Sharing: one provider for each distinct endpoint, kept while it is used or was used lately.

Each built provider may hold a pool of connections. When more than `BUILT_AT_MOST` have been built,
the one that was asked for longest ago is retired: it is closed once no reply and no list of models
is under way with it. A provider that was closed opens itself again when it is used, so a reply
that was given it just before is served as well, and it is closed again after that.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing, contextmanager
from threading import Lock
from typing import Final

import structlog

from talekeeper.domain.replies import Model, Provider, ReplyRequest, StreamPart
from talekeeper.errors import trail
from talekeeper.providers.catalogue import Endpoint

BUILT_AT_MOST: Final = 64

log = structlog.get_logger(__name__)


class Shared:
    """A provider that several conversations may use at once, and how many do at this moment."""

    def __init__(self, provider: Provider, on_unused: "Callable[[Shared], None]") -> None:
        self.name = provider.name
        self.continues_text = provider.continues_text
        self.is_retired = False
        self.uses = 0
        self._provider = provider
        self._on_unused = on_unused

    async def stream(self, request: ReplyRequest) -> AsyncGenerator[StreamPart]:
        with self._used():
            async with aclosing(self._provider.stream(request)) as parts:
                async for part in parts:
                    yield part

    def can_title(self, request: ReplyRequest) -> bool:
        return self._provider.can_title(request)

    async def models(self) -> tuple[Model, ...]:
        with self._used():
            return await self._provider.models()

    async def aclose(self) -> None:
        await self._provider.aclose()

    @contextmanager
    def _used(self) -> Generator[None]:
        self.uses += 1
        try:
            yield
        finally:
            self.uses -= 1
            if not self.uses:
                self._on_unused(self)


class Providers:
    """One provider for each distinct endpoint, built when it is first asked for.

    Two conversations with different models of one server share the provider and its connections.
    """

    def __init__(
        self,
        build: Callable[[Endpoint], Provider],
        *,
        loop: asyncio.AbstractEventLoop,
        at_most: int = BUILT_AT_MOST,
    ) -> None:
        self._build = build
        self._loop = loop
        self._at_most = at_most
        self._built: OrderedDict[Endpoint, Shared] = OrderedDict()
        self._guard = Lock()
        self._closing: set[asyncio.Task[None]] = set()

    def of(self, endpoint: Endpoint) -> Shared:
        """The provider for `endpoint`, on whichever thread. Raises ModelMissing when this build
        has none.
        """
        with self._guard:
            if endpoint not in self._built:
                self._built[endpoint] = Shared(self._build(endpoint), self._close_retired)
            self._built.move_to_end(endpoint)
            if len(self._built) > self._at_most:
                _, oldest = self._built.popitem(last=False)
                self._loop.call_soon_threadsafe(self._retire, oldest)
            return self._built[endpoint]

    async def aclose(self) -> None:
        """Close every provider; a fault in one does not keep the others open."""
        built, self._built = list(self._built.values()), OrderedDict()
        faults: list[Exception] = []
        for provider in built:
            try:
                await provider.aclose()
            except Exception as error:  # noqa: BLE001 - raised together below
                faults.append(error)
        await asyncio.gather(*self._closing)
        if faults:
            raise ExceptionGroup("providers that could not be closed", faults)

    def _retire(self, provider: Shared) -> None:
        provider.is_retired = True
        self._close_retired(provider)

    def _close_retired(self, provider: Shared) -> None:
        """Close it if it is retired and unused."""
        if provider.is_retired and not provider.uses:
            task = self._loop.create_task(_closed(provider), name="closing a provider")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)


async def _closed(provider: Shared) -> None:
    try:
        await provider.aclose()
    except Exception as error:  # noqa: BLE001 - it is not used any more
        log.warning(
            "provider.not_closed",
            provider=provider.name,
            error=type(error).__name__,
            at=trail(error),
        )
