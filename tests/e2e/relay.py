"""A network between a client and an exchange that can hold back what was sent, and deliver it late.

What is sent into it while it holds is delivered when it heals, whether or not whoever sent it has given up by then: as
by a kernel, or a router on the way, that sends again what nobody has acknowledged.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

START_S = 10.0


class Relay:
    """In front of one address, on a thread of its own; a context manager."""

    def __init__(self, base_url: str) -> None:
        target = urlsplit(base_url)
        self._host, self._port = str(target.hostname), int(target.port or 80)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="relay", daemon=True)
        self.base_url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(START_S), "the relay did not start"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.heal()
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(START_S)

    def hold(self) -> None:
        """From now on nothing arrives, in either direction."""
        self._loop.call_soon_threadsafe(self._open.clear)

    def heal(self) -> None:
        """What was held arrives now."""
        self._loop.call_soon_threadsafe(self._open.set)

    async def _serve(self) -> None:
        self._loop, self._open, self._over = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._over.wait()
        server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accepted(self, client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            exchange_in, exchange_out = await asyncio.open_connection(self._host, self._port)
        except OSError:
            client_out.close()
            return
        forth = asyncio.create_task(self._pass_on(client_in, exchange_out))
        back = asyncio.create_task(self._pass_on(exchange_in, client_out))
        try:
            await asyncio.gather(forth, back)
        except asyncio.CancelledError:
            pass  # the end of the relay; asyncio would log it
        finally:
            forth.cancel()
            back.cancel()
            for out in (client_out, exchange_out):
                out.close()

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Until the source ends; what it has sent before that arrives."""
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65536):
                await self._open.wait()
                sink.write(data)
                await sink.drain()
        await self._open.wait()
        with contextlib.suppress(OSError, RuntimeError):
            sink.write_eof()
