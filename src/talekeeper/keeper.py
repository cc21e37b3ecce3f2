"""The keeper: everything built once, in the order it is needed, and closed in reverse.

Opened, it has taken the data folder, brought the database up to date and marked what a dead
process left streaming as interrupted. Only then may a port open.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from talekeeper.accounts.entering import open_identities
from talekeeper.accounts.identifying import Identities
from talekeeper.accounts.secrets import open_master_key
from talekeeper.clock import Clock, SystemClock
from talekeeper.connections.connecting import Connections
from talekeeper.connections.reaching import Reaching
from talekeeper.connections.serving import ServerConnections
from talekeeper.conversations.copying import abandon_copies
from talekeeper.conversations.emptying import TrashEmptying
from talekeeper.conversations.indexing import Heard, Indexing
from talekeeper.conversations.sending import Sender
from talekeeper.database import Store
from talekeeper.database.folder_lock import FolderLock
from talekeeper.database.writing import Announce
from talekeeper.domain.accounts import Account
from talekeeper.domain.connections import KINDS, Kind
from talekeeper.domain.events import Announced
from talekeeper.domain.replies import Provider
from talekeeper.game_master import GameMaster
from talekeeper.generation.admitting import Admission
from talekeeper.generation.beginning import ServerChoice
from talekeeper.generation.leasing import Lease
from talekeeper.generation.reconciling import Reconciler
from talekeeper.generation.recovering import recover_replies
from talekeeper.generation.running import Ended, Generations, OnEnded
from talekeeper.generation.stopping import StopRequests
from talekeeper.generation.titling import titling
from talekeeper.ids import BootId, fresh_id
from talekeeper.jobs import JobRunner
from talekeeper.limiting import Limiter, opened_limiter
from talekeeper.live import Hub, MemoryHub
from talekeeper.providers.catalogue import Endpoint, build_provider
from talekeeper.providers.gguf.downloads import Downloads
from talekeeper.providers.reach import Reach
from talekeeper.providers.sharing import Providers
from talekeeper.settings import Settings
from talekeeper.store.jobs import StoredJobs
from talekeeper.tasks import OwnTasks

if TYPE_CHECKING:
    from talekeeper.live.redis import RedisHub

log = structlog.get_logger(__name__)

MODELS: Final = "models"
OTHERS_JOBS_SECONDS: Final = 60.0
"""How often a process looks for jobs that another one left."""


class Keeper:
    """What a running Talekeeper is made of. Made by `open_keeper`."""

    def __init__(
        self,
        *,
        settings: Settings,
        boot_id: BootId,
        store: Store,
        hub: Hub,
        identities: Identities,
        connections: Connections,
        generations: Generations,
        sender: Sender,
        indexing: Indexing,
        limiter: Limiter,
        downloads: Downloads,
        tasks: OwnTasks,
    ) -> None:
        self.settings = settings
        self.boot_id = boot_id
        self.store = store
        self.hub = hub
        self.identities = identities
        self.connections = connections
        self.generations = generations
        self.sender = sender
        self.indexing = indexing
        self.limiter = limiter
        self.downloads = downloads
        self.tasks = tasks
        self.is_closing = False

    @property
    def models_folder(self) -> Path:
        return self.settings.data_dir / MODELS

    def game_master(self, account: Account | None = None) -> GameMaster:
        """What an account can do, for a program of one's own; without one, the local owner."""
        return GameMaster(
            self.store,
            self.hub,
            self.sender,
            self.generations,
            account=account or self.identities.owner,
        )

    def begin_closing(self) -> None:
        """Every open stream ends, so that connections can close. Replies go on until the end."""
        self.is_closing = True
        self.hub.close()


@asynccontextmanager
async def open_keeper(
    settings: Settings, *, clock: Clock | None = None, on_ended: OnEnded | None = None
) -> AsyncGenerator[Keeper]:
    """A keeper on the settings' data folder and database, closed at the end of the block.

    `on_ended` is told of every generation that ends here.

    Raises InstallationRefused, ConfigurationError or StoreUnavailable when it cannot be opened.
    """
    clock = clock or SystemClock()
    boot_id = BootId(fresh_id())
    tasks = OwnTasks()
    fleet = _fleet_hub(settings, boot_id=boot_id, tasks=tasks)
    hub: Hub = fleet or MemoryHub()
    heard = Heard()
    # In this order: the hub calls much more that could raise.
    hearers: list[Announce] = [heard.hear, hub.announce]
    predecessor = FolderLock.last_holder(settings.data_dir)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(
            opened_store(settings, boot_id=boot_id, hearers=hearers, clock=clock)
        )
        if fleet is not None:
            fleet.begin(store.installation.id)
            stack.push_async_callback(fleet.leave)
        recovered = await recover_replies(store, boot_id=boot_id, predecessor=predecessor)
        if recovered:
            log.info("keeper.recovered", interrupted_replies=recovered)
        if store.engine == "sqlite":  # the folder's lock says that no other process copies
            await abandon_copies(store, now=clock.now())
        token = settings.token
        identities = await open_identities(
            store, clock=clock, owner_token=token.get_secret_value() if token else None
        )
        stack.push_async_callback(identities.held.close)
        choice = ServerChoice(settings.provider, settings.model)
        anywhere = _providers(settings, Reach.ANYWHERE)
        stack.push_async_callback(anywhere.aclose)
        public_only = _providers(settings, Reach.PUBLIC_ONLY)
        stack.push_async_callback(public_only.aclose)
        reaching = Reaching(
            ServerConnections(_endpoints(settings), choice=choice),
            public_only=public_only,
            anywhere=anywhere,
            master_key=open_master_key(settings.key_file),
            longest_request=settings.longest_request,
            models_folder=settings.data_dir / MODELS,
        )
        connections = Connections(store, reaching, clock=clock)
        redis_url = settings.redis_url.get_secret_value() if settings.redis_url else None
        limiter = await stack.enter_async_context(opened_limiter(clock=clock, redis_url=redis_url))
        lease = await Lease.take(store, hub, boot_id=boot_id, clock=clock, tasks=tasks)
        stack.push_async_callback(lease.release)

        def note_end(ended: Ended) -> None:
            connections.note_end(ended)
            if on_ended is not None:
                on_ended(ended)

        table = StoredJobs(store, boot_id=boot_id, clock=clock)
        await table.free_abandoned()
        jobs = JobRunner(
            table,
            {"title": titling(store, reaching.reach)} if settings.titles else {},
            tasks=tasks,
            idle_seconds=None if store.engine == "sqlite" else OTHERS_JOBS_SECONDS,
        )
        generations = Generations(
            store,
            hub,
            reach=reaching.reach,
            clock=clock,
            boot_id=boot_id,
            tasks=tasks,
            keeps_reasoning=settings.keep_reasoning,
            on_ended=note_end,
            makes_titles=settings.titles,
        )
        stack.push_async_callback(generations.close)
        stops = StopRequests(hub, heed_stop=generations.heed_stop, boot_id=boot_id, tasks=tasks)
        stack.push_async_callback(stops.close)
        reconciler = Reconciler(store, generations, boot_id=boot_id, tasks=tasks)
        stack.push_async_callback(reconciler.close)
        hearers.insert(0, jobs.hear)
        jobs.start()
        stack.push_async_callback(jobs.close)
        indexing = Indexing(store, heard, tasks=tasks)
        stack.push_async_callback(indexing.close)
        downloads = Downloads(settings.data_dir / MODELS, tasks=tasks)
        await downloads.start()
        stack.push_async_callback(downloads.close)
        emptying = TrashEmptying(store, clock=clock, days=settings.trash_days, tasks=tasks)
        emptying.start()
        stack.push_async_callback(emptying.close)
        keeper = Keeper(
            settings=settings,
            boot_id=boot_id,
            store=store,
            hub=hub,
            identities=identities,
            connections=connections,
            generations=generations,
            sender=Sender(
                store,
                generations,
                admission=Admission(
                    limiter,
                    per_minute=settings.generations_per_minute,
                    at_once=settings.generations_at_once,
                ),
                boot_id=boot_id,
                choice=choice,
            ),
            indexing=indexing,
            limiter=limiter,
            downloads=downloads,
            tasks=tasks,
        )
        stack.callback(keeper.begin_closing)
        yield keeper


@asynccontextmanager
async def opened_store(
    settings: Settings,
    *,
    boot_id: BootId | None = None,
    hearers: Sequence[Announce] = (),
    clock: Clock | None = None,
) -> AsyncGenerator[Store]:
    """The store of the settings' data folder, which is this process's alone until the block ends.

    `hearers` are told of what happens, after its commit, in their order; more may be added.

    Raises InstallationRefused or StoreUnavailable.
    """
    lock = FolderLock.take(settings.data_dir, boot_id=boot_id or BootId(fresh_id()))
    try:
        store = await Store.open(
            settings.data_dir,
            database_url=settings.database_url,
            announce=partial(_announce, hearers),
            clock=clock,
            allows_network_folder=settings.allow_network_folder,
        )
        try:
            yield store
        finally:
            await store.close()
    finally:
        lock.release()


def _announce(hearers: Sequence[Announce], events: Sequence[Announced]) -> None:
    for hear in hearers:
        hear(events)


def _fleet_hub(settings: Settings, *, boot_id: BootId, tasks: OwnTasks) -> "RedisHub | None":
    """The hub that reaches the installation's other processes; None where nothing joins them."""
    if settings.redis_url is None:
        return None
    # Its client is slow to import, and a single process never needs it.
    from talekeeper.live.redis import RedisHub

    return RedisHub(settings.redis_url.get_secret_value(), boot_id=boot_id, tasks=tasks)


def _providers(settings: Settings, reach: Reach) -> Providers:
    def build(endpoint: Endpoint) -> Provider:
        return build_provider(
            endpoint,
            models_folder=settings.data_dir / MODELS,
            stall_seconds=settings.provider_stall_seconds,
            first_token_seconds=settings.provider_first_token_seconds,
            scripted_pace=settings.scripted_pace_ms / 1000,
            local_idle_seconds=settings.local_idle_seconds,
            reach=reach,
        )

    return Providers(build, loop=asyncio.get_running_loop())


def _endpoints(settings: Settings) -> dict[Kind, Endpoint]:
    """What the server itself was started with, by kind."""
    keys = {
        "openai": settings.openai_api_key,
        "anthropic": settings.anthropic_api_key,
        "google": settings.google_api_key,
    }
    addresses = {
        "openai": settings.openai_base_url,
        "anthropic": settings.anthropic_base_url,
        "google": settings.google_base_url,
        "ollama": settings.ollama_base_url,
    }
    return {
        kind: Endpoint(
            kind,
            base_url=addresses.get(kind),
            api_key=key.get_secret_value() if (key := keys.get(kind)) else None,
        )
        for kind in KINDS
    }
