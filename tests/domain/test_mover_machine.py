"""The moving half of the synchronizer as a machine of rules: see `tests.domain.test_mover`."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from messages.positions import MovePositions, MovesReply, PositionPolicy
from tests.depth import stateful
from tests.domain.test_mover import NAMES, SHARES, ZERO, D, Desk

thousandths = st.integers(-40, 40).filter(bool).map(lambda n: Decimal(n) / 1000)
which = st.sampled_from(NAMES)


class MoverMachine(RuleBasedStateMachine):
    """Trading goes on and moves on while positions move; messages are lost, doubled and late, outcomes unknown,
    exchanges and connectors and the synchronizer itself die, and people ask for plans and for moves.

    - I4: what moves have opened and not closed is at most a slice, by what exchanges truly executed, at every moment;
      one order of a symbol at a time may still fill; what fills of ours add up to is what stands there (`Desk.check`).
    - I2: whoever asks is answered once, by the deadline, while the synchronizer lives; a plan moves nothing.
    - Once all answer, everything stands where trading is, and it is what was traded.
    """

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk()
        self.traded, self.serial = ZERO, 0
        self.asked: dict[str, tuple[float, int]] = {}

    @initialize(quantity=thousandths, notional=st.sampled_from([10, 50, 200, 800]))
    def begins(self, quantity: Decimal, notional: int) -> None:
        self.desk = Desk(notional=D(notional))
        self.trades(quantity)
        self.desk.switch("okx")

    @rule(quantity=thousandths)
    def trades(self, quantity: Decimal) -> None:
        """A strategy's order fills where trading is."""
        desk = self.desk
        if desk.journal.route().exchange not in desk.dead:
            self.serial += 1
            desk.trade(quantity, f"t{self.serial}")
            self.traded += quantity

    @rule(share=SHARES, unknown=st.booleans(), silent=st.booleans())
    def places(self, share: Decimal, unknown: bool, silent: bool) -> None:
        self.desk.placed(share, unknown=unknown, silent=silent)

    @precondition(lambda self: self.desk.queue)
    @rule(share=SHARES)
    def delivers(self, share: Decimal) -> None:
        self.desk.deliver(share)

    @precondition(lambda self: self.desk.queue)
    @rule(how=st.sampled_from(["lost", "twice", "late"]))
    def goes_astray(self, how: str) -> None:
        queue = self.desk.queue
        if how == "twice":
            queue.append(queue[0])
        elif how == "late":
            queue.append(queue.pop(0))
        else:
            queue.pop(0)

    @rule()
    def wakes(self) -> None:
        self.desk.wake()

    @rule(dry_run=st.booleans(), within_s=st.sampled_from([3.0, 60.0]))
    def asks(self, dry_run: bool, within_s: float) -> None:
        desk = self.desk
        self.serial += 1
        named = f"ask-{self.serial}"
        placed = len(desk.asked)
        request = MovePositions(
            correlation_id=named,
            deadline_s=desk.now_s + within_s,
            epoch=desk.journal.route().epoch,
            policy=PositionPolicy.MIGRATE,
            dry_run=dry_run,
        )
        assert desk.half.on_message(request, "asker", desk.now_s)
        assert len(desk.asked) == placed
        self.asked[named] = request.deadline_s, desk.lives

    @rule(name=which)
    def switches(self, name: str) -> None:
        self.desk.switch(name)

    @rule(name=which, dead=st.booleans())
    def dies(self, name: str, dead: bool) -> None:
        if dead:
            self.desk.dead.add(name)
        else:
            self.desk.dead.discard(name)

    @rule(name=which)
    def connector_begins_anew(self, name: str) -> None:
        """What was on its way to it is lost."""
        self.desk.queue = [each for each in self.desk.queue if each[0] != name]
        self.desk.half.machine.restarted(name)

    @rule()
    def begins_anew(self) -> None:
        self.desk.begin()

    @invariant()
    def holds(self) -> None:
        self.desk.check()
        told = [each.correlation_id for each in self.desk.told]
        assert len(told) == len(set(told)), "answered twice"
        for named, (deadline_s, life) in self.asked.items():
            late = life == self.desk.lives and self.desk.now_s > deadline_s
            assert not late or named in told, "not answered"
        assert all(isinstance(each, MovesReply) for each in self.desk.told)

    def teardown(self) -> None:
        desk = self.desk
        desk.calm()
        self.holds()
        assert desk.off == 0, "a slice is left in the middle"
        assert desk.actual[desk.journal.route().exchange or ""] == self.traded
        assert desk.journal.sums_differ() == ""
        desk.journal.close()


TestMoverMachine = stateful(MoverMachine, 10, 200, steps=20)
