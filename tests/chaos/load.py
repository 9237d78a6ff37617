"""A steady order load: a thread that places orders at their times, whatever became of the ones before.

Open loop, on purpose: a caller who waits for each answer sends nothing while the router is down, and so would not
notice how long it was. Most orders are market orders, which fill at once; each tenth is a limit order that rests, and
is cancelled. When the daemon has ended, the load goes on, is told so, and attaches to the next one as soon as it is
there.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from types import TracebackType
from typing import Any, Final, Self

from app.core.order_router import (
    InvalidRequest,
    NoExchangeAvailable,
    NotRunning,
    OrderRefused,
    OrderRouter,
    OrderRouterError,
)
from app.core.shapes import Order
from app.domain import ids
from messages.orders import OrderKey
from tests.chaos.witness import Answer, Sent

QTY: Final = "0.001"
RESTING_EACH: Final = 10
ATTACH_AGAIN_S: Final = 0.05
UNDONE: Final = frozenset({"NotExecuted", "Rejected"})
OPEN_ENDED: Final = frozenset({"Unknown", "Created"})
NEVER_SENT: Final = "nothing was ever sent"
"""In the words of the refusal to a question for an order that never reached the journal."""


class Load:
    """Orders, and what came of them; a context manager. Other threads only look, wait and resolve.

    Attributes:
        sent: Every order so far, oldest first.
        interval_s: From one order to the next.
    """

    def __init__(self, router: OrderRouter, *, journal_id: str, per_s: float, prefix: str) -> None:
        self._router = router
        self._journal_id = journal_id
        self._prefix = prefix
        self.interval_s = 1.0 / per_s
        self.sent: list[Sent] = []
        self._changed = threading.Condition()
        self._flowing = threading.Event()
        self._ended = threading.Event()
        self._under_way: set[asyncio.Task[None]] = set()
        self._attaching: asyncio.Task[None] | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="chaos-load", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(60.0)

    # ------------------------------------------------------------------------------------------------ other threads

    def flow(self) -> None:
        """Orders are sent from now on."""
        self._flowing.set()

    def pause(self, timeout_s: float) -> bool:
        """No more are sent; waits until all are answered, and cancelled. False when some were not in time."""
        self._flowing.clear()
        return self._until(lambda: not self._under_way, timeout_s)

    def wait_sent(self, more: int, timeout_s: float) -> bool:
        """Waits until so many more orders are on their way."""
        wanted = len(self.sent) + more
        return self._until(lambda: len(self.sent) >= wanted, timeout_s)

    def accepted_after(self, since_s: float, timeout_s: float) -> float | None:
        """When the first order that was sent after a moment, and accepted, was answered; None when none was in time."""
        first = len(self.sent)
        while first and self.sent[first - 1].sent_s > since_s:
            first -= 1

        def found() -> list[float]:
            later = [each for each in self.sent[first:] if each.sent_s > since_s and each.told is Answer.ACCEPTED]
            return [each.answered_s for each in later if each.answered_s is not None]

        self._until(lambda: bool(found()), timeout_s)
        return min(found(), default=None)

    def slowest_s(self, well_s: float, hurt_s: float, healed_s: float) -> float | None:
        """The longest that an answer took, of orders that felt an injury.

        Args:
            well_s: When everything was well before; what was sent earlier may have felt the injury before.
            hurt_s: What was answered before felt nothing.
            healed_s: Nor did what was sent later.
        """
        took = []
        for each in reversed(self.sent):
            if each.sent_s < well_s:
                break
            if each.sent_s < healed_s and each.answered_s is not None and each.answered_s > hurt_s:
                took.append(each.answered_s - each.sent_s)
        return max(took, default=None)

    def resolve(self, timeout_s: float) -> None:
        """Asks for every order that is unknown until it is known; while nothing flows."""
        until_s = time.monotonic() + timeout_s
        pause = threading.Event()
        doubtful = [each for each in self.sent if each.answer is Answer.UNKNOWN]
        while doubtful and time.monotonic() < until_s:
            for each in doubtful:
                self._ask(each)
            doubtful = [each for each in doubtful if each.answer is Answer.UNKNOWN]
            if doubtful:
                pause.wait(0.2)

    def _ask(self, each: Sent) -> None:
        try:
            note(each, self._router.get_order(each.order_id))
        except InvalidRequest as error:
            each.words = str(error)
            if NEVER_SENT in each.words:
                each.answer = Answer.NOT_EXECUTED
        except OrderRouterError as error:
            each.words = str(error)  # asked again

    def _until(self, what: Callable[[], bool], timeout_s: float) -> bool:
        with self._changed:
            done = self._changed.wait_for(lambda: self._error is not None or what(), timeout_s)
        if self._error is not None:
            raise self._error
        return done

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()

    # ------------------------------------------------------------------------------------------------ its own thread

    def _run(self) -> None:
        try:
            asyncio.run(self._place_all())
        except BaseException as error:  # handed to whoever waits
            self._error = error
        finally:
            self._tell()

    async def _place_all(self) -> None:
        due_s = time.monotonic()
        while not self._ended.is_set():
            if not self._flowing.is_set():
                await asyncio.sleep(self.interval_s)
                due_s = time.monotonic()
                continue
            number = len(self.sent)
            each = self._new(number)
            self.sent.append(each)
            task = asyncio.create_task(self._place(each, number))
            self._under_way.add(task)
            task.add_done_callback(self._done)
            self._tell()
            # After a stall of this process the missed orders are not made up for: the load stays as it is.
            due_s = max(due_s + self.interval_s, time.monotonic() - self.interval_s)
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        left = [*self._under_way, *([self._attaching] if self._attaching else [])]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _new(self, number: int) -> Sent:
        name = f"{self._prefix}-{number}"
        key = OrderKey(strategy=self._router.strategy, client_order_id=name)
        order_id = ids.order_id(self._journal_id, key)
        return Sent(client_order_id=name, order_id=order_id, qty=Decimal(QTY), sent_s=time.monotonic())

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._error = task.exception()
        self._tell()

    async def _place(self, each: Sent, number: int) -> None:
        rests = number % RESTING_EACH == 0
        asked: dict[str, Any] = {
            "symbol": "BTCUSDT",
            "side": "Buy" if number % 2 == 0 else "Sell",
            "order_type": "Limit" if rests else "Market",
            "qty": QTY,
            "price": "20000" if rests else None,
        }
        try:
            order = await self._router.aio.place_order(client_order_id=each.client_order_id, **asked)
        except OrderRouterError as error:
            note_error(each, error)
            if isinstance(error, NotRunning) and (self._attaching is None or self._attaching.done()):
                self._attaching = asyncio.create_task(self._attach())
        else:
            note(each, order)
        each.told, each.answered_s = each.answer, time.monotonic()
        self._tell()
        if rests and each.answer is Answer.ACCEPTED:
            await self._cancel(each)

    async def _cancel(self, each: Sent) -> None:
        try:
            note(each, await self._router.aio.cancel_order("BTCUSDT", each.order_id))
        except OrderRouterError as error:
            each.words = f"cancelling: {error}"  # it rests, then, or is gone: both are as it was told

    async def _attach(self) -> None:
        while not self._ended.is_set():
            try:
                await asyncio.to_thread(self._router.attach)
                return
            except OrderRouterError:
                await asyncio.sleep(ATTACH_AGAIN_S)


def note(each: Sent, order: Order) -> None:
    """What is known of an order."""
    each.status = order["orderStatus"]
    if each.status in OPEN_ENDED:
        each.answer = Answer.UNKNOWN
    elif each.status in UNDONE:
        each.answer, each.words = Answer.NOT_EXECUTED, order["rejectReason"]
    else:
        each.answer = Answer.ACCEPTED


def note_error(each: Sent, error: OrderRouterError) -> None:
    """What an error says of an order."""
    each.words = str(error)
    match error:
        case OrderRefused() | InvalidRequest():
            each.answer = Answer.REFUSED
        case NoExchangeAvailable() | NotRunning():
            each.answer = Answer.NOT_EXECUTED
        case _:  # OrderOutcomeUnknown, or a failure of the router's own, which proves nothing
            each.answer = Answer.UNKNOWN
