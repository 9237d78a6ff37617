"""Simulated exchanges on an event loop of a thread of their own, for tests whose own thread must stay free."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from attrs import frozen

from app.simulator.client import ControlClient
from app.simulator.server import SimulatedExchange, wall_clock_ms

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0


@frozen(kw_only=True)
class Simulated:
    """What a test needs of one exchange. `exchange` lives on the other thread: look, do not touch."""

    name: str
    base_url: str
    control_url: str
    api_key: str
    secret: str
    password: str
    control: ControlClient
    exchange: SimulatedExchange


class SimulatorThread:
    """`with SimulatorThread(["bybit", "okx"]) as sims: sims["bybit"].base_url`.

    books: a folder where each exchange keeps its books; with the same folder again it goes on with them.
    Raises what starting an exchange raised (ValueError, OSError), or TimeoutError.
    """

    def __init__(
        self, exchanges: Sequence[str], *, clock: Callable[[], int] = wall_clock_ms, books: Path | None = None
    ) -> None:
        self._names = list(exchanges)
        self._books = books
        self._clock = clock
        self._sims: dict[str, Simulated] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._error: BaseException | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._main, name="simulated-exchanges", daemon=True)

    def __enter__(self) -> Self:
        """Start; returns when every exchange answers."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop and join."""
        self.stop()

    def __getitem__(self, name: str) -> Simulated:
        """One exchange by the name it was started under."""
        return self._sims[name]

    @property
    def all(self) -> Mapping[str, Simulated]:
        """Every exchange by name."""
        return dict(self._sims)

    def start(self) -> None:
        """Start the thread and wait for the exchanges."""
        self._thread.start()
        if not self._ready.wait(START_TIMEOUT_S):
            self.stop()
            raise TimeoutError(f"The simulated exchanges did not start within {START_TIMEOUT_S:g} s.")
        if self._error is not None:
            self._thread.join(STOP_TIMEOUT_S)
            raise self._error

    def stop(self) -> None:
        """Stop the exchanges and end the thread."""
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # the loop may end between the look and the call
                self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread.ident is not None:
            self._thread.join(STOP_TIMEOUT_S)
            if self._thread.is_alive():
                raise TimeoutError(f"The simulated exchanges did not stop within {STOP_TIMEOUT_S:g} s.")

    def _main(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # handed to the thread that waits in start()
            self._error = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        running: list[SimulatedExchange] = []
        try:
            for name in self._names:
                books = None if self._books is None else self._books / f"{name}.jsonl"
                exchange = await SimulatedExchange.start(name, clock=self._clock, books=books)
                running.append(exchange)
                self._sims[name] = Simulated(
                    name=name,
                    base_url=exchange.base_url,
                    control_url=exchange.control_url,
                    api_key=exchange.api_key,
                    secret=exchange.secret,
                    password=exchange.password,
                    control=ControlClient(exchange.control_url),
                    exchange=exchange,
                )
            self._ready.set()
            await self._stop.wait()
        finally:
            for exchange in running:
                await exchange.stop()
