"""The parts of a run's plan, each of which it can do without: what shrinking takes away."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from attrs import evolve, frozen

from app.domain.calls import ExpiryEnforcement, Proof
from app.domain.limiter import RateLimit
from app.fuzz.book_plan import BookPlan
from app.fuzz.case import BEFORE_EXCHANGES, Case
from app.fuzz.disk_plan import DiskPlan
from app.fuzz.own_network import Outage
from app.fuzz.plan import Plan
from app.fuzz.profiles import Times
from app.fuzz.sim_orders import Duplicates, Traits
from app.fuzz.strategy import OrderPlan, StrategyPlan

HARMLESS_PROOF = Proof(
    enforcement=ExpiryEnforcement.ENGINE, validity_s=5.0, lateness_s=0.0, visibility_s=0.5, clock_error_s=0.5
)
HARMLESS: dict[str, Any] = {
    "proof": HARMLESS_PROOF,
    "rate_limit": RateLimit(per_s=20.0, burst=20),
    "duplicates": Duplicates.ALL_ORDERS,
    "clock_s": 0.0,
    "acknowledges": False,
    "final_cancels": True,
}
"""The traits of an exchange that makes it easy for everybody."""

MORE = {
    "cancel_after_s": None,
    "again_after_s": None,
    "get_after_s": None,
    "other_after_s": None,
    "trigger": None,
    "take_profit": None,
    "stop_loss": None,
    "reduce_only": False,
    "retries": 0,
}
"""What an order's owner may ask of it beside placing it, and the value by which he does not."""

OF_THE_DISK = ("cuts", "crashes", "spans")
"""What befalls the machine and its disk, by its name in the disk's plan."""

BY_CHANCE = {"chance": 0.0, "journal_chance": 0.0, "refusals": 0.0, "duplicates": 0.0}
"""What happens in a run though no plan has it, and the value by which it does not."""

TIMED = ("windows", "deaths", "stalls", "lags", "switches", "price_moves", "networks", "illnesses", "at_steps")
"""What befalls a run, by its name in the plan."""


@frozen
class Part:
    """One part: its kind, and which of them."""

    kind: str
    which: tuple[str | int, ...] = ()


def parts_of(case: Case) -> tuple[Part, ...]:
    """Everything a case can do without, such things together as are alike."""
    return tuple(_parts(case))


def _parts(case: Case) -> Iterator[Part]:
    plan, books = case.plan, case.plan.books
    for strategy in plan.strategies:
        for serial in strategy.orders:
            yield Part("order", (serial,))
    for order in (order for strategy in plan.strategies for order in strategy.orders.values()):
        yield from (Part("more", (order.serial, name)) for name, none in MORE.items() if getattr(order, name) != none)
        yield from (Part("change", (order.serial, number)) for number in range(len(order.changes)))
    tied = _tied(plan)
    for name in TIMED:
        items = getattr(plan, name)
        yield from (Part(name, (i,)) for i in range(len(items)) if name != "windows" or items[i] not in tied)
    if books is not None:
        yield from (Part("foreign", (number,)) for number in range(len(books.foreign)))
        yield from (Part("verbs", (number,)) for number in range(len(books.verbs)))
        usual = {"poor": "", "dead_man_s": None, "across": False}
        yield from (Part("books", (name,)) for name, none in usual.items() if getattr(books, name) != none)
    if plan.disk is not None:
        for name in OF_THE_DISK:
            yield from (Part(name, (number,)) for number in range(len(getattr(plan.disk, name))))
    for name, none in BY_CHANCE.items():
        if getattr(case.profile, name) != none:
            yield Part("chance", (name,))
    yield from (Part("setting", (name,)) for name in ("witness", "heartbeats") if getattr(plan, name))
    for traits in plan.traits:
        yield from (Part("trait", (traits.name, name)) for name in HARMLESS if getattr(traits, name) != HARMLESS[name])
    yield from (Part("exchange", (traits.name,)) for traits in plan.traits[1:])


def _tied(plan: Plan) -> tuple[Any, ...]:
    """Windows that are there because of something else."""
    return (*(each for outage in plan.networks for each in outage.windows()), *(ill.window for ill in plan.illnesses))


def only(case: Case, kept: frozenset[Part]) -> Case:
    """A case without those of its parts that are not to be kept."""
    plan = case.plan

    def has(kind: str, *which: str | int) -> bool:
        return Part(kind, which) in kept

    exchanges = {t.name for number, t in enumerate(plan.traits) if number == 0 or has("exchange", t.name)}
    timed: dict[str, Any] = {
        name: tuple(each for i, each in enumerate(getattr(plan, name)) if has(name, i)) for name in TIMED
    }
    tied = _tied(evolve(plan, networks=timed["networks"], illnesses=timed["illnesses"]))
    timed["windows"] = tuple(w for w in (*tied, *timed["windows"]) if w.exchange in exchanges)
    timed["switches"] = tuple(each for each in timed["switches"] if each[1] in exchanges)
    gone = {traits.name for traits in plan.traits} - exchanges
    for name in ("illnesses", "deaths", "stalls", "lags", "at_steps"):
        timed[name] = tuple(
            each for each in timed[name] if not gone & {getattr(each, "exchange", ""), getattr(each, "actor", "")}
        )
    certain: dict[str, Any] = {name: none for name, none in BY_CHANCE.items() if not has("chance", name)}
    profile = evolve(case.profile, **certain)
    numbers = [
        number
        for at, number in enumerate(case.chances)
        if not 0 <= at - BEFORE_EXCHANGES < len(plan.traits) or plan.traits[at - BEFORE_EXCHANGES].name in exchanges
    ]
    smaller = evolve(
        plan,
        traits=tuple(_trait(each, kept) for each in plan.traits if each.name in exchanges),
        strategies=tuple(s for s in (_strategy(each, kept) for each in plan.strategies) if s.orders),
        books=None if plan.books is None else _books(plan.books, exchanges, kept),
        disk=None if plan.disk is None else _disk(plan.disk, kept),
        witness=has("setting", "witness"),
        heartbeats=has("setting", "heartbeats"),
        **timed,
    )
    return evolve(case, profile=profile, plan=smaller, chances=tuple(numbers))


def _trait(traits: Traits, kept: frozenset[Part]) -> Traits:
    harmless = {name: value for name, value in HARMLESS.items() if Part("trait", (traits.name, name)) not in kept}
    return evolve(traits, **harmless)


def _strategy(strategy: StrategyPlan, kept: frozenset[Part]) -> StrategyPlan:
    orders = {
        serial: _order(order, kept) for serial, order in strategy.orders.items() if Part("order", (serial,)) in kept
    }
    return evolve(strategy, orders=orders)


def _order(order: OrderPlan, kept: frozenset[Part]) -> OrderPlan:
    less: dict[str, Any] = {name: none for name, none in MORE.items() if Part("more", (order.serial, name)) not in kept}
    if "trigger" in less:
        less["trigger_price"] = None
    changes = (each for number, each in enumerate(order.changes) if Part("change", (order.serial, number)) in kept)
    return evolve(order, changes=tuple(changes), **less)


def _books(books: BookPlan, exchanges: set[str], kept: frozenset[Part]) -> BookPlan:
    def has(kind: str, which: str | int) -> bool:
        return Part(kind, (which,)) in kept

    terms = books.terms
    poor = books.poor if has("books", "poor") and books.poor in exchanges else ""
    if books.poor and not poor:
        rich = max(each.money for each in terms.values())
        terms = {**terms, books.poor: evolve(terms[books.poor], money=max(rich, Decimal(10_000_000)))}
    return evolve(
        books,
        poor=poor,
        terms={name: each for name, each in terms.items() if name in exchanges},
        dead_man_s=books.dead_man_s if has("books", "dead_man_s") else None,
        across=books.across and has("books", "across"),
        foreign=tuple(e for i, e in enumerate(books.foreign) if has("foreign", i) and e.exchange in exchanges),
        verbs=tuple(e for i, e in enumerate(books.verbs) if has("verbs", i) and e.exchange in exchanges),
    )


def _disk(disk: DiskPlan, kept: frozenset[Part]) -> DiskPlan:
    left: dict[str, Any] = {
        name: tuple(each for i, each in enumerate(getattr(disk, name)) if Part(name, (i,)) in kept)
        for name in OF_THE_DISK
    }
    return evolve(disk, **left)


def cut(case: Case, calm_s: float) -> Case:
    """A case that is calm so much earlier; what was to happen after that does not."""
    plan, times = case.plan, case.plan.times
    earlier_s = times.calm_s - calm_s
    new = Times(
        calm_s=calm_s,
        final_orders_s=times.final_orders_s - earlier_s,
        final_get_s=times.final_get_s - earlier_s,
        end_s=times.end_s - earlier_s,
    )

    def shifted(strategy: StrategyPlan) -> StrategyPlan:
        orders: dict[int, OrderPlan] = {}
        for serial, order in strategy.orders.items():
            if order.at_s >= times.final_orders_s:
                orders[serial] = evolve(order, at_s=order.at_s - earlier_s)
            elif order.at_s < calm_s:
                orders[serial] = order
        return evolve(strategy, orders=orders, final_get_s=strategy.final_get_s - earlier_s)

    books = plan.books
    if books is not None:
        foreign = tuple(each for each in books.foreign if each.at_s < calm_s)
        books = evolve(books, foreign=foreign, verbs=tuple(each for each in books.verbs if each.at_s < calm_s))
    disk = plan.disk
    if disk is not None:
        disk = evolve(
            disk,
            cuts=tuple(each for each in disk.cuts if each.at_s < calm_s),
            crashes=tuple(each for each in disk.crashes if each.at_s < calm_s),
            spans=tuple(evolve(e, end_s=min(e.end_s, calm_s)) for e in disk.spans if e.begin_s < calm_s),
        )
    return evolve(
        case,
        plan=evolve(
            plan,
            times=new,
            disk=disk,
            strategies=tuple(s for s in map(shifted, plan.strategies) if s.orders),
            windows=tuple(evolve(w, end_s=min(w.end_s, calm_s)) for w in plan.windows if w.begin_s < calm_s),
            networks=tuple(each for each in (_ended_by(network, calm_s) for network in plan.networks) if each.spans),
            deaths=tuple(each for each in plan.deaths if each.at_s < calm_s),
            stalls=tuple(each for each in plan.stalls if each.at_s < calm_s),
            lags=tuple(each for each in plan.lags if each.at_s < calm_s),
            switches=tuple(each for each in plan.switches if each[0] < calm_s),
            price_moves=tuple(at_s for at_s in plan.price_moves if at_s < new.final_get_s - 8),
            books=books,
        ),
    )


def _ended_by(network: Outage, calm_s: float) -> Outage:
    """As much of an outage as there is until then: its windows are cut in the same way."""
    spans = ((name, begin_s, min(end_s, calm_s)) for name, begin_s, end_s in network.spans if begin_s < calm_s)
    return evolve(network, spans=tuple(spans))


def last_s(plan: Plan) -> float:
    """When the last of what befalls a run is over, in seconds since its start."""
    moments = [o.at_s for s in plan.strategies for o in s.orders.values() if o.at_s < plan.times.final_orders_s]
    moments += [window.end_s for window in plan.windows]
    moments += [each.at_s for each in plan.deaths]
    moments += [each.at_s + each.for_s for each in plan.stalls]
    moments += [each.at_s + each.for_s for each in plan.lags]
    moments += [at_s for at_s, _ in plan.switches]
    moments += [] if plan.books is None else [each.at_s for each in plan.books.foreign]
    moments += [] if plan.books is None else [each.at_s for each in plan.books.verbs]
    if plan.disk is not None:
        moments += [each.at_s + each.off_s for each in plan.disk.cuts]
        moments += [each.at_s for each in plan.disk.crashes]
        moments += [each.end_s for each in plan.disk.spans]
    return max(moments, default=0.0)
