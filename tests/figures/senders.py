"""python senders.py FOLDER COUNT: sixty-four senders send so often, all told, and then it ends."""

import asyncio
import sys
from pathlib import Path

from benchmarks.worlds import a_heart

SENDERS = 64


async def main(folder: Path, count: int) -> None:
    async with a_heart(folder) as heart:
        fresh = iter(await heart.opened(count))

        async def sender() -> None:
            for each in fresh:
                await heart.send(each, wants_reply=True)

        await asyncio.gather(*(sender() for _ in range(SENDERS)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
