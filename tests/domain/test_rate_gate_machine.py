"""The rate limiter in the connector's words, before an exchange that counts for itself, over lives of the connector.

The model is what the exchange may have counted in the worst case: what is on its way may be counted at any moment until
it is answered, what was answered late may have been counted as late as that, and what a life that died had on its way
may be counted until the next one begins. It knows no slots, no marks and no plans.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from attrs import define, evolve, field, frozen
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.domain import calls as c
from app.domain.errands import Errand, ForLeg, Place, Read
from app.domain.kept_limits import KeptLimits, MeterName, Values
from app.domain.leg_task import LegTask
from app.domain.limiter import Priority
from app.domain.rate_gate import RATE_LIMITED, SILENCE_S, RateGate
from app.domain.rates import SPREAD_S, Budget, Cost, Pause, Price, Rates, Usage, cost
from messages.market import MarketType, Symbol
from messages.orders import LegState, PlaceOrder
from tests.depth import stateful
from tests.domain.orders import key, leg, order, spec

BTC, ETH = (Symbol(base=base, quote="USDT", settle="USDT", market_type=MarketType.SWAP) for base in ("BTC", "ETH"))
RATES = Rates(
    budgets=(
        Budget(name="weight", most=10, window_s=4.0, reserve=2),
        Budget(name="cancel", most=3, window_s=1.0, per_symbol=True),
        Budget(name="look", most=4, window_s=2.0),
        Budget(name="orders", most=4, per_s=1.0, reserve=1),
    ),
    prices={
        c.PlaceCall: Price(cost=cost(orders=1, weight=1), source="a test"),
        c.CancelCall: Price(cost=cost(cancel=1, weight=1), source="a test"),
        c.LookUpCall: Price(cost=cost(look=3, weight=3), requests=(cost(look=1, weight=1),), source="a test"),
    },
    otherwise=cost(weight=2),
    common=frozenset({"weight"}),
    pauses={"own": Pause(wait_s=2.0), "all": Pause(wait_s=3.0, everything=True)},
)
BUDGETS = {budget.name: budget for budget in RATES.budgets}
FIRST = cost(look=1, weight=1)
"""What a look-up takes that ended with its first request."""
GRAIN = 1e-6

Meter = tuple[str, Symbol | None]
SYMBOLS = {"BTC": BTC, "ETH": ETH}
symbols = st.sampled_from(["BTC", "BTC", "ETH"])
withins_s = st.sampled_from([0.1, 1.0, 3.0, 30.0])
ANSWERS = {
    "fine": c.TickerResult,
    "own": c.CallFailed(code=RATE_LIMITED, words="Slowly.", native_code="own"),
    "all": c.CallFailed(code=RATE_LIMITED, words="Slowly.", native_code="all"),
    "unheard of": c.NotExecuted(code=RATE_LIMITED, words="Slowly.", native_code="9", retry_after_s=4.0),
    "ban": c.CallFailed(code=RATE_LIMITED, words="Go away.", native_code="all", retry_after_s=SILENCE_S + 30.0),
    "failed": c.CallFailed(code="timeout", words="No answer."),
}


def meters(what: Cost, symbol: Symbol) -> list[tuple[Meter, float]]:
    """What a cost takes, by what it is counted for."""
    return [((name, symbol if BUDGETS[name].per_symbol else None), units) for name, units in what]


@define
class Counted:
    """What an exchange may have counted of one meter, at the latest."""

    budget: Budget
    most: float
    landed: list[tuple[float, float]] = field(factory=list)
    """Of a window: (when at the latest, units)."""
    level: float = 0.0
    level_s: float = 0.0
    """Of a counter: how full it is, as of when."""
    foreign: float = 0.0
    foreign_until_s: float = 0.0

    def lands(self, units: float, at_s: float) -> None:
        """Counted by then."""
        self.level, self.level_s = self.full(at_s) + units, at_s
        self.landed.append((at_s, units))

    def full(self, now_s: float) -> float:
        """How full the counter is."""
        return max(0.0, self.level - (now_s - self.level_s) * self.budget.per_s)

    def within(self, now_s: float) -> float:
        """What may count still, of what has landed, with what others are known to have used."""
        if self.budget.per_s:
            return self.full(now_s)
        foreign = self.foreign if now_s < self.foreign_until_s - GRAIN else 0.0
        self.landed = [each for each in self.landed if each[0] > now_s - self.budget.window_s]
        return foreign + sum(units for _, units in self.landed)


@frozen
class Item:
    """An errand that waits for its turn."""

    number: int
    priority: Priority
    kind: str
    symbol: Symbol
    deadline_s: float
    fate: str = "goes"

    @property
    def call(self) -> c.Call:
        """What is sent."""
        late = self.deadline_s
        match self.kind:
            case "place":
                what = evolve(spec(), symbol=self.symbol)
                return c.PlaceCall(
                    spec=what, quantity=Decimal(1), wire_id="w", committed_s=0.0, expiry_s=late, deadline_s=late
                )
            case "cancel":
                return c.CancelCall(symbol=self.symbol, wire_id="w", exchange_order_id=None, deadline_s=late)
            case "look_up":
                return c.LookUpCall(
                    symbol=self.symbol, wire_id="w", exchange_order_id=None, since_s=0.0, deadline_s=late
                )
        return c.TickerCall(symbol=self.symbol, deadline_s=late)

    @property
    def cost(self) -> list[tuple[Meter, float]]:
        """What it takes."""
        return meters(RATES.cost_of(self.call), self.symbol)

    def before(self, other: Item) -> bool:
        """Whether it ranks higher, or came first."""
        return (self.priority, self.number) < (other.priority, other.number)


@define
class Store:
    """What outlives a life."""

    kept: KeptLimits = field(factory=KeptLimits)

    def take_over(self) -> KeptLimits:
        """What the life before has left."""
        return self.kept

    def keep(self, meters: Mapping[MeterName, Values], closed_until_s: float, banned_until_s: float) -> None:
        """These stand so by now, and the others as they were."""
        self.kept = KeptLimits(
            meters={**self.kept.meters, **meters}, closed_until_s=closed_until_s, banned_until_s=banned_until_s
        )

    def close(self) -> None:
        """Nothing is kept from now on."""


class GateMachine(RuleBasedStateMachine):
    """Any errands, granted and held, answered soon, late or never; refusals by a limit; lives that end.

    - I6: at no moment more goes than the exchange allows by its own count, whenever it counts what is on its way, and
      whichever life sent it; a reserve is left by whatever does not protect.
    - Nothing goes while the exchange asked for silence, of all budgets or of one, nor what waited past its deadline.
    - Of what costs the same, who ranks higher goes first, then who came first; and whoever goes leaves what everybody
      before him will take.
    - What waits is granted or turned away, once; the moment named for that is always ahead.
    - Once all is answered, everything has come back.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now_s, self.serial = 100.0, 0
        self.gate = RateGate(RATES)
        self.store = Store()
        self.waiting: dict[int, Item] = {}
        self.held: dict[int, tuple[Item, Place, int]] = {}
        self.flights: dict[int, tuple[Item, float]] = {}
        self.counted: dict[Meter, Counted] = {}
        self.closed_s = self.banned_s = 0.0
        self.meter_closed_s: dict[Meter, float] = {}
        self.told = 0

    def meter(self, name: Meter) -> Counted:
        """The exchange's own."""
        budget = BUDGETS[name[0]]
        return self.counted.setdefault(name, Counted(budget, budget.most))

    # ------------------------------------------------------------------------------------------------ what is asked

    @rule(at=symbols, within_s=withins_s, fate=st.sampled_from(["goes", "goes", "held", "unused"]))
    def place(self, at: str, within_s: float, fate: str) -> None:
        symbol = SYMBOLS[at]
        item = self._item(Priority.PLACE, "place", symbol, within_s, fate)
        request = PlaceOrder(
            correlation_id=str(item.number),
            deadline_s=item.deadline_s,
            epoch=1,
            key=key(),
            spec=evolve(spec(), symbol=symbol),
        )
        self._asked(item, self.gate.place(Place(item.number, request), item.deadline_s, self.now_s))

    @rule(kind=st.sampled_from(["cancel", "cancel", "look_up"]), at=symbols, within_s=withins_s)
    def about_leg(self, kind: Any, at: str, within_s: float) -> None:
        symbol = SYMBOLS[at]
        priority = Priority.CANCEL if kind == "cancel" else Priority.LOOK_UP
        item = self._item(priority, kind, symbol, within_s)
        task = LegTask(order=order(leg(LegState.OPEN), what=evolve(spec(), symbol=symbol)))
        errand = ForLeg(str(item.number), 1, kind)
        self._asked(item, self.gate.about_leg(errand, task, priority, item.deadline_s, self.now_s))

    @rule(priority=st.sampled_from([Priority.PROBE, Priority.READ]), at=symbols, within_s=withins_s)
    def read(self, priority: Priority, at: str, within_s: float) -> None:
        item = self._item(priority, "ticker", SYMBOLS[at], within_s)
        self._asked(item, self.gate.read(Read(item.number, None, item.call), priority, self.now_s))

    def _item(self, priority: Priority, kind: str, symbol: Symbol, within_s: float, fate: str = "goes") -> Item:
        self.serial += 1
        return Item(self.serial, priority, kind, symbol, self.now_s + within_s, fate)

    def _asked(self, item: Item, taken: bool) -> None:
        if taken:
            self.waiting[item.number] = item
            assert item.deadline_s > max(self.now_s, self.closed_s), "it cannot go in time"
        else:
            alone = not (self.waiting or self.flights or self.held or self.counted or self.told)
            assert not alone or item.deadline_s <= self.closed_s, "a new exchange has room"
        self.turn()

    # ------------------------------------------------------------------------------------------------ what goes

    def turn(self) -> None:
        go, late = self.gate.limiter.granted(self.now_s)
        going = [self._left(errand) for errand in go]
        for item in [self._left(errand) for errand in late]:
            assert item.deadline_s <= self.now_s, "turned away before its time"
        for errand, item in zip(go, going, strict=True):
            assert self.now_s < item.deadline_s, "granted too late"
            self._fits(item, sparing=item.priority >= Priority.PLACE)
            same = [each for each in self.waiting.values() if (each.kind, each.symbol) == (item.kind, item.symbol)]
            assert not any(each.before(item) for each in same), "passed over"
            self._granted(errand, item)
        next_s = self.gate.limiter.next_s(self.now_s)
        assert (next_s is None) == (not self.waiting)
        self.gate.keep(self.store)
        if next_s is not None and next_s <= self.now_s:
            assert any(item.fate == "unused" for item in going), "it would be asked for again and again"
            self.turn()  # what one did not need is the turn of another

    def _left(self, errand: Errand) -> Item:
        match errand:
            case Place(asker=number) | Read(asker=number):
                pass
            case ForLeg(order_id=number):
                pass
        return self.waiting.pop(int(number))

    def _fits(self, item: Item, *, sparing: bool) -> None:
        """Whether the exchange has room for it, whatever it has counted by now, and beside those who go first."""
        assert self.now_s >= self.closed_s, "the exchange asked for silence"
        ahead = [each for each in self.waiting.values() if each.before(item)]
        for name, units in item.cost:
            counted = self.meter(name)
            assert self.now_s >= self.meter_closed_s.get(name, 0.0), f"{name} is closed"
            others = [*ahead, *(each for each in self._away() if each is not item)]
            taken = counted.within(self.now_s) + sum(each for other in others for of, each in other.cost if of == name)
            needed = min(units + (counted.budget.reserve if sparing else 0.0), counted.most)
            assert taken + needed <= counted.most + GRAIN, f"{name}: {taken} of {counted.most} may be used"

    def _away(self) -> list[Item]:
        """What the exchange may count at any moment, and what a turn is kept for."""
        return [*(item for item, _ in self.flights.values()), *(item for item, _, _ in self.held.values())]

    def _granted(self, errand: Errand, item: Item) -> None:
        if isinstance(errand, Place) and item.fate == "unused":
            self._unused(errand, item)
        elif isinstance(errand, Place) and item.fate == "held":
            self.gate.held(errand, self.now_s)
            self.held[item.number] = item, evolve(errand, held_s=self.now_s), self.told
        else:
            self._sent(item)

    def _unused(self, errand: Place, item: Item) -> None:
        """What was kept for it is there for others at once."""
        free = [self._free(name) for name, _ in item.cost]
        self.gate.unused(errand, self.now_s)
        for (name, units), before in zip(item.cost, free, strict=True):
            closed = self.now_s < self.meter_closed_s.get(name, 0.0)
            assert closed or self._free(name) == pytest.approx(before + units), "not given back"

    def _free(self, name: Meter) -> float:
        return self.gate.limiter._meter(*name).free(self.now_s)

    def _sent(self, item: Item) -> None:
        self.gate.sent(item.call, self.now_s)
        self.gate.keep(self.store)
        self.flights[item.number] = item, self.now_s

    @precondition(lambda self: self.held)
    @rule(data=st.data(), goes=st.booleans())
    def what_was_held(self, data: st.DataObject, goes: bool) -> None:
        """It goes after all, or does not: the turn was kept for it."""
        item, errand, told = self.held[data.draw(st.sampled_from(sorted(self.held)))]
        if goes and self.now_s >= self.closed_s:
            self.gate.resumed(errand, self.now_s)
            if told == self.told:  # what the exchange told since may leave less than was promised
                waiting, self.waiting = self.waiting, {}
                self._fits(item, sparing=False)
                self.waiting = waiting
            self._sent(item)
        else:
            self._unused(errand, item)
        del self.held[item.number]
        self.turn()

    @rule(seconds=st.sampled_from([0.05, 0.3, 1.0, 2.5, 9.0]))
    def wait(self, seconds: float) -> None:
        until_s = self.now_s + seconds
        while (due_s := self.gate.limiter.next_s(self.now_s)) is not None and due_s <= until_s:
            self.now_s = due_s
            self.turn()
        self.now_s = until_s

    # ------------------------------------------------------------------------------------------------ what comes back

    @precondition(lambda self: self.flights)
    @rule(data=st.data(), how=st.sampled_from(["fine"] * 4 + list(ANSWERS)), requests=st.integers(0, 2))
    def answered(self, data: st.DataObject, how: str, requests: int) -> None:
        self._answered(data.draw(st.sampled_from(sorted(self.flights))), how, requests)
        self.turn()

    def _answered(self, number: int, how: str, requests: int = 2) -> None:
        item, sent_s = self.flights.pop(number)
        late, now_s = self.now_s - sent_s > SPREAD_S, self.now_s
        found = how == "fine" and item.kind == "look_up"
        result: Any = _found(requests) if found else c.CancelTooLate(native_code=None, words="No.")
        what = meters(FIRST, item.symbol) if found and requests == 1 else item.cost
        for name, units in what:
            budget = BUDGETS[name[0]]
            self.meter(name).lands(units, now_s if late or budget.per_s else sent_s)
        if how != "fine":
            result = ANSWERS[how]
        self.gate.answered(item.call, result, sent_s, now_s)
        self._closes(item, how)
        self.gate.keep(self.store)

    def _closes(self, item: Item, how: str) -> None:
        """By the table above, and by what is said of such answers in general."""
        own = [name for name, _ in item.cost if name[0] not in RATES.common]
        waits_s = {"own": 2.0, "all": 3.0, "unheard of": 4.0, "ban": SILENCE_S + 30.0}
        if how == "own" and own:
            for name in own:
                self.meter_closed_s[name] = max(self.meter_closed_s.get(name, 0.0), self.now_s + 2.0)
        elif how in waits_s:
            self.closed_s = max(self.closed_s, self.now_s + waits_s[how])
        if how == "ban":
            self.banned_s = max(self.banned_s, self.now_s + waits_s[how])

    @rule(
        name=st.sampled_from(["weight", "look", "orders", "cancel"]),
        used=st.integers(0, 8),
        most=st.sampled_from([None, None, 0.5, 2.0, 20.0]),
        reset_s=st.sampled_from([None, 0.5, 60.0]),
    )
    def tells(self, name: str, used: int, most: float | None, reset_s: float | None) -> None:
        """The exchange tells what it has counted: the same, less, or more than we know of."""
        symbol = BTC if BUDGETS[name].per_symbol else None
        counted, now_s = self.meter((name, symbol)), self.now_s
        self.gate.observe([Usage(budget=name, used=used, most=most, reset_s=reset_s, symbol=symbol)], now_s)
        self.told += 1
        if most is not None:
            counted.most = max(1.0, min(counted.most, most))
        if counted.budget.per_s:
            counted.level, counted.level_s = max(counted.full(now_s), min(used, counted.most)), now_s
        elif not (self.flights or self.held) and not counted.landed and used >= counted.foreign:
            wait_s = counted.budget.window_s if reset_s is None else min(reset_s, counted.budget.window_s)
            counted.foreign = used
            counted.foreign_until_s = max(counted.foreign_until_s, now_s + wait_s + SPREAD_S)
        away = sum(units for item in self._away() for of, units in item.cost if of == (name, symbol))
        free = self._free((name, symbol))
        assert free <= counted.most - used - away + GRAIN, "less is left than the exchange says"
        self.turn()

    @rule(gap_s=st.sampled_from([0.0, 0.2, 3.0, 20.0]))
    def dies(self, gap_s: float) -> None:
        """The connector: what waited and what was on its way is lost, and the next one begins some time later."""
        self.now_s += gap_s
        for item, _ in self.flights.values():
            for name, units in item.cost:
                self.meter(name).lands(units, self.now_s)
        self.flights.clear()
        self.held.clear()
        self.waiting.clear()
        self.gate = RateGate(RATES)
        self.gate.take_over(self.store.take_over(), self.now_s)
        for counted in self.counted.values():  # it is kept with a meter only, and may be told again
            counted.foreign = 0.0
            counted.most = counted.budget.most

    @invariant()
    def says_what_is_so(self) -> None:
        silent_s = self.gate.silent_for_s(self.now_s)
        assert abs((silent_s or 0.0) - max(0.0, self.closed_s - self.now_s)) < GRAIN
        assert (self.gate.banned_until_s > self.now_s) == (self.banned_s > self.now_s)
        assert 0.0 <= self.gate.used(self.now_s) <= 1.0
        assert self.gate.limiter.queued() == len(self.waiting)

    def teardown(self) -> None:
        for _ in range(40):
            for number in list(self.flights):
                self._answered(number, "fine")
            for item, errand, _ in self.held.values():
                self._unused(errand, item)
            self.held.clear()
            self.turn()
            self.wait(9.0)
        assert not self.waiting, "something waits for ever"
        assert self.gate.used(self.now_s) < GRAIN, "something never comes back"
        assert not any(meter.pending for meter in self.gate.limiter._meters.values())
        for kind, priority in (("place", Priority.PLACE), ("look_up", Priority.LOOK_UP), ("ticker", Priority.READ)):
            self.wait(9.0)
            item = self._item(priority, kind, BTC, 0.1)
            self._asked(item, self.gate.read(Read(item.number, None, item.call), priority, self.now_s))
            assert self.flights, "there is room again, and it does not go"
            self._answered(item.number, "fine")


def _found(requests: int) -> c.Found:
    report = c.OrderReport(
        exchange_order_id="x", wire_id="w", symbol=BTC, state=LegState.OPEN, filled=None, average_price=None
    )
    return c.Found(report=report, requests=requests)


TestGateMachine = stateful(GateMachine, 40, 600, steps=30)
