"""Storms: along any sequence of failures, verbs, silence and deaths of the coordinator a switch ends as it should."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.domain.controls import Controls
from app.domain.saga_table import Step
from app.domain.standing import Standing
from messages.base import Failed
from messages.failover import Route, SwitchReply, SwitchResult
from messages.health import HealthState
from tests.depth import stateful
from tests.domain.saga_desk import EXCHANGES, Desk

WELL, DOWN = HealthState.WELL, HealthState.DOWN


def holds_at_the_end(desk: Desk) -> None:
    """What holds once everybody is well again: nothing is under way, lost, doubled or untold."""
    desk.settles_down()
    for order in desk.orders.values():
        assert order.exchange == desk.route.exchange, f"{order.name} is where trading is"
    for name in EXCHANGES:
        expected = Standing.IN_USE if name == desk.route.exchange else Standing.CANDIDATE
        assert desk.machine.standing(name) is expected
    assert all(not held for name, held in desk.positions.items() if name != desk.route.exchange)
    for epoch, switch in desk.kept.items():
        assert switch.finished
        assert switch.result is not SwitchResult.RUNNING
        rows = desk.steps(epoch)
        assert rows[0] == "begin"
        assert {"over", "cut_short", "overtaken"} & set(rows), "how it ended is in the history"


NAMES = st.sampled_from(EXCHANGES)


class SagaMachine(RuleBasedStateMachine):
    """Any sequence of failures, verbs, silence and answers, and a death of the coordinator between any two effects.

    - Wherever it died, the next one goes on from the journal; a death changes nothing that was decided (`Desk.run`).
    - The epoch never falls, and an exchange is committed to an epoch once (`Desk.run`).
    - Settling takes nothing off an exchange that trading is on (`Desk`).
    - What was asked for is one order, in one place.
    - Of an epoch there is one switch, and what was said of it is never taken back: once it is over it stays over.
    - In the end nothing is under way, lost, doubled or untold (`holds_at_the_end`).
    """

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk()
        self.desk.positions["bybit"] = Decimal(2)
        self.number = 0
        self.over: dict[int, SwitchResult] = {}
        self.epoch = self.desk.route.epoch

    def next(self, letter: str) -> str:
        self.number += 1
        return f"{letter}{self.number}"

    @rule(name=NAMES, state=st.sampled_from(list(HealthState)))
    def health(self, name: str, state: HealthState) -> None:
        self.desk.safely(self.desk.health, name, state)

    @rule(name=NAMES)
    def manual(self, name: str) -> None:
        self.desk.safely(self.desk.manual, name, self.next("m"))

    @rule(name=NAMES)
    def silent(self, name: str) -> None:
        self.desk.silent ^= {name}

    @rule(name=NAMES)
    def unready(self, name: str) -> None:
        self.desk.unready ^= {name}

    @rule()
    def die(self) -> None:
        self.desk.safely(self.desk.life)

    @rule(effects=st.integers(0, 12))
    def trap(self, effects: int) -> None:
        self.desk.dies_in = effects

    @precondition(lambda self: self.desk.mail)
    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        self.desk.deliver(data.draw(st.integers(0, len(self.desk.mail) - 1)))

    @precondition(lambda self: self.desk.mail)
    @rule()
    def deliver_first(self) -> None:
        self.desk.deliver(0)

    @rule()
    def place(self) -> None:
        self.desk.place(self.next("o"))

    @rule(name=NAMES)
    def isolate(self, name: str) -> None:
        self.desk.safely(self.desk.holds, Controls(isolated=((name, "So it is."),)))

    @rule()
    def release(self) -> None:
        self.desk.safely(self.desk.holds, Controls())

    @rule()
    def network(self) -> None:
        self.desk.network_down = not self.desk.network_down

    @rule(seconds=st.sampled_from([0.1, 4.0, 9.0, 70.0]))
    def wait(self, seconds: float) -> None:
        self.desk.passes(seconds)

    @invariant()
    def what_is_over_stays_over(self) -> None:
        for epoch, switch in self.desk.kept.items():
            assert epoch <= self.desk.route.epoch
            if epoch in self.over:
                assert (switch.finished, switch.result) == (True, self.over[epoch])
            elif switch.finished:
                assert switch.result is not SwitchResult.RUNNING
                self.over[epoch] = switch.result

    @invariant()
    def forward(self) -> None:
        assert self.desk.route.epoch >= self.epoch
        self.epoch = self.desk.route.epoch
        if self.desk.machine.step is Step.IDLE and self.desk.route.exchange is not None:
            assert self.desk.machine.route == self.desk.route

    def teardown(self) -> None:
        holds_at_the_end(self.desk)
        assert len(self.desk.orders) == sum(each.exchange is not None for each in self.desk.orders.values())


TestSagaMachine = stateful(SagaMachine, 20, 400)


@pytest.mark.parametrize("before", range(45))
def test_a_planned_switch_is_resumed_wherever_its_coordinator_died(before: int) -> None:
    """A death before each effect in turn, with everything that is asked answered in between."""
    desk = Desk()
    desk.all_well()
    desk.place("a")
    desk.positions["bybit"] = Decimal(2)
    desk.dies_in = before
    desk.safely(desk.manual, "okx")
    desk.lives(1.0)
    desk.dies_in = None
    if not desk.kept:
        assert before == 0, "it had not begun"
        return
    holds_at_the_end(desk)
    (switch,) = desk.kept.values()
    assert (switch.result, switch.to_exchange) == (SwitchResult.COMPLETED, "okx")
    assert desk.orders["a"].legs == 2
    assert desk.positions["okx"] == Decimal(2)
    assert [each.order_id for each in switch.orders_carried] == ["a"]
    done = [name for name, _ in switch.steps]
    assert {"fence", "preflight", "commit", "carry", "positions", "report"} <= set(done), "every step was gone through"
    assert switch.positions_read


def test_a_switch_that_another_coordinator_overtook_is_over_and_told() -> None:
    desk = Desk()
    desk.all_well()
    desk.manual("okx")
    desk.mail.clear()
    desk.route = Route(epoch=7, exchange="binance", since_s=desk.now_s)
    desk.life()
    (switch,) = desk.kept.values()
    assert (switch.finished, switch.result) == (True, SwitchResult.FAILED)
    assert desk.steps(2)[-1] == "overtaken"
    assert (desk.step(), desk.machine.route.exchange) == (Step.IDLE, "binance")


def test_what_the_left_exchange_is_asked_late_takes_nothing_off_once_trading_is_back() -> None:
    desk = Desk()
    desk.all_well()
    desk.health("bybit", DOWN)
    (late,) = [each for each in desk.mail if type(each).__name__ == "AskSettle"]
    desk.lives(30.0)
    desk.health("bybit", WELL)
    desk.lives(5.0)
    desk.manual("bybit")
    desk.lives(5.0)
    desk.place("b")
    desk.mail.append(late)
    desk.lives(1.0)
    assert desk.where("b") == ("bybit", 1)


def test_the_exchange_that_is_left_dies_while_it_settles_and_is_not_waited_for() -> None:
    desk = Desk()
    desk.all_well()
    desk.place("a")
    desk.manual("okx")
    desk.deliver(0)  # okx is ready
    assert desk.step() is Step.SETTLE
    desk.health("bybit", DOWN)
    assert desk.route.exchange == "okx"
    desk.mail.clear()  # what it was asked is lost with it
    assert desk.where("a")[0] == "bybit", "nobody knows of it, and it is not placed twice"
    desk.lives(30.0)
    assert desk.machine.standing("bybit") is Standing.LEFT
    desk.health("bybit", WELL)
    desk.lives(3.0)
    assert desk.machine.standing("bybit") is Standing.CANDIDATE
    assert desk.where("a") == ("okx", 2)
    (switch,) = desk.kept.values()
    assert switch.orders_cancelled == ("a",), "told though it came late"
    assert [each.order_id for each in switch.orders_carried] == ["a"]
    rows = [line.step for _, line in desk.lines]
    assert rows.index("over") < rows.index("settled_late") < rows.index("carried")


def test_a_candidate_that_dies_while_the_old_exchange_settles_yields_at_once() -> None:
    desk = Desk()
    desk.all_well()
    desk.place("a")
    desk.manual("okx")
    desk.deliver(0)
    assert desk.done[-1] == "settle bybit"
    desk.health("okx", DOWN)
    assert desk.route.exchange == "bybit", "asked for by name: no other takes its place"
    (refused,) = desk.answers
    assert isinstance(refused, Failed)
    desk.lives(5.0)
    assert desk.where("a")[0] == "bybit"
    holds_at_the_end(desk)


def test_what_was_taken_off_is_placed_again_where_it_was_when_nobody_can_take_over() -> None:
    desk = Desk()
    desk.all_well()
    desk.place("a")
    desk.manual("okx")
    desk.deliver(0)
    (asked,) = desk.mail
    desk.mail.clear()
    reply = desk._settled(asked)
    assert desk.where("a")[0] is None
    desk.health("okx", DOWN)
    desk.run(desk.machine.settled(reply, desk.now_s))  # too late
    assert desk.route.exchange == "bybit"
    desk.lives(3.0)
    assert desk.where("a") == ("bybit", 2)


def test_the_new_exchange_dies_before_anything_was_carried_there() -> None:
    desk = Desk()
    desk.all_well()
    desk.place("a")
    desk.manual("okx")
    while desk.step() is not Step.CARRY:
        desk.deliver(0)
    desk.mail.clear()  # bybit settled, and is a candidate again, first in the list; but it has answered no pre-flight
    desk.health("okx", DOWN)
    assert desk.step() is Step.LEAVE, "it is left at once, to whom it was known of"
    desk.lives(3.0)
    assert desk.route.exchange == "binance"
    assert desk.where("a") == ("binance", 2)
    first, second = (desk.kept[epoch] for epoch in sorted(desk.kept))
    assert "cut_short" in desk.steps(first.epoch)
    assert [each.to_exchange for each in second.orders_carried] == ["binance"]


def test_a_carry_that_arrives_after_trading_moved_on_places_nothing() -> None:
    desk = Desk()
    desk.all_well()
    desk.place("a")
    desk.manual("okx")
    while desk.step() is not Step.CARRY:
        desk.deliver(0)
    late = [each for each in desk.mail if type(each).__name__ == "AskCarry"]
    desk.mail.clear()
    desk.health("okx", DOWN)
    desk.mail[:0] = late
    desk.deliver(0)
    assert desk.where("a")[0] is None
    desk.lives(3.0)
    assert desk.where("a")[0] == desk.route.exchange == "binance"


def test_a_verb_during_an_automatic_switch_is_refused_and_after_its_commit_it_cuts_that_short() -> None:
    desk = Desk()
    desk.all_well()
    desk.lives(1.0)
    desk.run(desk.machine.traded(("BTC/USDT:USDT",), desk.now_s))
    desk.mail.clear()  # nobody was asked about that: they have to be
    desk.health("bybit", DOWN)
    assert desk.step() is Step.PREFLIGHT
    desk.manual("binance", "one")
    (refused,) = desk.answers
    assert isinstance(refused, Failed)
    assert "a switch is running (preflight)" in refused.words
    desk.deliver(0)
    assert (desk.route.exchange, desk.step()) == ("okx", Step.LEAVE)
    desk.manual("binance", "two")
    desk.lives(1.0)
    assert desk.route.exchange == "binance"
    assert isinstance(desk.answers[-1], SwitchReply)
    holds_at_the_end(desk)


def test_of_two_verbs_at_once_the_first_wins_and_the_second_is_told() -> None:
    desk = Desk()
    desk.all_well()
    desk.manual("okx", "one")
    desk.manual("binance", "two")
    desk.manual("okx", "one")  # sent again, which is the same
    (refused,) = desk.answers
    assert refused.correlation_id == "two"
    desk.lives(5.0)
    assert [type(each) for each in desk.answers] == [Failed, SwitchReply]
    desk.manual("okx", "one")
    assert isinstance(desk.answers[-1], SwitchReply), "sent again once more it is told how it ended"
    desk.safely(desk.life)
    desk.manual("okx", "one")
    assert isinstance(desk.answers[-1], SwitchReply), "also by the next coordinator"
    assert len(desk.kept) == 1


def test_an_exchange_that_is_isolated_while_in_use_is_left_and_is_no_candidate() -> None:
    desk = Desk()
    desk.all_well()
    desk.holds(Controls(isolated=(("bybit", "Its margin engine."),)))
    desk.lives(1.0)
    assert desk.route.exchange == "okx"
    assert desk.kept[2].reason == "bybit is isolated: Its margin engine."
    assert desk.machine.standing("bybit") is Standing.ISOLATED
    desk.manual("bybit")
    assert "release it first" in desk.answers[-1].words
    desk.health("okx", DOWN)
    desk.lives(1.0)
    assert desk.route.exchange == "binance"
    assert ("bybit", "bybit is isolated: Its margin engine.") in desk.kept[3].candidates_rejected


def test_a_candidate_that_is_isolated_after_its_pre_flight_yields_to_the_next() -> None:
    desk = Desk()
    desk.all_well()
    desk.place("a")
    desk.health("bybit", HealthState.SUSPECT)
    desk.manual("okx")
    desk.deliver(0)
    assert desk.step() is Step.SETTLE
    desk.holds(Controls(isolated=(("okx", "Why not."),)))
    desk.lives(5.0)
    assert desk.route.exchange == "bybit"
    assert ("okx", "okx is isolated: Why not.") in desk.kept[2].candidates_rejected
