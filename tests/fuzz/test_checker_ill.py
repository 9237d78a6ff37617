"""The rules of a run with ill exchanges bite: each wrong doing is found by its rule, and what is right by none."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from random import Random

import pytest

from app.domain.calls import ExpiryEnforcement, Proof
from app.domain.failover import FailoverSettings
from app.domain.health import HealthSettings
from app.domain.limiter import RateLimit
from app.fuzz import record as r
from app.fuzz.checker import Seen
from app.fuzz.checker_ill import Budget, budget, ill_violations
from app.fuzz.ill_plan import KINDS, OURS, Illness, Ills, draw_illnesses
from app.fuzz.plan import Plan, draw_plan
from app.fuzz.profiles import PROFILES
from app.fuzz.sim_orders import Duplicates, Traits
from messages.orders import LegState, Told

START_S = 1_000_000.0
HEALTH, FAILOVER = HealthSettings(), FailoverSettings(exchanges=("a", "b"))
ALLOWED: Budget = budget(HEALTH, FAILOVER)
SICK = Ills()


def traits(name: str) -> Traits:
    """Of an exchange."""
    proof = Proof(
        enforcement=ExpiryEnforcement.ENGINE, validity_s=5.0, lateness_s=0.0, visibility_s=1.0, clock_error_s=0.5
    )
    return Traits(
        name=name,
        proof=proof,
        rate_limit=RateLimit(per_s=20.0, burst=20),
        duplicates=Duplicates.OPEN_ONLY,
        clock_s=0.0,
        acknowledges=False,
        final_cancels=True,
    )


def ill(kind: str, begin_s: float, end_s: float, exchange: str = "a", announced_s: float | None = None) -> Illness:
    """Something is wrong."""
    return Illness(exchange=exchange, kind=kind, begin_s=begin_s, end_s=end_s, announced_s=announced_s)


def routed(*routes: tuple[float, str | None]) -> tuple[r.Fact, ...]:
    """Where trading is from when on."""
    return tuple(r.Routed(START_S + at_s, n, exchange) for n, (at_s, exchange) in enumerate(routes, 1))


def rules(
    facts: tuple[r.Fact, ...], *illnesses: Illness, ills: Ills = SICK, asks: dict[str, list[float]] | None = None
) -> list[str]:
    """What a run is said to have broken."""
    plan = Plan(
        traits=(traits("a"), traits("b")),
        strategies=(),
        windows=(),
        deaths=(),
        stalls=(),
        lags=(),
        switches=(),
        price_moves=(),
        ills=ills,
        illnesses=illnesses,
    )
    seen = Seen(plan, facts, (), START_S, START_S + 1500, START_S + 1780, {})
    asked = {name: [START_S + at_s for at_s in moments] for name, moments in (asks or {}).items()}
    return [violation.rule for violation in ill_violations(seen, HEALTH, FAILOVER, asked, {})]


def order(at_s: float, told: Told) -> tuple[r.Fact, ...]:
    """One is asked for, and answered."""
    asked = r.Asked(START_S + at_s, "s", 1, f"q{at_s}", "place", 1, START_S + at_s + 20)
    heard = r.Heard(START_S + at_s + 1, "s", 1, f"q{at_s}", "place", told, 1, LegState.OPEN, Decimal(0), "words")
    return (asked, heard)


def test_the_budget_is_that_of_the_detector_and_what_a_switch_takes() -> None:
    """30 + 4 x 5 + 2 x 5 seconds, a tenth of the interval, the proof, the pre-flight, and messages."""
    assert 78 <= ALLOWED.leave_s <= 95
    assert ALLOWED.order_path_s >= ALLOWED.leave_s
    assert ALLOWED.ready_s < 100


def test_what_is_right_breaks_nothing() -> None:
    left = routed((0, "a"), (400 + ALLOWED.leave_s - 3, None), (400 + ALLOWED.leave_s - 1, "b"))
    assert rules(left, ill("dead", 400, 700)) == []
    assert rules(routed((0, "a")), ill("one in twenty", 200, 800), ill("network", 900, 950)) == []
    assert rules(routed((0, "a"), (500, None), (501, "b")), ill("maintenance", 600, 700, announced_s=400)) == []
    assert rules(routed((0, "a")), ill("dead", 400, 700, "a"), ill("errors", 300, 900, "b")) == [], "nowhere to go"
    assert rules((*routed((0, "a")), *order(300, Told.ACCEPTED))) == []


def test_staying_where_nothing_gets_through() -> None:
    assert rules(routed((0, "a")), ill("dead", 400, 700)) == ["I7 not live"]
    assert rules(routed((0, "a")), ill("order path", 400, 700)) == ["I7 not live"]
    late = routed((0, "a"), (400 + ALLOWED.leave_s + 2, None), (400 + ALLOWED.leave_s + 3, "b"))
    assert rules(late, ill("blackhole", 400, 700)) == ["I7 not live"]


def test_being_nowhere_for_long() -> None:
    assert rules(routed((0, "a"), (410, None), (410 + ALLOWED.leave_s + 1, "b")), ill("dead", 400, 700)) == [
        "I7 not live"
    ]


@pytest.mark.parametrize("kind", [kind for kind, what in KINDS.items() if not what.reason])
def test_leaving_without_a_reason(kind: str) -> None:
    left = routed((0, "a"), (430, None), (431, "b"))
    others = [ill(kind, 400, 500, "b")] if kind in OURS else []
    assert rules(left, ill(kind, 400, 500), *others) == ["I7 left without a reason"]
    assert rules(left) == ["I7 left without a reason"], "nothing at all was wrong"


def test_leaving_long_after_and_long_before() -> None:
    left = routed((0, "a"), (1000, None), (1001, "b"))
    assert rules(left, ill("dead", 300, 360)) == ["I7 left without a reason"]
    assert rules(left, ill("maintenance", 1400, 1450, announced_s=500)) == ["I7 left without a reason"]
    assert rules(left, ill("one in five", 700, 990)) == []


def test_an_order_that_is_turned_away_where_all_is_well() -> None:
    assert rules((*routed((0, "a")), *order(300, Told.NOT_EXECUTED))) == ["I7 order not accepted"]
    assert rules((*routed((0, "a")), *order(300, Told.UNKNOWN))) == ["I7 order not accepted"]
    assert rules((*routed((0, "a")), *order(300, Told.UNKNOWN)), ill("one in twenty", 100, 310)) == []
    assert rules((*routed((0, "a")), *order(300, Told.UNKNOWN)), ill("sluggish", 100, 410)) == ["I7 order not accepted"]


def test_asking_during_a_ban() -> None:
    assert rules(routed((0, "a")), ill("short ban", 400, 420), asks={"a": [401, 402, 404]}) == []
    assert rules(routed((0, "a")), ill("short ban", 400, 420), asks={"a": [401, 412]}) == ["I7 asked during a ban"]


def test_following_what_flaps() -> None:
    blinks = Ills(blinks=40.0, failback=True, most_switches=2)
    ills = [ill("dead", 100 + 40 * n, 120 + 40 * n) for n in range(20)]
    route = [(0.0, "a"), *((110.0 + 40 * n, "ba"[n % 2]) for n in range(6))]
    assert rules(routed(*route), *ills, ills=blinks) == ["I7 follows what flaps"]
    assert rules(routed((0, "a"), (110, "b")), *ills, ills=blinks) == []


@pytest.mark.parametrize("profile", ["sick", "blinking"])
def test_an_exchange_has_one_illness_at_a_time_and_our_network_is_that_of_all(profile: str) -> None:
    for seed in range(300):
        rng = Random(seed)
        plan = draw_plan(PROFILES[profile], rng)
        names = [each.name for each in plan.traits]
        for name in names:
            own = sorted((i for i in plan.illnesses if i.exchange == name), key=lambda i: i.begin_s)
            assert all(a.end_s < b.begin_s for a, b in pairwise(own))
        ours = {(i.kind, i.begin_s, i.end_s) for i in plan.illnesses if i.kind in OURS}
        assert all(sum((i.kind, i.begin_s, i.end_s) == each for i in plan.illnesses) == len(names) for each in ours)
        assert all(0 < i.begin_s < i.end_s <= plan.times.calm_s for i in plan.illnesses)
    kinds = {i.kind for seed in range(300) for i in draw_illnesses(SICK, ("a", "b"), 1500.0, Random(seed))}
    assert kinds == set(KINDS), "each of them is drawn"
