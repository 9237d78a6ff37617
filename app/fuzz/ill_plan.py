"""What a seed means where exchanges fall ill as they do in production, and are looked at as rarely as there.

The other profiles draw faults of calls, and are quick about everything. Here an illness is a fact about an exchange for
minutes: the checker knows when one was truly ill, from when on trading had a reason to leave it, and when it had none
(`app.fuzz.checker_ill`). So that it can be said what was wrong, little else goes wrong at the same time.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from random import Random
from types import MappingProxyType

from attrs import frozen

from app.fuzz.faults import Fault, Window
from app.fuzz.strategy import OrderPlan, StrategyPlan
from messages.health import Maintenance

ORDER_TIMEOUT_S = 20.0
EVERY_S = (15.0, 40.0)
"""Between two orders while nothing is wrong."""
OFTEN_S = (3.0, 7.0)
"""And while something is: an order path of which nobody asks anything is never found dead."""
LEAD_S = 300.0
"""A maintenance is a reason to leave so long before it begins, if it is announced by then."""


@frozen(kw_only=True)
class Kind:
    """A way to be ill.

    Attributes:
        faults: What calls meet.
        share: Of calls.
        places_only: Everything but placing is well.
        lasts_s: Least and most.
        strong: Nothing gets through: trading has to leave within its budget.
        reason: It is a reason to leave. Where it is none, trading that leaves was wrong.
        passes: Orders get through all the same.
    """

    faults: tuple[Fault, ...]
    lasts_s: tuple[float, float]
    share: float = 1.0
    places_only: bool = False
    strong: bool = False
    reason: bool = True
    passes: bool = False


_SERVER = (Fault.SERVER, Fault.SERVER, Fault.DROP_AFTER)
KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "dead": Kind(faults=(Fault.REFUSED,), lasts_s=(90, 400), strong=True),
        "blackhole": Kind(faults=(Fault.HANG_BEFORE,), lasts_s=(90, 400), strong=True),
        "one-way": Kind(faults=(Fault.HANG_AFTER,), lasts_s=(90, 400), strong=True),
        "errors": Kind(faults=_SERVER, lasts_s=(90, 400), strong=True),
        "order path": Kind(faults=_SERVER, lasts_s=(200, 400), places_only=True, strong=True),
        "maintenance": Kind(faults=(Fault.MAINTENANCE,), lasts_s=(120, 400), strong=True),
        "ban": Kind(faults=(Fault.BANNED,), lasts_s=(90, 300), strong=True),
        "short ban": Kind(faults=(Fault.BANNED,), lasts_s=(5, 20), reason=False),
        "one in five": Kind(faults=(Fault.SERVER, Fault.DROP_BEFORE), lasts_s=(200, 500), share=0.2),
        "one in twenty": Kind(faults=(Fault.SERVER, Fault.DROP_BEFORE), lasts_s=(200, 600), share=0.05, reason=False),
        "sluggish": Kind(faults=(Fault.SLUGGISH,), lasts_s=(200, 500), passes=True),
        "credentials": Kind(faults=(Fault.CREDENTIALS,), lasts_s=(60, 300), reason=False),
        "network": Kind(faults=(Fault.REFUSED,), lasts_s=(30, 200), reason=False),
        "silent network": Kind(faults=(Fault.HANG_BEFORE,), lasts_s=(30, 200), reason=False),
    }
)
OURS = ("network", "silent network")
"""Kinds that befall every exchange at once: it is our own network."""


@frozen(kw_only=True)
class Illness:
    """An exchange is ill, in seconds since the run began. `announced_s` of a maintenance; None where it is not."""

    exchange: str
    kind: str
    begin_s: float
    end_s: float
    announced_s: float | None = None

    @property
    def what(self) -> Kind:
        """The way."""
        return KINDS[self.kind]

    @property
    def reason_s(self) -> float:
        """From when on it is a reason to leave."""
        if self.announced_s is None:
            return self.begin_s
        return min(self.begin_s, max(self.announced_s, self.begin_s - LEAD_S))

    @property
    def window(self) -> Window:
        """What calls meet."""
        what = self.what
        return Window(self.exchange, self.begin_s, self.end_s, what.faults, what.share, what.places_only)

    def notice(self, start_s: float) -> tuple[float, Maintenance]:
        """What the exchange's status tells of a maintenance that is announced, and from when on, by the run's clock."""
        assert self.announced_s is not None
        told = Maintenance(begin_s=start_s + self.begin_s, end_s=start_s + self.end_s, words="Announced.")
        return start_s + self.announced_s, told


@frozen(kw_only=True)
class Ills:
    """How ill exchanges are in a profile.

    Attributes:
        illnesses: How many, least and most.
        kinds: Drawn from, of `KINDS`.
        blinks: Instead of that the primary is gone and back, gone and back, in about so many seconds a turn; 0 for not.
        failback: Trading goes back to the primary by itself.
        most_switches: In a whole run; None where the illnesses say how many there may be.
    """

    illnesses: tuple[int, int] = (2, 5)
    kinds: tuple[str, ...] = tuple(KINDS)
    blinks: float = 0.0
    failback: bool = False
    most_switches: int | None = None


def draw_illnesses(ills: Ills, names: tuple[str, ...], calm_s: float, rng: Random) -> tuple[Illness, ...]:
    """One after the other, with time between them in which all is well; of different exchanges sometimes together."""
    if ills.blinks:
        return _blinking(ills, names, calm_s, rng)
    found: list[Illness] = []
    at_s = rng.uniform(100, 200)
    for _ in range(rng.randint(*ills.illnesses)):
        kind = rng.choice(ills.kinds)
        end_s = at_s + rng.uniform(*KINDS[kind].lasts_s)
        if end_s > calm_s:
            break
        hit = names if kind in OURS else (rng.choice((names[0], names[0], *names)),)
        announced_s = at_s - rng.uniform(20, 600) if kind == "maintenance" and rng.random() < 0.6 else None
        new = [Illness(exchange=n, kind=kind, begin_s=at_s, end_s=end_s, announced_s=announced_s) for n in hit]
        if not any(_overlap(each, other) for each in new for other in found):
            found += new
        # Often the next one begins while this one is still there, or just when trading has moved because of it.
        at_s = rng.choice((end_s + rng.uniform(100, 250), end_s + rng.uniform(0, 60), rng.uniform(at_s, end_s)))
    return tuple(found)


def _overlap(one: Illness, other: Illness) -> bool:
    """Whether an exchange would have two illnesses at a time, so that nobody could say which it is left for."""
    return one.exchange == other.exchange and one.begin_s <= other.end_s + 1 and one.end_s >= other.begin_s - 1


def _blinking(ills: Ills, names: tuple[str, ...], calm_s: float, rng: Random) -> tuple[Illness, ...]:
    found: list[Illness] = []
    kind, at_s = rng.choice(("dead", "blackhole", "errors")), rng.uniform(60, 150)
    gone = rng.uniform(0.3, 0.7)
    while at_s + ills.blinks * gone < calm_s - 200:
        found.append(Illness(exchange=names[0], kind=kind, begin_s=at_s, end_s=at_s + ills.blinks * gone))
        at_s += ills.blinks * rng.uniform(0.9, 1.1)
    return tuple(found)


def draw_orders(
    illnesses: tuple[Illness, ...], calm_s: float, final_s: float, final_get_s: float, rng: Random
) -> tuple[StrategyPlan, ...]:
    """One strategy that trades all the time, more often while something is wrong."""
    orders: dict[int, OrderPlan] = {}
    at_s = rng.uniform(5, 20)
    while at_s < calm_s:
        serial = len(orders) + 1
        orders[serial] = _order(serial, at_s, rng)
        often = any(each.begin_s - 5 <= at_s <= each.end_s for each in illnesses)
        at_s += rng.uniform(*(OFTEN_S if often else EVERY_S))
    serial = len(orders) + 1
    orders[serial] = _order(serial, final_s, rng)
    return (StrategyPlan(name="strategy1", orders=orders, final_get_s=final_get_s),)


def _order(serial: int, at_s: float, rng: Random) -> OrderPlan:
    draw = rng.random()
    rests = draw < 0.25
    return OrderPlan(
        serial=serial,
        at_s=at_s,
        side=rng.choice(("buy", "sell")),
        quantity=Decimal(rng.randint(1, 500)) / 1000,
        price=None if draw > 0.6 else Decimal(rng.randint(20_000, 30_000)),
        time_in_force="GTC" if rests or draw > 0.6 else "IOC",
        timeout_s=ORDER_TIMEOUT_S,
        cancel_after_s=rng.uniform(5, 60) if rests else None,
    )
