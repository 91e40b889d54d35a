"""Stands between the console and a server: passes bytes on, over TLS, up to a point."""

from __future__ import annotations

import asyncio
import ssl
import threading
from contextlib import suppress
from types import TracebackType

CHUNK_BYTES = 4096


class Relay:
    """Listens on `port` and talks to the server's port.

    limit_bytes: how many of the server's bytes pass; then the connection is cut, or with
    `stalling` stays open and silent. tls: what to speak towards the console.
    """

    def __init__(
        self,
        server_port: int,
        *,
        limit_bytes: int | None = None,
        stalling: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._server_port = server_port
        self._limit_bytes = limit_bytes
        self._stalling = stalling
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.port = 0
        self.passed_bytes = 0
        self.connections = 0

    def __enter__(self) -> Relay:
        self._thread.start()
        opening = asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        server = asyncio.run_coroutine_threadsafe(opening, self._loop).result(5)
        self.port = server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _end(self) -> None:
        mine = [one for one in asyncio.all_tasks() if one is not asyncio.current_task()]
        for one in mine:
            one.cancel()
        await asyncio.gather(*mine, return_exceptions=True)

    async def _serve(self, caller: asyncio.StreamReader, to_caller: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(OSError, asyncio.CancelledError):
            server, to_server = await asyncio.open_connection("127.0.0.1", self._server_port)
            asking = asyncio.ensure_future(_pass(caller, to_server))
            try:
                await self._answer(server, to_caller, asking)
            finally:
                asking.cancel()
                for one in (to_caller, to_server):
                    one.transport.abort()
        self.connections -= 1

    async def _answer(
        self,
        server: asyncio.StreamReader,
        to_caller: asyncio.StreamWriter,
        asking: asyncio.Future[None],
    ) -> None:
        while data := await server.read(CHUNK_BYTES):
            limit = self._limit_bytes
            if limit is not None and self.passed_bytes + len(data) > limit:
                if self._stalling:
                    await asyncio.wait({asking}, timeout=60.0)
                return
            to_caller.write(data)
            await to_caller.drain()
            self.passed_bytes += len(data)
        to_caller.close()
        await to_caller.wait_closed()


async def _pass(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(CHUNK_BYTES):
            target.write(data)
            await target.drain()
        target.close()
