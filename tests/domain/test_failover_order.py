"""The order of a switch's steps: what cannot be undone comes after what may fail."""

from __future__ import annotations

import pytest

from app.domain.effects import Answer
from app.domain.failover import (
    MANUAL,
    Announce,
    AskBook,
    AskPreflight,
    AskSettle,
    CommitRoute,
    Coordinator,
    CoordinatorEffect,
    FailoverSettings,
    Fence,
    SaveSwitch,
)
from messages.base import Failed
from messages.failover import (
    ManualFailover,
    OrderLeft,
    PreflightReply,
    Route,
    RouterState,
    SettleReply,
    Switch,
    SwitchReply,
    SwitchResult,
)
from messages.health import HealthState, HealthView, Network, NetworkState


class World:
    """A coordinator, and answers for what it asks."""

    def __init__(self, *exchanges: str) -> None:
        self.network_down = False
        self.proven_s = 0.0
        self.machine = Coordinator(FailoverSettings(exchanges=exchanges), self.own_network)
        self.problems: dict[str, str] = {}
        self.settles = True
        self.now_s = 0.0
        self.done: list[str] = []
        self.history: dict[int, SaveSwitch] = {}
        self.answers: list[object] = []
        self.run(self.machine.recover(Route(epoch=0, exchange=None, since_s=0.0), (), 0.0))
        for name in exchanges:
            self.health(name, HealthState.WELL)

    def own_network(self, _views: object, _witnesses: object, now_s: float, _exchange: str) -> Network:
        """Down, or proven to work from a time on, or only once something else is heard of."""
        if self.network_down:
            return Network(state=NetworkState.OURS, words="okx failed together with bybit")
        if now_s < self.proven_s:
            return Network(state=NetworkState.UNKNOWN, words="okx was ill itself", again_s=self.proven_s)
        return Network(state=NetworkState.THEIRS, words="okx answered after bybit failed")

    def health(self, exchange: str, state: HealthState) -> None:
        """The monitor says."""
        view = HealthView(
            exchange=exchange,
            state=state,
            since_s=self.now_s,
            reason="told so",
            consecutive_failures=0,
            last_ok_s=None,
            latency_s=None,
            clock_offset_s=None,
        )
        self.run(self.machine.health_told(view, self.now_s))

    def manual(self, exchange: str) -> None:
        """A person asks."""
        request = ManualFailover(correlation_id="m", deadline_s=60.0, exchange=exchange)
        self.run(self.machine.manual("person", request, self.now_s))

    def run(self, effects: list[CoordinatorEffect]) -> None:
        """Performs effects, those they cause included."""
        for effect in effects:
            match effect:
                case Fence():
                    self.done.append("fence")
                    route = Route(epoch=self.machine.route.epoch + 1, exchange=None, since_s=self.now_s)
                    self.run(self.machine.fenced(route, self.now_s))
                case CommitRoute(epoch=epoch, exchange=exchange):
                    self.done.append(f"commit {exchange}")
                    route = Route(epoch=epoch, exchange=exchange, since_s=self.now_s)
                    self.run(self.machine.committed(route, self.now_s))
                case AskPreflight(exchange=exchange):
                    self.done.append(f"preflight {exchange}")
                    problems = (self.problems[exchange],) if exchange in self.problems else ()
                    reply = PreflightReply(correlation_id="", exchange=exchange, problems=problems)
                    self.run(self.machine.preflight_done(reply, self.now_s))
                case AskSettle(exchange=exchange):
                    self.done.append(f"settle {exchange}")
                    if self.settles:
                        told = SettleReply(correlation_id="", exchange=exchange, cancelled=("o",), left=())
                        self.run(self.machine.settled(told, self.now_s))
                case SaveSwitch(switch=switch):
                    self.history[switch.epoch] = effect
                case Answer(message=message):
                    self.answers.append(message)
                case Announce() | AskBook():
                    pass

    def pass_s(self, seconds: float) -> None:
        """Time goes by."""
        self.now_s += seconds
        self.run(self.machine.tick(self.now_s))


def test_nothing_is_cancelled_for_a_switch_that_is_given_up() -> None:
    world = World("bybit", "kraken")
    world.problems["kraken"] = "kraken has no BTC/USDT:USDT."
    world.done.clear()
    world.manual("kraken")
    assert world.done == ["fence", "preflight kraken", "commit bybit"]
    (refused,) = world.answers
    assert isinstance(refused, Failed)
    assert "kraken has no BTC/USDT:USDT." in refused.words
    assert world.machine.route.exchange == "bybit"


def test_a_dead_candidate_costs_no_order_either_nor_an_epoch() -> None:
    world = World("bybit", "okx")
    world.health("okx", HealthState.DOWN)
    world.done.clear()
    world.manual("okx")
    assert world.done == []
    (refused,) = world.answers
    assert isinstance(refused, Failed)
    assert "okx is down: told so" in refused.words


def test_orders_are_settled_once_a_candidate_has_passed_and_before_trading_moves() -> None:
    world = World("bybit", "okx")
    world.done.clear()
    world.manual("okx")
    assert world.done == ["fence", "preflight okx", "settle bybit", "commit okx"]
    (told,) = world.answers
    assert isinstance(told, SwitchReply)
    assert told.switch.orders_cancelled == ("o",)


def test_an_exchange_that_does_not_settle_in_time_is_asked_again_after_the_commit() -> None:
    world = World("bybit", "okx")
    world.settles = False
    world.done.clear()
    world.manual("okx")
    world.pass_s(5.0)
    assert world.done == ["fence", "preflight okx", "settle bybit", "commit okx", "settle bybit"]


def test_a_candidate_that_goes_down_while_the_old_exchange_settles_is_not_chosen() -> None:
    world = World("bybit", "okx", "binance")
    world.settles = False
    world.manual("okx")
    world.done.clear()
    world.health("okx", HealthState.DOWN)
    world.pass_s(5.0)
    assert world.done == ["commit bybit"], "asked for by name: no other takes its place"


def test_a_manual_switch_that_was_given_up_does_not_hold_up_the_automatic_one() -> None:
    world = World("bybit", "okx", "binance")
    world.problems["okx"] = "okx is not ready."
    world.manual("okx")
    world.done.clear()
    world.pass_s(1.0)
    world.health("bybit", HealthState.DOWN)
    assert world.done == ["fence", "commit binance", "settle bybit"], "it was ready a moment ago: not a question more"
    results = [entry.switch.result for entry in world.history.values() if entry.switch.reason == MANUAL]
    assert results == [SwitchResult.FAILED]


def test_when_our_own_network_is_back_the_exchange_in_use_may_answer_second() -> None:
    world = World("bybit", "okx")
    world.done.clear()
    world.network_down = True
    world.health("okx", HealthState.DOWN)
    world.health("bybit", HealthState.DOWN)
    assert world.machine.words == (
        "bybit is down, and as it looks so is our own network: okx failed together with bybit. Trading is not moved."
    )
    world.network_down, world.proven_s = False, 15.0
    world.health("okx", HealthState.WELL)
    assert "fence" not in world.done, "okx was heard first, which says nothing against bybit"
    assert "before it is known that our own network works: okx was ill itself" in world.machine.words
    world.now_s = 2.0
    world.health("bybit", HealthState.WELL)
    world.pass_s(20.0)
    assert "fence" not in world.done
    assert world.machine.words == ""


def test_when_our_own_network_is_back_and_the_exchange_in_use_is_not_trading_moves_on() -> None:
    world = World("bybit", "okx")
    world.done.clear()
    world.network_down, world.proven_s = True, 15.0
    world.health("bybit", HealthState.DOWN)
    world.network_down = False
    world.health("okx", HealthState.WELL)
    world.pass_s(14.9)
    assert "fence" not in world.done
    world.pass_s(0.1)
    assert world.done[-3:] == ["fence", "commit okx", "settle bybit"]
    (switch,) = [each.switch for each in world.history.values()]
    assert "our own network works: okx answered after bybit failed" in switch.evidence


def test_an_exchange_that_dies_just_after_trading_moved_there_is_left_at_once() -> None:
    world = World("bybit", "okx", "binance")
    world.settles = False  # the first is dead, and is asked in vain what rests there
    world.health("bybit", HealthState.DOWN)
    assert world.machine.route.exchange == "okx"
    world.pass_s(0.5)
    world.health("okx", HealthState.DOWN)
    assert world.machine.route.exchange == "binance", "not only when the first has had its time to settle"
    left = OrderLeft(order_id="o", client_order_id="c", symbol="BTC/USDT:USDT", state="unknown", remaining="1")
    told = SettleReply(correlation_id="", exchange="bybit", cancelled=(), left=(left,))
    world.run(world.machine.settled(told, 3.0))
    first, second = [world.history[epoch].switch for epoch in sorted(world.history)]
    assert (first.to_exchange, first.finished, first.orders_left) == ("okx", True, (left,)), (
        "told although it came late"
    )
    assert (second.from_exchange, second.to_exchange, second.orders_left) == ("okx", "binance", ())


def test_a_person_may_move_trading_while_the_exchange_that_was_left_is_still_asked() -> None:
    world = World("bybit", "okx", "binance")
    world.settles = False
    world.health("bybit", HealthState.DOWN)
    world.manual("binance")
    world.pass_s(10.0)  # okx, which does not settle either, has had its time
    assert world.machine.route.exchange == "binance"
    (answer,) = world.answers
    assert isinstance(answer, SwitchReply)


def manual_to_okx(result: SwitchResult) -> Switch:
    """As a coordinator that died left it in the history."""
    return Switch(
        from_exchange="bybit",
        to_exchange="okx",
        reason=MANUAL,
        at_s=0.0,
        epoch=2,
        result=result,
        duration_s=0.0,
        finished=False,
    )


@pytest.mark.parametrize("result", [SwitchResult.RUNNING, SwitchResult.COMPLETED])
def test_a_switch_that_was_committed_before_its_coordinator_died_is_told_to_who_asks_again(
    result: SwitchResult,
) -> None:
    world = World("bybit", "okx")
    okx = Route(epoch=2, exchange="okx", since_s=1.0)
    world.machine.recover(okx, (manual_to_okx(result),), 1.0)
    world.manual("okx")
    (told,) = world.answers
    assert isinstance(told, SwitchReply)
    assert told.switch.to_exchange == "okx"


def test_a_coordinator_whose_route_was_moved_by_another_is_as_one_that_has_just_started() -> None:
    world = World("bybit", "okx")
    world.settles = False
    world.manual("okx")
    elsewhere = Route(epoch=7, exchange="okx", since_s=2.0)
    world.run(world.machine.recover(elsewhere, (), 2.0))
    assert world.machine.state is RouterState.READY
    world.done.clear()
    world.manual("bybit")
    world.settles = True
    world.pass_s(5.0)
    assert world.done[:4] == ["preflight bybit", "fence", "preflight bybit", "settle okx"]
    assert world.machine.route.exchange == "bybit"
