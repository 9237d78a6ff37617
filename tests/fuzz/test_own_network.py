"""Our own network goes down under the whole router, in simulated time: nothing moves, and orders flow afterwards."""

from __future__ import annotations

from random import Random

import pytest
from attrs import evolve

from app.fuzz.own_network import AFTER_S, BEGINS_S, ENDS_S, draw_outages
from app.fuzz.plan import draw_plan
from app.fuzz.profiles import EXCHANGES, PROFILES
from app.fuzz.run import run_seed
from app.fuzz.settings import HEALTH
from messages.health import Network, NetworkState
from tests.fuzz.seeds import hold, parts

SEEDS = 100
TELLING = (5, 12, 17, 23, 28, 34, 52, 54)
"""Seeds in which trading was moved by one or the other rule that asks for less than `app.domain.network` does."""


@pytest.mark.parametrize("seed", TELLING)
def test_no_outage_of_our_own_moves_trading(seed: int) -> None:
    """The exchange in use answers last, its requests time out late, one probe gets through, and so on."""
    hold("network", [seed])


@pytest.mark.parametrize("seeds", parts(SEEDS, quick=0, deep=0))
def test_every_invariant_holds(seeds: range) -> None:
    """For each seed of this part."""
    hold("network", seeds)


def test_outages_are_staggered_by_less_than_what_looks_like_the_death_of_one_exchange() -> None:
    """Three failures, a second apart, are no sooner than two seconds; back together is within the patience."""
    assert (HEALTH.max_retry_attempts - 1) * HEALTH.retry_delay_s > BEGINS_S
    assert (HEALTH.rise + 1) * HEALTH.retry_delay_s + 2 * HEALTH.probe_timeout_s > ENDS_S + AFTER_S
    for seed in range(200):
        rng = Random(seed)
        for outage in draw_outages(EXCHANGES, (1, 3), 75.0, rng):
            begins = [begin_s for _, begin_s, _ in outage.spans]
            ends = [end_s for _, _, end_s in outage.spans]
            assert max(begins) - min(begins) <= BEGINS_S
            assert max(ends) - min(ends) <= ENDS_S
            assert max(ends) <= 75.0


def test_the_checker_finds_a_router_that_trusts_its_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever takes every death for the exchange's own moves trading, and that is found."""
    works = Network(state=NetworkState.THEIRS, words="it is never ours")
    monkeypatch.setattr("actors.failover_coordinator.judge", lambda *_asked: works)
    found = (violation.rule for seed in TELLING for violation in run_seed(seed, "network").violations)
    assert "I7 our own network" in found


def test_other_profiles_are_drawn_as_they_were() -> None:
    """A profile with outages of the network differs from the same one without in nothing else that is drawn before."""
    network = evolve(PROFILES["network"], faults=0)
    one, other = (draw_plan(profile, Random("x")) for profile in (network, evolve(network, networks=(0, 0))))
    assert one.networks
    for plan in (one, other):
        for order in (order for strategy in plan.strategies for order in strategy.orders.values()):
            order.other_after_s = None  # drawn last
    assert evolve(one, networks=(), witness=False, windows=()) == evolve(other, windows=())
