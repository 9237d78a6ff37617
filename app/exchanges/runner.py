"""Runs a port on an event loop beside an actor that must never block.

The actor submits calls and goes on; when results may wait, a file descriptor becomes readable, which Thespian's
`ThespianWatch` waits on together with the actor's messages, and the actor drains them on its own thread. What is under
way is bounded, results not yet drained included, so that no queue here can grow without limit; and every call
submitted gets exactly one result, also when the runner is closed or the port has a bug.

Loading the markets takes long, and keeps the processor: a quarter of a second for one exchange. So the loop has a
thread of its own while that is under way. From then on the actor's thread turns it (`app.exchanges.turns`): an order
passes no thread, and nobody waits for the interpreter's lock. Whatever blocks the loop then blocks the actor, which is
found hanging as any other.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import structlog

from app.domain.calls import Ambiguous, Call, CallFailed, PlaceCall, Result
from app.exchanges.port import ExchangePort
from app.exchanges.turns import TurnedLoop

_LOG = structlog.stdlib.get_logger(__name__)

CLOSE_TIMEOUT_S = 5.0
TURN_S = 0.2
"""Between signs of life of the loop."""


class RunnerFull(Exception):
    """As many calls are under way, or wait to be drained, as the runner takes; nothing was begun."""


class RunnerClosed(Exception):
    """The runner was not started, or is closed; nothing was begun."""


class LoopRunner:
    """One port on one loop.

    `start`, `submit`, `drain` and `close` are for one thread, the actor's; `port.check`, `port.tradable` and
    `port.ready` may be used directly, since they are pure over the markets loaded.

    Args:
        clock: Unix seconds of the host's anchored clock.
        limit: Calls under way and results not drained, together.
        open_timeout_s: For one attempt to load the markets.
    """

    def __init__(
        self, port: ExchangePort, *, clock: Callable[[], float], limit: int = 256, open_timeout_s: float = 15.0
    ) -> None:
        self._port = port
        self._clock = clock
        self._limit = limit
        self._open_timeout_s = open_timeout_s
        self._opening: asyncio.Future[None] | None = None
        self._not_ready = ""
        self._turned = TurnedLoop()
        self._loop = self._turned.loop
        self._started = False
        self._thread: threading.Thread | None = None
        self._results: deque[tuple[int, Result]] = deque()
        self._waker = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._pending = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self._finished = False
        self._turning: asyncio.TimerHandle | None = None
        self._turned_s: float | None = None

    # ---- the actor's side --------------------------------------------------------------------------------------------

    @property
    def port(self) -> ExchangePort:
        """What is run."""
        return self._port

    @property
    def not_ready(self) -> str:
        """Why the last attempt to load the markets failed, in one sentence; empty where none has failed since."""
        return self._not_ready

    @property
    def pending(self) -> int:
        """Calls submitted whose results have not been drained."""
        return self._pending

    def stalled_s(self) -> float:
        """For how long the loop's own thread has not turned it; 0 where there is none: who turns it then knows.

        By the loop's own clock, which stands still while the host sleeps.
        """
        turned_s = self._turned_s
        return 0.0 if turned_s is None or self._closed else max(0.0, self._loop.time() - turned_s - TURN_S)

    def fileno(self) -> int:
        """Readable when `drain` has something to do. Another one, it may be, after each `start` and each `drain`."""
        return self._turned.fileno() if self._thread is None else self._waker

    def next_s(self) -> float | None:
        """When `drain` has something to do by time alone: a call's deadline, say. None for never."""
        wait_s = None if self._thread is not None or self._closed else self._turned.wait_s()
        return None if wait_s is None else self._clock() + wait_s

    def start(self) -> None:
        """Begins loading the markets, on the thread, which it starts if need be; `port.ready` tells when that is done.

        May be called again to try anew; while an attempt is under way that changes nothing. When an attempt ends,
        `fileno` becomes readable, though there is no result, until `drain` is called.

        Raises:
            RunnerClosed: The runner is closed.
        """
        if self._closed:
            raise RunnerClosed(f"The runner of {self._port.exchange} is closed.")
        self._take_over()
        self._started = True
        if self._thread is None:
            self._thread = threading.Thread(target=self._main, name=f"exchange-{self._port.exchange}", daemon=True)
            self._thread.start()

    def submit(self, call_id: int, call: Call) -> None:
        """Begins a call; `drain` will return its result under `call_id`.

        Raises:
            RunnerFull: The bound is reached; nothing was begun.
            RunnerClosed: The runner was not started, or is closed; nothing was begun.
        """
        if self._closed or not self._started:
            raise RunnerClosed(f"The runner of {self._port.exchange} is not running.")
        if self._pending >= self._limit:
            raise RunnerFull(f"{self._limit} calls to {self._port.exchange} are under way already.")
        self._pending += 1
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._start, call_id, call)
            return
        self._start(call_id, call)
        self._turned.turn(looks=False)  # which writes the request, where a connection is free
        if self._results:
            self._turned.ring()

    def drain(self) -> list[tuple[int, Result]]:
        """Every result there is, oldest first, after a turn of the loop where that is ours to turn; never waits."""
        if not self._closed:
            # Before taking, so that what arrives meanwhile makes it readable again.
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._waker)
            self._take_over()
            if self._thread is None:
                self._turned.turn()
        taken = []
        while self._results:
            taken.append(self._results.popleft())
        self._pending -= len(taken)
        return taken

    def _take_over(self) -> None:
        """The loop is this thread's to turn, once the one that loaded the markets has ended."""
        if self._thread is not None and self._finished:
            self._thread.join()
            self._thread, self._turned_s, self._finished = None, None, False

    def close(self) -> None:
        """Ends the calls under way, each with a result, closes the port and the thread. Bounded by 5 s."""
        if self._closed:
            return
        self._take_over()
        thread = self._thread
        if thread is None:
            shut: Any = self._loop.create_task(self._shut())
        else:
            shut = asyncio.run_coroutine_threadsafe(self._shut(), self._loop)
            thread.join(CLOSE_TIMEOUT_S)
        self._closed = True
        if thread is not None and thread.is_alive():
            # Leave the descriptors open: the thread may still write to them, and their numbers must not be reused.
            _LOG.warning("exchange.runner_stuck", exchange=self._port.exchange)
            return
        if not shut.done():
            self._turned.run()
        self._turned.close()
        os.close(self._waker)

    # ---- the loop's side ---------------------------------------------------------------------------------------------

    def _main(self) -> None:
        self._turn()
        self._opening = self._loop.create_task(self._opened())
        self._turned.run()  # until the attempt has ended
        if self._turning is not None:
            self._turning.cancel()
        self._finished = True
        os.eventfd_write(self._waker, 1)

    def _turn(self) -> None:
        self._turned_s = self._loop.time()
        self._turning = self._loop.call_later(TURN_S, self._turn)

    def _start(self, call_id: int, call: Call) -> None:
        task = self._loop.create_task(self._answered(call_id, call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answered(self, call_id: int, call: Call) -> None:
        result: Result
        try:
            result = await self._port.perform(call)
        except asyncio.CancelledError:
            result = _ended(call, "closing", f"The router stopped while it waited for {self._port.exchange}.")
        except Exception as error:  # a bug in the port; answered by what can be known of the call, and logged
            _LOG.exception("exchange.port_bug", exchange=self._port.exchange, call=type(call).__name__)
            result = _ended(call, "unexpected", f"Asking {self._port.exchange} failed with {type(error).__name__}.")
        self._results.append((call_id, result))
        if self._thread is not None:
            os.eventfd_write(self._waker, 1)

    async def _opened(self) -> None:
        try:
            self._not_ready = await self._port.open(self._clock() + self._open_timeout_s)
        except Exception as error:  # a bug in the port; told like any other reason, and logged
            _LOG.exception("exchange.port_bug", exchange=self._port.exchange, call="open")
            self._not_ready = f"Loading the markets of {self._port.exchange} failed with {type(error).__name__}."
        if self._not_ready:
            _LOG.warning("exchange.not_ready", exchange=self._port.exchange, words=self._not_ready)
        self._loop.stop()

    async def _shut(self) -> None:
        under_way: list[asyncio.Future[None]] = [*self._tasks]
        if self._opening is not None and not self._opening.done():
            under_way.append(self._opening)
        for task in under_way:
            task.cancel()
        if under_way:
            await asyncio.wait(under_way, timeout=CLOSE_TIMEOUT_S / 2)
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S / 2):
                await self._port.close()
        except TimeoutError:
            _LOG.warning("exchange.close_timed_out", exchange=self._port.exchange)
        finally:
            self._loop.stop()


def _ended(call: Call, code: str, words: str) -> Result:
    if isinstance(call, PlaceCall):
        return Ambiguous(code=code, words=words)
    return CallFailed(code=code, words=words, ill=code == "unexpected")
