"""The carrying of an order between two exchanges as a machine of rules: see `tests.domain.test_carrying`.

What that plays for one policy, this one plays for all of them, with people who wait for an answer, and stories that
shrink to the rules that matter.
"""

from __future__ import annotations

from decimal import Decimal

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.domain.leg_life import LIVE
from app.domain.order_life import OrderState, state_of
from app.journal.verify import verify_tables
from messages.carries import CarryPolicy, CarryReply
from messages.failover import SettleReply
from tests.depth import stateful
from tests.domain.test_carrying import OVER, Two

at = st.integers(0, 1)
"""Which of the two exchanges."""
OVER_FOR_GOOD = OVER | {OrderState.EXPIRED}


class CarryingMachine(RuleBasedStateMachine):
    """Any switches, fills, policies, late and lost answers, cancels, locks of the journal and deaths of a connector.

    - I1: at most one leg of it can fill, on whichever exchange; what fills is never more than was asked, and the
      record is never smaller than the truth (`Truth.holds`).
    - I2: whoever asks for it to be settled, or carried, is answered once, by the deadline, while the connector lives;
      what is told to be placed was placed.
    - Once everything answers, it rests where trading is, or is over, or waits for its owner and says why; nothing of
      it is under way, and nobody is owed an answer.
    """

    def __init__(self) -> None:
        super().__init__()
        self.two = Two()
        self.two.bybit.places()
        self.gone = False
        self.asked: dict[str, tuple[int, float, int]] = {}

    def _asked(self, which: int, name: str) -> None:
        if name:
            truth = self.two.both[which]
            self.asked[name] = which, truth.now_s + 2.0, truth.life

    @precondition(lambda self: self.two.bybit.flights or self.two.okx.flights)
    @rule(data=st.data(), which=at)
    def returns(self, data: st.DataObject, which: int) -> None:
        truth = self.two.both[which] if self.two.both[which].flights else self.two.both[1 - which]
        self.two.returns(truth, data)

    @rule()
    def all_return(self) -> None:
        for truth in self.two.both:
            for _ in range(8):
                if truth.flights:
                    self.two.returns(truth)

    @rule()
    def switches(self) -> None:
        self.two.switches()

    @rule(fills=st.booleans(), locked=st.sampled_from([False, False, True]))
    def goes_over(self, fills: bool, locked: bool) -> None:
        """It goes to the other exchange as it should, or all but."""
        self.all_return()
        if fills:
            for truth in self.two.both:
                truth.fills(Decimal(1))
        self.two.switches()
        self.all_return()
        self.two.passes(1.1)
        self.all_return()
        self.two.in_use.locked = locked
        self.carries(CarryPolicy.REPLACE)
        self.all_return()

    @rule(which=at, policy=st.sampled_from(CarryPolicy))
    def settles(self, which: int, policy: CarryPolicy) -> None:
        """An exchange that was left is asked again; with DROP what rests there is ended for good."""
        truth = self.two.both[which]
        if truth is not self.two.in_use:
            self.gone = self.gone or policy is CarryPolicy.DROP
            self._asked(which, self.two.settles(truth, policy))

    @rule(policy=st.sampled_from([CarryPolicy.REPLACE, CarryPolicy.REPLACE, CarryPolicy.PARK]))
    def carries(self, policy: CarryPolicy) -> None:
        self._asked(self.two.both.index(self.two.in_use), self.two.carries(policy))

    @rule(which=at, quantity=st.sampled_from([Decimal(1), Decimal(8)]))
    def fills(self, which: int, quantity: Decimal) -> None:
        self.two.both[which].fills(quantity)

    @rule(seconds=st.sampled_from([0.1, 0.7, 4.0, 9.0]))
    def wait(self, seconds: float) -> None:
        self.two.passes(seconds)

    @precondition(lambda self: self.two.order is not None)
    @rule(which=at, really=st.sampled_from([False, False, True]))
    def cancels(self, which: int, really: bool) -> None:
        if really:
            self.gone = True
            self.two.both[which].cancels(600.0)

    @rule(which=at)
    def dies(self, which: int) -> None:
        self.two.both[which].crash()

    @rule(which=at, locked=st.booleans())
    def locks(self, which: int, locked: bool) -> None:
        self.two.both[which].locked = locked

    @invariant()
    def who_asks_is_answered(self) -> None:
        for name, (which, deadline_s, life) in self.asked.items():
            truth = self.two.both[which]
            replies = truth.answers.get(name, [])
            assert len(replies) <= 1, "answered twice"
            if replies:
                assert isinstance(replies[0], CarryReply | SettleReply)
            elif truth.life == life:
                assert truth.now_s <= deadline_s, "not answered"

    def teardown(self) -> None:
        two = self.two
        two.ends()
        self.who_asks_is_answered()
        order, open_ = two.order, two.bybit.open_anywhere
        assert order is None or order.filled == two.bybit.filled
        report = verify_tables(two.bybit.journal._db)
        assert not report.findings, report.findings
        for truth in two.both:
            assert not truth.machine._carrying._asked, "somebody is owed an answer"
            assert not truth.machine._carrying._coming, "something is under way"
        if order is not None and order.leg is not None:
            if open_:
                assert order.leg.exchange == two.in_use.name, "it rests where trading is"
                assert order.leg.state in LIVE
            elif not self.gone and any(leg.exchange_order_id for leg in order.legs):
                state = state_of(order)
                assert state in OVER_FOR_GOOD | {OrderState.PARKED}, f"{state} with {order.legs}"
                assert state is not OrderState.PARKED or order.leg.reason_words
        two.bybit.journal.close()


TestCarryingMachine = stateful(CarryingMachine, 15, 300, steps=25)
