"""A faulty network: a TCP proxy that passes bytes on, cuts connections, or swallows what is sent.

with FaultyProxy(port) as proxy:
    ... connect to proxy.port ...
    proxy.cut()          # connections are reset, new ones refused
    proxy.swallow()      # connections stand, and nothing comes through
    proxy.mend()
"""

import asyncio
import threading
from contextlib import suppress
from typing import Literal, Self

Mode = Literal["passes", "cuts", "swallows"]


class FaultyProxy:
    """Between its own port and that of a server on this machine, in a thread of its own."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self._mode: Mode = "passes"
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def mend(self) -> None:
        """Everything comes through again, on new connections."""
        self._do(self._change("passes"))

    def cut(self) -> None:
        self._do(self._change("cuts"))

    def swallow(self) -> None:
        self._do(self._change("swallows"))

    def _do(self, work: object) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)  # type: ignore[arg-type]

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        await self._change("cuts")
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _change(self, mode: Mode) -> None:
        self._mode = mode
        if mode != "swallows":
            for writer in tuple(self._writers):
                writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mode == "cuts":
            writer.transport.abort()
            return
        self._writers.add(writer)
        try:
            while self._mode == "swallows":
                await asyncio.sleep(0.05)
            there, to_there = await asyncio.open_connection("127.0.0.1", self.target)
            self._writers.add(to_there)
            try:
                both = [self._pass(reader, to_there), self._pass(there, writer)]
                tasks = [asyncio.create_task(each) for each in both]
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            finally:
                self._writers.discard(to_there)
                to_there.transport.abort()
        except (OSError, asyncio.CancelledError):
            pass  # asyncio logs a server's task that is cancelled as an error
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                while self._mode == "swallows":
                    await asyncio.sleep(0.05)
                writer.write(data)
                await writer.drain()
