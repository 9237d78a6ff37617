"""A simulated exchange: the truth about orders and fills, which nobody in the router can see but through calls.

It keeps its word as `Proof` states it and no better: an expiry is enforced where it is said to be, with the exchange's
own clock; an accepted request may dawdle by `lateness_s`; what executed may be missing from look-ups, or shown as it
was, for `visibility_s`.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from random import Random

from attrs import define, evolve, field

from app.domain import calls as c
from app.domain.evidence import mark_of
from app.domain.fill_sums import FillSum
from app.fuzz.account import Account, Terms, price_of
from app.fuzz.sim_orders import LIVE, Duplicates, Memory, SimOrder, SimTrade, Traits
from messages.health import Maintenance, ProbeKind
from messages.market import Balance, ExchangeStatus, MarketType, Symbol
from messages.orders import LegState, OrderType, Side, TimeInForce

UNLIMITED = Terms(money=Decimal(10_000))
"""The account that an exchange without one tells of: it admits everything."""

MARKET = price_of(Symbol(base="BTC", quote="USDT", settle="USDT", market_type=MarketType.SWAP))
"""What the one market costs on exchanges without an account."""


def serial_of(call: c.PlaceCall) -> int:
    """Which order a placement is a leg of: told apart by its stop loss, which every leg carries unchanged."""
    assert call.spec.stop_loss is not None
    return int(call.spec.stop_loss)


@define
class SimExchange:
    """One exchange.

    Attributes:
        account: Money, margin and settings; None where every order is admitted, whatever stands there.
        identify: Tells which order a placement is a leg of.
        later: Calls a function after some seconds.
        now: The host's clock.
        refusals: Share of placements refused by a code.
        omits: Share of executions that a list leaves out, and of those it has twice.
        dawdles: Share of placements that wait as long as they may between gateway and engine.
        limits: What its connectors leave each other of their use of its limit.
        notices: Maintenances that its status tells of, each with the time from which on it does.
        banned_asks: When something was asked during a ban.
        refused: When an order was refused by a code, and its serial.
        turned_away: When a placement was answered as not executed, and its wire id.
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
    account: Account | None = None
    identify: Callable[[c.PlaceCall], int] = serial_of
    orders: list[SimOrder] = field(init=False, factory=list)
    limits: Memory = field(init=False, factory=Memory)
    notices: list[tuple[float, Maintenance]] = field(init=False, factory=list)
    banned_asks: list[float] = field(init=False, factory=list)
    refused: list[tuple[float, int]] = field(init=False, factory=list)
    turned_away: list[tuple[float, str]] = field(init=False, factory=list)
    counted: float = field(init=False, default=0.0)
    _counted_s: float = field(init=False, default=0.0)
    over_s: float = field(init=False, default=0.0)
    _by_wire: dict[str, list[SimOrder]] = field(init=False, factory=dict)
    _trades: int = field(init=False, default=0)
    _dead_man_s: float = field(init=False, default=float("inf"))

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
            self.refused.append((now_s, self.identify(call)))
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
        refused = self._inadmissible(call)
        if refused is not None:
            if self.traits.acknowledges:
                self._take(call, LegState.REFUSED)
            self._say(call, f"refused: {refused.code}")
            self.refused.append((now_s, self.identify(call)))
            answer(refused)
            return
        order = self._take(call, LegState.OPEN)
        ends_at_once = call.spec.order_type is OrderType.MARKET or call.spec.time_in_force is TimeInForce.IOC
        draw = self.rng.random()
        if ends_at_once:
            part = order.quantity if draw < 0.8 else self._part(order.quantity)
            part = min(part, self._room(order))
            self._trade(order, part)
            order.change(now_s, LegState.FILLED if part == order.quantity else LegState.EXPIRED, part)
        elif draw < 0.15:
            self.fill(order, order.quantity)
        elif draw < 0.3:
            self.fill(order, self._part(order.quantity))
        answer(c.Placed(report=self._report(order, order.history[-1])))

    def _inadmissible(self, call: c.PlaceCall) -> c.Refused | None:
        """Why the account does not admit an order; None where it does."""
        account, spec, now_s = self.account, call.spec, self.now()
        if account is None:
            return None
        if spec.reduce_only and spec.trigger is None:
            if account.reducible(self.orders, spec.symbol, spec.side, now_s) <= 0:
                return c.Refused(code="reduce_only_rejected", words="Nothing to reduce.", native_code="110017")
        elif account.short_of(self.orders, spec, call.quantity, now_s):
            return c.Refused(code="insufficient_funds", words="Not enough money.", native_code="110007")
        if spec.time_in_force is TimeInForce.POST_ONLY and spec.price is not None:
            bid, ask = account.bid_ask(spec.symbol)
            if spec.price >= ask if spec.side is Side.BUY else spec.price <= bid:
                return c.Refused(code="post_only_rejected", words="It would not rest.", native_code="170218")
        return None

    def _room(self, order: SimOrder) -> Decimal:
        """How much of an order may fill by what stands there: what only reduces never does more."""
        if self.account is None or not order.reduce_only:
            return order.quantity
        return self.account.reducible(self.orders, order.symbol, order.side, self.now())

    def _duplicate(self, call: c.PlaceCall) -> bool:
        known = self._by_wire.get(call.wire_id, ())
        if self.traits.duplicates is Duplicates.OPEN_ONLY:
            return any(order.ended_s is None for order in known)
        return any(order.executed for order in known)

    def _take(self, call: c.PlaceCall, state: LegState) -> SimOrder:
        now_s = self.now()
        order = SimOrder(
            exchange=self.traits.name,
            serial=self.identify(call),
            wire_id=call.wire_id,
            exchange_order_id=f"{self.traits.name}-{call.wire_id[-6:]}",
            symbol=call.spec.symbol,
            side=call.spec.side,
            quantity=call.quantity,
            accepted_s=now_s,
            expiry_s=call.expiry_s,
            spec=call.spec,
        )
        order.change(now_s, state, Decimal(0))
        self.orders.append(order)
        self._by_wire.setdefault(call.wire_id, []).append(order)
        self._say(call, f"is {state.value} there")
        return order

    def _part(self, quantity: Decimal) -> Decimal:
        drawn = quantity * Decimal(self.rng.randint(1, 9)) / 10
        if self.account is None:
            return drawn.quantize(Decimal("0.0001"))
        step = self.account.terms.step
        return max(min(step, quantity), drawn // step * step)

    def fill(self, order: SimOrder, quantity: Decimal) -> None:
        """Some of a live order fills."""
        if order.ended_s is None:
            room = self._room(order)
            if order.reduce_only and room <= 0:
                self._end(order)  # as exchanges do with what is left of it when there is nothing to reduce
                return
            filled = min(order.quantity, order.filled + min(quantity, room))
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
                    price=self._price(order),
                )
            )

    def _price(self, order: SimOrder) -> Decimal:
        """About what the market costs, and never beyond an order's limit."""
        drawn = Decimal(self.rng.randint(240_000, 260_000)) / 10
        if self.account is None:
            return drawn
        bid, ask = self.account.bid_ask(order.symbol)
        worse = 1 + (drawn / MARKET - 1) / 100  # by two basis points at most
        limit, tick = order.spec.price, self.account.terms.tick
        if order.side is Side.BUY:
            price = ask * worse // tick * tick
            return price if limit is None else min(limit, price)
        price = bid / worse // tick * tick
        return price if limit is None else max(limit, price)

    def price_moves(self) -> None:
        """Some of what rests fills, wholly or in part, and some exits that orders took along fire."""
        for order in self.orders:
            if self.account is not None and order.filled > 0 and self.account.terms.attaches:
                self._fire(order)
            if order.serial < 0 and self.rng.random() < 0.7:
                continue  # an exit, far from the market
            if order.ended_s is None and self.rng.random() < 0.6:
                left = order.quantity - order.filled
                self.fill(order, left if self.rng.random() < 0.6 else self._part(left))

    def _fire(self, order: SimOrder) -> None:
        """An exit that an order took along closes what of it is still there, once."""
        spec, account = order.spec, self.account
        if (spec.take_profit is None and spec.stop_loss is None) or order.fired or self.rng.random() < 0.8:
            return
        assert account is not None
        other = Side.SELL if order.side is Side.BUY else Side.BUY
        closed = min(order.filled, account.reducible(self.orders, order.symbol, other, self.now()))
        if closed > 0:
            order.fired = True
            account.foreign.append((self.now(), order.symbol, -order.signed(closed)))
            self.note(self.traits.name, f"an exit of order {order.serial} closes {closed}")

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
                moments = ((order, self._moment(order, as_of_s)) for order in self.orders)
                live = tuple(self._report(order, each) for order, each in moments if each and each[1] in LIVE)
                return c.OpenOrders(reports=live, asked_s=asked_s)
            case c.FillsCall():
                return c.Fills(fills=tuple(self._listed(call, as_of_s)))
            case c.PositionsCall():
                account = self.account or Account(UNLIMITED)
                return c.PositionsResult(positions=account.told(self.traits.name, self.orders, as_of_s))
            case c.BalancesCall():
                return c.BalancesResult(balances=(self._balance(as_of_s),))
            case c.AccountCall():
                account = self.account or Account(UNLIMITED)
                view = account.view(self.traits.name, call.symbols, self._balance(as_of_s).free, as_of_s)
                prices = tuple((symbol, account.price(symbol)) for symbol in call.priced)
                view = evolve(view, clock_offset_s=self.traits.clock_s, clock_error_s=0.0)
                return c.AccountResult(account=view, prices=prices)
            case c.TickerCall():
                account = self.account or Account(UNLIMITED)
                return c.TickerResult(ticker=account.ticker(self.traits.name, call.symbol, as_of_s))
            case c.OrderBookCall():
                account = self.account or Account(UNLIMITED)
                return c.OrderBookResult(book=account.book(self.traits.name, call.symbol, as_of_s))
            case c.StatusCall():
                status = ExchangeStatus(exchange=self.traits.name, ok=True, words="", until_s=None, at_s=as_of_s)
                known = [each for told_s, each in self.notices if told_s <= as_of_s and (each.end_s or 0.0) > as_of_s]
                return c.StatusResult(status=status, notice=min(known, key=lambda each: each.begin_s, default=None))
            case c.ProbeCall(kind=ProbeKind.SIGNED):  # whose mark moves with each trade, as by its fee
                balance = self._balance(as_of_s)
                return c.ProbeOk(
                    clock_offset_s=None, mark=mark_of([str(balance.total), str(balance.free), self._trades])
                )
            case _:
                return c.ProbeOk(clock_offset_s=self.traits.clock_s)

    def _seen(self, order: SimOrder, as_of_s: float) -> c.OrderReport | None:
        moment = self._moment(order, as_of_s)
        return None if moment is None else self._report(order, moment)

    def _moment(self, order: SimOrder, as_of_s: float) -> tuple[float, LegState, Decimal] | None:
        for entry in reversed(order.history):
            if entry[0] <= as_of_s:
                return entry
        return None

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

    def _balance(self, as_of_s: float) -> Balance:
        if self.account is not None:
            return self.account.balance(self.traits.name, self.orders, as_of_s)
        some = UNLIMITED.money
        return Balance(exchange=self.traits.name, coin="USDT", total=some, free=some, used=Decimal(0), at_s=as_of_s)

    def arm(self, call: c.DeadManCall) -> c.Result:
        """The dead-man switch is set, or set anew: unless that comes again in time, every order here is cancelled."""
        self._dead_man_s = self.now() + call.timeout_s if call.timeout_s else float("inf")
        if call.timeout_s:
            self.later(call.timeout_s, self._dead_man)
        return c.DeadManArmed(fires_s=self._dead_man_s if call.timeout_s else None)

    def _dead_man(self) -> None:
        if self.now() >= self._dead_man_s - 1e-6:
            self.note(self.traits.name, "the dead-man switch cancels every order")
            for order in self.orders:
                order.switched = order.switched or order.ended_s is None
                self._end(order)

    def set(self, call: c.LeverageCall | c.MarginModeCall | c.PositionModeCall) -> c.Result:
        """A setting arrives."""
        return c.SettingMade(changed=True) if self.account is None else self.account.set(call)

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
        self.note(self.traits.name, f"order {self.identify(call)} (…{call.wire_id[-6:]}) {words}")
