"""What a verb would do, as a value that can be shown before anything is done.

Put together from what is known at that moment: the route, how ready the others are, the journal's open orders, what the
target's connector says of those it would have to take, and the slices the position synchronizer would make. What could
not be asked is said in words, never left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Self

from attrs import evolve, frozen

from app.domain.controls import NONE, Controls
from app.domain.exits import Exit
from app.domain.leg_life import MAY_FILL, UNPROVEN
from messages.carries import CarryPolicy
from messages.control import Drain, Failback, Isolate, Panic, PlannedOrder, Release, Resolve, SwitchPlan, Verb
from messages.failover import ManualFailover, PreflightReply, Readiness, Route, Switch
from messages.market import Symbol
from messages.orders import LegState, LegView, OrderSpec, OrderView, Side, TriggerKind
from messages.positions import MovesReply, NotMoved, PositionPolicy

ZERO = Decimal(0)
NOTHING_TO_FLATTEN = "On spot there are balances and no positions to close: leave out flatten, and sell what you hold."


@frozen(kw_only=True)
class Scene:
    """What a verb meets, read once when it is asked.

    Attributes:
        exchanges: The primary first, then in the order trading would move.
        readiness: Of exchanges that are not in use, in the order trading would move: everything that speaks against
            each.
        down: Exchanges that the detector has called down, with why.
        running: The step of a switch that has not committed yet; empty where none runs.
        policy: What becomes of open orders when trading moves.
        positions: What becomes of positions.
        held: What our own fills add up to, by exchange and symbol, base coin, below zero when short; zeros left out.
        open: Orders of which a leg may still fill.
        waiting: Orders that were taken off an exchange, and are not placed yet, or parked.
        last: The newest of the history.
        find: An order by its id.
        spot: There are balances, and no positions.
        merits: What speaks for each exchange that is not in use.
    """

    route: Route
    exchanges: tuple[str, ...]
    controls: Controls = NONE
    readiness: tuple[Readiness, ...] = ()
    down: tuple[tuple[str, str], ...] = ()
    running: str = ""
    policy: CarryPolicy = CarryPolicy.REPLACE
    positions: PositionPolicy = PositionPolicy.TRACK
    held: tuple[tuple[str, Symbol, Decimal], ...] = ()
    open: tuple[OrderView, ...] = ()
    waiting: tuple[OrderView, ...] = ()
    last: Switch | None = None
    find: Callable[[str], OrderView | None] = lambda _: None
    spot: bool = False
    merits: tuple[tuple[str, str], ...] = ()

    def candidates(self, *without: str) -> tuple[Readiness, ...]:
        """The exchanges trading could move to, in that order, each with why not."""
        return tuple(each for each in self.readiness if each.exchange not in without)

    def next_best(self, *without: str) -> str | None:
        """Where trading would move by itself; None where nobody is known to be able to take it."""
        return next((each.exchange for each in self.candidates(*without) if not each.problems), None)


@frozen(kw_only=True)
class Failover(Verb):
    """A failover's dry run; what it does is the saga's own."""

    exchange: str

    @classmethod
    def of(cls, request: ManualFailover) -> Self:
        """The same, as a verb."""
        return cls(
            correlation_id=request.correlation_id,
            deadline_s=request.deadline_s,
            exchange=request.exchange,
            dry_run=request.dry_run,
        )


def refusal(verb: Verb, scene: Scene) -> str:
    """Why a verb cannot be, in one sentence; empty where it can. The saga refuses more where it is asked."""
    known = ", ".join(scene.exchanges)
    if isinstance(verb, Isolate | Release | Drain | Failover) and verb.exchange not in scene.exchanges:
        return f"{verb.exchange!r} is not among the configured exchanges: {known}."
    if isinstance(verb, Failover) and verb.exchange == scene.route.exchange:
        return f"Cannot fail over to {verb.exchange}: trading is there already."
    if isinstance(verb, Failback):
        why = scene.controls.why_isolated(scene.exchanges[0])
        if why and scene.route.exchange != scene.exchanges[0]:
            return f"Cannot go back to {scene.exchanges[0]}: it is isolated ({why.rstrip('.')}); release it first."
    if isinstance(verb, Drain) and verb.exchange == scene.route.exchange and scene.next_best() is None:
        why = "; ".join(f"{each.exchange}: {' '.join(each.problems)}" for each in scene.candidates())
        return f"{verb.exchange} cannot be drained: no other exchange could take over ({why or 'none is configured'})."
    if isinstance(verb, Drain) and scene.route.exchange is None:
        return f"{verb.exchange} cannot be drained now: a switch is running ({scene.running}); try again."
    if isinstance(verb, Panic) and verb.flatten and scene.spot:
        return NOTHING_TO_FLATTEN
    if isinstance(verb, Resolve) and scene.find(verb.order_id) is None:
        return f"The router knows no order {verb.order_id}."
    return ""


def leaving(verb: Verb, scene: Scene) -> str | None:
    """The exchange whose orders a verb takes off; None where it takes off none."""
    there = scene.route.exchange
    match verb:
        case Failover():
            return there
        case Failback():
            return None if there == scene.exchanges[0] else there
        case Isolate(exchange=exchange):
            return there if there == exchange else None
        case Drain(exchange=exchange):
            return exchange
    return None


def target(verb: Verb, scene: Scene) -> str | None:
    """Where trading would be then; None where nobody could take it."""
    there = scene.route.exchange
    match verb:
        case Failover(exchange=exchange):
            return exchange
        case Failback():
            return scene.exchanges[0]
        case Isolate(exchange=exchange) | Drain(exchange=exchange) if there == exchange:
            return scene.next_best(exchange)
    return there


def held_on(scene: Scene, exchange: str) -> tuple[NotMoved, ...]:
    """Positions of ours that stand on an exchange, each with what becomes of it."""
    words = {
        PositionPolicy.MIGRATE: "It moves slice by slice to where trading is, for as long as both exchanges answer.",
        PositionPolicy.TRACK: "It stays: [positions] policy is track.",
        PositionPolicy.FLATTEN: "It is being closed.",
        PositionPolicy.MIRROR: "It stays: [positions] policy is mirror.",
    }[scene.positions]
    return tuple(
        NotMoved(exchange=exchange, symbol=symbol, quantity=quantity, words=words)
        for name, symbol, quantity in scene.held
        if name == exchange
    )


def protects(order: OrderView) -> bool:
    """It only guards a position: an exit the router placed, or a stop of its owner's that reduces."""
    trigger = order.spec.trigger
    stops = order.spec.reduce_only and trigger is not None and trigger.kind is TriggerKind.STOP
    return stops or Exit.named(order.key.client_order_id) is not None


def legs_on(order: OrderView, exchange: str | None) -> list[LegView]:
    """Legs that may still fill, of an exchange or of all."""
    return [leg for leg in order.legs if leg.state in MAY_FILL and exchange in (None, leg.exchange)]


def planned(order: OrderView, leg: LegView, words: str = "") -> PlannedOrder:
    """An order, for a plan."""
    spec = order.now
    trigger = spec.trigger.price if spec.trigger is not None else None
    kinds = [] if spec.trigger is None else [spec.trigger.kind.value.replace("_", " ")]
    kinds += ["reduce only"] if spec.reduce_only else []
    words = f"{', '.join(kinds).capitalize()}. {words}".rstrip() if kinds else words
    return PlannedOrder(
        order_id=order.order_id,
        client_order_id=order.key.client_order_id,
        strategy=order.key.strategy,
        exchange=leg.exchange,
        symbol=str(spec.symbol),
        side=spec.side.value,
        quantity=leg.remaining if leg.state in MAY_FILL else order.quantity - order.filled,
        price=spec.price if spec.price is not None else trigger,
        words=words,
    )


def to_carry(scene: Scene, leaving: str | None) -> list[OrderView]:
    """Orders that would be placed where trading goes: those that rest on an exchange, and those that wait."""
    if scene.policy is not CarryPolicy.REPLACE:
        return []
    waiting = [order for order in scene.waiting if order.legs[-1].state is LegState.DRAINED]
    return [order for order in scene.open if _movable(scene, order, leaving)] + waiting


def specs(orders: Iterable[OrderView]) -> tuple[OrderSpec, ...]:
    """What is asked for of each, with the quantity that is left."""
    return tuple(evolve(order.now, quantity=order.quantity - order.filled) for order in orders)


def _movable(scene: Scene, order: OrderView, leaving: str | None) -> bool:
    legs = legs_on(order, leaving) if leaving is not None else []
    return bool(legs) and not _stays(scene, order, legs[-1])


def _stays(scene: Scene, order: OrderView, leg: LegView) -> str:
    """Why an order stays where it is while trading moves; empty where it does not."""
    if leg.state in UNPROVEN or leg.state is LegState.HELD:
        return "Nobody knows yet whether it executed: it keeps its place until that is proven."
    if Exit.named(order.key.client_order_id) is not None:
        return "It protects what filled there, and goes when that is closed there."
    if dict(scene.down).get(leg.exchange):
        return f"{leg.exchange} does not answer: it may still fill there, and is taken off when that is back."
    if order.spec.reduce_only and scene.policy is not CarryPolicy.DROP and _reduces(scene, order, leg.exchange):
        return "It reduces the position that stands there: it stays for as long as that does, and goes after it."
    return ""


def _reduces(scene: Scene, order: OrderView, exchange: str) -> bool:
    sign = 1 if order.spec.side is Side.SELL else -1  # a sale reduces what is long
    return any(
        sign * quantity > 0 for name, symbol, quantity in scene.held if (name, symbol) == (exchange, order.spec.symbol)
    )


def leaving_plan(
    scene: Scene, leaving: str | None, to_exchange: str | None, refused: Iterable[tuple[str, str]] = ()
) -> SwitchPlan:
    """What becomes of orders when trading goes from one exchange to another; positions are put in by `evolve`.

    Args:
        refused: Of orders that would be carried: the order's id, and why the target could not take it.
    """
    why_not = dict(refused)
    lists: dict[CarryPolicy | None, list[PlannedOrder]] = {policy: [] for policy in (*CarryPolicy, None)}
    for order in scene.open:
        for leg in legs_on(order, leaving) if leaving is not None else ():
            stays = _stays(scene, order, leg)
            if stays:
                lists[None].append(planned(order, leg, stays))
            elif scene.policy is CarryPolicy.REPLACE and order.order_id in why_not:
                lists[CarryPolicy.PARK].append(planned(order, leg, why_not[order.order_id]))
            else:
                lists[scene.policy].append(planned(order, leg))
    for order in scene.waiting:
        leg = order.legs[-1]
        why = why_not.get(order.order_id, "")
        if leg.state is LegState.PARKED:
            lists[CarryPolicy.PARK].append(planned(order, leg, leg.reason_words or "It waits for its owner already."))
        else:
            lists[CarryPolicy.PARK if why else CarryPolicy.REPLACE].append(planned(order, leg, why))
    carried = tuple(lists[CarryPolicy.REPLACE])
    words = []
    if carried and any(order.price is None for order in carried):
        words.append("The worth of orders at the market is not in the notional.")
    return SwitchPlan(
        from_exchange=scene.route.exchange,
        to_exchange=to_exchange,
        candidates=scene.candidates(),
        carried=carried,
        parked=tuple(lists[CarryPolicy.PARK]),
        cancelled=tuple(lists[CarryPolicy.DROP]),
        stays=tuple(lists[None]),
        notional=notional(carried),
        words=tuple(words),
    )


def cancelling_plan(scene: Scene, *, all_of_it: bool) -> SwitchPlan:
    """What a panic cancels; what protects a position stays, unless `all_of_it` goes, positions too."""
    cancelled, stays = [], []
    for order in scene.open:
        for leg in legs_on(order, None):
            if protects(order) and not all_of_it:
                stays.append(planned(order, leg, "It protects a position, which stays."))
            else:
                cancelled.append(planned(order, leg))
    cancelled += [planned(order, order.legs[-1]) for order in scene.waiting]
    where = scene.route.exchange
    return SwitchPlan(from_exchange=where, to_exchange=where, cancelled=tuple(cancelled), stays=tuple(stays))


def standing_plan(verb: Verb, scene: Scene) -> SwitchPlan:
    """Of a verb that moves nothing: everything that is open stays. Who could take over matters where the verb is about
    that."""
    where = scene.route.exchange
    if isinstance(verb, Resolve):  # its words say what the one order is, and what would become of it
        return SwitchPlan(from_exchange=where, to_exchange=where)
    stays = tuple(planned(order, leg) for order in scene.open for leg in legs_on(order, None))
    candidates = scene.candidates() if isinstance(verb, Failback | Isolate | Release) else ()
    return SwitchPlan(from_exchange=where, to_exchange=where, candidates=candidates, stays=stays)


def notional(orders: Iterable[PlannedOrder]) -> Decimal:
    """What orders are worth by their own prices, in quote coin."""
    return sum((order.quantity * order.price for order in orders if order.price is not None), ZERO)


def plan_of(
    verb: Verb,
    scene: Scene,
    to_exchange: str | None,
    *,
    asked_of: Scene,
    ready: PreflightReply | None,
    moves: MovesReply | None,
) -> SwitchPlan:
    """What a verb would do, with what was told of it.

    Args:
        to_exchange: Where trading would be.
        asked_of: What was so when the target was asked: by their places there it names orders it would not take.
        ready: What the target says; None where it was not asked, or has not answered.
        moves: What the synchronizer says, likewise.
    """
    if isinstance(verb, Panic):
        plan = cancelling_plan(scene, all_of_it=verb.flatten)
    elif (left := leaving(verb, scene)) is not None:
        told = () if ready is None else ready.refused
        asked = [order.order_id for order in to_carry(asked_of, left)]
        refused = [(asked[at], why) for at, why in told if at < len(asked)]
        plan = leaving_plan(scene, left, to_exchange, refused)
        plan = evolve(plan, why=dict(scene.merits).get(to_exchange or "", ""))
        if ready is not None:
            plan = evolve(plan, candidates=tuple(_with_look(each, ready) for each in plan.candidates))
        elif to_exchange not in (None, scene.route.exchange):
            plan = evolve(plan, words=(*plan.words, f"{to_exchange} was not asked, or did not answer in time."))
    else:
        return standing_plan(verb, scene)
    if moves is not None:
        return evolve(plan, positions=moves.plan)
    if isinstance(verb, Panic) and not verb.flatten:
        return plan
    return evolve(plan, words=(*plan.words, "What would become of positions was not told in time."))


def _with_look(known: Readiness, look: PreflightReply) -> Readiness:
    """What was known of a candidate, with what its connector says now of what would go there."""
    if known.exchange != look.exchange:
        return known
    problems = tuple(dict.fromkeys((*known.problems, *look.problems)))
    return evolve(known, problems=problems, at_s=look.at_s, notes=look.notes)
