"""How rough a run is: the profiles that seeds are drawn under, and when what happens in a run.

A profile says how much of what; `app.fuzz.plan` draws from it where and when.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

from attrs import frozen

from app.fuzz.book_plan import Books
from app.fuzz.disk_plan import Disks
from app.fuzz.faults import OUTAGES
from app.fuzz.ill_plan import Ills
from messages.carries import CarryPolicy

CALM_S = 400.0
"""From then on nothing goes wrong any more."""

FINAL_ORDERS_S = 545.0
"""When each strategy places one more order, which must be accepted."""

FINAL_GET_S = 580.0
"""When each strategy asks after all its orders: what it is told must be the truth."""

END_S = 600.0


@frozen(kw_only=True)
class Times:
    """When what happens in a run, in seconds since its start."""

    calm_s: float = CALM_S
    final_orders_s: float = FINAL_ORDERS_S
    final_get_s: float = FINAL_GET_S
    end_s: float = END_S


EXCHANGES = ("bybit", "okx", "binance")
CONNECTOR_POINTS = (
    "before the intent",
    "after the intent",
    "after sending a placement",
    "after sending a cancel",
    "before recording",
    "after recording",
)
COORDINATOR_POINTS = (
    "before the fence",
    "after the fence",
    "before the route",
    "after the route",
    "before the history",
    "after the history",
)
MESSAGE = "message "
"""A point followed by a number: an actor is killed when it is about to send its so many-th message from then on."""

CONTROL = ("health_monitor", "failover_coordinator", "position_synchronizer")


@frozen(kw_only=True)
class Profile:
    """How rough a run is; pairs are least and most, both included.

    Attributes:
        means: For people.
        faults: The least that goes wrong, by plan: where fewer were drawn somebody dies.
        outage_s: How long an outage lasts.
        outages: How many.
        kinds: Which, of `app.fuzz.faults.OUTAGES`.
        chance: Of a fault, for each call outside outages; three times that for placements.
        deaths: Actors killed.
        stalls: Actors stopped for a while.
        lags: Actors that are busy for a while.
        switches: Manual failovers.
        refusals: Share of placements refused by a code.
        journal_chance: Of a locked journal, for each commit and each record.
        unknown_max_notional: What may be worth together what is placed elsewhere although nobody knows of it; None for
            holding it.
        changes: Share of orders that are changed, which no exchange can do in place.
        points: Where a connector is killed within a handler.
        books: How positions are, and what moves with trading; None where only orders count, and nothing is moved.
        ills: How ill exchanges are, where health is looked at as rarely as in production; None where all is quick.
        networks: Outages of our own network.
        duplicates: Share of requests and replies between actors that arrive twice.
        at_steps: How often somebody dies, or an exchange fails, just as a switch is at some step.
        disk: What befalls the machine and its disk; None where the journal is kept in memory, and all have one
            connection to it.
    """

    means: str = ""
    faults: int = 3
    outage_s: tuple[float, float] = (5.0, 90.0)
    outages: tuple[int, int] = (0, 0)
    kinds: tuple[str, ...] = tuple(OUTAGES)
    chance: float = 0.0
    deaths: tuple[int, int] = (0, 0)
    stalls: tuple[int, int] = (0, 0)
    lags: tuple[int, int] = (0, 1)
    switches: tuple[int, int] = (0, 1)
    refusals: float = 0.03
    journal_chance: float = 0.0
    unknown_max_notional: Decimal | None = None
    changes: float = 0.0
    points: tuple[str, ...] = CONNECTOR_POINTS
    books: Books | None = None
    ills: Ills | None = None
    times: Times = Times()
    networks: tuple[int, int] = (0, 0)
    duplicates: float = 0.0
    at_steps: tuple[int, int] = (0, 0)
    disk: Disks | None = None


ILL_TIMES = Times(calm_s=1500.0, final_orders_s=1700.0, final_get_s=1750.0, end_s=1780.0)
"""An exchange that was gone for long is asked each half minute, and then tried, before it is trusted again."""

PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        "calm": Profile(
            means="Nothing is wrong but a refused order now and then: answers have to be exactly right.",
            faults=0,
        ),
        "storm": Profile(
            means="Outages of every kind, and calls that go wrong beside them; messages come twice.",
            outages=(3, 5),
            chance=0.03,
            journal_chance=0.003,
            duplicates=0.02,
        ),
        "crashes": Profile(
            means="Actors are killed, also between an intent, its sending and its record; others are stopped.",
            outages=(0, 2),
            chance=0.02,
            deaths=(3, 5),
            stalls=(0, 2),
            lags=(0, 2),
            duplicates=0.01,
        ),
        "slow": Profile(
            means="Exchanges that are slow, overloaded, stale, or carry out long afterwards.",
            outages=(3, 5),
            outage_s=(20.0, 150.0),
            kinds=("slow", "heals late", "overload", "stale"),
            lags=(0, 2),
        ),
        "split": Profile(
            means="The network between us and an exchange breaks, both ways or one way only, for up to two minutes.",
            outages=(3, 5),
            outage_s=(5.0, 120.0),
            kinds=("blackhole", "one-way", "refused", "heals late"),
            stalls=(0, 1),
            switches=(0, 2),
        ),
        "flapping": Profile(
            means="Exchanges come and go, some of them each few seconds.",
            outages=(6, 12),
            outage_s=(0.5, 30.0),
            kinds=("refused", "blackhole", "resets", "slow"),
            deaths=(0, 1),
            switches=(0, 2),
        ),
        "elsewhere": Profile(
            means="Outages, while the owner lets what nobody knows of be placed elsewhere up to a sum.",
            outages=(3, 5),
            outage_s=(30.0, 120.0),
            kinds=("blackhole", "one-way", "heals late", "resets"),
            chance=0.03,
            deaths=(0, 2),
            switches=(2, 5),
            unknown_max_notional=Decimal(6_000),
        ),
        "replacing": Profile(
            means="Most resting orders are changed, which no exchange can do in place, while connectors die.",
            outages=(0, 2),
            chance=0.02,
            deaths=(3, 5),
            stalls=(0, 1),
            journal_chance=0.003,
            changes=0.8,
            points=(*CONNECTOR_POINTS, "before renewing", "after renewing", "after renewing"),
        ),
        "disk": Profile(
            means="The power is cut, actors die in the middle of a commit, and the disk is full or fails for a while.",
            outages=(0, 2),
            chance=0.01,
            deaths=(0, 2),
            lags=(0, 0),
            switches=(1, 3),
            disk=Disks(),
        ),
        "network": Profile(
            means="Our own network is down for all exchanges at once.",
            networks=(3, 5),
            deaths=(0, 1),
            lags=(0, 0),
            switches=(0, 0),
            points=("",),
        ),
        "expiring": Profile(
            means="No exchange is reached for longer than its dead-man switch counts: what rested there is gone.",
            networks=(3, 5),
            deaths=(0, 1),
            lags=(0, 0),
            switches=(0, 1),
            points=("",),
            books=Books(dead_man=1.0, carry=(CarryPolicy.REPLACE,), trades=(0, 0), poor=0.0),
        ),
        "moving": Profile(
            means="Positions, margins and orders of every kind go with trading, while those who move them die.",
            outages=(1, 2),
            chance=0.015,
            deaths=(1, 3),
            stalls=(0, 1),
            lags=(0, 1),
            switches=(1, 3),
            books=Books(),
            duplicates=0.01,
        ),
        "returning": Profile(
            means="Outages with positions; trading goes back, by itself or by a person.",
            outages=(3, 4),
            outage_s=(10.0, 90.0),
            kinds=("refused", "blackhole", "heals late", "resets", "overload", "blind"),
            chance=0.01,
            deaths=(0, 2),
            switches=(0, 2),
            books=Books(failback=("manual", "auto"), verbs=(0, 2)),
        ),
        "guarded": Profile(
            means="Most orders have take profits and stop losses, which go along.",
            outages=(1, 2),
            chance=0.01,
            deaths=(1, 2),
            switches=(1, 3),
            books=Books(exits=0.6, trades=(0, 0), poor=0.0),
        ),
        "steering": Profile(
            means="A person freezes, isolates, drains, panics and takes it back.",
            outages=(1, 2),
            chance=0.01,
            deaths=(1, 2),
            switches=(1, 2),
            books=Books(verbs=(2, 5), trades=(0, 2)),
        ),
        "steps": Profile(
            means="Just as a switch is at some step, somebody dies, or an exchange fails: each of them, at each step.",
            outages=(2, 4),
            outage_s=(20.0, 90.0),
            switches=(2, 4),
            at_steps=(4, 8),
            books=Books(failback=("manual", "auto")),
            duplicates=0.01,
        ),
        "sick": Profile(
            means="Exchanges are ill for minutes: whether trading leaves in time, and only with a reason.",
            refusals=0.0,
            ills=Ills(),
            times=ILL_TIMES,
            faults=0,
        ),
        "blinking": Profile(
            means="The primary comes and goes each forty seconds, all the time, and trading returns by itself.",
            refusals=0.0,
            ills=Ills(blinks=40.0, failback=True, most_switches=2),
            times=ILL_TIMES,
            faults=0,
        ),
    }
)
"""By name; each but calm has three faults or more."""
