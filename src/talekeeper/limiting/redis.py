"""Windows in Redis, which all processes share."""

from typing import TYPE_CHECKING, Final, cast

from limits.aio.storage import RedisStorage
from limits.aio.storage.redis.redispy import RedispyBridge

if TYPE_CHECKING:
    from redis.asyncio import Redis

KEY_PREFIX: Final = "talekeeper:limits"


class RedisWindows(RedisStorage):
    """The library's windows in the Redis at `url`. A window's start is a wall clock's time.

    What Redis does not do within `patience` seconds raises StorageError, as does every other fault.
    """

    def __init__(self, url: str, *, patience: float) -> None:
        super().__init__(
            url,
            wrap_exceptions=True,
            implementation="redispy",
            key_prefix=KEY_PREFIX,
            socket_connect_timeout=patience,
            socket_timeout=patience,
        )

    async def aclose(self) -> None:
        assert isinstance(self.bridge, RedispyBridge)
        await cast("Redis", self.bridge.get_connection()).aclose()
