"""Strategies for tests, imported by the daemon's own processes. Each keeps a diary: one JSON object a line."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

from actors.strategy import Strategy
from messages.failover import Route, RouterState
from messages.health import HealthAlarms
from messages.orders import Fill, OrderUpdate, Told


class Diarist(Strategy):
    """Places, breaks down in its first life, and carries on in its second under the same ids."""

    def __init__(self, diary: str) -> None:
        self.diary = Path(diary)

    def note(self, what: str, **facts: Any) -> None:
        """One line."""
        with self.diary.open("a") as file:
            file.write(json.dumps({"what": what, **facts}) + "\n")

    def lives(self) -> int:
        """How often it was started."""
        return sum(1 for line in self.diary.read_text().splitlines() if json.loads(line)["what"] == "start")

    def on_start(self) -> None:
        """Places the same two orders in each life."""
        self.note("start", exchange=self.route.exchange if self.route is not None else None)
        wrong: dict[str, dict[str, Any]] = {
            "side": {"side": "hold"},
            "id": {"client_order_id": 7},
            "no id": {"client_order_id": "\ud800"},
            "reduce_only": {"reduce_only": "no"},
            "timeout_s": {"timeout_s": float("nan")},
            "symbol": {"symbol": None},
        }
        for what, bad in wrong.items():
            asked = {"symbol": "BTCUSDT", "side": "buy", "quantity": "0.001", "client_order_id": "wrong", **bad}
            try:
                self.place(**asked)
            except ValueError as error:
                self.note("wrong", of=what, words=str(error))
        self.place("BTCUSDT", "buy", "0.002", client_order_id="taking")
        self.place("BTCUSDT", "sell", "0.001", price="35000", client_order_id="resting")

    def on_order(self, update: OrderUpdate) -> None:
        """Breaks down once the resting order is accepted; cancels it in the next life."""
        state = update.order.leg.state.value if update.order is not None and update.order.leg is not None else None
        self.note("order", told=update.told.value, id=update.client_order_id, state=state, words=update.words)
        if (update.told, update.client_order_id) == (Told.ACCEPTED, "resting"):
            if self.lives() == 1:
                raise RuntimeError("a bug of the user's")
            self.amend(update.order_id, price="36000", quantity="0.002")
        if update.told is Told.AMENDED:
            self.cancel(update.order_id)
        if update.told is Told.CANCELLED:
            self.get("taking")
            self.get("never placed")

    def on_fill(self, fill: Fill) -> None:
        """What filled."""
        self.note("fill", id=fill.order.key.client_order_id, quantity=str(fill.quantity), total=str(fill.total))

    def on_route(self, route: Route, state: RouterState) -> None:
        """Trades on where trading goes."""
        self.note("route", exchange=route.exchange, state=state.value)
        if route.exchange == "okx":
            self.call_at(self.now_s() + 0.05)

    def on_timer(self, now_s: float) -> None:
        """The order after the move."""
        self.note("timer")
        self.place("BTCUSDT", "buy", "0.003", client_order_id="moved")


class NeverMade(Strategy):
    """Blocks before there is an instance of it."""

    def __init__(self, marks: str) -> None:
        (Path(marks) / str(os.getpid())).touch()
        threading.Event().wait()


class Idler(Strategy):
    """Does nothing."""


class Watcher(Diarist):
    """Only listens to what is wrong on our own side."""

    def on_start(self) -> None:
        """Places nothing."""

    def on_route(self, route: Route, state: RouterState) -> None:
        """Nor then."""

    def on_health(self, news: HealthAlarms) -> None:
        """What began, and what is over."""
        for alarms, over in ((news.raised, False), (news.over, True)):
            for alarm in alarms:
                self.note("alarm", code=alarm.code, exchange=alarm.exchange, over=over)
