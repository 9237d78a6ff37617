"""What a seed means: exchanges and their characters, orders, faults, deaths, all drawn before the run begins.

Drawn first and apart from what the run itself draws, so that a change of the router's code leaves the plan of a seed as
it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from random import Random
from types import MappingProxyType

from attrs import evolve, frozen

from app.domain.calls import ExpiryEnforcement, Proof
from app.domain.limiter import RateLimit
from app.fuzz.exchange import Duplicates, Traits
from app.fuzz.faults import OUTAGES, Window
from app.fuzz.strategy import OrderPlan, StrategyPlan

CALM_S = 75.0
"""From then on nothing goes wrong any more."""

FINAL_ORDERS_S = 122.0
"""When each strategy places one more order, which must be accepted."""

FINAL_GET_S = 138.0
"""When each strategy asks after all its orders: what it is told must be the truth."""

END_S = 150.0

EXCHANGES = ("bybit", "okx", "binance")
CONTROL = ("health_monitor", "failover_coordinator", "position_synchronizer")


@frozen(kw_only=True)
class Profile:
    """How rough a run is; pairs are least and most, both included.

    Attributes:
        outage_s: How long an outage lasts.
        outages: How many.
        kinds: Which, of `app.fuzz.faults.OUTAGES`.
        chance: Of a fault, for each call outside outages; three times that for placements.
        deaths: Actors killed.
        stalls: Actors stopped for a while.
        switches: Manual failovers.
        refusals: Share of placements refused by a code.
        journal_chance: Of a locked journal, for each commit and each record.
    """

    outage_s: tuple[float, float] = (5.0, 30.0)
    outages: tuple[int, int] = (0, 0)
    kinds: tuple[str, ...] = tuple(OUTAGES)
    chance: float = 0.0
    deaths: tuple[int, int] = (0, 0)
    stalls: tuple[int, int] = (0, 0)
    switches: tuple[int, int] = (0, 1)
    refusals: float = 0.03
    journal_chance: float = 0.0


PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        "calm": Profile(),
        "storm": Profile(outages=(1, 3), chance=0.03, journal_chance=0.003),
        "crashes": Profile(outages=(0, 1), chance=0.01, deaths=(1, 3), stalls=(0, 2)),
        "flapping": Profile(
            outages=(5, 10),
            outage_s=(0.5, 6.0),
            kinds=("refused", "blackhole", "resets", "slow"),
            deaths=(0, 1),
            switches=(0, 2),
        ),
    }
)


@frozen
class Death:
    """An actor is killed: between two messages, or in its handler at the `inside`-th thing it does from then on."""

    at_s: float
    actor: str
    inside: int = 0


@frozen
class Stall:
    """An actor is stopped for a while."""

    at_s: float
    actor: str
    for_s: float


@frozen(kw_only=True)
class Plan:
    """One run, but for chance within it. Times are seconds since its start."""

    traits: tuple[Traits, ...]
    strategies: tuple[StrategyPlan, ...]
    windows: tuple[Window, ...]
    deaths: tuple[Death, ...]
    stalls: tuple[Stall, ...]
    switches: tuple[tuple[float, str], ...]
    price_moves: tuple[float, ...]


def draw_plan(profile: Profile, rng: Random) -> Plan:
    """The plan of a seed."""
    names = EXCHANGES[: rng.choice((2, 3, 3))]
    strategies = _strategies(rng)
    actors = [*names, *names, *CONTROL, *(s.name for s in strategies)]  # connectors twice: they matter most
    return Plan(
        traits=tuple(_traits(name, rng) for name in names),
        strategies=strategies,
        windows=_windows(profile, names, rng),
        deaths=_deaths(profile, actors, rng),
        stalls=tuple(
            Stall(rng.uniform(3, CALM_S - 12), rng.choice(actors), rng.choice((0.3, 2.0, 8.0)) * rng.random())
            for _ in range(rng.randint(*profile.stalls))
        ),
        switches=tuple((rng.uniform(5, CALM_S), rng.choice(names)) for _ in range(rng.randint(*profile.switches))),
        price_moves=tuple(sorted(rng.uniform(5, FINAL_GET_S - 8) for _ in range(rng.randint(2, 6)))),
    )


def _traits(name: str, rng: Random) -> Traits:
    enforcement = rng.choice(list(ExpiryEnforcement))
    lateness_s = {ExpiryEnforcement.ENGINE: 0.0, ExpiryEnforcement.GATEWAY: 2.0, ExpiryEnforcement.NONE: 8.0}
    proof = Proof(
        enforcement=enforcement,
        validity_s=rng.choice((2.0, 5.0)),
        lateness_s=lateness_s[enforcement],
        visibility_s=rng.choice((0.5, 2.0)),
        clock_error_s=0.5,
    )
    return Traits(
        name=name,
        proof=proof,
        rate_limit=rng.choice((RateLimit(per_s=20.0, burst=20), RateLimit(per_s=5.0, burst=5))),
        duplicates=rng.choice(list(Duplicates)),
        clock_s=rng.uniform(-0.45, 0.45),
        acknowledges=rng.random() < 0.4,
        final_cancels=rng.random() < 0.4,
    )


def _strategies(rng: Random) -> tuple[StrategyPlan, ...]:
    n = rng.choice((1, 2))
    plans: list[StrategyPlan] = []
    serial = 0
    for number in range(n):
        orders: dict[int, OrderPlan] = {}
        for _ in range(rng.randint(8, 10) // n):
            serial += 1
            orders[serial] = _order(serial, rng.uniform(1.5, CALM_S), rng)
        serial += 1
        final = _order(serial, FINAL_ORDERS_S, rng)
        orders[serial] = evolve(
            final, cancel_after_s=None, again_after_s=None, get_after_s=None, retries=0, timeout_s=10.0
        )
        plans.append(StrategyPlan(name=f"strategy{number + 1}", orders=orders, final_get_s=FINAL_GET_S))
    return tuple(plans)


def _order(serial: int, at_s: float, rng: Random) -> OrderPlan:
    market = rng.random() < 0.3
    return OrderPlan(
        serial=serial,
        at_s=at_s,
        side=rng.choice(("buy", "sell")),
        quantity=Decimal(rng.randint(1, 500)) / 1000,
        price=None if market else Decimal(rng.randint(20_000, 30_000)),
        time_in_force=rng.choice(("GTC", "GTC", "GTC", "IOC")),
        timeout_s=rng.choice((1.0, 4.0, 10.0, 20.0)),
        cancel_after_s=rng.choice((0.01, 1.0, 10.0)) * rng.random() if rng.random() < 0.4 else None,
        again_after_s=rng.choice((0.02, 2.0, 20.0)) * rng.random() if rng.random() < 0.3 else None,
        get_after_s=rng.choice((0.02, 2.0, 20.0)) * rng.random() if rng.random() < 0.3 else None,
        asks=rng.random() < 0.5,
        retries=rng.choice((0, 1, 3)),
    )


def _windows(profile: Profile, names: tuple[str, ...], rng: Random) -> tuple[Window, ...]:
    windows = []
    for _ in range(rng.randint(*profile.outages)):
        begin_s = rng.uniform(2, CALM_S - 10)
        end_s = min(CALM_S, begin_s + rng.uniform(*profile.outage_s))
        kinds = OUTAGES[rng.choice(profile.kinds)]
        hit = names if rng.random() < 0.1 else (rng.choice((names[0], *names)),)  # the primary most often; seldom all
        share, places_only = rng.choice((1.0, 1.0, 0.4)), rng.random() < 0.2
        windows += [Window(name, begin_s, end_s, kinds, share, places_only) for name in hit]
    return tuple(windows)


def _deaths(profile: Profile, actors: list[str], rng: Random) -> tuple[Death, ...]:
    deaths = []
    for _ in range(rng.randint(*profile.deaths)):
        at_s = rng.uniform(1, CALM_S - 2)
        actor = "everything" if rng.random() < 0.1 else rng.choice(actors)
        inside = rng.randint(1, 6) if rng.random() < 0.6 and actor != "everything" else 0
        deaths.append(Death(at_s, actor, inside))
    return tuple(deaths)
