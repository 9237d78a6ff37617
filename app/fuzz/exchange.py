"""A simulated exchange: the truth about orders and fills, which nobody in the router can see but through calls.

It keeps its word as `Proof` states it and no better: an expiry is enforced where it is said to be, with the exchange's
own clock; an accepted request may dawdle by `lateness_s`; what executed may be missing from look-ups, or shown as it
was, for `visibility_s`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import StrEnum
from random import Random

from attrs import define, field, frozen

from app.domain import calls as c
from app.domain.fill_sums import FillSum
from app.domain.kept_limits import KeptLimits, MeterName, Values
from app.domain.limiter import RateLimit
from messages.market import Balance, Symbol, Ticker
from messages.orders import LegState, OrderType, Side, TimeInForce
from messages.positions import Position


class Memory:
    """What a connector has used of the exchange's limits: it outlives it, as the file does."""

    def __init__(self) -> None:
        self._kept = KeptLimits()

    def take_over(self) -> KeptLimits:
        """As it was left."""
        return self._kept

    def keep(self, meters: Mapping[MeterName, Values], closed_until_s: float, banned_until_s: float) -> None:
        """See `KeepsLimits`."""
        self._kept = KeptLimits(
            meters={**self._kept.meters, **meters}, closed_until_s=closed_until_s, banned_until_s=banned_until_s
        )

    def close(self) -> None:
        """It stays."""


LIVE = (LegState.OPEN, LegState.PARTIALLY_FILLED)
MARKET = Decimal(25_000)
"""Every market's price, always."""


class Duplicates(StrEnum):
    """Which orders a client order id must differ from."""

    ALL_ORDERS = "all orders"
    OPEN_ONLY = "open orders only"


@frozen(kw_only=True)
class Traits:
    """The character of one exchange.

    Attributes:
        clock_s: The exchange's clock minus ours, within `proof.clock_error_s`.
        acknowledges: A placement is answered when it is accepted for processing, before the engine has it, and the
            answer does not say what filled.
        final_cancels: A cancel is answered when it is done, with the final state; else it is acknowledged before.
    """

    name: str
    proof: c.Proof
    rate_limit: RateLimit
    duplicates: Duplicates
    clock_s: float
    acknowledges: bool
    final_cancels: bool


@frozen(kw_only=True)
class SimTrade:
    """One execution.

    Attributes:
        listed_s: From when on it is listed: later than the order shows it, now and then.
    """

    trade_id: str
    at_s: float
    listed_s: float
    quantity: Decimal
    price: Decimal


@define(kw_only=True)
class SimOrder:
    """One order on the exchange.

    Attributes:
        serial: Which order of which strategy it is a leg of.
        accepted_s: When the engine took it.
        ended_s: When it could no longer fill; None while it can.
        history: (when, state, filled), oldest first.
        trades: What filled, the oldest first.
    """

    exchange: str
    serial: int
    wire_id: str
    exchange_order_id: str
    symbol: Symbol
    side: Side
    quantity: Decimal
    accepted_s: float
    expiry_s: float
    ended_s: float | None = None
    history: list[tuple[float, LegState, Decimal]] = field(factory=list)
    trades: list[SimTrade] = field(factory=list)

    @property
    def state(self) -> LegState:
        """Now."""
        return self.history[-1][1]

    @property
    def filled(self) -> Decimal:
        """Now."""
        return self.history[-1][2]

    def filled_by(self, at_s: float) -> Decimal:
        """Filled up to a time."""
        return next((filled for when_s, _, filled in reversed(self.history) if when_s <= at_s), Decimal(0))

    def live_at(self, at_s: float) -> bool:
        """Whether it could still fill at a time."""
        return self.accepted_s <= at_s and (self.ended_s is None or at_s < self.ended_s)

    @property
    def executed(self) -> bool:
        """The engine took it; an order it refused executed nothing."""
        return self.state is not LegState.REFUSED

    def change(self, at_s: float, state: LegState, filled: Decimal) -> None:
        """The engine did something."""
        self.history.append((at_s, state, filled))
        if state not in LIVE:
            self.ended_s = at_s


def serial_of(call: c.PlaceCall) -> int:
    """Which order a placement is a leg of: told apart by its stop loss, which every leg carries unchanged."""
    assert call.spec.stop_loss is not None
    return int(call.spec.stop_loss)


@define
class SimExchange:
    """One exchange.

    Attributes:
        later: Calls a function after some seconds.
        now: The host's clock.
        refusals: Share of placements refused by a code.
        omits: Share of executions that a list leaves out, and of those it has twice.
        dawdles: Share of placements that wait as long as they may between gateway and engine.
        limits: What its connectors leave each other of their use of its limit.
        counted: Calls that count against it now; `over_s`, when they were first too many, or 0.
    """

    traits: Traits
    rng: Random
    now: Callable[[], float]
    later: Callable[[float, Callable[[], None]], None]
    note: Callable[[str, str], None]
    refusals: float = 0.0
    dawdles: float = 0.08
    omits: float = 0.1
    orders: list[SimOrder] = field(init=False, factory=list)
    limits: Memory = field(init=False, factory=Memory)
    counted: float = field(init=False, default=0.0)
    _counted_s: float = field(init=False, default=0.0)
    over_s: float = field(init=False, default=0.0)
    _by_wire: dict[str, list[SimOrder]] = field(init=False, factory=dict)
    _trades: int = field(init=False, default=0)

    # ------------------------------------------------------------------------------------------------ limits

    def asked(self) -> None:
        """One more call is on its way, of whichever life of a connector: counted as the exchange's limit says."""
        now_s, limit = self.now(), self.traits.rate_limit
        self.counted = max(0.0, self.counted - limit.per_s * (now_s - self._counted_s)) + 1.0
        self._counted_s = now_s
        if self.counted > limit.burst + 1e-6 and not self.over_s:
            self.over_s = now_s

    # ------------------------------------------------------------------------------------------------ placing

    def place(self, call: c.PlaceCall, answer: Callable[[c.Result], None]) -> None:
        """A placement arrives at the gateway."""
        now_s, proof = self.now(), self.traits.proof
        enforced = proof.enforcement is not c.ExpiryEnforcement.NONE
        late = now_s + self.traits.clock_s > call.expiry_s
        if (enforced and late) or now_s > call.expiry_s + proof.lateness_s:
            self._say(call, "expired at the gateway")
            answer(c.NotExecuted(code="expired", words="The request had expired.", native_code="10002"))
            return
        if self.refusals and self.rng.random() < self.refusals:
            self._say(call, "refused")
            answer(c.Refused(code="insufficient_funds", words="Not enough money.", native_code="110007"))
            return
        if self._duplicate(call):
            answer(c.Ambiguous(code="duplicate", words="That id is in use.", native_code="110072", duplicate=True))
            return
        room_s = max(0.0, call.expiry_s + proof.lateness_s - now_s)
        dawdle_s = room_s * self.rng.random() if self.rng.random() < self.dawdles else 0.02 * self.rng.random()
        if self.traits.acknowledges:
            answer(c.Placed(report=self._report_as(call, f"{self.traits.name}-{call.wire_id[-6:]}", LegState.OPEN)))
            self.later(dawdle_s, lambda: self._engine(call, lambda result: None))
        else:
            self.later(dawdle_s, lambda: self._engine(call, answer))

    def _engine(self, call: c.PlaceCall, answer: Callable[[c.Result], None]) -> None:
        now_s, proof = self.now(), self.traits.proof
        late = proof.enforcement is c.ExpiryEnforcement.ENGINE and now_s + self.traits.clock_s > call.expiry_s
        if late or now_s > call.expiry_s + proof.lateness_s:
            if self.traits.acknowledges:
                self._take(call, LegState.REFUSED)
            self._say(call, "expired at the engine")
            answer(c.NotExecuted(code="expired", words="The request had expired.", native_code="10002"))
            return
        if self._duplicate(call):
            answer(c.Ambiguous(code="duplicate", words="That id is in use.", native_code="110072", duplicate=True))
            return
        if self.traits.acknowledges and self.refusals and self.rng.random() < self.refusals:
            self._take(call, LegState.REFUSED)
            return
        order = self._take(call, LegState.OPEN)
        ends_at_once = call.spec.order_type is OrderType.MARKET or call.spec.time_in_force is TimeInForce.IOC
        draw = self.rng.random()
        if ends_at_once:
            part = order.quantity if draw < 0.8 else self._part(order.quantity)
            self._trade(order, part)
            order.change(now_s, LegState.FILLED if part == order.quantity else LegState.EXPIRED, part)
        elif draw < 0.15:
            self.fill(order, order.quantity)
        elif draw < 0.3:
            self.fill(order, self._part(order.quantity))
        answer(c.Placed(report=self._report(order, order.history[-1])))

    def _duplicate(self, call: c.PlaceCall) -> bool:
        known = self._by_wire.get(call.wire_id, ())
        if self.traits.duplicates is Duplicates.OPEN_ONLY:
            return any(order.ended_s is None for order in known)
        return any(order.executed for order in known)

    def _take(self, call: c.PlaceCall, state: LegState) -> SimOrder:
        now_s = self.now()
        order = SimOrder(
            exchange=self.traits.name,
            serial=serial_of(call),
            wire_id=call.wire_id,
            exchange_order_id=f"{self.traits.name}-{call.wire_id[-6:]}",
            symbol=call.spec.symbol,
            side=call.spec.side,
            quantity=call.quantity,
            accepted_s=now_s,
            expiry_s=call.expiry_s,
        )
        order.change(now_s, state, Decimal(0))
        self.orders.append(order)
        self._by_wire.setdefault(call.wire_id, []).append(order)
        self._say(call, f"is {state.value} there")
        return order

    def _part(self, quantity: Decimal) -> Decimal:
        return (quantity * Decimal(self.rng.randint(1, 9)) / 10).quantize(Decimal("0.0001"))

    def fill(self, order: SimOrder, quantity: Decimal) -> None:
        """Some of a live order fills."""
        if order.ended_s is None:
            filled = min(order.quantity, order.filled + quantity)
            state = LegState.FILLED if filled == order.quantity else LegState.PARTIALLY_FILLED
            self._trade(order, filled - order.filled)
            order.change(self.now(), state, filled)
            self.note(self.traits.name, f"order {order.serial} filled {filled} of {order.quantity}")

    def _trade(self, order: SimOrder, quantity: Decimal) -> None:
        """In one trade or two, at any prices; either may be listed some seconds late."""
        parts = [self._part(quantity), Decimal(0)] if self.rng.random() < 0.4 else [quantity, Decimal(0)]
        parts[1] = quantity - parts[0]
        for part in filter(None, parts):
            self._trades += 1
            late_s = 5.0 * self.rng.random() if self.rng.random() < 0.2 else 0.0
            order.trades.append(
                SimTrade(
                    trade_id=f"t{self._trades}",
                    at_s=self.now(),
                    listed_s=self.now() + late_s,
                    quantity=part,
                    price=Decimal(self.rng.randint(240_000, 260_000)) / 10,
                )
            )

    def price_moves(self) -> None:
        """Some of what rests fills, wholly or in part."""
        for order in self.orders:
            if order.ended_s is None and self.rng.random() < 0.6:
                left = order.quantity - order.filled
                self.fill(order, left if self.rng.random() < 0.6 else self._part(left))

    # ------------------------------------------------------------------------------------------------ cancelling

    def cancel(self, call: c.CancelCall, answer: Callable[[c.Result], None]) -> None:
        """A cancel arrives."""
        order = next((o for o in self._by_wire.get(call.wire_id, ()) if o.ended_s is None), None)
        if order is None:
            answer(c.CancelTooLate(native_code="110001", words="No such live order."))
        elif self.traits.final_cancels:
            self._end(order)
            answer(c.CancelConfirmed(final=self._report(order, order.history[-1])))
        else:
            target = order
            after_s = 1.5 * self.rng.random() ** 2
            if self.rng.random() < 0.2:  # the market does not wait for a cancel
                self.later(0.9 * after_s, lambda: self.fill(target, self._part(target.quantity)))
            self.later(after_s, lambda: self._end(target))
            answer(c.CancelConfirmed(final=None))

    def _end(self, order: SimOrder) -> None:
        if order.ended_s is None:
            order.change(self.now(), LegState.CANCELLED, order.filled)
            self.note(self.traits.name, f"order {order.serial} cancelled at {order.filled} of {order.quantity}")

    # ------------------------------------------------------------------------------------------------ reading

    def read(self, call: c.Call, asked_s: float, lag_s: float) -> c.Result:
        """A call that reads arrives; what it sees is `lag_s` old."""
        as_of_s = self.now() - lag_s
        match call:
            case c.LookUpCall():
                seen = [self._seen(order, as_of_s) for order in self._by_wire.get(call.wire_id, ())]
                found = [report for report in seen if report is not None]
                return c.Found(report=found[-1]) if found else c.NotFound(asked_s=asked_s)
            case c.OpenOrdersCall():
                reports = [self._seen(order, as_of_s) for order in self.orders]
                live = tuple(report for report in reports if report is not None and report.state in LIVE)
                return c.OpenOrders(reports=live, asked_s=asked_s)
            case c.FillsCall():
                return c.Fills(fills=tuple(self._listed(call, as_of_s)))
            case c.PositionsCall():
                return c.PositionsResult(positions=self._positions(as_of_s))
            case c.BalancesCall():
                some = Decimal(10_000)
                balance = Balance(
                    exchange=self.traits.name, coin="USDT", total=some, free=some, used=Decimal(0), at_s=as_of_s
                )
                return c.BalancesResult(balances=(balance,))
            case c.TickerCall():
                price = MARKET
                ticker = Ticker(
                    exchange=self.traits.name,
                    symbol=call.symbol,
                    bid=price,
                    ask=price,
                    last=price,
                    mark=price,
                    at_s=as_of_s,
                )
                return c.TickerResult(ticker=ticker)
            case _:
                return c.ProbeOk(clock_offset_s=self.traits.clock_s)

    def _seen(self, order: SimOrder, as_of_s: float) -> c.OrderReport | None:
        moment = next((entry for entry in reversed(order.history) if entry[0] <= as_of_s), None)
        return None if moment is None else self._report(order, moment)

    def _listed(self, call: c.FillsCall, as_of_s: float) -> list[c.FillReport]:
        """Executions since a time, in any order: some missing, some twice."""
        found = []
        for order in self.orders if call.wire_id is None else self._by_wire.get(call.wire_id, ()):
            for trade in order.trades:
                if not call.since_s <= trade.at_s or trade.listed_s > as_of_s or self.rng.random() < self.omits:
                    continue
                report = c.FillReport(
                    trade_id=trade.trade_id,
                    exchange_order_id=order.exchange_order_id,
                    # As on real ones: some tell the id an order was sent with, some only their own.
                    wire_id=None if self.traits.final_cancels else order.wire_id,
                    symbol=order.symbol,
                    side=order.side,
                    quantity=trade.quantity,
                    price=trade.price,
                    fee=trade.quantity * trade.price / 2000,
                    fee_coin="USDT",
                    maker=None,
                    at_s=trade.at_s,
                )
                found += [report] * (2 if self.rng.random() < self.omits else 1)
        self.rng.shuffle(found)
        return found

    def _positions(self, as_of_s: float) -> tuple[Position, ...]:
        held: dict[Symbol, Decimal] = {}
        for order in self.orders:
            sign = 1 if order.side is Side.BUY else -1
            held[order.symbol] = held.get(order.symbol, Decimal(0)) + sign * order.filled_by(as_of_s)
        return tuple(
            Position(
                exchange=self.traits.name,
                symbol=symbol,
                quantity=quantity,
                entry_price=None,
                mark_price=None,
                leverage=None,
                unrealised_pnl=None,
                at_s=as_of_s,
            )
            for symbol, quantity in held.items()
            if quantity != 0
        )

    def _report(self, order: SimOrder, moment: tuple[float, LegState, Decimal]) -> c.OrderReport:
        done = FillSum.of((trade.quantity, trade.price) for trade in order.trades if trade.at_s <= moment[0])
        return c.OrderReport(
            exchange_order_id=order.exchange_order_id,
            wire_id=order.wire_id,
            symbol=order.symbol,
            state=moment[1],
            filled=moment[2],
            average_price=done.average_price.quantize(Decimal("0.1")) if moment[2] > 0 else None,
        )

    def _report_as(self, call: c.PlaceCall, exchange_order_id: str, state: LegState) -> c.OrderReport:
        return c.OrderReport(
            exchange_order_id=exchange_order_id,
            wire_id=call.wire_id,
            symbol=call.spec.symbol,
            state=state,
            filled=None,
            average_price=None,
        )

    def _say(self, call: c.PlaceCall, words: str) -> None:
        self.note(self.traits.name, f"order {serial_of(call)} (…{call.wire_id[-6:]}) {words}")
