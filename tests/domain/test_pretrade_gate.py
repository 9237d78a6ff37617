"""The limits in the connector's machine, against a journal of its own: what is refused leaves nothing behind.

Along any sequence of requests, answers and prices: a leg is sent only within the limits, no order is refused by one
while a leg of it is live or unproven, and everybody who waits for a price is answered.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain import calls as c
from app.domain import effects as e
from app.domain import ids
from app.domain.pretrade import PretradeLimits
from app.domain.pretrade_gate import IN_VAIN_S
from messages.market import GetTicker, Ticker
from messages.orders import (
    LIVE_OR_UNPROVEN,
    LegState,
    OrderAccepted,
    OrderNotExecuted,
    OrderPending,
    OrderRefused,
    OrderSpec,
    PlaceOrder,
    Side,
)
from tests.depth import examples
from tests.domain.connector_desk import Desk, check, report, settle, some_result
from tests.domain.orders import BTC, key, spec

MARKET = Decimal(100)
AGE_S = 5.0
COLLAR = PretradeLimits(price_collar=Decimal("0.05"))


def ticker(price: Decimal | None = MARKET) -> c.TickerResult:
    """The market."""
    found = Ticker(exchange="bybit", symbol=BTC, bid=price, ask=price, last=price, mark=price, at_s=0.0)
    return c.TickerResult(ticker=found)


def flying(desk: Desk, kind: type[c.Call] | Any) -> list[int]:
    """Calls of a kind in flight, the oldest first."""
    return sorted(call_id for call_id, call in desk.flights.items() if isinstance(call, kind))


def told_a_price(desk: Desk, result: c.Result) -> None:
    """The only ticker asked for comes back."""
    (call_id,) = flying(desk, c.TickerCall)
    desk.returns(call_id, result)


def answer(desk: Desk, asker: str) -> Any:
    """The only one."""
    (found,) = desk.answers[asker]
    return found


def rows(desk: Desk) -> int:
    """Orders the journal knows of."""
    return len(desk.journal.orders_in(list(LegState)))


def accept(desk: Desk) -> None:
    """The exchange has every order that is under way to it."""
    for call_id in flying(desk, c.PlaceCall):
        call: Any = desk.flights[call_id]
        desk.returns(call_id, c.Placed(report=report(call.wire_id, LegState.OPEN, "0")))


def test_an_order_above_a_limit_leaves_no_row_and_no_call_and_its_id_is_free() -> None:
    desk = Desk(PretradeLimits(max_notional=Decimal(100)))
    refused = answer(desk, desk.place("a", what=spec(price="100.01")))
    assert isinstance(refused, OrderRefused)
    assert (refused.code, refused.order, rows(desk), desk.flights) == ("limit_max_notional", None, 0, {})
    asker = desk.place("a", what=spec(price="100"))
    accept(desk)
    assert isinstance(answer(desk, asker), OrderAccepted)


def test_open_orders_are_counted_by_the_journal_also_those_on_their_way_and_elsewhere() -> None:
    desk = Desk(PretradeLimits(max_open=3))
    desk.place("mine")
    other = {"key": key("theirs", strategy="other"), "spec": spec(), "expiry_s": 5.0, "now_s": 0.0}
    desk.journal.commit_route(desk.journal.fence(0.0).epoch, "okx", 0.0)
    desk.journal.commit_intent(exchange="okx", epoch=2, **other)  # type: ignore[arg-type]
    desk.journal.commit_route(desk.journal.fence(0.0).epoch, "bybit", 0.0)
    desk.epoch = 3
    desk.place("third")
    asker = desk.place("fourth")
    assert answer(desk, asker).code == "limit_max_open"
    (first, _) = flying(desk, c.PlaceCall)
    desk.returns(first, c.NotExecuted(code="overloaded", words="Not now."))
    assert desk.place("fourth") not in desk.answers, "there is room again"


def test_a_second_slides() -> None:
    desk = Desk(PretradeLimits(per_second=2))
    desk.place("a")
    desk.passes(0.6)
    desk.place("b")
    assert answer(desk, desk.place("c")).code == "limit_per_second"
    desk.passes(0.41)
    desk.place("c")
    assert answer(desk, desk.place("d")).code == "limit_per_second"
    desk.place("closing", what=evolve(spec(), reduce_only=True))
    assert len(flying(desk, c.PlaceCall)) == 4, "what closes passes"


def test_a_repeated_placement_is_answered_with_what_is_known_whatever_the_limits_say() -> None:
    desk = Desk(PretradeLimits(per_second=1, max_open=1))
    asker = desk.place("a")
    again = desk.place("a")
    accept(desk)
    assert isinstance(answer(desk, asker), OrderAccepted)
    assert isinstance(answer(desk, again), OrderAccepted)
    assert isinstance(answer(desk, desk.place("a")), OrderAccepted)
    different = answer(desk, desk.place("a", what=spec(quantity="2")))
    assert different.code == "client_order_id_reused"


def test_what_is_sent_again_after_proven_absence_is_no_new_order() -> None:
    desk = Desk(PretradeLimits(per_second=2))
    asker = desk.place("a")
    (sent,) = flying(desk, c.PlaceCall)
    desk.returns(sent, c.NotExecuted(code="overloaded", words="Not now."))
    assert isinstance(answer(desk, asker), OrderNotExecuted)
    asker = desk.place("a")
    accept(desk)
    assert isinstance(answer(desk, asker), OrderAccepted)
    assert desk.place("b") not in desk.answers, "the second new one"
    accept(desk)
    assert answer(desk, desk.place("c")).code == "limit_per_second"


def test_a_loop_that_runs_away_uses_up_no_room_of_the_rate_limit() -> None:
    desk = Desk(PretradeLimits(per_second=1, max_notional=Decimal(100)))
    desk.place("a")
    desk.machine._rate_gate.limiter.close_until(600.0)
    for n in range(50):
        assert answer(desk, desk.place(f"b{n}")).code == "limit_per_second"
    desk.passes(1.0)
    assert answer(desk, desk.place("c", what=spec(price="101"))).code == "limit_max_notional"
    assert rows(desk) == 1


def test_what_is_known_to_be_absent_is_not_refused_for_a_loop_that_runs_away() -> None:
    desk = Desk(PretradeLimits(per_second=1))
    desk.place("a")
    (sent,) = flying(desk, c.PlaceCall)
    desk.returns(sent, c.NotExecuted(code="overloaded", words="Not now."))
    assert answer(desk, desk.place("b")).code == "limit_per_second"
    desk.place("a")
    assert len(flying(desk, c.PlaceCall)) == 1


def test_what_is_sent_again_in_another_market_is_held_against_it() -> None:
    desk = Desk(COLLAR)
    desk.place("a", what=spec(price="105"))
    told_a_price(desk, ticker())
    (sent,) = flying(desk, c.PlaceCall)
    desk.returns(sent, c.NotExecuted(code="overloaded", words="Not now."))
    desk.passes(AGE_S + 0.1)
    asker = desk.place("a", what=spec(price="105"))
    told_a_price(desk, ticker(Decimal(99)))
    assert answer(desk, asker).code == "limit_price_collar"
    (known,) = desk.journal.orders_in([LegState.ABSENT])
    assert known.legs[0].attempts == 1


def test_orders_wait_for_one_price_and_others_do_not() -> None:
    desk = Desk(evolve(COLLAR, max_notional=Decimal(1000)))
    held = [desk.place("a"), desk.place("b"), desk.place("c", what=spec(price="106"))]
    closing = desk.place("d", what=evolve(spec(price=None), reduce_only=True))
    assert len(flying(desk, c.TickerCall)) == 1
    assert len(flying(desk, c.PlaceCall)) == 1
    assert rows(desk) == 1
    desk.passes(0.5)
    told_a_price(desk, ticker())
    assert len(flying(desk, c.PlaceCall)) == 3
    accept(desk)
    told = [answer(desk, asker) for asker in (*held, closing)]
    assert [type(each) for each in told] == [OrderAccepted, OrderAccepted, OrderRefused, OrderAccepted]
    desk.place("e")
    assert len(flying(desk, c.PlaceCall)) == 1, "the price is known"
    desk.passes(AGE_S - 0.4)
    desk.place("f")
    assert len(flying(desk, c.PlaceCall)) == 1, "counted from when it was asked for"
    assert len(flying(desk, c.TickerCall)) == 1


def test_any_read_of_a_ticker_serves() -> None:
    desk = Desk(COLLAR)
    request = GetTicker(correlation_id="t", deadline_s=60.0, symbol=BTC)
    desk.perform(desk.machine.read("somebody", request, c.TickerCall(symbol=BTC, deadline_s=60.0), 0.0))
    (theirs,) = flying(desk, c.TickerCall)
    desk.place("a")
    (_, ours) = flying(desk, c.TickerCall)
    desk.returns(theirs, ticker())
    assert len(flying(desk, c.PlaceCall)) == 1
    desk.returns(ours, c.CallFailed(code="timeout", words="No answer."))
    accept(desk)
    desk.place("b")
    assert len(flying(desk, c.PlaceCall)) == 1


def test_somebody_elses_failing_read_says_nothing() -> None:
    desk = Desk(COLLAR)
    asker = desk.place("a")
    request = GetTicker(correlation_id="t", deadline_s=60.0, symbol=BTC)
    desk.perform(desk.machine.read("somebody", request, c.TickerCall(symbol=BTC, deadline_s=60.0), 0.0))
    (_, theirs) = flying(desk, c.TickerCall)
    desk.returns(theirs, c.CallFailed(code="timeout", words="No answer."))
    assert asker not in desk.answers
    told_a_price(desk, ticker())
    assert len(flying(desk, c.PlaceCall)) == 1


def test_without_a_price_nothing_is_sent_and_it_is_not_asked_for_all_the_time() -> None:
    desk = Desk(COLLAR)
    held = [desk.place("a"), desk.place("b")]
    told_a_price(desk, c.CallFailed(code="timeout", words="No answer."))
    for asker in held:
        told = answer(desk, asker)
        assert isinstance(told, OrderNotExecuted)
        assert told.code == "no_reference_price"
        assert "No answer" in told.words
    assert isinstance(answer(desk, desk.place("a")), OrderNotExecuted)
    assert desk.flights == {}
    desk.passes(IN_VAIN_S)
    asker = desk.place("a")
    told_a_price(desk, ticker(None))
    assert isinstance(answer(desk, asker), OrderNotExecuted), "an answer without any price"
    assert (rows(desk), desk.machine._placing.under_way) == (0, 0)


def test_who_waits_for_a_price_is_answered_before_the_deadline() -> None:
    desk = Desk(COLLAR)
    soon, late = desk.place("a", within_s=2.0), desk.place("b", within_s=20.0)
    desk.passes(1.99)
    assert isinstance(answer(desk, soon), OrderNotExecuted)
    assert late not in desk.answers
    told_a_price(desk, ticker())
    assert len(flying(desk, c.PlaceCall)) == 1


def test_a_price_the_rate_limit_leaves_no_room_for_is_told_at_once() -> None:
    desk = Desk(COLLAR)
    request = PlaceOrder(correlation_id="x", deadline_s=20.0, epoch=1, key=key("a"), spec=spec())
    (commit,) = desk.machine.place("x", request, 0.0)
    assert isinstance(commit, e.Commit)
    desk.machine._rate_gate.limiter.close_until(600.0)
    desk.perform([commit])
    assert isinstance(answer(desk, "x"), OrderNotExecuted)
    assert desk.machine._placing.under_way == 0


# ---------------------------------------------------------------------------------------------------- any sequence

LIMITS = PretradeLimits(
    max_notional=Decimal(150), max_open=2, price_collar=Decimal("0.05"), per_second=3, reference_max_age_s=AGE_S
)
SPECS = [
    spec(),
    spec(price=None),
    spec(price="104"),
    spec(price="110"),
    spec(quantity="2"),
    evolve(spec(price="90"), side=Side.SELL),
    evolve(spec(price=None, quantity="5"), reduce_only=True),
]


class Strict(Desk):
    """Looks at every order that leaves, and at every refusal."""

    def __init__(self) -> None:
        super().__init__(LIMITS)
        self.new_s: list[float] = []
        self.price: tuple[float, Decimal] | None = None
        self.names: dict[str, str] = {}

    def sent(self, call_id: int, call: c.Call) -> None:
        """A call leaves."""
        super().sent(call_id, call)
        if not isinstance(call, c.PlaceCall):
            return
        (order,) = [o for o in self.journal.orders_in([LegState.INTENT]) if o.legs[-1].wire_id == call.wire_id]
        if order.legs[-1].attempts == 1 and not call.spec.reduce_only:
            self.new_s.append(self.now_s)
        if call.spec.reduce_only:
            return
        assert len([at_s for at_s in self.new_s if at_s > self.now_s - 1.0]) <= 3
        closing = [o for o in self.journal.open_orders() if o.spec.reduce_only]
        assert len(self.journal.open_orders()) <= 2 + len(closing)
        assert self.price is not None
        assert self.now_s - self.price[0] <= AGE_S
        market = self.price[1]
        price = call.spec.price or market
        buys = call.spec.side is Side.BUY
        assert call.quantity * (price if buys else max(price, market)) <= 150
        assert price <= market * Decimal("1.05") if buys else price >= market * Decimal("0.95")

    def refused(self, name: str, told: OrderRefused) -> None:
        """By a limit: nothing of it may be live."""
        there = self.journal.order(ids.order_id(self.journal.journal_id, key(name)))
        assert there is None or all(each.state not in LIVE_OR_UNPROVEN for each in there.legs), told

    def perform(self, effects: Iterable[e.Effect]) -> None:
        """As the actor does."""
        before = {asker: len(told) for asker, told in self.answers.items()}
        super().perform(list(effects))
        for asker, told in self.answers.items():
            for each in told[before.get(asker, 0) :]:
                if isinstance(each, OrderRefused) and each.code.startswith("limit_"):
                    self.refused(self.names[asker], each)


@settings(max_examples=examples(30, 200), suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_along_any_sequence(data: st.DataObject) -> None:
    """See the module."""
    desk = Strict()
    bodies: dict[str, OrderSpec] = {}
    placed: list[str] = []
    for _ in range(data.draw(st.integers(1, 25))):
        what = data.draw(st.sampled_from(["place", "place", "place", "cancel", "return", "return", "return", "wait"]))
        name = data.draw(st.sampled_from(["a", "b", "c", "d", "e"]))
        match what:
            case "place":
                body = bodies.setdefault(name, data.draw(st.sampled_from(SPECS)))
                desk.names[f"place-{desk.serial + 1}"] = name
                placed.append(desk.place(name, within_s=600.0, what=body))
            case "cancel":
                desk.cancel(name)
            case "wait":
                desk.passes(data.draw(st.sampled_from([0.01, 0.4, 1.0, 6.0])))
            case _ if desk.flights:
                come_back(desk, data.draw(st.sampled_from(sorted(desk.flights))), data)
        check(desk)
    while tickers := flying(desk, c.TickerCall):
        come_back(desk, tickers[0], None)
    settle(desk)
    check(desk)
    for asker in placed:
        (told,) = desk.answers[asker]
        assert isinstance(told, OrderAccepted | OrderRefused | OrderNotExecuted | OrderPending), told
    assert desk.machine._placing.under_way == 0
    assert desk.machine._placing.gate is not None
    assert desk.machine._placing.gate._held == {}


def come_back(desk: Strict, call_id: int, data: st.DataObject | None) -> None:
    """With anything; a price is of the moment it comes, which is not before it was asked for."""
    call = desk.flights[call_id]
    if not isinstance(call, c.TickerCall):
        assert data is not None
        return desk.returns(call_id, some_result(desk, call, data))
    price = None if data is None else data.draw(st.sampled_from([None, Decimal(95), MARKET, Decimal(120)]))
    if price is None:
        return desk.returns(call_id, c.CallFailed(code="timeout", words="No answer."))
    desk.price = desk.machine._flights[call_id].sent_s, price
    return desk.returns(call_id, ticker(price))
