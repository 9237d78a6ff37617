"""Detectors, the judge of our network and the coordinator together, in virtual time, over exchanges that flap.

Orders are sent to the exchange in use every four seconds, and probes as the detectors want them; nothing is drawn, so
that figures are the same in every run.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Mapping
from itertools import count, pairwise
from typing import Any

import pytest
from attrs import define, evolve, field

from app.domain import health
from app.domain.failover import FailoverSettings
from app.domain.health_settings import HealthSettings
from app.domain.leaving import FREE, HOUR_S
from app.domain.network import judge, question_s
from messages.failover import Switch, SwitchResult
from messages.health import Cause, EvidenceKind, HealthState, HealthView, Network
from tests.domain.health_desk import seen
from tests.domain.saga_desk import Desk

ORDER_S = 4.0
"""Between two orders."""
LATENCY_S = 0.05
Lives = Callable[[float], bool]


def always(_at_s: float) -> bool:
    """It answers."""
    return True


def flapping(up_s: float, down_s: float, first_s: float = 0.0) -> Lives:
    """Well and dead in turn, from a time on."""
    return lambda at_s: at_s < first_s or (at_s - first_s) % (up_s + down_s) < up_s


def losing(share: float, seed: int, first_s: float = 0.0) -> Lives:
    """Some of its calls get lost, from a time on."""
    draw = random.Random(seed).random
    return lambda at_s: at_s < first_s or draw() >= share


@define(slots=False)
class Routed(Desk):
    """Whether our network works is judged by what exchanges answered."""

    use: HealthSettings = field(factory=HealthSettings)

    def own_network(self, views: Any, witnesses: Any, now_s: float, exchange: str) -> Network:
        """As the coordinator's shell does."""
        return judge(views, witnesses, now_s, self.use, exchange)


@define
class Loop:
    """Everything from a call's outcome to the route."""

    lives: Mapping[str, Lives]
    settings: FailoverSettings
    use: HealthSettings = field(factory=lambda: HealthSettings(jitter=0.0))
    now_s: float = 0.0
    placed: list[tuple[float, bool]] = field(factory=list)
    _pending: list[tuple[float, int, Callable[[], None]]] = field(factory=list)
    _asked_s: dict[str, float] = field(factory=dict)
    _serial: Any = field(factory=count)
    detectors: dict[str, health.Detector] = field(init=False)
    desk: Routed = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.desk = Routed(settings=self.settings, use=self.use)
        self.detectors = {name: health.start(name, 0.0) for name in self.settings.exchanges}
        self._at(1.0, self._order)

    def switches(self) -> list[Switch]:
        """Those by which trading moved."""
        return [each for each in self.desk.kept.values() if each.result is SwitchResult.COMPLETED]

    def most_an_hour(self) -> int:
        """The most switches in any hour."""
        when = [each.at_s for each in self.switches()]
        return max((sum(at_s <= each < at_s + HOUR_S for each in when) for at_s in when), default=0)

    def longest_without_s(self) -> float:
        """The longest time in which no order got through."""
        good = [0.0, *(at_s for at_s, ok in self.placed if ok), self.now_s]
        return max(after - before for before, after in pairwise(good))

    def share(self) -> float:
        """Of the orders, those that got through."""
        return sum(ok for _, ok in self.placed) / len(self.placed)

    def run(self, end_s: float) -> Loop:
        """To a time."""
        while self.now_s < end_s:
            due = [self._pending[0][0]] if self._pending else []
            due += self._probe()
            self._coordinate()
            due += [each for each in (self.desk.machine.next_s(),) if each is not None]
            self.now_s = max(self.now_s, min((end_s, *due)))
            while self._pending and self._pending[0][0] <= self.now_s:
                heapq.heappop(self._pending)[2]()
        return self

    # ---- exchanges ---------------------------------------------------------------------------------------------------

    def _at(self, at_s: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._pending, (at_s, next(self._serial), what))

    def _call(self, exchange: str, kind: EvidenceKind) -> None:
        ok = self.lives[exchange](self.now_s)
        at_s, latency_s = self.now_s + LATENCY_S, LATENCY_S
        self._at(at_s, lambda: self._observe(exchange, kind, ok=ok, at_s=at_s, latency_s=latency_s))

    def _order(self) -> None:
        self._at(self.now_s + ORDER_S, self._order)
        there = self.desk.route.exchange
        self.placed.append((self.now_s, there is not None and self.lives[there](self.now_s)))
        if there is not None:
            self._call(there, EvidenceKind.PLACE)

    # ---- the monitor -------------------------------------------------------------------------------------------------

    def _observe(self, exchange: str, kind: EvidenceKind, *, ok: bool, at_s: float, latency_s: float) -> None:
        evidence = evolve(seen(kind, ok, at_s, latency_s), exchange=exchange, cause=None if ok else Cause.SILENT)
        before = self.detectors[exchange]
        after = self.detectors[exchange] = health.observe(before, evidence, self.use)
        suspected = after.state is HealthState.SUSPECT and after.state is not before.state
        last_ok_s = before.now.last_ok_s
        heard_of = ok and before.state is HealthState.DOWN and (last_ok_s is None or last_ok_s <= before.now.since_s)
        views = tuple(map(self._view, self.detectors))
        for view in views:
            if view.health is HealthState.DOWN:
                fault = judge(views, (), self.now_s, self.use, view.exchange).state
                self.detectors[view.exchange] = health.attributed(self.detectors[view.exchange], fault)
        for other in self.detectors if suspected or heard_of else ():
            if other != exchange:
                self.detectors[other] = health.hurried(self.detectors[other])
        self.desk.now_s = self.now_s
        self.desk.states[exchange] = after.state
        self.desk.run(self.desk.machine.health_told(self._view(exchange), self.now_s))

    def _view(self, exchange: str) -> HealthView:
        return health.view(self.detectors[exchange], self.use, self.now_s)

    def _probe(self) -> list[float]:
        """Sends probes that are due; when the next ones are."""
        views = tuple(map(self._view, self.detectors))
        trouble = any(each.health is HealthState.DOWN for each in views)
        due = []
        for name, view in zip(self.detectors, views, strict=True):
            _, due_s = health.next_probes(self.detectors[name], self.use, self.now_s)
            question = question_s(view, views, self._asked_s.get(name), self.use) if trouble else None
            due_s = due_s if question is None else min(due_s, max(question, self.now_s))
            if due_s <= self.now_s:
                self._asked_s[name] = self.now_s
                self.detectors[name] = health.probes_sent(self.detectors[name], health.ROUND, self.now_s)
                self._call(name, EvidenceKind.PUBLIC_PROBE)
                self._call(name, EvidenceKind.SIGNED_PROBE)
                due_s = self.now_s + LATENCY_S
            due.append(due_s)
        return due

    # ---- the coordinator ---------------------------------------------------------------------------------------------

    def _coordinate(self) -> None:
        desk = self.desk
        desk.now_s = self.now_s
        desk.unready = {name for name, lives in self.lives.items() if not lives(self.now_s)}
        desk.run(desk.machine.tick(self.now_s))
        while desk.mail:
            desk.deliver(0)


@pytest.mark.parametrize(
    ("up_s", "down_s", "hold_down_s"),
    [
        (40.0, 40.0, 60.0),
        pytest.param(20.0, 20.0, 60.0, marks=pytest.mark.deep),
        pytest.param(40.0, 40.0, 300.0, marks=pytest.mark.deep),
    ],
)
def test_a_primary_that_flaps_moves_trading_at_most_twice_an_hour(
    up_s: float, down_s: float, hold_down_s: float
) -> None:
    """Though trading goes back by itself; and orders get through on the other one."""
    names = ("bybit", "okx", "binance")
    settings = FailoverSettings(exchanges=names, failback_auto=True, hold_down_s=hold_down_s)
    lives = {"bybit": flapping(up_s, down_s, first_s=600.0), "okx": always, "binance": always}
    loop = Loop(lives, settings).run(2 * HOUR_S)
    assert 1 <= loop.most_an_hour() <= 2
    assert loop.share() > 0.98
    assert not any(each.asked for each in loop.switches())
    assert loop.longest_without_s() < 60.0
    assert all(each.evidence for each in loop.switches())


@pytest.mark.parametrize("half_s", [40.0, pytest.param(120.0, marks=pytest.mark.deep)])
def test_two_that_flap_in_turn_move_trading_a_bounded_number_of_times(half_s: float) -> None:
    """One of them is dead at any time: trading stays or goes, and orders get through."""
    lives = {"bybit": flapping(half_s, half_s, 600.0), "okx": flapping(half_s, half_s, 600.0 + half_s)}
    loop = Loop(lives, FailoverSettings(exchanges=("bybit", "okx"), failback_auto=True)).run(2 * HOUR_S)
    assert 1 <= loop.most_an_hour() <= FREE + 14
    assert loop.share() > 0.4, "no worse than staying"
    assert loop.longest_without_s() < 2.2 * half_s


@pytest.mark.parametrize(
    ("share", "use", "most"),
    [
        (0.3, HealthSettings(jitter=0.0), 3),
        (0.5, HealthSettings(jitter=0.0), 3),
        pytest.param(
            0.3,
            HealthSettings(jitter=0.0, health_check_interval_s=2.0, retry_delay_s=0.5, probe_timeout_s=1.0),
            6,
            marks=pytest.mark.deep,
        ),
    ],
)
def test_a_line_of_ours_that_loses_calls_is_no_reason_to_go(share: float, use: HealthSettings, most: int) -> None:
    """On both exchanges alike. Before lost calls were held against a proof it was 10 an hour at half of them and the
    default pace, and 13 at 0.3 and a quick one."""
    lives = {name: losing(share, seed, 600.0) for seed, name in enumerate(("bybit", "okx"))}
    loop = Loop(lives, FailoverSettings(exchanges=("bybit", "okx")), use=use).run(1.2 * HOUR_S)
    assert loop.most_an_hour() <= most
    assert loop.share() > 0.95 * (1 - share)


def test_a_dead_primary_is_left_though_the_other_loses_calls() -> None:
    lives = {"bybit": lambda at_s: at_s < 1800.0, "okx": losing(0.3, 1, 600.0)}
    loop = Loop(lives, FailoverSettings(exchanges=("bybit", "okx"))).run(HOUR_S)
    assert [each.to_exchange for each in loop.switches()] == ["okx"]
    assert loop.switches()[0].at_s < 1800.0 + 90.0


@pytest.mark.parametrize(("up_s", "down_s"), [(300.0, 60.0), pytest.param(600.0, 60.0, marks=pytest.mark.deep)])
def test_a_primary_that_flaps_slowly_is_held_down_though_the_other_loses_a_call_now_and_then(
    up_s: float, down_s: float
) -> None:
    """One lost call of the exchange in use is not our own network: else every outage of the other was forgiven."""
    lives = {"bybit": flapping(up_s, down_s, 600.0), "okx": losing(0.02, 3, 600.0)}
    loop = Loop(lives, FailoverSettings(exchanges=("bybit", "okx"), failback_auto=True)).run(2 * HOUR_S)
    left = [each.at_s for each in loop.switches() if each.from_exchange == "bybit"]
    assert 1 <= max(sum(at_s <= each < at_s + HOUR_S for each in left) for at_s in left) <= 2


def test_a_dead_primary_is_left_once_and_for_good() -> None:
    lives = {"bybit": lambda at_s: at_s < 600.0, "okx": always}
    loop = Loop(lives, FailoverSettings(exchanges=("bybit", "okx"), failback_auto=True)).run(HOUR_S)
    (switch,) = loop.switches()
    assert switch.at_s < 600.0 + 30.0
    assert loop.longest_without_s() < 30.0


def test_when_everything_is_dead_trading_stays_and_goes_on_there() -> None:
    lives: dict[str, Lives] = dict.fromkeys(["bybit", "okx"], flapping(600.0, 120.0))
    loop = Loop(lives, FailoverSettings(exchanges=("bybit", "okx"))).run(HOUR_S)
    assert not loop.switches(), "it is our own network"
    assert loop.longest_without_s() < 130.0
