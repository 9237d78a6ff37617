"""A planned switch with everything: twenty open orders and five positions, from exchange to exchange and back.

The strategy opens the positions and places the orders through the router. Before each switch the market takes a part of
some orders, which the router has not heard of yet; then a person moves trading, and the stop is over when every order
rests on the next exchange with what is left of it, every position stands there, and nothing of ours is anywhere else,
by the exchanges' own books (`stops`). In the end all their executions give the net at every moment (`curve`).
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from attrs import define, field, frozen

from app.core.order_router import OrderRouter, OrderRouterError
from app.core.shapes import HistoryEntry
from app.launcher.presence import read_presence
from app.simulator.client import ControlClient
from benchmarks.exchange import exchanges
from benchmarks.switching.curve import ZERO, Point, executions, gross, largest_drift, points, unexplained
from benchmarks.switching.stops import Intent, Ledger, Truths, live_leg, wrong

EXCHANGES: Final = ("bybit", "okx", "binance", "kraken")
WAY: Final = ("okx", "binance", "kraken", "binance", "okx", "bybit")
STRATEGY: Final = "planned"
POSITIONS: Final = {
    "BTC": Decimal("0.1"),
    "ETH": Decimal("-1.5"),
    "SOL": Decimal("100"),
    "XRP": Decimal("-5000"),
    "ADA": Decimal("10000"),
}
PRICES: Final = {
    "BTC": Decimal(27000),
    "ETH": Decimal(1800),
    "SOL": Decimal(30),
    "XRP": Decimal("0.5"),
    "ADA": Decimal("0.25"),
}
SLICE_NOTIONAL: Final = 500
SLICE_PAUSE_S: Final = 0.1
STOP_S: Final = 60.0
"""For one switch with all that is carried."""
START_S: Final = 40.0
LOOK_S: Final = 0.1
TAKEN: Final = 4
"""Of so many orders the market takes a part before each switch."""


@frozen(kw_only=True)
class Placed:
    """An order as it is asked for; prices are on the coarsest of the exchanges' ticks."""

    base: str
    side: str
    qty: str
    price: str
    kind: str = "limit"
    time_in_force: str = "GoodTillCancel"
    reduce_only: bool = False
    trigger: str = ""


ORDERS: Final = (
    *(
        Placed(base=base, side=side, qty=qty, price=price)
        for base, side, qty, price in (
            ("BTC", "Buy", "0.020", "25000"),
            ("BTC", "Buy", "0.030", "24000"),
            ("BTC", "Sell", "0.020", "29000"),
            ("ETH", "Buy", "0.50", "1700"),
            ("ETH", "Buy", "0.40", "1600"),
            ("ETH", "Sell", "0.60", "1900"),
            ("SOL", "Buy", "30", "28"),
            ("SOL", "Sell", "20", "32"),
            ("SOL", "Sell", "40", "33"),
            ("XRP", "Buy", "1000", "0.45"),
            ("XRP", "Buy", "2000", "0.40"),
            ("XRP", "Sell", "1500", "0.55"),
            ("ADA", "Buy", "2000", "0.22"),
            ("ADA", "Sell", "3000", "0.28"),
        )
    ),
    Placed(base="ETH", side="Sell", qty="0.30", price="1950", kind="post-only", time_in_force="PostOnly"),
    Placed(base="XRP", side="Sell", qty="800", price="0.60", kind="post-only", time_in_force="PostOnly"),
    Placed(base="BTC", side="Sell", qty="0.050", price="28500", kind="reduce-only", reduce_only=True),
    Placed(base="SOL", side="Sell", qty="50", price="31.5", kind="reduce-only", reduce_only=True),
    Placed(base="BTC", side="Sell", qty="0.040", price="", kind="stop", trigger="23000"),
    Placed(base="ADA", side="Buy", qty="1000", price="", kind="stop", trigger="0.32"),
)


@frozen(kw_only=True)
class Cargo:
    """What goes with trading.

    Attributes:
        positions: By base coin, signed.
    """

    orders: tuple[Placed, ...]
    positions: Mapping[str, Decimal]


CARGO: Final = Cargo(orders=ORDERS, positions=POSITIONS)


@define(kw_only=True)
class Stop:
    """One switch.

    Attributes:
        from_s, to_s: From asking for it until everything stands at `exchange`, in seconds since the run began.
        switch_s: Until trading had moved; the rest is carrying.
        taken: By order, what the market took just before.
        wrong: What was not as it should be in the end.
    """

    exchange: str
    from_s: float
    to_s: float = 0.0
    switch_s: float = 0.0
    taken: dict[str, str] = field(factory=dict)
    wrong: list[str] = field(factory=list)
    history: dict[str, Any] = field(factory=dict)


def router_tables(facts: Mapping[str, Mapping[str, str]], state_dir: Path) -> dict[str, Any]:
    """The router's configuration."""

    def account(name: str, fact: Mapping[str, str]) -> dict[str, Any]:
        table: dict[str, Any] = {key: fact[key] for key in ("base_url", "api_key", "secret", "password") if fact[key]}
        # What is measured is the switch, not how long the exchanges' own limits stretch it.
        return {**table, "rate_limit_per_s": 200, "allow_settlement_change": name == "kraken"}

    return {
        "router": {
            "primary_exchange": EXCHANGES[0],
            "failover_exchanges": list(EXCHANGES[1:]),
            "state_dir": str(state_dir),
            "request_timeout_s": 5.0,
        },
        "health": {"health_check_interval": 5.0, "retry_delay": 0.5},
        "orders": {"policy": "replace"},
        "positions": {"policy": "migrate", "slice_notional": SLICE_NOTIONAL, "slice_pause_s": SLICE_PAUSE_S},
        "exchanges": {name: account(name, fact) for name, fact in facts.items()},
    }


class Journey:
    """The strategy, the person who moves trading, and the market."""

    def __init__(
        self,
        router: OrderRouter,
        controls: Mapping[str, ControlClient],
        *,
        journal_id: str,
        seed: int,
        told: Callable[[str], None],
        cargo: Cargo = CARGO,
        strategy: str = STRATEGY,
    ) -> None:
        self._router = router
        self._controls = controls
        self._cargo = cargo
        self._chance = random.Random(seed)
        self._told = told
        self._began_s, self.began_at_s = time.monotonic(), time.time()
        intents = [
            Intent(
                client_order_id=f"{number + 1}-{each.kind}-{each.base}",
                base=each.base,
                side=each.side,
                kind=each.kind,
                qty=Decimal(each.qty),
            )
            for number, each in enumerate(cargo.orders)
        ]
        self.ledger = Ledger(intents, journal_id=journal_id, strategy=strategy)
        opened = [
            Intent(
                client_order_id=f"open-{base}",
                base=base,
                side="Buy" if quantity > 0 else "Sell",
                kind="market",
                qty=abs(quantity),
            )
            for base, quantity in cargo.positions.items()
        ]
        self.opened = Ledger(opened, journal_id=journal_id, strategy=strategy)
        self.executed: dict[str, Decimal] = {}
        self.positions = dict(cargo.positions)
        self.stops: list[Stop] = []

    def now_s(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._began_s

    def truths(self) -> Truths:
        """What the exchanges say."""
        return {name: control.truth() for name, control in self._controls.items()}

    def standing(self, truths: Truths) -> list[Point]:
        """How it stood after each execution."""
        return points(executions(truths, {*self.ledger.of_wire, *self.opened.of_wire}))

    def set_out(self, exchange: str = EXCHANGES[0]) -> list[str]:
        """Opens the positions, places the orders, and looks; returns what is not as it should be."""
        for intent in self.opened.intents:
            self._router.place_order(
                f"{intent.base}USDT", intent.side, "Market", str(intent.qty), client_order_id=intent.client_order_id
            )
        for intent, each in zip(self.ledger.intents, self._cargo.orders, strict=True):
            extra: dict[str, Any] = {"trigger_price": each.trigger, "trigger": "Stop"} if each.trigger else {}
            self._router.place_order(
                f"{each.base}USDT",
                each.side,
                "Limit" if each.price else "Market",
                each.qty,
                each.price or None,
                each.time_in_force,
                reduce_only=each.reduce_only,
                client_order_id=intent.client_order_id,
                **extra,
            )
        return self.arrived(exchange, START_S)

    def move(self, exchange: str) -> Stop:
        """The market takes something, trading is moved, and all of it arrives, or not."""
        stop = Stop(exchange=exchange, from_s=self.now_s())
        self.stops.append(stop)
        stop.taken = {name: str(qty) for name, qty in self.take().items()}
        stop.from_s = self.now_s()
        try:
            self._router.manual_failover(exchange)
        except OrderRouterError as error:
            stop.wrong, stop.to_s = [f"The switch to {exchange} was refused: {error}"], self.now_s()
            return stop
        stop.switch_s = self.now_s() - stop.from_s
        stop.wrong = self.arrived(exchange, STOP_S)
        stop.to_s = self.now_s()
        stop.history = dict(self._entry(exchange) or {})
        self._told(f"{exchange}: {stop.to_s - stop.from_s:.1f} s, {len(stop.wrong)} wrong {stop.wrong[:4]}")
        return stop

    def _entry(self, exchange: str) -> HistoryEntry | None:
        moved = [s for s in self._router.get_failover_history() if s["to_exchange"] == exchange]
        return max(moved, key=lambda switch: switch["epoch"], default=None)

    def take(self) -> dict[str, Decimal]:
        """Parts of some orders execute where they rest."""
        truths = self.truths()
        legs = self.ledger.legs(truths)
        can = [i for i in self.ledger.intents if i.kind in ("limit", "post-only") and live_leg(legs[i.client_order_id])]
        taken: dict[str, Decimal] = {}
        for intent in self._chance.sample(can, min(TAKEN, len(can))):
            found = live_leg(legs[intent.client_order_id])
            assert found is not None
            exchange, order = found
            qty = intent.qty / 10  # what is left stays on every exchange's step
            if Decimal(order["qty"]) - Decimal(order["filled"]) <= 3 * qty:
                continue
            self._controls[exchange].fill(order_id=order["order_id"], qty=qty)
            name = intent.client_order_id
            taken[name] = qty
            self.executed[name] = self.executed.get(name, ZERO) + qty
            self.positions[intent.base] = self.positions.get(intent.base, ZERO) + intent.sign * qty
        return taken

    def arrived(self, exchange: str, timeout_s: float) -> list[str]:
        """Waits until nothing is wrong at a stop; what still is when the time is over."""
        end_s, pause = time.monotonic() + timeout_s, threading.Event()
        while True:
            found = list(
                wrong(self.ledger, self.truths(), where=exchange, executed=self.executed, positions=self.positions)
            )
            if not found or time.monotonic() > end_s:
                return found
            pause.wait(LOOK_S)


def measure(folder: Path, *, seed: int, told: Callable[[str], None], way: Sequence[str] = WAY) -> dict[str, Any]:
    """The journey, as it is written down."""
    with exchanges(EXCHANGES, folder) as facts:
        controls = {name: ControlClient(fact["control_url"]) for name, fact in facts.items()}
        state_dir = folder / "state"
        with OrderRouter(config=router_tables(facts, state_dir), strategy=STRATEGY) as router:
            _all_well(router)
            presence = read_presence(state_dir)
            assert presence is not None, "a router that is initialized has a daemon"
            journey = Journey(router, controls, journal_id=presence.journal_id, seed=seed, told=told)
            begun = journey.set_out()
            told(f"set out: {begun}")
            if not begun:
                for exchange in way:
                    if journey.move(exchange).wrong:
                        break
            truths = journey.truths()
    return _result(journey, begun, truths, way)


def _all_well(router: OrderRouter) -> None:
    end_s, pause = time.monotonic() + START_S, threading.Event()
    while time.monotonic() < end_s:
        status = router.get_status()
        health, backups = status["exchange_health"], status["readiness"]
        well = status["status"] == "ready" and all(name in health and health[name]["healthy"] for name in EXCHANGES)
        if well and all(backup["ready"] for backup in backups):
            return
        pause.wait(0.05)


def _result(journey: Journey, begun: list[str], truths: Truths, way: Sequence[str]) -> dict[str, Any]:
    standing = journey.standing(truths)
    largest = largest_drift(standing, PRICES)
    return {
        "way": [EXCHANGES[0], *way],
        "orders": len(ORDERS),
        "kinds": {kind: sum(each.kind == kind for each in ORDERS) for kind in dict.fromkeys(e.kind for e in ORDERS)},
        "positions": {base: str(quantity) for base, quantity in POSITIONS.items()},
        "slice_notional": SLICE_NOTIONAL,
        "slice_pause_s": SLICE_PAUSE_S,
        "begun_wrong": begun,
        "unexplained": unexplained(standing, truths),
        "complete": not begun and len(journey.stops) == len(way) and not any(stop.wrong for stop in journey.stops),
        "stops": [
            {
                "exchange": stop.exchange,
                "from_s": round(stop.from_s, 3),
                "to_s": round(stop.to_s, 3),
                "switch_s": round(stop.switch_s, 3),
                "taken": stop.taken,
                "wrong": stop.wrong,
                "steps": stop.history.get("steps", {}),
            }
            for stop in journey.stops
        ],
        "largest_drift": {base: round(float(value), 2) for base, value in sorted(largest.items())},
        "executions": len(standing),
        "curve": _curve(standing, journey.began_at_s, journey.now_s()),
    }


def _curve(standing: Sequence[Point], began_at_s: float, until_s: float) -> dict[str, Any]:
    """What is drawn: quote coin over seconds, each value until the next."""

    def at_s(point: Point) -> float:
        return round(point.at_ms / 1000 - began_at_s, 3)

    def thinned(line: list[list[float]]) -> list[list[float]]:
        return [each for number, each in enumerate(line) if number == 0 or line[number - 1][1] != each[1]]

    def held(exchange: str) -> list[list[float]]:
        line = [[at_s(point), round(float(gross(point, exchange, PRICES)), 2)] for point in standing]
        return thinned([[0.0, 0.0], *line])

    def drift(base: str) -> list[list[float]]:
        line = [[at_s(point), round(float(point.drift.get(base, ZERO) * PRICES[base]), 2)] for point in standing]
        return thinned([[0.0, 0.0], *line])

    return {
        "until_s": round(until_s, 1),
        "gross": {exchange: held(exchange) for exchange in EXCHANGES},
        "drift": {base: drift(base) for base in PRICES},
    }
