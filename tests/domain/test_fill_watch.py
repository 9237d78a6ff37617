"""Executions are asked for until the journal has them: in the end each once, whatever is lost, late, twice or dead."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from decimal import Decimal

from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain import calls as c
from app.domain import effects as e
from app.domain.connector import Connector
from app.domain.connector_settings import ConnectorSettings
from app.domain.fill_sums import FillSum
from app.domain.fill_watch import ALONE_AFTER, MAX_VAIN, SHARE, SLACK_S, TOO_LONG_AFTER, YOUNG_S
from app.domain.leg_life import LegEvent
from app.domain.limiter import RateLimit
from app.domain.rates import rates_of
from app.journal.store import Committed
from messages.orders import LegState, OrderView, Side, Trigger, TriggerKind
from tests.depth import examples
from tests.domain.orders import fixed_journal, key, spec
from tests.journal.test_fills import fill

PROOF = c.Proof(enforcement=c.ExpiryEnforcement.GATEWAY, validity_s=5.0, lateness_s=2.0, visibility_s=1.0)
ROOM = RateLimit(per_s=100.0, burst=100)
LOST = c.CallFailed(code="timeout", words="No answer.", ill=True)
NONE_LISTED = c.CallFailed(code=c.UNSUPPORTED, words="It lists none.", retryable=False)


class Desk:
    """A connector with a journal; of its calls only those for executions are looked at."""

    def __init__(self, rate: RateLimit = ROOM) -> None:
        self.now_s = 1000.0
        self.rate = rate
        self.journal = fixed_journal()
        self.journal.fence(0.0)
        self.journal.commit_route(1, "bybit", 0.0)
        self.calls: list[tuple[float, c.FillsCall]] = []
        self.flight: int | None = None
        self.not_listed: list[e.NotListed] = []
        self.told: list[str] = []
        self.broken = False
        self.begins()

    def begins(self) -> None:
        """A new life."""
        self.machine = Connector("bybit", PROOF, ConnectorSettings(), self.rate)
        self.flight = None
        self.machine.fills.recover(self.journal.unlisted("bybit", 100), self.now_s)
        self.perform(self.machine.recover(self.journal.open_orders(exchange="bybit"), self.now_s))

    def perform(self, effects: Iterable[e.Effect]) -> None:
        """As the actor does."""
        queue = deque(effects)
        while queue:
            effect = queue.popleft()
            match effect:
                case e.RecordFills() if not self.broken:
                    recorded = self.journal.record_fills(effect.order_id, effect.number, effect.fills, now_s=self.now_s)
                    self.told += [each.execution.trade_id for each in recorded.fresh]
                    self.machine.fills.recorded(effect, recorded.order, self.now_s)
                    queue.extend(self.machine.recorded(recorded.order, self.now_s))
                case e.NotListed():
                    self.not_listed.append(effect)
                case e.Send(call=c.FillsCall() as call):
                    assert self.flight is None, "one at a time"
                    self.calls.append((self.now_s, call))
                    self.flight = effect.call_id

    def placed(self, name: str, trigger: Trigger | None = None) -> OrderView:
        """An order of one coin that rests."""
        made = self.journal.commit_intent(
            exchange="bybit",
            epoch=1,
            key=key(name),
            spec=evolve(spec(), trigger=trigger),
            expiry_s=self.now_s + 5.0,
            now_s=self.now_s,
        )
        assert isinstance(made, Committed)
        return self.learns(made.order, LegEvent.SEEN_OPEN, "0")

    def learns(self, order: OrderView, event: LegEvent, filled: str) -> OrderView:
        """A report is recorded."""
        order_id = f"x-{order.key.client_order_id}"
        recorded = self.journal.record(
            order.order_id, 1, event, now_s=self.now_s, filled=Decimal(filled), exchange_order_id=order_id
        )
        self.perform(self.machine.recorded(recorded.order, self.now_s))
        return recorded.order

    def back(self, result: c.Result) -> None:
        """The call for executions comes back."""
        flight, self.flight = self.flight, None
        assert flight is not None
        self.perform(self.machine.returned(flight, result, self.now_s))

    def asked(self, within_s: float = 1000.0) -> c.FillsCall | None:
        """Time passes until executions are asked for."""
        until_s = self.now_s + within_s
        while self.flight is None:
            next_s = self.machine.next_s(self.now_s)
            if next_s is None or next_s > until_s:
                return None
            self.now_s = max(self.now_s + 0.001, next_s)
            self.perform(self.machine.tick(self.now_s))
        return self.calls[-1][1]

    def leg(self, order: OrderView) -> tuple[Decimal, Decimal]:
        """What is known to have filled of it, and how much of that is listed."""
        found = self.journal.order(order.order_id)
        assert found is not None
        assert found.leg is not None
        return found.leg.filled, found.leg.listed


def wire_id_of(order: OrderView) -> str:
    """Of its one leg."""
    return order.legs[0].wire_id


def trade(order: OrderView, trade_id: str, quantity: str = "0.5", *, echoes: bool = True) -> c.FillReport:
    """An execution of it."""
    there = fill(trade_id, quantity, wire_id=wire_id_of(order) if echoes else None)
    return evolve(there, exchange_order_id=f"x-{order.key.client_order_id}", side=order.spec.side)


def test_legs_of_a_symbol_are_asked_for_together_and_no_longer_once_they_are_there() -> None:
    desk = Desk()
    one, two, rests = (desk.placed(name) for name in ("one", "two", "rests"))
    desk.begins()
    desk.learns(one, LegEvent.SEEN_FILLED, "1")
    desk.learns(two, LegEvent.SEEN_PARTIAL, "0.5")
    call = desk.asked(1.0)
    assert call is not None
    assert (call.wire_id, call.since_s) == (None, 1000.0 - SLACK_S)
    strangers = [fill("t9", wire_id="another program's"), evolve(trade(rests, "t8"), side=Side.SELL)]
    found = [trade(one, "t1", "1", echoes=False), trade(two, "t2"), *strangers]
    desk.back(c.Fills(fills=tuple(found)))
    assert desk.leg(one) == (Decimal(1), Decimal(1))
    assert desk.leg(two) == (Decimal("0.5"), Decimal("0.5"))
    assert desk.told == ["t1", "t2"]
    assert desk.asked() is None
    assert len(desk.machine.fills) == 0


def test_one_is_on_its_way_at_a_time() -> None:
    desk = Desk()
    desk.learns(desk.placed("one"), LegEvent.SEEN_FILLED, "1")
    assert desk.asked(1.0)
    desk.learns(desk.placed("two"), LegEvent.SEEN_FILLED, "1")
    for _ in range(20):
        desk.now_s += 0.1
        desk.perform(desk.machine.tick(desk.now_s))  # the desk counts them
    desk.back(c.Fills(fills=()))
    assert desk.asked(1.0)


def test_what_is_listed_before_it_is_reported_has_filled() -> None:
    desk = Desk()
    one, rests = desk.placed("one"), desk.placed("rests")
    desk.begins()
    desk.learns(one, LegEvent.SEEN_FILLED, "1")
    assert desk.asked(1.0)
    desk.back(c.Fills(fills=(trade(one, "t1", "1"), trade(rests, "t2", "1"))))
    assert desk.leg(rests) == (Decimal(1), Decimal(1))
    assert rests.order_id not in desk.machine.tasks, "all of it filled: nobody polls it any more"


def test_a_leg_the_list_does_not_have_is_asked_for_by_itself_then_left_until_the_next_start() -> None:
    desk = Desk()
    one = desk.placed("one")
    desk.learns(one, LegEvent.SEEN_FILLED, "1")
    for n in range(MAX_VAIN):
        call = desk.asked()
        assert call is not None
        assert (call.wire_id is None) == (n < ALONE_AFTER)
        desk.back(c.Fills(fills=()))
    assert desk.asked() is None
    ((missing, order_id),) = [(each.missing, each.order.order_id) for each in desk.not_listed]
    assert (missing, order_id) == (Decimal(1), one.order_id)
    took_s = desk.calls[-1][0] - desk.calls[0][0]
    assert 200 < took_s < 600, "minutes, not seconds and not hours"
    desk.begins()
    assert desk.asked(1.0)
    desk.back(c.Fills(fills=(trade(one, "t1", "1"),)))
    assert desk.leg(one) == (Decimal(1), Decimal(1))


def test_what_fills_after_it_was_given_up_is_asked_for_again() -> None:
    desk = Desk()
    one = desk.placed("one")
    desk.learns(one, LegEvent.SEEN_PARTIAL, "0.5")
    while desk.asked():
        desk.back(c.Fills(fills=()))
    desk.learns(one, LegEvent.SEEN_FILLED, "1")
    assert desk.asked(1.0)


def test_calls_that_fail_are_no_answer() -> None:
    desk = Desk()
    one = desk.placed("one")
    desk.learns(one, LegEvent.SEEN_FILLED, "1")
    for _ in range(3 * MAX_VAIN):
        assert desk.asked()
        desk.back(LOST)
    assert not desk.not_listed
    assert desk.asked()
    desk.back(c.Fills(fills=(trade(one, "t1", "1"),)))
    assert desk.told == ["t1"]


def test_a_list_that_is_too_long_to_be_read_is_read_order_by_order() -> None:
    desk = Desk()
    one = desk.placed("one")
    desk.learns(one, LegEvent.SEEN_FILLED, "1")
    for _ in range(TOO_LONG_AFTER):
        call = desk.asked()
        assert call is not None
        assert call.wire_id is None
        desk.back(c.CallFailed(code="unreadable", words="The list has more than 20 pages."))
    call = desk.asked()
    assert call is not None
    assert call.wire_id == wire_id_of(one)
    desk.back(c.Fills(fills=(trade(one, "t1", "1"),)))
    assert desk.told == ["t1"]


def test_an_exchange_that_lists_none_is_asked_once() -> None:
    desk = Desk()
    for name in ("one", "two"):
        desk.learns(desk.placed(name), LegEvent.SEEN_FILLED, "1")
    assert desk.asked(1.0)
    desk.back(NONE_LISTED)
    desk.learns(desk.placed("three"), LegEvent.SEEN_FILLED, "1")
    assert desk.asked() is None
    assert len(desk.not_listed) == 1


def test_old_legs_and_those_with_a_trigger_are_asked_for_by_themselves() -> None:
    desk = Desk()
    old = desk.placed("old")
    desk.now_s += YOUNG_S + 1
    waited = desk.placed("waited", Trigger(kind=TriggerKind.STOP, price=Decimal(110)))
    desk.learns(old, LegEvent.SEEN_FILLED, "1")
    desk.learns(waited, LegEvent.SEEN_FILLED, "1")
    for order in (old, waited):
        call = desk.asked(10.0)
        assert call is not None
        assert (call.wire_id, call.exchange_order_id) == (wire_id_of(order), f"x-{order.key.client_order_id}")
        assert call.conditional is (order is waited)
        # What a trigger order became may be told under ids of its own: what was asked for by itself is its.
        desk.back(c.Fills(fills=(evolve(trade(order, f"t-{call.wire_id}", "1", echoes=False), exchange_order_id="y"),)))
        assert desk.leg(order) == (Decimal(1), Decimal(1))


def test_a_journal_that_cannot_be_written_is_asked_for_them_again() -> None:
    desk = Desk()
    one = desk.placed("one")
    desk.learns(one, LegEvent.SEEN_FILLED, "1")
    assert desk.asked(1.0)
    desk.broken = True
    desk.back(c.Fills(fills=(trade(one, "t1", "1"),)))
    desk.broken = False
    assert desk.asked(5.0)
    desk.back(c.Fills(fills=(trade(one, "t1", "1"),)))
    assert desk.told == ["t1"]


def test_they_take_no_more_than_their_share() -> None:
    rate = RateLimit(per_s=2.0, burst=10)
    desk = Desk(rate)
    begun_s = desk.now_s
    for n in range(60):
        desk.learns(desk.placed(f"o{n}"), LegEvent.SEEN_FILLED, "1")
        if desk.asked(1.0):
            desk.back(c.Fills(fills=()))
        desk.now_s += 0.1
    assert len(desk.calls) <= 1 + (desk.now_s - begun_s) * SHARE * rates_of(rate).per_s(c.FillsCall)


@settings(max_examples=examples(30, 200), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_in_the_end_every_execution_is_kept_once_whatever_happens(data: st.DataObject) -> None:
    desk = Desk()
    orders = {name: desk.placed(name) for name in ("a", "b")}
    trades: dict[str, list[c.FillReport]] = {name: [] for name in orders}
    for _ in range(data.draw(st.integers(1, 25))):
        name = data.draw(st.sampled_from(sorted(orders)))
        done = trades[name]
        match data.draw(st.sampled_from(["trade", "report", "answer", "wait", "death", "death of the journal's lock"])):
            case "trade" if len(done) < 4:
                quantity = str(Decimal(data.draw(st.integers(1, 25))) / 100)
                echoes = data.draw(st.booleans())
                done.append(trade(orders[name], f"{name}{len(done)}", quantity, echoes=echoes))
            case "report":
                seen = done[: data.draw(st.integers(0, len(done)))]
                filled = FillSum.of((each.quantity, each.price) for each in seen).quantity
                desk.learns(orders[name], LegEvent.SEEN_PARTIAL if filled else LegEvent.SEEN_OPEN, str(filled))
            case "answer" if desk.flight is not None:
                call = desk.calls[-1][1]
                there = [
                    each
                    for other, reports in trades.items()
                    for each in reports
                    if call.wire_id in (None, wire_id_of(orders[other]))
                ]
                some = st.lists(st.sampled_from(there), max_size=8) if there else st.just([])
                desk.back(data.draw(st.one_of(some.map(lambda found: c.Fills(fills=tuple(found))), st.just(LOST))))
            case "wait":
                desk.asked(data.draw(st.sampled_from([0.1, 2.0])))
                desk.now_s += 0.1
            case "death":
                desk.begins()
            case "death of the journal's lock":
                desk.broken = not desk.broken
    desk.broken = False
    for name, done in trades.items():
        total = FillSum.of((each.quantity, each.price) for each in done).quantity
        desk.learns(orders[name], LegEvent.SEEN_CANCELLED, str(total))
    desk.begins()  # what was given up is asked for again
    while desk.asked() is not None:
        desk.back(c.Fills(fills=tuple(each for reports in trades.values() for each in reports)))
    expected = sorted(each.trade_id for reports in trades.values() for each in reports)
    assert sorted(desk.told) == expected, "each told once"
    for name, order in orders.items():
        true = FillSum.of((each.quantity, each.price) for each in trades[name])
        found = desk.journal.order(order.order_id)
        assert found is not None
        leg = found.leg
        assert leg is not None
        assert (leg.state, leg.filled, leg.listed) == (LegState.CANCELLED, true.quantity, true.quantity)
        assert leg.average_price == (true.average_price if trades[name] else None)
    desk.journal.close()
