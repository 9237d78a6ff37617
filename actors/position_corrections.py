"""Undoing what others did to the router's own positions, where the owner wants that (`positions.correct_differences`).

A difference is adopted first: it is there, and the book says so. What of it was of our own position is then traded
back, on the same exchange, by an order of the router's own, whose key follows from the number of the difference: asked
for again, after whatever crash, it is the same order. What an exchange closed, or a stop of ours, is not undone: it
was meant. Nor is what is older than `YOUNG_S`, since the market may be another by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import structlog
from attrs import define, field

from app.domain import ids
from app.domain.controls import CORRECT
from app.domain.order_life import OPEN, PLACEABLE, state_of
from app.journal.store import Journal
from messages.base import Failed
from messages.failover import NotRouted
from messages.orders import (
    OrderAccepted,
    OrderKey,
    OrderNotExecuted,
    OrderPending,
    OrderRefused,
    OrderSpec,
    OrderType,
    PlaceOrder,
    Purpose,
    Side,
)
from messages.positions import Difference, DifferenceKind

log = structlog.get_logger()

UNDONE = frozenset({DifferenceKind.PERSON, DifferenceKind.UNEXPLAINED})
"""Kinds of differences that are traded back."""

YOUNG_S = 600.0
AGAIN_S = 2.0
"""Between attempts while it cannot be placed: no exchange in use, frozen, its connector dead."""


def correction_key(number: int) -> OrderKey:
    """What identifies the order that undoes a difference."""
    return OrderKey(strategy=ids.ROUTER, client_order_id=f"{CORRECT}{number}")


@define
class Corrections:
    """Of one life of the synchronizer."""

    journal: Journal
    timeout_s: float
    send: Callable[[str, Any], bool] = field(kw_only=True)
    incarnation: int = field(kw_only=True)
    _pending: dict[int, Difference] = field(init=False, factory=dict)
    _again_s: dict[int, float] = field(init=False, factory=dict)
    _asked: dict[str, int] = field(init=False, factory=dict)
    _serial: int = field(init=False, default=0)

    def recover(self, adopted: Iterable[Difference], now_s: float) -> None:
        """After a start: what an earlier life may not have placed."""
        for found in adopted:
            self.take(found, now_s)

    def take(self, found: Difference, now_s: float) -> None:
        """A difference was adopted."""
        if found.kind in UNDONE and found.ours and now_s - found.at_s < YOUNG_S:
            self._pending[found.number] = found
            self._again_s[found.number] = now_s

    def on_message(self, message: Any, now_s: float) -> bool:
        """What became of an order; False where it is none that was asked for here."""
        number = self._asked.pop(getattr(message, "correlation_id", ""), None)
        if number is None:
            return False
        match message:
            case OrderRefused():
                self._over(number, "position.not_corrected", message.words)
            case OrderNotExecuted() | NotRouted() | Failed() | OrderPending():
                self._again_s[number] = now_s + AGAIN_S
            case OrderAccepted():
                self._over(number, "position.corrected", "")
        return True

    def on_tick(self, now_s: float) -> None:
        """Places what is due."""
        for number, at_s in list(self._again_s.items()):
            if at_s > now_s:
                continue
            found = self._pending[number]
            order = self.journal.order(ids.order_id(self.journal.journal_id, correction_key(number)))
            if order is not None and state_of(order) not in OPEN | PLACEABLE:
                self._over(number, "position.corrected", "")
            elif now_s - found.at_s >= YOUNG_S:
                self._over(number, "position.not_corrected", f"it could not be placed for {YOUNG_S:g} s")
            else:
                self._again_s[number] = now_s + self.timeout_s + AGAIN_S
                self._place(found, now_s)

    def next_s(self) -> float | None:
        """When `on_tick` has something to do next; None while there is nothing."""
        return min(self._again_s.values(), default=None)

    def _place(self, found: Difference, now_s: float) -> None:
        route = self.journal.route()
        self._serial += 1
        correlation_id = f"correct-{self.incarnation}-{self._serial}"
        self._asked = {each: number for each, number in self._asked.items() if number != found.number}
        self._asked[correlation_id] = found.number
        spec = OrderSpec(
            symbol=found.symbol,
            side=Side.BUY if found.ours < 0 else Side.SELL,
            order_type=OrderType.MARKET,
            quantity=abs(found.ours),
        )
        request = PlaceOrder(
            correlation_id=correlation_id,
            deadline_s=now_s + self.timeout_s,
            epoch=route.epoch,
            key=correction_key(found.number),
            spec=spec,
            purpose=Purpose.MOVE,
        )
        if route.exchange is None or not self.send(found.exchange, request):
            self._again_s[found.number] = now_s + AGAIN_S

    def _over(self, number: int, event: str, words: str) -> None:
        found = self._pending.pop(number, None)
        self._again_s.pop(number, None)
        if found is not None:
            log.warning(event, exchange=found.exchange, symbol=str(found.symbol), difference=number, words=words)
