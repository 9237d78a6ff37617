"""The strategy of the demonstration: a steady pace of orders of several kinds, and a diary of every word it hears.

Four orders take turns, and leave a flat position: buy and sell at the market, a limit order that fills at once, and one
that rests and is cancelled a second later. Like any good strategy it derives its ids from a counter that it finds again
after a restart, asks again for what it is unsure of, and cancels until it is told that nothing rests.
"""

from __future__ import annotations

from pathlib import Path

from actors.strategy import Strategy
from app.demo.diary import NEVER_SENT, DiaryReader, DiaryWriter
from messages.failover import Route, RouterState
from messages.orders import LIVE_OR_UNPROVEN, LegState, OrderUpdate, OrderView, Told

SYMBOL = "BTCUSDT"
QUANTITY = "0.01"
RESTING_S = 1.0
"""How long an order rests before it is cancelled."""
ASK_AGAIN_S = 1.0
"""Between cancels of one order, and between questions for one of unknown outcome."""
LOOK_S = 0.5
"""At least so often it looks whether something is to be done."""

KINDS = (("buy", None), ("sell", None), ("buy", "20000"), ("sell", "20000"))
"""Side and limit price by turn; the market is at 27000, so the third rests and the fourth fills at once."""
TURNS = (0, 1, 2, 0, 3)
"""Buys and sells that fill cancel out."""

_UNPROVEN = (LegState.INTENT, LegState.UNKNOWN)


class SteadyTrader(Strategy):
    """Places `per_second` orders a second for `seconds`, counted from its first."""

    def __init__(self, diary: str, seconds: float, per_second: float) -> None:
        """
        Args:
            diary: The file to write what is asked and told; read again after a restart.
        """
        self._path = Path(diary)
        self._diary = DiaryWriter(self._path)
        self._seconds = seconds
        self._pause_s = 1.0 / per_second
        self._number = 0
        self._began_s: float | None = None
        self._next_s = 0.0
        self._answered: set[str] = set()
        self._asked: set[str] = set()
        self._orders: dict[str, OrderView] = {}
        self._unknown: dict[str, float] = {}
        self._cancel_at_s: dict[str, float] = {}
        self._finished = False

    def on_start(self) -> None:
        """Takes up an earlier life's diary, then trades."""
        for line in DiaryReader(self._path).new_lines():
            self._remember(line)
        self._diary.write(at_s=self.now_s(), what="started")
        for client_order_id in sorted(self._asked - self._answered):
            self._place(client_order_id)  # under the same id it is never placed twice
        for client_order_id in sorted(self._answered):
            self.get(client_order_id)
        self._next_s = self.now_s()
        self.call_at(self._next_s)

    def _remember(self, line: dict[str, object]) -> None:
        if line["what"] == "placed":
            self._asked.add(str(line["id"]))
            self._number += 1
            self._began_s = self._began_s or float(str(line["at_s"]))
        elif line["what"] == "told" and line["told"] != Told.CHANGED.value:
            self._answered.add(str(line["id"]))

    # ------------------------------------------------------------------------------------------------ doing

    def on_timer(self, now_s: float) -> None:
        """Places when it is time, cancels what has rested, asks for what is unknown."""
        if not self._finished:
            if self._began_s is None:
                self._began_s = now_s
            over = now_s >= self._began_s + self._seconds
            if not over and now_s >= self._next_s:
                self._next_s = max(self._next_s + self._pause_s, now_s)  # what was missed is not made up in a burst
                self._number += 1
                client_order_id = f"demo-{self._number:05d}"
                self._asked.add(client_order_id)
                side, price = self._kind(client_order_id)
                self._diary.write(
                    at_s=now_s, what="placed", id=client_order_id, side=side, price=price, quantity=QUANTITY
                )
                self._place(client_order_id)
            self._chase(now_s)
            if over and not self._asked - self._answered and not self._unknown and not self._cancel_at_s:
                self._finished = True
                self._diary.write(at_s=now_s, what="finished")
            self.call_at(now_s + LOOK_S if over else min(self._next_s, now_s + LOOK_S))

    def _kind(self, client_order_id: str) -> tuple[str, str | None]:
        return KINDS[TURNS[(int(client_order_id.rpartition("-")[2]) - 1) % len(TURNS)]]

    def _place(self, client_order_id: str) -> None:
        side, price = self._kind(client_order_id)
        self.place(SYMBOL, side, QUANTITY, price=price, client_order_id=client_order_id)

    def _chase(self, now_s: float) -> None:
        for client_order_id, at_s in list(self._cancel_at_s.items()):
            if now_s >= at_s:
                self._cancel_at_s[client_order_id] = now_s + ASK_AGAIN_S
                self.cancel(self._orders[client_order_id].order_id)
        for client_order_id, at_s in list(self._unknown.items()):
            if now_s >= at_s:
                self._unknown[client_order_id] = now_s + ASK_AGAIN_S
                self.get(client_order_id)

    # ------------------------------------------------------------------------------------------------ hearing

    def on_order(self, update: OrderUpdate) -> None:
        """Writes down what it is told, and what follows from it."""
        now_s, order, client_order_id = self.now_s(), update.order, update.client_order_id
        told = update.told.value
        if not client_order_id:
            # A cancel was not carried out, or nobody can know: perhaps the order had ended by itself.
            for known, view in self._orders.items():
                if view.order_id == update.order_id:
                    self.get(known)
            return
        if client_order_id in self._answered and update.told in (Told.REFUSED, Told.UNKNOWN, Told.NOT_EXECUTED):
            # Of a cancel or a question; the order itself was answered before. But that the router knows no such order,
            # now that its deadline is past, means that it was never sent, and never will be.
            never_sent = order is None and update.told is Told.REFUSED and client_order_id in self._unknown
            told = NEVER_SENT if never_sent else f"question_{told}"
            if never_sent:
                del self._unknown[client_order_id]
        leg = order.leg if order is not None else None
        self._diary.write(
            at_s=now_s,
            what="told",
            id=client_order_id,
            told=told,
            state=leg.state.value if leg is not None else None,
            exchange=leg.exchange if leg is not None else None,
            wire_ids=[each.wire_id for each in order.legs] if order is not None else [],
            filled=str(order.filled) if order is not None else "0",
            words=update.words,
        )
        if update.told is not Told.CHANGED:
            self._answered.add(client_order_id)
        if update.told is Told.UNKNOWN and told == Told.UNKNOWN.value:
            self._unknown[client_order_id] = now_s + ASK_AGAIN_S
        if order is not None and leg is not None:
            self._orders[client_order_id] = order
            if leg.state not in _UNPROVEN:
                self._unknown.pop(client_order_id, None)
            if leg.state not in LIVE_OR_UNPROVEN:
                self._cancel_at_s.pop(client_order_id, None)
            elif leg.state not in _UNPROVEN:
                self._cancel_at_s.setdefault(client_order_id, now_s + RESTING_S)

    def on_route(self, route: Route, state: RouterState) -> None:
        """Trading moved, or is about to."""
        self._diary.write(
            at_s=self.now_s(), what="route", exchange=route.exchange, epoch=route.epoch, state=state.value
        )
