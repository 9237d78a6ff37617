"""The failover saga: whoever does not answer, wherever it dies, it ends; and it never cancels where trading stays."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.effects import Answer
from app.domain.failover import (
    MANUAL,
    AskBook,
    AskPreflight,
    AskSettle,
    CommitRoute,
    Coordinator,
    FailoverSettings,
    Fence,
    SaveSwitch,
    Step,
)
from app.domain.saga_effects import Line
from app.domain.standing import Standing
from messages.base import Failed
from messages.failover import (
    ManualFailover,
    PreflightReply,
    Route,
    RouterState,
    SettleReply,
    Switch,
    SwitchReply,
    SwitchResult,
)
from messages.health import HealthState, HealthView, Network, NetworkState
from messages.positions import BookReply

EXCHANGES = ("bybit", "okx", "binance")
WORKS = Network(state=NetworkState.THEIRS, words="so it is said")
WHATEVER = ("health", "health", "manual", "silent", "unready", "die", "trap", "wait")


class Crash(Exception):
    """The coordinator dies here."""


class Desk:
    """A coordinator, its journal, and exchanges that answer as they are told to."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.route = Route(epoch=0, exchange=None, since_s=0.0)
        self.history: dict[int, Switch] = {}
        self.answers: list[Any] = []
        self.lines: list[Line] = []
        self.settled: list[str] = []
        self.silent: set[str] = set()
        self.unready: set[str] = set()
        self.short: set[str] = set()
        self.dies_before: int | None = None
        self.writes = 0
        self.machine = self.life()

    def life(self) -> Coordinator:
        """A new coordinator takes over from the journal."""
        self.machine = Coordinator(FailoverSettings(exchanges=EXCHANGES), lambda *_: WORKS)
        unfinished = tuple(switch for switch in self.history.values() if not switch.finished)
        self.run(self.machine.recover(self.route, unfinished, self.now_s))
        return self.machine

    def run(self, effects: list[Any]) -> None:
        """As the actor does; each thing that answers does so at once."""
        queue = list(effects)
        while queue:
            effect = queue.pop(0)
            if isinstance(effect, SaveSwitch | Fence | CommitRoute):
                self.writes += 1
                if self.dies_before is not None and self.writes > self.dies_before:
                    self.dies_before = None
                    raise Crash
            match effect:
                case SaveSwitch(switch=switch, lines=lines):
                    self.history[switch.epoch] = switch
                    self.lines += lines
                case Fence():
                    self.route = Route(epoch=self.route.epoch + 1, exchange=None, since_s=self.now_s)
                    queue += self.machine.fenced(self.route, self.now_s)
                case CommitRoute(epoch=epoch, exchange=exchange):
                    assert epoch == self.route.epoch
                    assert self.route.exchange in (None, exchange)
                    self.route = Route(epoch=epoch, exchange=exchange, since_s=self.now_s)
                    queue += self.machine.committed(self.route, self.now_s)
                case AskSettle(exchange=exchange):
                    assert exchange != self.route.exchange, "settling cancels: never where trading is"
                    self.settled.append(exchange)
                    if exchange not in self.silent:
                        reply = SettleReply(correlation_id="", exchange=exchange, cancelled=(), left=())
                        queue += self.machine.settled(reply, self.now_s)
                case AskPreflight(exchange=exchange) if exchange not in self.silent:
                    problems = ("Not ready.",) if exchange in self.unready else ()
                    short = (f"Not all would follow to {exchange}.",) if exchange in self.short else ()
                    ready = PreflightReply(correlation_id="", exchange=exchange, problems=problems, shortfalls=short)
                    queue += self.machine.preflight_done(ready, self.now_s)
                case AskBook(exchange=exchange) if exchange not in self.silent:
                    book = BookReply(correlation_id="", lines=(), positions=(), unread=())
                    queue += self.machine.book_told(book, exchange, self.now_s)
                case Answer(message=message):
                    self.answers.append(message)

    def passes(self, seconds: float) -> None:
        """Time goes by."""
        until_s = self.now_s + seconds
        while (next_s := self.machine.next_s()) is not None and next_s <= until_s:
            self.now_s = max(self.now_s, next_s)
            self.run(self.machine.tick(self.now_s))
        self.now_s = until_s

    def view(self, exchange: str, state: HealthState) -> HealthView:
        """What the monitor tells."""
        return HealthView(
            exchange=exchange,
            state=state,
            since_s=self.now_s,
            reason="it said so",
            consecutive_failures=0,
            last_ok_s=None,
            latency_s=None,
            clock_offset_s=None,
        )

    def health(self, exchange: str, state: HealthState) -> None:
        """The monitor tells."""
        self.run(self.machine.health_told(self.view(exchange, state), self.now_s))

    def manual(self, exchange: str, name: str = "m") -> None:
        """Somebody wants trading moved."""
        request = ManualFailover(correlation_id=name, deadline_s=self.now_s + 20.0, exchange=exchange)
        self.run(self.machine.manual("somebody", request, self.now_s))


def settled(desk: Desk) -> None:
    """What holds once nothing is under way."""
    desk.passes(60.0)
    for _ in range(20):  # an automatic switch that found nobody ready is tried again and again
        if desk.machine.step is Step.IDLE:
            break
        desk.passes(1.0)
    assert desk.machine.step is Step.IDLE
    assert desk.route.exchange in EXCHANGES
    assert desk.machine.route == desk.route
    assert desk.machine.state in (RouterState.READY, RouterState.ERROR)
    for switch in desk.history.values():
        assert switch.finished
        assert switch.result is not SwitchResult.RUNNING


@given(st.data())
def test_along_any_sequence_it_ends(data: st.DataObject) -> None:
    """Health, verbs, silence, deaths in any order: afterwards there is a route and a finished history."""
    desk = Desk()
    names = st.sampled_from(EXCHANGES)
    for _ in range(data.draw(st.integers(1, 20))):
        try:
            match data.draw(
                st.sampled_from(["health", "health", "manual", "silent", "unready", "die", "trap", "wait"])
            ):
                case "health":
                    desk.health(data.draw(names), data.draw(st.sampled_from(list(HealthState))))
                case "manual":
                    desk.manual(data.draw(names))
                case "silent":
                    desk.silent ^= {data.draw(names)}
                case "unready":
                    desk.unready ^= {data.draw(names)}
                case "die":
                    desk.life()
                case "trap":
                    desk.dies_before = desk.writes + data.draw(st.integers(0, 5))
                case _:
                    desk.passes(data.draw(st.sampled_from([0.1, 4.0, 9.0])))
        except Crash:
            desk.life()
    desk.dies_before = None
    settled(desk)


@pytest.mark.parametrize("before", range(12))
@pytest.mark.parametrize("ready", [True, False], ids=["moves", "given up"])
def test_it_is_resumed_wherever_it_died(before: int, *, ready: bool) -> None:
    """A death before each write in turn: the switch ends as it would have, and is in the history once."""
    desk = Desk()
    desk.unready = set() if ready else {"okx"}
    desk.dies_before = desk.writes + before
    try:
        desk.manual("okx")
    except Crash:
        desk.life()
    desk.dies_before = None
    settled(desk)
    if not desk.history:
        assert before == 0, "it had not begun"
        return
    (switch,) = desk.history.values()
    assert switch.reason == MANUAL
    assert switch.result is (SwitchResult.COMPLETED if ready else SwitchResult.FAILED)
    assert desk.route == Route(epoch=2, exchange="okx" if ready else "bybit", since_s=desk.route.since_s)
    assert switch.to_exchange == ("okx" if ready else None)


def test_a_verb_sent_again_is_the_switch_that_runs() -> None:
    """A session sends again what takes a while: that is no second switch, and no refusal."""
    desk = Desk()
    desk.silent = {"bybit"}
    desk.manual("okx")
    desk.passes(3.0)
    desk.manual("okx")
    assert not desk.answers
    desk.passes(10.0)
    (answer,) = desk.answers
    assert isinstance(answer, SwitchReply)
    assert answer.switch.to_exchange == "okx"
    assert len(desk.history) == 1


def test_another_verb_meanwhile_is_refused() -> None:
    desk = Desk()
    desk.silent = {"bybit"}
    desk.manual("okx", "one")
    desk.manual("binance", "two")
    (answer,) = desk.answers
    assert isinstance(answer, Failed)
    assert answer.correlation_id == "two"
    settled(desk)
    assert desk.route.exchange == "okx"


def test_a_dead_primary_is_left_at_once_and_settled_after() -> None:
    desk = Desk()
    for name in EXCHANGES:
        desk.health(name, HealthState.WELL)
    desk.silent = {"bybit"}
    desk.health("bybit", HealthState.DOWN)
    assert desk.route.exchange == "okx", "not a moment is waited for the dead"
    assert desk.settled == ["bybit"]
    settled(desk)
    (switch,) = desk.history.values()
    assert not switch.positions_read


def test_a_candidate_to_which_not_all_would_follow_yields_to_one_to_which_it_would() -> None:
    """And the history says why; where all are such, the first of them is better than none."""
    desk = Desk()
    desk.short = {"okx"}
    for name in EXCHANGES:
        desk.health(name, HealthState.WELL)
    desk.health("bybit", HealthState.DOWN)
    settled(desk)
    assert desk.route.exchange == "binance"
    assert desk.history[2].candidates_rejected == (("okx", "Not all would follow to okx."),)
    every = Desk()
    every.short = set(EXCHANGES)
    for name in EXCHANGES:
        every.health(name, HealthState.WELL)
    every.health("bybit", HealthState.DOWN)
    settled(every)
    assert every.route.exchange == "okx"
    assert every.history[2].candidates_rejected == ()
    asked = Desk()
    asked.short = {"okx"}
    for name in EXCHANGES:
        asked.health(name, HealthState.WELL)
    asked.manual("okx")
    settled(asked)
    assert asked.route.exchange == "okx", "a person knows what he wants"


def test_candidates_are_looked_at_once_each_before_one_is_taken_to_which_not_all_follows() -> None:
    """None of them has been asked before: each is, and no more than once."""
    desk = Desk()
    desk.short = set(EXCHANGES)
    for name in EXCHANGES:
        desk.health(name, HealthState.WELL)
    desk.machine.readied.forget("okx")
    desk.machine.readied.forget("binance")
    desk.health("bybit", HealthState.DOWN)
    settled(desk)
    assert desk.route.exchange == "okx"


def test_candidates_that_fail_yield_to_the_next_with_the_reason() -> None:
    desk = Desk()
    desk.unready = {"okx"}
    for name in EXCHANGES:
        desk.health(name, HealthState.WELL)
    desk.health("bybit", HealthState.DOWN)
    settled(desk)
    assert desk.route.exchange == "binance"
    assert desk.history[2].candidates_rejected == (("okx", "Not ready."),)


def test_whoever_falls_ill_while_the_epoch_is_taken_is_asked_last() -> None:
    """Candidates are put in order when they are asked, not when the switch began."""
    desk = Desk()
    for name in EXCHANGES:
        desk.health(name, HealthState.WELL)
    begun = desk.machine.health_told(desk.view("bybit", HealthState.DOWN), desk.now_s)
    desk.health("okx", HealthState.SUSPECT)
    desk.run(begun)
    settled(desk)
    assert desk.route.exchange == "binance"
    asked = Desk()
    for name in EXCHANGES:
        asked.health(name, HealthState.WELL)
    asked.manual("okx")
    assert asked.machine.switch is None or asked.route.exchange == "okx", "a person has said where"


def test_the_history_says_how_old_the_answer_was_by_which_one_was_chosen() -> None:
    """Never older than is allowed; what says not when it was asked is taken for new."""
    desk = Desk()
    desk.now_s = 1000.0
    for name in EXCHANGES:
        desk.health(name, HealthState.WELL)
    desk.passes(20.0)
    desk.health("bybit", HealthState.DOWN)
    settled(desk)
    ages_s = [line.detail["age_s"] for line in desk.lines if "age_s" in line.detail]
    assert ages_s
    assert all(0.0 <= age_s <= desk.machine.settings.preflight_max_age_s for age_s in ages_s)
    desk.lines.clear()
    desk.health("bybit", HealthState.WELL)
    desk.passes(desk.machine.settings.return_settle_s + 60.0)
    desk.manual("bybit")
    settled(desk)
    assert [line.detail["age_s"] for line in desk.lines if "age_s" in line.detail] == [0.0], "it was asked anew"


def test_an_exchange_that_came_back_while_it_was_left_goes_on_coming_back_when_the_next_one_dies() -> None:
    """The telling of the first switch is cut short; it is a candidate again all the same."""
    desk = Desk()
    for name in EXCHANGES:
        desk.health(name, HealthState.WELL)
    desk.silent = {"bybit"}
    desk.health("bybit", HealthState.DOWN)
    assert desk.machine.step is Step.LEAVE
    desk.health("bybit", HealthState.WELL)
    desk.health("okx", HealthState.DOWN)
    assert desk.route.exchange == "binance"
    desk.silent = set()
    desk.health("binance", HealthState.WELL)
    settled(desk)
    desk.passes(desk.machine.settings.return_settle_s + 60.0)
    assert desk.machine.standing("bybit") is Standing.CANDIDATE
