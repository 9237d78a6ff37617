"""An order between two exchanges, along any sequence of switches, fills, late and lost answers, cancels and deaths.

At every moment at most one leg of it can fill, on whichever exchange, what fills never exceeds what was asked, and the
record is never smaller than the truth (`tests.domain.truth`). Once everything answers, it rests where trading is for
what is left of it, or has filled, or its owner ended it, or it is parked and says why: it is never lost.
"""

from __future__ import annotations

from decimal import Decimal

from attrs import define, field
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain import calls as c
from app.domain.leg_life import BETWEEN, LIVE
from app.domain.order_life import OrderState, state_of
from app.journal.verify import verify_tables
from messages.carries import CarryOrders, CarryPolicy, CarryReply
from messages.failover import SettleReply, SettleRequest
from messages.orders import OrderRefused, OrderView
from tests.depth import examples
from tests.domain.truth import Truth

D = Decimal
OVER = frozenset({OrderState.FILLED, OrderState.CANCELLED})


@define
class Two:
    """Two exchanges, each with its connector, over one journal; trading begins on the first."""

    bybit: Truth = field(factory=Truth)
    okx: Truth = field(init=False)
    asked: int = 0

    def __attrs_post_init__(self) -> None:
        self.okx = Truth(before=self.bybit)

    @property
    def both(self) -> tuple[Truth, Truth]:
        """In the order of trading."""
        return self.bybit, self.okx

    @property
    def in_use(self) -> Truth:
        """Where trading is, or was last."""
        return self.okx if self.bybit.journal.route().exchange == "okx" else self.bybit

    @property
    def order(self) -> OrderView | None:
        """As the journal has it."""
        return self.bybit.journal.order(self.bybit.order_id)

    def passes(self, seconds: float) -> None:
        """Time goes by, for both."""
        for each in self.both:
            each.passes(seconds)

    def settles(self, truth: Truth, policy: CarryPolicy = CarryPolicy.REPLACE) -> str:
        """An exchange is left, or was."""
        self.asked += 1
        name = f"settle-{self.asked}"
        epoch = truth.journal.route().epoch
        request = SettleRequest(correlation_id=name, deadline_s=truth.now_s + 2.0, policy=policy, epoch=epoch)
        truth.perform(truth.machine.settle(name, request, truth.now_s))
        return name

    def carries(self, policy: CarryPolicy = CarryPolicy.REPLACE) -> str:
        """What was taken off is to be taken up where trading is."""
        self.asked += 1
        truth, name, route = self.in_use, f"carry-{self.asked}", self.bybit.journal.route()
        if route.exchange is None:
            return ""
        request = CarryOrders(correlation_id=name, deadline_s=truth.now_s + 2.0, epoch=route.epoch, policy=policy)
        known = [(each, truth.journal.standing_of(each, truth.name)) for each in truth.journal.to_carry(truth.name)]
        truth.perform(truth.machine.carry(name, request, known, truth.now_s))
        return name

    def switches(self) -> None:
        """Trading moves to the other exchange; the one that is left is asked to settle."""
        left = self.in_use
        journal = left.journal
        epoch = journal.fence(left.now_s).epoch
        self.settles(left)
        journal.commit_route(epoch, "okx" if left.name == "bybit" else "bybit", left.now_s)

    def returns(self, truth: Truth, data: st.DataObject | None = None) -> None:
        """The oldest call of a connector comes back."""
        call_id = min(truth.flights) if data is None else data.draw(st.sampled_from(sorted(truth.flights)))
        truth.back(call_id, truth.result(truth.flights[call_id], data))

    def ends(self) -> None:
        """All is answered, truthfully and at once; what was left is settled, and taken up."""
        for truth in self.both:
            truth.locked = False
        for n in range(60):
            for truth in self.both:
                while truth.flights:
                    self.returns(truth)
            if n % 4 == 0:
                for truth in self.both:
                    if truth is not self.in_use:
                        self.settles(truth)
                self.carries()
            self.passes(1.0)


@settings(
    max_examples=examples(30, 400),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.data())
def test_whatever_comes_between(data: st.DataObject) -> None:
    """See the module."""
    two = Two()
    two.bybit.places()
    gone = False
    steps = ["back"] * 6 + ["switch", "switch", "carry", "carry", "fill", "pass", "cancel", "crash", "lock", "amend"]
    for _ in range(data.draw(st.integers(1, 40))):
        truth = data.draw(st.sampled_from(two.both))
        match data.draw(st.sampled_from(steps)):
            case "back" if truth.flights:
                two.returns(truth, data)
            case "switch":
                two.switches()
            case "carry":
                two.carries()
            case "fill":
                truth.fills(data.draw(st.sampled_from([D(1), D(8)])))
            case "pass":
                two.passes(data.draw(st.sampled_from([0.1, 0.7, 4.0, 9.0])))
            case "cancel" if two.order is not None and data.draw(st.integers(0, 3)) == 0:
                truth.cancels(600.0)
                leg = two.order.leg
                here = leg is not None and (leg.exchange == truth.name or leg.state in BETWEEN)
                gone = gone or (here and not truth.locked)
            case "crash":
                truth.crash()
            case "lock":
                truth.locked = data.draw(st.booleans())
            case "amend" if two.order is not None and not two.both[0].locked:
                quantity = data.draw(st.sampled_from([None, D(3), D(6)]))
                for each in two.both:
                    each.most = max(each.most, quantity or each.most)
                truth.amends(quantity, data.draw(st.sampled_from([D(101), D(102)])))
    two.ends()
    order = two.order
    if order is None or order.leg is None:
        return
    state = state_of(order)
    rested = any(leg.exchange_order_id for leg in order.legs)
    open_ = two.bybit.open_anywhere
    assert order.filled == two.bybit.filled
    assert not (gone and open_), "it rests although its owner wanted it gone"
    if open_:
        assert order.leg.exchange == two.in_use.name, "it rests where trading is"
        assert order.leg.state in LIVE
    elif rested and not gone and state not in OVER | {OrderState.EXPIRED}:
        assert state is OrderState.PARKED, f"{state} with {order.legs}"
        assert order.leg.reason_words
    report = verify_tables(two.bybit.journal._db)
    assert not report.findings, report.findings


def resting() -> Two:
    """An order of four that rests on bybit."""
    two = Two()
    two.bybit.places()
    two.returns(two.bybit)
    return two


def test_it_goes_along_with_what_is_left() -> None:
    two = resting()
    two.bybit.fills(D(1))
    two.switches()
    two.ends()
    (leg,) = two.bybit.open_anywhere
    assert (leg.quantity, two.okx.legs[leg.wire_id]) == (D(3), leg)
    (told,) = {type(each) for each in two.bybit.answers["settle-1"]}
    assert told is SettleReply


def test_what_fills_while_it_is_cancelled_is_not_asked_for_again() -> None:
    two = resting()
    two.switches()
    two.bybit.fills(D(2))
    two.ends()
    (leg,) = two.bybit.open_anywhere
    assert leg.quantity == D(2)


def test_an_acknowledgement_is_no_end() -> None:
    two = resting()
    two.switches()
    (call_id,) = [n for n, each in two.bybit.flights.items() if isinstance(each.call, c.CancelCall)]
    two.bybit.back(call_id, c.CancelConfirmed(final=None))
    two.carries()
    assert two.order is not None
    assert state_of(two.order) is OrderState.LIVE
    assert not two.okx.flights, "nothing is placed there before it is gone here"


def test_the_mark_outlives_the_connector_and_who_asked() -> None:
    two = resting()
    two.switches()
    two.bybit.crash()
    assert two.order is not None
    assert two.order.legs[0].carry_s is not None
    for _ in range(8):
        while two.bybit.flights:
            two.returns(two.bybit)
        two.passes(1.0)
    assert state_of(two.order) is OrderState.MOVING


def test_nothing_is_cancelled_before_the_mark_is_in_the_journal() -> None:
    two = resting()
    two.bybit.locked = True
    two.switches()
    assert not [each for each in two.bybit.flights.values() if isinstance(each.call, c.CancelCall)]
    two.ends()
    assert [leg.quantity for leg in two.okx.open] == [D(4)]


def test_one_that_is_refused_there_is_parked_and_tried_again() -> None:
    two = resting()
    two.switches()
    while two.bybit.flights:
        two.returns(two.bybit)
    asked = two.carries()
    (call_id,) = two.okx.flights
    two.okx.back(call_id, c.Refused(code="insufficient_funds", words="No funds.", native_code="1"))
    assert two.order is not None
    assert state_of(two.order) is OrderState.PARKED
    (reply,) = two.okx.answers[asked]
    assert isinstance(reply, CarryReply)
    assert (len(reply.carried), reply.waiting) == (1, 0)
    two.carries()
    assert not two.okx.flights, "not at once"
    two.ends()
    assert [leg.quantity for leg in two.okx.open] == [D(4)]


def test_a_parked_policy_keeps_it_and_tells() -> None:
    two = resting()
    two.switches()
    while two.bybit.flights:
        two.returns(two.bybit)
    asked = two.carries(CarryPolicy.PARK)
    (reply,) = two.okx.answers[asked]
    assert [each.code for each in reply.parked] == ["policy"]
    (again,) = two.okx.answers[two.carries(CarryPolicy.PARK)]
    assert (again.parked, again.waiting) == ((), 0), "told once"
    name = two.okx.amends(D(6), None)
    (answer,) = two.okx.answers[name]
    assert not isinstance(answer, OrderRefused)
    assert "is parked" in answer.words
    two.okx.cancels()
    assert two.order is not None
    assert state_of(two.order) is OrderState.CANCELLED


def test_a_cancel_that_the_journal_did_not_take_still_ends_what_is_moving() -> None:
    two = resting()
    two.bybit.locked = True
    asker = two.bybit.cancels()
    two.switches()
    two.bybit.locked = False
    two.ends()
    assert two.order is not None
    assert (state_of(two.order), two.bybit.open_anywhere) == (OrderState.CANCELLED, [])
    assert len(two.bybit.answers[asker]) == 1
