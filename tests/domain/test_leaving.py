"""Why trading leaves by itself, where to, and when: the table of `app.domain.leaving`, alone and under the machine."""

from __future__ import annotations

import time
from itertools import product
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.controls import Controls
from app.domain.failover import FailoverSettings
from app.domain.leaving import (
    FREE,
    HOUR_S,
    Candidate,
    Why,
    best_first,
    calm_until_s,
    clock,
    may_not,
    why_leave,
    worth_asking,
)
from app.domain.saga_table import MOVING
from app.domain.standing import Standing
from messages.failover import Readiness, RouterState, Switch, SwitchResult
from messages.health import HealthState, HealthView
from tests.domain.saga_desk import EXCHANGES, Desk

WELL, DOWN, SUSPECT, HALF_OPEN = HealthState.WELL, HealthState.DOWN, HealthState.SUSPECT, HealthState.HALF_OPEN
CLOSED, ISOLATED = HealthState.MAINTENANCE, HealthState.ISOLATED
SLOW = "It takes 3 s for what takes 0.1 s usually."
READY = Readiness(exchange="okx", problems=(), at_s=1.0)
UNREADY = Readiness(exchange="okx", problems=("okx has no free margin.",), at_s=1.0)


def view(state: HealthState, **more: Any) -> HealthView:
    return HealthView(
        exchange="bybit",
        state=state,
        since_s=10.0,
        reason="so it is",
        consecutive_failures=0,
        last_ok_s=None,
        latency_s=None,
        clock_offset_s=None,
        **more,
    )


def candidate(health: HealthState = WELL, **more: Any) -> Candidate:
    facts: dict[str, Any] = {"exchange": "okx", "place": 1, "health": health, "since_s": 0.0, "answered": True}
    return Candidate(**facts | more)


def ready() -> Desk:
    """Everybody is well, and has answered."""
    desk = Desk()
    desk.all_well()
    desk.place("a")
    desk.lives(1.0)
    desk.done.clear()
    desk.lines.clear()
    return desk


# ---- the table alone ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("state", "isolated", "unfit"), list(product(HealthState, ("", "by hand"), ("", SLOW))))
def test_every_reason_and_its_evidence(state: HealthState, isolated: str, unfit: str) -> None:
    found = why_leave(view(state, unfit=unfit, evidence=("3 failures",)), isolated)
    expected = (
        Why.DOWN
        if state is DOWN
        else Why.ISOLATED
        if isolated
        else Why.CLOSED
        if state is CLOSED
        else Why.UNFIT
        if unfit
        else None
    )
    assert (found.why if found is not None else None) is expected
    if found is not None:
        assert any("00:00:10.000 UTC" in each for each in found.evidence), "since when"
        assert "3 failures" in found.evidence
        assert found.words.startswith({Why.CLOSED: "closed for maintenance"}.get(found.why, found.why.value) + ": ")


def test_what_evidence_says_counts_below_what_a_person_says() -> None:
    found = why_leave(view(ISOLATED, believed=DOWN), "by hand")
    assert found is not None
    assert found.why is Why.DOWN
    assert why_leave(view(ISOLATED, believed=WELL), "") is None


@pytest.mark.parametrize(("why", "health"), list(product(Why, HealthState)))
def test_who_is_not_well_is_taken_only_from_the_dead_and_only_after_it_passed(why: Why, health: HealthState) -> None:
    ok = not may_not(why, candidate(health, ready=READY))
    assert ok is (health is WELL or (why is Why.DOWN and health in (SUSPECT, HALF_OPEN)))
    assert bool(may_not(why, candidate(health, ready=None))) is (health is not WELL or why is not Why.DOWN)
    assert bool(may_not(why, candidate(health, ready=UNREADY))) is (health is not WELL or why is not Why.DOWN)
    assert may_not(why, candidate(health, ready=READY, why_not="okx was left.")) == "okx was left."


@pytest.mark.parametrize("why", list(Why))
def test_who_is_unfit_is_taken_only_where_staying_is_worse(why: Why) -> None:
    assert bool(may_not(why, candidate(unfit=SLOW, ready=READY))) is (why in (Why.CLOSED, Why.UNFIT))


@pytest.mark.parametrize(("why", "health", "unfit"), list(product(Why, HealthState, ("", SLOW))))
def test_who_is_asked_could_be_taken_by_its_answer(why: Why, health: HealthState, unfit: str) -> None:
    one = candidate(health, unfit=unfit, ready=None, answered=False)
    assert not (worth_asking(why, one) and may_not(why, evolve(one, ready=READY, answered=True)))


def test_the_order_of_candidates() -> None:
    short = evolve(READY, shortfalls=("Not all would follow.",))
    best = candidate(exchange="best", place=5, ready=READY)
    all_of_them = [
        best,
        candidate(exchange="later", place=6, ready=READY),
        candidate(exchange="short", place=1, ready=short),
        candidate(exchange="silent", place=1, answered=False),
        candidate(exchange="unfit", place=1, unfit=SLOW, ready=READY),
        candidate(SUSPECT, exchange="suspect", place=1, ready=READY),
        candidate(HALF_OPEN, exchange="trial", place=1, ready=READY),
    ]
    names = tuple(each.exchange for each in all_of_them)
    assert best_first(all_of_them) == names
    assert best_first(reversed(all_of_them)) == names


def moved(at_s: float, *, asked: bool = False) -> Switch:
    return Switch(
        from_exchange="bybit",
        to_exchange="okx",
        reason="so",
        at_s=at_s,
        epoch=2,
        result=SwitchResult.COMPLETED,
        duration_s=0.0,
        asked=asked,
    )


@settings(max_examples=30, deadline=None)
@given(st.booleans(), st.lists(st.floats(0.1, 500.0), min_size=100, max_size=100))
def test_damping_bounds_what_the_router_does_by_itself(forced: bool, gaps: list[float]) -> None:
    """Whoever moves whenever it may: in no hour more often than is said."""
    now_s, past = 0.0, list[Switch]()
    when: list[float] = []
    for gap_s in gaps:
        if now_s >= calm_until_s(past[-50:], 60.0, now_s, forced=forced):
            past.append(moved(now_s))
            when.append(now_s)
        now_s += gap_s
    most = FREE + 14 if forced else 7
    for each in when:
        assert sum(each <= other < each + HOUR_S for other in when) <= most


def test_what_a_person_asks_for_dampens_nothing() -> None:
    assert calm_until_s([moved(99.0, asked=True)], 60.0, 100.0, forced=False) < 0
    assert calm_until_s([moved(99.0)], 60.0, 100.0, forced=False) == 159.0
    assert calm_until_s([moved(99.0)], 60.0, 100.0, forced=True) < 0


# ---- under the machine -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "more", "reason"),
    [
        (WELL, {"unfit": SLOW}, f"bybit is unfit: {SLOW}"),
        (CLOSED, {}, "bybit is closed for maintenance: it said so"),
        (WELL, {"unfit": "It closes for maintenance in 300 s."}, "bybit is unfit: It closes for maintenance in 300 s."),
    ],
)
def test_an_exchange_that_still_answers_is_settled_before_it_is_left(
    state: HealthState, more: dict[str, str], reason: str
) -> None:
    desk = ready()
    desk.health("bybit", state, evidence=("so and so many calls",), **more)
    assert desk.done[:3] == ["fence", "settle bybit"], "the pre-flight was kept fresh"
    desk.lives(5.0)
    assert desk.where("a") == ("okx", 2)
    (switch,) = desk.kept.values()
    assert switch.reason == reason
    assert "so and so many calls" in switch.evidence
    assert switch.evidence[-1].startswith("chosen: okx is well for ")
    assert switch.orders_cancelled == ("a",)


def test_a_dead_one_is_left_with_the_proof_that_our_network_works() -> None:
    desk = ready()
    desk.health("bybit", DOWN)
    (switch,) = desk.kept.values()
    assert "our own network works: so it is said" in switch.evidence
    assert any("bybit is down since" in each for each in switch.evidence)
    (begin,) = [line for _, line in desk.lines if line.step == "begin"]
    assert list(switch.evidence[:-1]) == begin.detail["evidence"]


@pytest.mark.parametrize("others", [{"unfit": SLOW}, {"state": SUSPECT}, {"state": CLOSED}])
def test_with_nobody_better_it_trades_on_and_says_so_once(others: dict[str, Any]) -> None:
    desk = ready()
    for name in EXCHANGES[1:]:
        desk.health(name, **{"state": WELL} | others)
    for _ in range(3):
        desk.health("bybit", WELL, unfit=SLOW)
        desk.lives(30.0)
    assert "fence" not in desk.done
    assert desk.machine.state is RouterState.READY, "orders go there"
    assert desk.machine.advice.startswith(
        f"bybit is unfit: {SLOW[:-1]}. Nobody can take over, so trading stays: okx is"
    )
    (stays,) = [line for _, line in desk.lines if line.step == "stays"]
    assert stays.detail["evidence"]
    desk.health("bybit", WELL)
    assert desk.machine.advice == ""


def test_one_that_is_not_ready_is_not_fenced_for() -> None:
    desk = ready()
    desk.unready = {"okx", "binance"}
    desk.lives(25.0)
    desk.done.clear()
    desk.health("bybit", CLOSED)
    desk.lives(60.0)
    assert "fence" not in desk.done
    assert desk.machine.state is RouterState.ERROR
    desk.unready = {"okx"}
    desk.lives(30.0)
    assert desk.route.exchange == "binance"


def test_it_does_not_move_on_before_the_dwell_is_over_but_from_the_dead() -> None:
    desk = ready()
    desk.health("bybit", WELL, unfit=SLOW)
    desk.lives(10.0)
    desk.health("bybit", WELL)
    desk.lives(10.0)
    assert desk.route.exchange == "okx"
    desk.health("okx", WELL, unfit=SLOW)
    desk.lives(35.0)
    assert desk.route.exchange == "okx"
    assert "Trading moves on if that lasts for" in desk.machine.advice
    desk.lives(15.0)
    assert desk.route.exchange == "bybit"
    desk.lives(3.0)
    desk.health("bybit", DOWN)
    assert desk.route.exchange == "binance", "at once"


NO_BETTER = "it is not known to be better yet, while of okx too many calls fail: it may be our own network"


def test_what_is_not_known_to_be_better_is_not_gone_to_and_not_left_for_that() -> None:
    """A backup of which too many calls fail was told of after the one in use, and trading went to it."""
    desk = ready()
    desk.health("bybit", WELL, no_better=NO_BETTER)
    desk.lives(60.0)
    assert "fence" not in desk.done
    assert not desk.machine.advice
    desk.health("okx", WELL, no_better=NO_BETTER)
    desk.health("bybit", WELL, unfit=SLOW)
    desk.lives(30.0)
    assert desk.route.exchange == "binance"


def test_who_is_not_known_to_be_better_still_takes_over_from_one_that_is_closed() -> None:
    desk = ready()
    desk.health("binance", WELL, unfit=SLOW)
    desk.health("okx", WELL, no_better=NO_BETTER)
    desk.health("bybit", CLOSED)
    desk.lives(90.0)
    assert desk.route.exchange == "okx"


def test_where_the_router_is_not_to_move_trading_by_itself_it_says_so() -> None:
    desk = Desk(settings=FailoverSettings(exchanges=EXCHANGES, auto_failover=False))
    desk.all_well()
    desk.lives(1.0)
    desk.done.clear()
    desk.health("bybit", WELL, unfit=SLOW)
    assert "auto_failover is off: move trading with a manual failover." in desk.machine.advice
    desk.health("bybit", DOWN)
    assert desk.machine.words == "bybit is down and auto_failover is off: move trading with a manual failover."
    desk.lives(60.0)
    assert "fence" not in desk.done
    desk.network_down = True
    desk.health("okx", DOWN)
    assert "so is our own network" in desk.machine.words, "a failover by hand would not help"


def test_wrong_credentials_are_told_and_trading_stays() -> None:
    desk = ready()
    desk.health("bybit", WELL, credentials="Its key is not known there.")
    desk.lives(60.0)
    assert "fence" not in desk.done
    assert desk.machine.state is RouterState.READY
    assert desk.machine.advice == (
        "bybit does not take our credentials: Its key is not known there."
        " Put them right: trading is not moved for that."
    )
    assert len([line for _, line in desk.lines if line.step == "stays"]) == 1


def test_a_backup_with_wrong_credentials_is_none() -> None:
    desk = ready()
    desk.health("okx", WELL, credentials="Its key is not known there.")
    (okx, _) = desk.machine.readiness(desk.now_s)
    assert okx.problems == ("okx does not take our credentials: Its key is not known there.",)
    desk.health("bybit", DOWN)
    assert desk.route.exchange == "binance"
    assert ("okx", okx.problems[0]) in desk.kept[2].candidates_rejected


def test_one_on_trial_is_the_last_resort_and_only_after_it_passed() -> None:
    desk = ready()
    desk.health("binance", DOWN)
    desk.health("okx", DOWN)
    desk.health("okx", HALF_OPEN)
    desk.lives(10.0)
    assert desk.machine.standing("okx") is Standing.CANDIDATE, "what became of our orders there is found out meanwhile"
    desk.health("bybit", WELL, unfit=SLOW)
    desk.lives(30.0)
    assert desk.route.exchange == "bybit", "not for less than a death"
    desk.health("bybit", DOWN)
    desk.lives(1.0)
    assert desk.route.exchange == "okx"
    assert "chosen: okx is half open for" in desk.kept[2].evidence[-1]


def test_one_that_is_suspected_is_taken_by_an_answer_that_it_gave_since() -> None:
    desk = ready()
    desk.health("binance", DOWN)
    desk.now_s += 1.0
    desk.health("okx", SUSPECT)
    desk.done.clear()
    desk.health("bybit", DOWN)
    assert desk.done == ["preflight okx"], "what it said before says nothing"
    desk.unready = {"okx"}
    desk.deliver_all()
    assert desk.route.exchange == "bybit"
    desk.unready.clear()
    desk.lives(3.0)
    assert desk.route.exchange == "okx"


def test_a_person_who_keeps_it_out_does_not_wait_for_a_dwell() -> None:
    desk = ready()
    desk.health("bybit", DOWN)
    desk.lives(5.0)
    desk.holds(Controls(isolated=(("okx", "by hand"),)))
    desk.lives(1.0)
    assert desk.route.exchange == "binance"
    assert "a person keeps it out: by hand" in desk.kept[3].evidence


def test_no_failback_to_one_that_is_held_down_or_unfit() -> None:
    auto = FailoverSettings(exchanges=EXCHANGES, failback_auto=True, hold_down_s=10.0)
    desk = Desk(settings=auto)
    desk.all_well()
    desk.lives(1.0)
    desk.health("bybit", DOWN)
    desk.lives(70.0)
    desk.health("bybit", WELL, hold_until_s=desk.now_s + 100.0)
    desk.lives(90.0)
    assert desk.route.exchange == "okx"
    for why in ("unfit", "no_better"):
        desk.health("bybit", WELL, **{why: SLOW})
        desk.lives(60.0)
        assert desk.route.exchange == "okx"
    desk.health("bybit", WELL)
    desk.lives(40.0)
    assert desk.route.exchange == "bybit"
    assert any("is fit" in each for each in desk.kept[3].evidence)


def test_who_is_closed_is_not_failed_over_to_by_hand_either() -> None:
    desk = ready()
    desk.health("okx", CLOSED)
    desk.manual("okx")
    assert desk.done == []
    assert desk.answers[-1].words == "Cannot fail over to okx now: okx is closed for maintenance: it said so"


# ---- along any sequence ------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_along_any_sequence_of_views(data: st.DataObject) -> None:
    """Never without a cause, one at a time, with evidence, and not more often than is said."""
    desk = ready()
    causes: dict[int, bool] = {}
    names = st.sampled_from(EXCHANGES)
    for _ in range(data.draw(st.integers(1, 40))):
        name = data.draw(names)
        state = data.draw(st.sampled_from([WELL, WELL, SUSPECT, DOWN, HALF_OPEN, CLOSED, HealthState.STARTING]))
        unfit = data.draw(st.sampled_from(["", "", SLOW]))
        active, before = desk.route.exchange, set(desk.kept)
        was = desk.machine.health.get(active or "")
        desk.health(name, state, unfit=unfit)
        if data.draw(st.booleans()):
            desk.lives(data.draw(st.sampled_from([0.1, 1.0, 20.0, 100.0])))
        for epoch in set(desk.kept) - before:
            begun = desk.kept[epoch].from_exchange
            now = desk.machine.health.get(begun or "")
            causes[epoch] = any(
                each is not None and (each.health in (DOWN, CLOSED) or bool(each.unfit)) for each in (was, now)
            )
        assert desk.machine.step not in MOVING or sum(not each.finished for each in desk.kept.values()) == 1
    for epoch, switch in desk.kept.items():
        assert causes[epoch], switch.reason
        assert switch.evidence
        assert switch.result is not SwitchResult.COMPLETED or "chosen: " in switch.evidence[-1]
    done_s = [each.at_s for each in desk.kept.values() if each.result is SwitchResult.COMPLETED]
    for at_s in done_s:
        assert sum(at_s <= each < at_s + HOUR_S for each in done_s) <= FREE + 14


def test_times_are_told_in_utc_wherever_the_machine_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert clock(3661.25) == "01:01:01.250 UTC"
    finally:
        monkeypatch.undo()
        time.tzset()
