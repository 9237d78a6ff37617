"""The strategy of the harness: it places, cancels, asks and re-sends as its plan says, and writes down what it hears.

Its plan lives outside it, as a strategy's own database would: a new life goes on where the last one ended, asking again
under the same ids for what it is unsure of.
"""

from __future__ import annotations

from decimal import Decimal
from heapq import heappop, heappush
from random import Random

from attrs import define

from actors.strategy import Strategy
from app.fuzz.record import Asked, FillHeard, Heard, Record, TradeHeard, Trouble
from messages.executions import Execution
from messages.failover import Route, RouterState
from messages.orders import Fill, LegState, OrderKey, OrderUpdate, Told

UNPROVEN = (LegState.INTENT, LegState.UNKNOWN)
ASK_EVERY_S = 3.0


@define(kw_only=True)
class OrderPlan:
    """One order of a strategy: what it is, and what its owner does about it.

    Attributes:
        serial: Unique in the run.
        at_s: When to place it first.
        cancel_after_s: After it was accepted, or nobody knew; None for never.
        again_after_s: Placed again under the same id, whatever happened; None for never.
        get_after_s: Asked after; None for never.
        asks: Whether its owner keeps asking after an unknown outcome, or only listens.
        retries: How often it is placed again after "not executed".
        reduce_only: It only reduces a position; `trigger` and `trigger_price`, it waits for a price.
        take_profit: What closes what filled of it; so does `stop_loss`.
        marked: Its serial is its stop loss; otherwise it is told apart by its own id.
        other_after_s: Placed under the same id for half as much, which is another body; None for never.
        changes: What it is changed to, in turn: how long after the last one, or its acceptance, quantity, price.
        asked: Placed at least once.
        concluded: Its owner knows what it needs to know.
    """

    serial: int
    at_s: float
    side: str
    quantity: Decimal
    price: Decimal | None
    time_in_force: str
    timeout_s: float
    cancel_after_s: float | None = None
    again_after_s: float | None = None
    get_after_s: float | None = None
    other_after_s: float | None = None
    asks: bool = True
    retries: int = 0
    changes: tuple[tuple[float, Decimal | None, Decimal | None], ...] = ()
    symbol: str = "BTCUSDT"
    reduce_only: bool = False
    trigger: str | None = None
    trigger_price: Decimal | None = None
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    marked: bool = True
    changed: int = 0
    asked: bool = False
    concluded: bool = False
    order_id: str = ""

    @property
    def most(self) -> Decimal:
        """The most it was ever asked to be for."""
        return max([self.quantity, *(quantity for _, quantity, _ in self.changes if quantity is not None)])

    @property
    def half(self) -> Decimal:
        """Another body: never for more than was asked, so that whichever is placed first is no harm."""
        return (self.quantity / 2).quantize(Decimal("0.0001"))

    @property
    def client_order_id(self) -> str:
        """The strategy's own id for it."""
        return f"o{self.serial}"


@define(kw_only=True)
class StrategyPlan:
    """Everything one strategy is to do, and how often it has lived."""

    name: str
    orders: dict[int, OrderPlan]
    final_get_s: float
    lives: int = 0


class FuzzStrategy(Strategy):
    """Follows a plan."""

    def __init__(self, plan: StrategyPlan, record: Record) -> None:
        self._plan = plan
        self._record = record
        self._todo: list[tuple[float, int, str]] = []
        self._waiting: dict[str, tuple[str, OrderPlan]] = {}

    def on_start(self) -> None:
        """A new life: what is unsure first, the rest in its time."""
        self._plan.lives += 1
        for order in self._plan.orders.values():
            if order.asked and not order.concluded:
                self._place(order)
            elif not order.asked:
                self._later(order.at_s, order, "place")
            self._later(self._plan.final_get_s, order, "get")
        self.on_timer(self.now_s())

    def on_timer(self, now_s: float) -> None:
        """Whatever is due."""
        while self._todo and self._todo[0][0] <= now_s:
            _, serial, kind = heappop(self._todo)
            order = self._plan.orders[serial]
            if kind in ("place", "other"):
                self._place(order, kind)
            elif kind == "get":
                self.get(order.client_order_id, timeout_s=order.timeout_s)
                self._asked(order, kind)
            elif kind == "amend":
                self._amend(order)
            elif order.order_id:
                self.cancel(order.order_id, timeout_s=order.timeout_s)
                self._asked(order, kind)
        if self._todo:
            self.call_at(self._todo[0][0])

    def _later(self, at_s: float, order: OrderPlan, kind: str) -> None:
        heappush(self._todo, (at_s, order.serial, kind))
        self.call_at(at_s)

    def _asked(self, order: OrderPlan, kind: str, *body: Decimal | None) -> None:
        request = next(reversed(self._actor._asked))  # the actor's own list tells which answer belongs to which request
        self._waiting[request] = kind, order
        deadline_s, life = self.now_s() + order.timeout_s, self._plan.lives
        self._record.add(
            Asked(self.now_s(), self.name, life, f"{life}/{request}", kind, order.serial, deadline_s, *body)
        )

    def _answered(self) -> tuple[str, str, OrderPlan] | None:
        for request, (kind, order) in self._waiting.items():
            if request not in self._actor._asked:
                del self._waiting[request]
                return f"{self._plan.lives}/{request}", kind, order
        return None

    def _amend(self, order: OrderPlan) -> None:
        if order.changed >= len(order.changes):
            return  # accepted twice
        _, quantity, price = order.changes[order.changed]
        order.changed += 1
        self.amend(order.order_id, quantity=quantity, price=price, timeout_s=order.timeout_s)
        self._asked(order, "amend", quantity, price)
        if order.changed < len(order.changes):
            self._later(self.now_s() + order.changes[order.changed][0], order, "amend")

    def _place(self, order: OrderPlan, kind: str = "place") -> None:
        quantity = order.quantity if kind == "place" else order.half
        if not order.asked:
            order.asked = True
            if order.again_after_s is not None:
                self._later(self.now_s() + order.again_after_s, order, "place")
            if order.get_after_s is not None:
                self._later(self.now_s() + order.get_after_s, order, "get")
            if order.other_after_s is not None:
                self._later(self.now_s() + order.other_after_s, order, "other")
        order.concluded = order.concluded and kind == "other"
        self.place(
            order.symbol,
            order.side,
            quantity,
            client_order_id=order.client_order_id,
            price=order.price,
            time_in_force=order.time_in_force,
            reduce_only=order.reduce_only,
            take_profit=order.take_profit,
            stop_loss=Decimal(order.serial) if order.marked else order.stop_loss,
            trigger=order.trigger,
            trigger_price=order.trigger_price,
            timeout_s=order.timeout_s,
        )
        self._asked(order, kind, quantity, order.price)

    def on_order(self, update: OrderUpdate) -> None:
        """Writes it down, and goes on."""
        answered = self._answered()
        request, kind, order = answered if answered is not None else (None, None, self._order(update))
        serial = order.serial if order is not None else self._serial(update.client_order_id)
        leg = update.order.leg if update.order is not None else None
        state = leg.state if leg is not None else None
        filled = update.order.filled if update.order is not None else None
        life = self._plan.lives
        said = update.told, serial, state, filled, update.words, update.number
        reason = (leg.reason_code or "") if leg is not None else ""
        self._record.add(Heard(self.now_s(), self.name, life, request, kind, *said, reason))
        if order is None:
            return
        order.order_id = update.order_id or order.order_id
        if kind not in ("cancel", "amend", "other"):
            self._react(order, kind, update.told, state)

    def _react(self, order: OrderPlan, kind: str | None, told: Told, state: LegState | None) -> None:
        now_s = self.now_s()
        match told:
            case Told.ACCEPTED | Told.REFUSED:
                order.concluded = True
            case Told.NOT_EXECUTED:
                order.concluded = True
                if kind == "place" and order.retries > 0:
                    order.retries -= 1
                    self._later(now_s + 0.5, order, "place")
            case Told.UNKNOWN:
                if order.asks and now_s < self._plan.final_get_s:
                    self._later(now_s + ASK_EVERY_S, order, "get")
            case Told.CHANGED:
                order.concluded = order.concluded or (state is not None and state not in UNPROVEN)
        if told in (Told.ACCEPTED, Told.UNKNOWN) and order.cancel_after_s is not None:
            self._later(now_s + order.cancel_after_s, order, "cancel")
            order.cancel_after_s = None
        if told is Told.ACCEPTED and order.changes and order.changed == 0 and order.order_id:
            self._later(now_s + order.changes[0][0], order, "amend")

    def on_fill(self, fill: Fill) -> None:
        """Writes it down."""
        serial = self._record.serial_of(fill.order.key)
        self._record.add(FillHeard(self.now_s(), serial, fill.quantity, fill.total, fill.number))

    def on_gap(self, missed: int) -> None:
        """No run is so long."""
        self._record.add(Trouble(self.now_s(), "news given up", f"{self.name} is not told {missed} news"))

    def on_execution(self, execution: Execution, number: int) -> None:
        """Writes it down."""
        assert execution.key is not None, "of an order of ours"
        serial, life = self._record.serial_of(execution.key), self._plan.lives
        there, trade_id = execution.exchange, execution.trade_id
        self._record.add(TradeHeard(self.now_s(), self.name, life, serial, there, trade_id, number))

    def on_route(self, route: Route, state: RouterState) -> None:
        """Nothing to do: the session sends again what must be."""

    def _order(self, update: OrderUpdate) -> OrderPlan | None:
        """The order it is about; None where that is an exit, which the router placed."""
        named = update.client_order_id
        return self._plan.orders[int(named[1:])] if named.startswith("o") else None

    def _serial(self, client_order_id: str) -> int:
        return self._record.serial_of(OrderKey(strategy=self.name, client_order_id=client_order_id))


def ask_otherwise(strategies: tuple[StrategyPlan, ...], until_s: float, rng: Random) -> None:
    """Lets owners ask for some orders under the same id with another body."""
    for order in [order for strategy in strategies for order in strategy.orders.values()]:
        if order.at_s < until_s and rng.random() < 0.15:
            order.other_after_s = rng.choice((0.001, 0.5, 10.0)) * rng.random()
