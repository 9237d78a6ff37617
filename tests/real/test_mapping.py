"""What of a plan is done to the real thing, and that nothing of it goes missing without being said."""

from __future__ import annotations

import pickle
from collections import Counter
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
from attrs import evolve

from app.fuzz import record as r
from app.fuzz.faults import OUTAGES, Fault, Window
from app.fuzz.plan import Plan, draw_plan
from app.fuzz.profiles import PROFILES, Profile
from app.fuzz.sim_orders import MARKET as SIMULATED
from app.simulator.calls import Call
from app.simulator.fault_rules import Kind
from app.simulator.faults import Faults
from tests.real import diary
from tests.real.__main__ import PROFILES as PLAYED
from tests.real.judge import in_order
from tests.real.mapping import MARKET, PACE, RealPlan, Sky, mapped, real_s

CALLS = 4_000


def _plan(profile: str, seed: int) -> Plan:
    return draw_plan(PROFILES[profile], Random(f"{profile}-{seed}"))


def _mapped(profile: str, seed: int) -> RealPlan:
    return mapped(_plan(profile, seed), PROFILES[profile], Random(0))


def _under(window: Window) -> tuple[Sky, ...]:
    """How the exchange of a plan with one outage is, by time."""
    plan = _plan("calm", 0)
    skies = mapped(evolve(plan, windows=(window,)), Profile(refusals=0.0), Random(0)).skies
    return tuple(sky for sky in skies if sky.exchange == window.exchange)


def _shares(sky: Sky, call: Call) -> dict[str, float]:
    """How often which fault befalls a call, by the exchange's own reading of the rules."""
    faults = Faults()
    for rule in sky.rules:
        faults.add(rule.kind, call=rule.call, params=rule.params)
    met = Counter(faults.take(call, None).name or "" for _ in range(CALLS))
    return {name: count / CALLS for name, count in met.items()}


@pytest.mark.parametrize("profile", PLAYED)
@pytest.mark.parametrize("seed", range(8))
def test_every_outage_death_and_switch_is_done_in_time_or_said_to_be_left_out(profile: str, seed: int) -> None:
    plan, real = _plan(profile, seed), _mapped(profile, seed)
    assert len(real.plan.switches) == len(plan.switches)
    assert len(real.plan.stalls) == len(plan.stalls)
    assert len(real.plan.deaths) == len(plan.deaths), "profiles that are played have no points that are not"
    assert bool(plan.lags) == ("messages that take long" in real.left_out)
    for window, done in zip(plan.windows, real.plan.windows, strict=True):
        assert done.end_s - done.begin_s == pytest.approx((window.end_s - window.begin_s) / PACE)
        begins = [sky for sky in real.skies if (sky.at_s, sky.exchange) == (done.begin_s, done.exchange)]
        assert len(begins) == 1
        assert begins[0].rules or begins[0].lag_s
    for traits in real.plan.traits:
        (last,) = [sky for sky in real.skies if sky.exchange == traits.name and sky.at_s == real.plan.times.calm_s]
        assert not last.rules, "from then on nothing is wrong"
        assert last.lag_s == 0
        assert all(sky.lag_s <= traits.proof.visibility_s for sky in real.skies)


@pytest.mark.parametrize("profile", PLAYED)
def test_orders_are_the_plans_own_on_every_exchanges_steps(profile: str) -> None:
    plan, real = _plan(profile, 0), _mapped(profile, 0)
    for strategy, done in zip(plan.strategies, real.plan.strategies, strict=True):
        assert done.orders.keys() == strategy.orders.keys()
        for serial, order in strategy.orders.items():
            mine = done.orders[serial]
            assert mine is not order
            assert (mine.side, mine.retries, mine.price is None) == (order.side, order.retries, order.price is None)
            if mine.price is not None and order.price is not None:
                assert abs(mine.price / MARKET - 1) < Decimal("0.15"), "else exchanges refuse it"
                assert mine.price % Decimal("0.1") == 0
                assert (mine.price > MARKET) == (order.price > SIMULATED), "it rests or takes as in simulation"
            assert abs(mine.quantity - order.quantity) <= Decimal("0.001")
            assert mine.half % Decimal("0.001") == 0
            assert mine.at_s == real_s(order.at_s, plan.times.calm_s)
            assert not mine.marked


def test_the_seeds_plan_is_left_as_it_is() -> None:
    plan = _plan("storm", 1)
    before = pickle.dumps(plan.strategies)
    mapped(plan, PROFILES["storm"], Random(0))
    assert pickle.dumps(plan.strategies) == before


@pytest.mark.parametrize("profile", ["moving", "sick", "replacing", "network", "steps", "elsewhere", "disk"])
def test_what_cannot_be_played_is_refused(profile: str) -> None:
    with pytest.raises(ValueError, match="not played"):
        _mapped(profile, 0)


def test_time_goes_on_where_it_is_slowed_down() -> None:
    assert real_s(0.0, 400.0) == 0.0
    assert real_s(400.0, 400.0) == 40.0
    assert real_s(480.0, 400.0) == 50.0


@pytest.mark.parametrize("kind", [kind for kind in OUTAGES if kind not in ("stale", "refused")])
@pytest.mark.parametrize("share", [1.0, 0.4])
def test_an_outage_breaks_its_share_of_the_calls(kind: str, share: float) -> None:
    """Each of its kinds as often as another; what is stale is no rule, and what reads does not break a placement."""
    window = Window("bybit", 100.0, 200.0, OUTAGES[kind], share)
    _, during, after, calm = _under(window)
    assert (after.rules, calm.rules) == ((), ())
    spared = {Fault.STALE} & set(OUTAGES[kind])
    for call in (Call.PLACE, Call.ORDER):
        silent = spared | ({Fault.READS_FAIL} & set(OUTAGES[kind]) if call is Call.PLACE else set())
        broken = 1.0 - _shares(during, call).get("", 0.0)
        assert broken == pytest.approx(share * (1 - len(silent) / len(OUTAGES[kind])), abs=0.03)
    assert during.lag_s == (0.5 if spared else 0.0)


def test_a_closed_port_is_one_where_nobody_gets_through() -> None:
    whole, part = (Window("bybit", 100.0, 200.0, OUTAGES["refused"], share) for share in (1.0, 0.4))
    assert [rule.kind for rule in _under(whole)[1].rules] == [Kind.REFUSED]
    assert [rule.kind for rule in _under(part)[1].rules] == [Kind.DROP_BEFORE]


def test_reads_are_spared_where_only_placements_break() -> None:
    during = _under(Window("bybit", 100.0, 200.0, OUTAGES["blackhole"], 1.0, True))[1]
    assert _shares(during, Call.ORDER) == {"": 1.0}
    assert _shares(during, Call.PLACE) == {"hang_before": 1.0}


def test_a_single_call_breaks_as_seldom_as_in_the_harness() -> None:
    sky = _mapped("storm", 1).skies[0]
    chance = PROFILES["storm"].chance
    assert sky.at_s == 0.0
    assert 1.0 - _shares(sky, Call.PLACE)[""] == pytest.approx(3 * chance + PROFILES["storm"].refusals, abs=0.03)
    assert 1.0 - _shares(sky, Call.ORDER)[""] == pytest.approx(chance, abs=0.02)


def _sent(at_s: float, committed_s: float) -> r.Sent:
    return r.Sent(at_s, "bybit", 1, "w", Decimal(1), committed_s, committed_s + 5)


def test_what_was_committed_before_a_fence_was_sent_by_the_route_before_it() -> None:
    """Though it went out after the fence, which is allowed: the journal says which came first, and clocks do not."""
    first, fence = r.Routed(1.0, 1, "bybit"), r.Routed(5.0005, 2, None)
    sent = _sent(5.002, 5.0)
    events = [("routed", "", 1.0, first), ("intent", "w", 5.0, None), ("routed", "", 5.0005, fence)]
    assert in_order([sent], events) == [first, sent, fence]


def test_what_was_committed_after_a_fence_was_sent_past_it() -> None:
    first, fence = r.Routed(1.0, 1, "bybit"), r.Routed(5.0, 2, None)
    sent = _sent(5.002, 5.001)
    events = [("routed", "", 1.0, first), ("routed", "", 5.0, fence), ("intent", "w", 5.001, None)]
    assert in_order([sent], events) == [first, fence, sent]


def test_what_is_sent_again_belongs_to_its_own_commit() -> None:
    """A leg that is proven absent is committed once more under its id."""
    routes = [r.Routed(1.0, 1, "bybit"), r.Routed(6.0, 2, None), r.Routed(7.0, 3, "bybit")]
    first, again = _sent(5.001, 5.0), _sent(8.001, 8.0)
    events = [
        ("routed", "", 1.0, routes[0]),
        ("intent", "w", 5.0, None),
        ("routed", "", 6.0, routes[1]),
        ("routed", "", 7.0, routes[2]),
        ("intent", "w", 8.0, None),
    ]
    assert in_order([again, first], events) == [routes[0], first, routes[1], routes[2], again]


def test_a_diary_is_read_by_whoever_comes_after(tmp_path: Path) -> None:
    for name, at_s in (("b", 2.0), ("a", 3.0), ("b", 4.0)):
        diary.Diary(tmp_path, name).add(r.Note(at_s, name, "was here"))
    assert [fact.at_s for fact in diary.read_all(tmp_path)] == [2.0, 3.0, 4.0]
    assert [fact.at_s for fact in diary.read(tmp_path, "b")] == [2.0, 4.0]
    assert diary.read(tmp_path, "c") == []
