"""The connector's machine along any sequence of requests and answers: see `tests.domain.test_connector`."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from messages.orders import OrderAccepted, OrderNotExecuted, OrderRefused
from tests.depth import stateful
from tests.domain.connector_desk import Desk, check, settle, some_result
from tests.strategies import names


class ConnectorMachine(RuleBasedStateMachine):
    """Whoever asks for what, and whatever the exchange answers, late or never.

    - A leg is sent only when committed for this very call, and two calls about a leg are never on the way, look-ups
      apart (`Desk.sent`).
    - Nobody is answered twice; whoever places is answered in the end, with what is proven.
    - What is followed is what the journal holds live or unproven, as the journal has it.
    - Once the exchange tells the truth, nothing is in flight, in doubt or under way any more.
    """

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk()
        self.placed: list[str] = []

    @rule(name=names)
    def place(self, name: str) -> None:
        self.placed.append(self.desk.place(name, within_s=600.0))  # who no longer waits is not answered

    @rule(name=names)
    def cancel(self, name: str) -> None:
        self.desk.cancel(name)

    @rule(name=names)
    def get(self, name: str) -> None:
        self.desk.get(name)

    @precondition(lambda self: self.desk.flights)
    @rule(data=st.data())
    def returns(self, data: st.DataObject) -> None:
        call_id = data.draw(st.sampled_from(sorted(self.desk.flights)))
        self.desk.returns(call_id, some_result(self.desk, self.desk.flights[call_id], data))

    @precondition(lambda self: self.desk.flights)
    @rule(data=st.data())
    def first_returns(self, data: st.DataObject) -> None:
        call_id = min(self.desk.flights)
        self.desk.returns(call_id, some_result(self.desk, self.desk.flights[call_id], data))

    @rule(seconds=st.sampled_from([0.01, 1.0, 6.0]))
    def wait(self, seconds: float) -> None:
        self.desk.passes(seconds)

    @invariant()
    def as_the_journal_has_it(self) -> None:
        check(self.desk)

    def teardown(self) -> None:
        desk = self.desk
        settle(desk)
        check(desk)
        for asker in self.placed:
            (answer,) = desk.answers[asker]
            assert isinstance(answer, OrderAccepted | OrderRefused | OrderNotExecuted), answer
        assert desk.machine._placing.under_way == 0
        assert not desk.machine._flights
        assert not [task for task in desk.machine.tasks.values() if not task.live]
        desk.journal.close()


TestConnectorMachine = stateful(ConnectorMachine, 12, 200, steps=20)
