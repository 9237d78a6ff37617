"""Take profit and stop loss as orders of their own, where an exchange does not take them along: what is missing.

Theory. The exits of an order are reduce-only triggers on the exchange on which a leg of it filled. What should be there
follows from what is: the leg, and the exits that were placed for it. So the plan is a function of these views, asked
again whenever one of them changes and after every restart, and nothing else is remembered. Each exit is an order whose
key follows from the leg, its kind and a number, and goes the way of every order (commit, wire id, look-ups): placed
again after a crash it is the same order. Of a leg, and of its exits of one kind:

    still open    what filled of the leg, less what exits of any kind have closed or close at the market now
    not let go    what filled of the leg, less what this kind has closed, and what was given up of it
    wanted        the smaller of the two
    there         what may still fill of the exits of the kind, those on their way and in doubt included
    there < wanted    the difference is placed, where the market admits the size; otherwise it waits for more
    there > wanted    the newest are taken back, and what is still wanted of them is placed anew

So what stands of a kind never exceeds what the leg has filled, comes to equal it, and when one exit fills the others
shrink by as much. An exit taken back is marked before it is cancelled, so that it is not taken for one that its owner
gave up, which is not placed again.

    an exit ends                              what is made of it
    refused, since it would fire at once      closed at the market by as much: that is what it asked for
    refused, nothing being there to reduce    tried again; at the fourth time somebody else closed as much
    refused otherwise, or not executed        placed again after a growing pause; the leg counts as unprotected
    cancelled with nothing filled             given up: by its owner, a person, or the exchange
    cancelled with a part filled              what is still wanted is placed anew
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import StrEnum
from itertools import takewhile

from attrs import field, frozen

from app.domain.leg_life import LIVE, UNPROVEN
from app.domain.renewal import as_one
from messages.orders import (
    LegState,
    LegView,
    Linked,
    OrderKey,
    OrderSpec,
    OrderType,
    OrderView,
    Side,
    Trigger,
    TriggerKind,
)

ZERO = Decimal(0)
PREFIX = "exit/"
"""Of the client order ids of exits; owners may not begin theirs so."""

MAX_STANDING = 8
"""Exits of a kind that stand for one leg at once; what fills beyond is merged into the newest."""
MAX_NUMBER = 1000
"""Exits of a kind that are ever placed for one leg. Beyond it no more are: the leg counts as unprotected."""
APART_S = ((50, 0.0), (300, 5.0), (MAX_NUMBER, 30.0))
"""Between two of a kind, up to a number: an order that fills in hundreds of pieces must not come to `MAX_NUMBER`, nor
may its newest pieces, which wait so long, be more than a small part of it."""
GONE_AFTER = 4
"""Refusals of an exit in a row since there is nothing to reduce, 3.5 seconds in all: fewer may be an exchange that is
late to see a fill, whose position would be left without any exit."""
AGAIN_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Before an exit that could not be placed is tried again; the last repeats."""
MOVING_S = 1.0
"""After a part fill of an exit that still fills, before the others are made smaller: most fill wholly within that."""

FIRES_AT_ONCE = "would_trigger"
NOTHING_TO_REDUCE = "reduce_only_rejected"
"""Codes of refusals, by the tables of `app.exchanges.codes`."""


class ExitKind(StrEnum):
    """What an exit is for; the last two close at the market what the first two would have."""

    STOP_LOSS = "sl"
    TAKE_PROFIT = "tp"
    STOP_LOSS_NOW = "sl-now"
    TAKE_PROFIT_NOW = "tp-now"


NOW = {ExitKind.STOP_LOSS: ExitKind.STOP_LOSS_NOW, ExitKind.TAKE_PROFIT: ExitKind.TAKE_PROFIT_NOW}


@frozen
class Exit:
    """The name of an exit.

    Attributes:
        parent_id: Order id of the order it is of.
        leg: The number of the leg that filled.
        number: From 1 in its kind; of one at the market, that of the refused one it stands for.
    """

    parent_id: str
    leg: int
    kind: ExitKind
    number: int

    @property
    def client_order_id(self) -> str:
        """Within the strategy of the order it is of."""
        return f"{PREFIX}{self.parent_id}/{self.leg}/{self.kind.value}/{self.number}"

    @classmethod
    def named(cls, client_order_id: str) -> Exit | None:
        """The exit of a client order id; None where it is none."""
        if not client_order_id.startswith(PREFIX):
            return None
        parts = client_order_id.split("/")
        if len(parts) != 5 or not (parts[2].isdigit() and parts[4].isdigit()) or parts[3] not in list(ExitKind):
            return None
        return cls(parts[1], int(parts[2]), ExitKind(parts[3]), int(parts[4]))

    def key(self, parent: OrderView) -> OrderKey:
        """The key of its order."""
        return OrderKey(strategy=parent.key.strategy, client_order_id=self.client_order_id)


def parent_of(key: OrderKey) -> str:
    """Order id of the order that an exit is of; empty for an order that is none."""
    exit_ = Exit.named(key.client_order_id)
    return exit_.parent_id if exit_ is not None else ""


def wants_exits(spec: OrderSpec) -> bool:
    """Whether an order has a take profit or a stop loss."""
    return spec.take_profit is not None or spec.stop_loss is not None


def spec_of(parent: OrderSpec, kind: ExitKind, quantity: Decimal, moved: Decimal | None = None) -> OrderSpec:
    """What an exit asks for: a market order, when the price has come to its trigger, that only reduces.

    Args:
        moved: The trigger's price, where another than the order's own.
    """
    trigger = None
    if kind is ExitKind.STOP_LOSS:
        assert parent.stop_loss is not None
        trigger = Trigger(kind=TriggerKind.STOP, price=moved or parent.stop_loss)
    elif kind is ExitKind.TAKE_PROFIT:
        assert parent.take_profit is not None
        trigger = Trigger(kind=TriggerKind.TAKE_PROFIT, price=moved or parent.take_profit)
    return OrderSpec(
        symbol=parent.symbol,
        side=Side.SELL if parent.side is Side.BUY else Side.BUY,
        order_type=OrderType.MARKET,
        quantity=quantity,
        reduce_only=parent.symbol.settle is not None,  # spot has no positions: there it sells what was bought
        trigger=trigger,
    )


@frozen(kw_only=True)
class Plan:
    """What is to be done for the exits of one leg.

    Attributes:
        place: Exits to place, each with what it asks for.
        take_back: Ids of exits to cancel.
        again_s: When to ask for a plan again though nothing has changed; None for never.
        state: What the leg is to be marked as.
        words: Why it is unprotected; empty where it is not.
    """

    place: tuple[tuple[Exit, OrderSpec], ...] = ()
    take_back: tuple[str, ...] = ()
    again_s: float | None = None
    state: Linked = Linked.OPEN
    words: str = ""


@frozen(kw_only=True)
class _Kind:
    """The exits of one kind, those at the market that stand for them included."""

    kind: ExitKind
    placed: Mapping[int, LegView]
    now: Mapping[int, LegView]
    asked: frozenset[int]
    asked_quantity: Decimal
    asked_now: frozenset[int]
    asked_now_quantity: Decimal

    @property
    def closed(self) -> Decimal:
        return sum((leg.filled for leg in (*self.placed.values(), *self.now.values())), ZERO)

    @property
    def closing(self) -> Decimal:
        """Of those at the market, what may still fill."""
        standing = (leg.quantity - leg.filled for leg in self.now.values() if _standing(leg))
        return sum(standing, self.asked_now_quantity)

    @property
    def gone(self) -> Decimal:
        """What there was nothing to reduce for, any more."""
        return _gone(self.placed) + _gone(self.now)

    @property
    def given_up(self) -> Decimal:
        return sum((leg.quantity - leg.filled for leg in self.placed.values() if _given_up(leg)), ZERO)

    @property
    def standing(self) -> list[tuple[int, LegView]]:
        return [(number, leg) for number, leg in sorted(self.placed.items()) if _standing(leg)]

    @property
    def next_number(self) -> int:
        return max((*self.placed, *self.asked), default=0) + 1

    @property
    def failed(self) -> LegView | None:
        """The newest, where it could not be placed."""
        leg = self.placed[max(self.placed)] if self.placed else None
        return leg if leg is not None and leg.state in (LegState.REFUSED, LegState.ABSENT) else None

    @property
    def refusals(self) -> int:
        """How many of the newest were refused in a row."""
        newest = (self.placed[number] for number in sorted(self.placed, reverse=True))
        return sum(1 for _ in takewhile(lambda leg: leg.state is LegState.REFUSED, newest))


def _standing(leg: LegView) -> bool:
    return leg.state in LIVE or leg.state in UNPROVEN


def _gone(legs: Mapping[int, LegView]) -> Decimal:
    """The size of the last of each `GONE_AFTER` refused in a row since there is nothing to reduce."""
    out, row = ZERO, 0
    for _, leg in sorted(legs.items()):
        row = row + 1 if leg.state is LegState.REFUSED and leg.reason_code == NOTHING_TO_REDUCE else 0
        out += leg.quantity if row and row % GONE_AFTER == 0 else ZERO
    return out


def _given_up(leg: LegView) -> bool:
    if _standing(leg) or leg.linked is Linked.RESIZED:
        return False
    ended = leg.state in (LegState.CANCELLED, LegState.EXPIRED)
    return ended and (leg.linked is Linked.GIVEN_UP or leg.filled == 0)


@frozen(kw_only=True)
class Known:
    """What there is of a leg's exits.

    Attributes:
        parent: The order whose newest leg is meant.
        exits: Those the journal knows, by name.
        asked: How much was asked for of those that are on their way to the journal, and not standing there yet.
        admits: Whether the market takes an order of a size: empty, or why not, in words.
    """

    parent: OrderView
    exits: Mapping[Exit, OrderView]
    asked: Mapping[Exit, Decimal] = field(factory=dict)
    admits: Callable[[OrderSpec], str]

    @property
    def leg(self) -> LegView | None:
        """The parent's newest leg, with those it stands in for."""
        return as_one(self.parent)


def plan(known: Known, now_s: float) -> Plan:
    """What is missing, and what is too much."""
    leg = known.leg
    assert leg is not None, "only what was committed has exits"
    spec = known.parent.spec
    wanted = ((ExitKind.STOP_LOSS, spec.stop_loss), (ExitKind.TAKE_PROFIT, spec.take_profit))
    kinds = [_kind(known, leg.number, kind) for kind, price in wanted if price is not None]
    closed = sum((kind.closed + kind.closing for kind in kinds), max((kind.gone for kind in kinds), default=ZERO))
    steps = [_step(known, leg, kind, _wanted(leg, kind, closed), now_s) for kind in kinds]
    over = not _standing(leg) and leg.state is not LegState.ABSENT  # an absent leg may be placed again
    rest = any(kind.standing or kind.closing or kind.asked or kind.asked_now for kind in kinds)
    again_s = min((step.again_s for step in steps if step.again_s is not None), default=None)
    words = next((step.words for step in steps if step.words), "")
    idle = not any(step.place or step.take_back for step in steps) and again_s is None
    state = Linked.UNPROTECTED if words else Linked.DONE if over and not rest and idle else Linked.OPEN
    return Plan(
        place=tuple(each for step in steps for each in step.place),
        take_back=tuple(each for step in steps for each in step.take_back),
        again_s=again_s,
        state=state,
        words=words,
    )


def _kind(known: Known, leg: int, kind: ExitKind) -> _Kind:
    def legs(of: ExitKind) -> dict[int, LegView]:
        return {
            exit_.number: one
            for exit_, order in known.exits.items()
            if exit_.leg == leg and exit_.kind is of and (one := as_one(order)) is not None
        }

    def asked(of: ExitKind) -> dict[int, Decimal]:
        return {exit_.number: size for exit_, size in known.asked.items() if exit_.leg == leg and exit_.kind is of}

    mine, at_market = asked(kind), asked(NOW[kind])
    return _Kind(
        kind=kind,
        placed=legs(kind),
        now=legs(NOW[kind]),
        asked=frozenset(mine),
        asked_quantity=sum(mine.values(), ZERO),
        asked_now=frozenset(at_market),
        asked_now_quantity=sum(at_market.values(), ZERO),
    )


def _wanted(leg: LegView, kind: _Kind, closed: Decimal) -> Decimal:
    return max(ZERO, min(leg.filled - closed, leg.filled - kind.given_up - kind.closed))


def _step(known: Known, leg: LegView, kind: _Kind, wanted: Decimal, now_s: float) -> Plan:
    standing = kind.standing
    there = sum((each.quantity - each.filled for _, each in standing), ZERO) + kind.asked_quantity
    going = sum((each.quantity - each.filled for _, each in standing if each.linked is not None), ZERO)
    if there - going > wanted:
        return _too_much(known, kind, there - going - wanted, wanted, now_s)
    if there < wanted and not kind.asked and not kind.asked_now:
        return _missing(known, leg, kind, wanted - there, now_s)
    return Plan()


def _too_much(known: Known, kind: _Kind, excess: Decimal, wanted: Decimal, now_s: float) -> Plan:
    moving = [
        order.leg.updated_s
        for order in known.exits.values()
        if order.leg is not None and order.leg.state is LegState.PARTIALLY_FILLED and order.leg.linked is None
    ]
    if wanted > 0 and moving and now_s < max(moving) + MOVING_S:
        return Plan(again_s=max(moving) + MOVING_S)
    ids: list[str] = []
    for number, each in reversed(kind.standing):
        if excess <= 0:
            break
        if each.linked is None:
            ids.append(_order_id(known, kind, number))
            excess -= each.quantity - each.filled
    return Plan(take_back=tuple(ids))


def _missing(known: Known, leg: LegView, kind: _Kind, quantity: Decimal, now_s: float) -> Plan:
    failed = kind.failed
    name = "stop loss" if kind.kind is ExitKind.STOP_LOSS else "take profit"
    if failed is not None and failed.state is LegState.REFUSED and failed.reason_code == FIRES_AT_ONCE:
        now = _now(known, kind, failed, quantity, now_s, name)
        if now is not None:
            return now
        if kind.now[max(kind.placed)].state is LegState.FILLED:
            failed = None  # which has been closed: what has filled since is another matter
    words, again_s = "", now_s
    if failed is not None:
        words = f"its {name} of {quantity} could not be placed: {failed.reason_words or failed.state.value}"
        tries = kind.refusals if failed.state is LegState.REFUSED else failed.attempts
        again_s = failed.updated_s + AGAIN_S[min(max(tries, 1), len(AGAIN_S)) - 1]
    if kind.next_number > MAX_NUMBER:
        return Plan(words=f"its {name} was placed {MAX_NUMBER} times, the limit: {quantity} of it are not placed again")
    if failed is None and kind.placed:
        apart_s = next((apart_s for number, apart_s in APART_S if kind.next_number <= number), 0.0)
        again_s = kind.placed[max(kind.placed)].created_s + apart_s
    if now_s < again_s:
        return Plan(again_s=again_s, words=words)
    number = kind.next_number
    if failed is not None and failed.state is LegState.ABSENT and failed.quantity <= quantity:
        number, quantity = max(kind.placed), failed.quantity  # proven never to have executed: the same order again
    spec = spec_of(known.parent.spec, kind.kind, quantity, _moved(known, kind))
    free = [number for number, each in kind.standing if each.linked is None]
    not_admitted = known.admits(spec)
    if not_admitted:
        if known.admits(spec_of(known.parent.spec, kind.kind, known.parent.spec.quantity)):
            words = f"its {name} of {quantity} could not be placed: {not_admitted}"
            return Plan(again_s=now_s + AGAIN_S[-1], words=words)  # not for its size, so it is no matter of waiting
        if free and not _standing(leg):  # too small, and no more is to come: it goes with the newest
            newest = kind.placed[free[-1]]
            both = spec_of(known.parent.spec, kind.kind, quantity + newest.quantity - newest.filled)
            if not known.admits(both):
                return Plan(take_back=(_order_id(known, kind, free[-1]),))
        return Plan()
    if len(kind.standing) >= MAX_STANDING:
        return Plan(take_back=(_order_id(known, kind, free[-1]),) if free else (), words=words)
    return Plan(place=((Exit(known.parent.order_id, leg.number, kind.kind, number), spec),), words=words)


def _moved(known: Known, kind: _Kind) -> Decimal | None:
    """Where the newest of a kind has its trigger: what its owner has moved is not moved back by a further fill."""
    if not kind.placed or known.leg is None:
        return None
    newest = known.exits[Exit(known.parent.order_id, known.leg.number, kind.kind, max(kind.placed))]
    return newest.now.trigger.price if newest.now.trigger is not None else None


def _now(known: Known, kind: _Kind, failed: LegView, quantity: Decimal, now_s: float, name: str) -> Plan | None:
    """Closes at the market what a refused exit was for; None once that was done, whatever came of it."""
    number = max(kind.placed)
    done = kind.now.get(number)
    again_s = now_s
    if done is not None:
        if done.state is not LegState.ABSENT or done.quantity > quantity:
            return None  # as much is not open any more: what is, is begun anew
        again_s = done.updated_s + AGAIN_S[min(done.attempts, len(AGAIN_S)) - 1]
        quantity = done.quantity
    words = f"its {name} would fire at once, and {quantity} could not be closed yet" if done is not None else ""
    if now_s < again_s:
        return Plan(again_s=again_s, words=words)
    quantity = min(quantity, failed.quantity)
    parent, leg = known.parent, known.leg
    assert leg is not None
    exit_ = Exit(parent.order_id, leg.number, NOW[kind.kind], number)
    spec = spec_of(parent.spec, exit_.kind, quantity)
    if known.admits(spec):
        return Plan(words=words)  # less is open by now than the market takes: it waits for more
    return Plan(place=((exit_, spec),), words=words)


def _order_id(known: Known, kind: _Kind, number: int) -> str:
    leg = known.leg
    assert leg is not None
    return known.exits[Exit(known.parent.order_id, leg.number, kind.kind, number)].order_id
